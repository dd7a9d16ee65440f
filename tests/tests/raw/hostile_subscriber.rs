//! Peers that break the protocol as subscribers of our PUB: each loses its own connection, and no other
//! peer is affected.

use zmtp_socket::{Overrun, PubOptions, PubSocket, Reason};
use zmtp_tests::raw::breach::{self, Stage};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{ANY_PORT, READY_PUB, READY_SUB, RawPeer, end_of, in_time};

#[tokio::test]
async fn each_breach_closes_that_connection_only_and_the_event_names_the_rule() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    for breach in breach::all("PUB") {
        println!("{}", breach.name);
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        breach.approach(&mut peer, READY_SUB, READY_PUB).await;
        neighbour.send().await;
        breach.commit(&mut peer).await;
        neighbour.send().await;
        let address = peer.address();
        drop(peer);
        let end = end_of(&mut monitor, &address).await;
        end.expect(breach.stage == Stage::Traffic, breach.rule);
        neighbour.receive_all(&mut subscriber).await;
    }
    let stats = publisher.stats();
    assert_eq!((stats.peers.len(), stats.dropped, stats.undelivered), (1, 0, 0));
}

#[tokio::test]
async fn a_subscription_before_a_breach_goes_with_the_connection() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::subscriber(&endpoint, "A").await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    assert_eq!(publisher.subscriber_count(), 1);
    peer.send(b"\x08\x00").await;
    peer.expect_closed().await;
    let address = peer.address();
    drop(peer);
    end_of(&mut monitor, &address).await.expect(true, "frame flags 08");
    assert_eq!(publisher.subscriber_count(), 0);
    assert!(publisher.stats().peers.is_empty());
}

#[tokio::test]
async fn an_error_from_the_peer_closes_and_its_text_is_in_the_event() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    for (ready, established) in [(&b""[..], false), (READY_SUB, true)] {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(ready, READY_PUB).await;
        peer.send(b"\x04\x0B\x05ERROR\x04no\x1B!").await;
        peer.expect_closed().await;
        let address = peer.address();
        drop(peer);
        let end = end_of(&mut monitor, &address).await;
        end.expect(established, "the peer refused the connection: \"no\u{fffd}!\"");
    }
}

#[tokio::test]
async fn a_peer_that_leaves_in_the_middle_of_anything_leaves_nothing_behind() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let rows: [&[u8]; 4] = [
        b"\x01\x01A",                       // a message whose last part is missing
        b"\x04\x0B\x09SUBSC",               // half a command
        b"\x02\0\0\0",                      // half a header
        b"\x04\x0B\x09SUBSCRIBEA\x01\x02B", // half a part, behind a subscription
    ];
    for unfinished in rows {
        for reset in [false, true] {
            let mut monitor = publisher.monitor();
            let mut peer = RawPeer::dial(&endpoint).await;
            peer.open(READY_SUB, READY_PUB).await;
            peer.send(unfinished).await;
            neighbour.send().await;
            let address = peer.address();
            let expected = if reset {
                peer.reset();
                "reset by peer"
            } else {
                assert_eq!(peer.finish().await, b"");
                "the peer closed the connection"
            };
            end_of(&mut monitor, &address).await.expect(true, expected);
            neighbour.receive_all(&mut subscriber).await;
            assert_eq!(publisher.stats().peers.len(), 1);
        }
    }
}

#[tokio::test]
async fn a_peer_with_more_subscriptions_than_allowed_is_closed_and_the_neighbour_is_not() {
    let options = PubOptions::new().max_subscriptions(3).max_subscription_octets(20);
    let publisher = PubSocket::with_options(options);
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let rows: [&[&str]; 3] =
        [&["1", "2", "3", "4"], &["0123456789", "0123456789A"], &["012345678901234567890"]];
    for topics in rows {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::subscriber(&endpoint, "1").await;
        // Repeated and ended subscriptions do not count.
        peer.send(b"\x00\x02\x01\x31\x00\x02\x00\x31\x00\x02\x00\x31").await;
        for topic in topics {
            peer.subscribe(topic).await;
        }
        neighbour.send().await;
        peer.expect_closed().await;
        let address = peer.address();
        drop(peer);
        let end = end_of(&mut monitor, &address).await;
        end.expect(true, "the peer subscribed to more than 3 topics, or 20 octets of them");
        assert!(matches!(end.reason, Reason::Overrun(Overrun::Subscriptions { .. })));
        neighbour.receive_all(&mut subscriber).await;
    }
}

#[tokio::test]
async fn a_peer_with_as_many_subscriptions_as_allowed_is_served() {
    let publisher =
        PubSocket::with_options(PubOptions::new().max_subscriptions(3).max_subscription_octets(20));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::subscriber(&endpoint, "0123456789").await;
    for topic in ["a", "012345678", "a", "0123456789"] {
        peer.subscribe(topic).await;
    }
    // The answer comes behind the subscriptions.
    peer.send(b"\x04\x07\x04PING\0\0").await;
    peer.expect(b"\x04\x05\x04PONG").await;
    assert_eq!(publisher.stats().peers[0].subscriptions, 3);
}

#[tokio::test]
async fn nothing_is_said_in_the_middle_of_a_frame_not_even_to_a_peer_that_is_being_closed() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial_narrow(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    peer.subscribe("x").await;
    in_time("a subscription", publisher.wait_for_subscriber("x")).await.unwrap();
    // The peer reads nothing until one of these messages is half written.
    let body = vec![b'x'; 20_000];
    while publisher.stats().queued < 100 {
        publisher.send(&body).await.unwrap();
        tokio::task::yield_now().await;
    }
    let sent = publisher.stats().sent;
    // A PONG now waits for the end of that frame, and then there is no time for either.
    peer.send(b"\x04\x17\x04PING\0\x000123456789ABCDEF".repeat(2000)).await;
    peer.send(b"\x08\x00").await;
    let frame = [&b"\x02\0\0\0\0\0\0\x4E\x20"[..], &body].concat();
    let heard = peer.heard_to_end().await;
    for (number, octets) in heard.chunks(frame.len()).enumerate() {
        assert!(frame.starts_with(octets), "message {number} of {sent} is torn");
    }
    let address = peer.address();
    drop(peer);
    end_of(&mut monitor, &address).await.expect(true, "frame flags 08");
}

#[tokio::test]
async fn a_peer_that_does_not_hang_up_after_its_breach_is_left_behind() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::subscriber(&endpoint, "A").await;
    peer.send(b"\x08\x00").await;
    peer.expect_closed().await;
    assert!(publisher.stats().peers.is_empty());
    // The peer goes on sending, and we wait for it only for a moment.
    let address = peer.address();
    let talking = async {
        while peer.try_send([0; 1000]).await.is_ok() {
            tokio::task::yield_now().await;
        }
    };
    let (end, ()) = tokio::join!(end_of(&mut monitor, &address), talking);
    end.expect(true, "frame flags 08");

    // Nor do we read all octets that it sends. The system holds some MiB of them.
    let mut peer = RawPeer::subscriber(&endpoint, "A").await;
    peer.send(b"\x08\x00").await;
    let flood = vec![0; 1 << 20];
    let mut taken = 0;
    while peer.try_send(&flood).await.is_ok() {
        taken += 1;
        assert!(taken < 30, "{taken} MiB of what nobody wants");
    }
}
