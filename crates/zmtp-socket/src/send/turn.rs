//! The turn of a sender: its budget before the other tasks of its runtime get theirs.

use std::sync::atomic::{AtomicBool, Ordering};

/// The budget of a turn. A message that no peer wants costs 1, any other [`SENT`] and a little for its
/// size. A message that fills a peer's queue ends the turn.
pub(crate) const TURN: usize = 8192;
pub(crate) const SENT: usize = 8;
pub(crate) const OCTETS_PER_COST: usize = 16;

/// About the cost of the turn of a driver that was woken. The sender's turn grows by this with each
/// woken driver, up to [`LONGEST_TURN`], so that the system calls of many drivers do not cost more than
/// they write.
const WOKEN: usize = 512;
const LONGEST_TURN: usize = 8 * TURN;

/// The account of the present sender: its cost so far, and its budget.
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
    /// Counts a message that no peer wants.
    #[inline]
    pub(crate) fn pass(&mut self) {
        self.spent += 1;
    }

    /// Counts a queued message of so many octets, and whether it filled a queue.
    #[inline]
    pub(crate) fn spend(&mut self, length: usize, filled: bool) {
        self.spent += SENT + length / OCTETS_PER_COST;
        if filled {
            // The next message would be lost, or wait, so the drivers get their turn first.
            self.spent = self.limit;
        }
    }

    /// Notes that so many drivers were woken.
    pub(crate) fn woke(&mut self, drivers: usize) {
        self.lengthen(drivers * WOKEN);
    }

    /// Notes that the driver of a peer was woken that shares the messages of the turn with others, as those of a PUSH
    /// do. From the second peer on, the turn grows by a whole one for each, so that each write is as large as for a
    /// single peer.
    pub(crate) fn woke_sharer(&mut self) {
        self.lengthen(if self.limit > TURN { TURN } else { WOKEN });
    }

    fn lengthen(&mut self, cost: usize) {
        self.limit = LONGEST_TURN.min(self.limit + cost);
    }

    /// Whether the turn is over. If so, begins another.
    #[inline]
    pub(crate) fn end(&mut self) -> bool {
        let over = self.spent >= self.limit;
        if over {
            *self = Self::default();
        }
        over
    }
}

/// Whether a sender has used up its turn: then the next one yields to other tasks first. Reading it
/// takes no lock.
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

    /// Whether it was set. Clears it.
    pub(crate) fn take(&self) -> bool {
        self.get() && self.0.swap(false, Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many messages of one kibibyte a turn has for each of so many peers.
    fn share(peers: usize) -> usize {
        let (mut turn, mut sent) = (Turn::default(), 0);
        while !turn.end() {
            if sent < peers {
                turn.woke_sharer();
            }
            turn.spend(1024, false);
            sent += 1;
        }
        sent / peers
    }

    #[test]
    fn each_woken_driver_lengthens_the_turn_up_to_a_bound() {
        for (drivers, limit) in [(0, TURN), (2, TURN + 2 * WOKEN), (1000, LONGEST_TURN)] {
            let mut turn = Turn::default();
            turn.woke(drivers);
            assert_eq!(turn.limit, limit);
        }
    }

    #[test]
    fn peers_that_share_a_turn_get_as_much_as_a_single_one_would() {
        let alone = share(1);
        assert!((2..=7).all(|peers| share(peers) > alone * 9 / 10));
        assert!(share(100) < 10, "no turn is longer than {LONGEST_TURN}");
    }
}
