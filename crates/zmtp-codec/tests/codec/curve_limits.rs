//! Limits under CURVE: judged by what the sealed frame announces, and again by what is in it.

use std::sync::Arc;

use bytes::BytesMut;
use proptest::prelude::*;
use zmtp_codec::{
    Allowed, Config, Connection, Error, Event, Heartbeat, Limits, Message, ProtocolError,
    SocketType, Subscription,
};

use crate::curve::{
    NOW, client, client_in_traffic, greeting, in_traffic, server, server_in_traffic,
};

/// The octets of a MESSAGE beside its body.
const OVERHEAD: u64 = 33;

fn limited(limits: Limits) -> Connection {
    in_traffic(Config { limits, ..client() }, &["welcome", "ready"])
}

fn long(flags: u8, size: u64) -> Vec<u8> {
    [&[flags | 2][..], &size.to_be_bytes()].concat()
}

fn sealed(frames: &[u8]) -> BytesMut {
    let mut out = BytesMut::new();
    server_in_traffic().seal([frames], &mut out).unwrap();
    out
}

#[test]
fn an_announced_giant_is_refused_by_its_header() {
    let limit = 64 << 20;
    for size in [limit + 1, (1 << 63) - 1 - OVERHEAD] {
        let mut connection = client_in_traffic();
        let before = connection.input().capacity();
        connection.receive(NOW, &long(0, size + OVERHEAD));
        let error = ProtocolError::MessageTooLarge { size, limit };
        assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(error)));
        assert!(connection.input().capacity() <= before + 64);
    }
    let mut connection = client_in_traffic();
    connection.receive(NOW, &long(0, limit + OVERHEAD));
    assert_eq!(connection.poll_event(NOW), Ok(None), "the limit itself is allowed");
    assert_eq!(connection.read_hint(), 64 * 1024);
}

#[test]
fn the_parts_of_a_message_share_its_limit_also_when_announced() {
    let limits = Limits::default().with_message_size(10).with_message_parts(2).with_command_size(5);
    let error = ProtocolError::MessageTooLarge { size: 11, limit: 10 };
    for together in [0, 1] {
        let mut connection = limited(limits);
        connection.receive(NOW, &sealed(b"\x01\x03aaa"));
        connection.receive(NOW, &[0, 8 + OVERHEAD as u8]);
        assert_eq!(connection.poll_batch(together), None);
        assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(error.clone())));
    }
    // The next message begins anew, also where it comes with the end of this one.
    let mut connection = limited(limits);
    let octets = sealed(b"\x01\x09aaaaaaaaa\x00\x01b\x00\x0Acccccccccc");
    connection.receive(NOW, &octets[..44]);
    assert_eq!(connection.poll_event(NOW), Ok(None));
    connection.receive(NOW, &octets[44..]);
    for size in [10, 10] {
        let event = connection.poll_event(NOW);
        assert!(matches!(event, Ok(Some(Event::Message(message))) if message.size() == size));
    }
    // A command between them does not begin anew.
    let mut connection = limited(limits.with_command_size(7));
    connection.receive(NOW, &sealed(b"\x01\x06aaaaaa\x04\x07\x04PING\0\0"));
    connection.receive(NOW, &[0, 8 + OVERHEAD as u8]);
    let beyond = ProtocolError::MessageTooLarge { size: 14, limit: 10 };
    assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(beyond)));
    let rows: [(&[u8], ProtocolError); 3] = [
        (b"\x01\x06aaaaaa\x00\x05bbbbb", error),
        (b"\x01\x00\x01\x00\x01\x00", ProtocolError::TooManyParts { limit: 2 }),
        (b"\x04\x06\x05PINGx", ProtocolError::CommandTooLarge { size: 6, limit: 5 }),
    ];
    for (frames, error) in rows {
        let mut connection = limited(limits);
        connection.receive(NOW, &sealed(frames));
        assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(error)));
    }
    let mut connection = limited(limits);
    connection.receive(NOW, &sealed(b"\x01\x04aaaa\x00\x06bbbbbb\x00\x0Acccccccccc"));
    assert_eq!(connection.poll_batch(usize::MAX).map(|batch| batch.len()), Some(2));
}

#[test]
fn what_is_not_asked_for_stays_until_it_is() {
    let mut connection = client_in_traffic();
    let frames = b"\x00\x01a\x00\x01b\x01\x01c\x04\x07\x04PING\0\0\x00\x01d\x00\x01e";
    connection.receive(NOW, &sealed(frames));
    for (most, messages) in [(1, vec!["a"]), (5, vec!["b"])] {
        let batch = connection.poll_batch(most).unwrap();
        assert_eq!(
            batch.collect::<Vec<_>>(),
            messages.into_iter().map(Message::from).collect::<Vec<_>>()
        );
    }
    assert_eq!(connection.poll_batch(5), None, "a PING stands in a message");
    let event = connection.poll_event(NOW).unwrap().unwrap();
    assert_eq!(event, Event::Message(Message::multipart(["c", "d"]).unwrap()));
    assert!(!connection.output().is_empty(), "and is answered");
    assert_eq!(connection.poll_batch(5).map(|batch| batch.len()), Some(1));
    assert_eq!(connection.poll_event(NOW), Ok(None));
}

#[test]
fn a_flood_of_pings_is_answered_only_as_it_is_read() {
    let mut connection = client_in_traffic();
    connection.receive(NOW, &sealed(&b"\x04\x07\x04PING\0\0".repeat(10_000)));
    assert_eq!(connection.poll_event(NOW), Ok(None));
    let (pongs, bound) = (connection.output().len(), 64 * 1024);
    assert!((bound..bound + 64).contains(&pongs), "{pongs} octets");
}

#[test]
fn heartbeats_are_sealed() {
    let heartbeat = Some(Heartbeat::every(NOW));
    let mut client = in_traffic(Config { heartbeat, ..client() }, &["welcome", "ready"]);
    assert_eq!(client.handle_timeout(NOW * 2), Ok(()));
    let ping = client.output().split();
    assert!(ping.starts_with(b"\x00\x28\x07MESSAGE\0\0\0\0\0\0\0\x03"));
    let mut server = server_in_traffic();
    server.receive(NOW, &ping);
    assert_eq!(server.poll_event(NOW), Ok(None));
    client.receive(NOW * 2, &server.output().split());
    assert_eq!(client.poll_event(NOW * 2), Ok(None));
    assert_eq!(client.deadline(), Some(NOW * 3), "it was answered");
}

#[test]
fn a_handshake_frame_has_its_limit_and_a_server_needs_257_octets() {
    let mut connection = Connection::new(Arc::new(server()));
    connection.receive(NOW, &[greeting(), long(4, 4097)].concat());
    let error = ProtocolError::HandshakeFrameTooLarge { size: 4097, limit: 4096 };
    assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(error)));
    for (config, least) in [(server(), 257), (client(), 257 + 19)] {
        let limits = |handshake_frame_size| {
            Limits::default().with_handshake_frame_size(handshake_frame_size)
        };
        assert!(Config { limits: limits(least - 1), ..config.clone() }.validate().is_err());
        assert_eq!(Config { limits: limits(least), ..config }.validate(), Ok(()));
    }
}

proptest! {
    // Each case agrees on keys some times.
    #![proptest_config(ProptestConfig { cases: 48, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_one_side_seals_the_other_opens(
        parts in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..700), 1..9),
        topic in prop::collection::vec(any::<u8>(), 0..300),
        cut in 1..3000usize,
        together in 0..3usize,
    ) {
        let (mut client, mut server) = (client_in_traffic(), server_in_traffic());
        let wish = Subscription::Subscribe(topic.into());
        client.subscribe(&wish).unwrap();
        server.receive(NOW, &client.output().split());
        prop_assert_eq!(server.poll_event(NOW), Ok(Some(Event::Subscription(wish))));

        let message = Message::multipart(parts.clone()).unwrap();
        let singles = parts.into_iter().map(Message::from);
        let said: Vec<_> = singles.chain([message]).collect();
        let mut frames = BytesMut::new();
        said.iter().for_each(|message| message.encode(&mut frames));
        let mut sealed = BytesMut::new();
        server.seal([&frames[..]], &mut sealed).unwrap();
        let mut heard = Vec::new();
        for read in sealed.chunks(cut) {
            client.receive(NOW, read);
            loop {
                while let Some(batch) = client.poll_batch(together) {
                    heard.extend(batch);
                }
                match client.poll_event(NOW).unwrap() {
                    Some(Event::Message(message)) => heard.push(message),
                    Some(other) => panic!("{other:?}"),
                    None => break,
                }
            }
            prop_assert!(client.input().capacity() <= 2 * sealed.len() + 1024);
        }
        prop_assert_eq!(heard, said);
    }

    #[test]
    fn damage_anywhere_ends_or_is_not_noticed_but_never_changes_a_message(
        at in 0..2000usize, bit in 0..8u8, pieces in 1..40usize,
    ) {
        let frames = b"\x00\x0B10001 17 40".repeat(pieces);
        let mut octets = sealed(&frames);
        let at = at % octets.len();
        octets[at] ^= 1 << bit;
        let mut client = client_in_traffic();
        client.receive(NOW, &octets);
        let mut heard = 0;
        while let Ok(Some(event)) = client.poll_event(NOW) {
            prop_assert_eq!(event, Event::Message("10001 17 40".into()));
            heard += 1;
        }
        // The outer COMMAND flag is not sealed, and means nothing.
        let harmless = at.is_multiple_of(46) && bit == 2;
        prop_assert_eq!(heard == pieces, harmless);
    }
}

#[test]
fn socket_types_that_do_not_fit_are_told_by_the_server_alone() {
    let pair = |theirs| {
        let mut sides = [
            Config { socket_type: SocketType::Pub, ..server() },
            Config { socket_type: theirs, ..client() },
        ]
        .map(|config| Connection::new(Arc::new(config)));
        let mut errors = [None, None];
        for _ in 0..6 {
            for (from, to) in [(0, 1), (1, 0)] {
                let octets = sides[from].output().split();
                sides[to].receive(NOW, &octets);
                while let Some(event) = sides[to].poll_event(NOW).unwrap_or_else(|error| {
                    errors[to].get_or_insert(error);
                    None
                }) {
                    if let Event::Credentials(_) = event {
                        sides[to].authorize(NOW, Ok(Allowed::new()));
                    }
                }
            }
        }
        errors
    };
    assert_eq!(pair(SocketType::XSub), [None, None]);
    let mut puller =
        Connection::new(Arc::new(Config { socket_type: SocketType::Pull, ..client() }));
    let heard = ["welcome", "ready"].map(crate::curve::vector).concat();
    puller.receive(NOW, &[greeting(), heard].concat());
    assert!(matches!(puller.poll_event(NOW), Err(Error::Mismatch(_))));
    let says_error = puller.output().windows(6).any(|octets| octets == b"\x05ERROR");
    assert!(!says_error, "a client never says ERROR");
    let [ours, theirs] = pair(SocketType::Pull);
    assert!(matches!(ours, Some(Error::Mismatch(_))), "{ours:?}");
    assert_eq!(theirs, Some(Error::Refused { reason: "Invalid socket type".into() }));
}
