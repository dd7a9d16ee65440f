//! Messages of several parts as one payload, and back again.
//!
//! | message | subject | payload | header `Zmtp-Parts` |
//! |---|---|---|---|
//! | topic and body | of the topic | the body | none |
//! | topic and more | of the topic | all parts behind the topic | `topic`, then the octets of each |
//! | one part | of its beginning up to a blank | the part | its octets |
//!
//! So a user of NATS gets the plain body of the messages that most publishers send, and the
//! messages of such a user arrive as topic and body. A first part of more than 255 octets is not a
//! topic: its message is sent as in the last row.

use std::fmt::Write as _;

use bytes::Bytes;
use zmtp_socket::Message;

/// The header with the lengths of the parts.
pub(super) const PARTS: &str = "Zmtp-Parts";

/// The longest topic. Each of its octets takes at most three in a subject, and a server accepts
/// lines of 4096.
const TOPIC_MAX: usize = 255;

/// The most parts that a message may have.
const PARTS_MAX: usize = 4096;

/// The first word of the list if the subject's topic is the first part.
const TOPIC: &str = "topic";

/// A message in the form of NATS.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Envelope {
    pub(super) topic: Bytes,
    pub(super) payload: Bytes,
    pub(super) parts: Option<String>,
}

/// A payload that contradicts its header.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Torn;

impl Envelope {
    /// The envelope of a message; `None` if there are more parts than [`open`](Self::open) accepts.
    pub(super) fn of(message: &Message) -> Option<Self> {
        if message.part_count() > PARTS_MAX {
            return None;
        }
        Some(match message.parts() {
            [topic, body] if topic.len() <= TOPIC_MAX => {
                Self { topic: topic.clone(), payload: body.clone(), parts: None }
            }
            [topic, bodies @ ..] if topic.len() <= TOPIC_MAX && !bodies.is_empty() => {
                let parts = bodies.iter().fold(TOPIC.to_owned(), list);
                Self { topic: topic.clone(), payload: bodies.concat().into(), parts: Some(parts) }
            }
            parts => {
                let first = message.first();
                let end = first.iter().take(TOPIC_MAX).take_while(|it| !is_blank(**it)).count();
                let payload =
                    if let [whole] = parts { whole.clone() } else { parts.concat().into() };
                let parts = parts.iter().fold(String::new(), list);
                Self { topic: first.slice(..end), payload, parts: Some(parts) }
            }
        })
    }

    /// Decodes the message.
    pub(super) fn open(self) -> Result<Message, Torn> {
        let Self { topic, mut payload, parts } = self;
        let Some(parts) = parts else { return Ok(Message::from((topic, payload))) };
        let mut words = parts.split(' ').peekable();
        let mut whole: Vec<_> = words.next_if_eq(&TOPIC).map(|_| topic).into_iter().collect();
        for word in words {
            let octets = word.parse().map_err(|_| Torn)?;
            if octets > payload.len() || whole.len() == PARTS_MAX {
                return Err(Torn);
            }
            whole.push(payload.split_to(octets));
        }
        if !payload.is_empty() {
            return Err(Torn);
        }
        Message::multipart(whole).ok_or(Torn)
    }
}

/// Adds the length of one more part to the list.
fn list(mut list: String, part: &Bytes) -> String {
    if !list.is_empty() {
        list.push(' ');
    }
    write!(list, "{}", part.len()).expect("memory can be written to");
    list
}

fn is_blank(octet: u8) -> bool {
    octet.is_ascii_whitespace() || octet == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(parts: &[&[u8]]) -> Message {
        Message::multipart(parts.iter().map(|part| Bytes::copy_from_slice(part))).unwrap()
    }

    fn envelope(topic: &[u8], payload: &[u8], parts: Option<&str>) -> Envelope {
        let [topic, payload] = [topic, payload].map(Bytes::copy_from_slice);
        Envelope { topic, payload, parts: parts.map(str::to_owned) }
    }

    #[test]
    fn a_message_comes_back_as_it_was() {
        let long = [b'x'; 256];
        for (parts, sealed) in [
            (&[&b"a"[..], b"body"][..], envelope(b"a", b"body", None)),
            (&[b"a", b""], envelope(b"a", b"", None)),
            (&[b"", b"body"], envelope(b"", b"body", None)),
            (&[b"a", b"one", b"", b"three"], envelope(b"a", b"onethree", Some("topic 3 0 5"))),
            (&[b"10002 27 40"], envelope(b"10002", b"10002 27 40", Some("11"))),
            (&[b""], envelope(b"", b"", Some("0"))),
            (&[&long], envelope(&long[..255], &long, Some("256"))),
            (&[&long, b"y"], envelope(&long[..255], &[&long[..], b"y"].concat(), Some("256 1"))),
        ] {
            let message = message(parts);
            let envelope = Envelope::of(&message).unwrap();
            assert_eq!(envelope, sealed);
            assert_eq!(envelope.open().unwrap().parts(), message.parts());
        }
    }

    #[test]
    fn a_payload_that_is_not_what_its_header_says_is_no_message() {
        let many = vec!["0"; PARTS_MAX + 1].join(" ");
        for parts in
            ["", "3", "5", "4 1", "-1 5", "topic", "topic 3", "4 topic", " 4", "4 ", "x", &many]
        {
            assert_eq!(envelope(b"a", b"body", Some(parts)).open().unwrap_err(), Torn, "{parts}");
        }
        let most = message(&vec![&b""[..]; PARTS_MAX]);
        assert_eq!(Envelope::of(&most).unwrap().open().unwrap().part_count(), PARTS_MAX);
        assert_eq!(Envelope::of(&message(&vec![&b""[..]; PARTS_MAX + 1])), None);
        let huge = "18446744073709551615 18446744073709551615";
        assert_eq!(envelope(b"a", b"body", Some(huge)).open().unwrap_err(), Torn);
    }
}
