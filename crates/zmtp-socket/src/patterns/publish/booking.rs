//! Messages that go to the same peers one after the other: written down once for all of them.
//!
//! What a message costs does then not grow with the peers that want it. The booking is *settled*,
//! each peer's outbox is given its part, before anything else looks at an outbox or changes one.

use std::ops::Range;

use crate::prefix_map::EntryId;
use crate::send::room::Room;

/// Consecutive messages of the open segment, and whom they are for.
#[derive(Debug)]
pub(super) struct Booking {
    /// The topics that match the last of them; one that nothing matches if there is no booking.
    topics: Vec<EntryId>,
    /// The peers that get them.
    pub(super) receivers: Vec<usize>,
    /// The peers that would get them, and have no room.
    pub(super) full: Vec<usize>,
    pub(super) messages: usize,
    /// Where they are in the open segment or, if nobody gets them, would be.
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
    /// Whether a message that `topics` match would be for the same peers, and all of them have room.
    #[inline]
    pub(super) fn takes(&self, topics: &[EntryId]) -> bool {
        // Nearly always it is one topic: spared a call of `memcmp`.
        match (&*self.topics, topics) {
            ([ours], [theirs]) => ours == theirs,
            (ours, theirs) => ours == theirs,
        }
    }

    /// Whether all of these peers, and nobody else, have got or will get what is booked.
    pub(super) fn is_for(&self, peers: &[usize]) -> bool {
        self.messages > 0 && self.full.is_empty() && self.receivers == peers
    }

    /// Says which topics match the next message.
    pub(super) fn set_topics(&mut self, topics: &[EntryId]) {
        self.topics.clear();
        self.topics.extend_from_slice(topics);
    }

    /// Begins with the next message, which will be at `start`, for the peers in `receivers` and `full`.
    pub(super) fn begin(&mut self, start: usize, room: Room) {
        self.range = start..start;
        self.room = room;
    }

    /// Adds a message of so many octets. Returns whether it filled a queue, so that the booking must
    /// be settled.
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

    /// Forgets everything but the memory.
    pub(super) fn clear(&mut self) {
        self.set_topics(&[EntryId::NONE]);
        self.receivers.clear();
        self.full.clear();
        self.messages = 0;
    }
}
