//! Peers that keep the rules, octet by octet, as publishers to our SUB.

use zmtp_socket::{Message, SubOptions, SubSocket};
use zmtp_tests::raw::{
    GREETING, GREETING_3_0, READY_PUB, READY_SUB, RawListener, RawPeer, in_time,
};

/// A SUB that is subscribed to `topics` and has just dialled a raw publisher.
async fn subscriber(topics: &[&str]) -> (SubSocket, RawPeer) {
    let listener = RawListener::bind().await;
    let subscriber = SubSocket::new();
    for topic in topics {
        subscriber.subscribe(topic);
    }
    subscriber.connect(listener.endpoint()).unwrap();
    let peer = listener.accept().await;
    (subscriber, peer)
}

async fn received(subscriber: &mut SubSocket) -> Message {
    in_time("a message", subscriber.recv()).await.unwrap()
}

#[tokio::test]
async fn a_publisher_of_3_1_is_told_subscriptions_as_commands_and_only_after_its_ready() {
    let (mut subscriber, mut peer) = subscriber(&["10002", ""]).await;
    peer.expect(GREETING).await;
    peer.send(GREETING).await;
    peer.expect(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB").await;
    // libzmq takes a subscription that arrives before it has sent its READY for a breach, so nothing may
    // be sent yet. Meanwhile, a whole conversation with another publisher takes place.
    let other = RawListener::bind().await;
    subscriber.connect(other.endpoint()).unwrap();
    let mut other = other.accept().await;
    other.open(READY_PUB, READY_SUB).await;
    other.expect(b"\x04\x0F\x09SUBSCRIBE10002\x04\x0A\x09SUBSCRIBE").await;
    peer.expect_nothing_yet();
    peer.send(b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB").await;
    peer.expect(b"\x04\x0F\x09SUBSCRIBE10002\x04\x0A\x09SUBSCRIBE").await;
    peer.send(b"\x00\x0B10002 27 33").await;
    assert_eq!(received(&mut subscriber).await.first(), "10002 27 33");
    assert!(subscriber.unsubscribe(""));
    subscriber.subscribe("B");
    peer.expect(b"\x04\x07\x06CANCEL\x04\x0B\x09SUBSCRIBEB").await;
}

#[tokio::test]
async fn a_publisher_of_3_0_is_told_subscriptions_as_messages() {
    let (mut subscriber, mut peer) = subscriber(&["10002", ""]).await;
    peer.send(GREETING_3_0).await;
    peer.send(READY_PUB).await;
    peer.expect(GREETING).await;
    peer.expect(READY_SUB).await;
    peer.expect(b"\x00\x06\x0110002\x00\x01\x01").await;
    peer.send(b"\x00\x0B10002 27 33").await;
    assert_eq!(received(&mut subscriber).await.first(), "10002 27 33");
    assert!(subscriber.unsubscribe("10002"));
    peer.expect(b"\x00\x06\x0010002").await;
}

#[tokio::test]
async fn a_publisher_of_4_7_is_spoken_to_as_one_of_3_1() {
    let (_subscriber, mut peer) = subscriber(&["A"]).await;
    let mut greeting = *GREETING;
    greeting[10..12].copy_from_slice(&[4, 7]);
    peer.send(greeting).await;
    peer.send(READY_PUB).await;
    peer.expect([&GREETING[..], READY_SUB, b"\x04\x0B\x09SUBSCRIBEA"].concat()).await;
}

#[tokio::test]
async fn topics_of_every_length_have_the_right_header_in_both_forms() {
    let topics = [245, 246, 254, 255].map(|length| "t".repeat(length));
    let [a, b, c, d] = topics.each_ref().map(|topic| topic.as_bytes());
    let commands = [
        &b"\x04\xFF\x09SUBSCRIBE"[..],
        a,
        b"\x06\0\0\0\0\0\0\x01\x00\x09SUBSCRIBE",
        b,
        b"\x06\0\0\0\0\0\0\x01\x08\x09SUBSCRIBE",
        c,
        b"\x06\0\0\0\0\0\0\x01\x09\x09SUBSCRIBE",
        d,
    ];
    let messages = [
        &b"\x00\xF6\x01"[..],
        a,
        b"\x00\xF7\x01",
        b,
        b"\x00\xFF\x01",
        c,
        b"\x02\0\0\0\0\0\0\x01\0\x01",
        d,
    ];
    for (greeting, expected) in [(GREETING, commands), (GREETING_3_0, messages)] {
        let (_subscriber, mut peer) = subscriber(&topics.each_ref().map(String::as_str)).await;
        peer.send(greeting).await;
        peer.send(READY_PUB).await;
        peer.expect(GREETING).await;
        peer.expect(READY_SUB).await;
        peer.expect(expected.concat()).await;
    }
}

#[tokio::test]
async fn a_publisher_that_sends_one_octet_at_a_time_is_received() {
    let (mut subscriber, mut peer) = subscriber(&["A"]).await;
    peer.drip(GREETING).await;
    peer.drip(READY_PUB).await;
    peer.drip(b"\x01\x01A\x02\0\0\0\0\0\0\0\x01B\x00\x02A2").await;
    assert_eq!(received(&mut subscriber).await.parts(), ["A", "B"]);
    assert_eq!(received(&mut subscriber).await.parts(), ["A2"]);
}

#[tokio::test]
async fn a_publisher_that_says_everything_in_one_segment_is_received() {
    let (mut subscriber, mut peer) = subscriber(&["A"]).await;
    peer.send([&GREETING[..], READY_PUB, b"\x00\x02A1\x00\x02A2"].concat()).await;
    assert_eq!(received(&mut subscriber).await.first(), "A1");
    assert_eq!(received(&mut subscriber).await.first(), "A2");
}

#[tokio::test]
async fn any_ready_that_fits_is_taken() {
    let rows: [&[u8]; 4] = [
        b"\x04\x06\x05READY",
        b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04XPUB",
        b"\x04\x19\x05READY\x0Bsocket-type\0\0\0\x03PUB",
        b"\x04\x21\x05READY\x03X-a\0\0\0\0\x0BSocket-Type\0\0\0\x03PUB",
    ];
    for ready in rows {
        let (mut subscriber, mut peer) = subscriber(&["A"]).await;
        peer.open(ready, READY_SUB).await;
        peer.expect(b"\x04\x0B\x09SUBSCRIBEA").await;
        peer.send(b"\x00\x01A").await;
        assert_eq!(received(&mut subscriber).await.first(), "A");
    }
}

#[tokio::test]
async fn what_was_not_subscribed_to_is_filtered_and_counted() {
    let (mut subscriber, mut peer) = subscriber(&["AB"]).await;
    peer.open(READY_PUB, READY_SUB).await;
    peer.expect(b"\x04\x0C\x09SUBSCRIBEAB").await;
    // Of these, only the first part of the last one begins with the topic.
    peer.send(b"\x00\x01A\x00\x00\x00\x02BA\x01\x01C\x00\x02AB\x01\x03ABC\x00\x01D").await;
    assert_eq!(received(&mut subscriber).await.parts(), ["ABC", "D"]);
    assert_eq!(subscriber.stats().filtered, 4);
}

#[tokio::test]
async fn each_distinct_topic_is_told_once_however_often_it_was_subscribed_to() {
    let (subscriber, mut peer) = subscriber(&["b", "a", "b", "c"]).await;
    subscriber.unsubscribe("b");
    subscriber.unsubscribe("c");
    peer.open(READY_PUB, READY_SUB).await;
    peer.expect(b"\x04\x0B\x09SUBSCRIBEb\x04\x0B\x09SUBSCRIBEa").await;
    subscriber.subscribe("a");
    subscriber.unsubscribe("a");
    // A change without effect was not sent.
    subscriber.subscribe("d");
    peer.expect(b"\x04\x0B\x09SUBSCRIBEd").await;
}

#[tokio::test]
async fn what_was_not_asked_for_does_not_take_the_place_of_what_was() {
    let listener = RawListener::bind().await;
    let mut subscriber = SubSocket::with_options(SubOptions::new().conflate(true));
    subscriber.subscribe("a");
    subscriber.connect(listener.endpoint()).unwrap();
    let mut peer = listener.publisher().await;
    peer.send(b"\x00\x02a1\x00\x02a2\x00\x01b\x00\x01c").await;
    in_time("all of it", async {
        while subscriber.stats().received < 4 {
            tokio::task::yield_now().await;
        }
    })
    .await;
    assert_eq!(in_time("a message", subscriber.recv()).await.unwrap().first(), "a2");
    let stats = subscriber.stats();
    assert_eq!((stats.filtered, stats.dropped, stats.queued), (2, 1, 0));
}
