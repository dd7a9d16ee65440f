//! The metadata that each socket type announces, and the peers that it accepts (RFC 37, The
//! Socket-Type Property and The Identity Property).

use std::sync::Arc;
use std::time::Duration;

use zmtp_codec::{Config, Connection, Error, Event, Mismatch, SocketType, Subscription};

const GREETING: &[u8] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// READY of each type.
const READIES: [(&str, &[u8]); 20] = [
    ("REQ", b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REQ"),
    ("REP", b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP"),
    ("DEALER", b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06DEALER"),
    ("ROUTER", b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06ROUTER"),
    ("PUB", b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB"),
    ("XPUB", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04XPUB"),
    ("SUB", b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB"),
    ("XSUB", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04XSUB"),
    ("PUSH", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PUSH"),
    ("PULL", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL"),
    ("PAIR", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PAIR"),
    ("CLIENT", b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06CLIENT"),
    ("SERVER", b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06SERVER"),
    ("RADIO", b"\x04\x1B\x05READY\x0BSocket-Type\0\0\0\x05RADIO"),
    ("DISH", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04DISH"),
    ("SCATTER", b"\x04\x1D\x05READY\x0BSocket-Type\0\0\0\x07SCATTER"),
    ("GATHER", b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06GATHER"),
    ("PEER", b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PEER"),
    ("CHANNEL", b"\x04\x1D\x05READY\x0BSocket-Type\0\0\0\x07CHANNEL"),
    ("STREAM", b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06STREAM"),
];

fn ready(name: &str) -> &'static [u8] {
    READIES.into_iter().find(|(own, _)| *own == name).expect("it is listed").1
}

/// Passes a greeting and these octets to a connection. Returns its first event, and the octets that it wrote.
fn meet(config: Config, said: &[u8]) -> (Result<Option<Event>, Error>, Vec<u8>) {
    let mut connection = Connection::new(Arc::new(config));
    connection.receive(Duration::ZERO, &[GREETING, said].concat());
    let outcome = connection.poll_event(Duration::ZERO);
    let written = connection.output().split().to_vec();
    (outcome, written)
}

#[test]
fn each_type_announces_itself_and_takes_its_peers_alone() {
    let rows: [(_, &[&str]); 7] = [
        (SocketType::Req, &["REP", "ROUTER"]),
        (SocketType::Rep, &["REQ", "DEALER"]),
        (SocketType::Dealer, &["REP", "DEALER", "ROUTER"]),
        (SocketType::Router, &["REQ", "DEALER", "ROUTER"]),
        (SocketType::Push, &["PULL"]),
        (SocketType::Pull, &["PUSH"]),
        (SocketType::Pair, &["PAIR"]),
    ];
    for (ours, peers) in rows {
        for (theirs, said) in READIES {
            let (outcome, written) = meet(Config::new(ours), said);
            let announced = [GREETING, ready(ours.name())].concat();
            assert!(written.starts_with(&announced), "{ours}: {}", written.escape_ascii());
            if peers.contains(&theirs) {
                let Ok(Some(Event::Ready(peer))) = outcome else { panic!("{ours}, {theirs}") };
                assert_eq!(peer.socket_type.unwrap().name(), theirs);
                assert_eq!(written.len(), announced.len());
            } else {
                let mismatch = Mismatch::SocketType { ours, theirs: theirs.to_owned() };
                assert_eq!(outcome, Err(mismatch.into()));
                assert!(written[announced.len()..].windows(6).any(|it| it == b"\x05ERROR"));
            }
        }
    }
}

#[test]
fn an_identity_is_announced_by_the_three_types_that_have_one() {
    let rows: [(_, &[u8]); 7] = [
        (SocketType::Req, b"\x04\x28\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x02me"),
        (
            SocketType::Dealer,
            b"\x04\x2B\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02me",
        ),
        (
            SocketType::Router,
            b"\x04\x2B\x05READY\x0BSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\x02me",
        ),
        (SocketType::Rep, ready("REP")),
        (SocketType::Push, ready("PUSH")),
        (SocketType::Pull, ready("PULL")),
        (SocketType::Pair, ready("PAIR")),
    ];
    for (ours, octets) in rows {
        let config = Config::new(ours).with_identity("me").unwrap();
        assert_eq!(config.validate(), Ok(()));
        let (_, written) = meet(config, b"");
        assert_eq!(written, [GREETING, octets].concat(), "{ours}");
    }
}

#[test]
fn an_identity_is_heard_from_those_types_and_passed_over_from_others() {
    type Row = (SocketType, &'static [u8], Result<Option<&'static [u8]>, ()>);
    let rows: [Row; 6] = [
        (
            SocketType::Router,
            b"\x04\x28\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x02me",
            Ok(Some(b"me")),
        ),
        // As libzmq says that there is none.
        (
            SocketType::Router,
            b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0",
            Ok(None),
        ),
        (
            SocketType::Router,
            b"\x04\x2B\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x02\0e",
            Err(()),
        ),
        (
            SocketType::Dealer,
            b"\x04\x28\x05READY\x0BSocket-Type\0\0\0\x03REP\x08Identity\0\0\0\x02me",
            Ok(None),
        ),
        (
            SocketType::Dealer,
            b"\x04\x28\x05READY\x0BSocket-Type\0\0\0\x03REP\x08Identity\0\0\0\x02\0e",
            Ok(None),
        ),
        (
            SocketType::Pull,
            b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x04PUSH\x08Identity\0\0\0\x02\0e",
            Ok(None),
        ),
    ];
    for (ours, said, identity) in rows {
        match (meet(Config::new(ours), said).0, identity) {
            (Ok(Some(Event::Ready(peer))), Ok(identity)) => assert_eq!(peer.identity(), identity),
            (Err(Error::Protocol(_)), Err(())) => {}
            (outcome, _) => panic!("{}: {outcome:?}", said.escape_ascii()),
        }
    }
}

#[test]
fn subscriptions_are_for_publishers_alone() {
    let wish = Subscription::Subscribe("A".into());
    for (ours, peer, message) in [
        (SocketType::XPub, "SUB", false),
        (SocketType::Router, "DEALER", true),
        (SocketType::Pull, "PUSH", true),
    ] {
        let mut connection = Connection::new(Arc::new(Config::new(ours)));
        connection.receive(Duration::ZERO, &[GREETING, ready(peer), b"\x00\x02\x01A"].concat());
        assert!(matches!(connection.poll_event(Duration::ZERO), Ok(Some(Event::Ready(_)))));
        let heard = connection.poll_event(Duration::ZERO).unwrap().unwrap();
        let expected = if message {
            Event::Message("\x01A".into())
        } else {
            Event::Subscription(wish.clone())
        };
        assert_eq!(heard, expected, "{ours}");
    }
}
