//! The calls themselves: from many tasks, as streams and sinks, without a runtime.

use std::future::poll_fn;
use std::ops::DerefMut;
use std::pin::{Pin, pin};
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use zmtp_socket::{
    Closed, Context, Endpoint, Heartbeat, HighWaterMark, Linger, Message, Monitor, OpenEndpoints,
    PubHandle, PubOptions, PubSocket, RecvError, SendError, SubHandle, SubOptions, SubSocket,
    TryRecvError, UnknownEndpoint, WhenFull, XPubSocket, XSubOptions, XSubSocket, blocking,
};
use zmtp_tests::story::{Place, eventually, receive, subscribers, wanted, within};

const fn is_send_and_sync<T: Send + Sync + 'static>() {}

const _: () = {
    is_send_and_sync::<Context>();
    is_send_and_sync::<PubSocket>();
    is_send_and_sync::<PubHandle>();
    is_send_and_sync::<SubSocket>();
    is_send_and_sync::<SubHandle>();
    is_send_and_sync::<XPubSocket>();
    is_send_and_sync::<XSubSocket>();
    is_send_and_sync::<Monitor>();
    is_send_and_sync::<Message>();
    is_send_and_sync::<Endpoint>();
};

/// A socket implements neither `Clone` nor `DerefMut`, so it cannot be cloned by mistake, nor its handle
/// be taken out of it. This compiles only while there is a single type that `_` can stand for.
const _: () = {
    trait Ambiguous<T> {
        const WITHOUT: usize = 0;
    }
    impl<S> Ambiguous<()> for S {}
    impl<S: Clone> Ambiguous<u8> for S {}
    impl<S: DerefMut> Ambiguous<u16> for S {}
    let _ = <PubSocket as Ambiguous<_>>::WITHOUT;
    let _ = <XSubSocket as Ambiguous<_>>::WITHOUT;
    let _ = <blocking::PubSocket as Ambiguous<_>>::WITHOUT;
    let _ = <blocking::XSubSocket as Ambiguous<_>>::WITHOUT;
};

#[tokio::test]
async fn every_future_can_be_spawned() {
    fn spawnable<T: Send>(future: T) -> T {
        future
    }
    let place = Place::inproc();
    let (server, mut client) = place.pair().await;
    spawnable(server.send("a")).await.unwrap();
    spawnable(client.recv()).await.unwrap();
    spawnable(server.wait_for_subscriber("a")).await.unwrap();
    spawnable(client.close()).await;
    spawnable(server.close()).await;
}

#[tokio::test]
async fn whatever_can_be_sent_arrives_as_the_same_octets() {
    let place = Place::tcp();
    let (server, mut client) = place.pair().await;
    let text = String::from("octets");
    let message = Message::from("octets");
    server.send("octets").await.unwrap();
    server.send(b"octets").await.unwrap();
    server.send(&b"octets"[..]).await.unwrap();
    server.send(&text).await.unwrap();
    server.send(text).await.unwrap();
    server.send(b"octets".to_vec()).await.unwrap();
    server.send(&b"octets".to_vec()).await.unwrap();
    server.send(Bytes::from_static(b"octets")).await.unwrap();
    server.send(&Bytes::from_static(b"octets")).await.unwrap();
    server.send(&message).await.unwrap();
    server.send(message).await.unwrap();
    for _ in 0..11 {
        assert_eq!(receive(&mut client).await, Message::from("octets"));
    }
    server.send(("topic", vec![1, 2])).await.unwrap();
    let pair = Message::multipart([&b"topic"[..], &[1, 2]]).unwrap();
    assert_eq!(receive(&mut client).await, pair);
}

#[tokio::test]
async fn a_message_that_was_lent_is_still_there_after_it_could_not_be_sent() {
    let place = Place::tcp();
    let mark = HighWaterMark::messages(1);
    let options = PubOptions::new().when_full(WhenFull::Wait).send_hwm(mark);
    let server = place.context.pub_socket(options);
    let endpoint = server.bind(&*place.endpoint).await.unwrap();
    let mut client = place.context.sub_socket(SubOptions::new().receive_hwm(mark));
    client.subscribe_all();
    client.connect(&endpoint).unwrap();
    wanted(&server, "").await;
    let large = Message::from(vec![7; 1 << 20]);
    let mut sent = 0;
    while server.try_send(&large) == Ok(()) {
        sent += 1;
        assert!(sent < 1000, "a gigabyte fits between us");
    }
    assert_eq!(server.try_send(&large), Err(SendError::Full));
    for _ in 0..sent {
        assert_eq!(receive(&mut client).await, large);
    }
    server.send(&large).await.unwrap();
    assert_eq!(receive(&mut client).await, large);
}

#[tokio::test]
async fn messages_are_received_with_their_senders_or_many_at_once() {
    let place = Place::inproc();
    let (server, mut client) = place.pair().await;
    let other = place.context.pub_socket(PubOptions::new());
    let endpoint = other.bind("inproc://other").await.unwrap();
    client.connect(&endpoint).unwrap();
    wanted(&other, "").await;
    assert_eq!(client.publisher_count(), 2);

    let mut messages = Vec::new();
    assert_eq!(client.recv_many(&mut messages, 0).await, Ok(0), "it does not wait for none");
    other.send("from the other").await.unwrap();
    let (peer, message) = within("a message", client.recv_from()).await.unwrap();
    assert_eq!((peer.endpoint(), &message), (&endpoint, &Message::from("from the other")));
    assert_eq!(client.sender(), Some(&peer));

    for number in 0..600 {
        server.send(format!("{number}")).await.unwrap();
    }
    eventually("all of them", || client.stats().received == 601).await;
    assert_eq!(within("the first", client.recv_many(&mut messages, 10)).await, Ok(10));
    assert_eq!(within("the rest", client.recv_many(&mut messages, 1000)).await, Ok(590));
    let expected: Vec<_> = (0..600).map(|number| Message::from(format!("{number}"))).collect();
    assert_eq!(messages, expected, "they have come in several batches");

    let handle = client.handle();
    let receiving = tokio::spawn(async move {
        let received = client.recv_many(&mut messages, 10).await;
        (received, messages.len())
    });
    handle.close().await;
    let ended = within("the end", receiving).await.unwrap();
    assert_eq!(ended, (Err(RecvError::Closed(Closed)), 600));
}

#[tokio::test]
async fn a_socket_knows_its_endpoints_and_ends_them_by_whatever_names_them() {
    let place = Place::tcp();
    let server = place.publisher();
    let bound = server.bind("tcp://127.0.0.1:*").await.unwrap();
    let dialled = server.connect("inproc://nobody").unwrap();
    let open = server.endpoints();
    assert_eq!((open.bound, open.connected), (vec![bound.clone()], vec![dialled.clone()]));

    let named = bound.to_string();
    assert_eq!(server.disconnect(&*named).await, Err(UnknownEndpoint::NotConnected(bound.clone())));
    assert_eq!(server.unbind("inproc://nobody").await, Err(UnknownEndpoint::NotBound(dialled)));
    let error = server.unbind("nowhere").await.unwrap_err();
    assert!(matches!(error, UnknownEndpoint::Endpoint(_)), "{error}");
    server.unbind(named).await.unwrap();
    server.disconnect("inproc://nobody").await.unwrap();
    assert_eq!(server.endpoints(), OpenEndpoints::default());
}

#[tokio::test]
async fn a_socket_closes_within_a_time_of_its_own() {
    const TIME: Duration = Duration::from_millis(30);
    let place = Place::tcp();
    let (server, client) = place.loaded(Linger::Forever).await;
    let begun = Instant::now();
    let left = within("the close", server.close_within(TIME)).await;
    assert!(begun.elapsed() >= TIME && left.unsent > 0 && left.unread == 0, "{left:?}");
    let received = client.stats().received as usize;
    let left = within("the close", client.close_within(TIME)).await;
    assert_eq!((left.unsent, left.is_empty()), (0, received == 0));
    assert_eq!(left.unread, received);
}

/// 128 is a task's budget in tokio; without a yield the second task would never run.
#[tokio::test]
async fn an_xsub_that_sends_without_end_gives_others_their_turn() {
    let socket = Context::new().xsub_socket(XSubOptions::new());
    let sending = tokio::spawn({
        let handle = socket.handle();
        async move {
            while socket.send("to nobody").await.is_ok() {}
            handle
        }
    });
    tokio::task::yield_now().await;
    sending.abort();
    assert!(within("the end", sending).await.unwrap_err().is_cancelled());
}

#[tokio::test]
async fn each_face_of_a_subscriber_waits_for_its_publishers() {
    let place = Place::inproc();
    let client = place.subscriber("");
    assert_eq!((client.publisher_count(), client.handle().publisher_count()), (0, 0));
    let handle = client.handle();
    let waiting = tokio::spawn(async move { handle.wait_for_publisher().await });
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    client.connect(&*place.endpoint).unwrap();
    within("a publisher", client.wait_for_publisher()).await.unwrap();
    within("a publisher", waiting).await.unwrap().unwrap();
    assert_eq!(client.publisher_count(), 1);
    let handle = client.handle();
    client.close().await;
    assert_eq!(handle.wait_for_publisher().await, Err(Closed));
}

#[tokio::test]
async fn messages_of_every_size_arrive_whole() {
    let place = Place::tcp();
    let (server, mut client) = place.pair().await;
    let sizes = [0, 1, 254, 255, 256, 257, 65_534, 65_535, 65_536, 65_537, 1 << 20, 20 << 20];
    for (fill, size) in sizes.iter().enumerate() {
        server.send(vec![fill as u8; *size]).await.unwrap();
    }
    for (fill, size) in sizes.iter().enumerate() {
        let message = receive(&mut client).await;
        assert_eq!(message.size(), *size);
        assert!(message.first().iter().all(|octet| *octet == fill as u8), "of {size}");
    }
}

#[tokio::test]
async fn try_recv_says_whether_there_is_nothing_or_never_will_be() {
    let place = Place::inproc();
    let (server, mut client) = place.pair().await;
    assert_eq!(client.try_recv(), Err(TryRecvError::Empty));
    server.try_send("one").unwrap();
    server.try_send("two").unwrap();
    eventually("both", || client.stats().received == 2).await;
    assert_eq!(client.try_recv(), Ok(Message::from("one")));
    client.handle().close().await;
    assert_eq!(client.try_recv(), Ok(Message::from("two")));
    assert_eq!(client.try_recv(), Err(TryRecvError::Closed(Closed)));
    assert_eq!(client.recv().await, Err(RecvError::Closed(Closed)));
}

#[tokio::test]
async fn close_ends_a_waiting_recv_and_every_handle() {
    let place = Place::inproc();
    let (server, mut client) = place.pair().await;
    let handle = client.handle();
    let receiving = tokio::spawn(async move { client.recv().await });
    tokio::task::yield_now().await;
    handle.close().await;
    let ended = within("recv to end", receiving).await.unwrap();
    assert_eq!(ended, Err(RecvError::Closed(Closed)));

    let handle = server.handle();
    let waiting = tokio::spawn(async move { handle.wait_for_subscriber("x").await });
    subscribers(&server, 0).await;
    server.handle().close().await;
    assert_eq!(within("the wait to end", waiting).await.unwrap(), Err(Closed));
    assert_eq!(server.send("late").await, Err(SendError::Closed(Closed)));
    assert_eq!(server.try_send("late"), Err(SendError::Closed(Closed)));
    assert!(server.connect("inproc://x").is_err());
    assert!(server.bind("inproc://x").await.is_err());
}

#[tokio::test]
async fn a_sink_feeds_a_stream() {
    let place = Place::tcp();
    let (mut server, mut client) = place.pair().await;
    for number in 0..1000 {
        poll_fn(|cx| Pin::new(&mut server).poll_ready(cx)).await.unwrap();
        Pin::new(&mut server).start_send(Message::from(format!("{number}"))).unwrap();
    }
    poll_fn(|cx| Pin::new(&mut server).poll_flush(cx)).await.unwrap();
    for number in 0..1000 {
        let next = within("a message", poll_fn(|cx| Pin::new(&mut client).poll_next(cx))).await;
        assert_eq!(next, Some(Message::from(format!("{number}"))));
    }
    poll_fn(|cx| Pin::new(&mut server).poll_close(cx)).await.unwrap();
    assert!(server.send("late").await.is_err());
    client.handle().close().await;
    let next = within("the end", poll_fn(|cx| Pin::new(&mut client).poll_next(cx))).await;
    assert_eq!(next, None);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn eight_tasks_send_at_once_and_every_message_is_whole_and_in_its_order() {
    const TASKS: u8 = 8;
    const EACH: u32 = 2000;
    let place = Place::tcp();
    let (server, mut client) = place.pair().await;
    let senders: Vec<_> = (0..TASKS)
        .map(|task| {
            let server = server.handle();
            tokio::spawn(async move {
                for number in 0..EACH {
                    let size = (number as usize * 37) % 3000;
                    let head = [&[task][..], &number.to_be_bytes()].concat();
                    let message = Message::multipart([head, vec![task; size]]).unwrap();
                    server.send(message).await.unwrap();
                }
            })
        })
        .collect();
    let mut next = [0u32; TASKS as usize];
    for _ in 0..u32::from(TASKS) * EACH {
        let message = receive(&mut client).await;
        let [head, body] = message.parts() else { panic!("two parts: {message:?}") };
        let (task, number) = (head[0], u32::from_be_bytes(head[1..].try_into().unwrap()));
        assert_eq!(number, next[task as usize], "the order of task {task}");
        next[task as usize] += 1;
        assert_eq!(body.len(), (number as usize * 37) % 3000);
        assert!(body.iter().all(|octet| *octet == task));
    }
    for sender in senders {
        sender.await.unwrap();
    }
}

/// Senders write by themselves while nothing else happens, and drivers when something does or for a
/// heartbeat. Whichever writes, no message may be torn, lost or out of order.
async fn now_and_then_and_all_at_once(place: Place) {
    const TOPICS: u8 = 4;
    const EACH: u64 = 150;
    let beat = Heartbeat::every(Duration::from_millis(1)).with_timeout(Duration::from_secs(20));
    let options = PubOptions::new().when_full(WhenFull::Wait).heartbeat(beat);
    let server = place.context.pub_socket(options);
    server.bind(&*place.endpoint).await.unwrap();
    let mut tasks = Vec::new();
    for topic in 0..TOPICS {
        let mut client = place.context.sub_socket(SubOptions::new().heartbeat(beat));
        client.subscribe([topic]);
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, [topic]).await;
        tasks.push(tokio::spawn(async move {
            for number in 0..EACH {
                let message = receive(&mut client).await;
                assert_eq!(message.first()[1..9], number.to_be_bytes(), "topic {topic}");
                let mut octets =
                    message.first()[9..].iter().chain(message.parts()[1..].iter().flatten());
                assert!(octets.all(|octet| *octet == number as u8), "message {number}, torn");
            }
        }));
        let server = server.handle();
        tasks.push(tokio::spawn(async move {
            let mut chance = fastrand::Rng::with_seed(topic.into());
            for number in 0..EACH {
                let size = chance.choice([0, 60, 250, 300, 33_000, 300_000]).unwrap();
                let mut body = [&[topic][..], &number.to_be_bytes()].concat();
                body.resize(9 + size, number as u8);
                match chance.u8(0..3) {
                    0 => server.send(&body).await,
                    1 => server.send(body).await,
                    _ => {
                        let second = vec![number as u8; chance.usize(0..50_000)];
                        server.send(Message::multipart([body, second]).unwrap()).await
                    }
                }
                .unwrap();
                // Long enough for the socket to be idle, or not at all.
                if chance.bool() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
        }));
    }
    for task in tasks {
        task.await.unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_over_tcp_no_message_is_torn() {
    now_and_then_and_all_at_once(Place::tcp()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_writes_over_ipc_no_message_is_torn() {
    now_and_then_and_all_at_once(Place::ipc()).await;
}

#[test]
fn without_a_runtime_bind_and_connect_say_so() {
    let context = Context::new();
    let server = context.pub_socket(PubOptions::new());
    let error = server.connect("tcp://127.0.0.1:1").unwrap_err();
    assert!(error.to_string().contains("runtime"), "{error}");
    let client = context.sub_socket(SubOptions::new());
    let mut cx = TaskContext::from_waker(Waker::noop());
    match pin!(client.bind("inproc://a")).poll(&mut cx) {
        Poll::Ready(Err(error)) => assert!(error.to_string().contains("runtime"), "{error}"),
        other => panic!("{other:?}"),
    }
    // Neither of them panics when it is dropped here.
}

#[test]
fn a_socket_may_outlive_its_runtime() {
    let place = Place::tcp();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (server, mut client) = runtime.block_on(place.pair());
    drop(runtime);
    server.try_send("nobody is there").unwrap();
    assert_eq!(client.try_recv(), Err(TryRecvError::Empty));
    drop((server, client));
}
