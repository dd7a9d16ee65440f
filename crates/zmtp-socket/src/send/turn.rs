//! The turn of a sender: what it may spend before the other tasks of its runtime get theirs.

use std::sync::atomic::{AtomicBool, Ordering};

/// What a turn may spend. A message that nobody wants costs 1, any other [`SENT`] and a little for its
/// size; one that fills a peer's queue ends the turn.
pub(crate) const TURN: usize = 8192;
pub(crate) const SENT: usize = 8;
pub(crate) const OCTETS_PER_COST: usize = 16;

/// A driver that was woken will spend about so much in its own turn. That the system calls of many
/// do not outweigh what they write, the sender's turn grows with each, up to [`LONGEST_TURN`].
const WOKEN: usize = 512;
const LONGEST_TURN: usize = 8 * TURN;

/// The account of the present sender: what it has spent, and may spend.
#[derive(Debug)]
pub(crate) struct Turn {
    spent: usize,
    limit: usize,
}

impl Default for Turn {
    fn default() -> Self {
        Self { spent: 0, limit: TURN }
    }
}

impl Turn {
    /// A message was for nobody.
    #[inline]
    pub(crate) fn pass(&mut self) {
        self.spent += 1;
    }

    /// A message of so many octets was queued; it may have filled a queue.
    #[inline]
    pub(crate) fn spend(&mut self, length: usize, filled: bool) {
        self.spent += SENT + length / OCTETS_PER_COST;
        if filled {
            // The next message would be lost, or wait: the drivers should have a chance before.
            self.spent = self.limit;
        }
    }

    /// So many drivers were woken.
    pub(crate) fn woke(&mut self, drivers: usize) {
        self.limit = LONGEST_TURN.min(self.limit + drivers * WOKEN);
    }

    /// Whether the turn is over. Then another begins.
    #[inline]
    pub(crate) fn end(&mut self) -> bool {
        let over = self.spent >= self.limit;
        if over {
            *self = Self::default();
        }
        over
    }
}

/// A sender has used up its turn: the next one lets others run first. To look at it takes no lock.
#[derive(Debug, Default)]
pub(crate) struct TurnIsOver(AtomicBool);

impl TurnIsOver {
    #[inline]
    pub(crate) fn get(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    #[inline]
    pub(crate) fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether it was so. It is not any more.
    pub(crate) fn take(&self) -> bool {
        self.get() && self.0.swap(false, Ordering::Relaxed)
    }
}
