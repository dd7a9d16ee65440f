//! Subscriptions and their two forms: the message of ZMTP 3.0 and the command of ZMTP 3.1.

use std::fmt;

use bytes::{Bytes, BytesMut};

use crate::command::Command;
use crate::frame::FrameHeader;
use crate::message::Message;
use crate::text::Excerpt;
use crate::version::Version;

const SUBSCRIBE: u8 = 1;
const CANCEL: u8 = 0;

/// A subscriber's request to get, or no longer to get, messages whose first part begins with a
/// topic.
#[derive(Clone, PartialEq, Eq, Hash)]
pub enum Subscription {
    /// Send messages that match this topic; the empty topic matches every message.
    Subscribe(Bytes),
    /// Cancel one earlier subscription to exactly this topic.
    Cancel(Bytes),
}

impl Subscription {
    /// The topic that is subscribed to or cancelled.
    pub fn topic(&self) -> &Bytes {
        match self {
            Self::Subscribe(topic) | Self::Cancel(topic) => topic,
        }
    }

    /// Reads the message form: a single part that begins with the octet 1 (subscribe) or 0
    /// (cancel). Any other message gives `None`.
    ///
    /// A proxy sends this form even to peers of ZMTP 3.1. The topic is copied, since it may be kept
    /// much longer than the message.
    pub fn from_message(message: &Message) -> Option<Self> {
        if message.is_multipart() { None } else { Self::from_part(message.first()) }
    }

    /// Takes the subscriptions out of a message of an XSUB, and returns them with the rest of the
    /// message. A message of libzmq may hold several, each in its own part, between the parts of a
    /// message for the user.
    ///
    /// With `only_first`, it looks for subscriptions only if the first part is one: any other
    /// message may then have any octets in its other parts (`ZMQ_ONLY_FIRST_SUBSCRIBE`).
    pub fn take_from(message: Message, only_first: bool) -> (Vec<Self>, Option<Message>) {
        let mut taken = Vec::new();
        if only_first && Self::from_part(message.first()).is_none() {
            return (taken, Some(message));
        }
        let mut left = Vec::new();
        for part in message.parts() {
            match Self::from_part(part) {
                Some(subscription) => taken.push(subscription),
                None => left.push(part.clone()),
            }
        }
        (taken, Message::multipart(left))
    }

    /// Whether a message of one part that begins with this octet is a subscription.
    pub(crate) fn begins_with(first: u8) -> bool {
        matches!(first, SUBSCRIBE | CANCEL)
    }

    fn from_part(part: &[u8]) -> Option<Self> {
        let (which, topic) = part.split_first()?;
        match *which {
            SUBSCRIBE => Some(Self::Subscribe(Bytes::copy_from_slice(topic))),
            CANCEL => Some(Self::Cancel(Bytes::copy_from_slice(topic))),
            _ => None,
        }
    }

    /// Appends the frame that a peer of `version` understands: a command from 3.1 on, a message for
    /// 3.0.
    pub fn encode(&self, version: Version, out: &mut BytesMut) {
        if version < Version::V3_1 {
            let size = (self.topic().len() as u64).saturating_add(1);
            FrameHeader { more: false, command: false, size }.encode(out);
            out.extend_from_slice(&[match self {
                Self::Subscribe(_) => SUBSCRIBE,
                Self::Cancel(_) => CANCEL,
            }]);
            out.extend_from_slice(self.topic());
        } else {
            self.clone().into_command().encode(out);
        }
    }

    fn into_command(self) -> Command {
        match self {
            Self::Subscribe(topic) => Command::Subscribe(topic),
            Self::Cancel(topic) => Command::Cancel(topic),
        }
    }
}

/// Shows the first octets of the topic.
impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Self::Subscribe(_) => "Subscribe",
            Self::Cancel(_) => "Cancel",
        };
        f.debug_tuple(name).field(&Excerpt(self.topic())).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encoded(subscription: &Subscription, version: Version) -> BytesMut {
        let mut out = BytesMut::new();
        subscription.encode(version, &mut out);
        out
    }

    #[test]
    fn each_form_has_its_octets() {
        let rows: [(Subscription, &[u8], &[u8]); 3] = [
            (
                Subscription::Subscribe("100".into()),
                b"\x00\x04\x01100",
                b"\x04\x0D\x09SUBSCRIBE100",
            ),
            (Subscription::Cancel("100".into()), b"\x00\x04\x00100", b"\x04\x0A\x06CANCEL100"),
            (Subscription::Subscribe(Bytes::new()), b"\x00\x01\x01", b"\x04\x0A\x09SUBSCRIBE"),
        ];
        for (subscription, message, command) in rows {
            assert_eq!(&encoded(&subscription, Version::V3_0)[..], message);
            assert_eq!(&encoded(&subscription, Version::V3_1)[..], command);
            assert_eq!(&encoded(&subscription, Version { major: 4, minor: 0 })[..], command);
            let body = Message::copy_from(&message[2..]);
            assert_eq!(Subscription::from_message(&body), Some(subscription));
        }
    }

    #[test]
    fn a_topic_of_255_octets_takes_a_long_message_frame() {
        let out = encoded(&Subscription::Subscribe(vec![b'x'; 255].into()), Version::V3_0);
        assert_eq!(&out[..11], b"\x02\0\0\0\0\0\0\x01\x00\x01x");
        assert_eq!(out.len(), 9 + 256);
    }

    #[test]
    fn other_messages_are_not_subscriptions() {
        let multipart = Message::multipart([&b"\x01A"[..], b"B"]).unwrap();
        for message in [Message::from(""), Message::from(b"\x02A"), Message::from("A"), multipart] {
            assert_eq!(Subscription::from_message(&message), None, "{message:?}");
        }
    }

    #[test]
    fn subscriptions_are_taken_out_of_a_message() {
        let of = |parts: &[&'static [u8]]| Message::multipart(parts.to_vec()).unwrap();
        let (a, b) = (Subscription::Subscribe("a".into()), Subscription::Cancel("b".into()));
        let mixed = of(&[b"\x01a", b"x", b"", b"\x00b"]);
        let later = of(&[b"x", b"\x00b"]);
        for only_first in [true, false] {
            let taken = (vec![a.clone(), b.clone()], Some(of(&[b"x", b""])));
            assert_eq!(Subscription::take_from(mixed.clone(), only_first), taken);
            let alone = Subscription::take_from(b"\x01a".into(), only_first);
            assert_eq!(alone, (vec![a.clone()], None));
            let none = Subscription::take_from("x".into(), only_first);
            assert_eq!(none, (vec![], Some("x".into())));
        }
        let kept = Subscription::take_from(later.clone(), true);
        assert_eq!(kept, (vec![], Some(later.clone())));
        assert_eq!(Subscription::take_from(later, false), (vec![b], Some("x".into())));
    }

    #[test]
    fn debug_is_bounded() {
        let shown = format!("{:?}", Subscription::Cancel(vec![0; 1 << 20].into()));
        assert!(shown.starts_with("Cancel(\"\\x00") && shown.len() < 300, "{shown}");
    }
}
