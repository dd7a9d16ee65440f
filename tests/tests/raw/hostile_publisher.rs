//! Peers that break the protocol as publishers to our SUB: it reconnects with all its subscriptions, and
//! no other peer is affected.

use std::time::Duration;

use zmtp_socket::{Event, Monitor, Reconnect, SubOptions, SubSocket};
use zmtp_tests::raw::breach::{self, Stage};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{READY_PUB, READY_SUB, RawListener, RawPeer, end_of, in_time};

/// The subscriptions that a SUB to "b", "a" and "neighbour" sends to a publisher of 3.1.
const SUBSCRIPTIONS: &[u8] = b"\x04\x0B\x09SUBSCRIBEb\x04\x0B\x09SUBSCRIBEa\
    \x04\x13\x09SUBSCRIBEneighbour";

/// Comes back within milliseconds.
fn eager() -> SubOptions {
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
    SubOptions::new().reconnect(Reconnect::new(initial, max))
}

/// A SUB with the subscriptions above, some of them made twice, that has dialled `listener`.
fn subscriber(listener: &RawListener, options: SubOptions) -> SubSocket {
    let subscriber = SubSocket::with_options(options);
    for topic in ["b", "a", "b", "neighbour"] {
        subscriber.subscribe(topic);
    }
    subscriber.connect(listener.endpoint()).unwrap();
    subscriber
}

/// Takes the next connection as a correct publisher, which gets every subscription once and in order,
/// before anything else.
async fn serve(listener: &RawListener) -> RawPeer {
    let mut peer = listener.publisher().await;
    peer.expect(SUBSCRIPTIONS).await;
    peer
}

#[tokio::test]
async fn after_each_breach_the_subscriber_comes_back_and_says_all_it_wants_once_and_in_order() {
    let listener = RawListener::bind().await;
    let mut subscriber = subscriber(&listener, eager());
    let mut neighbour = Neighbour::publisher(&subscriber).await;
    for breach in breach::all("SUB") {
        println!("{}", breach.name);
        let mut monitor = subscriber.monitor();
        let mut peer = listener.accept().await;
        breach.approach(&mut peer, READY_PUB, READY_SUB).await;
        if breach.stage == Stage::Traffic {
            peer.expect(SUBSCRIPTIONS).await;
        }
        neighbour.send().await;
        breach.commit(&mut peer).await;
        neighbour.send().await;
        drop(peer);
        let end = end_of(&mut monitor, &listener.address()).await;
        end.expect(breach.stage == Stage::Traffic, breach.rule);
        neighbour.receive_all(&mut subscriber).await;

        let mut peer = serve(&listener).await;
        peer.send(b"\x00\x02a1").await;
        assert_eq!(in_time("a message", subscriber.recv()).await.unwrap().first(), "a1");
        assert_eq!(peer.finish().await, b"");
    }
}

#[tokio::test]
async fn messages_before_a_breach_are_received() {
    let listener = RawListener::bind().await;
    let mut subscriber = subscriber(&listener, eager());
    for _ in 0..3 {
        let mut peer = serve(&listener).await;
        peer.send(b"\x00\x02a1\x00\x02a2\x01\x02a3\x08\x00\x00\x02a4").await;
        assert_eq!(peer.heard_to_end().await, b"");
        drop(peer);
        for expected in ["a1", "a2"] {
            assert_eq!(in_time("a message", subscriber.recv()).await.unwrap().first(), expected);
        }
    }
    assert!(subscriber.try_recv().is_err());
}

/// A whole conversation of a publisher of 3.1, with three messages.
const CONVERSATION: &[u8; 112] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB\
    \x00\x02a1\
    \x01\x01a\x00\x012\
    \x02\0\0\0\0\0\0\0\x02a3";

/// The number of messages that are whole in its first `octets`.
fn whole_messages(octets: usize) -> usize {
    [95, 101, 112].into_iter().filter(|&end| end <= octets).count()
}

#[tokio::test]
async fn cut_after_any_octet_the_subscriber_has_each_whole_message_and_comes_back() {
    let listener = RawListener::bind().await;
    let mut subscriber = subscriber(&listener, eager());
    for cut in 0..=CONVERSATION.len() {
        let mut monitor = subscriber.monitor();
        let mut peer = listener.accept().await;
        peer.send(&CONVERSATION[..cut]).await;
        peer.finish().await;
        drop(peer);
        let end = end_of(&mut monitor, &listener.address()).await;
        end.expect(cut >= 91, "the peer closed the connection");
        let whole = whole_messages(cut);
        for expected in [&["a1"][..], &["a", "2"], &["a3"]].iter().take(whole) {
            let message = subscriber.try_recv().expect("whole messages were there before the end");
            assert_eq!(message.parts(), *expected, "cut after {cut} octets");
        }
        assert!(subscriber.try_recv().is_err(), "cut after {cut} octets");
        let mut peer = serve(&listener).await;
        peer.finish().await;
    }
}

#[tokio::test]
async fn reset_after_any_octet_the_subscriber_comes_back() {
    let listener = RawListener::bind().await;
    let mut subscriber = subscriber(&listener, eager());
    let mut monitor = subscriber.monitor();
    for cut in 0..=CONVERSATION.len() {
        let mut peer = listener.accept().await;
        peer.send(&CONVERSATION[..cut]).await;
        peer.reset();
        // The event of a lost connection may be missing: one that is reset at once need not have been
        // made.
        let event = decision(&mut monitor).await;
        assert!(matches!(event, Event::RetryingIn { .. }), "{event:?}");
        // A reset may overtake octets: earlier messages may be missing, but must be in order.
        let received = std::iter::from_fn(|| subscriber.try_recv().ok());
        let received: Vec<_> = received.map(|message| message.first().clone()).collect();
        assert!(received.len() <= whole_messages(cut));
        assert!(["a1", "a", "a3"].map(|topic| topic.into()).starts_with(&received));
        serve(&listener).await.reset();
        let event = decision(&mut monitor).await;
        let Event::RetryingIn { reason, .. } = event else { panic!("{event:?}") };
        assert!(reason.to_string().contains("reset by peer"), "{reason}");
    }
}

/// Waits until a connection has ended or could not be made, and returns the event that decides whether
/// the endpoint is dialled again.
async fn decision(monitor: &mut Monitor) -> Event {
    in_time("a decision on dialling again", async {
        loop {
            let event = monitor.next().await.unwrap();
            if matches!(event, Event::Parked { .. } | Event::RetryingIn { .. }) {
                return event;
            }
        }
    })
    .await
}

#[tokio::test]
async fn refused_with_error_the_endpoint_is_parked_until_connect_is_repeated() {
    let listener = RawListener::bind().await;
    let subscriber = subscriber(&listener, eager());
    for in_traffic in [false, true] {
        let mut monitor = subscriber.monitor();
        let mut peer = listener.accept().await;
        peer.open(if in_traffic { READY_PUB } else { b"" }, READY_SUB).await;
        if in_traffic {
            peer.expect(SUBSCRIPTIONS).await;
        }
        peer.send(b"\x04\x0A\x05ERROR\x03400").await;
        peer.expect_closed().await;
        drop(peer);
        let event = decision(&mut monitor).await;
        let Event::Parked { endpoint, reason, .. } = event else { panic!("not parked: {event:?}") };
        assert_eq!(endpoint.to_string(), listener.endpoint());
        assert_eq!(reason.to_string(), "the peer refused the connection: \"400\"");
        // Another endpoint is lost and dialled again many times meanwhile.
        let other = RawListener::bind().await;
        let other_endpoint = subscriber.connect(other.endpoint()).unwrap();
        for _ in 0..20 {
            serve(&other).await.finish().await;
        }
        subscriber.disconnect(&other_endpoint).await.unwrap();
        while let Some(event) = monitor.try_next() {
            if let Event::Connected { peer, .. } = event {
                assert_ne!(peer.address(), listener.address(), "dialled although parked");
            }
        }
        subscriber.connect(listener.endpoint()).unwrap();
        serve(&listener).await.finish().await;
    }
}

#[tokio::test]
async fn refused_with_error_the_endpoint_is_dialled_again_where_the_option_says_so() {
    let listener = RawListener::bind().await;
    let subscriber = subscriber(&listener, eager().retry_refused(true));
    let mut monitor = subscriber.monitor();
    for _ in 0..3 {
        let mut peer = listener.accept().await;
        peer.open(b"\x04\x0A\x05ERROR\x03400", READY_SUB).await;
        peer.expect_closed().await;
        drop(peer);
        let event = decision(&mut monitor).await;
        let Event::RetryingIn { delay, reason, .. } = event else { panic!("{event:?}") };
        assert!(delay <= Duration::from_millis(2));
        assert_eq!(reason.to_string(), "the peer refused the connection: \"400\"");
    }
    serve(&listener).await;
}

#[tokio::test]
async fn thousands_of_subscriptions_are_all_told_on_every_connection() {
    let listener = RawListener::bind().await;
    let subscriber = SubSocket::with_options(eager());
    let mut expected = Vec::new();
    for number in 0..8000 {
        let topic = format!("{number:05}");
        subscriber.subscribe(&topic);
        expected.extend_from_slice(b"\x04\x0F\x09SUBSCRIBE");
        expected.extend_from_slice(topic.as_bytes());
    }
    subscriber.connect(listener.endpoint()).unwrap();
    for _ in 0..3 {
        let mut peer = listener.publisher().await;
        // A PING in the middle of the subscriptions is answered between two of them.
        peer.send(b"\x04\x07\x04PING\0\0").await;
        let mut told = Vec::new();
        for _ in 0..8001 {
            let (flags, body) = peer.frame().await;
            assert_eq!(flags, 0x04);
            if body != b"\x04PONG" {
                told.extend_from_slice(&[0x04, 0x0F]);
                told.extend(body);
            }
        }
        assert!(told == expected, "subscriptions were lost, repeated or out of order");
        peer.send(b"\x08\x00").await;
        peer.expect_closed().await;
    }
}

#[tokio::test]
async fn subscriptions_changed_while_nobody_is_there_are_told_on_the_next_connection() {
    let listener = RawListener::bind().await;
    let subscriber = subscriber(&listener, eager());
    let mut monitor = subscriber.monitor();
    serve(&listener).await.finish().await;
    end_of(&mut monitor, &listener.address()).await.expect(true, "the peer closed");
    subscriber.unsubscribe("a");
    subscriber.unsubscribe("b");
    subscriber.subscribe("c");
    // "b" was subscribed to twice, and keeps its place.
    let mut peer = listener.publisher().await;
    peer.expect(b"\x04\x0B\x09SUBSCRIBEb\x04\x13\x09SUBSCRIBEneighbour\x04\x0B\x09SUBSCRIBEc")
        .await;
}
