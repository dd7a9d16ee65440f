//! The blocking sockets: each call blocks, for no longer than its timeout.

use std::future::poll_fn;
use std::sync::RwLock;
use std::task::Poll;
use std::thread;
use std::time::{Duration, Instant};

use tokio::task::coop::poll_proceed;
use zmtp_socket::blocking::{Context, PubSocket, SubSocket, proxy};
use zmtp_socket::{
    Event, HighWaterMark, Linger, Message, PlainUsers, PubOptions, RecvError, Request, SendError,
    SubOptions, TryRecvError, WhenFull, XPubOptions, XSubOptions,
};

const SHORT: Duration = Duration::from_millis(20);

/// Longer than any step takes that does not hang.
const LONG: Duration = Duration::from_secs(20);

const ANY_PORT: &str = "tcp://127.0.0.1:*";

/// A publisher and a subscriber of everything.
fn pair(options: PubOptions, subscribing: SubOptions) -> (PubSocket, SubSocket) {
    let context = Context::new();
    let publisher = context.pub_socket(options);
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    let subscriber = context.sub_socket(subscribing);
    subscriber.subscribe("");
    subscriber.connect(&endpoint).unwrap();
    assert!(publisher.wait_for_subscriber_timeout("", LONG).unwrap());
    (publisher, subscriber)
}

#[test]
fn messages_flow_between_threads_in_order() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    const COUNT: u64 = 100_000;
    let options = PubOptions::new().when_full(WhenFull::Wait);
    let (publisher, mut subscriber) = pair(options, SubOptions::new());
    let publishing = thread::spawn(move || {
        for number in 0..COUNT {
            publisher.send(&number.to_be_bytes()).unwrap();
        }
        publisher.close()
    });
    for number in 0..COUNT {
        assert_eq!(subscriber.recv().unwrap().first(), &number.to_be_bytes()[..]);
    }
    assert_eq!(publishing.join().unwrap().unsent, 0);
}

/// The same calls, made by a task of a runtime with nothing left of its budget: each blocks the task,
/// and none of them panics or waits for the task to yield.
#[tokio::test]
async fn within_a_task_each_call_does_what_it_does_elsewhere() {
    poll_fn(|cx| {
        while let Poll::Ready(step) = poll_proceed(cx) {
            step.made_progress();
        }
        Poll::Ready(())
    })
    .await;
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let options = PubOptions::new().when_full(WhenFull::WaitFor(SHORT));
    let (publisher, mut subscriber) = pair(options, SubOptions::new());
    let begun = Instant::now();
    assert_eq!(subscriber.recv_timeout(SHORT), Err(TryRecvError::Empty));
    assert!(begun.elapsed() >= SHORT);
    let sending = thread::spawn(move || {
        thread::sleep(SHORT);
        publisher.send("late").unwrap();
        publisher
    });
    assert_eq!(subscriber.recv().unwrap().first(), "late");
    let publisher = sending.join().unwrap();
    let mut events = publisher.monitor();
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    assert!(matches!(events.next(), Some(Event::Listening { .. })));
    publisher.unbind(&endpoint).unwrap();
    assert!(subscriber.close_within(LONG).is_empty());
    assert!(publisher.close().is_empty());
}

#[test]
fn messages_are_received_with_their_senders_or_many_at_once() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let (publisher, mut subscriber) = pair(PubOptions::new(), SubOptions::new());
    assert!(subscriber.wait_for_publisher_timeout(LONG).unwrap());
    assert_eq!(subscriber.publisher_count(), 1);
    publisher.send(("10001", "20 50")).unwrap();
    let (peer, message) = subscriber.recv_from().unwrap();
    assert_eq!(message, Message::from(("10001", "20 50")));
    assert_eq!(publisher.endpoints().bound, [peer.endpoint().clone()]);
    assert_eq!(subscriber.endpoints().connected, [peer.endpoint().clone()]);
    let mut messages = Vec::new();
    for _ in 0..10 {
        publisher.send("one of ten").unwrap();
    }
    while messages.len() < 10 {
        let before = messages.len();
        let received = subscriber.recv_many(&mut messages, 4).unwrap();
        assert!((1..=4).contains(&received) && before + received == messages.len());
    }
}

#[test]
fn waiting_for_a_message_ends_in_time_and_with_the_message() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let (publisher, mut subscriber) = pair(PubOptions::new(), SubOptions::new());
    let begun = Instant::now();
    assert_eq!(subscriber.recv_timeout(SHORT), Err(TryRecvError::Empty));
    assert!(begun.elapsed() >= SHORT);
    assert_eq!(subscriber.try_recv(), Err(TryRecvError::Empty));
    let sending = thread::spawn(move || {
        thread::sleep(SHORT);
        publisher.send("late").unwrap();
        publisher
    });
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().first(), "late");
    let publisher = sending.join().unwrap();
    publisher.send("at once").unwrap();
    assert_eq!(subscriber.recv().unwrap().first(), "at once");
}

#[test]
fn waiting_for_room_ends_in_time_and_the_message_has_reached_nobody() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let mark = HighWaterMark::messages(1);
    let options = PubOptions::new().when_full(WhenFull::Wait).linger(Linger::NONE);
    let (publisher, mut subscriber) =
        pair(options.send_hwm(mark), SubOptions::new().receive_hwm(mark));
    let large = vec![7; 1 << 20];
    let mut sent = 0;
    let begun = loop {
        assert!(sent < 1000, "a gigabyte fits between us");
        let begun = Instant::now();
        match publisher.send_timeout(&large, SHORT) {
            Ok(()) => sent += 1,
            Err(error) => {
                assert_eq!(error, SendError::Full);
                break begun;
            }
        }
    };
    assert!(begun.elapsed() >= SHORT);
    for _ in 0..sent {
        assert_eq!(subscriber.recv_timeout(LONG).unwrap().size(), large.len());
    }
    assert_eq!(subscriber.recv_timeout(SHORT), Err(TryRecvError::Empty));
}

#[test]
fn nobody_is_waited_for_longer_than_told() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let publisher = Context::new().pub_socket(PubOptions::new());
    publisher.bind(ANY_PORT).unwrap();
    assert!(!publisher.wait_for_subscriber_timeout("", SHORT).unwrap());
    assert_eq!(publisher.handle().close().unsent, 0);
    assert!(publisher.wait_for_subscriber("").is_err());
    assert!(matches!(publisher.send("too late"), Err(SendError::Closed(_))));
}

#[test]
fn a_thread_that_waits_is_woken_by_the_end() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let (publisher, mut subscriber) = pair(PubOptions::new(), SubOptions::new());
    let handle = subscriber.handle();
    let receiving = thread::spawn(move || subscriber.recv());
    assert_eq!(handle.close().unread, 0);
    assert!(matches!(receiving.join().unwrap(), Err(RecvError::Closed(_))));
    drop(publisher);
}

#[test]
fn a_handle_does_for_a_thread_that_waits_what_it_cannot() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let context = Context::new();
    let publisher = context.pub_socket(PubOptions::new());
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    let mut subscriber = context.sub_socket(SubOptions::new());
    let handle = subscriber.handle();
    let receiving = thread::spawn(move || subscriber.recv_timeout(LONG));
    handle.subscribe("10001");
    handle.connect(&endpoint).unwrap();
    assert!(publisher.wait_for_subscriber_timeout("10001", LONG).unwrap());
    publisher.send("10001 20 50").unwrap();
    assert_eq!(receiving.join().unwrap().unwrap().first(), "10001 20 50");
}

#[test]
fn an_endpoint_has_options_of_its_own() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let context = Context::new();
    let publisher = context.pub_socket(PubOptions::new());
    let users = || PlainUsers::new().user("user", "secret");
    let guarded = publisher.bind_with(ANY_PORT, |it| it.plain_server(users())).unwrap();
    let mut subscriber = context.sub_socket(SubOptions::new());
    subscriber.subscribe("");
    let mut events = subscriber.monitor();
    subscriber.connect_with(&guarded, |it| it.plain_client("user", "wrong")).unwrap();
    let begun = Instant::now();
    while !matches!(events.next_timeout(LONG), Some(Event::Parked { .. })) {
        assert!(begun.elapsed() < LONG, "nobody is refused");
    }
    assert!(!publisher.wait_for_subscriber_timeout("", SHORT).unwrap());

    subscriber.connect_with(&guarded, |it| it.plain_client("user", "secret")).unwrap();
    assert!(publisher.wait_for_subscriber_timeout("", LONG).unwrap());
    publisher.send("for the guarded").unwrap();
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().first(), "for the guarded");
}

#[test]
fn a_thread_follows_what_happens_up_to_the_end() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let publisher = Context::new().pub_socket(PubOptions::new());
    let mut events = publisher.monitor();
    let begun = Instant::now();
    assert!(events.next_timeout(SHORT).is_none());
    assert!(begun.elapsed() >= SHORT);
    let following = thread::spawn(move || events.collect::<Vec<_>>());
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    publisher.close();
    let events = following.join().unwrap();
    assert!(
        matches!(&events[..], [Event::Listening { endpoint: bound , .. }] if *bound == endpoint),
        "{events:?} {endpoint}"
    );
}

#[test]
fn a_proxy_runs_until_it_is_stopped() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let context = Context::new();
    let frontend = context.xsub_socket(XSubOptions::new());
    let backend = context.xpub_socket(XPubOptions::new());
    let tap = context.pub_socket(PubOptions::new());
    let endpoints = [frontend.bind(ANY_PORT), backend.bind(ANY_PORT), tap.bind(ANY_PORT)];
    let [publishers, subscribers, looked_at] = endpoints.map(Result::unwrap);
    // Each side has a context, and so a thread, of its own, and so does the proxy.
    let publisher = Context::new().pub_socket(PubOptions::new());
    publisher.connect(&publishers).unwrap();
    let around = Context::new();
    let connect = |endpoint| {
        let subscriber = around.sub_socket(SubOptions::new());
        subscriber.subscribe("10001");
        subscriber.connect(endpoint).unwrap();
        subscriber
    };
    let (mut subscriber, mut witness) = (connect(&subscribers), connect(&looked_at));
    assert!(tap.wait_for_subscriber_timeout("10001", LONG).unwrap());

    let proxy = proxy(frontend, backend).capture(tap);
    let handle = proxy.handle();
    let running = thread::spawn(move || proxy.run());
    assert!(publisher.wait_for_subscriber_timeout("10001", LONG).unwrap());
    publisher.send("10001 20 50").unwrap();
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().first(), "10001 20 50");
    assert_eq!(witness.recv_timeout(LONG).unwrap().first(), "10001 20 50");
    assert_eq!(handle.stats().messages, 1);

    handle.stop();
    running.join().unwrap();
}

#[test]
fn what_was_taken_in_hand_and_not_received_is_counted_at_the_end() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let context = Context::new();
    let publisher = context.pub_socket(PubOptions::new().when_full(WhenFull::Wait));
    let mut subscriber = context.xsub_socket(XSubOptions::new());
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    assert!(!subscriber.wait_for_publisher_timeout(SHORT).unwrap());
    subscriber.subscribe("");
    subscriber.connect(&endpoint).unwrap();
    assert!(subscriber.wait_for_publisher_timeout(LONG).unwrap());
    assert!(publisher.wait_for_subscriber_timeout("", LONG).unwrap());
    for _ in 0..1000 {
        publisher.send("message").unwrap();
    }
    let begun = Instant::now();
    while subscriber.stats().received < 1000 {
        assert!(begun.elapsed() < LONG, "not all arrives");
        thread::sleep(Duration::from_millis(1));
    }
    // The messages have arrived in large batches, and the subscriber has taken one of these.
    assert_eq!(subscriber.by_ref().take(500).count(), 500);
    assert_eq!(subscriber.close().unread, 500);
}

#[test]
fn the_last_handle_delivers_what_is_queued_and_the_thread_then_ends() {
    const COUNT: usize = 5000;
    let _alone = ONE_AT_A_TIME.write().unwrap();
    wait_for_no_io_threads();
    let options = PubOptions::new().send_hwm(HighWaterMark::Unlimited);
    let receiving = SubOptions::new().receive_hwm(HighWaterMark::Unlimited);
    let (publisher, subscriber) = pair(options, receiving);
    for _ in 0..COUNT {
        publisher.send("message").unwrap();
    }
    drop(publisher);
    assert_eq!(subscriber.take(COUNT).count(), COUNT);
    wait_for_no_io_threads();
}

#[test]
fn an_xsub_that_is_dropped_delivers_what_is_queued() {
    const COUNT: usize = 5000;
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let mut publisher = Context::new().xpub_socket(XPubOptions::new());
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    let options = XSubOptions::new().send_hwm(HighWaterMark::Unlimited).linger(Linger::For(LONG));
    let subscriber = Context::new().xsub_socket(options);
    subscriber.connect(&endpoint).unwrap();
    assert!(subscriber.wait_for_publisher_timeout(LONG).unwrap());
    // More than the system holds between two sockets of tcp.
    let large = Message::from(vec![b'x'; 4096]);
    for _ in 0..COUNT {
        subscriber.send(large.clone()).unwrap();
    }
    drop(subscriber);
    for _ in 0..COUNT {
        assert!(matches!(publisher.recv_timeout(LONG), Ok(Request::Message { .. })));
    }
}

#[test]
fn an_xpub_and_an_xsub_talk_both_ways() {
    let _beside = ONE_AT_A_TIME.read().unwrap();
    let context = Context::new();
    let mut publisher = context.xpub_socket(XPubOptions::new());
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    assert_eq!(publisher.recv_timeout(SHORT), Err(TryRecvError::Empty));
    let mut subscriber = context.xsub_socket(XSubOptions::new());
    subscriber.connect(&endpoint).unwrap();
    subscriber.wait_for_publisher().unwrap();
    subscriber.subscribe("answer");
    let told = publisher.recv_timeout(LONG).unwrap();
    assert!(matches!(told, Request::Subscribe { topic, .. } if topic == "answer"));
    subscriber.send("question").unwrap();
    let Request::Message { peer, message } = publisher.recv().unwrap() else { panic!("a message") };
    assert_eq!(message.first(), "question");
    publisher.send_to(&peer, "answer").unwrap();
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().first(), "answer");
    publisher.send("answer to all").unwrap();
    assert_eq!(subscriber.next().unwrap().first(), "answer to all");
    publisher.handle().close();
    let told = publisher.next();
    assert!(matches!(told, Some(Request::Unsubscribe { topic, .. }) if topic == "answer"));
    assert_eq!(publisher.next(), None);
}

/// Held by every test; the test of the end of the threads must be alone in the process.
static ONE_AT_A_TIME: RwLock<()> = RwLock::new(());

fn wait_for_no_io_threads() {
    let begun = Instant::now();
    while io_threads() > 0 {
        assert!(begun.elapsed() < LONG, "a thread of the network does not end");
        thread::sleep(Duration::from_millis(1));
    }
}

/// The number of threads of this process that do the network's work.
fn io_threads() -> usize {
    let tasks = std::fs::read_dir("/proc/self/task").unwrap();
    let names =
        tasks.filter_map(|task| std::fs::read_to_string(task.ok()?.path().join("comm")).ok());
    names.filter(|name| name.trim() == "zmtp-io").count()
}

/// A message there and one back, each waited for by a thread.
#[test]
#[ignore = "a measurement, which prints a time"]
fn the_time_of_a_round_trip() {
    const ROUNDS: usize = 20_000;
    let _alone = ONE_AT_A_TIME.write().unwrap();
    let (there, mut far) = pair(PubOptions::new(), SubOptions::new());
    let (back, mut near) = pair(PubOptions::new(), SubOptions::new());
    let echo = thread::spawn(move || {
        for _ in 0..ROUNDS {
            back.send(far.recv_timeout(LONG).unwrap()).unwrap();
        }
        far
    });
    let mut times: Vec<_> = (0..ROUNDS)
        .map(|_| {
            let begun = Instant::now();
            there.send("there and back").unwrap();
            near.recv_timeout(LONG).unwrap();
            begun.elapsed()
        })
        .collect();
    echo.join().unwrap();
    times.sort();
    println!(
        "half of them within {:?}, a tenth within {:?}",
        times[ROUNDS / 2],
        times[ROUNDS / 10]
    );
}
