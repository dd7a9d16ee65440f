//! Whatever is encoded is decoded again, and whatever is decoded does no harm.

use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use proptest::collection::vec;
use proptest::prelude::*;
use zmtp_codec::{
    Allowed, Command, Config, Connection, Event, Frame, FrameHeader, Greeting, Mechanism,
    MechanismName, Message, Metadata, SocketType, Subscription, Version,
};

use crate::wire::{NULL_3_1, PLAIN_3_1, READY_PUB, READY_SUB};

fn octets(most: usize) -> impl Strategy<Value = Bytes> {
    vec(any::<u8>(), 0..=most).prop_map(Bytes::from)
}

fn metadata() -> impl Strategy<Value = Metadata> {
    let name = vec(prop::sample::select(b"ABCxyz019-_.+".to_vec()), 1..=255)
        .prop_map(|name| String::from_utf8(name).unwrap());
    vec((name, octets(300)), 0..5).prop_map(|properties| {
        let add = |metadata: Metadata, (name, value): (String, Bytes)| metadata.with(&name, value);
        properties.into_iter().try_fold(Metadata::new(), add).unwrap()
    })
}

fn command() -> impl Strategy<Value = Command> {
    prop_oneof![
        metadata().prop_map(Command::Ready),
        metadata().prop_map(Command::Initiate),
        octets(255).prop_map(Command::Error),
        octets(600).prop_map(Command::Subscribe),
        octets(600).prop_map(Command::Cancel),
        (any::<u16>(), octets(16)).prop_map(|(ttl, context)| Command::Ping { ttl, context }),
        octets(16).prop_map(|context| Command::Pong { context }),
        (octets(255), octets(255))
            .prop_map(|(username, password)| Command::Hello { username, password }),
        Just(Command::Welcome),
        octets(300).prop_map(|data| Command::Opaque { name: "HEY".into(), data }),
        octets(300).prop_map(Command::Join),
        octets(300).prop_map(Command::Leave),
    ]
}

fn message() -> impl Strategy<Value = Message> {
    vec(prop_oneof![octets(300), octets(9000)], 1..6)
        .prop_map(|parts| Message::multipart(parts).unwrap())
}

fn version() -> impl Strategy<Value = Version> {
    (3..=255u8, any::<u8>()).prop_map(|(major, minor)| Version { major, minor })
}

/// Octets that look like traffic more often than chance would have it.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let command = command().prop_map(|command| {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        out.to_vec()
    });
    let header = (0..9u8, any::<u64>(), 0..64u32)
        .prop_map(|(flags, size, shift)| [&[flags][..], &(size >> shift).to_be_bytes()].concat());
    let short = (0..5u8, octets(40))
        .prop_map(|(flags, body)| [&[flags, body.len() as u8][..], &body].concat());
    vec(prop_oneof![4 => short, 2 => command, 1 => header, 1 => vec(any::<u8>(), 0..40)], 0..12)
        .prop_map(|pieces| pieces.concat())
}

/// Lets a connection hear these octets, cut into reads of at most `cut`, until it is closed.
fn endure(config: Config, prefix: &[u8], noise: &[u8], cut: usize) {
    let mut connection = Connection::new(Arc::new(config));
    let octets = [prefix, noise].concat();
    let mut now = Duration::ZERO;
    let mut fed = 0;
    let mut given = 0;
    for read in octets.chunks(cut) {
        now += Duration::from_millis(1);
        connection.receive(now, read);
        fed += read.len();
        while let Ok(Some(event)) = connection.poll_event(now) {
            match event {
                Event::Credentials(_) => connection.authorize(now, Ok(Allowed::new())),
                Event::Message(message) => given += message.size(),
                Event::Subscription(wish) => given += wish.topic().len(),
                _ => {}
            }
        }
        assert!(given <= fed, "{given} octets were made of {fed}");
        let capacity = connection.input().capacity();
        assert!(capacity <= 2 * fed + 64, "{capacity} octets reserved for {fed}");
        assert!(connection.read_hint() <= fed.max(64 * 1024));
        assert!(connection.output().len() <= 512 + 2 * fed);
        let _ = connection.handle_timeout(now);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn greetings(version in version(), name in "[A-Z0-9_.+-]{1,20}", as_server: bool) {
        let mechanism = MechanismName::new(&name).unwrap();
        prop_assert_eq!(mechanism.to_string(), name);
        let greeting = Greeting { version, mechanism, as_server };
        prop_assert_eq!(Greeting::decode(&greeting.encode()), Ok(Some(greeting)));
    }

    #[test]
    fn headers(more: bool, command: bool, size in 0..1u64 << 63, shift in 0..63u32) {
        let header = FrameHeader { more: more && !command, command, size: size >> shift };
        let mut out = BytesMut::new();
        header.encode(&mut out);
        prop_assert_eq!(out.len(), header.encoded_len());
        prop_assert_eq!(FrameHeader::decode(&out), Ok(Some((header, out.len()))));
    }

    #[test]
    fn frames(more: bool, body in octets(9000), after in octets(20)) {
        for frame in [Frame::Message { more, body: body.clone() }, Frame::Command(body)] {
            let mut out = BytesMut::new();
            frame.encode(&mut out);
            out.extend_from_slice(&after);
            prop_assert_eq!(Frame::decode(&mut out, 9000), Ok(Some(frame)));
            prop_assert_eq!(&out[..], &after);
        }
    }

    #[test]
    fn commands(command in command()) {
        let mut out = BytesMut::new();
        command.encode(&mut out);
        let Ok(Some(Frame::Command(body))) = Frame::decode(&mut out, u64::MAX) else {
            return Err(TestCaseError::fail("not one command"));
        };
        prop_assert!(out.is_empty());
        prop_assert_eq!(Command::decode(body), Ok(command));
    }

    #[test]
    fn properties(metadata in metadata()) {
        let mut out = BytesMut::new();
        metadata.encode(&mut out);
        prop_assert_eq!(out.len(), metadata.encoded_len());
        let decoded = Metadata::decode(out.freeze()).unwrap();
        for (name, _) in metadata.iter() {
            let found = decoded.get(&name.to_ascii_uppercase());
            prop_assert_eq!(found, metadata.get(name));
            prop_assert!(found.is_some());
        }
        prop_assert_eq!(decoded, metadata);
    }

    #[test]
    fn messages_and_subscriptions(
        message in message(), topic in octets(600), cancel: bool, cut in 1..20_000usize,
    ) {
        let wish = if cancel { Subscription::Cancel(topic) } else { Subscription::Subscribe(topic) };
        let mut stream = BytesMut::from(&[NULL_3_1, READY_SUB].concat()[..]);
        wish.encode(Version::V3_1, &mut stream);
        message.encode(&mut stream);
        wish.encode(Version::V3_0, &mut stream);

        let mut connection = Connection::new(Arc::new(Config::new(SocketType::XPub)));
        let mut events = Vec::new();
        for read in stream.chunks(cut) {
            connection.receive(Duration::ZERO, read);
            while let Some(event) = connection.poll_event(Duration::ZERO).unwrap() {
                events.push(event);
            }
        }
        let said = match Subscription::from_message(&message) {
            Some(chance) => Event::Subscription(chance),
            None => Event::Message(message),
        };
        let wish = Event::Subscription(wish);
        prop_assert_eq!(&events[1..], &[wish.clone(), said, wish]);
    }

    #[test]
    fn arbitrary_octets_do_no_harm(noise in noise(), cut in 1..100usize) {
        let plain_client = Mechanism::PlainClient { username: "u".into(), password: "p".into() };
        let publisher = Config::new(SocketType::Pub);
        #[cfg(feature = "curve")]
        let curve = crate::curve::greeting();
        let rows: [(Config, &[&[u8]]); _] = [
            (publisher.clone(), &[]),
            (publisher.clone(), &[NULL_3_1]),
            (publisher.clone(), &[NULL_3_1, READY_SUB]),
            (Config::new(SocketType::Sub), &[NULL_3_1, READY_PUB]),
            (Config { mechanism: Mechanism::PlainServer, ..publisher.clone() }, &[PLAIN_3_1]),
            (Config { mechanism: plain_client, ..publisher }, &[PLAIN_3_1]),
            #[cfg(feature = "curve")]
            (crate::curve::server(), &[&curve]),
            #[cfg(feature = "curve")]
            (crate::curve::client(), &[&curve]),
        ];
        for (config, prefix) in rows {
            endure(config, &prefix.concat(), &noise, cut);
        }
    }

    #[test]
    fn arbitrary_bodies_do_no_harm(body in octets(300)) {
        let _ = Command::decode(body.clone());
        let _ = Metadata::decode(body.clone());
        let _ = Greeting::decode(&body);
        let _ = Subscription::from_message(&Message::from(body.clone()));
        let mut input = BytesMut::from(&body[..]);
        while let Ok(Some(_)) = Frame::decode(&mut input, 1 << 20) {}
        for name in [&b"\x05READY"[..], b"\x04PING", b"\x05HELLO", b"\x05ERROR", b"\x08INITIATE"] {
            let _ = Command::decode([name, &body].concat().into());
        }
    }
}
