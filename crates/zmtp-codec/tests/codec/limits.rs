//! Limits on a hostile peer: it gets an error, and makes us reserve no memory for octets that it
//! has not sent.

use std::sync::Arc;
use std::time::Duration;

use zmtp_codec::{
    Allowed, Config, Connection, Error, Event, Limits, Mechanism, ProtocolError, SocketType,
    Subscription,
};

use crate::wire::{HELLO, NULL_3_1, PING, PLAIN_3_1, PONG, READY_PUB, READY_SUB};

const NOW: Duration = Duration::ZERO;

/// A connection whose handshake is over and whose output was taken.
fn in_traffic(socket_type: SocketType, limits: Limits) -> Connection {
    let mut connection = Connection::new(Arc::new(Config { limits, ..Config::new(socket_type) }));
    let ready = if socket_type == SocketType::Sub { READY_PUB } else { READY_SUB };
    connection.receive(NOW, &[NULL_3_1, ready].concat());
    assert!(matches!(connection.poll_event(NOW), Ok(Some(Event::Ready(_)))));
    connection.output().clear();
    connection
}

fn refused(connection: &mut Connection, octets: &[u8], error: ProtocolError) {
    let before = connection.input().capacity();
    connection.receive(NOW, octets);
    assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(error)));
    assert!(connection.input().capacity() <= before + 2 * octets.len());
    assert_eq!(connection.poll_event(NOW), Err(Error::Closed));
}

fn long(flags: u8, size: u64) -> Vec<u8> {
    [&[flags][..], &size.to_be_bytes()].concat()
}

#[test]
fn an_announced_giant_is_refused_by_its_header() {
    let limit = 64 << 20;
    let too_large = |size| ProtocolError::MessageTooLarge { size, limit };
    for size in [limit + 1, (1 << 63) - 1] {
        let mut connection = in_traffic(SocketType::Sub, Limits::default());
        refused(&mut connection, &long(2, size), too_large(size));
    }
    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    connection.receive(NOW, &long(2, limit));
    assert_eq!(connection.poll_event(NOW), Ok(None), "the limit itself is allowed");
}

#[test]
fn the_parts_of_a_message_share_its_limit() {
    let limits = Limits::default().with_message_size(10);
    let mut connection = in_traffic(SocketType::Sub, limits);
    for _ in 0..2 {
        connection.receive(NOW, b"\x01\x04aaaa\x01\x06bbbbbb\x00\x00");
        let event = connection.poll_event(NOW).unwrap().unwrap();
        assert!(matches!(event, Event::Message(message) if message.size() == 10));
    }
    let error = ProtocolError::MessageTooLarge { size: 11, limit: 10 };
    refused(&mut connection, b"\x01\x04aaaa\x01\x04bbbb\x00\x03", error);
}

#[test]
fn more_without_end_comes_to_an_end() {
    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    connection.receive(NOW, &b"\x01\x00".repeat(1024));
    assert_eq!(connection.poll_event(NOW), Ok(None));
    refused(&mut connection, b"\x01\x00", ProtocolError::TooManyParts { limit: 1024 });

    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    connection.receive(NOW, &[&b"\x01\x00".repeat(1023)[..], b"\x00\x00"].concat());
    let event = connection.poll_event(NOW).unwrap().unwrap();
    assert!(matches!(event, Event::Message(message) if message.part_count() == 1024));

    let limits = Limits::default().with_message_parts(0);
    let mut connection = in_traffic(SocketType::Sub, limits);
    connection.receive(NOW, b"\x00\x01x");
    assert_eq!(connection.poll_event(NOW), Ok(Some(Event::Message("x".into()))));
}

#[test]
fn limits_hold_for_messages_taken_together_too() {
    let limits = || Limits::default().with_message_size(10).with_message_parts(2);
    let within = b"\x00\x0Aaaaaaaaaaa\x01\x04bbbb\x00\x06cccccc";
    let mut connection = in_traffic(SocketType::Sub, limits());
    connection.receive(NOW, within);
    assert_eq!(connection.poll_batch(usize::MAX).map(|batch| batch.len()), Some(2));
    for beyond in
        [&b"\x00\x0Baaaaaaaaaaa"[..], b"\x01\x05aaaaa\x00\x06bbbbbb", b"\x01\x00\x01\x00\x00\x00"]
    {
        let mut connection = in_traffic(SocketType::Sub, limits());
        connection.receive(NOW, &[within, beyond].concat());
        assert_eq!(connection.poll_batch(usize::MAX).map(|batch| batch.len()), Some(2));
        assert_eq!(connection.poll_batch(usize::MAX), None);
        assert!(connection.poll_event(NOW).is_err(), "{beyond:?}");
    }
}

#[test]
fn a_command_has_its_own_limit() {
    let limit = 1 << 20;
    for socket_type in [SocketType::Pub, SocketType::Sub] {
        let error = ProtocolError::CommandTooLarge { size: limit + 1, limit };
        refused(&mut in_traffic(socket_type, Limits::default()), &long(6, limit + 1), error);
        let mut connection = in_traffic(socket_type, Limits::default());
        connection.receive(NOW, &long(6, limit));
        assert_eq!(connection.poll_event(NOW), Ok(None), "the limit itself is allowed");
    }
    let mut connection = in_traffic(SocketType::Pub, Limits::default());
    let topic = vec![b't'; 70_000];
    connection.receive(NOW, &[&b"\x06\0\0\0\0\0\x01\x11\x7A\x09SUBSCRIBE"[..], &topic].concat());
    let wish = Subscription::Subscribe(topic.into());
    assert_eq!(connection.poll_event(NOW), Ok(Some(Event::Subscription(wish))));
}

#[test]
fn a_publisher_passes_over_messages_as_they_come_and_holds_none() {
    const SIZE: u64 = 60 << 20;
    let mut connection = in_traffic(SocketType::Pub, Limits::default());
    let wish = || Event::Subscription(Subscription::Subscribe("A".into()));
    // The second begins as a subscription does, but has another part.
    for (header, first) in [(long(2, SIZE), b'x'), (long(3, SIZE), 1)] {
        connection.receive(NOW, &header);
        let read = [&[first][..], &[0; (1 << 20) - 1]].concat();
        for _ in 0..60 {
            connection.receive(NOW, &read);
            assert_eq!(connection.poll_event(NOW), Ok(None));
            assert!(connection.input().is_empty());
            assert_eq!(connection.read_hint(), 0);
        }
        if header[0] & 1 == 1 {
            connection.receive(NOW, b"\x00\x02\x01B");
        }
        connection.receive(NOW, b"\x00\x00\x00\x02\x01A");
        assert_eq!(connection.poll_event(NOW), Ok(Some(wish())));
    }
    // The limits hold for what is passed over too.
    let limit = 64 << 20;
    for (octets, error) in [
        (long(2, limit + 1), ProtocolError::MessageTooLarge { size: limit + 1, limit }),
        (b"\x01\x00".repeat(1025), ProtocolError::TooManyParts { limit: 1024 }),
    ] {
        let mut connection = in_traffic(SocketType::Pub, Limits::default());
        connection.receive(NOW, &[&octets[..], b"x"].concat());
        assert_eq!(connection.poll_event(NOW), Err(Error::Protocol(error)));
    }
}

#[test]
fn a_subscription_is_held_to_the_limit_of_commands_in_either_form() {
    let limits = Limits::default().with_message_size(0).with_command_size(12);
    for (socket_type, message_size) in
        [(SocketType::Pub, 0), (SocketType::XPub, 0), (SocketType::XPub, 1000)]
    {
        let limits = limits.with_message_size(message_size);
        for form in [&b"\x00\x0C\x0110001100011"[..], b"\x00\x0C\x0010001100011"] {
            let mut connection = in_traffic(socket_type, limits);
            for octet in form {
                assert_eq!(connection.poll_event(NOW), Ok(None));
                connection.receive(NOW, &[*octet]);
            }
            let event = connection.poll_event(NOW).unwrap().unwrap();
            let Event::Subscription(wish) = event else { panic!("{event:?}") };
            assert_eq!(wish.topic(), "10001100011");
        }
        let mut connection = in_traffic(socket_type, limits);
        let error = match message_size {
            0 => ProtocolError::MessageTooLarge { size: 13, limit: 0 },
            _ => ProtocolError::CommandTooLarge { size: 13, limit: 12 },
        };
        refused(&mut connection, b"\x00\x0D\x01", error);
    }
    let mut connection = in_traffic(SocketType::XPub, limits);
    let error = ProtocolError::MessageTooLarge { size: 12, limit: 0 };
    refused(&mut connection, b"\x00\x0C\x02", error);
}

#[test]
fn the_handshake_has_small_frames_and_no_messages() {
    let mut fresh = Connection::new(Arc::new(Config::new(SocketType::Sub)));
    fresh.receive(NOW, NULL_3_1);
    assert_eq!(fresh.poll_event(NOW), Ok(None));
    let error = ProtocolError::HandshakeFrameTooLarge { size: 4097, limit: 4096 };
    refused(&mut fresh, &long(6, 4097), error);
    let mut fresh = Connection::new(Arc::new(Config::new(SocketType::Sub)));
    fresh.receive(NOW, &[NULL_3_1, &long(6, 4096)].concat());
    assert_eq!(fresh.poll_event(NOW), Ok(None), "the limit itself is allowed");

    let mut fresh = Connection::new(Arc::new(Config::new(SocketType::Sub)));
    refused(&mut fresh, &[NULL_3_1, &long(2, 1 << 40)].concat(), ProtocolError::MessageInHandshake);
}

/// A PUB that judges, at the point where it waits for the verdict, and what it has heard.
fn judging(config: Config, heard: &[u8]) -> Connection {
    let mut connection = Connection::new(Arc::new(config));
    assert!(connection.wants_input());
    connection.receive(NOW, heard);
    assert!(matches!(connection.poll_event(NOW), Ok(Some(Event::Credentials(_)))));
    assert!(!connection.wants_input(), "the next step is the caller's");
    connection
}

#[test]
fn a_peer_that_is_being_judged_fills_no_memory() {
    let limit = 4096 + 64 * 1024;
    let publisher = || Config::new(SocketType::Pub);
    let null = Config { authenticate_null: true, ..publisher() };
    let plain = Config { mechanism: Mechanism::PlainServer, ..publisher() };
    let rows = [
        (null, NULL_3_1.to_vec()),
        (plain, [PLAIN_3_1, HELLO].concat()),
        #[cfg(feature = "curve")]
        (crate::curve::server(), {
            use crate::curve::{greeting, vector};
            [greeting(), vector("hello"), vector("initiate")].concat()
        }),
    ];
    for (config, heard) in rows {
        let mut connection = judging(config, &heard);
        let mut read = 0;
        // The caller reads all the same.
        let error = loop {
            connection.receive(NOW, &[0; 1024]);
            read += 1024;
            match connection.poll_event(NOW) {
                Ok(None) => assert!(read <= 2 * limit, "{read} octets are kept"),
                end => break end,
            }
        };
        let error = error.unwrap_err();
        let expected = ProtocolError::InputBeforeReady { size: limit + 1024, limit };
        assert_eq!(error, Error::Protocol(expected));
        assert!(error.to_string().ends_with("the limit is 69632"), "{error}");
        assert_eq!(connection.input().capacity(), 0);
        assert!(!connection.wants_input());
    }
}

#[test]
fn what_came_in_one_segment_with_the_handshake_is_served_after_the_verdict() {
    // More than is kept otherwise, but all in one read.
    let wishes = b"\x00\x02\x01A".repeat(50_000);
    let config = Config { authenticate_null: true, ..Config::new(SocketType::Pub) };
    let mut connection = judging(config, &[NULL_3_1, READY_SUB, &wishes].concat());
    assert_eq!(connection.poll_event(NOW), Ok(None));
    connection.authorize(NOW, Ok(Allowed::new()));
    assert!(matches!(connection.poll_event(NOW), Ok(Some(Event::Ready(_)))));
    assert!(connection.wants_input());
    let mut served = 0;
    while let Some(event) = connection.poll_event(NOW).unwrap() {
        assert_eq!(event, Event::Subscription(Subscription::Subscribe("A".into())));
        served += 1;
    }
    assert_eq!(served, 50_000);
}

#[test]
fn a_handshake_frame_of_any_allowed_size_is_wanted_to_its_end() {
    let limits = Limits::default().with_handshake_frame_size(1 << 20);
    let mut fresh = Connection::new(Arc::new(Config { limits, ..Config::new(SocketType::Sub) }));
    let value = vec![b'v'; (1 << 20) - 13];
    let ready = [&b"\x06\0\0\0\0\0\x10\0\0\x05READY\x02Xa\0\x0F\xFF\xF3"[..], &value].concat();
    for read in [NULL_3_1, &ready].concat().chunks(4096) {
        assert!(fresh.wants_input());
        fresh.receive(NOW, read);
        match fresh.poll_event(NOW) {
            Ok(None) => {}
            event => assert!(matches!(event, Ok(Some(Event::Ready(_)))), "{event:?}"),
        }
    }
    assert!(fresh.is_traffic());
}

#[test]
fn a_metadata_bomb_is_kept_in_the_octets_it_came_in() {
    let mut connection = Connection::new(Arc::new(Config::new(SocketType::Sub)));
    // 681 properties of six octets: all that fits into 4 KiB beside the name.
    let properties = b"\x01a\0\0\0\0".repeat(681);
    let ready = [&b"\x06\0\0\0\0\0\0\x0F\xFC\x05READY"[..], &properties].concat();
    connection.receive(NOW, &[NULL_3_1, &ready].concat());
    let Ok(Some(Event::Ready(peer))) = connection.poll_event(NOW) else { panic!() };
    assert_eq!(peer.metadata.iter().count(), 681);
    assert_eq!(peer.metadata.encoded_len(), properties.len());

    // A value that announces what the frame does not hold.
    let mut connection = Connection::new(Arc::new(Config::new(SocketType::Sub)));
    connection.receive(NOW, &[NULL_3_1, b"\x04\x0D\x05READY\x01a\x7F\xFF\xFF\xFFx"].concat());
    let error = connection.poll_event(NOW).unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::Metadata { .. })), "{error}");
}

#[test]
fn a_flood_of_pings_is_answered_only_as_it_is_read() {
    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    let flood = PING.repeat(100_000);
    connection.receive(NOW, &flood);
    assert_eq!(connection.poll_event(NOW), Ok(None));
    let pongs = connection.output().split();
    let bound = 64 * 1024;
    assert!((bound..bound + PONG.len()).contains(&pongs.len()), "{} octets", pongs.len());
    assert!(pongs.chunks(PONG.len()).all(|pong| pong == PONG));

    connection.receive(NOW, PING);
    assert_eq!(connection.poll_event(NOW), Ok(None));
    assert_eq!(&connection.output()[..], PONG, "it has drained, and PINGs are answered again");
}

#[test]
fn messages_that_wait_do_not_keep_a_ping_from_its_answer() {
    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    connection.send(&vec![0; 1 << 20].into()).unwrap();
    connection.receive(NOW, PING);
    assert_eq!(connection.poll_event(NOW), Ok(None));
    assert!(connection.output().ends_with(PONG));
}

#[test]
fn the_read_hint_at_most_doubles_what_has_come() {
    let size = 1 << 20;
    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    assert_eq!(connection.read_hint(), 0);
    connection.receive(NOW, b"\x00\xFFshort");
    assert_eq!(connection.poll_event(NOW), Ok(None));
    assert_eq!(connection.read_hint(), 0, "a short frame needs no hint");

    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    connection.receive(NOW, &long(2, size));
    let mut arrived = 0;
    let mut reads = 0;
    loop {
        match connection.poll_event(NOW).unwrap() {
            None => {}
            Some(event) => {
                assert!(matches!(event, Event::Message(message) if message.size() == 1 << 20));
                break;
            }
        }
        let hint = connection.read_hint();
        assert_eq!(hint, (size as usize - arrived).min(arrived.max(64 * 1024)));
        connection.receive(NOW, &vec![0; hint]);
        arrived += hint;
        reads += 1;
    }
    assert_eq!(reads, 5, "64, 64, 128, 256 and 512 KiB");
    assert_eq!(connection.read_hint(), 0);
}

#[test]
fn a_small_message_does_not_pin_the_read_buffer() {
    let mut connection = in_traffic(SocketType::Sub, Limits::default());
    connection.receive(NOW, &b"\x00\x03abc".repeat(1000));
    let start = connection.input().as_ptr_range();
    let Ok(Some(Event::Message(message))) = connection.poll_event(NOW) else { panic!() };
    assert!(!start.contains(&message.first().as_ptr()));
}
