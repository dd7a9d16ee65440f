//! The send high-water mark is exact: a raw subscriber stops reading, and every message is accounted
//! for.

use zmtp_socket::{Endpoint, Event, HighWaterMark, Monitor, PeerStats, PubOptions, PubSocket};
use zmtp_tests::raw::{ANY_PORT, READY_PUB, READY_SUB, RawPeer, end_of, eventually, in_time};

/// A publisher with this mark, and a peer subscribed to everything that reads nothing more.
async fn full_pipe(mark: usize) -> (PubSocket, Endpoint, RawPeer) {
    let options = PubOptions::new().send_hwm(HighWaterMark::messages(mark));
    let publisher = PubSocket::with_options(options);
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial_narrow(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    peer.subscribe("").await;
    in_time("a subscription", publisher.wait_for_subscriber("x")).await.unwrap();
    (publisher, endpoint, peer)
}

/// The message of this number, so large that some hundred fill the system's buffers.
fn message(number: u64) -> Vec<u8> {
    let mut message = vec![b'.'; 20_000];
    message[..8].copy_from_slice(&number.to_be_bytes());
    message
}

fn only_peer(publisher: &PubSocket) -> PeerStats {
    publisher.stats().peers.swap_remove(0)
}

/// Publishes the message of this number, checks the mark, and returns whether it was queued, or sent at
/// once.
///
/// Between the readings of the counters no other task has a turn, on this runtime of one thread.
fn publish(publisher: &PubSocket, number: u64, mark: u64) -> bool {
    let before = only_peer(publisher);
    publisher.try_send(message(number)).unwrap();
    let after = only_peer(publisher);
    let at_once = after.sent - before.sent;
    assert!(at_once == 0 || before.queued == 0, "it went before those that were queued");
    if before.queued < mark {
        assert_eq!((after.queued + at_once, after.dropped), (before.queued + 1, before.dropped));
        true
    } else {
        assert_eq!((before.queued, after.queued), (mark, mark));
        assert_eq!(after.dropped, before.dropped + 1);
        false
    }
}

/// Publishes from `number` on until `drops` messages were dropped. Returns the numbers of those
/// that were queued, and the next number.
async fn fill(publisher: &PubSocket, mut number: u64, mark: u64, drops: u32) -> (Vec<u64>, u64) {
    let (mut queued, mut dropped) = (Vec::new(), 0);
    while dropped < drops {
        assert!(number < 5000, "100 MB fit between us: the peer cannot have stopped reading");
        if publish(publisher, number, mark) {
            queued.push(number);
        } else {
            dropped += 1;
        }
        number += 1;
        // The driver's turn: it writes as much as the transport accepts.
        tokio::task::yield_now().await;
    }
    (queued, number)
}

async fn expect_numbers(peer: &mut RawPeer, numbers: &[u64]) {
    for &number in numbers {
        assert!(peer.frame().await == (2, message(number)), "message {number} should have come");
    }
}

fn times_dropping(monitor: &mut Monitor) -> usize {
    let events = std::iter::from_fn(|| monitor.try_next());
    events.filter(|event| matches!(event, Event::Dropping { .. })).count()
}

#[tokio::test]
async fn a_peer_that_stops_reading_loses_what_is_above_the_mark_and_nothing_else() {
    for mark in [1, 2, 100] {
        let (publisher, _endpoint, mut peer) = full_pipe(mark).await;
        let mut monitor = publisher.monitor();
        let (mark, mut published) = (mark as u64, 0);
        for _ in 0..2 {
            let (queued, next) = fill(&publisher, published, mark, 20).await;
            published = next;
            let stats = publisher.stats();
            assert_eq!(stats.sent + stats.dropped + stats.queued, published);
            assert_eq!(times_dropping(&mut monitor), 1, "said once, until it has caught up");
            // It reads again: all queued messages arrive, whole and in order.
            expect_numbers(&mut peer, &queued).await;
            eventually("it has caught up", || publisher.stats().queued == 0).await;
            let stats = publisher.stats();
            assert_eq!(stats.sent + stats.dropped, published);
        }
        // From then on no message is lost.
        assert!(publish(&publisher, published, mark));
        expect_numbers(&mut peer, &[published]).await;
    }
}

#[tokio::test]
async fn a_peer_that_leaves_takes_its_queue_along_and_it_is_counted() {
    let (publisher, endpoint, peer) = full_pipe(50).await;
    let mut monitor = publisher.monitor();
    let (_, published) = fill(&publisher, 0, 50, 7).await;
    let address = peer.address();
    peer.reset();
    end_of(&mut monitor, &address).await;
    let stats = publisher.stats();
    assert_eq!((stats.dropped, stats.queued, stats.peers.len()), (7, 0, 0));
    assert_eq!(stats.sent + stats.dropped + stats.undelivered, published);
    // A new connection begins with an empty queue and full room.
    let mut peer = RawPeer::subscriber(&endpoint, "").await;
    in_time("a subscription", publisher.wait_for_subscriber("x")).await.unwrap();
    for number in 0..50 {
        assert!(publish(&publisher, number, 50));
    }
    expect_numbers(&mut peer, &Vec::from_iter(0..50)).await;
}

#[tokio::test]
async fn a_slow_peer_pays_alone() {
    let (publisher, endpoint, mut slow) = full_pipe(10).await;
    let mut fast = RawPeer::subscriber(&endpoint, "x").await;
    eventually("two subscribers", || publisher.subscriber_count() == 2).await;
    let body = [b'x'; 20_000];
    let frame = [&b"\x02\0\0\0\0\0\0\x4E\x20"[..], &body].concat();
    let mut published = 0;
    while publisher.stats().dropped < 100 {
        publisher.send(&body).await.unwrap();
        published += 1;
        // The fast peer gets each message before the next is published.
        fast.expect(&frame).await;
    }
    let stats = publisher.stats();
    let counted = |fast: bool| {
        let dropped = |peer: &&PeerStats| (peer.dropped == 0) == fast;
        let peer = stats.peers.iter().find(dropped).unwrap();
        peer.sent + peer.dropped + peer.queued
    };
    assert_eq!((counted(true), counted(false)), (published, published));
    assert!(stats.peers.iter().all(|peer| peer.queued <= 10));
    // The messages that the slow peer has missed are lost; the others are whole.
    for _ in 0..published - 100 {
        slow.expect(&frame).await;
    }
}
