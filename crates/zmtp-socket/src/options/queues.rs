//! The options of queues: how much may wait to be sent, and to be received.

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
    /// Only the newest message is kept.
    pub(crate) conflate: bool,
    /// Only the newest message of each topic is kept.
    pub(crate) conflate_topics: bool,
    /// A turn is one message.
    pub(crate) by_message: bool,
}

impl Sending {
    /// The marks; `octets` is the default of the mark in octets.
    pub(crate) fn marks(&self, octets: usize) -> Marks {
        Marks::new(self.hwm, self.hwm_octets, octets)
    }
}

impl Receiving {
    pub(crate) fn marks(&self) -> Marks {
        Marks::new(self.hwm, self.hwm_octets, DEFAULT_OCTETS)
    }
}

/// Options by which only the newest message can be kept.
pub trait Conflates {
    /// Whether it is.
    fn conflate(&mut self, conflate: bool);
}

impl<T: Configured<Role: AsMut<Sending>>> Options<T> {
    /// How many messages may wait for each peer. At the mark, the peer loses new messages or
    /// [`send`](crate::Handle::send) waits, by the type of the socket and its policy
    /// [`when_full`](Options::when_full). Default: 1000.
    ///
    /// A message counts until the transport has taken its last octet. There is a mark in octets
    /// [beside it](Self::send_hwm_octets).
    pub fn send_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.as_mut().hwm = mark;
        self
    }

    /// How many octets may wait for each peer, beside [`send_hwm`](Self::send_hwm): the mark that is
    /// reached first counts. An empty queue takes any one message; 0 is taken as 1, and `usize::MAX` is no
    /// limit. Default: no limit with [`HighWaterMark::Unlimited`]; otherwise 64 MiB, or 256 KiB where
    /// [`send`](crate::Handle::send) [waits](crate::WhenFull::Wait).
    pub fn send_hwm_octets(mut self, octets: usize) -> Self {
        self.role.as_mut().hwm_octets = Some(octets.max(1));
        self
    }
}

impl<T: Configured<Role: AsMut<Receiving>>> Options<T> {
    /// How many messages of each peer may wait for [`recv`](crate::Socket::recv). At the mark, nothing
    /// more is read from that peer. Default: 1000.
    ///
    /// There is a mark in octets [beside it](Self::receive_hwm_octets).
    pub fn receive_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.as_mut().hwm = mark;
        self
    }

    /// How many octets of each peer may wait, beside [`receive_hwm`](Self::receive_hwm): the mark that is
    /// reached first counts. One read (256 KiB at most) or one message may exceed it; 0 is taken as 1, and
    /// `usize::MAX` is no limit. Default: no limit with [`HighWaterMark::Unlimited`]; otherwise 64 MiB.
    pub fn receive_hwm_octets(mut self, octets: usize) -> Self {
        self.role.as_mut().hwm_octets = Some(octets.max(1));
        self
    }
}

impl<T: Configured<Role: AsMut<Receiving>>> Options<T> {
    /// Whether peers that have messages waiting take turns of one message each (strict fair-queuing, RFC 30).
    /// Otherwise a turn is one batch of a peer, 256 messages at most, which costs less. With a single peer
    /// there is no difference. Default: no.
    pub fn turns_by_message(mut self, by_message: bool) -> Self {
        let receiving: &mut Receiving = self.role.as_mut();
        receiving.by_message = by_message;
        self
    }
}

impl<T: Configured<Role: Conflates>> Options<T> {
    /// Keeps only the newest message of each peer, or for each peer, with all its parts. Default: no.
    /// (`ZMQ_CONFLATE`)
    ///
    /// A publisher replaces the message that waits for a subscriber, unless that is already being written.
    /// This sets a mark of one message and [`WhenFull::DropOldest`](crate::WhenFull::DropOldest); `false`
    /// sets both back to their defaults.
    ///
    /// A subscriber replaces the message of a publisher that has not been received yet, and
    /// [counts](crate::PeerStats::dropped) it as dropped. The marks then have no effect.
    pub fn conflate(mut self, conflate: bool) -> Self {
        self.role.conflate(conflate);
        self
    }
}
