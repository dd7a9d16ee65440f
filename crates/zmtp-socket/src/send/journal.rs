//! The buffer where every message is encoded, once for all peers.
//!
//! ```text
//! block 7 (64 KiB)                              block 8, open
//! ┌──────────┬───────────────┬───────────┐      ┌──────────┬╌╌╌╌╌╌╌╌╌
//! │ segment  │ segment       │ segment   │      │ segment, open ...
//! └──────────┴───────────────┴───────────┘      └──────────┴╌╌╌╌╌╌╌╌╌
//!       ▲ sealed when a driver takes from it
//! ```
//!
//! A peer's outbox holds ranges of segments. An open segment is still being written. Sealing it makes
//! its octets immutable, so that they can be read, and the block continues in a new segment.

use std::sync::{Arc, OnceLock};

use bytes::{Bytes, BytesMut};

use super::outgoing::encode;

/// The octets of a block. A larger message has a block of its own.
pub(crate) const BLOCK: usize = 64 << 10;

/// To write up to so many octets takes less time than the locks around it. They wait until the memory is there.
pub(crate) const SMALL: usize = 512;

#[derive(Debug, Default)]
pub(crate) struct Journal {
    /// The octets of the open segment, and behind them the free rest of the block.
    octets: BytesMut,
    /// The number of the block.
    block: u64,
    open: Arc<Segment>,
    /// Peers that have ranges in this block.
    readers: Vec<usize>,
}

/// A part of a block: the messages that were written between two takes.
#[derive(Debug, Default)]
pub(crate) struct Segment {
    /// The number of the block that it lies in, if it lies in one.
    pub(crate) block: Option<u64>,
    octets: OnceLock<Bytes>,
}

impl Journal {
    /// Whether `length` octets fit the block.
    #[inline]
    pub(crate) fn has_room(&self, length: usize) -> bool {
        self.octets.capacity() - self.octets.len() >= length
    }

    /// Makes sure that `length` octets fit the block. If this ends a block, returns its number and the
    /// peers that have ranges in it.
    #[inline]
    pub(crate) fn make_room(&mut self, length: usize) -> Option<(u64, Vec<usize>)> {
        (!self.has_room(length)).then(|| self.begin_block(length))
    }

    #[inline(never)]
    fn begin_block(&mut self, length: usize) -> (u64, Vec<usize>) {
        let ended = self.block;
        self.block += 1;
        self.begin_segment();
        // Uses the memory of an old block again if no range in it is left.
        self.octets.reserve(length.max(BLOCK));
        (ended, std::mem::take(&mut self.readers))
    }

    /// Brings the free rest of the block into the cache of this processor. If another one has used it last, as that of
    /// a receiver in the same process, each [small](SMALL) message would wait for its own line of the cache.
    pub(crate) fn warm(&mut self) {
        let end = self.end();
        self.octets.resize(self.octets.capacity(), 0);
        self.octets.truncate(end);
    }

    /// Encodes a message, for which there is [room](Self::make_room), into the open segment.
    #[inline]
    pub(crate) fn append(&mut self, first: &[u8], rest: &[Bytes]) {
        encode(first, rest, &mut self.octets);
    }

    /// The position of the end of the open segment.
    #[inline]
    pub(crate) fn end(&self) -> usize {
        self.octets.len()
    }

    /// The segment that is being written.
    pub(crate) fn open(&self) -> &Arc<Segment> {
        &self.open
    }

    /// Notes that a peer now has a range in the present block.
    pub(crate) fn note_reader(&mut self, key: usize) {
        self.readers.push(key);
    }

    /// Gives up the rest of the block, when nothing will be written for a while.
    pub(crate) fn rest(&mut self) {
        self.seal();
        self.octets = BytesMut::new();
    }

    /// Makes all appended messages readable.
    pub(crate) fn seal(&mut self) {
        if !self.octets.is_empty() {
            self.begin_segment();
        }
    }

    /// Seals the open segment, and opens another.
    fn begin_segment(&mut self) {
        let next = Arc::new(Segment { block: Some(self.block), octets: OnceLock::new() });
        let sealed = std::mem::replace(&mut self.open, next);
        // The segment was open until now, so its octets have not been set.
        let _ = sealed.octets.set(self.octets.split().freeze());
    }
}

#[cfg(test)]
impl Journal {
    pub(crate) fn readers(&self) -> &[usize] {
        &self.readers
    }
}

impl Segment {
    /// A segment outside all blocks.
    pub(crate) fn apart(octets: Bytes) -> Self {
        Self { block: None, octets: OnceLock::from(octets) }
    }

    /// The octets of a sealed segment; none while it is open.
    pub(crate) fn octets(&self) -> Bytes {
        self.octets.get().cloned().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_stays_when_the_rest_of_the_block_is_warmed() {
        let mut journal = Journal::default();
        journal.make_room(8);
        let segment = journal.open().clone();
        for body in [b"ab", b"cd"] {
            journal.append(body, &[]);
            journal.warm();
        }
        journal.seal();
        assert_eq!(segment.octets(), &b"\0\x02ab\0\x02cd"[..]);
    }
}
