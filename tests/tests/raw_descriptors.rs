//! What is closed is closed: descriptors and tasks, after a thousand connections.
//!
//! What is counted belongs to the whole process: one test at a time.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};
use zmtp_socket::{PubSocket, Reconnect, SubOptions, SubSocket};
use zmtp_tests::raw::{ANY_PORT, READY_PUB, READY_SUB, RawListener, RawPeer, eventually, in_time};

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Runs one test, on a runtime that comes after the last test's and is gone before the next.
fn alone(test: impl Future<Output = ()>) {
    // A test that failed says nothing about this one.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(test);
}

/// Open descriptors of this process, and tasks of this runtime.
fn open() -> (usize, usize) {
    let descriptors = std::fs::read_dir("/proc/self/fd").unwrap().count();
    (descriptors, Handle::current().metrics().num_alive_tasks())
}

#[test]
fn a_thousand_subscribers_that_came_and_went_leave_nothing_open() {
    alone(async {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let before = open();
        for round in 0..1000 {
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
        eventually("all is as it was before", || open() == before).await;
        assert!(publisher.stats().peers.is_empty());
        assert_eq!(publisher.subscriber_count(), 0);
    });
}

#[test]
fn a_thousand_publishers_that_were_lost_leave_nothing_open() {
    alone(async {
        let before = open();
        let (initial, max) = (Duration::from_micros(100), Duration::from_millis(1));
        let options = SubOptions::new().reconnect(Reconnect { initial, max });
        let subscriber = SubSocket::with_options(options);
        let listener = RawListener::bind().await;
        let endpoint = subscriber.connect(listener.endpoint()).unwrap();
        for round in 0..1000 {
            let mut peer = listener.accept().await;
            match round % 3 {
                0 => peer.reset(),
                1 => drop(peer.finish().await),
                _ => {
                    peer.open(READY_PUB, READY_SUB).await;
                    peer.finish().await;
                }
            }
        }
        subscriber.disconnect(&endpoint).await.unwrap();
        drop(listener);
        in_time("the socket is closed", subscriber.close()).await;
        eventually("all is as it was before", || open() == before).await;
    });
}

#[test]
fn a_closed_publisher_leaves_nothing_open_whatever_its_peers_were_doing() {
    alone(async {
        let before = open();
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
        assert_eq!(left, 0);
        drop(publisher);
        eventually("all is as it was before", || open() == before).await;
    });
}
