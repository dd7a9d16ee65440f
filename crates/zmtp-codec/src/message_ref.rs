//! [`MessageRef`]: a message that is read in place.

use std::collections::vec_deque;
use std::fmt;
use std::ops::Range;

use bytes::Bytes;

use crate::frame::FrameHeader;
use crate::message::Message;

/// A message of a [`Batch`](crate::Batch), borrowed.
#[derive(Clone, Copy)]
pub struct MessageRef<'a>(Lies<'a>);

#[derive(Clone, Copy)]
enum Lies<'a> {
    /// The body of the first frame, and the other frames.
    InFrames(&'a [u8], &'a [u8]),
    Apart(&'a Message),
}

/// The messages of a batch, borrowed: see [`Batch::iter`](crate::Batch::iter).
#[derive(Clone)]
pub struct Messages<'a>(pub(crate) Lie<'a>);

/// The messages in the two forms of a batch.
#[derive(Clone)]
pub(crate) enum Lie<'a> {
    InFrames(&'a [u8]),
    Apart(vec_deque::Iter<'a, Message>),
}

impl<'a> MessageRef<'a> {
    /// The first part, which is matched against subscriptions.
    #[inline]
    pub fn first(&self) -> &'a [u8] {
        match self.0 {
            Lies::InFrames(first, _) => first,
            Lies::Apart(message) => message.first(),
        }
    }

    /// Whether there is more than the first part.
    #[inline]
    pub fn is_multipart(&self) -> bool {
        match self.0 {
            Lies::InFrames(_, rest) => !rest.is_empty(),
            Lies::Apart(message) => message.is_multipart(),
        }
    }

    /// All parts, at least one.
    pub fn parts(&self) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        let (first, mut frames, apart) = match self.0 {
            Lies::InFrames(first, rest) => (first, rest, None),
            Lies::Apart(message) => (&**message.first(), &[][..], Some(message)),
        };
        let others = std::iter::from_fn(move || next_body(&mut frames).map(|(_, body)| body));
        let apart = apart.into_iter().flat_map(|message| message.parts().iter().skip(1));
        std::iter::once(first).chain(others).chain(apart.map(|part| &part[..]))
    }

    /// An owned copy, for a program that keeps the message. If the batch holds frames, the octets
    /// are copied.
    pub fn to_message(&self) -> Message {
        match self.0 {
            Lies::InFrames(first, _) => {
                let parts = self.parts().map(Bytes::copy_from_slice);
                Message::multipart(parts).unwrap_or_else(|| Message::copy_from(first))
            }
            Lies::Apart(message) => message.clone(),
        }
    }
}

impl fmt::Debug for MessageRef<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.to_message().fmt(f)
    }
}

impl<'a> Iterator for Messages<'a> {
    type Item = MessageRef<'a>;

    #[inline]
    fn next(&mut self) -> Option<MessageRef<'a>> {
        match &mut self.0 {
            Lie::InFrames(octets) => {
                let (more, first) = next_body(octets)?;
                let rest = if more { rest_of_message(octets) } else { &[] };
                Some(MessageRef(Lies::InFrames(first, rest)))
            }
            Lie::Apart(messages) => messages.next().map(|message| MessageRef(Lies::Apart(message))),
        }
    }
}

impl fmt::Debug for Messages<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// The header of the frame at the front, and the range of its body.
#[inline]
pub(crate) fn next_frame(octets: &[u8]) -> Option<(FrameHeader, Range<usize>)> {
    let (header, header_len) = FrameHeader::decode(octets).ok()??;
    let end = header_len.saturating_add(usize::try_from(header.size).ok()?);
    Some((header, header_len..end))
}

/// Takes the frame at the front. Returns whether another frame of the message follows, and the
/// body.
#[inline]
fn next_body<'a>(octets: &mut &'a [u8]) -> Option<(bool, &'a [u8])> {
    let (header, body) = next_frame(octets)?;
    let (frame, rest) = octets.split_at_checked(body.end)?;
    *octets = rest;
    Some((header.more, frame.get(body)?))
}

/// Takes the frames up to the end of the message that they belong to.
#[cold]
fn rest_of_message<'a>(octets: &mut &'a [u8]) -> &'a [u8] {
    let all = *octets;
    while let Some((true, _)) = next_body(octets) {}
    all.get(..all.len().saturating_sub(octets.len())).unwrap_or_default()
}
