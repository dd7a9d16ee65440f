//! PING, PONG and the time to live, octet by octet, in both directions.

use std::time::Duration;

use zmtp_socket::{Heartbeat, PubOptions, PubSocket, Reconnect, SubOptions, SubSocket};
use zmtp_tests::raw::{
    ANY_PORT, GREETING, GREETING_3_0, READY_PUB, READY_SUB, RawListener, RawPeer, end_of, in_time,
};

const LONG: Duration = Duration::from_secs(60);

#[tokio::test]
async fn ping_is_answered_by_pong_with_the_same_context() {
    let rows: [(&[u8], &[u8]); 4] = [
        (b"\x04\x07\x04PING\0\0", b"\x04\x05\x04PONG"),
        (b"\x04\x08\x04PING\0\0\x00", b"\x04\x06\x04PONG\x00"),
        (b"\x04\x17\x04PING\xFF\xFF0123456789ABCDEF", b"\x04\x15\x04PONG0123456789ABCDEF"),
        (
            b"\x04\x09\x04PING\0\0hi\x06\0\0\0\0\0\0\0\x09\x04PING\0\0ho",
            b"\x04\x07\x04PONGhi\x04\x07\x04PONGho",
        ),
    ];
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    // Also from a 3.0 peer, which need not know PING: libzmq sends it one all the same.
    for greeting in [GREETING, GREETING_3_0] {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(greeting).await;
        peer.send(READY_SUB).await;
        peer.expect(GREETING).await;
        peer.expect(READY_PUB).await;
        for (ping, pong) in rows {
            peer.send(ping).await;
            peer.expect(pong).await;
        }
    }
}

#[tokio::test]
async fn ping_is_answered_between_the_frames_of_a_multipart_message() {
    let listener = RawListener::bind().await;
    let mut subscriber = SubSocket::new();
    subscriber.subscribe("");
    subscriber.connect(listener.endpoint()).unwrap();
    let mut peer = listener.publisher().await;
    peer.expect(b"\x04\x0A\x09SUBSCRIBE").await;
    peer.send(b"\x01\x01a\x04\x08\x04PING\0\0\x01").await;
    peer.expect(b"\x04\x06\x04PONG\x01").await;
    peer.send(b"\x01\x01b\x04\x08\x04PING\0\0\x02").await;
    peer.expect(b"\x04\x06\x04PONG\x02").await;
    assert!(subscriber.try_recv().is_err());
    peer.send(b"\x00\x01c").await;
    let message = in_time("the message", subscriber.recv()).await.unwrap();
    assert_eq!(message.parts(), ["a", "b", "c"]);
}

#[tokio::test]
async fn pongs_go_between_whole_frames_while_messages_are_published() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::subscriber(&endpoint, "A").await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    let (small, large) = (vec![b'A'; 100], vec![b'A'; 40_000]);
    for round in 0..50_u8 {
        for part in [&small, &large] {
            publisher.send(part).await.unwrap();
        }
        peer.send([b"\x04\x08\x04PING\0\0", &[round][..]].concat()).await;
    }
    // A PONG may be anywhere, but whole and in order, like the messages.
    let (mut pongs, mut messages) = (0, 0);
    while pongs < 50 || messages < 100 {
        match peer.frame().await {
            (0x04, body) => {
                assert_eq!(body, [b"\x04PONG", &[pongs][..]].concat());
                pongs += 1;
            }
            (flags, body) => {
                let (expected, expected_flags) =
                    if messages % 2 == 0 { (&small, 0) } else { (&large, 2) };
                assert!((flags, &body) == (expected_flags, expected), "message {messages}");
                messages += 1;
            }
        }
    }
}

#[tokio::test]
async fn a_peer_that_is_silent_for_longer_than_its_own_time_to_live_is_closed() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut monitor = publisher.monitor();
    let mut mortal = RawPeer::subscriber(&endpoint, "A").await;
    let mut other = RawPeer::subscriber(&endpoint, "A").await;
    // The second PING cancels the time to live.
    other.send(b"\x04\x07\x04PING\0\x01\x04\x07\x04PING\0\0").await;
    other.expect(b"\x04\x05\x04PONG\x04\x05\x04PONG").await;
    // A tenth of a second.
    mortal.send(b"\x04\x07\x04PING\0\x01").await;
    mortal.expect(b"\x04\x05\x04PONG").await;
    mortal.expect_closed().await;
    let address = mortal.address();
    drop(mortal);
    let end = end_of(&mut monitor, &address).await;
    end.expect(true, "the peer sent nothing within the time to live of its own PING");
    publisher.send("A").await.unwrap();
    other.expect(b"\x00\x01A").await;
}

#[tokio::test]
async fn heartbeats_are_pings_with_the_time_to_live_in_tenths_of_a_second() {
    let rows: [(Duration, &[u8]); 5] = [
        (Duration::ZERO, b"\x04\x07\x04PING\0\0"),
        (Duration::from_millis(1), b"\x04\x07\x04PING\0\x01"),
        (Duration::from_secs(1), b"\x04\x07\x04PING\0\x0A"),
        (Duration::from_millis(30_001), b"\x04\x07\x04PING\x01\x2D"),
        (Duration::from_secs(3600), b"\x04\x07\x04PING\x02\x8F"),
    ];
    for (ttl, ping) in rows {
        let heartbeat =
            Heartbeat::every(Duration::from_millis(10)).with_timeout(LONG).with_ttl(ttl);
        let publisher = PubSocket::with_options(PubOptions::new().heartbeat(heartbeat));
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        for _ in 0..3 {
            peer.expect(ping).await;
            peer.send(b"\x04\x05\x04PONG").await;
        }
    }
}

#[tokio::test]
async fn a_peer_that_does_not_answer_heartbeats_is_closed_and_dialled_again() {
    let heartbeat = Heartbeat::every(Duration::from_millis(50));
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
    let options = SubOptions::new().heartbeat(heartbeat).reconnect(Reconnect::new(initial, max));
    let subscriber = SubSocket::with_options(options);
    subscriber.subscribe("A");
    let listener = RawListener::bind().await;
    let mut monitor = subscriber.monitor();
    subscriber.connect(listener.endpoint()).unwrap();
    for _ in 0..2 {
        let mut peer = listener.publisher().await;
        // Half a message, and then nothing: no deadline of its own ends this connection.
        peer.send(b"\x00\x10half").await;
        peer.expect(b"\x04\x0B\x09SUBSCRIBEA\x04\x07\x04PING\0\0").await;
        peer.heard_to_end().await;
        drop(peer);
        let end = end_of(&mut monitor, &listener.address()).await;
        end.expect(true, "the peer sent nothing in time after a PING");
    }
}

#[tokio::test]
async fn a_peer_of_3_0_gets_no_heartbeats() {
    let heartbeat =
        Heartbeat::every(Duration::from_millis(5)).with_timeout(LONG).with_ttl(Duration::ZERO);
    let publisher = PubSocket::with_options(PubOptions::new().heartbeat(heartbeat));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut old = RawPeer::dial(&endpoint).await;
    old.send(GREETING_3_0).await;
    old.send(READY_SUB).await;
    old.send(b"\x00\x02\x01A").await;
    old.expect(GREETING).await;
    old.expect(READY_PUB).await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    // In the time of ten heartbeats to the other peer,
    let mut new = RawPeer::dial(&endpoint).await;
    new.open(READY_SUB, READY_PUB).await;
    for _ in 0..10 {
        new.expect(b"\x04\x07\x04PING\0\0").await;
        new.send(b"\x04\x05\x04PONG").await;
    }
    // no PING was sent to this one.
    publisher.send("A").await.unwrap();
    old.expect(b"\x00\x01A").await;
}

#[tokio::test]
async fn a_peer_that_neither_reads_nor_answers_is_closed_although_a_message_is_half_written() {
    let heartbeat = Heartbeat::every(Duration::from_millis(200));
    let publisher = PubSocket::with_options(PubOptions::new().heartbeat(heartbeat));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial_narrow(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    peer.subscribe("x").await;
    in_time("a subscription", publisher.wait_for_subscriber("x")).await.unwrap();
    let body = vec![b'x'; 20_000];
    let mut published = 0;
    while publisher.stats().queued < 100 && !publisher.stats().peers.is_empty() {
        publisher.try_send(&body).unwrap();
        published += 1;
        tokio::task::yield_now().await;
    }
    let end = end_of(&mut monitor, &peer.address()).await;
    end.expect(true, "the peer sent nothing in time after a PING");
    let stats = publisher.stats();
    assert_eq!(stats.sent + stats.undelivered, published);
}
