//! The writing of a sender to a peer whose driver has nothing to do.

use zmtp_socket::{Endpoint, Message, PubSocket};
use zmtp_tests::raw::{ANY_PORT, RawPeer, in_time};

/// A publisher and a peer that is subscribed to "A". On the runtime of these tests only the awaited
/// future runs, so whatever happens before an await was done by the sender.
async fn pair(dial: impl AsyncFn(&Endpoint) -> RawPeer) -> (PubSocket, RawPeer) {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let peer = dial(&endpoint).await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    (publisher, peer)
}

fn sent_and_queued(publisher: &PubSocket) -> (u64, u64) {
    let stats = publisher.stats();
    (stats.sent, stats.queued)
}

#[tokio::test]
async fn a_message_to_an_idle_peer_is_gone_when_send_returns() {
    let several = Message::multipart(["A", "b", ""]).unwrap();
    let large = vec![b'A'; 100_000];
    for (message, wire) in [
        (Message::from("A1"), b"\x00\x02A1".to_vec()),
        (several, b"\x01\x01A\x01\x01b\x00\x00".to_vec()),
        (large.clone().into(), [b"\x02\0\0\0\0\0\x01\x86\xA0", &large[..]].concat()),
    ] {
        let (publisher, mut peer) =
            pair(async |endpoint| RawPeer::subscriber(endpoint, "A").await).await;
        publisher.try_send(&message).unwrap();
        assert_eq!(sent_and_queued(&publisher), (1, 0), "{message:?}");
        publisher.try_send("A2").unwrap();
        peer.expect([&wire, &b"\x00\x02A2"[..]].concat()).await;
    }
}

#[tokio::test]
async fn a_message_that_more_than_one_peer_wants_is_left_to_their_drivers() {
    let (publisher, mut peer) =
        pair(async |endpoint| RawPeer::subscriber(endpoint, "A").await).await;
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut other = RawPeer::subscriber(&endpoint, "A").await;
    in_time("both", async {
        while publisher.subscriber_count() < 2 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    publisher.try_send("A1").unwrap();
    assert_eq!(sent_and_queued(&publisher), (0, 2));
    peer.expect(b"\x00\x02A1").await;
    other.expect(b"\x00\x02A1").await;
}

#[tokio::test]
async fn what_the_system_does_not_take_whole_is_finished_before_anything_else_is_said() {
    // A message that has to be copied would be left to the driver.
    let large = Message::from(vec![b'A'; 8 << 20]);
    let (publisher, mut peer) = pair(async |endpoint| {
        let mut peer = RawPeer::dial_narrow(endpoint).await;
        peer.open(zmtp_tests::raw::READY_SUB, zmtp_tests::raw::READY_PUB).await;
        peer.subscribe("A").await;
        peer
    })
    .await;
    // The runtime polls its sockets, then comes back here first. So the driver has not run yet when the
    // sender writes, and finds both the PING and the message that the sender has begun.
    peer.send(b"\x04\x07\x04PING\0\0").await;
    tokio::task::yield_now().await;
    publisher.try_send(&large).unwrap();
    assert_eq!(sent_and_queued(&publisher), (0, 1));
    publisher.try_send("A2").unwrap();
    let (flags, body) = peer.frame().await;
    assert!(flags == 2 && body == *large.first(), "whole and untorn");
    let (_, rest) = (peer.frame().await, peer.frame().await);
    assert_eq!(sent_and_queued(&publisher), (2, 0));
    assert!([&b"A2"[..], b"\x04PONG"].contains(&&rest.1[..]));
}

#[tokio::test]
async fn a_peer_that_has_gone_costs_its_message_and_nothing_else() {
    let (publisher, peer) = pair(async |endpoint| RawPeer::subscriber(endpoint, "A").await).await;
    peer.reset();
    // The first send finds the connection reset, or the socket knows that by then.
    for _ in 0..3 {
        publisher.try_send("A1").unwrap();
    }
    in_time("its end", async {
        while publisher.subscriber_count() > 0 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    publisher.try_send("A2").unwrap();
    assert_eq!(publisher.stats().queued, 0);
}
