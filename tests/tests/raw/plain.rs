//! PLAIN (RFC 24) octet by octet: our sockets as server and as client.

use std::time::Duration;

use zmtp_socket::{
    Endpoint, Event, PlainUsers, PubOptions, PubSocket, Reconnect, SubOptions, SubSocket,
};
use zmtp_tests::raw::{ANY_PORT, GREETING, RawListener, RawPeer, end_of, eventually, in_time};

const GREETING_CLIENT: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01PLAIN\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const GREETING_SERVER: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01PLAIN\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\x01\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

const HELLO: &[u8] = b"\x04\x13\x05HELLO\x05admin\x06secret";
const WELCOME: &[u8] = b"\x04\x08\x07WELCOME";
const INITIATE_SUB: &[u8] = b"\x04\x1C\x08INITIATE\x0BSocket-Type\0\0\0\x03SUB";
const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB";

async fn server() -> (PubSocket, Endpoint) {
    let users = PlainUsers::new().user("admin", "secret").user("", "");
    let publisher = PubSocket::with_options(PubOptions::new().plain_server(users));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    (publisher, endpoint)
}

fn client(listener: &RawListener, options: SubOptions) -> SubSocket {
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
    let options = options.plain_client("admin", "secret").reconnect(Reconnect::new(initial, max));
    let subscriber = SubSocket::with_options(options);
    subscriber.subscribe("A");
    subscriber.connect(listener.endpoint()).unwrap();
    subscriber
}

#[tokio::test]
async fn a_client_that_gives_the_right_password_is_let_in() {
    let (publisher, endpoint) = server().await;
    for hello in [HELLO, b"\x04\x08\x05HELLO\0\0"] {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.expect(GREETING_SERVER).await;
        peer.send(GREETING_CLIENT).await;
        peer.send(hello).await;
        peer.expect(WELCOME).await;
        peer.send(INITIATE_SUB).await;
        peer.expect(READY_PUB).await;
        peer.subscribe("A").await;
        in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
        publisher.send("A").await.unwrap();
        peer.expect(b"\x00\x01A").await;
    }
}

#[tokio::test]
async fn another_server_is_closed_by_its_greeting_and_another_client_by_its_hello() {
    let (publisher, endpoint) = server().await;
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send(GREETING_SERVER).await;
    peer.expect(GREETING_SERVER).await;
    peer.expect_closed().await;
    let address = peer.address();
    drop(peer);
    end_of(&mut monitor, &address).await.expect(false, "both sides are servers of PLAIN");

    let listener = RawListener::bind().await;
    let subscriber = client(&listener, SubOptions::new());
    let mut monitor = subscriber.monitor();
    let mut peer = listener.accept().await;
    peer.send([GREETING_CLIENT, HELLO].concat()).await;
    peer.expect([&GREETING_CLIENT[..], HELLO].concat()).await;
    peer.expect_closed().await;
    drop(peer);
    let end = end_of(&mut monitor, &listener.address()).await;
    end.expect(false, "expected WELCOME, got the command HELLO");
}

#[tokio::test]
async fn a_client_that_says_everything_in_one_segment_is_let_in() {
    let (publisher, endpoint) = server().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    let all = [&GREETING_CLIENT[..], HELLO, INITIATE_SUB, b"\x04\x0B\x09SUBSCRIBEA"];
    peer.send(all.concat()).await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    publisher.send("A").await.unwrap();
    peer.expect([&GREETING_SERVER[..], WELCOME, READY_PUB, b"\x00\x01A"].concat()).await;
}

#[tokio::test]
async fn who_is_not_let_in_hears_400_and_is_closed_before_anything_else_is_read() {
    let (publisher, endpoint) = server().await;
    let rows: [&[u8]; 5] = [
        b"\x04\x13\x05HELLO\x05admin\x06Secret",
        b"\x04\x12\x05HELLO\x05admin\x05secre",
        b"\x04\x0D\x05HELLO\x05admin\x00",
        b"\x04\x13\x05HELLO\x06secret\x05admin",
        b"\x04\x0A\x05HELLO\x01\x00\x01\x00",
    ];
    for hello in rows {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        let rest = [INITIATE_SUB, b"\x04\x0B\x09SUBSCRIBEA"].concat();
        peer.send([GREETING_CLIENT, hello, &rest].concat()).await;
        peer.expect(GREETING_SERVER).await;
        peer.expect(b"\x04\x0A\x05ERROR\x03400").await;
        peer.expect_closed().await;
        let address = peer.address();
        drop(peer);
        let end = end_of(&mut monitor, &address).await;
        end.expect(false, "the peer was not let in: 400 authentication failure");
        assert_eq!(publisher.subscriber_count(), 0);
    }
}

#[tokio::test]
async fn a_client_that_breaks_the_mechanism_is_closed_and_the_neighbour_is_not() {
    let rows: [(&[u8], &[u8], &str); 9] = [
        (b"\x04\x0B\x05HELLO\x05admi", b"", "malformed HELLO command: it is cut short"),
        (b"\x04\x06\x05HELLO", b"", "malformed HELLO command: it is cut short"),
        (b"\x04\x09\x05HELLO\0\0\0", b"", "malformed HELLO command: octets are left over"),
        (INITIATE_SUB, b"", "expected HELLO, got the command INITIATE"),
        (WELCOME, b"", "expected HELLO, got the command WELCOME"),
        (READY_PUB, b"", "expected HELLO, got the command READY"),
        (b"\x00\x02\x01A", b"", "expected a command of the handshake, got a message"),
        (
            b"\x04\x08\x05HELLO\0\0\x04\x08\x05HELLO\0\0",
            WELCOME,
            "expected INITIATE, got the command HELLO",
        ),
        (
            b"\x04\x08\x05HELLO\0\0\x04\x1C\x08INITIATE\x0BSocket-Type\0\0\0\x03PUB",
            b"\x04\x08\x07WELCOME\x04\x1A\x05ERROR\x13Invalid socket type",
            "a PUB socket cannot be connected to a socket of type \"PUB\"",
        ),
    ];
    let (publisher, endpoint) = server().await;
    let mut friend = RawPeer::dial(&endpoint).await;
    let all = [&GREETING_CLIENT[..], HELLO, INITIATE_SUB, b"\x04\x0B\x09SUBSCRIBEA"];
    friend.send(all.concat()).await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    for (sends, hears, rule) in rows {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(GREETING_CLIENT).await;
        peer.expect(GREETING_SERVER).await;
        peer.send(sends).await;
        peer.expect(hears).await;
        peer.expect_closed().await;
        publisher.send("A").await.unwrap();
        let address = peer.address();
        drop(peer);
        end_of(&mut monitor, &address).await.expect(false, rule);
    }
    friend.expect([&GREETING_SERVER[..], WELCOME, READY_PUB].concat()).await;
    friend.expect(b"\x00\x01A".repeat(rows.len())).await;
}

#[tokio::test]
async fn strangers_that_stop_wherever_they_like_hold_up_nobody_who_knows_the_password() {
    // A wait for their deadline would take longer than any step here may take.
    let options = PubOptions::new().handshake_timeout(Duration::from_secs(3600));
    let users = PlainUsers::new().user("admin", "secret");
    let publisher = PubSocket::with_options(options.plain_server(users));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut monitor = publisher.monitor();
    let conversation = [GREETING_CLIENT, HELLO, INITIATE_SUB].concat();
    // Nothing, half a greeting, the greeting, half of HELLO, HELLO, half of INITIATE.
    let stops = [0, 30, 64, 74, 64 + HELLO.len(), conversation.len() - 10];
    let mut stalled = Vec::new();
    for number in 0..300 {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(&conversation[..stops[number % stops.len()]]).await;
        stalled.push(peer);
        if number % 50 == 49 {
            let mut newcomer = RawPeer::dial(&endpoint).await;
            newcomer.send(&conversation).await;
            newcomer.subscribe("A").await;
            in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
            publisher.send("A").await.unwrap();
            let expected = [&GREETING_SERVER[..], WELCOME, READY_PUB, b"\x00\x01A"];
            newcomer.expect(expected.concat()).await;
            newcomer.finish().await;
            eventually("it has gone", || publisher.subscriber_count() == 0).await;
        }
    }
    // No peer was refused to make room for another.
    while let Some(event) = monitor.try_next() {
        assert!(!matches!(event, Event::HandshakeFailed { .. }), "{event:?}");
    }
    for peer in &mut stalled {
        peer.expect(GREETING_SERVER).await;
    }
}

#[tokio::test]
async fn a_peer_of_another_mechanism_hears_only_our_greeting() {
    let (publisher, endpoint) = server().await;
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send(GREETING).await;
    peer.expect(GREETING_SERVER).await;
    peer.expect_closed().await;
    let address = peer.address();
    drop(peer);
    let end = end_of(&mut monitor, &address).await;
    end.expect(false, "our security mechanism is PLAIN, the peer's is NULL");
}

#[tokio::test]
async fn as_a_client_we_say_hello_and_initiate_and_then_subscribe() {
    let listener = RawListener::bind().await;
    let mut subscriber = client(&listener, SubOptions::new());
    // libzmq's server does not announce that it is one.
    for greeting in [GREETING_SERVER, GREETING_CLIENT] {
        let mut peer = listener.accept().await;
        peer.expect(GREETING_CLIENT).await;
        peer.send(greeting).await;
        peer.expect(HELLO).await;
        peer.send(WELCOME).await;
        peer.expect(INITIATE_SUB).await;
        peer.send(READY_PUB).await;
        peer.expect(b"\x04\x0B\x09SUBSCRIBEA").await;
        peer.send(b"\x00\x01A").await;
        assert_eq!(in_time("a message", subscriber.recv()).await.unwrap().first(), "A");
    }
}

#[tokio::test]
async fn as_a_client_we_do_not_knock_again_where_the_password_was_refused() {
    let listener = RawListener::bind().await;
    let subscriber = client(&listener, SubOptions::new());
    let mut monitor = subscriber.monitor();
    let mut peer = listener.accept().await;
    peer.send(GREETING_SERVER).await;
    peer.expect(GREETING_CLIENT).await;
    peer.expect(HELLO).await;
    peer.send(b"\x04\x0A\x05ERROR\x03400").await;
    peer.expect_closed().await;
    drop(peer);
    in_time("parked", async {
        loop {
            match monitor.next().await.unwrap() {
                Event::Parked { .. } => break,
                Event::RetryingIn { .. } => panic!("dialled again after a refusal"),
                _ => {}
            }
        }
    })
    .await;
    // After another call to `connect`, the endpoint is dialled again.
    subscriber.connect(listener.endpoint()).unwrap();
    listener.accept().await.expect(GREETING_CLIENT).await;
}

#[tokio::test]
async fn a_server_that_breaks_the_mechanism_is_dialled_again() {
    let rows: [(&[u8], &str); 4] = [
        (READY_PUB, "expected WELCOME, got the command READY"),
        (b"\x04\x09\x07WELCOME\0", "malformed WELCOME command: octets are left over"),
        (INITIATE_SUB, "expected WELCOME, got the command INITIATE"),
        (b"\x00\x01A", "expected a command of the handshake, got a message"),
    ];
    let listener = RawListener::bind().await;
    let subscriber = client(&listener, SubOptions::new());
    for (sends, rule) in rows {
        let mut monitor = subscriber.monitor();
        let mut peer = listener.accept().await;
        peer.send(GREETING_SERVER).await;
        peer.expect(GREETING_CLIENT).await;
        peer.expect(HELLO).await;
        peer.send(sends).await;
        peer.expect_closed().await;
        drop(peer);
        end_of(&mut monitor, &listener.address()).await.expect(false, rule);
    }
    listener.accept().await.expect(GREETING_CLIENT).await;
}
