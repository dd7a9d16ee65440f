//! Messages on their way to one transport.

use std::collections::VecDeque;
use std::io::IoSlice;

use bytes::{Buf, Bytes};
use zmtp_codec::FrameHeader;

/// Slices given to one vectored write.
pub(crate) const SLICES: usize = 64;

/// Encoded messages that a driver has taken from its peer's queue and is writing out. It tells when
/// the transport has taken a message's last octet.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    pieces: VecDeque<Piece>,
    /// How many of the next octets belong to the frame that is half gone.
    torn: usize,
    /// The piece that went last was not the end of a message.
    half_gone: bool,
}

/// Whole frames, but for the last one, which may be continued in the next piece.
#[derive(Debug)]
struct Piece {
    /// What the transport has not taken yet.
    octets: Bytes,
    /// Messages whose last octet is among them.
    messages: usize,
    /// How much of the last frame is in the next piece.
    continued: usize,
    /// The frame that is half gone, or went whole last, had MORE: its message is still half gone.
    more: bool,
}

impl Burst {
    /// Adds octets with the ends of so many messages, and says how many octets of their last frame
    /// will be in the next piece.
    pub(crate) fn push(&mut self, octets: Bytes, messages: usize, continued: usize) {
        self.pieces.push_back(Piece { octets, messages, continued, more: false });
    }

    /// The end of a message of which the transport has taken the beginning, up to somewhere in its last
    /// frame.
    pub(crate) fn of_torn(rest: Bytes) -> Self {
        let torn = rest.len();
        let piece = Piece { octets: rest, messages: 1, continued: 0, more: false };
        Self { pieces: VecDeque::from([piece]), torn, half_gone: false }
    }

    /// The messages of which nothing has gone out, as pieces: octets, messages that end there, and how much of
    /// the last frame is in the next piece. Also, how many messages are lost since they are half gone: one
    /// or none.
    pub(crate) fn into_whole(mut self) -> (usize, impl Iterator<Item = (Bytes, usize, usize)>) {
        let is_torn =
            self.torn > 0 || self.half_gone || self.pieces.front().is_some_and(|it| it.more);
        if is_torn {
            while !self.is_empty() && self.advance(self.rest_of_frame()) == 0 {}
        }
        let whole = self.pieces.into_iter().map(|it| (it.octets, it.messages, it.continued));
        (usize::from(is_torn), whole)
    }

    /// What has not gone out. That a frame is half gone is not forgotten.
    pub(crate) fn take(&mut self) -> Self {
        let torn = self.torn;
        std::mem::replace(self, Self { torn, ..Self::default() })
    }

    fn rest_of_frame(&self) -> usize {
        match self.pieces.front() {
            Some(piece) if self.torn == 0 => piece.frame().0,
            _ => self.torn,
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.pieces.is_empty()
    }

    /// Whether the next octet continues a frame: nothing else may be written before its end.
    pub(crate) fn is_mid_frame(&self) -> bool {
        self.torn > 0
    }

    /// What to write next, in order.
    pub(crate) fn slices<'a>(&'a self, slices: &mut [IoSlice<'a>; SLICES]) -> usize {
        let mut count = 0;
        for (slice, piece) in slices.iter_mut().zip(&self.pieces) {
            *slice = IoSlice::new(&piece.octets);
            count += 1;
        }
        count
    }

    /// All that is to be written, of which nothing has been, in one piece, and how many messages end in it.
    pub(crate) fn join(self) -> (Bytes, usize) {
        let messages = self.pieces.iter().map(|piece| piece.messages).sum();
        if let [piece] = self.pieces.as_slices().0
            && self.pieces.len() == 1
        {
            return (piece.octets.clone(), messages);
        }
        let octets: Vec<&[u8]> = self.pieces.iter().map(|piece| &*piece.octets).collect();
        (octets.concat().into(), messages)
    }

    /// Notes that the transport took `written` octets. Returns how many messages ended among them.
    pub(crate) fn advance(&mut self, mut written: usize) -> usize {
        let mut done = 0;
        while let Some(piece) = self.pieces.front_mut() {
            if written < piece.octets.len() {
                let ended = piece.advance(written, &mut self.torn);
                self.half_gone &= ended == 0;
                return done + ended;
            }
            written -= piece.octets.len();
            done += piece.messages;
            self.torn = piece.continued;
            self.half_gone = piece.messages == 0 && piece.continued == 0;
            self.pieces.pop_front();
        }
        // An idle peer keeps no memory for its next burst.
        self.pieces = VecDeque::new();
        done
    }
}

impl Piece {
    /// How many octets the first frame has, and whether another follows in the same message.
    fn frame(&self) -> (usize, bool) {
        let Ok(Some((header, length))) = FrameHeader::decode(&self.octets) else {
            unreachable!("a piece begins with a frame that we encoded, or in one");
        };
        (length + header.size as usize, header.more)
    }

    /// Walks over frame headers of our own making to see which messages have gone whole.
    fn advance(&mut self, mut written: usize, torn: &mut usize) -> usize {
        let mut done = 0;
        while written > 0 {
            if *torn == 0 {
                (*torn, self.more) = self.frame();
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

    proptest! {
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
            let border = ends.iter().copied().filter(|end| *end >= written).min().unwrap_or(0);
            let is_torn = written > 0 && !ends.contains(&written);
            let (torn, whole) = burst.into_whole();
            let whole: Vec<_> = whole.collect();
            prop_assert_eq!(torn, usize::from(is_torn));
            let octets: Vec<u8> = whole.iter().flat_map(|(octets, ..)| octets.to_vec()).collect();
            let begin = if is_torn { border } else { written };
            prop_assert_eq!(octets, &all[begin..]);
            let messages: usize = whole.iter().map(|(_, messages, _)| messages).sum();
            prop_assert_eq!(messages, ends.iter().filter(|end| **end > begin).count());
        }
    }
}
