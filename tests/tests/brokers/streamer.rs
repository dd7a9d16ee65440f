//! Work that many sockets push and many pull.

use zmtp_socket::{
    Context, HighWaterMark, PairOptions, PullOptions, PushOptions, PushSocket, relay,
};
use zmtp_tests::story::{eventually, receive, receive_text, within};

use crate::start;

const ANY_PORT: &str = "tcp://127.0.0.1:*";

const COUNT: u64 = 300;

/// A message of pusher `name` with this number, of which few fit the transport.
fn large(name: u8, number: u64) -> Vec<u8> {
    let mut octets = vec![name];
    octets.extend(number.to_be_bytes().repeat(4000));
    octets
}

#[tokio::test]
async fn work_waits_where_there_is_no_room_and_comes_in_order() {
    let context = Context::new();
    let few = HighWaterMark::messages(3);
    let frontend = context.socket(PullOptions::new().receive_hwm(few));
    let for_pushers = frontend.bind("inproc://pushers").await.unwrap();
    let backend = context.socket(PushOptions::new().send_hwm(few));
    let mut worker = context.socket(PullOptions::new().receive_hwm(few));
    worker.connect(backend.bind("inproc://workers").await.unwrap()).unwrap();
    let back = backend.handle();
    let running = start(relay(frontend, backend));
    let mut pushing = Vec::new();
    for name in 0..2 {
        let pusher: PushSocket = context.socket(PushOptions::new().send_hwm(few));
        pusher.connect(&for_pushers).unwrap();
        pushing.push(tokio::spawn(async move {
            for number in 0..COUNT {
                pusher.send(large(name, number)).await.unwrap();
            }
            pusher.close().await
        }));
    }
    eventually("it is held up", || back.stats().queued == 3).await;
    let mut next = [0; 2];
    for _ in 0..2 * COUNT {
        let message = receive(&mut worker).await;
        let name = message.first()[0];
        let number = &mut next[usize::from(name)];
        assert!(message.first() == &large(name, *number), "in order");
        *number += 1;
    }
    assert_eq!(next, [COUNT; 2]);
    for pusher in pushing {
        assert_eq!(within("its end", pusher).await.unwrap().unsent, 0);
    }
    let stats = running.handle.stats();
    assert_eq!((stats.messages, stats.dropped), (2 * COUNT, 0));
    // No message comes; the relay ends with its backend all the same.
    within("the end", back.close()).await;
    within("its end", running.task).await.unwrap();
}

#[tokio::test]
async fn a_relay_that_is_dropped_while_it_is_held_up_loses_nothing() {
    let context = Context::new();
    let few = HighWaterMark::messages(3);
    let frontend = context.socket(PullOptions::new());
    let pusher: PushSocket = context.socket(PushOptions::new());
    pusher.connect(frontend.bind(ANY_PORT).await.unwrap()).unwrap();
    let backend = context.socket(PushOptions::new().send_hwm(few));
    let for_workers = backend.bind(ANY_PORT).await.unwrap();
    let mut relay = relay(frontend, backend);
    let handle = relay.handle();
    for number in 0..100u8 {
        pusher.send(&[number]).await.unwrap();
    }
    // There is no worker: the relay keeps the message that it has taken.
    tokio::select! {
        () = relay.run() => unreachable!("it runs on"),
        () = eventually("some are taken", || handle.stats().messages > 0) => {}
    }
    assert!(handle.stats().messages <= 64, "no more than a few");
    let mut worker = context.socket(PullOptions::new());
    worker.connect(&for_workers).unwrap();
    let _running = start(relay);
    for number in 0..100u8 {
        assert_eq!(receive(&mut worker).await.first(), &[number][..]);
    }
}

#[tokio::test]
async fn pairs_talk_both_ways() {
    let context = Context::new();
    let [frontend, backend, mut one, mut other] =
        [(); 4].map(|()| context.socket(PairOptions::new()));
    one.connect(frontend.bind(ANY_PORT).await.unwrap()).unwrap();
    other.connect(backend.bind(ANY_PORT).await.unwrap()).unwrap();
    let _running = start(relay(frontend, backend));
    for text in ["1", "2", "3"] {
        one.send(text).await.unwrap();
        assert_eq!(receive_text(&mut other).await, text);
        other.send(text).await.unwrap();
        assert_eq!(receive_text(&mut one).await, text);
    }
}
