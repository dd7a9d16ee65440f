//! [`Batch`]: messages that arrived together.

use std::collections::VecDeque;
use std::fmt;
use std::mem;
use std::ops::Range;

use bytes::{Buf, Bytes};

use crate::message::Message;
use crate::message_ref::{Lie, MessageRef, Messages, next_frame};
use crate::wire::{least_shared, share_or_copy};

/// Whole messages in the order of their arrival, decoded when they are taken.
///
/// A batch iterates over its messages; afterwards it holds those that were not taken:
///
/// ```
/// use zmtp_codec::{Batch, Message};
///
/// let mut batch = Batch::from(Message::from("10001 17"));
/// assert_eq!(batch.len(), 1);
/// assert_eq!(batch.next(), Some(Message::from("10001 17")));
/// assert!(batch.is_empty());
/// ```
#[derive(Clone)]
pub struct Batch(Held);

#[derive(Clone)]
enum Held {
    /// The octets as they arrived: only frames of messages, all of them checked.
    Frames {
        octets: Bytes,
        messages: usize,
        /// The least size in octets at which a part shares the buffer.
        least_shared: usize,
    },
    Messages(VecDeque<Message>),
}

impl Batch {
    /// An empty batch.
    pub const fn new() -> Self {
        Self::of_frames(Bytes::new(), 0, 0)
    }

    /// A batch of `messages` whole messages, whose frames are all that `octets` hold, as
    /// [`encode_message`](crate::encode_message) writes them. The octets lie in a buffer of `pinned`
    /// octets, which is larger if there are others in it: a part shares the buffer only if it is a
    /// large share of it.
    ///
    /// Nothing is checked here. A batch of anything else ends early.
    pub const fn of_frames(octets: Bytes, messages: usize, pinned: usize) -> Self {
        Self(Held::Frames { octets, messages, least_shared: least_shared(pinned) })
    }

    /// How many messages are left.
    #[inline]
    pub fn len(&self) -> usize {
        match &self.0 {
            Held::Frames { messages, .. } => *messages,
            Held::Messages(messages) => messages.len(),
        }
    }

    /// Whether none is left.
    #[inline]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many octets the frames of these messages have on the wire.
    pub fn octets(&self) -> usize {
        match &self.0 {
            Held::Frames { octets, .. } => octets.len(),
            Held::Messages(messages) => messages
                .iter()
                .fold(0, |sum: usize, message| sum.saturating_add(message.encoded_len())),
        }
    }

    /// The next message, which stays in the batch.
    pub fn peek(&self) -> Option<Message> {
        match &self.0 {
            Held::Frames { .. } => self.clone().next(),
            Held::Messages(messages) => messages.front().cloned(),
        }
    }

    /// The octets of the next message, which stays in the batch, if it has one part. They are
    /// borrowed: a caller that copies them anyway needs no [`Message`].
    #[inline]
    pub fn peek_body(&self) -> Option<&[u8]> {
        match &self.0 {
            Held::Frames { octets, .. } => {
                let (_, body) = next_frame(octets).filter(|(header, _)| !header.more)?;
                octets.get(body)
            }
            Held::Messages(messages) => {
                let message = messages.front().filter(|message| !message.is_multipart())?;
                Some(message.first())
            }
        }
    }

    /// The messages, borrowed, for a program that only reads them. They stay in the batch. Reading
    /// one allocates no memory.
    ///
    /// ```
    /// use zmtp_codec::{Batch, Message};
    ///
    /// let batch = Batch::from_iter([Message::from("10001 17"), Message::from("10002 21")]);
    /// let longest = batch.iter().map(|message| message.first().len()).max();
    /// assert_eq!(longest, Some(8));
    /// ```
    #[inline]
    pub fn iter(&self) -> Messages<'_> {
        Messages(match &self.0 {
            Held::Frames { octets, .. } => Lie::InFrames(octets),
            Held::Messages(messages) => Lie::Apart(messages.iter()),
        })
    }

    /// Adds a message behind the others. Those that are still as they arrived are decoded for that.
    pub fn push(&mut self, message: Message) {
        if let Held::Frames { .. } = &self.0 {
            self.0 = Held::Messages(self.by_ref().collect());
        }
        if let Held::Messages(messages) = &mut self.0 {
            messages.push_back(message);
        }
    }

    /// Takes the first `count` messages out, as a batch of their own; all of them if there are no
    /// more.
    pub fn split_to(&mut self, count: usize) -> Self {
        if count >= self.len() {
            return mem::take(self);
        }
        Self(match &mut self.0 {
            Held::Frames { octets, messages, least_shared } => {
                let mut rest = &octets[..];
                (0..count).for_each(|_| skip_message(&mut rest));
                let octets = octets.split_to(octets.len().saturating_sub(rest.len()));
                *messages = messages.saturating_sub(count);
                Held::Frames { octets, messages: count, least_shared: *least_shared }
            }
            Held::Messages(messages) => {
                let rest = messages.split_off(count);
                Held::Messages(mem::replace(messages, rest))
            }
        })
    }

    /// Removes the next message.
    #[inline]
    pub fn skip_next(&mut self) {
        match &mut self.0 {
            Held::Frames { octets, messages, .. } => {
                skip_message(octets);
                *messages = messages.saturating_sub(1);
            }
            Held::Messages(messages) => drop(messages.pop_front()),
        }
    }

    /// Removes all messages but the last. Returns how many it removed.
    pub fn keep_last(&mut self) -> usize {
        let before = self.len().saturating_sub(1);
        match &mut self.0 {
            Held::Frames { octets, messages, least_shared: least } => {
                (0..before).for_each(|_| skip_message(octets));
                *messages = messages.saturating_sub(before);
                // A small message must not keep the buffer alive that it came in.
                if octets.len() < *least {
                    *octets = Bytes::copy_from_slice(octets);
                    *least = least_shared(octets.len());
                }
            }
            Held::Messages(messages) => drop(messages.drain(..before)),
        }
        before
    }

    /// Removes the messages for whose first part `keep` is false. Returns how many it removed.
    pub fn retain(&mut self, mut keep: impl FnMut(&[u8]) -> bool) -> usize {
        let before = self.len();
        match &mut self.0 {
            Held::Messages(messages) => messages.retain(|message| keep(message.first())),
            Held::Frames { octets, .. } => {
                // Most often all messages are kept: then none need be decoded now.
                let Some(refused) = first_parts(octets).position(|first| !keep(first)) else {
                    return 0;
                };
                let mut kept: VecDeque<Message> = self.by_ref().collect();
                let mut behind = kept.split_off(refused.saturating_add(1));
                kept.pop_back();
                behind.retain(|message| keep(message.first()));
                kept.append(&mut behind);
                self.0 = Held::Messages(kept);
            }
        }
        before.saturating_sub(self.len())
    }
}

impl<'a> IntoIterator for &'a Batch {
    type Item = MessageRef<'a>;
    type IntoIter = Messages<'a>;

    #[inline]
    fn into_iter(self) -> Messages<'a> {
        self.iter()
    }
}

/// Whether both have the same messages, in whichever form.
impl PartialEq for Batch {
    fn eq(&self, other: &Self) -> bool {
        self.len() == other.len() && self.clone().eq(other.clone())
    }
}

impl Eq for Batch {}

impl Default for Batch {
    fn default() -> Self {
        Self::new()
    }
}

impl From<Message> for Batch {
    fn from(message: Message) -> Self {
        Self(Held::Messages(VecDeque::from([message])))
    }
}

impl FromIterator<Message> for Batch {
    fn from_iter<M: IntoIterator<Item = Message>>(messages: M) -> Self {
        Self(Held::Messages(messages.into_iter().collect()))
    }
}

impl Iterator for Batch {
    type Item = Message;

    #[inline]
    fn next(&mut self) -> Option<Message> {
        match &mut self.0 {
            Held::Frames { octets, messages, least_shared } => {
                let (header, body) = next_frame(octets)?;
                *messages = messages.saturating_sub(1);
                if header.more {
                    return multipart(octets, *least_shared);
                }
                Some(take_part(octets, body, *least_shared).into())
            }
            Held::Messages(messages) => messages.pop_front(),
        }
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.len(), Some(self.len()))
    }
}

impl ExactSizeIterator for Batch {}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.clone()).finish()
    }
}

/// Removes the message at the front.
fn skip_message(octets: &mut impl Buf) {
    while let Some((header, body)) = next_frame(octets.chunk()) {
        octets.advance(body.end.min(octets.remaining()));
        if !header.more {
            break;
        }
    }
}

/// Takes the frame at the front, whose body is complete.
#[inline]
fn take_part(octets: &mut Bytes, body: Range<usize>, least_shared: usize) -> Bytes {
    let end = body.end.min(octets.len());
    let part = share_or_copy(octets, body, least_shared);
    octets.advance(end);
    part
}

#[cold]
fn multipart(octets: &mut Bytes, least_shared: usize) -> Option<Message> {
    let mut more = true;
    Message::multipart(std::iter::from_fn(|| {
        let (header, body) = if more { next_frame(octets) } else { None }?;
        more = header.more;
        Some(take_part(octets, body, least_shared))
    }))
}

/// The first part of each message.
fn first_parts(mut octets: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut is_first = true;
    std::iter::from_fn(move || {
        loop {
            let (header, body) = next_frame(octets)?;
            let part = octets.get(body.clone())?;
            octets = octets.get(body.end..)?;
            let starts = mem::replace(&mut is_first, !header.more);
            if starts {
                return Some(part);
            }
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A, then B and C together, then D.
    fn batch() -> Batch {
        Batch::of_frames(Bytes::from_static(b"\x00\x01A\x01\x01B\x00\x01C\x00\x01D"), 3, 12)
    }

    fn messages() -> Vec<Message> {
        vec!["A".into(), Message::multipart(["B", "C"]).unwrap(), "D".into()]
    }

    #[test]
    fn messages_come_out_in_order_and_are_counted() {
        let mut batch = batch();
        for (taken, message) in messages().into_iter().enumerate() {
            assert_eq!(batch.len(), 3 - taken);
            assert_eq!(batch.next(), Some(message));
        }
        assert!(batch.is_empty());
        assert_eq!(batch.next(), None);
    }

    #[test]
    fn the_next_message_can_be_looked_at_and_passed_over() {
        let made_of_messages: Batch = messages().into_iter().collect();
        for mut batch in [batch(), made_of_messages] {
            for (message, body) in messages().into_iter().zip([Some("A"), None, Some("D")]) {
                assert_eq!(batch.peek(), Some(message));
                assert_eq!(batch.peek_body(), body.map(str::as_bytes));
                batch.skip_next();
            }
            assert_eq!((batch.len(), batch.peek(), batch.peek_body()), (0, None, None));
            batch.skip_next();
            assert!(batch.is_empty());
        }
    }

    #[test]
    fn a_batch_can_be_divided_anywhere() {
        let made_of_messages: Batch = messages().into_iter().collect();
        for whole in [batch(), made_of_messages] {
            for count in 0..5 {
                let mut rest = whole.clone();
                let front = rest.split_to(count);
                assert_eq!((front.len(), rest.len()), (count.min(3), 3 - count.min(3)));
                assert_eq!(front.octets() + rest.octets(), whole.octets());
                assert_eq!(front.chain(rest).collect::<Vec<_>>(), messages());
            }
        }
    }

    #[test]
    fn a_batch_can_be_made_of_messages() {
        let made: Batch = messages().into_iter().collect();
        assert_eq!(made, batch());
        assert_ne!(made, Batch::from(Message::from("A")));
        assert_eq!(made.collect::<Vec<_>>(), messages());
        let mut one = Batch::from(Message::from("A"));
        assert!(!one.is_empty());
        assert_eq!((one.next(), one.next()), (Some("A".into()), None));
    }

    #[test]
    fn a_message_can_be_added_behind_the_others() {
        for mut batch in [batch(), messages().into_iter().collect(), Batch::new()] {
            let mut all: Vec<_> = batch.clone().collect();
            batch.skip_next();
            batch.push("E".into());
            all = all.into_iter().skip(1).chain(["E".into()]).collect();
            assert_eq!(batch.len(), all.len());
            assert_eq!(batch.collect::<Vec<_>>(), all);
        }
    }

    #[test]
    fn messages_can_be_borrowed_however_they_came() {
        let made_of_messages: Batch = messages().into_iter().collect();
        for mut batch in [batch(), made_of_messages] {
            for taken in 0..=3 {
                let borrowed: Vec<_> = batch.iter().collect();
                assert_eq!(borrowed.len(), 3 - taken);
                for (borrowed, message) in borrowed.iter().zip(&messages()[taken..]) {
                    assert_eq!(borrowed.first(), message.first());
                    assert_eq!(borrowed.is_multipart(), message.is_multipart());
                    assert!(borrowed.parts().eq(message.parts()));
                    assert_eq!(borrowed.to_message(), *message);
                }
                batch.skip_next();
            }
        }
    }

    #[test]
    fn only_first_parts_are_judged() {
        let mut seen = Vec::new();
        let kept = batch().retain(|topic| {
            seen.push(topic.to_vec());
            true
        });
        assert_eq!((kept, seen), (0, vec![b"A".to_vec(), b"B".to_vec(), b"D".to_vec()]));
    }

    #[test]
    fn each_message_is_judged_once() {
        for mut batch in [batch(), batch().collect()] {
            let mut seen = Vec::new();
            let thrown_out = batch.retain(|topic| {
                seen.push(topic.to_vec());
                topic != b"B"
            });
            assert_eq!(thrown_out, 1);
            assert_eq!(seen, [b"A", b"B", b"D"]);
            assert_eq!(batch.collect::<Vec<_>>().len(), 2);
        }
    }

    #[test]
    fn what_is_thrown_out_is_gone_and_the_rest_keeps_its_order() {
        let mut batch = batch();
        assert_eq!(batch.retain(|topic| topic != b"B"), 1);
        assert_eq!(batch.len(), 2);
        assert_eq!(batch.retain(|topic| topic != b"A"), 1);
        assert_eq!(batch.collect::<Vec<_>>(), ["D".into()]);
    }

    #[test]
    fn the_last_message_can_be_kept_alone_in_all_its_parts() {
        let made_of_messages: Batch = messages().into_iter().collect();
        for mut batch in [batch(), made_of_messages] {
            assert_eq!(batch.octets(), 12);
            assert_eq!(batch.keep_last(), 2);
            assert_eq!((batch.len(), batch.octets()), (1, 3));
            assert_eq!(batch.keep_last(), 0);
            assert_eq!(batch.collect::<Vec<_>>(), ["D".into()]);
        }
        let mut parts = Batch::of_frames(Bytes::from_static(b"\x00\x01A\x01\x01B\x00\x01C"), 2, 9);
        assert_eq!(parts.keep_last(), 1);
        assert_eq!(parts.collect::<Vec<_>>(), messages()[1..2]);
        assert_eq!(Batch::new().keep_last(), 0);
    }

    #[test]
    fn a_batch_shows_its_messages() {
        assert_eq!(format!("{:?}", batch()), format!("{:?}", messages()));
    }

    #[test]
    fn a_small_message_does_not_keep_the_batch_and_a_large_one_shares_it() {
        let mut octets = bytes::BytesMut::new();
        crate::frame::encode_frame(false, &[1; 100], &mut octets);
        crate::frame::encode_frame(false, &[2; 10_000], &mut octets);
        let octets = octets.freeze();
        let within = octets.as_ptr_range();
        for (pinned, shared) in [(octets.len(), true), (20_000, true), (20_001, false)] {
            let batch = Batch::of_frames(octets.clone(), 2, pinned);
            let [small, large] = batch.collect::<Vec<_>>().try_into().unwrap();
            assert!(!within.contains(&small.first().as_ptr()));
            assert_eq!(within.contains(&large.first().as_ptr()), shared, "{pinned}");
        }
    }
}
