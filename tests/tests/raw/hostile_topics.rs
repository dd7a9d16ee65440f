//! Topics of great depth: no code that walks them may be recursive. Everything here runs on a thread
//! with a small stack.

use std::thread;

use tokio::runtime::Builder;
use zmtp_socket::{Monitor, PubSocket, SubSocket};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{
    ANY_PORT, READY_PUB, READY_SUB, RawListener, RawPeer, end_of, eventually, in_time,
};

/// Enough for a call of ours and the calls within it, and not for thousands of them.
const STACK: usize = 128 << 10;

/// Topics "a", "aa", "aaa" and so on: each is a prefix of all that follow.
const NESTED: usize = 2000;

/// The longest topic that fits a command with the default limits.
const DEEP: usize = (1 << 20) - 10;

fn on_a_small_stack(test: impl Future<Output = ()> + Send + 'static) {
    let small = thread::Builder::new().stack_size(STACK);
    let run = || Builder::new_current_thread().enable_all().build().unwrap().block_on(test);
    small.spawn(run).unwrap().join().unwrap();
}

fn topic(length: usize) -> Vec<u8> {
    vec![b'a'; length]
}

/// A command in its long form.
fn command(name: &[u8], topic: &[u8]) -> Vec<u8> {
    let size = (name.len() + topic.len()) as u64;
    [&[0x06], &size.to_be_bytes()[..], name, topic].concat()
}

fn subscribe(length: usize) -> Vec<u8> {
    command(b"\x09SUBSCRIBE", &topic(length))
}

fn cancel(length: usize) -> Vec<u8> {
    command(b"\x06CANCEL", &topic(length))
}

/// All lengths up to [`NESTED`], upwards, downwards, and in no order.
fn orders() -> [Vec<usize>; 3] {
    let upwards = Vec::from_iter(1..=NESTED);
    let downwards = Vec::from_iter((1..=NESTED).rev());
    let mut shuffled = upwards.clone();
    fastrand::Rng::with_seed(1).shuffle(&mut shuffled);
    [upwards, downwards, shuffled]
}

/// Waits until all octets that `peer` has sent have been processed.
async fn dealt_with(peer: &mut RawPeer) {
    peer.send(b"\x04\x07\x04PING\0\0").await;
    peer.expect(b"\x04\x05\x04PONG").await;
}

/// Resets the peer's connection, and waits for its end.
async fn resets(peer: RawPeer, monitor: &mut Monitor) {
    let address = peer.address();
    peer.reset();
    end_of(monitor, &address).await.expect(true, "reset by peer");
}

#[test]
fn a_topic_as_long_as_a_command_comes_and_goes() {
    on_a_small_stack(async {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        let branch = [&topic(DEEP / 2)[..], b"b"].concat();
        for _ in 0..2 {
            peer.send(subscribe(DEEP)).await;
            peer.send(command(b"\x09SUBSCRIBE", &branch)).await;
            dealt_with(&mut peer).await;
            publisher.send(topic(DEEP - 1)).await.unwrap();
            publisher.send(topic(DEEP)).await.unwrap();
            let (flags, body) = peer.frame().await;
            assert!(flags == 0x02 && body == topic(DEEP), "of {} octets", body.len());
            neighbour.send().await;
            peer.send(cancel(DEEP)).await;
            dealt_with(&mut peer).await;
            publisher.send(topic(DEEP)).await.unwrap();
            publisher.send(&branch).await.unwrap();
            assert!(peer.frame().await.1 == branch);
        }
        peer.send(subscribe(DEEP)).await;
        dealt_with(&mut peer).await;
        resets(peer, &mut monitor).await;
        assert_eq!(publisher.subscriber_count(), 1);
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
    });
}

#[test]
fn thousands_of_topics_within_one_another_are_cancelled_in_any_order() {
    on_a_small_stack(async {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        for order in orders() {
            for length in 1..=NESTED {
                peer.send(subscribe(length)).await;
            }
            dealt_with(&mut peer).await;
            neighbour.send().await;
            // All of them match, and one message is sent.
            publisher.send(topic(NESTED)).await.unwrap();
            assert!(peer.frame().await.1 == topic(NESTED));
            for length in order {
                peer.send(cancel(length)).await;
            }
            dealt_with(&mut peer).await;
            assert_eq!(publisher.subscriber_count(), 1, "all are cancelled");
            publisher.send(topic(NESTED)).await.unwrap();
            neighbour.receive_all(&mut subscriber).await;
        }
        for length in 1..=NESTED {
            peer.send(subscribe(length)).await;
        }
        dealt_with(&mut peer).await;
        resets(peer, &mut monitor).await;
        assert_eq!(publisher.subscriber_count(), 1);
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
    });
}

#[test]
fn a_subscriber_of_thousands_of_topics_within_one_another_takes_them_back_in_any_order() {
    on_a_small_stack(async {
        let listener = RawListener::bind().await;
        let mut subscriber = SubSocket::new();
        let mut neighbour = Neighbour::publisher(&subscriber).await;
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.publisher().await;
        peer.expect(b"\x04\x13\x09SUBSCRIBEneighbour").await;
        for order in orders() {
            for &length in &order {
                subscriber.subscribe(topic(length));
            }
            for &length in &order {
                assert!(peer.frame().await.1.len() == 10 + length, "{length} is told");
            }
            peer.send(b"\x00\x02ab\x00\x01b").await;
            assert_eq!(in_time("a message", subscriber.recv()).await.unwrap().first(), "ab");
            for &length in order.iter().rev() {
                assert!(subscriber.unsubscribe(topic(length)));
            }
            for &length in order.iter().rev() {
                assert!(peer.frame().await.1.len() == 7 + length, "{length} is taken back");
            }
            let filtered = subscriber.stats().filtered;
            peer.send(b"\x00\x02ab").await;
            neighbour.send().await;
            neighbour.receive_all(&mut subscriber).await;
            eventually("it to be filtered", || {
                assert!(subscriber.try_recv().is_err());
                subscriber.stats().filtered > filtered
            })
            .await;
        }
        subscriber.subscribe(topic(DEEP));
        for length in 1..=NESTED {
            subscriber.subscribe(topic(length));
        }
        drop(subscriber);
    });
}
