//! CURVE, octet for octet as libsodium has it, and however it is cut.

use std::iter;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use zmtp_codec::{
    Allowed, Config, Connection, Credentials, CurveKeyPair, CurveSecretKey, Denial, Error, Event,
    Greeting, Mechanism, MechanismName, Message, Metadata, ProtocolError, Randomness, SocketType,
    Subscription, Version,
};

use crate::splits::{Outcome, after_ready, hear_every_way, ready};
use crate::wire::ERROR_400;

pub(crate) const NOW: Duration = Duration::from_secs(1);

/// The octets that `vectors/curve.py` has written under this name.
pub(crate) fn vector(name: &str) -> Vec<u8> {
    let line = |line: &'static str| line.split_once(' ').filter(|(found, _)| *found == name);
    let digits = include_str!("../vectors/curve.txt").lines().find_map(line).expect("a vector").1;
    let octet = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.as_bytes().chunks(2).map(octet).collect()
}

fn vectors(names: &[&str]) -> Vec<u8> {
    names.iter().flat_map(|name| vector(name)).collect()
}

fn secret(name: &str) -> CurveKeyPair {
    let octets: [u8; 32] = vector(name).try_into().unwrap();
    CurveSecretKey::from(octets).into()
}

pub(crate) fn client() -> Config {
    let (keys, server) = (secret("client_secret"), secret("server_secret"));
    Config {
        mechanism: Mechanism::CurveClient { server_key: server.public(), keys },
        randomness: Randomness::fixed(vector("client_randomness")),
        ..Config::new(SocketType::Sub)
    }
}

pub(crate) fn server() -> Config {
    Config {
        mechanism: Mechanism::CurveServer { keys: secret("server_secret") },
        randomness: Randomness::fixed(vector("server_randomness")),
        ..Config::new(SocketType::Pub)
    }
}

/// A peer's greeting; like libzmq's, it says nothing of servers.
pub(crate) fn greeting() -> Vec<u8> {
    let mechanism = MechanismName::CURVE;
    Greeting { version: Version::V3_1, mechanism, as_server: false }.encode().to_vec()
}

fn our_greeting(as_server: bool) -> Vec<u8> {
    let mechanism = MechanismName::CURVE;
    Greeting { version: Version::V3_1, mechanism, as_server }.encode().to_vec()
}

fn three() -> Message {
    Message::multipart(["10001", "", "17"]).unwrap()
}

/// One side after its handshake, its output taken.
pub(crate) fn in_traffic(config: Config, heard: &[&str]) -> Connection {
    let mut connection = Connection::new(Arc::new(config));
    connection.receive(NOW, &[greeting(), vectors(heard)].concat());
    while let Some(event) = connection.poll_event(NOW).unwrap() {
        if let Event::Credentials(_) = event {
            connection.authorize(NOW, Ok(Allowed::new()));
        }
    }
    assert!(connection.is_traffic() && connection.is_sealed());
    connection.output().clear();
    connection
}

pub(crate) fn client_in_traffic() -> Connection {
    in_traffic(client(), &["welcome", "ready"])
}

pub(crate) fn server_in_traffic() -> Connection {
    in_traffic(server(), &["hello", "initiate"])
}

#[test]
fn a_server_hears_what_libsodium_sealed_and_writes_the_same() {
    let names = ["hello", "initiate", "subscribe", "subscribe_by_message", "ping"];
    let heard = [greeting(), vectors(&names)].concat();
    let outcome = hear_every_way(server(), Ok(()), &[&heard]);
    assert_eq!(outcome.error, None);
    let public_key = secret("client_secret").public();
    let Event::Credentials(applicant) = &outcome.events[0] else { panic!("{outcome:?}") };
    assert_eq!(applicant.credentials, Credentials::Curve { public_key });
    assert_eq!(format!("{:?}", applicant.credentials), format!("Curve({public_key})"));
    // INITIATE has said who comes, before anybody judges.
    assert_eq!(applicant.metadata.socket_type(), Some(&b"SUB"[..]));
    assert_eq!(applicant.metadata, ready(&outcome).metadata);
    assert_eq!(ready(&outcome).public_key, Some(public_key));
    assert_eq!(ready(&outcome).socket_type, Some(SocketType::Sub));
    let wishes =
        ["10001", "10002"].map(|it| Event::Subscription(Subscription::Subscribe(it.into())));
    assert_eq!(after_ready(&outcome), wishes);
    let expected = [our_greeting(true), vectors(&["welcome", "ready", "pong"])].concat();
    assert_eq!(outcome.output, expected);
}

#[test]
fn a_client_hears_what_libsodium_sealed_and_writes_the_same() {
    let names = ["welcome", "ready", "pong", "one", "three", "long", "empty"];
    let heard = [greeting(), vectors(&names)].concat();
    let outcome = hear_every_way(client(), Ok(()), &[&heard]);
    assert_eq!(outcome.error, None);
    assert_eq!(ready(&outcome).public_key, None, "it is what we were told to talk to");
    let long = Message::from(vec![b'L'; 300]);
    let messages = ["10001 17 40".into(), three(), long, "".into()];
    assert_eq!(after_ready(&outcome), messages.map(Event::Message));
    let expected = [our_greeting(false), vectors(&["hello", "initiate"])].concat();
    assert_eq!(outcome.output, expected);
}

#[test]
fn what_we_send_is_what_libsodium_seals_whichever_way_it_is_sent() {
    let mut client = client_in_traffic();
    client.subscribe(&Subscription::Subscribe("10001".into())).unwrap();
    assert_eq!(client.output()[..], vector("subscribe"));

    let long = Message::from(vec![b'L'; 300]);
    let messages = ["10001 17 40".into(), three(), long, Message::from("")];
    let expected = vectors(&["one", "three", "long", "empty"]);
    let after_a_ping = || {
        let mut server = server_in_traffic();
        server.receive(NOW, &vector("ping"));
        assert_eq!(server.poll_event(NOW), Ok(None));
        assert_eq!(server.output().split()[..], vector("pong"));
        server
    };
    let mut server = after_a_ping();
    messages.iter().for_each(|message| server.send(message).unwrap());
    assert_eq!(server.output()[..], expected);

    let mut frames = BytesMut::new();
    messages.iter().for_each(|message| message.encode(&mut frames));
    // In one piece, or cut where a body is, or anywhere in the last body.
    let body_at = frames.len() - messages.last().unwrap().parts().last().unwrap().len();
    for cut in iter::once(frames.len()).chain(body_at..frames.len()) {
        let mut server = after_a_ping();
        let mut sealed = BytesMut::from("before");
        let (begin, end) = frames.split_at(cut);
        server.seal([begin, &[], end], &mut sealed).unwrap();
        assert_eq!(sealed[6..], expected);
        assert!(server.output().is_empty());
    }
}

#[test]
fn frames_for_a_peer_without_curve_are_left_as_they_are() {
    let mut connection = Connection::new(Arc::new(Config::new(SocketType::Pub)));
    let heard = [crate::wire::NULL_3_1, crate::wire::READY_SUB].concat();
    connection.receive(NOW, &heard);
    assert!(matches!(connection.poll_event(NOW), Ok(Some(Event::Ready(_)))));
    assert!(!connection.is_sealed());
    let mut out = BytesMut::new();
    connection.seal([&b"\x00\x01x"[..]], &mut out).unwrap();
    assert_eq!(&out[..], b"\x00\x01x");
}

#[test]
fn a_verdict_lets_in_with_a_name_or_keeps_out_with_a_reason() {
    let heard = [greeting(), vectors(&["hello", "initiate", "subscribe"])].concat();
    let denial = Denial::refused("not on the list");
    let outcome = hear_every_way(server(), Err(denial.clone()), &[&heard]);
    assert_eq!(outcome.error, Some(Error::Denied(denial)));
    assert_eq!(outcome.events.len(), 1);
    let expected = [&our_greeting(true), &vector("welcome"), ERROR_400].concat();
    assert_eq!(outcome.output, expected);

    let mut connection = Connection::new(Arc::new(server()));
    connection.receive(NOW, &heard);
    assert!(matches!(connection.poll_event(NOW), Ok(Some(Event::Credentials(_)))));
    let metadata = Metadata::new().with("X-room", "7").unwrap();
    let allowed = Allowed::new().user_id("ann").metadata(metadata);
    connection.authorize(NOW, Ok(allowed.clone()));
    let Ok(Some(Event::Ready(peer))) = connection.poll_event(NOW) else { panic!() };
    assert_eq!(peer.allowed, allowed);
    assert_eq!(connection.peer().unwrap().allowed.user_id, Some(Bytes::from("ann")));
}

#[test]
fn a_cookie_is_good_for_one_connection_and_once() {
    let (opening, initiate) = ([greeting(), vector("hello")].concat(), vector("initiate"));
    let mut first = Connection::new(Arc::new(server()));
    first.receive(NOW, &opening);
    assert_eq!(first.poll_event(NOW), Ok(None));
    assert!(first.input().is_empty(), "nothing of HELLO waits any longer");

    // All that this client says, in another connection to the same server.
    let config = Config { randomness: Randomness::default(), ..server() };
    let mut other = Connection::new(Arc::new(config));
    other.receive(NOW, &[&opening[..], &initiate].concat());
    let error = ProtocolError::BadBox { of: "the cookie" };
    assert_eq!(other.poll_event(NOW), Err(error.into()));

    // In its own, twice.
    first.receive(NOW, &initiate.repeat(2));
    assert!(matches!(first.poll_event(NOW), Ok(Some(Event::Credentials(_)))));
    first.authorize(NOW, Ok(Allowed::new()));
    assert!(matches!(first.poll_event(NOW), Ok(Some(Event::Ready(_)))));
    assert_eq!(first.poll_event(NOW), Err(ProtocolError::Unsealed.into()));
}

#[test]
fn a_client_takes_error_for_a_refusal_but_only_before_ready() {
    for names in [&[][..], &["welcome"]] {
        let heard = [&greeting(), &vectors(names)[..], ERROR_400].concat();
        let outcome = hear_every_way(client(), Ok(()), &[&heard]);
        assert_eq!(outcome.error, Some(Error::Refused { reason: "400".into() }));
    }
    // From then on anybody on the line could say it.
    let heard = [&greeting(), &vectors(&["welcome", "ready"])[..], ERROR_400].concat();
    let outcome = hear_every_way(client(), Ok(()), &[&heard]);
    assert_eq!(outcome.error, Some(Error::Protocol(ProtocolError::Unsealed)));
}

fn ends_with(outcome: &Outcome, error: ProtocolError) {
    assert_eq!(outcome.error, Some(Error::Protocol(error)));
}

#[test]
fn what_comes_again_out_of_order_or_in_clear_ends_the_connection() {
    let rows: [(&[&str], &[u8], ProtocolError); 7] = [
        (&["one", "one"], b"", ProtocolError::Nonce { nonce: 3, last: 3 }),
        (&["one", "pong"], b"", ProtocolError::Nonce { nonce: 2, last: 3 }),
        (&["ready"], b"", ProtocolError::Unsealed),
        (&["one"], b"\x00\x01x", ProtocolError::Unsealed),
        (&["one"], b"\x00\x2410001 17 40 and so on, in clear text", ProtocolError::Unsealed),
        (&["one"], b"\x01\x24\x07MESSAGE", ProtocolError::Unsealed),
        (&["one"], b"\x04\x08\x04PONGabc", ProtocolError::Unsealed),
    ];
    for (names, clear, error) in rows {
        let heard = [&greeting(), &vectors(&["welcome", "ready"]), &vectors(names)[..], clear];
        let outcome = hear_every_way(client(), Ok(()), &[&heard.concat()]);
        ends_with(&outcome, error);
        let before = names.contains(&"one");
        assert_eq!(after_ready(&outcome).len(), usize::from(before), "what came before counts");
    }
}

#[test]
fn a_damaged_message_ends_the_connection_and_what_came_before_counts() {
    let (one, three) = (vector("one"), vector("three"));
    for at in 10..three.len() / 3 {
        let mut heard = [greeting(), vectors(&["welcome", "ready"]), one.clone()].concat();
        let start = heard.len();
        heard.extend_from_slice(&three);
        heard[start + at] ^= 0x80;
        let mut connection = Connection::new(Arc::new(client()));
        connection.receive(NOW, &heard);
        assert!(matches!(connection.poll_event(NOW), Ok(Some(Event::Ready(_)))));
        assert_eq!(connection.poll_batch(usize::MAX).map(|batch| batch.len()), Some(1));
        assert_eq!(connection.poll_batch(usize::MAX), None);
        let error = ProtocolError::BadBox { of: "MESSAGE" };
        assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(error)), "octet {at}");
    }
}

#[test]
fn an_outer_command_flag_is_tolerated() {
    let mut one = vector("one");
    one[0] |= 4;
    let heard = [greeting(), vectors(&["welcome", "ready"]), one].concat();
    let outcome = hear_every_way(client(), Ok(()), &[&heard]);
    assert_eq!(outcome.error, None);
    assert_eq!(after_ready(&outcome), [Event::Message("10001 17 40".into())]);
}
