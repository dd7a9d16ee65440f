//! Ways to break the protocol, each with the rule that the event must name.

use super::{GREETING, RawPeer};

/// How far a peer keeps the rules before it breaks one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// It has sent nothing.
    Greeting,
    /// The greetings are exchanged; its READY is to come.
    Ready,
    /// The handshake is done.
    Traffic,
}

/// One way to break the protocol.
#[derive(Clone, Debug)]
pub struct Breach {
    /// A name for the message of a test that fails.
    pub name: &'static str,
    /// When it occurs.
    pub stage: Stage,
    /// The octets that the peer sends.
    pub sends: Vec<u8>,
    /// The octets that the peer gets before the connection is closed.
    pub hears: &'static [u8],
    /// Part of the reason in the event.
    pub rule: &'static str,
}

impl Breach {
    /// Keeps the rules up to the breach, as a peer that sends `ready` and expects `theirs`.
    pub async fn approach(&self, peer: &mut RawPeer, ready: &[u8], theirs: &[u8]) {
        peer.expect(GREETING).await;
        if self.stage != Stage::Greeting {
            peer.send(GREETING).await;
            peer.expect(theirs).await;
        }
        if self.stage == Stage::Traffic {
            peer.send(ready).await;
        }
    }

    /// Breaks the rule, and checks that the connection then ends.
    pub async fn commit(&self, peer: &mut RawPeer) {
        peer.send(&self.sends).await;
        peer.expect(self.hears).await;
        peer.expect_closed().await;
    }
}

/// Every breach, against one of our sockets whose peers must not be of the type `unfit`, three
/// letters.
pub fn all(unfit: &str) -> Vec<Breach> {
    let mut breaches = greetings();
    breaches.extend(handshakes(unfit));
    breaches.extend(traffic());
    breaches
}

/// Each of them ends with the octet that decides, so no further one is needed.
fn greetings() -> Vec<Breach> {
    let rows: [(&str, &[u8], &str); 10] = [
        ("another protocol", b"GET / HTTP/1.1\r\n", "whose first octet is FF; got 47"),
        ("nothing but zeros", &[0; 64], "whose first octet is FF; got 00"),
        ("ZMTP 1.0, short identity", b"\x01", "whose first octet is FF; got 01"),
        ("ZMTP 1.0, long identity", b"\xFF\0\0\0\0\0\0\0\x05\x00", "as ZMTP 1.0 sends"),
        (
            "a bad signature",
            b"\xFF\0\0\0\0\0\0\0\0\x7E",
            "expected 7F at the end of the greeting's",
        ),
        ("ZMTP 2.0", b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01", "got 1 (ZMTP 2.0 or older)"),
        ("revision 0", b"\xFF\0\0\0\0\0\0\0\x01\x7F\x00", "got 0 (ZMTP 2.0 or older)"),
        (
            "another mechanism",
            b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "our security mechanism is NULL, the peer's is PLAIN",
        ),
        (
            "NULL and then something else",
            b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0X\
            \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "our security mechanism is NULL, the peer's is NULL\\x00",
        ),
        (
            "no mechanism",
            b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
            \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0",
            "our security mechanism is NULL, the peer's is ",
        ),
    ];
    rows.map(|(name, sends, rule)| breach(name, Stage::Greeting, sends, rule)).into()
}

fn handshakes(unfit: &str) -> Vec<Breach> {
    let rows: [(&str, &[u8], &str); 18] = [
        (
            "a message before READY",
            b"\x00\x01A",
            "expected a command of the handshake, got a message",
        ),
        (
            "a subscription before READY",
            b"\x04\x0B\x09SUBSCRIBEA",
            "expected READY, got the command SUBSCRIBE",
        ),
        ("PING before READY", b"\x04\x07\x04PING\0\0", "expected READY, got the command PING"),
        ("a command of PLAIN", b"\x04\x08\x07WELCOME", "expected READY, got the command WELCOME"),
        (
            "an unknown command before READY",
            b"\x04\x04\x03HEY",
            "expected READY, got the command HEY",
        ),
        ("a reserved flag", b"\x0C\x19", "frame flags 0C: a reserved bit is set"),
        (
            "MORE on READY",
            b"\x05\x19",
            "frame flags 05: a reserved bit is set, or MORE is set on a command",
        ),
        (
            "READY above 4 KiB",
            b"\x06\0\0\0\0\0\0\x10\x01",
            "announces 4097 octets; the limit is 4096",
        ),
        ("a giant READY", b"\x06\x40\0\0\0\0\0\0\0", "announces 4611686018427387904 octets"),
        ("no name", b"\x04\x00", "malformed unnamed command"),
        ("an empty name", b"\x04\x01\x00", "malformed unnamed command"),
        ("a name cut short", b"\x04\x05\x05READ", "malformed unnamed command"),
        ("a name that is no word", b"\x04\x06\x05RE\nDY", "malformed unnamed command"),
        (
            "a property cut short",
            b"\x04\x12\x05READY\x0BSocket-Type",
            "the last property is cut short",
        ),
        (
            "a property of 2^31 octets",
            b"\x04\x0C\x05READY\x01A\x80\0\0\0",
            "announces too many octets",
        ),
        (
            "a property beyond the frame",
            b"\x04\x0C\x05READY\x01A\x7F\xFF\xFF\xFF",
            "the last property is cut short",
        ),
        ("a property without a name", b"\x04\x0B\x05READY\0\0\0\0\0", "a property name is empty"),
        (
            "a property with a bad name",
            b"\x04\x0C\x05READY\x01\n\0\0\0\0",
            "has a forbidden character",
        ),
    ];
    let malformed = rows.map(|(name, sends, rule)| breach(name, Stage::Ready, sends, rule));
    // RFC 23: a side that finds the socket types incompatible sends an ERROR and closes.
    let unfit_type = |name, of: &str, rule| Breach {
        hears: b"\x04\x1A\x05ERROR\x13Invalid socket type",
        ..breach(
            name,
            Stage::Ready,
            &[b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03", of.as_bytes()].concat(),
            rule,
        )
    };
    let mut breaches = Vec::from(malformed);
    breaches.push(unfit_type(
        "our own socket type",
        unfit,
        "socket cannot be connected to a socket of type",
    ));
    breaches.push(unfit_type("no socket type at all", "XYZ", "a socket of type \"XYZ\""));
    breaches.push(unfit_type("a socket type in lower case", "sub", "a socket of type \"sub\""));
    breaches
}

fn traffic() -> Vec<Breach> {
    let rows: [(&str, &[u8], &str); 26] = [
        (
            "a second READY",
            b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB",
            "got the command READY",
        ),
        (
            "a second READY between the parts of a message",
            b"\x01\x01A\x04\x06\x05READY",
            "got the command READY",
        ),
        ("HELLO", b"\x04\x08\x05HELLO\0\0", "got the command HELLO"),
        ("INITIATE", b"\x04\x09\x08INITIATE", "got the command INITIATE"),
        ("a command of PLAIN", b"\x04\x08\x07WELCOME", "got the command WELCOME"),
        ("a reserved flag on a message", b"\x08\x01A", "frame flags 08: a reserved bit is set"),
        ("the highest flag", b"\x80\x01A", "frame flags 80: a reserved bit is set"),
        ("a reserved flag between the parts of a message", b"\x01\x01A\x10\x01B", "frame flags 10"),
        ("MORE on a command", b"\x05\x07\x04PING\0\0", "or MORE is set on a command"),
        (
            "LONG and MORE on a command",
            b"\x07\0\0\0\0\0\0\0\x07\x04PING\0\0",
            "or MORE is set on a command",
        ),
        (
            "a frame of 2^63 octets",
            b"\x02\x80\0\0\0\0\0\0\0",
            "announces 9223372036854775808 octets; the protocol allows",
        ),
        (
            "a frame of 2^64-1 octets",
            b"\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "the protocol allows at most 2^63-1",
        ),
        (
            "a frame that ends at 2^64 octets with its header",
            b"\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xF7",
            "the protocol allows at most 2^63-1",
        ),
        (
            "a first part of 2^64-1 octets",
            b"\x03\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "the protocol allows at most 2^63-1",
        ),
        (
            "a frame of 2^63-1 octets",
            b"\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "a message has at least 9223372036854775807 octets",
        ),
        (
            "a frame of 2^62 octets",
            b"\x02\x40\0\0\0\0\0\0\0",
            "a message has at least 4611686018427387904 octets",
        ),
        (
            "parts of 2^63-1 octets after one of 1",
            b"\x01\x01A\x03\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "a message has at least 9223372036854775808 octets",
        ),
        (
            "a command of 2^62 octets",
            b"\x06\x40\0\0\0\0\0\0\0",
            "a command announces 4611686018427387904 octets",
        ),
        (
            "a command of 2^63-1 octets",
            b"\x06\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "a command announces 9223372036854775807 octets",
        ),
        (
            "a command of 2^64-1 octets",
            b"\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
            "the protocol allows at most 2^63-1",
        ),
        ("a command without a name", b"\x04\x00", "malformed unnamed command"),
        ("a command with an empty name", b"\x04\x01\x00", "malformed unnamed command"),
        ("ERROR cut short", b"\x04\x07\x05ERROR\x05", "malformed ERROR command"),
        ("SUBSCRIBE cut short", b"\x04\x05\x09SUBS", "malformed unnamed command"),
        (
            "PING without a time to live",
            b"\x04\x05\x04PING",
            "malformed PING command: the time to live is missing",
        ),
        (
            "PING with half a time to live",
            b"\x04\x06\x04PING\0",
            "malformed PING command: the time to live is missing",
        ),
    ];
    let mut breaches =
        Vec::from(rows.map(|(name, sends, rule)| breach(name, Stage::Traffic, sends, rule)));
    let endless = b"\x01\x00".repeat(1025);
    breaches.push(breach("parts without end", Stage::Traffic, &endless, "more than 1024 parts"));
    let garbage: Vec<u8> = (0..=255).rev().collect();
    breaches.push(breach("garbage", Stage::Traffic, &garbage, "frame flags FF"));
    breaches
}

fn breach(name: &'static str, stage: Stage, sends: &[u8], rule: &'static str) -> Breach {
    Breach { name, stage, sends: sends.into(), hears: b"", rule }
}
