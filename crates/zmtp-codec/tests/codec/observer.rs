//! An observer hears both sides, however their octets are cut.

use zmtp_codec::{
    Command, Limits, MechanismName, Observation, Observer, ProtocolError, Said, Side, Subscription,
};

use crate::wire::*;

/// The observations of one side that sends these pieces, while the other side sends something else.
fn heard<'a>(side: Side, pieces: impl IntoIterator<Item = &'a [u8]>) -> Vec<(u64, Said)> {
    let mut observer = Observer::default();
    let mut heard = Vec::new();
    let mut fed = 0;
    for piece in pieces {
        observer.feed(side, piece);
        fed += piece.len();
        while let Some(Observation { side: by, position, said, .. }) = observer.poll() {
            assert_eq!(by, side);
            assert!(position <= fed as u64);
            heard.push((position, said));
        }
        assert!(observer.waiting(side) <= fed);
    }
    heard
}

fn heard_every_way(octets: &[u8]) -> Vec<(u64, Said)> {
    let whole = heard(Side::Connecting, [octets]);
    assert_eq!(heard(Side::Binding, octets.chunks(1)), whole, "octet by octet");
    for at in 0..octets.len() {
        let (before, after) = octets.split_at(at);
        assert_eq!(heard(Side::Connecting, [before, after]), whole, "cut at {at}");
    }
    whole
}

fn part(more: bool, body: &'static str) -> Said {
    Said::Part { more, body: body.into() }
}

#[test]
fn a_subscriber_is_understood() {
    let octets =
        [NULL_3_1, READY_SUB, SUBSCRIBE_A, b"\x00\x02\x00A", PING, b"\x04\x05\x04JOIN"].concat();
    let heard = heard_every_way(&octets);
    let [greeting, ready, rest @ ..] = &heard[..] else { panic!("{heard:?}") };
    assert!(
        matches!(greeting, (0, Said::Greeting(it)) if it.mechanism == MechanismName::NULL),
        "{greeting:?}"
    );
    assert!(matches!(ready, (64, Said::Command(Command::Ready(_)))), "{ready:?}");
    let expected = [
        (91, Said::Subscription(Subscription::Subscribe("A".into()))),
        (104, Said::Subscription(Subscription::Cancel("A".into()))),
        (108, Said::Command(Command::Ping { ttl: 0, context: "".into() })),
        (117, Said::Command(Command::Join("".into()))),
    ];
    assert_eq!(rest, expected);
}

#[test]
fn a_publisher_sends_no_subscriptions_whatever_its_messages_begin_with() {
    let octets = [NULL_3_1, READY_PUB, b"\x01\x01\x01", PONG, b"\x00\x02\x01A\x00\x00"].concat();
    let heard = heard_every_way(&octets);
    let pong = Said::Command(Command::Pong { context: "".into() });
    let expected =
        [(91, part(true, "\x01")), (94, pong), (101, part(false, "\x01A")), (105, part(false, ""))];
    assert_eq!(heard[2..], expected);
}

#[test]
fn a_part_of_a_longer_message_is_no_subscription() {
    let octets = [NULL_3_1, READY_SUB, b"\x01\x01\x01\x00\x02\x01A\x00\x02\x01A"].concat();
    let wish = Said::Subscription(Subscription::Subscribe("A".into()));
    let expected = [(91, part(true, "\x01")), (94, part(false, "\x01A")), (98, wish)];
    assert_eq!(heard_every_way(&octets)[2..], expected);
}

#[test]
fn both_sides_of_a_plain_handshake_are_told_and_no_password_is_shown() {
    let mut observer = Observer::default();
    observer.feed(Side::Connecting, &[PLAIN_3_1, HELLO, INITIATE_SUB, SUBSCRIBE_A].concat());
    observer.feed(Side::Binding, &[PLAIN_3_1, WELCOME, ERROR_400].concat());
    let told: Vec<_> = std::iter::from_fn(|| observer.poll())
        .map(|it| format!("{:?} {} {:?}", it.side, it.position, it.said))
        .filter(|told| !told.contains("Greeting"))
        .collect();
    let expected = [
        r#"Connecting 64 Command(HELLO("admin", ***))"#,
        r#"Connecting 85 Command(INITIATE({"Socket-Type": "SUB"}))"#,
        r#"Connecting 115 Subscription(Subscribe("A"))"#,
        "Binding 64 Command(WELCOME)",
        r#"Binding 74 Command(ERROR("400"))"#,
    ];
    assert_eq!(told, expected);
}

#[cfg(feature = "curve")]
#[test]
fn traffic_under_curve_is_counted() {
    use crate::curve::{greeting, vector};
    let names = ["hello", "initiate", "subscribe", "ping"];
    let said: Vec<Vec<u8>> = names.iter().map(|name| vector(name)).collect();
    let octets = [greeting(), said.concat()].concat();
    let heard = heard_every_way(&octets);
    let opaque = |at: usize, name: &str| matches!(&heard[at].1, Said::Command(Command::Opaque { name: it, .. }) if it == name);
    assert!(opaque(1, "HELLO") && opaque(2, "INITIATE"), "{heard:?}");
    for (at, frame) in [(3, &said[2]), (4, &said[3])] {
        assert_eq!(heard[at].1, Said::Sealed { size: frame.len() as u64 - 2 });
    }
    assert_eq!(heard.len(), 5);
    // A giant is passed over as it comes.
    let mut observer = Observer::default();
    observer.feed(Side::Binding, &octets);
    observer.feed(Side::Binding, b"\x02\0\0\0\x01\0\0\0\0");
    while observer.poll().is_some() {}
    for _ in 0..100 {
        observer.feed(Side::Binding, &[0; 100_000]);
        assert_eq!(observer.poll(), None);
        assert_eq!(observer.waiting(Side::Binding), 0);
    }
}

#[test]
fn what_breaks_a_rule_is_told_with_its_place_and_ends_that_side_alone() {
    let ready = [NULL_3_1, READY_SUB].concat();
    let too_large = ProtocolError::HandshakeFrameTooLarge { size: 4097, limit: 4096 };
    let rows: [(Vec<u8>, u64, ProtocolError); 4] = [
        (b"GET /".to_vec(), 0, ProtocolError::NotZmtp { first: b'G' }),
        ([NULL_3_1, b"\x00\x01A"].concat(), 64, ProtocolError::MessageInHandshake),
        ([NULL_3_1, b"\x06\0\0\0\0\0\0\x10\x01"].concat(), 64, too_large),
        ([&ready[..], PING, b"\x08\x00"].concat(), 100, ProtocolError::Flags { flags: 8 }),
    ];
    for (octets, position, error) in rows {
        let heard = heard_every_way(&octets);
        assert_eq!(heard.last(), Some(&(position, Said::Broken(error))));
        let mut observer = Observer::new(Limits::new());
        observer.feed(Side::Connecting, &octets);
        while observer.poll().is_some() {}
        observer.feed(Side::Connecting, &ready);
        assert_eq!((observer.poll(), observer.waiting(Side::Connecting)), (None, 0));
        observer.feed(Side::Binding, &ready);
        assert!(observer.poll().is_some(), "the other side goes on");
    }
}
