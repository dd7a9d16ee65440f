//! However a conversation is cut into reads, it means the same.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zmtp_codec::{
    Allowed, Config, Connection, Credentials, Denial, Error, Event, Mechanism, Message, Mismatch,
    ProtocolError, SocketType, Subscription,
};

use crate::wire::*;

/// The outcome of a conversation: events, the error that ended it, and all that we wrote.
#[derive(Debug, PartialEq)]
pub(crate) struct Outcome {
    pub(crate) events: Vec<Event>,
    pub(crate) error: Option<Error>,
    pub(crate) output: Vec<u8>,
}

/// Feeds these reads, giving `verdict` on any credentials. Messages are taken up to `together` at
/// once; with 0, one by one as events.
fn hear<'a>(
    config: &Arc<Config>,
    verdict: &Result<(), Denial>,
    together: usize,
    reads: impl IntoIterator<Item = &'a [u8]>,
) -> Outcome {
    let now = Duration::from_secs(1);
    let mut connection = Connection::new(Arc::clone(config));
    let mut outcome = Outcome { events: vec![], error: None, output: vec![] };
    for read in reads {
        connection.receive(now, read);
        loop {
            while let Some(batch) = connection.poll_batch(together) {
                assert!((1..=together).contains(&batch.len()));
                outcome.events.extend(batch.map(Event::Message));
            }
            match connection.poll_event(now) {
                Ok(None) | Err(Error::Closed) => break,
                Ok(Some(event)) => {
                    assert_eq!(outcome.error, None, "an event after the end");
                    if matches!(event, Event::Credentials(_)) {
                        assert_eq!(connection.poll_event(now), Ok(None), "no verdict yet");
                        connection.authorize(now, verdict.clone().map(|()| Allowed::new()));
                    }
                    outcome.events.push(event);
                }
                Err(error) => {
                    assert!(connection.is_closed());
                    assert_eq!(outcome.error.replace(error), None, "a second error");
                }
            }
        }
        outcome.output.extend_from_slice(&connection.output().split());
    }
    outcome
}

/// Hears the octets whole, byte by byte, and cut in two at every point; messages one by one and
/// together.
pub(crate) fn hear_every_way(
    config: Config,
    verdict: Result<(), Denial>,
    heard: &[&[u8]],
) -> Outcome {
    let config = Arc::new(config);
    let octets = heard.concat();
    let whole = hear(&config, &verdict, 0, [&octets[..]]);
    for together in [0, 1, 2, usize::MAX] {
        let heard = hear(&config, &verdict, together, octets.chunks(1));
        assert_eq!(heard, whole, "octet by octet, {together} together");
        for at in 0..octets.len() {
            let (before, after) = octets.split_at(at);
            let heard = hear(&config, &verdict, together, [before, after]);
            assert_eq!(heard, whole, "cut at {at}, {together} together");
        }
    }
    whole
}

pub(crate) fn ready(outcome: &Outcome) -> &zmtp_codec::PeerInfo {
    outcome
        .events
        .iter()
        .find_map(|event| match event {
            Event::Ready(peer) => Some(&**peer),
            _ => None,
        })
        .expect("the handshake is over")
}

pub(crate) fn after_ready(outcome: &Outcome) -> &[Event] {
    let at = outcome.events.iter().position(|event| matches!(event, Event::Ready(_))).unwrap();
    &outcome.events[at + 1..]
}

fn plain_client() -> Config {
    let mechanism = Mechanism::PlainClient { username: "admin".into(), password: "secret".into() };
    Config { mechanism, ..Config::new(SocketType::Sub) }
}

fn plain_server() -> Config {
    Config { mechanism: Mechanism::PlainServer, ..Config::new(SocketType::Pub) }
}

#[test]
fn a_subscriber_hears_messages_with_commands_in_between() {
    let long = [&b"\x03\0\0\0\0\0\0\x01\x2C"[..], &[b'L'; 300]].concat();
    let heard = [
        NULL_3_1,
        READY_PUB,
        b"\x00\x0B10001 17 40",
        b"\x01\x01A",
        b"\x04\x0A\x04PING\0\x1Eabc",
        &long,
        b"\x04\x05\x04PONG",
        SUBSCRIBE_A,
        b"\x00\x00",
        b"\x04\x0A\x04JOINgroup",
        b"\x02\0\0\0\0\0\0\0\x02hi",
        b"\x00\x00",
    ];
    let outcome = hear_every_way(Config::new(SocketType::Sub), Ok(()), &heard);
    assert_eq!(outcome.error, None);
    assert_eq!(ready(&outcome).socket_type, Some(SocketType::Pub));
    assert_eq!(ready(&outcome).username, None);
    let multipart =
        Message::multipart([Bytes::from("A"), vec![b'L'; 300].into(), Bytes::new()]).unwrap();
    let messages = ["10001 17 40".into(), multipart, "hi".into(), "".into()];
    assert_eq!(after_ready(&outcome), messages.map(Event::Message));
    let expected = [OUR_NULL_3_1, READY_SUB, b"\x04\x08\x04PONGabc"].concat();
    assert_eq!(outcome.output, expected);
}

#[test]
fn a_publisher_hears_both_forms_of_subscription() {
    for (greeting, minor) in [(NULL_3_0, 0), (NULL_3_1, 1)] {
        for socket_type in [SocketType::Pub, SocketType::XPub] {
            let heard = [
                greeting,
                READY_SUB,
                SUBSCRIBE_A,
                b"\x00\x02\x01B",
                b"\x04\x08\x06CANCELA",
                b"\x00\x01\x00",
                b"\x01\x01\x01\x00\x01x",
                b"\x00\x05hello",
            ];
            let outcome = hear_every_way(Config::new(socket_type), Ok(()), &heard);
            assert_eq!(outcome.error, None);
            assert_eq!(ready(&outcome).version.minor, minor);
            let all = [
                Event::Subscription(Subscription::Subscribe("A".into())),
                Event::Subscription(Subscription::Subscribe("B".into())),
                Event::Subscription(Subscription::Cancel("A".into())),
                Event::Subscription(Subscription::Cancel("".into())),
                Event::Message(Message::multipart(["\x01", "x"]).unwrap()),
                Event::Message("hello".into()),
            ];
            // RFC 29: a PUB discards what is no subscription.
            let given = if socket_type == SocketType::XPub { 6 } else { 4 };
            assert_eq!(after_ready(&outcome), &all[..given]);
        }
    }
}

#[test]
fn a_peer_without_a_socket_type_is_taken_as_it_is() {
    let heard = [NULL_3_1, READY_NAMELESS];
    let outcome = hear_every_way(Config::new(SocketType::Sub), Ok(()), &heard);
    assert_eq!(outcome.error, None);
    assert_eq!(ready(&outcome).socket_type, None);
}

#[test]
fn a_plain_client_logs_in() {
    let heard = [PLAIN_3_1, WELCOME, READY_PUB, b"\x00\x01x"];
    let outcome = hear_every_way(plain_client(), Ok(()), &heard);
    assert_eq!(outcome.error, None);
    assert_eq!(after_ready(&outcome), [Event::Message("x".into())]);
    assert_eq!(outcome.output, [OUR_PLAIN_CLIENT, HELLO, INITIATE_SUB].concat());
}

#[test]
fn a_plain_server_lets_in_and_keeps_out() {
    let heard = [PLAIN_3_1, HELLO, INITIATE_SUB, SUBSCRIBE_A];
    let outcome = hear_every_way(plain_server(), Ok(()), &heard);
    assert_eq!(outcome.error, None);
    let Event::Credentials(applicant) = &outcome.events[0] else { panic!("{outcome:?}") };
    let claimed = Credentials::Plain { username: "admin".into(), password: "secret".into() };
    assert_eq!(**applicant, claimed.into(), "it has announced nothing yet");
    assert_eq!(format!("{:?}", applicant.credentials), "Plain(\"admin\", ***)");
    assert_eq!(ready(&outcome).username.as_deref(), Some(&b"admin"[..]));
    let subscription = Event::Subscription(Subscription::Subscribe("A".into()));
    assert_eq!(after_ready(&outcome), [subscription]);
    assert_eq!(outcome.output, [OUR_PLAIN_SERVER, WELCOME, READY_PUB].concat());

    let denial = Denial::refused("wrong password");
    let outcome = hear_every_way(plain_server(), Err(denial.clone()), &heard);
    assert_eq!(outcome.error, Some(Error::Denied(denial)));
    assert_eq!(outcome.events.len(), 1);
    assert_eq!(outcome.output, [OUR_PLAIN_SERVER, ERROR_400].concat());
}

#[test]
fn socket_types_that_do_not_fit_are_told_so() {
    let mismatch = |ours, theirs: &str| {
        Some(Error::Mismatch(Mismatch::SocketType { ours, theirs: theirs.into() }))
    };
    let outcome = hear_every_way(Config::new(SocketType::Sub), Ok(()), &[NULL_3_1, READY_SUB]);
    assert_eq!(outcome.error, mismatch(SocketType::Sub, "SUB"));
    assert_eq!(outcome.output, [OUR_NULL_3_1, READY_SUB, UNFIT].concat());

    let radio = b"\x04\x1B\x05READY\x0Bsocket-type\0\0\0\x05RADIO";
    let outcome = hear_every_way(Config::new(SocketType::Sub), Ok(()), &[NULL_3_1, radio]);
    assert_eq!(outcome.error, mismatch(SocketType::Sub, "RADIO"));

    let heard = [PLAIN_3_1, HELLO, INITIATE_PULL];
    let outcome = hear_every_way(plain_server(), Ok(()), &heard);
    assert_eq!(outcome.error, mismatch(SocketType::Pub, "PULL"));
    assert_eq!(outcome.output, [OUR_PLAIN_SERVER, WELCOME, UNFIT].concat());

    let heard = [PLAIN_3_1, WELCOME, READY_PULL];
    let outcome = hear_every_way(plain_client(), Ok(()), &heard);
    assert_eq!(outcome.error, mismatch(SocketType::Sub, "PULL"));
    assert_eq!(outcome.output, [OUR_PLAIN_CLIENT, HELLO, INITIATE_SUB, UNFIT].concat());
}

#[test]
fn a_refusal_is_one_at_any_time() {
    let refused = Some(Error::Refused { reason: "400".into() });
    let rows: [(Config, &[&[u8]]); 5] = [
        (Config::new(SocketType::Sub), &[NULL_3_1, ERROR_400]),
        (Config::new(SocketType::Sub), &[NULL_3_1, READY_PUB, ERROR_400]),
        (plain_client(), &[PLAIN_3_1, ERROR_400]),
        (plain_client(), &[PLAIN_3_1, WELCOME, ERROR_400]),
        (plain_server(), &[PLAIN_3_1, HELLO, ERROR_400]),
    ];
    for (config, heard) in rows {
        let outcome = hear_every_way(config, Ok(()), heard);
        assert_eq!(outcome.error, refused);
        assert!(outcome.error.is_some_and(|error| error.is_refusal()));
    }
}

#[test]
fn mechanisms_must_be_the_same() {
    for (config, heard) in [(Config::new(SocketType::Sub), PLAIN_3_1), (plain_client(), NULL_3_1)] {
        let outcome = hear_every_way(config, Ok(()), &[heard, READY_PUB]);
        let error = outcome.error.unwrap();
        assert!(matches!(error, Error::Mismatch(Mismatch::Mechanism { .. })), "{error}");
        assert_eq!(outcome.output.len(), 64, "nothing follows our greeting");
    }
}

#[test]
fn what_comes_out_of_turn_is_refused_by_name() {
    let sub = || Config::new(SocketType::Sub);
    let rows: [(Config, &[&[u8]], &str, &str); 11] = [
        (sub(), &[NULL_3_1, b"\x04\x05\x04JOIN"], "JOIN", "READY"),
        (sub(), &[NULL_3_1, PING], "PING", "READY"),
        (sub(), &[NULL_3_1, SUBSCRIBE_A], "SUBSCRIBE", "READY"),
        (sub(), &[NULL_3_1, READY_PUB, READY_PUB], "READY", "traffic"),
        (sub(), &[NULL_3_1, READY_PUB, WELCOME], "WELCOME", "traffic"),
        (sub(), &[NULL_3_1, READY_PUB, HELLO], "HELLO", "traffic"),
        (sub(), &[NULL_3_1, READY_PUB, INITIATE_SUB], "INITIATE", "traffic"),
        (plain_server(), &[PLAIN_3_1, WELCOME], "WELCOME", "HELLO"),
        (plain_server(), &[PLAIN_3_1, HELLO, HELLO], "HELLO", "INITIATE"),
        (plain_client(), &[PLAIN_3_1, READY_PUB], "READY", "WELCOME"),
        (plain_client(), &[PLAIN_3_1, WELCOME, WELCOME], "WELCOME", "READY"),
    ];
    for (config, heard, came, due) in rows {
        let outcome = hear_every_way(config, Ok(()), heard);
        let Some(Error::Protocol(ProtocolError::Unexpected { command, expected })) = outcome.error
        else {
            panic!("{came}, not {due}: {outcome:?}");
        };
        assert_eq!(command, came);
        assert!(expected.starts_with(due), "{expected}");
    }
}

#[test]
fn broken_rules_end_the_connection() {
    let in_traffic = |octets: &'static [u8]| [NULL_3_1, READY_PUB, octets].concat();
    let flags = |flags| ProtocolError::Flags { flags };
    let rows = [
        (b"GET / HTTP/1.1\r\n".to_vec(), ProtocolError::NotZmtp { first: b'G' }),
        (b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01".to_vec(), ProtocolError::TooOld { major: 1 }),
        ([NULL_3_1, b"\x00\x01x"].concat(), ProtocolError::MessageInHandshake),
        ([NULL_3_1, b"\x05\x00"].concat(), flags(5)),
        (in_traffic(b"\x08\x00"), flags(8)),
        (in_traffic(b"\x01\x01A\x07"), flags(7)),
        (in_traffic(b"\x02\xFF\0\0\0\0\0\0\0"), ProtocolError::FrameSize { size: 0xFF << 56 }),
    ];
    for (octets, error) in rows {
        let outcome = hear_every_way(Config::new(SocketType::Sub), Ok(()), &[&octets]);
        assert_eq!(outcome.error, Some(Error::Protocol(error)));
    }
    for octets in [&b"\x04\x00"[..], b"\x04\x06\x04PING\0", b"\x04\x08\x05ERROR\x02n"] {
        let outcome = hear_every_way(Config::new(SocketType::Sub), Ok(()), &[&in_traffic(octets)]);
        let error = outcome.error.unwrap();
        assert!(matches!(error, Error::Protocol(ProtocolError::Command { .. })), "{error}");
    }
}
