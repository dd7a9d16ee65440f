//! PLAIN between libzmq and us: names and passwords, right and wrong, checked by either side.

use zmtp_codec::Error;
use zmtp_socket::{Event, Monitor, PlainUsers, PubOptions, Reason, SubOptions};
use zmtp_tests::guard::{Guard, introduce};
use zmtp_tests::libzmq::{Libzmq, meet};
use zmtp_tests::story::{Place, event, gone, receive_text, wanted};

/// The user that is let in, and its password.
const USER: &str = "weather";
const PASSWORD: &str = "27 33";

/// Names and passwords that are refused.
const WRONG: [(&str, &str); 4] =
    [(USER, "27 34"), ("Weather", PASSWORD), (USER, "27 3"), (PASSWORD, USER)];

fn users() -> PlainUsers {
    right()
        .into_iter()
        .fold(PlainUsers::new(), |users, (user, password)| users.user(user, password))
}

/// The same, as libzmq has them checked, as long as the guard lives.
async fn guard(server: &Libzmq) -> Guard {
    Guard::of(server, right().into()).await
}

/// Two users; the name and the password of the second are the longest of PLAIN, and take a long frame.
fn right() -> [(String, String); 2] {
    [(USER.to_owned(), PASSWORD.to_owned()), ("u".repeat(255), "p".repeat(255))]
}

#[tokio::test]
async fn our_subscriber_is_let_in_by_a_publisher_of_libzmq() {
    let place = Place::tcp();
    let publisher = Libzmq::new(zmq::PUB);
    let _guard = guard(&publisher).await;
    publisher.bind(&place.endpoint).await;
    for (user, password) in right() {
        let options = SubOptions::new().plain_client(user, password);
        let mut subscriber = place.context.sub_socket(options);
        subscriber.connect(&place.endpoint).expect("it can be dialled");
        subscriber.subscribe("10001");
        meet(&publisher, &mut subscriber, "10001").await;
        publisher.send("10001 -3 50").await;
        assert_eq!(receive_text(&mut subscriber).await, "10001 -3 50");
    }
}

#[tokio::test]
async fn our_publisher_is_let_in_by_a_subscriber_of_libzmq() {
    let place = Place::tcp();
    let subscriber = Libzmq::new(zmq::SUB);
    let _guard = guard(&subscriber).await;
    subscriber.subscribe("10001").await;
    subscriber.bind(&place.endpoint).await;
    for (user, password) in right() {
        let publisher = place.context.pub_socket(PubOptions::new().plain_client(user, password));
        publisher.connect(&place.endpoint).expect("it can be dialled");
        wanted(&publisher, "10001").await;
        publisher.send("10001 -3 50").await.expect("it is open");
        assert_eq!(subscriber.receive().await, b"10001 -3 50");
    }
}

#[tokio::test]
async fn our_publisher_lets_a_subscriber_of_libzmq_in_and_knows_its_name() {
    let place = Place::tcp();
    let publisher = place.context.pub_socket(PubOptions::new().plain_server(users()));
    let mut monitor = publisher.monitor();
    publisher.bind(&place.endpoint).await.expect("it is free");
    for (user, password) in right() {
        let subscriber = Libzmq::new(zmq::SUB);
        introduce(&subscriber, &user, &password);
        subscriber.subscribe("10001").await;
        subscriber.connect(&place.endpoint).await;
        let username = event(&mut monitor, "a handshake", |event| match event {
            Event::HandshakeSucceeded { info, .. } => Some(info.username.clone()),
            _ => None,
        });
        assert_eq!(username.await.expect("PLAIN has a name"), user);
        wanted(&publisher, "10001").await;
        publisher.send("10001 -3 50").await.expect("it is open");
        assert_eq!(subscriber.receive().await, b"10001 -3 50");
        subscriber.close().await;
        gone(&mut monitor).await;
    }
}

#[tokio::test]
async fn our_subscriber_lets_a_publisher_of_libzmq_in() {
    let place = Place::tcp();
    let mut subscriber = place.context.sub_socket(SubOptions::new().plain_server(users()));
    subscriber.subscribe("10001");
    subscriber.bind(&place.endpoint).await.expect("it is free");
    for (user, password) in right() {
        let publisher = Libzmq::new(zmq::PUB);
        introduce(&publisher, &user, &password);
        publisher.connect(&place.endpoint).await;
        meet(&publisher, &mut subscriber, "10001").await;
        publisher.send("10001 -3 50").await;
        assert_eq!(receive_text(&mut subscriber).await, "10001 -3 50");
        publisher.close().await;
    }
}

#[tokio::test]
async fn we_park_an_endpoint_whose_libzmq_refuses_our_password() {
    let place = Place::tcp();
    let publisher = Libzmq::new(zmq::PUB);
    let _guard = guard(&publisher).await;
    publisher.bind(&place.endpoint).await;
    let other_place = Place::tcp();
    let other = Libzmq::new(zmq::SUB);
    let _other_guard = guard(&other).await;
    other.bind(&other_place.endpoint).await;

    for (user, password) in WRONG {
        let options = SubOptions::new().plain_client(user, password);
        let subscriber = place.context.sub_socket(options);
        let mut monitor = subscriber.monitor();
        let endpoint = subscriber.connect(&place.endpoint).expect("it can be dialled");
        assert_parked(&mut monitor, &endpoint).await;

        let publisher = place.context.pub_socket(PubOptions::new().plain_client(user, password));
        let mut monitor = publisher.monitor();
        let endpoint = publisher.connect(&other_place.endpoint).expect("it can be dialled");
        assert_parked(&mut monitor, &endpoint).await;
    }
}

/// libzmq sends `^RROR` where RFC 23 has ERROR behind its length, 5: it means to refuse.
async fn assert_parked(monitor: &mut Monitor, expected: &zmtp_socket::Endpoint) {
    let (endpoint, reason) = event(monitor, "the refusal", |event| match event {
        Event::Parked { endpoint, reason, .. } => Some((endpoint, reason)),
        Event::HandshakeSucceeded { .. } => panic!("libzmq has let us in"),
        Event::RetryingIn { reason, .. } => panic!("dialled again after: {reason}"),
        _ => None,
    })
    .await;
    assert_eq!(&endpoint, expected);
    // RFC 27, Status Codes: 400 is for wrong credentials.
    let Reason::Protocol(Error::Refused { reason }) = reason else { panic!("{reason}") };
    assert_eq!(reason, "400");
}

#[tokio::test]
async fn libzmq_with_a_wrong_password_is_refused() {
    let place = Place::tcp();
    let publisher = place.context.pub_socket(PubOptions::new().plain_server(users()));
    let mut monitor = publisher.monitor();
    publisher.bind(&place.endpoint).await.expect("it is free");
    for (user, password) in WRONG {
        let subscriber = Libzmq::new(zmq::SUB);
        introduce(&subscriber, user, password);
        subscriber.connect(&place.endpoint).await;
        assert_denied(handshake_failed(&mut monitor).await);
    }
    assert_eq!(publisher.stats().peers, []);

    let place = Place::tcp();
    let subscriber = place.context.sub_socket(SubOptions::new().plain_server(users()));
    let mut monitor = subscriber.monitor();
    subscriber.bind(&place.endpoint).await.expect("it is free");
    for (user, password) in WRONG {
        let publisher = Libzmq::new(zmq::PUB);
        introduce(&publisher, user, password);
        publisher.connect(&place.endpoint).await;
        assert_denied(handshake_failed(&mut monitor).await);
    }
    assert_eq!(subscriber.stats().peers, []);
}

fn assert_denied(reason: Reason) {
    assert!(matches!(reason, Reason::Protocol(Error::Denied(_))), "{reason}");
}

async fn handshake_failed(monitor: &mut Monitor) -> Reason {
    event(monitor, "the refusal", |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        Event::HandshakeSucceeded { .. } => panic!("they fit not together"),
        _ => None,
    })
    .await
}

/// libzmq closes the connection in the middle of its greeting, so its mechanism may stay unknown to us.
#[tokio::test]
async fn null_and_plain_do_not_meet_and_we_keep_trying() {
    let plain = SubOptions::new().plain_client(USER, PASSWORD);
    for (options, guarded) in [(SubOptions::new(), true), (plain, false)] {
        let place = Place::tcp();
        let publisher = Libzmq::new(zmq::PUB);
        let _guard = if guarded { Some(guard(&publisher).await) } else { None };
        publisher.bind(&place.endpoint).await;
        let subscriber = place.context.sub_socket(options);
        let mut monitor = subscriber.monitor();
        subscriber.connect(&place.endpoint).expect("it can be dialled");
        for _ in 0..3 {
            handshake_failed(&mut monitor).await;
        }
    }

    let place = Place::tcp();
    let publisher = place.context.pub_socket(PubOptions::new().plain_server(users()));
    let mut monitor = publisher.monitor();
    publisher.bind(&place.endpoint).await.expect("it is free");
    let subscriber = Libzmq::new(zmq::SUB);
    subscriber.connect(&place.endpoint).await;
    handshake_failed(&mut monitor).await;
    assert_eq!(publisher.stats().peers, []);
}
