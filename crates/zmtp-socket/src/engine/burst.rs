//! The messages that a driver is writing to one transport.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use zmtp_codec::FrameHeader;

/// The number of slices given to one vectored write.
pub(crate) const SLICES: usize = 64;

/// Encoded messages that a driver has taken from its peer's queue and is writing. It counts a message as
/// written when the transport has taken its last octet.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    pieces: VecDeque<Piece>,
    /// The number of next octets that belong to a frame whose beginning has been written.
    torn: usize,
}

/// Whole frames; the last one may be continued in the next piece.
#[derive(Debug)]
struct Piece {
    /// The octets that the transport has not taken yet.
    octets: Bytes,
    /// The number of messages whose last octet is among them.
    messages: usize,
    /// The number of octets of the last frame that are in the next piece.
    continued: usize,
    /// Whether the frame that was begun or written last has MORE: then its message is not written whole.
    more: bool,
}

impl Burst {
    /// Adds `octets` in which `messages` messages end. The next `continued` octets of the last frame are
    /// the whole of the next piece.
    ///
    /// Either a message ends with the last octet, or a frame is continued, or no message ends in the
    /// piece at all.
    pub(crate) fn push(&mut self, octets: Bytes, messages: usize, continued: usize) {
        self.pieces.push_back(Piece { octets, messages, continued, more: false });
    }

    /// The rest of a message whose beginning the transport has taken, up to somewhere in its last frame.
    pub(crate) fn of_torn(rest: Bytes) -> Self {
        let torn = rest.len();
        let piece = Piece { octets: rest, messages: 1, continued: 0, more: false };
        Self { pieces: VecDeque::from([piece]), torn }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether the next octet continues a frame: nothing else may be written before the end of that
    /// frame.
    pub(crate) fn is_mid_frame(&self) -> bool {
        self.torn > 0
    }

    /// Whether the transport has taken the beginning of a message but not its end.
    fn is_mid_message(&self) -> bool {
        self.is_mid_frame() || self.pieces.front().is_some_and(|piece| piece.more)
    }

    /// The number of octets that are still to be written.
    pub(crate) fn len(&self) -> usize {
        self.pieces.iter().map(|piece| piece.octets.len()).sum()
    }

    /// Fills `slices` with the octets to write next, in order. Returns the number of slices.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&piece.octets);
            count += 1;
        }
        count
    }

    /// All octets that are to be written, in order.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = &[u8]> + Clone {
        self.pieces.iter().map(|piece| &*piece.octets)
    }

    /// Notes that the transport took `written` octets. Returns the number of messages that ended among
    /// them.
    pub(crate) fn advance(&mut self, mut written: usize) -> usize {
        let mut done = 0;
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.octets.len() {
                return done + piece.advance(written, &mut self.torn);
            }
            written -= piece.octets.len();
            done += piece.messages;
            self.torn = piece.continued;
            let more = piece.messages == 0 && piece.continued == 0;
            self.pieces.pop_front();
            if let Some(next) = self.pieces.front_mut() {
                next.more = more;
            }
        }
        // An idle peer keeps no memory for its next burst.
        self.pieces = VecDeque::new();
        done
    }

    /// The whole messages of which nothing has been written, as pieces (octets, messages, continued),
    /// and the number of torn messages before them. That is 1 if the beginning of a message has been
    /// written, whose rest is dropped, and 0 otherwise.
    pub(crate) fn into_whole(mut self) -> (usize, impl Iterator<Item = (Bytes, usize, usize)>) {
        let mut torn = 0;
        if self.is_mid_message() {
            while torn == 0 && !self.is_empty() {
                torn = self.advance(self.rest_of_frame());
            }
        }
        let pieces = self.pieces.into_iter();
        (torn, pieces.map(|piece| (piece.octets, piece.messages, piece.continued)))
    }

    /// The number of octets to the end of the next frame, or of the frame that was begun.
    fn rest_of_frame(&self) -> usize {
        match self.pieces.front() {
            Some(piece) if self.torn == 0 => piece.first_frame().1,
            _ => self.torn,
        }
    }
}

impl Piece {
    /// Walks over frame headers that we encoded, to count the messages that have been written whole.
    fn advance(&mut self, mut written: usize, torn: &mut usize) -> usize {
        let mut done = 0;
        while written > 0 {
            if *torn == 0 {
                (self.more, *torn) = self.first_frame();
            }
            let step = written.min(*torn);
            self.octets.advance(step);
            *torn -= step;
            written -= step;
            if *torn == 0 && !self.more {
                done += 1;
            }
        }
        self.messages -= done;
        done
    }

    /// Whether the frame that begins here has MORE, and its length in octets.
    fn first_frame(&self) -> (bool, usize) {
        let Ok(Some((header, length))) = FrameHeader::decode(&self.octets) else {
            unreachable!("a piece begins with a frame that we encoded, or in one");
        };
        (header.more, length + header.size as usize)
    }
}

#[cfg(test)]
mod tests {
    use bytes::BytesMut;
    use proptest::prelude::*;
    use zmtp_codec::Message;

    use super::*;

    fn encoded(parts: &[Vec<u8>]) -> Bytes {
        let message = Message::multipart(parts.iter().cloned()).expect("a message has parts");
        let mut octets = BytesMut::new();
        message.encode(&mut octets);
        octets.freeze()
    }

    fn rest(burst: &Burst) -> Vec<u8> {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = burst.slices(&mut slices);
        slices[..count].iter().flat_map(|slice| slice.iter().copied()).collect()
    }

    #[test]
    fn a_message_is_done_with_its_last_octet_and_no_sooner() {
        let mut burst = Burst::default();
        burst.push(Bytes::from_static(b"\x00\x01A\x01\x01B\x00\x00"), 2, 0);
        assert!(!burst.is_mid_frame());
        assert_eq!(burst.advance(2), 0);
        assert!(burst.is_mid_frame());
        assert_eq!(burst.advance(1), 1);
        assert!(!burst.is_mid_frame());
        // The end of a frame with MORE is not the end of the message.
        assert_eq!(burst.advance(3), 0);
        assert!(!burst.is_mid_frame());
        assert_eq!(burst.advance(1), 0);
        assert!(burst.is_mid_frame());
        assert_eq!(burst.advance(1), 1);
        assert!(burst.is_empty());
    }

    /// A part of a message: its octets, whether they are a piece of their own, and whether a piece ends
    /// behind them where that is allowed.
    type Part = (Vec<u8>, bool, bool);

    /// Pieces as a queue makes them, all octets, and the offsets where the messages end.
    fn in_pieces(all: &[Vec<Part>]) -> (Burst, Vec<u8>, Vec<usize>) {
        let (mut burst, mut octets, mut ends) = (Burst::default(), Vec::new(), Vec::new());
        let (mut begin, mut messages) = (0, 0);
        for parts in all {
            for (index, (part, is_apart, is_cut)) in parts.iter().enumerate() {
                let more = index + 1 < parts.len();
                let mut header = BytesMut::new();
                FrameHeader { more, command: false, size: part.len() as u64 }.encode(&mut header);
                octets.extend_from_slice(&header);
                if *is_apart && !part.is_empty() {
                    let piece = Bytes::copy_from_slice(&octets[begin..]);
                    burst.push(piece, std::mem::take(&mut messages), part.len());
                    begin = octets.len();
                }
                octets.extend_from_slice(part);
                if !more {
                    messages += 1;
                    ends.push(octets.len());
                }
                if *is_apart && !part.is_empty() || *is_cut && (!more || messages == 0) {
                    let piece = Bytes::copy_from_slice(&octets[begin..]);
                    burst.push(piece, std::mem::take(&mut messages), 0);
                    begin = octets.len();
                }
            }
        }
        if begin < octets.len() {
            burst.push(Bytes::copy_from_slice(&octets[begin..]), messages, 0);
        }
        (burst, octets, ends)
    }

    #[test]
    fn what_is_given_back_begins_behind_the_message_that_is_torn() {
        // The first frame of the second message has been written, and with it a whole piece.
        let mut burst = Burst::default();
        burst.push(Bytes::from_static(b"\x00\x01A\x01\x01"), 1, 1);
        burst.push(Bytes::from_static(b"B"), 0, 0);
        burst.push(Bytes::from_static(b"\x00\x01C\x00\x01D"), 2, 0);
        assert_eq!(burst.advance(6), 1);
        assert!(!burst.is_mid_frame());
        let (torn, whole) = burst.into_whole();
        assert_eq!(torn, 1);
        assert_eq!(whole.collect::<Vec<_>>(), [(Bytes::from_static(b"\x00\x01D"), 1, 0)]);
    }

    #[test]
    fn what_a_sender_has_begun_is_torn() {
        let (torn, whole) = Burst::of_torn(Bytes::from_static(b"rest")).into_whole();
        assert_eq!((torn, whole.count()), (1, 0));
        let (torn, whole) = Burst::default().into_whole();
        assert_eq!((torn, whole.count()), (0, 0));
    }

    proptest! {
        #[test]
        fn each_message_is_done_or_torn_or_given_back_whole(
            all in proptest::collection::vec(
                proptest::collection::vec(
                    (proptest::collection::vec(any::<u8>(), 0..300), any::<bool>(), any::<bool>()),
                    1..4,
                ),
                1..12,
            ),
            steps in proptest::collection::vec(1usize..700, 0..20),
        ) {
            let (mut burst, octets, ends) = in_pieces(&all);
            let (mut done, mut written) = (0, 0);
            for step in steps {
                let step = step.min(octets.len() - written);
                done += burst.advance(step);
                written += step;
            }
            let gone = ends.iter().filter(|end| **end <= written).count();
            prop_assert_eq!(done, gone);
            let is_border = written == 0 || ends.contains(&written);
            let (torn, whole) = burst.into_whole();
            prop_assert_eq!(torn, usize::from(!is_border));
            let mut next = Burst::default();
            let mut given = Vec::new();
            let mut messages = 0;
            for (octets, ended, continued) in whole {
                messages += ended;
                given.extend_from_slice(&octets);
                next.push(octets, ended, continued);
            }
            prop_assert_eq!(done + torn + messages, all.len());
            let border = if written == 0 { 0 } else { ends[(done + torn).saturating_sub(1)] };
            prop_assert_eq!(&given, &octets[border..]);
            // The messages that were given back can be written again.
            let again: usize = (0..given.len()).map(|_| next.advance(1)).sum();
            prop_assert_eq!(again, messages);
        }

        #[test]
        fn counts_messages_wherever_the_transport_stops(
            pieces in proptest::collection::vec(
                proptest::collection::vec(
                    proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..300), 1..4),
                    1..5,
                ),
                1..5,
            ),
            steps in proptest::collection::vec(1usize..700, 1..200),
        ) {
            let mut burst = Burst::default();
            let mut ends = Vec::new();
            let mut all = Vec::new();
            for messages in &pieces {
                let start = all.len();
                for parts in messages {
                    all.extend_from_slice(&encoded(parts));
                    ends.push(all.len());
                }
                burst.push(Bytes::copy_from_slice(&all[start..]), messages.len(), 0);
            }
            let mut written = 0;
            for step in steps {
                let step = step.min(all.len() - written);
                let done = ends.iter().filter(|end| (written + 1..=written + step).contains(end));
                prop_assert_eq!(burst.advance(step), done.count());
                written += step;
                prop_assert_eq!(rest(&burst), &all[written..]);
                prop_assert_eq!(burst.is_empty(), written == all.len());
            }
        }
    }
}
