//! Consecutive messages for the same peers, which are counted once for all of these peers.
//!
//! So the cost of a message does not grow with the number of peers that want it. The booking is
//! *settled*, that is, each peer's outbox is given its part, before any other code reads or changes an
//! outbox.

use std::ops::Range;

use crate::prefix_map::EntryId;
use crate::send::room::Room;

/// Consecutive messages of the open segment, and the peers that they are for.
#[derive(Debug)]
pub(super) struct Booking {
    /// The topics that match the last of the messages; without a booking, an entry that no topic equals.
    topics: Vec<EntryId>,
    /// The peers that get the messages.
    pub(super) receivers: Vec<usize>,
    /// The peers that want the messages and have no room.
    pub(super) full: Vec<usize>,
    pub(super) messages: usize,
    /// The range of the messages in the open segment or, if no peer gets them, the one that they would
    /// have.
    pub(super) range: Range<usize>,
    room: Room,
}

impl Default for Booking {
    fn default() -> Self {
        Self {
            topics: vec![EntryId::NONE],
            receivers: Vec::new(),
            full: Vec::new(),
            messages: 0,
            range: 0..0,
            room: Room::default(),
        }
    }
}

impl Booking {
    /// Whether a message that `topics` match is for the same peers, and all of them have room.
    #[inline]
    pub(super) fn takes(&self, topics: &[EntryId]) -> bool {
        // Nearly always there is one topic, and comparing it by itself saves a call of `memcmp`.
        match (&*self.topics, topics) {
            ([ours], [theirs]) => ours == theirs,
            (ours, theirs) => ours == theirs,
        }
    }

    /// Whether exactly these peers get the booked messages.
    pub(super) fn is_for(&self, peers: &[usize]) -> bool {
        self.messages > 0 && self.full.is_empty() && self.receivers == peers
    }

    /// Sets the topics that match the next message.
    pub(super) fn set_topics(&mut self, topics: &[EntryId]) {
        self.topics.clear();
        self.topics.extend_from_slice(topics);
    }

    /// Begins a booking with the next message, which will be at `start`, for the peers in `receivers`
    /// and `full`.
    pub(super) fn begin(&mut self, start: usize, room: Room) {
        self.range = start..start;
        self.room = room;
    }

    /// Adds a message of so many octets. Returns whether it filled a queue: then the booking must be
    /// settled.
    #[inline]
    pub(super) fn add(&mut self, length: usize) -> bool {
        self.messages += 1;
        self.range.end += length;
        if self.receivers.is_empty() {
            return false;
        }
        self.room.messages -= 1;
        self.room.octets = self.room.octets.saturating_sub(length);
        self.room.is_none()
    }

    /// Ends the booking, but keeps its memory.
    pub(super) fn clear(&mut self) {
        self.set_topics(&[EntryId::NONE]);
        self.receivers.clear();
        self.full.clear();
        self.messages = 0;
    }
}
