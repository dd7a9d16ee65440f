//! How much may wait: to be sent, and to be received.

use super::mark::DEFAULT_OCTETS;
use super::{Configured, HighWaterMark, Marks, Options};

/// The options of the queues of what is sent, one for each peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Sending {
    pub(crate) hwm: HighWaterMark,
    pub(crate) hwm_octets: Option<usize>,
}

/// The options of the queues of what has arrived, one for each peer.
#[derive(Clone, Copy, Debug, Default)]
pub struct Receiving {
    pub(crate) hwm: HighWaterMark,
    pub(crate) hwm_octets: Option<usize>,
    /// Only the newest message is kept,
    pub(crate) conflate: bool,
    /// or that of each topic.
    pub(crate) conflate_topics: bool,
    /// A turn is one message.
    pub(crate) by_message: bool,
}

impl Sending {
    /// Its marks; `octets` is the default of that in octets.
    pub(crate) fn marks(&self, octets: usize) -> Marks {
        Marks::new(self.hwm, self.hwm_octets, octets)
    }
}

impl Receiving {
    pub(crate) fn marks(&self) -> Marks {
        Marks::new(self.hwm, self.hwm_octets, DEFAULT_OCTETS)
    }
}

/// Options that can say that only the newest message is kept.
pub trait Conflates {
    /// Whether it is.
    fn conflate(&mut self, conflate: bool);
}

impl<T: Configured<Role: AsMut<Sending>>> Options<T> {
    /// How many messages may wait for each peer before it loses new ones, or [`send`](crate::Handle::send)
    /// does what it is [told to](Options::when_full). Default: 1000.
    ///
    /// A message counts until the transport has taken its last octet. There is a mark in octets
    /// [beside it](Self::send_hwm_octets).
    pub fn send_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.as_mut().hwm = mark;
        self
    }

    /// How many octets may wait for each peer, beside [`send_hwm`](Self::send_hwm): whichever mark is
    /// reached first counts. An empty queue takes any one message; 0 is taken as 1, and `usize::MAX` is no
    /// limit. Default: none beside [`HighWaterMark::Unlimited`]; otherwise 64 MiB, or 256 KiB where
    /// [`send`](crate::Handle::send) [waits](crate::WhenFull::Wait).
    pub fn send_hwm_octets(mut self, octets: usize) -> Self {
        self.role.as_mut().hwm_octets = Some(octets.max(1));
        self
    }
}

impl<T: Configured<Role: AsMut<Receiving>>> Options<T> {
    /// How many messages of each peer may wait for [`recv`](crate::Socket::recv) before we stop reading
    /// from that peer. Default: 1000.
    ///
    /// There is a mark in octets [beside it](Self::receive_hwm_octets).
    pub fn receive_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.as_mut().hwm = mark;
        self
    }

    /// How many octets of each peer may wait, beside [`receive_hwm`](Self::receive_hwm): whichever mark
    /// is reached first counts. What one read brought (256 KiB at most) or one message may go beyond it; 0
    /// is taken as 1, and `usize::MAX` is no limit. Default: none beside [`HighWaterMark::Unlimited`];
    /// otherwise 64 MiB.
    pub fn receive_hwm_octets(mut self, octets: usize) -> Self {
        self.role.as_mut().hwm_octets = Some(octets.max(1));
        self
    }
}

impl<T: Configured<Role: AsMut<Receiving>>> Options<T> {
    /// Whether peers that have messages waiting take turns of one message each (RFC 30, fair-queuing, to the
    /// letter). Otherwise a turn is what has come from a peer in one piece, 256 messages at most, which costs
    /// less. A peer that is alone sees no difference. Default: no.
    pub fn turns_by_message(mut self, by_message: bool) -> Self {
        let receiving: &mut Receiving = self.role.as_mut();
        receiving.by_message = by_message;
        self
    }
}

impl<T: Configured<Role: Conflates>> Options<T> {
    /// Keeps of each peer, or for each peer, the newest message alone, whole, in all its parts. Default: no.
    ///
    /// A publisher keeps it for each subscriber, if the one before it has not begun to be written: that is
    /// a mark of one message and [`WhenFull::DropOldest`](crate::WhenFull::DropOldest). The other way round,
    /// both are as by default.
    ///
    /// A subscriber keeps it of each publisher: one that arrives takes the place of one that was not
    /// received yet, which is [counted](crate::PeerStats::dropped) as dropped. The marks then mean nothing.
    pub fn conflate(mut self, conflate: bool) -> Self {
        self.role.conflate(conflate);
        self
    }
}
