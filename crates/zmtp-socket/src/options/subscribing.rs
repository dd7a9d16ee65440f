//! What only a subscriber has to be told.

use super::mark::DEFAULT_OCTETS;
use super::{HighWaterMark, Marks, SubOptions};

/// What only a subscriber has to be told.
#[derive(Clone, Debug)]
pub struct Subscribing {
    pub(crate) receive_hwm: HighWaterMark,
    pub(crate) receive_hwm_octets: usize,
    pub(crate) conflate: bool,
}

impl SubOptions {
    /// How many messages of each publisher may wait for [`recv`](crate::SubSocket::recv) before
    /// we stop reading from that publisher. Default: 1000.
    ///
    /// There is a mark in octets [beside it](Self::receive_hwm_octets).
    pub fn receive_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.receive_hwm = mark;
        self
    }

    /// How many octets of each publisher may wait, beside [`receive_hwm`](Self::receive_hwm):
    /// whichever mark is reached first counts. What one read brought (256 KiB at most) or one message
    /// may go beyond it; 0 is taken as 1, and `usize::MAX` is no limit. Default: 64 MiB.
    pub fn receive_hwm_octets(mut self, octets: usize) -> Self {
        self.role.receive_hwm_octets = octets.max(1);
        self
    }

    /// Keeps of each publisher the newest message alone, whole, in all its parts: one that arrives
    /// takes the place of one that was not received yet, which is
    /// [counted](crate::PeerStats::dropped) as dropped. The marks then mean nothing. Default: no.
    pub fn conflate(mut self, conflate: bool) -> Self {
        self.role.conflate = conflate;
        self
    }
}

impl Default for Subscribing {
    fn default() -> Self {
        Self {
            receive_hwm: HighWaterMark::default(),
            receive_hwm_octets: DEFAULT_OCTETS,
            conflate: false,
        }
    }
}

impl Subscribing {
    pub(crate) fn marks(&self) -> Marks {
        Marks { messages: self.receive_hwm, octets: self.receive_hwm_octets }
    }
}
