//! pyzmq, whose wheel carries a newer libzmq (4.3.5), and us. `ZMTP_PYTHON` names its Python.

use std::ffi::OsString;

use zmtp_codec::Error;
use zmtp_socket::{Event, Message, Monitor, PlainUsers, PubOptions, Reason, SubOptions, Version};
use zmtp_tests::pyzmq::{Pyzmq, python};
use zmtp_tests::story::{Place, event, gone, receive, wanted};

/// Lengths of topics that older versions of libzmq garble, and their neighbours.
const LENGTHS: [usize; 7] = [0, 1, 245, 246, 255, 256, 16 << 10];

fn topic(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place % 256) as u8).collect()
}

/// The message with parts of many lengths that is sent each way.
fn multipart() -> [Vec<u8>; 5] {
    [b"10001".to_vec(), Vec::new(), vec![0; 255], vec![b'-'; 256], vec![255; 70_000]]
}

async fn start(python: &OsString, kind: &str, how: &str, place: &Place, options: &[&str]) -> Pyzmq {
    Pyzmq::start(python, kind, how, &place.endpoint, options).await
}

#[tokio::test]
async fn pyzmq_subscribes_to_topics_of_any_length() {
    let Some(python) = python() else { return };
    let place = Place::tcp();
    let publisher = place.publisher();
    let mut monitor = publisher.monitor();
    publisher.bind(&place.endpoint).await.expect("it is free");
    let mut subscriber = start(&python, "SUB", "connect", &place, &[]).await;
    for length in LENGTHS {
        let topic = topic(length);
        subscriber.subscribe(&topic).await;
        let subscribed = subscription(&mut monitor).await;
        assert_eq!(subscribed, (true, topic.clone()), "{length} octets");
        publisher.send(&topic[..]).await.expect("it is open");
        assert_eq!(subscriber.receive().await, [&topic[..]]);
        subscriber.unsubscribe(&topic).await;
        let unsubscribed = subscription(&mut monitor).await;
        assert_eq!(unsubscribed, (false, topic), "{length} octets");
    }
}

/// Whether a subscription began or ended, and its topic.
async fn subscription(monitor: &mut Monitor) -> (bool, Vec<u8>) {
    event(monitor, "a subscription", |event| match event {
        Event::Subscribed { topic, .. } => Some((true, topic.to_vec())),
        Event::Unsubscribed { topic, .. } => Some((false, topic.to_vec())),
        Event::Disconnected { reason, .. } => panic!("cut: {reason}"),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn pyzmq_is_told_topics_of_any_length() {
    let Some(python) = python() else { return };
    for version in [Version::V3_1, Version::V3_0] {
        let place = Place::tcp();
        let mut publisher = start(&python, "XPUB", "bind", &place, &[]).await;
        let mut subscriber = place.context.sub_socket(SubOptions::new().version(version));
        subscriber.connect(&place.endpoint).expect("it can be dialled");
        for length in LENGTHS {
            let topic = topic(length);
            subscriber.subscribe(&topic);
            assert_eq!(publisher.receive().await, [[&[1][..], &topic].concat()]);
            publisher.send(&[&topic]).await;
            assert_eq!(receive(&mut subscriber).await.first(), &topic[..]);
            assert!(subscriber.unsubscribe(&topic));
            assert_eq!(publisher.receive().await, [[&[0][..], &topic].concat()]);
        }
        assert_eq!(subscriber.stats().filtered, 0);
    }
}

#[tokio::test]
async fn messages_of_many_parts_go_both_ways_and_either_side_may_bind() {
    let Some(python) = python() else { return };
    let message = Message::multipart(multipart()).expect("it has parts");
    let parts = multipart();
    let parts: Vec<&[u8]> = parts.iter().map(|part| &part[..]).collect();
    for pyzmq_binds in [true, false] {
        let how = if pyzmq_binds { "bind" } else { "connect" };
        let place = Place::tcp();
        let publisher = place.publisher();
        if !pyzmq_binds {
            publisher.bind(&place.endpoint).await.expect("it is free");
        }
        let mut peer = start(&python, "SUB", how, &place, &["subscribe=3130303031"]).await;
        if pyzmq_binds {
            publisher.connect(&place.endpoint).expect("it can be dialled");
        }
        wanted(&publisher, "10001").await;
        publisher.send(&message).await.expect("it is open");
        assert!(peer.receive().await == parts);

        let place = Place::tcp();
        let mut subscriber = place.subscriber("10001");
        if !pyzmq_binds {
            subscriber.bind(&place.endpoint).await.expect("it is free");
        }
        let mut peer = start(&python, "XPUB", how, &place, &[]).await;
        if pyzmq_binds {
            subscriber.connect(&place.endpoint).expect("it can be dialled");
        }
        assert_eq!(peer.receive().await, [b"\x0110001"]);
        peer.send(&parts).await;
        assert_eq!(receive(&mut subscriber).await, message);
    }
}

#[tokio::test]
async fn pyzmq_lets_us_in_with_the_right_password_alone() {
    let Some(python) = python() else { return };
    let place = Place::tcp();
    let guard = ["server=1", "user=weather", "password=2733"];
    let mut publisher = start(&python, "XPUB", "bind", &place, &guard).await;
    let mut subscriber =
        place.context.sub_socket(SubOptions::new().plain_client("weather", "2733"));
    subscriber.connect(&place.endpoint).expect("it can be dialled");
    subscriber.subscribe("10001");
    assert_eq!(publisher.receive().await, [b"\x0110001"]);
    publisher.send(&[b"10001 -3 50"]).await;
    assert_eq!(receive(&mut subscriber).await, Message::from("10001 -3 50"));

    let stranger = place.context.sub_socket(SubOptions::new().plain_client("weather", "2734"));
    let mut monitor = stranger.monitor();
    stranger.connect(&place.endpoint).expect("it can be dialled");
    let reason = event(&mut monitor, "the refusal", |event| match event {
        Event::Parked { reason, .. } => Some(reason),
        Event::HandshakeSucceeded { .. } => panic!("pyzmq has let us in"),
        Event::RetryingIn { reason, .. } => panic!("dialled again after: {reason}"),
        _ => None,
    });
    let reason = reason.await;
    assert!(
        matches!(&reason, Reason::Protocol(Error::Refused { reason }) if reason == "400"),
        "{reason}"
    );
}

#[tokio::test]
async fn we_let_pyzmq_in_with_the_right_password_alone() {
    let Some(python) = python() else { return };
    let place = Place::tcp();
    let users = PlainUsers::new().user("weather", "2733");
    let publisher = place.context.pub_socket(PubOptions::new().plain_server(users));
    let mut monitor = publisher.monitor();
    publisher.bind(&place.endpoint).await.expect("it is free");
    let options = ["subscribe=-", "user=weather", "password=2734"];
    let _stranger = start(&python, "SUB", "connect", &place, &options).await;
    let reason = event(&mut monitor, "the refusal", |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        Event::HandshakeSucceeded { .. } => panic!("a stranger is let in"),
        _ => None,
    });
    let reason = reason.await;
    assert!(matches!(reason, Reason::Protocol(Error::Denied(_))), "{reason}");

    let options = ["subscribe=-", "user=weather", "password=2733"];
    let mut subscriber = start(&python, "SUB", "connect", &place, &options).await;
    wanted(&publisher, "10001").await;
    publisher.send("10001 -3 50").await.expect("it is open");
    assert_eq!(subscriber.receive().await, [b"10001 -3 50"]);
    assert_eq!(publisher.subscriber_count(), 1);
}

#[tokio::test]
async fn a_publisher_of_pyzmq_that_was_killed_is_found_again() {
    let Some(python) = python() else { return };
    let place = Place::tcp();
    let mut subscriber = place.subscriber("10001");
    let mut monitor = subscriber.monitor();
    subscriber.connect(&place.endpoint).expect("it can be dialled");
    for _life in 0..3 {
        let mut publisher = start(&python, "XPUB", "bind", &place, &[]).await;
        assert_eq!(publisher.receive().await, [b"\x0110001"]);
        publisher.send(&[b"10001 -3 50"]).await;
        assert_eq!(receive(&mut subscriber).await, Message::from("10001 -3 50"));
        publisher.kill().await;
        gone(&mut monitor).await;
    }
}

#[tokio::test]
async fn a_subscriber_of_pyzmq_that_was_killed_is_found_again() {
    let Some(python) = python() else { return };
    let place = Place::tcp();
    let publisher = place.publisher();
    let mut monitor = publisher.monitor();
    publisher.connect(&place.endpoint).expect("it can be dialled");
    for _life in 0..3 {
        let options = ["subscribe=3130303031"];
        let mut subscriber = start(&python, "SUB", "bind", &place, &options).await;
        wanted(&publisher, "10001").await;
        publisher.send("10001 -3 50").await.expect("it is open");
        assert_eq!(subscriber.receive().await, [b"10001 -3 50"]);
        subscriber.kill().await;
        gone(&mut monitor).await;
        assert_eq!(publisher.subscriber_count(), 0);
    }
}
