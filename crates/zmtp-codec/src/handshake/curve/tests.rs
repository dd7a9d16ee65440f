//! Each step of a handshake against a forging peer that has the keys.

use bytes::BytesMut;

use super::boxes::{SharedKey, long_nonce, short_nonce};
use super::*;
use crate::config::{Config, Limits};
use crate::frame::FrameHeader;
use crate::mechanism::curve::{COOKIE, CurveKeyPair, CurvePublicKey, CurveSecretKey, TAG};
use crate::mechanism::{Allowed, Credentials, Mechanism};
use crate::randomness::{NoRandomness, Randomness};
use crate::socket_type::SocketType;

/// The permanent key of the client, of the server, or of somebody else.
fn keys(of: u8) -> CurveKeyPair {
    CurveSecretKey::from([of; 32]).into()
}

const CLIENT: u8 = 1;
const SERVER: u8 = 2;
const OTHER: u8 = 3;

fn client_config() -> Config {
    let server_key = keys(SERVER).public();
    Config {
        mechanism: Mechanism::CurveClient { server_key, keys: keys(CLIENT) },
        randomness: Randomness::fixed([7; 48].to_vec()),
        ..Config::new(SocketType::Sub)
    }
}

fn server_config() -> Config {
    Config {
        mechanism: Mechanism::CurveServer { keys: keys(SERVER) },
        randomness: Randomness::fixed((100..196).collect::<Vec<u8>>()),
        ..Config::new(SocketType::Pub)
    }
}

/// Seals a box in place, with room for the tag before the text.
fn close(shared: &SharedKey, nonce: &Nonce, room: &mut [u8]) {
    let mut boxed = BytesMut::new();
    shared.append(nonce, &[&room[TAG..]], &mut boxed);
    room.copy_from_slice(&boxed);
}

#[test]
fn without_randomness_nothing_is_said_and_no_key_is_made() {
    let none = || Randomness::fixed(vec![]);
    let error = || Error::NoRandomness(NoRandomness);
    let mut out = BytesMut::new();
    let config = Config { randomness: none(), ..client_config() };
    let (server, client) = (keys(SERVER).public(), keys(CLIENT));
    let begun = AwaitWelcome::begin(server, client, &config, &mut out);
    assert_eq!(begun.map(drop), Err(error()));
    let config = Config { randomness: none(), ..server_config() };
    let (_, hello) = hello();
    let state = AwaitHello { keys: keys(SERVER) };
    assert_eq!(state.handle(hello, &config, &mut out).map(drop), Err(error()));
    assert!(out.is_empty());
}

/// The body of the one command in `out`.
fn said(out: &mut BytesMut) -> BytesMut {
    let (header, header_len) = FrameHeader::decode(out).unwrap().unwrap();
    assert!(header.command && out.len() == header_len + header.size as usize);
    out.split().split_off(header_len)
}

fn hello() -> (AwaitWelcome, BytesMut) {
    let mut out = BytesMut::new();
    let (server, client) = (keys(SERVER).public(), keys(CLIENT));
    let state = AwaitWelcome::begin(server, client, &client_config(), &mut out).unwrap();
    (state, said(&mut out))
}

fn welcome() -> (AwaitWelcome, AwaitInitiate, BytesMut) {
    let (client, hello) = hello();
    let mut out = BytesMut::new();
    let state = AwaitHello { keys: keys(SERVER) };
    let server = state.handle(hello, &server_config(), &mut out).unwrap();
    (client, server, said(&mut out))
}

fn initiate() -> (AwaitReady, AwaitInitiate, BytesMut) {
    let (client, server, welcome) = welcome();
    let mut out = BytesMut::new();
    let client = client.handle(welcome, &client_config(), &mut out).unwrap();
    (client, server, said(&mut out))
}

fn ready() -> (AwaitReady, BytesMut) {
    let (client, server, initiate) = initiate();
    let (state, applicant) = server.handle(initiate, &server_config()).unwrap();
    assert_eq!(applicant.credentials, Credentials::Curve { public_key: keys(CLIENT).public() });
    let mut out = BytesMut::new();
    let done = state.allow(Allowed::new(), &server_config(), &mut out);
    assert_eq!(done.public_key, Some(keys(CLIENT).public()));
    (client, said(&mut out))
}

/// The same octets, with one of them changed.
fn bent(octets: &BytesMut, at: usize) -> BytesMut {
    let mut bent = octets.clone();
    bent[at] ^= 4;
    bent
}

fn malformed(command: &'static str) -> impl Fn(&Error) -> bool {
    move |error| matches!(error, Error::Protocol(ProtocolError::Command { command: c, .. }) if *c == command)
}

fn does_not_open(of: &'static str) -> impl Fn(&Error) -> bool {
    move |error| *error == bad_box(of)
}

type Check<'a> = (BytesMut, &'a dyn Fn(&Error) -> bool);

#[test]
fn the_server_refuses_a_wrong_hello() {
    let (_, good) = hello();
    let (size, opens) = (malformed("HELLO"), does_not_open("HELLO"));
    let weak = |error: &Error| *error == weak_key("the client's transient key");
    let mut longer = good.clone();
    longer.extend_from_slice(b"x");
    let mut small_order = good.clone();
    small_order[80..112].fill(0);
    // Well formed, but for another server.
    let mut out = BytesMut::new();
    let other = keys(OTHER).public();
    AwaitWelcome::begin(other, keys(CLIENT), &client_config(), &mut out).unwrap();
    let elsewhere = said(&mut out);
    // Well sealed, but not zeros.
    let mut other_text = BytesMut::from(&good[..120]);
    let shared = SharedKey::agree(&[7; 32].into(), &keys(SERVER).public()).unwrap();
    shared.append(&hello_nonce(1), &[&[1; 64]], &mut other_text);
    let rows: [Check<'_>; 12] = [
        (BytesMut::from(&good[..199]), &size),
        (BytesMut::from(&good[..6]), &size),
        (longer, &size),
        (bent(&good, 6), &size),
        (bent(&good, 7), &size),
        (bent(&good, 8), &size),
        (bent(&good, 79), &size),
        (bent(&good, 80), &opens),
        (bent(&good, 199), &opens),
        (other_text, &opens),
        (elsewhere, &opens),
        (small_order, &weak),
    ];
    for (number, (body, expected)) in rows.into_iter().enumerate() {
        let mut out = BytesMut::new();
        let state = AwaitHello { keys: keys(SERVER) };
        let error = state.handle(body, &server_config(), &mut out).unwrap_err();
        assert!(expected(&error), "row {number}: {error}");
        assert!(out.is_empty(), "a stranger is told nothing");
    }
}

#[test]
fn the_client_refuses_a_wrong_welcome() {
    let (_, _, good) = welcome();
    let (size, opens) = (malformed("WELCOME"), does_not_open("WELCOME"));
    let weak = |error: &Error| *error == weak_key("the server's transient key");
    // Only the owner of the server's secret key can make this.
    let mut small_order = BytesMut::from(&b"\x07WELCOME0123456789abcdef"[..]);
    let shared =
        SharedKey::agree(&[2; 32].into(), &CurveSecretKey::from([7; 32]).public()).unwrap();
    let nonce = long_nonce(WELCOME_NONCE, b"0123456789abcdef");
    shared.append(&nonce, &[&[0; 32], &[9; COOKIE]], &mut small_order);
    // A server with another key.
    let mut out = BytesMut::new();
    let (_, hello) = hello();
    assert!(AwaitHello { keys: keys(OTHER) }.handle(hello, &server_config(), &mut out).is_err());
    let rows: [Check<'_>; 6] = [
        (BytesMut::from(&good[..167]), &size),
        ([&good[..], b"x"].concat()[..].into(), &size),
        (bent(&good, 8), &opens),
        (bent(&good, 24), &opens),
        (bent(&good, 167), &opens),
        (small_order, &weak),
    ];
    for (number, (body, expected)) in rows.into_iter().enumerate() {
        let (client, _, _) = welcome();
        let mut out = BytesMut::new();
        let error = client.handle(body, &client_config(), &mut out).unwrap_err();
        assert!(expected(&error), "row {number}: {error}");
        assert!(out.is_empty(), "who we are is told to nobody else");
    }
}

/// An INITIATE forged by a client that has the right cookie and the transient keys.
fn forged(
    number: u64,
    claimed: &CurveKeyPair,
    vouched: [&[u8; 32]; 2],
    metadata: &[u8],
) -> BytesMut {
    let (_, _, good) = initiate();
    let transient = CurveSecretKey::from([7; 32]);
    // The server draws its transient secret key first.
    let server: [u8; 32] = std::array::from_fn(|index| 100 + index as u8);
    let server = CurveSecretKey::from(server).public();
    let mut vouch = BytesMut::from(&[5; 16][..]);
    let vouching = SharedKey::agree(claimed.secret(), &server).unwrap();
    let texts = vouched.map(|key| &key[..]);
    vouching.append(&long_nonce(VOUCH_NONCE, &[5; 16]), &texts, &mut vouch);
    let mut body = BytesMut::from(&good[..9 + COOKIE]);
    body.extend_from_slice(&number.to_be_bytes());
    let shared = SharedKey::agree(&transient, &server).unwrap();
    let public = claimed.public();
    let text = [&public.as_octets()[..], &vouch, metadata];
    shared.append(&short_nonce(INITIATE_NONCE, number), &text, &mut body);
    body
}

#[test]
fn the_server_refuses_a_wrong_initiate() {
    let (_, _, good) = initiate();
    let transient = *CurveSecretKey::from([7; 32]).public().as_octets();
    let server = *keys(SERVER).public().as_octets();
    let vouch = |vouched| forged(2, &keys(CLIENT), vouched, b"");
    let property = b"\x0BSocket-Type\0\0\0\x04PULL";
    // The cookie of another connection: the same keys, another cookie key.
    let config = Config { randomness: Randomness::fixed([1; 96].to_vec()), ..server_config() };
    let mut out = BytesMut::new();
    let (client, hello) = hello();
    AwaitHello { keys: keys(SERVER) }.handle(hello, &config, &mut out).unwrap();
    let welcome = said(&mut out);
    client.handle(welcome, &client_config(), &mut out).unwrap();
    let other_cookie = said(&mut out);
    // A vouch by one key for a client that claims another.
    let mut other_key = good.clone();
    {
        let server = CurveSecretKey::from(std::array::from_fn(|index| 100 + index as u8)).public();
        let shared = SharedKey::agree(&[7; 32].into(), &server).unwrap();
        let (head, boxed) = other_key.split_at_mut(9 + COOKIE + 8);
        assert_eq!(head[9 + COOKIE..], 2_u64.to_be_bytes());
        let nonce = short_nonce(INITIATE_NONCE, 2);
        shared.unbox(&nonce, boxed).unwrap()[..32]
            .copy_from_slice(keys(OTHER).public().as_octets());
        close(&shared, &nonce, boxed);
    }
    let mut small_order = other_key.clone();
    {
        let server = CurveSecretKey::from(std::array::from_fn(|index| 100 + index as u8)).public();
        let shared = SharedKey::agree(&[7; 32].into(), &server).unwrap();
        let nonce = short_nonce(INITIATE_NONCE, 2);
        let boxed = &mut small_order[9 + COOKIE + 8..];
        shared.unbox(&nonce, boxed).unwrap()[..32].fill(0);
        close(&shared, &nonce, boxed);
    }

    let size = malformed("INITIATE");
    let is = |expected: Error| move |error: &Error| *error == expected;
    let cookie = does_not_open("the cookie");
    let opens = does_not_open("INITIATE");
    let vouches = does_not_open("the vouch");
    let not_ours = is(ProtocolError::Vouch.into());
    let weak = is(weak_key("the client's permanent key"));
    let repeated = is(ProtocolError::Nonce { nonce: 1, last: 1 }.into());
    let metadata = |error: &Error| matches!(error, Error::Protocol(ProtocolError::Metadata { .. }));
    let mismatch = |error: &Error| matches!(error, Error::Mismatch(_));
    let fine = [&transient, &server];
    let rows: [Check<'_>; 14] = [
        (BytesMut::from(&good[..256]), &size),
        (bent(&good, 9), &cookie),
        (bent(&good, 104), &cookie),
        (other_cookie, &cookie),
        (forged(1, &keys(CLIENT), fine, b""), &repeated),
        (bent(&good, 112), &opens),
        (bent(&good, 113), &opens),
        (bent(&good, good.len() - 1), &opens),
        (other_key, &vouches),
        (small_order, &weak),
        (vouch([&server, &server]), &not_ours),
        (vouch([&transient, &transient]), &not_ours),
        (forged(2, &keys(CLIENT), fine, b"\x0BSocket"), &metadata),
        (forged(2, &keys(CLIENT), fine, property), &mismatch),
    ];
    for (number, (body, expected)) in rows.into_iter().enumerate() {
        let (_, server, _) = initiate();
        let error = server.handle(body, &server_config()).unwrap_err();
        assert!(expected(&error), "row {number}: {error}");
    }
    // A box that was made with the right keys and texts is accepted.
    let (_, server, _) = initiate();
    assert!(server.handle(forged(u64::MAX, &keys(CLIENT), fine, b""), &server_config()).is_ok());
}

#[test]
fn the_client_refuses_a_wrong_ready() {
    let (_, good) = ready();
    let (size, opens) = (malformed("READY"), does_not_open("READY"));
    let unexpected = |error: &Error| {
        matches!(error, Error::Protocol(ProtocolError::Unexpected { expected: "READY", .. }))
    };
    let rows: [Check<'_>; 6] = [
        (BytesMut::from(&good[..29]), &size),
        (BytesMut::from(&good[..6]), &size),
        (BytesMut::from(&good[..30]), &opens),
        (bent(&good, 13), &opens),
        (bent(&good, good.len() - 1), &opens),
        (BytesMut::from(&b"\x07MESSAGE"[..]), &unexpected),
    ];
    for (number, (body, expected)) in rows.into_iter().enumerate() {
        let (client, _) = ready();
        let error = client.handle(body, &client_config()).unwrap_err();
        assert!(expected(&error), "row {number}: {error}");
    }
}

#[test]
fn commands_out_of_turn_are_named() {
    let mut out = BytesMut::new();
    let (client, _, good) = initiate();
    let error = client.handle(good.clone(), &client_config()).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer broke the protocol: expected READY, got the command INITIATE"
    );
    let state = AwaitHello { keys: keys(SERVER) };
    let error = state.handle(good, &server_config(), &mut out).unwrap_err();
    assert_eq!(
        error.to_string(),
        "the peer broke the protocol: expected HELLO, got the command INITIATE"
    );
    let refused = BytesMut::from(&b"\x05ERROR\x03400"[..]);
    let (_, server, _) = welcome();
    assert_eq!(server.handle(refused, &server_config()).unwrap_err(), Error::refused(b"400"));
}

#[test]
fn two_clients_of_one_server_draw_other_keys_each_time() {
    let config = Config { randomness: Randomness::default(), ..client_config() };
    let hello = || {
        let mut out = BytesMut::new();
        AwaitWelcome::begin(keys(SERVER).public(), keys(CLIENT), &config, &mut out).unwrap();
        said(&mut out)
    };
    assert_ne!(hello()[80..], hello()[80..]);
}

/// A channel, and the key with which its peer seals boxes.
fn channel() -> (Channel, SharedKey) {
    let [a, b] = [[7; 32], [8; 32]].map(CurveSecretKey::from);
    let [ours, theirs] =
        [(&a, &b), (&b, &a)].map(|(own, other)| SharedKey::agree(own, &other.public()).unwrap());
    (Channel::of_client(&ours, 2, 1), theirs)
}

fn message(shared: &SharedKey, number: u64, text: &[u8]) -> BytesMut {
    let mut body = BytesMut::from(&b"\x07MESSAGE"[..]);
    body.extend_from_slice(&number.to_be_bytes());
    shared.append(&short_nonce(b"CurveZMQMESSAGES", number), &[text], &mut body);
    let mut frame = BytesMut::from(&[0, body.len() as u8][..]);
    frame.unsplit(body);
    frame
}

#[test]
fn the_flags_in_a_box_are_judged_and_their_error_is_given_again() {
    let limits = Limits::default();
    let rows = [(0, Some(0)), (1, Some(1)), (2, Some(4)), (3, None), (4, None), (0x80, None)];
    for (flags, plain) in rows {
        let (mut channel, theirs) = channel();
        let mut input = message(&theirs, 9, &[flags, b'x']);
        let before = message(&theirs, 8, b"\0y");
        let opened = channel.open(&mut before.clone(), 0, &limits).unwrap().unwrap();
        assert_eq!(&opened[..], b"\x00\x01y");
        for _ in 0..2 {
            let opened = channel.open(&mut input, 0, &limits);
            match plain {
                Some(plain) => {
                    assert_eq!(opened.unwrap().unwrap()[..], [plain, 1, b'x']);
                    break;
                }
                None => assert_eq!(opened, Err(ProtocolError::SealedFlags { flags })),
            }
        }
    }
}

#[test]
fn numbers_may_leap_but_not_stay_and_are_never_used_up_twice() {
    let limits = Limits::default();
    let (mut channel, theirs) = channel();
    for number in [2, 1000, u64::MAX] {
        let mut input = message(&theirs, number, b"\0");
        assert!(channel.open(&mut input, 0, &limits).unwrap().is_some());
    }
    let error = ProtocolError::Nonce { nonce: u64::MAX, last: u64::MAX };
    assert_eq!(channel.open(&mut message(&theirs, u64::MAX, b"\0"), 0, &limits), Err(error));

    let mut spent = Channel::of_client(&theirs, u64::MAX, 1);
    let mut out = BytesMut::new();
    spent.seal(std::iter::once(&b"\x00\x01x"[..]), &mut out);
    assert!(out.is_empty());
}

#[test]
fn a_weak_server_key_is_found_beforehand() {
    let weak = CurvePublicKey::from([0; 32]);
    assert!(weak.is_weak() && !keys(SERVER).public().is_weak());
    let mechanism = Mechanism::CurveClient { server_key: weak, keys: keys(CLIENT) };
    let config = Config { mechanism, ..Config::new(SocketType::Sub) };
    assert_eq!(config.validate(), Err(crate::error::ConfigError::WeakServerKey));
    assert_eq!(client_config().validate(), Ok(()));
    assert_eq!(server_config().validate(), Ok(()));
}

#[test]
fn debug_shows_no_secret() {
    let (client, server, _) = initiate();
    let config = (client_config(), server_config());
    let shown = format!("{client:?} {server:?} {config:?} {:?}", hello().0);
    for secret in [[1_u8; 32], [2; 32], [7; 32]] {
        let z85 = CurveSecretKey::from(secret).to_z85();
        assert!(!shown.contains(&**z85) && !shown.contains(&format!("{secret:?}")), "{shown}");
    }
}
