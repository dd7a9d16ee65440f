//! The messages that calls to send accept.

use std::iter;

use bytes::{Bytes, BytesMut};
use zmtp_codec::{Message, encode_frame, encode_message, message_len};

use super::outbox::{LARGE, Run, has_large_part};

/// A message to be sent: borrowed octets, which are copied once for all peers, or a [`Message`].
///
/// Made by `Into`: `send("text")`, `send(&buffer[..])`, `send(vec)`, `send((topic, body))`,
/// `send(&message)`.
#[derive(Clone, Debug)]
pub struct Outgoing<'a>(Parts<'a>);

#[derive(Clone, Debug)]
enum Parts<'a> {
    Slice(&'a [u8]),
    Borrowed(&'a Message),
    Owned(Message),
}

impl Outgoing<'_> {
    /// The first part, which is matched with subscriptions, and the other parts.
    #[inline]
    pub(crate) fn parts(&self) -> (&[u8], &[Bytes]) {
        let message = match &self.0 {
            Parts::Slice(slice) => return (slice, &[]),
            Parts::Borrowed(message) => message,
            Parts::Owned(message) => message,
        };
        (message.first(), message.parts().get(1..).unwrap_or_default())
    }

    /// The number of octets that are copied into the queues, because they cannot be shared or are too
    /// few.
    pub(crate) fn copied_len(&self) -> usize {
        let message = match &self.0 {
            Parts::Slice(slice) => return slice.len(),
            Parts::Borrowed(message) => message,
            Parts::Owned(message) => message,
        };
        message.parts().iter().map(|part| part.len()).filter(|length| *length < LARGE).sum()
    }

    /// Whether it has a part of so many octets that can be shared instead of copied.
    pub(crate) fn has_large_part(&self, large: usize) -> bool {
        self.shared().is_some_and(|message| has_large_part(message, large))
    }

    /// The message as runs for a queue, outside any block. Of the parts that can be shared, only those of fewer octets
    /// than `large` are copied.
    pub(crate) fn to_runs(&self, large: usize) -> Vec<Run> {
        match &self.0 {
            Parts::Slice(slice) => Run::of_large(&Bytes::copy_from_slice(slice).into(), large),
            Parts::Borrowed(message) => Run::of_large(message, large),
            Parts::Owned(message) => Run::of_large(message, large),
        }
    }

    /// The message, if its octets can be shared instead of copied.
    pub(crate) fn shared(&self) -> Option<&Message> {
        match &self.0 {
            Parts::Slice(_) => None,
            Parts::Borrowed(message) => Some(message),
            Parts::Owned(message) => Some(message),
        }
    }

    /// The message; its octets are shared, or copied if they are borrowed.
    pub(crate) fn to_message(&self) -> Message {
        self.shared().cloned().unwrap_or_else(|| Message::copy_from(self.parts().0))
    }

    /// The message; borrowed octets are copied.
    pub(crate) fn into_message(self) -> Message {
        match self.0 {
            Parts::Owned(message) => message,
            _ => self.to_message(),
        }
    }
}

/// The number of octets of a message on the wire.
#[inline]
pub(crate) fn encoded_len(first: &[u8], rest: &[Bytes]) -> usize {
    rest.iter().fold(message_len([first]), |sum, part| sum + message_len([&part[..]]))
}

/// Appends a message to `out`.
#[inline(always)]
pub(crate) fn encode(first: &[u8], rest: &[Bytes], out: &mut BytesMut) {
    match rest {
        // The usual case: no loop over the parts is needed.
        [] => encode_frame(false, first, out),
        _ => encode_parts(first, rest, out),
    }
}

#[inline(never)]
fn encode_parts(first: &[u8], rest: &[Bytes], out: &mut BytesMut) {
    encode_message(iter::once(first).chain(rest.iter().map(Bytes::as_ref)), out);
}

impl<'a> From<&'a [u8]> for Outgoing<'a> {
    fn from(octets: &'a [u8]) -> Self {
        Self(Parts::Slice(octets))
    }
}

impl<'a, const N: usize> From<&'a [u8; N]> for Outgoing<'a> {
    fn from(octets: &'a [u8; N]) -> Self {
        Self(Parts::Slice(octets))
    }
}

impl<'a> From<&'a str> for Outgoing<'a> {
    fn from(text: &'a str) -> Self {
        Self(Parts::Slice(text.as_bytes()))
    }
}

/// For slices of texts.
impl<'a> From<&'a &str> for Outgoing<'a> {
    fn from(text: &'a &str) -> Self {
        Self(Parts::Slice(text.as_bytes()))
    }
}

/// For slices of borrowed octets.
impl<'a> From<&'a &[u8]> for Outgoing<'a> {
    fn from(octets: &'a &[u8]) -> Self {
        Self(Parts::Slice(octets))
    }
}

impl<'a> From<&'a String> for Outgoing<'a> {
    fn from(text: &'a String) -> Self {
        Self(Parts::Slice(text.as_bytes()))
    }
}

impl<'a> From<&'a Vec<u8>> for Outgoing<'a> {
    fn from(octets: &'a Vec<u8>) -> Self {
        Self(Parts::Slice(octets))
    }
}

impl<'a> From<&'a Bytes> for Outgoing<'a> {
    fn from(octets: &'a Bytes) -> Self {
        Self(Parts::Slice(octets))
    }
}

impl<'a> From<&'a Message> for Outgoing<'a> {
    fn from(message: &'a Message) -> Self {
        Self(Parts::Borrowed(message))
    }
}

impl From<Message> for Outgoing<'_> {
    fn from(message: Message) -> Self {
        Self(Parts::Owned(message))
    }
}

/// A message of two parts, by convention a topic and a body.
impl<T: Into<Bytes>, B: Into<Bytes>> From<(T, B)> for Outgoing<'_> {
    fn from(parts: (T, B)) -> Self {
        Self(Parts::Owned(parts.into()))
    }
}

/// A message of three parts.
impl<A: Into<Bytes>, B: Into<Bytes>, C: Into<Bytes>> From<(A, B, C)> for Outgoing<'_> {
    fn from(parts: (A, B, C)) -> Self {
        Self(Parts::Owned(parts.into()))
    }
}

impl From<Bytes> for Outgoing<'_> {
    fn from(octets: Bytes) -> Self {
        Self(Parts::Owned(octets.into()))
    }
}

impl From<Vec<u8>> for Outgoing<'_> {
    fn from(octets: Vec<u8>) -> Self {
        Self(Parts::Owned(octets.into()))
    }
}

impl From<String> for Outgoing<'_> {
    fn from(text: String) -> Self {
        Self(Parts::Owned(text.into()))
    }
}
