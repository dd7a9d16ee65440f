//! [`Message`]: what an application sends and receives.

use std::fmt;
use std::sync::Arc;

use bytes::{Bytes, BytesMut};

use crate::frame::{encode_message, message_len};

/// A message of one or more parts, each a string of octets. There is never none.
///
/// A clone shares the octets.
///
/// ```
/// use zmtp_codec::Message;
///
/// let message = Message::multipart(["10001", "17"]).unwrap();
/// assert_eq!(message.first(), "10001");
/// assert_eq!(message.size(), 7);
/// assert_eq!(Message::from("hello").part_count(), 1);
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct Message(Parts);

#[derive(Clone, PartialEq, Eq)]
enum Parts {
    One(Bytes),
    /// Two or more.
    Many(Arc<[Bytes]>),
}

impl Message {
    /// A message of one part, its octets copied.
    pub fn copy_from(octets: &[u8]) -> Self {
        Bytes::copy_from_slice(octets).into()
    }

    /// A message of these parts; `None` if there are none.
    pub fn multipart(parts: impl IntoIterator<Item = impl Into<Bytes>>) -> Option<Self> {
        let mut parts = parts.into_iter().map(Into::into);
        let first = parts.next()?;
        let Some(second) = parts.next() else { return Some(first.into()) };
        Some(Self(Parts::Many([first, second].into_iter().chain(parts).collect())))
    }

    /// The first part; by custom of publish/subscribe, the topic.
    #[inline]
    pub fn first(&self) -> &Bytes {
        static EMPTY: Bytes = Bytes::new();
        match &self.0 {
            Parts::One(body) => body,
            Parts::Many(bodies) => bodies.first().unwrap_or(&EMPTY),
        }
    }

    /// All parts, in order.
    #[inline]
    pub fn parts(&self) -> &[Bytes] {
        match &self.0 {
            Parts::One(body) => std::slice::from_ref(body),
            Parts::Many(bodies) => bodies,
        }
    }

    /// How many parts there are; at least one.
    #[inline]
    pub fn part_count(&self) -> usize {
        self.parts().len()
    }

    /// The octets of all parts together, without framing.
    #[inline]
    pub fn size(&self) -> usize {
        self.parts().iter().fold(0, |sum, body| sum.saturating_add(body.len()))
    }

    /// The first part alone; the others are dropped.
    #[inline]
    pub fn into_first(self) -> Bytes {
        match self.0 {
            Parts::One(body) => body,
            Parts::Many(_) => self.first().clone(),
        }
    }

    /// Whether there is more than one part.
    #[inline]
    pub fn is_multipart(&self) -> bool {
        matches!(self.0, Parts::Many(_))
    }

    /// Appends the frames of this message to `out`.
    #[inline]
    pub fn encode(&self, out: &mut BytesMut) {
        encode_message(self.parts().iter().map(Bytes::as_ref), out);
    }

    /// How many octets [`encode`](Self::encode) appends.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        message_len(self.parts().iter().map(Bytes::as_ref))
    }
}

/// A message of two parts: by custom of publish/subscribe, a topic and a body.
impl<T: Into<Bytes>, B: Into<Bytes>> From<(T, B)> for Message {
    fn from((topic, body): (T, B)) -> Self {
        Self(Parts::Many([topic.into(), body.into()].into()))
    }
}

impl From<Bytes> for Message {
    #[inline]
    fn from(body: Bytes) -> Self {
        Self(Parts::One(body))
    }
}

impl From<BytesMut> for Message {
    fn from(body: BytesMut) -> Self {
        body.freeze().into()
    }
}

impl From<Vec<u8>> for Message {
    fn from(body: Vec<u8>) -> Self {
        Bytes::from(body).into()
    }
}

impl From<String> for Message {
    fn from(body: String) -> Self {
        Bytes::from(body).into()
    }
}

impl From<&'static [u8]> for Message {
    fn from(body: &'static [u8]) -> Self {
        Bytes::from_static(body).into()
    }
}

impl From<&'static str> for Message {
    fn from(body: &'static str) -> Self {
        body.as_bytes().into()
    }
}

impl<const N: usize> From<&'static [u8; N]> for Message {
    fn from(body: &'static [u8; N]) -> Self {
        body.as_slice().into()
    }
}

/// Shows the first octets of the first parts, and how much is left out.
impl fmt::Debug for Message {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN_PARTS: usize = 8;
        f.write_str("Message[")?;
        for (index, body) in self.parts().iter().take(SHOWN_PARTS).enumerate() {
            f.write_str(if index == 0 { "" } else { ", " })?;
            Excerpt(body).fmt(f)?;
        }
        match self.part_count().saturating_sub(SHOWN_PARTS) {
            0 => f.write_str("]"),
            hidden => write!(f, ", and {hidden} more]"),
        }
    }
}

/// Prints octets as text between quotes, bounded.
pub(crate) struct Excerpt<'a>(pub(crate) &'a [u8]);

impl fmt::Debug for Excerpt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 64;
        let shown = self.0.get(..SHOWN).unwrap_or(self.0);
        write!(f, "\"{}\"", shown.escape_ascii())?;
        match self.0.len().saturating_sub(SHOWN) {
            0 => Ok(()),
            hidden => write!(f, "+{hidden}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_is_never_no_part() {
        assert_eq!(Message::multipart(Vec::<Bytes>::new()), None);
        let one = Message::multipart(["a"]).unwrap();
        assert!(!one.is_multipart());
        assert_eq!(one, Message::from("a"));
        assert_eq!(Message::from(Bytes::new()).parts(), &[Bytes::new()]);
    }

    #[test]
    fn parts_sizes_and_the_first() {
        let message = Message::multipart(["10001", "", "17"]).unwrap();
        assert!(message.is_multipart());
        assert_eq!(message.part_count(), 3);
        assert_eq!(message.parts(), &["10001", "", "17"]);
        assert_eq!(message.size(), 7);
        assert_eq!(message.first(), "10001");
        assert_eq!(message.clone().into_first(), "10001");
        assert_ne!(message, Message::from("10001"));
        assert_eq!(Message::from("x").into_first(), "x");
    }

    #[test]
    fn every_source_gives_the_same_message() {
        let message = Message::copy_from(b"abc");
        let sources = [
            Message::from("abc"),
            Message::from(b"abc"),
            Message::from(&b"abc"[..]),
            Message::from(String::from("abc")),
            Message::from(vec![b'a', b'b', b'c']),
            Message::from(Bytes::from_static(b"abc")),
            Message::from(BytesMut::from("abc")),
        ];
        for source in sources {
            assert_eq!(source, message);
        }
    }

    #[test]
    fn a_pair_is_a_topic_and_a_body() {
        let expected = Message::multipart(["10001", "17"]).unwrap();
        assert_eq!(Message::from(("10001", "17")), expected);
        assert_eq!(Message::from((String::from("10001"), b"17".to_vec())), expected);
    }

    #[test]
    fn the_wire_form_has_the_announced_length() {
        let message = Message::multipart([vec![b'x'; 2], vec![b'y'; 300]]).unwrap();
        let mut out = BytesMut::new();
        message.encode(&mut out);
        assert_eq!(&out[..13], b"\x01\x02xx\x02\0\0\0\0\0\0\x01\x2C");
        assert_eq!(out.len(), message.encoded_len());
    }

    #[test]
    fn debug_is_lossy_and_bounded() {
        let message = Message::multipart([&b"a\xFF\""[..], &b""[..]]).unwrap();
        assert_eq!(format!("{message:?}"), r#"Message["a\xff\"", ""]"#);
        let many = Message::multipart(vec![vec![b'x'; 10_000]; 1000]).unwrap();
        let shown = format!("{many:?}");
        assert!(shown.len() < 700, "{shown}");
        assert!(shown.ends_with("\"+9936, and 992 more]"), "{shown}");
    }
}
