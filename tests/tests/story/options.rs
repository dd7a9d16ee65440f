//! Options with an effect that the peer sees: limits on a peer's messages, and our announcements.

use std::future::poll_fn;
use std::pin::Pin;
use std::time::Duration;

use futures_core::Stream as _;
use tokio::time::timeout;
use zmtp_codec::{Error, ProtocolError};
use zmtp_socket::{
    Event, HighWaterMark, Message, Monitor, Overrun, PubOptions, PubSocket, PullOptions, Reason,
    SubOptions, SubSocket, Version,
};
use zmtp_tests::story::{Place, event, eventually, receive, receive_text, subscribers, wanted};
use zmtp_tests::{over, over_each_transport};

async fn end(monitor: &mut Monitor) -> Reason {
    event(monitor, "the end of a connection", |event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    })
    .await
}

over_each_transport! {
    async fn a_publisher_that_sends_too_much_at_once_is_disconnected_and_dialled_again(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let options = SubOptions::new().max_message_size(1000);
        let mut client = place.context.sub_socket(options);
        client.subscribe("");
        let mut monitor = client.monitor();
        client.connect(&*place.endpoint).unwrap();
        let mut generous = place.subscriber("");
        generous.connect(&*place.endpoint).unwrap();
        subscribers(&server, 2).await;

        let whole = Message::multipart([vec![1; 400], vec![2; 600]]).unwrap();
        server.send(&whole).await.unwrap();
        assert_eq!(receive(&mut client).await, whole, "so much it may be");
        let over = Message::multipart([vec![1; 400], vec![2; 601]]).unwrap();
        server.send(&over).await.unwrap();
        let reason = end(&mut monitor).await;
        assert!(
            matches!(
                reason,
                Reason::Protocol(Error::Protocol(ProtocolError::MessageTooLarge { size: 1001, limit: 1000 }))
            ),
            "{reason}"
        );
        eventually("its return", || client.stats().peers.len() == 1).await;
        subscribers(&server, 2).await;
        server.send("small").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "small");
        for expected in [whole, over, Message::from("small")] {
            assert_eq!(receive(&mut generous).await, expected, "a neighbour notices nothing");
        }
    }

    async fn a_subscriber_that_asks_for_too_much_is_disconnected(place: Place) {
        for (topics, octets) in [(10, 1000), (1000, 20)] {
            let options = PubOptions::new().max_subscriptions(topics).max_subscription_octets(octets);
            let server = place.context.pub_socket(options);
            let mut monitor = server.monitor();
            server.bind(&*place.endpoint).await.unwrap();
            let mut modest = place.context.sub_socket(SubOptions::new());
            // Ten topics of two octets: the most that is allowed.
            (10..20).for_each(|number| modest.subscribe(number.to_string()));
            modest.connect(&*place.endpoint).unwrap();
            wanted(&server, "19").await;
            let greedy = place.context.sub_socket(SubOptions::new());
            (20..31).for_each(|number| greedy.subscribe(number.to_string()));
            greedy.connect(&*place.endpoint).unwrap();
            let reason = end(&mut monitor).await;
            assert!(matches!(reason, Reason::Overrun(Overrun::Subscriptions { .. })), "{reason}");
            server.send("10").await.unwrap();
            assert_eq!(receive_text(&mut modest).await, "10");
            greedy.close().await;
            modest.close().await;
            server.close().await;
        }
    }

}

over! { [tcp, ipc, inproc] // ZWS has no greeting.
    async fn the_version_that_is_announced_is_the_one_asked_for(place: Place) {
        let server = place.context.pub_socket(PubOptions::new().version(Version::V3_0));
        let mut here = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("a");
        let mut there = client.monitor();
        client.connect(&*place.endpoint).unwrap();
        let version = |event| match event {
            Event::HandshakeSucceeded { info, .. } => Some(info.version),
            _ => None,
        };
        assert_eq!(event(&mut here, "the handshake", version).await, Version::V3_1);
        assert_eq!(event(&mut there, "the handshake", version).await, Version::V3_0);
        wanted(&server, "a").await;
        server.send("a 1").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "a 1");
    }
}

#[tokio::test]
async fn a_message_of_too_many_parts_ends_the_connection() {
    let place = Place::inproc();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let mut client = place.context.sub_socket(SubOptions::new().max_message_parts(3));
    client.subscribe("");
    let mut monitor = client.monitor();
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "").await;
    let whole = Message::multipart(["a", "b", "c"]).unwrap();
    server.send(&whole).await.unwrap();
    server.send(Message::multipart(["a", "b", "c", "d"]).unwrap()).await.unwrap();
    let reason = end(&mut monitor).await;
    assert!(
        matches!(
            reason,
            Reason::Protocol(Error::Protocol(ProtocolError::TooManyParts { limit: 3 }))
        ),
        "{reason}"
    );
    assert_eq!(receive(&mut client).await, whole, "what came before it is received");
}

#[tokio::test]
async fn options_that_cannot_work_are_found_at_bind_and_connect() {
    let place = Place::inproc();
    let long = "x".repeat(256);
    let server = place.context.pub_socket(PubOptions::new().plain_client(long.clone(), "b"));
    let error = server.bind(&*place.endpoint).await.unwrap_err();
    assert!(error.to_string().contains("256"), "{error}");
    let client = place.context.sub_socket(SubOptions::new().plain_client("a", long));
    let error = client.connect(&*place.endpoint).unwrap_err();
    assert!(error.to_string().contains("256"), "{error}");
}

#[tokio::test]
async fn what_no_buffer_of_the_system_takes_stays_in_the_publishers_queue() {
    const SMALL: u32 = 4 << 10;
    // The most that Linux grants, unless it is set to grant less.
    const LARGE: u32 = 208 << 10;
    for publisher_binds in [true, false] {
        for (send, receive) in [(LARGE, SMALL), (SMALL, LARGE)] {
            let cramped = publish_to_nobody_awake(SMALL, SMALL, publisher_binds).await;
            let roomy = publish_to_nobody_awake(send, receive, publisher_binds).await;
            let queued = |(publisher, _): &(PubSocket, SubSocket)| publisher.stats().queued;
            eventually("all to be on its way", || queued(&roomy) == 0).await;
            // It was published to first, so its queue would be empty by now.
            assert!(queued(&cramped) > 0, "binds: {publisher_binds}, roomy: {send}, {receive}");
        }
    }
}

/// A publisher with this send buffer that has just sent 128 KiB, and its subscriber with this
/// receive buffer, which does not receive.
async fn publish_to_nobody_awake(
    send_buffer: u32,
    receive_buffer: u32,
    publisher_binds: bool,
) -> (PubSocket, SubSocket) {
    let place = Place::tcp();
    let options = PubOptions::new().send_buffer(send_buffer);
    let publisher = place.context.pub_socket(options);
    let mark = HighWaterMark::messages(1);
    let options = SubOptions::new().receive_buffer(receive_buffer).receive_hwm(mark);
    let subscriber = place.context.sub_socket(options);
    subscriber.subscribe("");
    if publisher_binds {
        publisher.bind(&*place.endpoint).await.unwrap();
        subscriber.connect(&*place.endpoint).unwrap();
    } else {
        subscriber.bind(&*place.endpoint).await.unwrap();
        publisher.connect(&*place.endpoint).unwrap();
    }
    wanted(&publisher, "").await;
    for _ in 0..16 {
        publisher.send(&[7; 8 << 10]).await.unwrap();
    }
    (publisher, subscriber)
}

#[tokio::test]
async fn only_a_socket_that_may_spin_looks_for_a_message_that_nobody_has_reported() {
    for spin in [true, false] {
        let place = Place::tcp();
        let mut socket = place.context.socket(PullOptions::new().spin(spin));
        socket.bind(&*place.endpoint).await.unwrap();
        let looking = tokio::spawn(async move {
            let mut looks = 0;
            let receiving = poll_fn(|cx| {
                looks += 1;
                Pin::new(&mut socket).poll_next(cx)
            });
            assert!(timeout(Duration::from_millis(20), receiving).await.is_err());
            looks
        });
        let looks = looking.await.unwrap();
        // The first one, and one when the time is over.
        assert_eq!(looks > 2, spin, "it looked {looks} times");
    }
}
