//! [`Message`]: the unit that an application sends and receives.

use std::sync::Arc;
use std::{fmt, mem, slice};

use bytes::{Bytes, BytesMut};

use crate::frame::{encode_message, message_len};
use crate::text::Excerpt;

/// A message of one or more parts, each a string of octets.
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
        // Two parts, as every request has, are allocated once; of an unknown number, a list is made first.
        let Some(third) = parts.next() else {
            return Some(Self(Parts::Many([first, second].into())));
        };
        Some(Self(Parts::Many([first, second, third].into_iter().chain(parts).collect())))
    }

    /// The first part; in publish/subscribe, by convention the topic.
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
            Parts::One(body) => slice::from_ref(body),
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

    /// Puts one part, or all parts of a message, before the first.
    ///
    /// This and the methods below move the parts, and never copy their octets. Each allocates a new
    /// list of parts, if that has more than one.
    ///
    /// ```
    /// use zmtp_codec::Message;
    ///
    /// let mut message = Message::from("body");
    /// message.prepend("");
    /// message.prepend(Message::multipart(["outer", "inner"]).unwrap());
    /// assert_eq!(message.parts(), ["outer", "inner", "", "body"]);
    /// ```
    pub fn prepend(&mut self, front: impl Into<Self>) {
        let back = mem::replace(self, Bytes::new().into());
        *self = front.into().join(back);
    }

    /// Puts one part after the last.
    pub fn push_back(&mut self, part: impl Into<Bytes>) {
        let front = mem::replace(self, Bytes::new().into());
        *self = front.join(part.into().into());
    }

    /// Removes and returns the first part. `None` if it is the only one, which stays: a message
    /// always has a part.
    ///
    /// ```
    /// use zmtp_codec::Message;
    ///
    /// let mut message = Message::multipart(["identity", "body"]).unwrap();
    /// assert_eq!(message.pop_front().unwrap(), "identity");
    /// assert_eq!(message.pop_front(), None);
    /// assert_eq!(message, Message::from("body"));
    /// ```
    pub fn pop_front(&mut self) -> Option<Bytes> {
        self.split_front(1).map(Self::into_first)
    }

    /// Removes and returns the address envelope (RFC 28, The REP Socket Type): all parts up to and
    /// including the first empty one. `None` if no part follows an empty one: then nothing is
    /// removed.
    ///
    /// [`prepend`](Self::prepend) puts it in front of the reply:
    ///
    /// ```
    /// use zmtp_codec::Message;
    ///
    /// // A request that has passed a proxy: the requester's identity, the delimiter, the body.
    /// let mut request = Message::multipart(["identity", "", "6 * 7"]).unwrap();
    /// let envelope = request.take_envelope().expect("a requester sends a delimiter");
    /// assert_eq!(request, Message::from("6 * 7"));
    ///
    /// let mut reply = Message::from("42");
    /// reply.prepend(envelope);
    /// assert_eq!(reply.parts(), ["identity", "", "42"]);
    /// ```
    pub fn take_envelope(&mut self) -> Option<Self> {
        let delimiter = self.parts().iter().position(Bytes::is_empty)?;
        self.split_front(delimiter.saturating_add(1))
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

    /// The parts of both, `self` first.
    fn join(mut self, mut back: Self) -> Self {
        let front = self.parts_mut().iter_mut();
        Self(Parts::Many(front.chain(back.parts_mut()).map(mem::take).collect()))
    }

    /// Removes and returns the first `count` parts, which must be at least one; `None` if no other
    /// would be left.
    fn split_front(&mut self, count: usize) -> Option<Self> {
        if count >= self.part_count() {
            return None;
        }
        let (front, back) = self.parts_mut().split_at_mut_checked(count)?;
        let front = Self::multipart(front.iter_mut().map(mem::take))?;
        *self = Self::multipart(back.iter_mut().map(mem::take))?;
        Some(front)
    }

    /// The parts, unshared: a change does not show in a clone of this message.
    fn parts_mut(&mut self) -> &mut [Bytes] {
        match &mut self.0 {
            Parts::One(body) => slice::from_mut(body),
            Parts::Many(bodies) => Arc::make_mut(bodies),
        }
    }
}

/// A message of two parts; in publish/subscribe, by convention a topic and a body.
impl<T: Into<Bytes>, B: Into<Bytes>> From<(T, B)> for Message {
    fn from((topic, body): (T, B)) -> Self {
        Self(Parts::Many([topic.into(), body.into()].into()))
    }
}

/// A message of three parts.
impl<A: Into<Bytes>, B: Into<Bytes>, C: Into<Bytes>> From<(A, B, C)> for Message {
    fn from((first, second, third): (A, B, C)) -> Self {
        Self(Parts::Many([first.into(), second.into(), third.into()].into()))
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
    fn parts_are_put_in_front_and_behind() {
        let mut message = Message::from("b");
        message.push_back("c");
        message.prepend("a");
        assert_eq!(message, Message::multipart(["a", "b", "c"]).unwrap());
        message.prepend(Message::multipart(["x", ""]).unwrap());
        message.push_back(vec![]);
        assert_eq!(message, Message::multipart(["x", "", "a", "b", "c", ""]).unwrap());
    }

    #[test]
    fn the_first_part_is_taken_until_one_is_left() {
        let mut message = Message::multipart(["a", "", "c"]).unwrap();
        assert_eq!(message.pop_front(), Some("a".into()));
        assert_eq!(message.pop_front(), Some("".into()));
        assert_eq!(message, Message::from("c"), "of one part, as any other");
        assert_eq!(message.pop_front(), None);
        assert_eq!(message, Message::from("c"));
    }

    #[test]
    fn an_envelope_ends_with_the_first_empty_part_and_is_not_all() {
        type Row =
            (&'static [&'static str], Option<(&'static [&'static str], &'static [&'static str])>);
        let rows: [Row; 9] = [
            (&["", "a"], Some((&[""], &["a"]))),
            (&["x", "y", "", "a", "b"], Some((&["x", "y", ""], &["a", "b"]))),
            (&["x", "", "a", "", "b"], Some((&["x", ""], &["a", "", "b"]))),
            (&["", ""], Some((&[""], &[""]))),
            (&["", "", "a"], Some((&[""], &["", "a"]))),
            (&[""], None),
            (&["a"], None),
            (&["a", "b"], None),
            (&["a", ""], None),
        ];
        for (parts, split) in rows {
            let whole = Message::multipart(parts.iter().copied()).unwrap();
            let mut message = whole.clone();
            let envelope = message.take_envelope();
            let Some((front, back)) = split else {
                assert_eq!((envelope, message), (None, whole), "{parts:?}");
                continue;
            };
            let envelope = envelope.unwrap();
            assert_eq!(envelope.parts(), front);
            assert_eq!(message.parts(), back);
            message.prepend(envelope);
            assert_eq!(message, whole);
        }
    }

    #[test]
    fn a_clone_keeps_its_parts_and_no_octets_are_copied() {
        let body = Bytes::from(vec![b'x'; 100]);
        let mut message = Message::multipart([Bytes::new(), body.clone()]).unwrap();
        let clone = message.clone();
        assert_eq!(message.take_envelope(), Some(Message::from("")));
        assert_eq!(clone.part_count(), 2);
        assert_eq!(message.first().as_ptr(), body.as_ptr());
        message.prepend("a");
        assert_eq!(message.parts()[1].as_ptr(), body.as_ptr());
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
