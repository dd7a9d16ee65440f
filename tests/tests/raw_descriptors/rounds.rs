//! Ten thousand connections that came and went.

use std::time::Duration;

use zmtp_socket::{PubSocket, Reconnect, SubOptions, SubSocket};
use zmtp_tests::census::{Census, alone};
use zmtp_tests::raw::{ANY_PORT, READY_PUB, READY_SUB, RawListener, RawPeer, in_time};

const ROUNDS: u32 = 10_000;

#[test]
fn ten_thousand_subscribers_that_came_and_went_leave_nothing_open() {
    alone(async {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let before = Census::now();
        for round in 0..ROUNDS {
            let mut peer = RawPeer::dial(&endpoint).await;
            match round % 5 {
                // Without a word; with a reset; in the middle of the handshake; by breaking a rule;
                0 => {}
                1 => {
                    peer.reset();
                    continue;
                }
                2 => peer.open(b"\x04\x19", READY_PUB).await,
                3 => peer.send(b"\x00").await,
                // and in good order.
                _ => {
                    peer.open(READY_SUB, READY_PUB).await;
                    peer.subscribe("A").await;
                    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
                }
            }
            peer.finish().await;
        }
        before.expect("all of them").await;
        assert!(publisher.stats().peers.is_empty());
        assert_eq!(publisher.subscriber_count(), 0);
    });
}

#[test]
fn ten_thousand_publishers_that_were_lost_leave_nothing_open() {
    alone(async {
        let before = Census::now();
        let (initial, max) = (Duration::from_micros(100), Duration::from_millis(1));
        let options = SubOptions::new().reconnect(Reconnect::new(initial, max));
        let subscriber = SubSocket::with_options(options);
        // Several listeners, so that while one is served the others are already dialled again.
        let mut listeners = Vec::new();
        for _ in 0..10 {
            let listener = RawListener::bind().await;
            let endpoint = subscriber.connect(listener.endpoint()).unwrap();
            listeners.push((listener, endpoint));
        }
        for round in 0..ROUNDS {
            let (listener, endpoint) = &listeners[round as usize % listeners.len()];
            let mut peer = listener.accept().await;
            match round % 3 {
                0 => peer.reset(),
                1 => drop(peer.finish().await),
                _ => {
                    peer.open(READY_PUB, READY_SUB).await;
                    if round % 2 == 0 {
                        subscriber.disconnect(endpoint).await.unwrap();
                        subscriber.connect(endpoint).unwrap();
                    }
                    peer.finish().await;
                }
            }
        }
        for (_, endpoint) in &listeners[..5] {
            subscriber.disconnect(endpoint).await.unwrap();
        }
        drop(listeners);
        in_time("the socket is closed", subscriber.close()).await;
        before.expect("the last of them").await;
    });
}

#[test]
fn a_closed_publisher_leaves_nothing_open_whatever_its_peers_were_doing() {
    alone(async {
        let before = Census::now();
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let mut silent = RawPeer::dial(&endpoint).await;
        let mut halfway = RawPeer::dial(&endpoint).await;
        halfway.open(b"\x04\x19\x05READY", READY_PUB).await;
        let mut good = RawPeer::subscriber(&endpoint, "A").await;
        in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
        publisher.send("A").await.unwrap();
        let closing = publisher.close();
        let hearing = async {
            good.expect(b"\x00\x01A").await;
            for peer in [&mut good, &mut silent, &mut halfway] {
                peer.heard_to_end().await;
            }
            drop([good, silent, halfway]);
        };
        let (left, ()) =
            in_time("the socket is closed", async { tokio::join!(closing, hearing) }).await;
        assert_eq!(left.unsent, 0);
        before.expect("the close").await;
    });
}
