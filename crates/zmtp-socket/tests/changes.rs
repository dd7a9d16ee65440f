//! Changes of a socket while it is in use, and the settings that endpoints make in the system.

use std::future::poll_fn;
use std::time::Duration;

use tokio::time::{sleep, timeout};
use zmtp_socket::{
    Context, DealerOptions, DealerSocket, Event, HighWaterMark, PairSocket, Peer, PubOptions,
    PubSocket, PullOptions, PushOptions, RepOptions, ReqOptions, Request, RouterOptions, SendError,
    SubOptions, SubSocket, Verbosity, WhenFull, XPubOptions, XPubSocket, XSubOptions,
};

/// Waits for what has to come about in time.
async fn within<T>(coming: impl Future<Output = T>) -> T {
    timeout(Duration::from_secs(20), coming).await.expect("it comes about in time")
}

async fn eventually(mut is_so: impl FnMut() -> bool) {
    within(async {
        while !is_so() {
            sleep(Duration::from_millis(1)).await;
        }
    })
    .await;
}

async fn told(publisher: &mut XPubSocket) -> String {
    match within(publisher.recv()).await.unwrap() {
        Request::Subscribe { topic, .. } => format!("+{}", String::from_utf8_lossy(&topic)),
        Request::Unsubscribe { topic, .. } => format!("-{}", String::from_utf8_lossy(&topic)),
        Request::Message { message, .. } => panic!("{message:?}"),
        _ => panic!("another request"),
    }
}

#[tokio::test]
async fn a_request_and_its_reply_may_be_two_calls() {
    let context = Context::new();
    let mut server = context.socket(RepOptions::new());
    let mut client = context.socket(ReqOptions::new());
    assert!(matches!(client.try_request("nobody"), Err(SendError::Full)));
    server.bind("inproc://service").await.unwrap();
    client.connect("inproc://service").unwrap();
    within(poll_fn(|cx| client.poll_room(cx))).await.unwrap();
    client.try_request("one").unwrap();
    let (request, reply) = within(server.recv()).await.unwrap();
    assert_eq!(request.first(), "one");
    reply.try_send("two").unwrap();
    let answer = within(poll_fn(|cx| client.poll_reply(cx))).await.unwrap();
    assert_eq!(answer.first(), "two");
    assert!(client.replier().is_some());
    assert!(within(poll_fn(|cx| client.poll_reply(cx))).await.is_err(), "nothing was asked");
}

#[tokio::test]
async fn a_numbered_request_that_another_follows_is_sent_and_its_reply_passed_over() {
    let context = Context::new();
    let mut server = context.socket(RepOptions::new());
    let mut client = context.socket(ReqOptions::new().correlate(true));
    client.connect("inproc://service").unwrap();
    client.try_request("first").unwrap();
    client.try_request("second").unwrap();
    server.bind("inproc://service").await.unwrap();
    for expected in ["first", "second"] {
        let (request, reply) = within(server.recv()).await.unwrap();
        assert_eq!(request.first(), expected);
        reply.try_send(request.first()).unwrap();
    }
    let answer = within(poll_fn(|cx| client.poll_reply(cx))).await.unwrap();
    assert_eq!(answer.first(), "second");
}

#[tokio::test]
async fn queues_inside_the_process_hold_exactly_what_both_marks_say() {
    let context = Context::new();
    let hwm = HighWaterMark::messages;
    let push = context.socket(PushOptions::new().send_hwm(hwm(2)));
    let mut pull = context.socket(PullOptions::new().receive_hwm(hwm(3)).turns_by_message(true));
    push.bind("inproc://line").await.unwrap();
    pull.connect("inproc://line").unwrap();
    within(push.wait_for_peer()).await.unwrap();
    let fill = async || {
        let (mut sent, mut refused) = (0, 0);
        // On one thread, what is on its way arrives within a few turns.
        while refused < 100 {
            match push.try_send("x") {
                Ok(()) => (sent, refused) = (sent + 1, 0),
                Err(_) => refused += 1,
            }
            tokio::task::yield_now().await;
        }
        sent
    };
    assert_eq!(fill().await, 5);
    push.set_send_hwm(hwm(4));
    assert_eq!(fill().await, 2);
    pull.set_receive_hwm(hwm(4));
    assert_eq!(fill().await, 1);
    for _ in 0..8 {
        within(pull.recv()).await.unwrap();
    }
    assert_eq!(fill().await, 8);
}

#[tokio::test]
async fn a_full_queue_inside_the_process_goes_on_to_the_peer_while_no_task_runs() {
    let context = Context::new();
    let hwm = HighWaterMark::messages;
    let push = context.socket(PushOptions::new().send_hwm(hwm(1)));
    let mut pull = context.socket(PullOptions::new().receive_hwm(hwm(4)));
    push.bind("inproc://line").await.unwrap();
    pull.connect("inproc://line").unwrap();
    within(push.wait_for_peer()).await.unwrap();
    within(pull.wait_for_peer()).await.unwrap();
    for number in 0..5 {
        push.try_send(&[number][..]).expect("there is room at the peer, and then here");
    }
    assert!(matches!(push.try_send(&[5][..]), Err(SendError::Full)));
    for number in 0..5 {
        assert_eq!(within(pull.recv()).await.unwrap().first()[..], [number]);
    }
}

#[tokio::test]
async fn an_xpub_tells_other_things_once_it_is_told_to() {
    let context = Context::new();
    let mut publisher = context.xpub_socket(XPubOptions::new());
    publisher.bind("inproc://news").await.unwrap();
    let repeating = SubOptions::new().tell_repeated_subscriptions(true);
    let mut subscriber = context.sub_socket(repeating);
    subscriber.connect("inproc://news").unwrap();
    subscriber.subscribe("a");
    assert_eq!(told(&mut publisher).await, "+a");
    publisher.set_verbosity(Verbosity::Subscriptions);
    subscriber.subscribe("a");
    assert_eq!(told(&mut publisher).await, "+a", "it is told again");
    // The welcome is for those who come now.
    publisher.set_welcome(Some("a welcome".into()));
    let mut late = context.sub_socket(SubOptions::new());
    late.subscribe("a");
    late.connect("inproc://news").unwrap();
    assert_eq!(within(late.recv()).await.unwrap().first(), "a welcome");
    assert_eq!(told(&mut publisher).await, "+a");
    // The other way round.
    publisher.set_invert_matching(true);
    subscriber.set_invert_filter(true);
    publisher.send("a 1").await.unwrap();
    publisher.send("b 2").await.unwrap();
    assert_eq!(within(subscriber.recv()).await.unwrap().first(), "b 2");
}

#[tokio::test]
async fn the_ends_that_a_manual_xpub_is_told_are_those_of_what_was_asked_for() {
    let context = Context::new();
    let mut publisher = context.xpub_socket(XPubOptions::new());
    publisher.bind("inproc://news").await.unwrap();
    publisher.set_manual(true, Verbosity::Distinct);
    let subscriber = context.xsub_socket(XSubOptions::new());
    subscriber.subscribe("asked");
    subscriber.connect("inproc://news").unwrap();
    let Request::Subscribe { peer, topic } = within(publisher.recv()).await.unwrap() else {
        panic!("a subscription")
    };
    assert_eq!(topic, "asked");
    assert!(publisher.subscribe(&peer, "given"));
    subscriber.close().await;
    assert_eq!(told(&mut publisher).await, "-asked");
    eventually(|| publisher.subscriber_count() == 0).await;
    assert!(publisher.try_recv().is_err(), "and of nothing else");
}

#[tokio::test]
async fn a_publisher_that_is_told_to_wait_loses_nothing_from_then_on() {
    let context = Context::new();
    let publisher = context.pub_socket(PubOptions::new());
    publisher.bind("inproc://news").await.unwrap();
    let subscriber = context.sub_socket(SubOptions::new().receive_hwm(HighWaterMark::messages(1)));
    subscriber.subscribe_all();
    subscriber.connect("inproc://news").unwrap();
    within(publisher.wait_for_subscriber("")).await.unwrap();
    publisher.set_send_hwm(HighWaterMark::messages(1));
    publisher.set_when_full(WhenFull::Wait);
    let mut tries = 0;
    while publisher.try_send("x").is_ok() {
        tries += 1;
        assert!(tries < 10, "it is full");
        sleep(Duration::from_millis(1)).await;
    }
    assert_eq!(publisher.stats().dropped, 0);
}

#[tokio::test]
async fn a_router_tells_whether_there_is_room_and_hands_identities_over_once_it_is_told_to() {
    let context = Context::new();
    let options = RouterOptions::new().send_hwm(HighWaterMark::messages(1));
    let mut router = context.socket(options);
    assert!(matches!(router.has_room_for("x"), Err(SendError::Unroutable)));
    router.bind("inproc://desk").await.unwrap();
    let dealer = || {
        let dealer: DealerSocket = context.socket(DealerOptions::new().identity("x"));
        dealer.connect("inproc://desk").unwrap();
        dealer
    };
    let first = dealer();
    first.send("one").await.unwrap();
    within(router.recv()).await.unwrap();
    assert!(router.has_room_for("x").unwrap());
    router.set_handover(true);
    let second = dealer();
    second.send("two").await.unwrap();
    assert_eq!(within(router.recv()).await.unwrap().1.first(), "two");
}

#[cfg(unix)]
#[tokio::test]
async fn a_peer_that_is_not_accepted_gets_no_further() {
    let publisher = PubSocket::new();
    let mut events = publisher.monitor();
    let none = publisher.bind_with("tcp://127.0.0.1:*", |options| options.accept_if(|_| false));
    let closed = none.await.unwrap();
    let own = |peer: &Peer| peer.descriptor().is_some() && !peer.is_dialled();
    let some = publisher.bind_with("tcp://127.0.0.1:*", move |options| options.accept_if(own));
    let open = some.await.unwrap();
    let subscriber = SubSocket::new();
    subscriber.connect(&closed).unwrap();
    within(async { while !matches!(events.next().await, Some(Event::Refused { .. })) {} }).await;
    assert_eq!(subscriber.publisher_count(), 0);
    subscriber.connect(&open).unwrap();
    within(subscriber.wait_for_publisher()).await.unwrap();
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn an_endpoint_may_listen_on_a_socket_of_the_system_and_be_dialled_from_an_address() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let mut server = PairSocket::new();
    let bound = server.bind_with("tcp://*:*", |options| options.listen_on(listener.into()));
    assert_eq!(bound.await.unwrap().port(), Some(port));
    let client = PairSocket::new();
    let source = "127.0.0.5:0".parse().unwrap();
    let endpoint = format!("tcp://127.0.0.1:{port}");
    client.connect_with(&endpoint, |options| options.source(source).backlog(1)).unwrap();
    client.send("hello").await.unwrap();
    let (peer, message) = within(server.recv_from()).await.unwrap();
    assert_eq!(message.first(), "hello");
    assert_eq!(peer.socket_addr().unwrap().ip().to_string(), "127.0.0.5");
}
