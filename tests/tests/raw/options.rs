//! The effect of options on the wire.

use std::time::Duration;

use zmtp_socket::{Heartbeat, PubOptions, PubSocket, SubOptions, SubSocket, Version};
use zmtp_tests::raw::{
    ANY_PORT, GREETING, GREETING_3_0, READY_PUB, READY_SUB, RawListener, RawPeer, end_of, in_time,
};

#[tokio::test]
async fn a_publisher_of_version_3_0_says_so_and_takes_both_forms_of_subscription() {
    let publisher = PubSocket::with_options(PubOptions::new().version(Version::V3_0));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    for (greeting, subscription) in
        [(GREETING_3_0, &b"\x00\x02\x01A"[..]), (GREETING, b"\x04\x0B\x09SUBSCRIBEA")]
    {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(greeting).await;
        peer.send(READY_SUB).await;
        peer.expect(GREETING_3_0).await;
        peer.expect(READY_PUB).await;
        peer.send(subscription).await;
        in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
        publisher.send("A").await.unwrap();
        peer.expect(b"\x00\x01A").await;
    }
}

#[tokio::test]
async fn a_subscriber_of_version_3_0_says_so_and_subscribes_by_messages() {
    let options = SubOptions::new().version(Version::V3_0);
    for greeting in [GREETING, GREETING_3_0] {
        let listener = RawListener::bind().await;
        let subscriber = SubSocket::with_options(options.clone());
        subscriber.subscribe("A");
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.accept().await;
        peer.send(greeting).await;
        peer.send(READY_PUB).await;
        peer.expect([&GREETING_3_0[..], READY_SUB, b"\x00\x02\x01A"].concat()).await;
        subscriber.unsubscribe("A");
        peer.expect(b"\x00\x02\x00A").await;
    }
}

#[tokio::test]
async fn a_message_above_the_largest_size_closes_and_one_of_that_size_does_not() {
    let rows: [(&[u8], &str); 3] = [
        (b"\x00\x0B", "a message has at least 11 octets; the limit is 10"),
        (b"\x01\x04abcd\x00\x07", "a message has at least 11 octets; the limit is 10"),
        (
            b"\x02\0\0\0\0\xFF\xFF\xFF\xFF",
            "a message has at least 4294967295 octets; the limit is 10",
        ),
    ];
    for (sends, rule) in rows {
        let listener = RawListener::bind().await;
        let mut subscriber = SubSocket::with_options(SubOptions::new().max_message_size(10));
        let mut monitor = subscriber.monitor();
        subscriber.subscribe("");
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.publisher().await;
        peer.expect(b"\x04\x0A\x09SUBSCRIBE").await;
        peer.send(b"\x00\x0A0123456789\x01\x04abcd\x01\x00\x00\x06efghij").await;
        let message = in_time("a message", subscriber.recv()).await.unwrap();
        assert_eq!(message.parts(), ["0123456789"]);
        let message = in_time("a message", subscriber.recv()).await.unwrap();
        assert_eq!(message.parts(), ["abcd", "", "efghij"]);
        peer.send(sends).await;
        peer.expect_closed().await;
        drop(peer);
        end_of(&mut monitor, &listener.address()).await.expect(true, rule);
    }
}

#[tokio::test]
async fn each_limit_holds_to_the_octet() {
    let options = PubOptions::new()
        .max_message_size(100)
        .max_message_parts(2)
        .max_command_size(12)
        .max_handshake_frame_size(32);
    let publisher = PubSocket::with_options(options);
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let ready = b"\x04\x20\x05READY\x0BSocket-Type\0\0\0\x03SUB\x02ab\0\0\0\0";
    let rows: [(&[u8], &[u8], &str); 2] = [
        (b"\x01\x00\x00\x00", b"\x01\x00\x01\x00\x00\x00", "a message has more than 2 parts"),
        (b"\x04\x0C\x09SUBSCRIBEAB", b"\x04\x0D", "a command announces 13 octets; the limit is 12"),
    ];
    for (allowed, too_much, rule) in rows {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(ready, READY_PUB).await;
        peer.send(allowed).await;
        peer.send(b"\x04\x07\x04PING\0\0").await;
        peer.expect(b"\x04\x05\x04PONG").await;
        peer.send(too_much).await;
        peer.expect_closed().await;
        let address = peer.address();
        drop(peer);
        end_of(&mut monitor, &address).await.expect(true, rule);
    }
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(b"\x04\x21", READY_PUB).await;
    peer.expect_closed().await;
    let address = peer.address();
    drop(peer);
    let end = end_of(&mut monitor, &address).await;
    end.expect(false, "a frame of the handshake announces 33 octets; the limit is 32");
}

#[tokio::test]
async fn the_longest_times_mean_never() {
    let heartbeat = Heartbeat::every(Duration::MAX);
    let options = PubOptions::new().handshake_timeout(Duration::MAX).heartbeat(heartbeat);
    let publisher = PubSocket::with_options(options);
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::subscriber(&endpoint, "A").await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    publisher.send("A").await.unwrap();
    peer.expect(b"\x00\x01A").await;
}
