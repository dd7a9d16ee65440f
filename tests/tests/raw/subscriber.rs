//! Peers that keep the rules, octet by octet, as subscribers of our PUB.

use zmtp_socket::{Endpoint, Event, Monitor, PubSocket};
use zmtp_tests::raw::{ANY_PORT, GREETING, GREETING_3_0, READY_PUB, READY_SUB, RawPeer, in_time};

async fn publisher() -> (PubSocket, Endpoint) {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    (publisher, endpoint)
}

async fn wait_for(publisher: &PubSocket, topic: &str) {
    in_time("a subscription", publisher.wait_for_subscriber(topic)).await.unwrap();
}

/// The subscriptions in the next events: `+topic` or `-topic`.
async fn changes(monitor: &mut Monitor, count: usize) -> Vec<String> {
    let mut changes = Vec::new();
    while changes.len() < count {
        let (sign, topic) = match in_time("an event", monitor.next()).await.unwrap() {
            Event::Subscribed { topic, .. } => ('+', topic),
            Event::Unsubscribed { topic, .. } => ('-', topic),
            _ => continue,
        };
        changes.push(format!("{sign}{}", topic.escape_ascii()));
    }
    changes
}

#[tokio::test]
async fn a_conversation_of_3_1_goes_octet_by_octet_as_the_standard_says() {
    let (publisher, endpoint) = publisher().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send(GREETING).await;
    peer.expect(GREETING).await;
    peer.send(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB").await;
    peer.expect(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB").await;
    peer.send(b"\x04\x0F\x09SUBSCRIBE10002").await;
    wait_for(&publisher, "10002").await;
    publisher.send("10001 -3 50").await.unwrap();
    publisher.send("10002 27 33").await.unwrap();
    peer.expect(b"\x00\x0B10002 27 33").await;
    peer.send(b"\x04\x0C\x06CANCEL10002\x04\x0B\x09SUBSCRIBEB").await;
    wait_for(&publisher, "B").await;
    publisher.send("10002 28 30").await.unwrap();
    publisher.send("B").await.unwrap();
    peer.expect(b"\x00\x01B").await;
}

#[tokio::test]
async fn a_conversation_of_3_0_goes_octet_by_octet_as_the_standard_says() {
    let (publisher, endpoint) = publisher().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send(GREETING_3_0).await;
    peer.expect(GREETING).await;
    peer.send(READY_SUB).await;
    peer.expect(READY_PUB).await;
    peer.send(b"\x00\x06\x0110002").await;
    wait_for(&publisher, "10002").await;
    publisher.send("10002 27 33").await.unwrap();
    peer.expect(b"\x00\x0B10002 27 33").await;
    peer.send(b"\x00\x06\x0010002\x00\x02\x01B").await;
    wait_for(&publisher, "B").await;
    publisher.send("10002 28 30").await.unwrap();
    publisher.send("B").await.unwrap();
    peer.expect(b"\x00\x01B").await;
}

#[tokio::test]
async fn both_forms_of_subscription_are_taken_from_a_peer_of_either_version() {
    let (publisher, endpoint) = publisher().await;
    for greeting in [GREETING, GREETING_3_0] {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(greeting).await;
        peer.send(READY_SUB).await;
        peer.send(b"\x00\x02\x01A\x04\x0B\x09SUBSCRIBEB\x04\x08\x06CANCELA\x00\x02\x00B").await;
        assert_eq!(changes(&mut monitor, 4).await, ["+A", "+B", "-A", "-B"]);
    }
}

#[tokio::test]
async fn subscriptions_of_one_peer_count_whatever_their_form() {
    let (publisher, endpoint) = publisher().await;
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    // Two subscriptions to A, and one CANCEL: still subscribed. CANCEL of a topic without a subscription
    // changes nothing.
    peer.send(b"\x00\x02\x01A\x04\x0B\x09SUBSCRIBEA\x04\x08\x06CANCELA\x00\x02\x00C").await;
    peer.send(b"\x00\x01\x01").await;
    assert_eq!(changes(&mut monitor, 2).await, ["+A", "+"]);
    peer.send(b"\x00\x01\x00\x00\x02\x01B").await;
    assert_eq!(changes(&mut monitor, 2).await, ["-", "+B"]);
    for message in ["C", "A1", "B2"] {
        publisher.send(message).await.unwrap();
    }
    peer.expect(b"\x00\x02A1\x00\x02B2").await;
    peer.send(b"\x00\x02\x00A").await;
    assert_eq!(changes(&mut monitor, 1).await, ["-A"]);
}

#[tokio::test]
async fn a_peer_that_sends_one_octet_at_a_time_is_served() {
    let (publisher, endpoint) = publisher().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.drip(GREETING).await;
    peer.drip(READY_SUB).await;
    peer.drip(b"\x04\x0B\x09SUBSCRIBEA").await;
    wait_for(&publisher, "A").await;
    publisher.send("A").await.unwrap();
    peer.expect(GREETING).await;
    peer.expect(READY_PUB).await;
    peer.expect(b"\x00\x01A").await;
}

#[tokio::test]
async fn a_peer_that_says_everything_in_one_segment_is_served() {
    let (publisher, endpoint) = publisher().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send([&GREETING[..], READY_SUB, b"\x04\x0B\x09SUBSCRIBEA"].concat()).await;
    wait_for(&publisher, "A").await;
    publisher.send("A").await.unwrap();
    peer.expect([&GREETING[..], READY_PUB, b"\x00\x01A"].concat()).await;
}

#[tokio::test]
async fn a_peer_that_waits_for_our_greeting_and_our_ready_is_served() {
    let (publisher, endpoint) = publisher().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.expect(GREETING).await;
    peer.send(GREETING).await;
    peer.expect(READY_PUB).await;
    peer.send(READY_SUB).await;
    peer.send(b"\x00\x02\x01A").await;
    wait_for(&publisher, "A").await;
    publisher.send("A").await.unwrap();
    peer.expect(b"\x00\x01A").await;
}

#[tokio::test]
async fn what_the_standard_leaves_open_in_a_greeting_is_passed_over() {
    type Row = (&'static str, [u8; 10], [u8; 2], u8, [u8; 31]);
    let rows: [Row; 5] = [
        ("version 4.7", *b"\xFF\0\0\0\0\0\0\0\0\x7F", [4, 7], 0, [0; 31]),
        ("version 3.2", *b"\xFF\0\0\0\0\0\0\0\0\x7F", [3, 2], 0, [0; 31]),
        ("a length in octets 1-8", *b"\xFF\0\0\0\0\0\0\0\x01\x7F", [3, 1], 0, [0; 31]),
        (
            "anything in octets 1-8",
            *b"\xFF\x01\x02\x03\x7F\xFF\x06\x07\x08\x7F",
            [3, 1],
            0,
            [0; 31],
        ),
        ("as-server under NULL, and a filler", *b"\xFF\0\0\0\0\0\0\0\0\x7F", [3, 0], 1, [0xFF; 31]),
    ];
    let (publisher, endpoint) = publisher().await;
    for (name, signature, version, as_server, filler) in rows {
        let mechanism = b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
        let greeting = [&signature[..], &version, mechanism, &[as_server], &filler].concat();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(greeting).await;
        peer.expect(GREETING).await;
        peer.expect(READY_PUB).await;
        peer.send(READY_SUB).await;
        peer.subscribe(name).await;
        wait_for(&publisher, name).await;
        publisher.send(name).await.unwrap();
        assert_eq!(peer.frame().await, (0, name.into()));
    }
}

#[tokio::test]
async fn any_ready_that_fits_is_taken() {
    let rows: [(&str, &[u8]); 8] = [
        ("no Socket-Type", b"\x04\x06\x05READY"),
        ("XSUB", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04XSUB"),
        ("name in lower case", b"\x04\x19\x05READY\x0Bsocket-type\0\0\0\x03SUB"),
        ("name in upper case", b"\x04\x19\x05READY\x0BSOCKET-TYPE\0\0\0\x03SUB"),
        ("an empty Identity", b"\x04\x26\x05READY\x0BSocket-Type\0\0\0\x03SUB\x08Identity\0\0\0\0"),
        (
            "unknown properties",
            b"\x04\x27\x05READY\x03X-a\0\0\0\0\x0BSocket-Type\0\0\0\x03SUB\x01b\0\0\0\0",
        ),
        ("in the long form", b"\x06\0\0\0\0\0\0\0\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB"),
        (
            "Socket-Type twice",
            b"\x04\x2C\x05READY\x0BSocket-Type\0\0\0\x03SUB\x0BSocket-Type\0\0\0\x03SUB",
        ),
    ];
    let (publisher, endpoint) = publisher().await;
    for (name, ready) in rows {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(ready, READY_PUB).await;
        peer.subscribe(name).await;
        wait_for(&publisher, name).await;
        publisher.send(name).await.unwrap();
        assert_eq!(peer.frame().await, (0, name.into()));
    }
}

#[tokio::test]
async fn a_ready_of_4_kib_with_hundreds_of_properties_is_taken() {
    let (publisher, endpoint) = publisher().await;
    // 6 octets of name and 681 properties of 6: 4092 of the 4096 that are allowed.
    let ready = [&b"\x06\0\0\0\0\0\0\x0F\xFC\x05READY"[..], &b"\x01a\0\0\0\0".repeat(681)].concat();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(&ready, READY_PUB).await;
    peer.subscribe("A").await;
    wait_for(&publisher, "A").await;
}

#[tokio::test]
async fn topics_and_messages_of_every_length_have_the_right_header() {
    let (publisher, endpoint) = publisher().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    // 245 octets are the last that fit SUBSCRIBE in the short form; the long form is always legal.
    let (short, long) = ([b's'; 245], [b'l'; 246]);
    peer.send([&b"\x04\xFF\x09SUBSCRIBE"[..], &short].concat()).await;
    peer.send([&b"\x06\0\0\0\0\0\0\x01\0\x09SUBSCRIBE"[..], &long].concat()).await;
    peer.send(b"\x02\0\0\0\0\0\0\0\x02\x01x").await;
    wait_for(&publisher, std::str::from_utf8(&short).unwrap()).await;
    wait_for(&publisher, std::str::from_utf8(&long).unwrap()).await;
    wait_for(&publisher, "x").await;
    publisher.send(&short).await.unwrap();
    publisher.send(&long).await.unwrap();
    publisher.send(&[b'x'; 255]).await.unwrap();
    publisher.send(&[b'x'; 256]).await.unwrap();
    publisher.send(vec![b'x'; 70_000]).await.unwrap();
    peer.expect([&b"\x00\xF5"[..], &short].concat()).await;
    peer.expect([&b"\x00\xF6"[..], &long].concat()).await;
    peer.expect([&b"\x00\xFF"[..], &[b'x'; 255]].concat()).await;
    peer.expect([&b"\x02\0\0\0\0\0\0\x01\0"[..], &[b'x'; 256]].concat()).await;
    peer.expect([&b"\x02\0\0\0\0\0\x01\x11\x70"[..], &[b'x'; 70_000]].concat()).await;
}

#[tokio::test]
async fn a_multipart_message_has_more_on_all_frames_but_the_last() {
    let (publisher, endpoint) = publisher().await;
    let mut peer = RawPeer::subscriber(&endpoint, "A").await;
    wait_for(&publisher, "A").await;
    let message = zmtp_socket::Message::multipart(["A", "", "c"]).unwrap();
    publisher.send(&message).await.unwrap();
    peer.expect(b"\x01\x01A\x01\x00\x00\x01c").await;
}
