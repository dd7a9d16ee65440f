//! What one peer still has to be sent: ranges of the journal, and how many messages they are.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

use bytes::{Bytes, BytesMut};

use super::journal::{BLOCK, Segment};
use crate::HighWaterMark;
use crate::burst::Burst;

/// Octets that a driver takes at once, about.
pub(super) const TAKE: usize = 256 << 10;

/// A shorter run is copied when it is taken: a slice of its own would cost more to write, and
/// would keep its whole block alive for as long as the transport does not take it.
pub(super) const SHORT: usize = 2 << 10;

/// The queue of one peer. A message is in it until the transport has taken its last octet.
#[derive(Debug)]
pub(super) struct Outbox {
    runs: VecDeque<Run>,
    /// Messages in `runs`.
    waiting: usize,
    /// Messages that the driver has taken and the transport has not.
    taken: usize,
    /// Octets that the transport has not taken.
    octets: usize,
    marks: Marks,
    /// A sender waits for room here.
    awaited: bool,
    /// The newest message for this peer was dropped.
    dropping: bool,
    /// The last block that this peer was noted as a reader of.
    block: Option<u64>,
    /// The peer's driver, if it waits for something to do.
    pub(super) waker: Option<Waker>,
    pub(super) sent: u64,
    pub(super) dropped: u64,
}

/// At either of these an outbox is full.
#[derive(Clone, Copy, Debug)]
pub(super) struct Marks {
    pub(super) messages: HighWaterMark,
    pub(super) octets: usize,
}

/// Messages that follow one another in a segment.
#[derive(Debug)]
struct Run {
    segment: Arc<Segment>,
    range: Range<usize>,
    messages: usize,
}

/// Whether an outbox takes one more message.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Room {
    /// It does.
    Free,
    /// It is at its high-water mark; the message is lost, the first one since it had caught up.
    FirstDropped,
    /// It still is.
    Dropped,
}

impl Outbox {
    pub(super) fn new(marks: Marks) -> Self {
        Self {
            runs: VecDeque::new(),
            waiting: 0,
            taken: 0,
            octets: 0,
            marks,
            awaited: false,
            dropping: false,
            block: None,
            waker: None,
            sent: 0,
            dropped: 0,
        }
    }

    /// Messages whose last octet the transport has not taken.
    pub(super) fn queued(&self) -> usize {
        self.waiting + self.taken
    }

    /// Nothing is left for the driver to take.
    pub(super) fn is_empty(&self) -> bool {
        self.runs.is_empty()
    }

    /// At the high-water mark.
    pub(super) fn is_full(&self) -> bool {
        self.queued() >= self.marks.messages.get() || self.octets >= self.marks.octets
    }

    /// Notes that a sender waits for room.
    pub(super) fn await_room(&mut self) {
        self.awaited = true;
    }

    /// A sender waits for room.
    pub(super) fn is_awaited(&self) -> bool {
        self.awaited
    }

    /// Asks for room for one message. If there is none, the message counts as dropped.
    pub(super) fn room(&mut self) -> Room {
        if !self.is_full() {
            return Room::Free;
        }
        self.dropped += 1;
        match std::mem::replace(&mut self.dropping, true) {
            false => Room::FirstDropped,
            true => Room::Dropped,
        }
    }

    /// Adds a message: a range of a segment. Returns whether it is the peer's first in its block.
    pub(super) fn push(&mut self, segment: &Arc<Segment>, range: &Range<usize>) -> bool {
        self.waiting += 1;
        self.octets += range.len();
        if let Some(last) = self.runs.back_mut()
            && last.is_followed_by(segment, range)
        {
            last.range.end = range.end;
            last.messages += 1;
            return false;
        }
        self.runs.push_back(Run { segment: segment.clone(), range: range.clone(), messages: 1 });
        self.block.replace(segment.block) != Some(segment.block)
    }

    /// Moves messages, oldest first, into `burst`. All segments are sealed.
    pub(super) fn take(&mut self, burst: &mut Burst) {
        let mut short = BytesMut::new();
        let mut short_messages = 0;
        let mut octets = 0;
        while octets < TAKE {
            let Some(run) = self.runs.pop_front() else {
                self.runs = VecDeque::new();
                break;
            };
            self.waiting -= run.messages;
            self.taken += run.messages;
            octets += run.range.len();
            let slice = run.octets();
            if slice.len() < SHORT {
                short.extend_from_slice(&slice);
                short_messages += run.messages;
                continue;
            }
            if !short.is_empty() {
                burst.push(short.split().freeze(), std::mem::take(&mut short_messages));
            }
            burst.push(slice, run.messages);
        }
        if !short.is_empty() {
            burst.push(short.freeze(), short_messages);
        }
    }

    /// Notes what the transport has taken. Returns whether a sender that waits should look again:
    /// not for each message, but when half of the queue is free.
    pub(super) fn written(&mut self, messages: usize, octets: usize) -> bool {
        self.taken -= messages;
        self.octets -= octets;
        self.sent += messages as u64;
        if self.queued() == 0 {
            self.dropping = false;
        }
        let half_free =
            self.queued() <= self.marks.messages.get() / 2 && self.octets <= self.marks.octets / 2;
        half_free && std::mem::take(&mut self.awaited)
    }

    /// Copies what is waiting in the ended `block` if it is little, so that a slow peer does not
    /// keep alive much more than it is to be sent.
    pub(super) fn unpin(&mut self, block: u64) {
        let in_block = |run: &&Run| run.segment.block == block;
        let count = self.runs.iter().rev().take_while(in_block).count();
        let first = self.runs.len() - count;
        let octets: usize = self.runs.range(first..).map(|run| run.range.len()).sum();
        if count == 0 || octets > BLOCK / 4 {
            return;
        }
        let mut copy = BytesMut::with_capacity(octets);
        let mut messages = 0;
        for run in self.runs.drain(first..) {
            copy.extend_from_slice(&run.octets());
            messages += run.messages;
        }
        let segment = Arc::new(Segment::of(copy.freeze()));
        self.runs.push_back(Run { segment, range: 0..octets, messages });
    }
}

#[cfg(test)]
impl Outbox {
    pub(super) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// Distinct blocks that this queue keeps alive.
    pub(super) fn pinned_blocks(&self) -> usize {
        let blocks = self.runs.iter().map(|run| run.segment.block);
        let own = |block: &u64| *block == u64::MAX;
        blocks.filter(|block| !own(block)).collect::<std::collections::BTreeSet<_>>().len()
    }
}

impl Run {
    fn is_followed_by(&self, segment: &Arc<Segment>, range: &Range<usize>) -> bool {
        self.range.end == range.start && Arc::ptr_eq(&self.segment, segment)
    }

    fn octets(&self) -> Bytes {
        self.segment.octets().slice(self.range.clone())
    }
}
