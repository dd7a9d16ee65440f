//! Subscriptions between libzmq and us: to any topic, taken back, repeated, by the thousand, and through
//! a proxy.

use std::collections::BTreeSet;

use bytes::Bytes;
use zmtp_socket::{Duplicates, Event, Monitor, PubOptions, PubSocket, SubOptions, Version};
use zmtp_tests::libzmq::{Libzmq, Proxy};
use zmtp_tests::story::{Place, event, eventually, receive, receive_text, wanted};

/// Lengths of topics around every limit of a length on the way.
const LENGTHS: [usize; 9] = [0, 1, 244, 245, 246, 254, 255, 256, 16 << 10];

/// A topic of all values of an octet.
fn topic(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 256) as u8).collect()
}

/// One part of the first octet (1 or 0) and the topic, as an XPUB receives a subscription.
fn told(which: u8, topic: &[u8]) -> Vec<u8> {
    [&[which][..], topic].concat()
}

async fn subscribed(monitor: &mut Monitor) -> Bytes {
    event(monitor, "a subscription", |event| match event {
        Event::Subscribed { topic, .. } => Some(topic),
        _ => None,
    })
    .await
}

async fn unsubscribed(monitor: &mut Monitor) -> Bytes {
    event(monitor, "an unsubscription", |event| match event {
        Event::Unsubscribed { topic, .. } => Some(topic),
        _ => None,
    })
    .await
}

/// A publisher of ours and a SUB of libzmq connected to it.
async fn our_publisher(options: PubOptions) -> (PubSocket, Libzmq) {
    let place = Place::tcp();
    let publisher = place.context.pub_socket(options);
    publisher.bind(&place.endpoint).await.expect("it is free");
    let subscriber = Libzmq::new(zmq::SUB);
    subscriber.connect(&place.endpoint).await;
    (publisher, subscriber)
}

#[tokio::test]
async fn libzmq_is_told_topics_of_any_length_and_octets_and_when_they_are_taken_back() {
    for version in [Version::V3_1, Version::V3_0] {
        let place = Place::tcp();
        let publisher = Libzmq::new(zmq::XPUB);
        publisher.bind(&place.endpoint).await;
        let mut subscriber = place.context.sub_socket(SubOptions::new().version(version));
        subscriber.connect(&place.endpoint).expect("it can be dialled");
        for length in LENGTHS {
            let topic = topic(length);
            subscriber.subscribe(&topic);
            assert_eq!(publisher.receive().await, told(1, &topic), "{version}, {length} octets");
            publisher.send(&topic).await;
            assert_eq!(receive(&mut subscriber).await.first(), &topic[..]);
            assert!(subscriber.unsubscribe(&topic));
            assert_eq!(publisher.receive().await, told(0, &topic), "{version}, {length} octets");
            publisher.send(&topic).await;
        }
        subscriber.subscribe("end");
        assert_eq!(publisher.receive().await, b"\x01end");
        publisher.send("end").await;
        assert_eq!(receive_text(&mut subscriber).await, "end");
        let stats = subscriber.stats();
        let served = LENGTHS.len() as u64 + 1;
        assert_eq!((stats.received, stats.filtered), (served, 0), "sent after it was taken back");
    }
}

/// libzmq 4.3.4 garbles topics of 246 to 255 octets when it sends to peers that announce 3.1, and one of
/// 255 octets when it sends to those that announce 3.0: these lengths are left out.
#[tokio::test]
async fn we_are_told_topics_of_any_length_and_octets_and_when_they_are_taken_back() {
    for version in [Version::V3_1, Version::V3_0] {
        let (publisher, subscriber) = our_publisher(PubOptions::new().version(version)).await;
        let mut monitor = publisher.monitor();
        let garbled = if version == Version::V3_1 { 246..=255 } else { 255..=255 };
        for length in LENGTHS.into_iter().filter(|length| !garbled.contains(length)) {
            let topic = topic(length);
            subscriber.subscribe(&topic).await;
            assert_eq!(subscribed(&mut monitor).await, topic, "{version}, {length} octets");
            let sent = publisher.stats().sent;
            publisher.send(&topic[..]).await.expect("it is open");
            assert_eq!(subscriber.receive().await, topic);
            subscriber.unsubscribe(&topic).await;
            assert_eq!(unsubscribed(&mut monitor).await, topic, "{version}, {length} octets");
            publisher.send(&topic[..]).await.expect("it is open");
            let stats = publisher.stats();
            assert_eq!((stats.sent + stats.queued, publisher.subscriber_count()), (sent + 1, 0));
        }
    }
}

#[tokio::test]
async fn a_message_goes_to_libzmq_once_if_its_first_part_begins_with_a_topic() {
    let (publisher, subscriber) = our_publisher(PubOptions::new()).await;
    for topic in ["1000", "10001", "1000", "\0\u{1}"] {
        subscriber.subscribe(topic).await;
        wanted(&publisher, topic).await;
    }
    let sent: [&[u8]; 8] =
        [b"10001 1", b"100", b"", b"1000", b"\0", b"\0\x01\xFF", b"21000", b"10009"];
    for message in sent {
        publisher.send(message).await.expect("it is open");
    }
    let matching: [&[u8]; 4] = [b"10001 1", b"1000", b"\0\x01\xFF", b"10009"];
    for message in matching {
        assert_eq!(subscriber.receive().await, message);
    }
    assert_eq!(publisher.stats().sent, 4);
}

#[tokio::test]
async fn we_tell_libzmq_a_topic_once_however_often_it_is_subscribed_to() {
    let place = Place::ipc();
    let publisher = Libzmq::new(zmq::XPUB);
    // A verbose XPUB also passes on changes without effect.
    publisher.set(|socket| socket.set_xpub_verbose(true));
    publisher.bind(&place.endpoint).await;
    let subscriber = place.subscriber("A");
    subscriber.subscribe("A");
    subscriber.connect(&place.endpoint).expect("it can be dialled");
    assert_eq!(publisher.receive().await, b"\x01A");
    subscriber.subscribe("A");
    for _ in 0..2 {
        assert!(subscriber.unsubscribe("A"));
    }
    subscriber.subscribe("B");
    assert_eq!(publisher.receive().await, b"\x01B", "A was told once, and is still wanted");
    assert!(subscriber.unsubscribe("A"));
    assert_eq!(publisher.receive().await, b"\0A");
    assert!(!subscriber.unsubscribe("A"));
}

/// libzmq's SUB sends each of its subscriptions and only the last unsubscription.
#[tokio::test]
async fn libzmq_that_subscribes_twice_is_over_served_by_default_and_filters_itself() {
    let (publisher, subscriber) = our_publisher(PubOptions::new()).await;
    subscribe_twice_and_leave(&publisher, &subscriber).await;
    for message in ["A1", "B1"] {
        publisher.send(message).await.expect("it is open");
    }
    assert_eq!(subscriber.receive().await, b"B1", "libzmq lets nothing else through");
    eventually("both messages to go out", || publisher.stats().sent == 2).await;
}

#[tokio::test]
async fn libzmq_that_subscribes_twice_is_served_exactly_where_duplicates_are_a_set() {
    let options = PubOptions::new().duplicate_subscriptions(Duplicates::AsSet);
    let (publisher, subscriber) = our_publisher(options).await;
    let mut monitor = publisher.monitor();
    subscribe_twice_and_leave(&publisher, &subscriber).await;
    assert_eq!(unsubscribed(&mut monitor).await, "A");
    for message in ["A1", "B1"] {
        publisher.send(message).await.expect("it is open");
    }
    assert_eq!(subscriber.receive().await, b"B1");
    assert_eq!(publisher.stats().sent, 1);
}

/// Returns when the publisher has received all of it.
async fn subscribe_twice_and_leave(publisher: &PubSocket, subscriber: &Libzmq) {
    for _ in 0..2 {
        subscriber.subscribe("A").await;
    }
    wanted(publisher, "A").await;
    for _ in 0..2 {
        subscriber.unsubscribe("A").await;
    }
    subscriber.subscribe("B").await;
    wanted(publisher, "B").await;
}

#[tokio::test]
async fn none_of_5000_subscriptions_to_libzmq_is_lost_before_or_after_it_connects_or_again() {
    let place = Place::tcp();
    let publisher = Libzmq::new(zmq::XPUB);
    publisher.bind(&place.endpoint).await;
    let mut subscriber = place.subscriber("00000");
    let later = 2500;
    (1..later).for_each(|zipcode| subscriber.subscribe(format!("{zipcode:05}")));
    subscriber.connect(&place.endpoint).expect("it can be dialled");
    let mut counted = BTreeSet::from([publisher.receive().await]);
    (later..5000).for_each(|zipcode| subscriber.subscribe(format!("{zipcode:05}")));
    let all = (0..5000).map(|zipcode| format!("\x01{zipcode:05}").into_bytes()).collect();
    count_to_5000(&publisher, &mut counted).await;
    assert!(counted == all, "libzmq was told something else");

    publisher.close().await;
    let publisher = Libzmq::new(zmq::XPUB);
    publisher.bind(&place.endpoint).await;
    counted.clear();
    count_to_5000(&publisher, &mut counted).await;
    assert!(counted == all, "libzmq was told something else the second time");
    for zipcode in (0..5000).step_by(7) {
        publisher.send(format!("{zipcode:05} 27 33")).await;
        assert_eq!(receive_text(&mut subscriber).await, format!("{zipcode:05} 27 33"));
    }
}

async fn count_to_5000(publisher: &Libzmq, counted: &mut BTreeSet<Vec<u8>>) {
    while counted.len() < 5000 {
        let subscription = publisher.receive().await;
        assert!(counted.insert(subscription.clone()), "{subscription:?} is told once");
    }
}

/// A proxy's XSUB forwards subscriptions as messages, `01topic`, whatever the peer announces.
#[tokio::test]
async fn subscriptions_and_messages_pass_through_a_proxy_of_libzmq() {
    let place = Place::tcp();
    let proxy = Proxy::start();
    let publisher = place.publisher();
    let mut monitor = publisher.monitor();
    publisher.connect(proxy.for_publishers()).expect("it can be dialled");
    let mut subscriber = place.subscriber("10001");
    subscriber.connect(proxy.for_subscribers()).expect("it can be dialled");
    assert_eq!(subscribed(&mut monitor).await, "10001");

    let long = topic(16 << 10);
    subscriber.subscribe(&long);
    assert_eq!(subscribed(&mut monitor).await, long);
    publisher.send("10002 1").await.expect("it is open");
    publisher.send(&long[..]).await.expect("it is open");
    publisher.send("10001 2").await.expect("it is open");
    assert_eq!(receive(&mut subscriber).await.first(), &long[..]);
    assert_eq!(receive_text(&mut subscriber).await, "10001 2");

    assert!(subscriber.unsubscribe("10001"));
    assert_eq!(unsubscribed(&mut monitor).await, "10001");
    drop(subscriber);
    assert_eq!(unsubscribed(&mut monitor).await, long, "the proxy notices who is gone");
    assert_eq!(publisher.subscriber_count(), 0);
}

#[tokio::test]
async fn the_xsub_of_a_proxy_subscribes_to_our_bound_publisher() {
    let place = Place::ipc();
    let publisher = place.publisher();
    publisher.bind(&place.endpoint).await.expect("it is free");
    let mut monitor = publisher.monitor();
    let proxy = Libzmq::new(zmq::XSUB);
    proxy.connect(&place.endpoint).await;
    for length in LENGTHS {
        let topic = topic(length);
        proxy.send(told(1, &topic)).await;
        assert_eq!(subscribed(&mut monitor).await, topic);
        publisher.send(&topic[..]).await.expect("it is open");
        assert_eq!(proxy.receive().await, topic);
        proxy.send(told(0, &topic)).await;
        assert_eq!(unsubscribed(&mut monitor).await, topic);
    }
}
