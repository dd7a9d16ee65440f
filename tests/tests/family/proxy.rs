//! Our proxy between publishers and subscribers.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::JoinHandle;
use zmtp_socket::{
    Context, Endpoint, HighWaterMark, Message, Proxy, ProxyHandle, PubOptions, Request, SubOptions,
    SubSocket, Verbosity, WhenFull, XPubHandle, XPubOptions, XSubOptions, proxy,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, eventually, receive, receive_text, wanted, within};

/// A running proxy: the endpoint for subscribers, and its handle.
struct Running {
    endpoint: Endpoint,
    handle: ProxyHandle,
    task: JoinHandle<Proxy>,
}

/// Runs a proxy between the publishers at `publishers` and the subscribers at an endpoint of its own.
async fn run(context: &Context, publishers: &str, verbosity: Verbosity) -> Running {
    let (proxy, endpoint) = between(context, publishers, verbosity).await;
    start(proxy, endpoint)
}

async fn between(context: &Context, publishers: &str, verbosity: Verbosity) -> (Proxy, Endpoint) {
    let frontend = context.xsub_socket(XSubOptions::new());
    frontend.connect(publishers).unwrap();
    let backend = context.xpub_socket(XPubOptions::new().verbosity(verbosity));
    let endpoint = backend.bind("tcp://127.0.0.1:*").await.unwrap();
    (proxy(frontend, backend), endpoint)
}

fn start(mut proxy: Proxy, endpoint: Endpoint) -> Running {
    let handle = proxy.handle();
    let task = tokio::spawn(async move {
        proxy.run().await;
        proxy
    });
    Running { endpoint, handle, task }
}

over_each_transport! {
    async fn messages_go_down_and_subscriptions_go_up_each_topic_once(place: Place) {
        for verbosity in [Verbosity::Distinct, Verbosity::Subscriptions, Verbosity::All] {
            let server = place.publisher();
            server.bind(&*place.endpoint).await.unwrap();
            let running = run(&place.context, &place.endpoint, verbosity).await;
            let mut clients = [place.subscriber("a"), place.subscriber("a")];
            for client in &clients {
                client.connect(&running.endpoint).unwrap();
            }
            wanted(&server, "a").await;
            clients[1].subscribe("b");
            wanted(&server, "b").await;
            for message in ["a 1", "b 1", "c 1", "a 2"] {
                server.send(message).await.unwrap();
            }
            // The second subscription may have reached the proxy after the first message.
            for expected in ["a 1", "a 2"] {
                assert_eq!(receive_text(&mut clients[0]).await, expected);
            }
            assert_eq!(server.stats().peers[0].subscriptions, 2);
            for client in clients {
                within("the end", client.close()).await;
            }
            eventually("nothing is wanted any more", || server.subscriber_count() == 0).await;
            let stats = running.handle.stats();
            assert_eq!((stats.messages, stats.octets), (3, 15));
            assert!(stats.subscriptions >= 2 && stats.cancels >= 2, "{stats:?}");
            running.handle.stop();
            within("its end", running.task).await.unwrap();
            within("the end", server.close()).await;
        }
    }

    async fn a_message_of_a_subscriber_goes_up_through_two_proxies(place: Place) {
        let mut server = place.context.xpub_socket(XPubOptions::new());
        server.bind(&*place.endpoint).await.unwrap();
        let upper = run(&place.context, &place.endpoint, Verbosity::Distinct).await;
        let lower = run(&place.context, &upper.endpoint.to_string(), Verbosity::Distinct).await;
        let client = place.context.xsub_socket(XSubOptions::new());
        client.connect(&lower.endpoint).unwrap();
        client.subscribe("a");
        let first = within("a request", server.recv()).await.unwrap();
        assert!(matches!(first, Request::Subscribe { topic, .. } if topic == "a"));
        client.send(Message::multipart(["question", "?"]).unwrap()).await.unwrap();
        let Request::Message { message, .. } = within("a request", server.recv()).await.unwrap()
        else {
            panic!("a message")
        };
        assert_eq!(message.parts(), ["question", "?"]);
        assert_eq!(upper.handle.stats().upstream, 1);
    }
}

#[tokio::test]
async fn a_tap_gets_a_copy_of_what_is_handed_on_both_ways() {
    let place = Place::inproc();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let (frontend, backend) = (
        place.context.xsub_socket(XSubOptions::new()),
        place.context.xpub_socket(XPubOptions::new()),
    );
    frontend.connect(&*place.endpoint).unwrap();
    let endpoint = backend.bind("inproc://backend").await.unwrap();
    let tap = place.context.pub_socket(PubOptions::new());
    tap.bind("inproc://tap").await.unwrap();
    let mut spy = place.subscriber("");
    spy.connect("inproc://tap").unwrap();
    wanted(&tap, "").await;
    let _running = start(proxy(frontend, backend).capture(tap), endpoint.clone());
    let mut client = place.context.xsub_socket(XSubOptions::new());
    client.subscribe("a");
    client.connect(&endpoint).unwrap();
    wanted(&server, "a").await;
    server.send("a").await.unwrap();
    assert_eq!(receive_text(&mut spy).await, "a");
    assert_eq!(receive_text(&mut client).await, "a");
    client.send("up").await.unwrap();
    assert_eq!(receive_text(&mut spy).await, "up");
}

#[tokio::test]
async fn a_paused_proxy_hands_nothing_on_and_loses_nothing() {
    const COUNT: u64 = 500;
    let place = Place::inproc();
    let server = place.context.pub_socket(PubOptions::new().send_hwm(HighWaterMark::Unlimited));
    server.bind(&*place.endpoint).await.unwrap();
    let running = run(&place.context, &place.endpoint, Verbosity::Distinct).await;
    let mut client = place.context.sub_socket(SubOptions::new());
    client.subscribe("");
    client.connect(&running.endpoint).unwrap();
    wanted(&server, "").await;
    server.send("before").await.unwrap();
    assert_eq!(receive_text(&mut client).await, "before");
    running.handle.pause();
    tokio::task::yield_now().await;
    for number in 0..COUNT {
        server.send(&number.to_be_bytes()).await.unwrap();
    }
    eventually("they are sent", || server.stats().sent == COUNT + 1).await;
    assert_eq!((running.handle.stats().messages, client.stats().received), (1, 1));
    running.handle.resume();
    for number in 0..COUNT {
        assert_eq!(receive(&mut client).await.first(), &number.to_be_bytes()[..]);
    }
    running.handle.stop();
    running.handle.resume();
    let mut proxy = within("its end", running.task).await.unwrap();
    within("it stays stopped", proxy.run()).await;
}

/// A proxy whose one subscriber has no room, and `COUNT` messages on their way to it.
async fn held_up(place: &Place, when_full: WhenFull) -> (Proxy, XPubHandle, SubSocket) {
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let frontend = place.context.xsub_socket(XSubOptions::new());
    frontend.connect(&*place.endpoint).unwrap();
    let few = HighWaterMark::messages(3);
    let options = XPubOptions::new().when_full(when_full).send_hwm(few);
    let backend = place.context.xpub_socket(options);
    backend.bind("inproc://backend").await.unwrap();
    let client = place.context.sub_socket(SubOptions::new().receive_hwm(few));
    client.subscribe("");
    client.connect("inproc://backend").unwrap();
    let publisher = backend.handle();
    let mut proxy = proxy(frontend, backend);
    tokio::select! {
        () = proxy.run() => unreachable!("it runs on"),
        () = wanted(&server, "") => {}
    }
    for number in 0..COUNT {
        server.send(large(number)).await.unwrap();
    }
    (proxy, publisher, client)
}

const COUNT: u64 = 200;

/// A message with this number, of which few fit the transport.
fn large(number: u64) -> Vec<u8> {
    number.to_be_bytes().repeat(2000)
}

#[tokio::test]
async fn a_proxy_that_is_dropped_while_it_is_held_up_loses_nothing() {
    let place = Place::inproc();
    let (mut proxy, backend, mut client) = held_up(&place, WhenFull::Wait).await;
    let handle = proxy.handle();
    let queue_is_full = || backend.stats().queued == 3 && handle.stats().messages > 3;
    tokio::select! {
        () = proxy.run() => unreachable!("it runs on"),
        () = eventually("it is held up", queue_is_full) => {}
    }
    let running = start(proxy, "inproc://backend".parse().unwrap());
    for number in 0..COUNT {
        assert_eq!(receive(&mut client).await.first(), &large(number));
    }
    assert_eq!((handle.stats().messages, handle.stats().dropped), (COUNT, 0));
    // It can be stopped, whether it waits or not.
    running.handle.stop();
    within("its end", running.task).await.unwrap();
}

#[tokio::test]
async fn what_has_waited_too_long_is_counted_and_the_proxy_goes_on() {
    let place = Place::inproc();
    let wait = WhenFull::WaitFor(Duration::from_millis(1));
    let (proxy, _, mut client) = held_up(&place, wait).await;
    let running = start(proxy, "inproc://backend".parse().unwrap());
    let stats = || running.handle.stats();
    eventually("most are lost", || stats().dropped > COUNT / 2).await;
    let mut received = 0;
    while received + stats().dropped < COUNT {
        receive(&mut client).await;
        received += 1;
    }
    assert!(received > 0);
    assert_eq!((stats().messages, received + stats().dropped), (COUNT, COUNT));
}

#[tokio::test]
async fn a_proxy_ends_with_one_of_its_sockets() {
    let place = Place::inproc();
    let running = run(&place.context, &place.endpoint, Verbosity::Distinct).await;
    running.handle.stop();
    let mut ended = within("its end", running.task).await.unwrap();
    let (_, backend) = ended.sockets();
    let publisher = backend.handle();
    let (frontend, backend) = (
        place.context.xsub_socket(XSubOptions::new()),
        place.context.xpub_socket(XPubOptions::new()),
    );
    let other = backend.handle();
    let running = start(proxy(frontend, backend), "inproc://nowhere".parse().unwrap());
    within("the end", other.close()).await;
    within("its end", running.task).await.unwrap();
    within("the end", publisher.close()).await;
}

/// Publishers, three proxies in a row, and subscribers that come and go: in the end the publishers have
/// exactly the subscriptions that are still wanted.
#[tokio::test]
async fn through_a_row_of_proxies_what_is_asked_for_upstream_is_exact() {
    let place = Place::tcp();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let mut endpoint = place.endpoint.clone();
    let (mut row, mut backends) = (Vec::new(), Vec::new());
    for verbosity in [Verbosity::Distinct, Verbosity::All, Verbosity::Distinct] {
        let (mut proxy, bound) = between(&place.context, &endpoint, verbosity).await;
        endpoint = bound.to_string();
        backends.push(proxy.sockets().1.handle());
        row.push(start(proxy, bound));
    }
    let mut chance = fastrand::Rng::with_seed(5);
    let mut clients = Vec::new();
    for round in 0..200 {
        match chance.u8(0..3) {
            0 if !clients.is_empty() => {
                let (client, _): (_, BTreeSet<usize>) =
                    clients.swap_remove(chance.usize(0..clients.len()));
                drop(client);
            }
            _ => {
                let client = place.context.sub_socket(SubOptions::new());
                let topics: BTreeSet<usize> = (0..20).map(|_| chance.usize(0..1000)).collect();
                for topic in &topics {
                    client.subscribe(format!("{topic:04}"));
                }
                client.connect(&*endpoint).unwrap();
                clients.push((client, topics));
            }
        }
        if round % 10 == 0 {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
        }
    }
    let wanted: BTreeSet<usize> = clients.iter().flat_map(|(_, topics)| topics).copied().collect();
    assert!(wanted.len() > 300);
    let held: usize = clients.iter().map(|(_, topics)| topics.len()).sum();
    eventually("the last proxy knows who is there", || {
        let peers = backends[2].stats().peers;
        let all: u64 = peers.iter().map(|peer| peer.subscriptions).sum();
        peers.len() == clients.len() && all == held as u64
    })
    .await;
    // Subscriptions travel in order, so none is on its way behind this one. From then on topics only
    // end, those of the clients that have left.
    let marker = place.context.sub_socket(SubOptions::new());
    marker.subscribe("marker");
    marker.connect(&*endpoint).unwrap();
    within("it to arrive", server.wait_for_subscriber("marker")).await.unwrap();
    eventually("exactly what is wanted is asked for", || {
        server.stats().peers[0].subscriptions == wanted.len() as u64 + 1
    })
    .await;
    for topic in 0..1000 {
        server.send(format!("{topic:04}")).await.unwrap();
    }
    for (client, topics) in &mut clients {
        for topic in &*topics {
            assert_eq!(receive_text(client).await, format!("{topic:04}"));
        }
    }
    assert_eq!(row[0].handle.stats().messages, wanted.len() as u64);
}
