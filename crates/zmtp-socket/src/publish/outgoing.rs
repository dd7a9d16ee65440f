//! What can be sent.

use bytes::{Bytes, BytesMut};
use zmtp_codec::{encode_message, message_len};

use crate::Message;

/// A message to be sent: borrowed octets, which are copied once for all peers, or a [`Message`].
///
/// Made by `Into`: `send("text")`, `send(&buffer[..])`, `send(vec)`, `send(&message)`.
#[derive(Clone, Debug)]
pub struct Outgoing<'a>(Parts<'a>);

#[derive(Clone, Debug)]
enum Parts<'a> {
    Slice(&'a [u8]),
    Borrowed(&'a Message),
    Owned(Message),
}

impl Outgoing<'_> {
    /// What subscriptions are matched with: the first part.
    pub(super) fn topic(&self) -> &[u8] {
        match self.message() {
            Ok(message) => message.first(),
            Err(slice) => slice,
        }
    }

    /// Octets on the wire.
    pub(super) fn encoded_len(&self) -> usize {
        match self.message() {
            Ok(message) => message.encoded_len(),
            Err(slice) => message_len([slice]),
        }
    }

    pub(super) fn encode(&self, out: &mut BytesMut) {
        match self.message() {
            Ok(message) => message.encode(out),
            Err(slice) => encode_message([slice], out),
        }
    }

    fn message(&self) -> Result<&Message, &[u8]> {
        match &self.0 {
            Parts::Slice(slice) => Err(slice),
            Parts::Borrowed(message) => Ok(message),
            Parts::Owned(message) => Ok(message),
        }
    }
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
