//! What only a subscriber has to be told.

use super::mark::DEFAULT_OCTETS;
use super::{HighWaterMark, Marks, SubOptions, XSubOptions};

/// What only a subscriber has to be told.
#[derive(Clone, Debug, Default)]
pub struct Subscribing {
    pub(crate) receive_hwm: HighWaterMark,
    pub(crate) receive_hwm_octets: Option<usize>,
    pub(crate) conflate: bool,
    pub(crate) inverted: bool,
}

/// What only an XSUB has to be told.
#[derive(Clone, Debug)]
pub struct Asking {
    pub(crate) subscribing: Subscribing,
    pub(crate) send_hwm: HighWaterMark,
    pub(crate) send_hwm_octets: Option<usize>,
    pub(crate) only_first: bool,
}

impl Default for Asking {
    fn default() -> Self {
        let subscribing = Subscribing::default();
        let send_hwm = HighWaterMark::default();
        Self { subscribing, send_hwm, send_hwm_octets: None, only_first: true }
    }
}

/// The options of every socket that subscribes, written and documented here alone.
macro_rules! options {
    ($options:ty $(, $inner:ident)?) => {
        impl $options {
            /// How many messages of each publisher may wait for [`recv`](crate::SubSocket::recv) before
            /// we stop reading from that publisher. Default: 1000.
            ///
            /// There is a mark in octets [beside it](Self::receive_hwm_octets).
            pub fn receive_hwm(mut self, mark: HighWaterMark) -> Self {
                self.role$(.$inner)?.receive_hwm = mark;
                self
            }

            /// How many octets of each publisher may wait, beside [`receive_hwm`](Self::receive_hwm):
            /// whichever mark is reached first counts. What one read brought (256 KiB at most) or one message
            /// may go beyond it; 0 is taken as 1, and `usize::MAX` is no limit. Default: none beside
            /// [`HighWaterMark::Unlimited`]; otherwise 64 MiB.
            pub fn receive_hwm_octets(mut self, octets: usize) -> Self {
                self.role$(.$inner)?.receive_hwm_octets = Some(octets.max(1));
                self
            }

            /// Keeps of each publisher the newest message alone, whole, in all its parts: one that arrives
            /// takes the place of one that was not received yet, which is
            /// [counted](crate::PeerStats::dropped) as dropped. The marks then mean nothing. Default: no.
            pub fn conflate(mut self, conflate: bool) -> Self {
                self.role$(.$inner)?.conflate = conflate;
                self
            }

            /// Receives what is *not* subscribed to, and everything without a subscription: for publishers
            /// that [send it so](crate::PubOptions::invert_matching). Default: no.
            pub fn invert_matching(mut self, inverted: bool) -> Self {
                self.role$(.$inner)?.inverted = inverted;
                self
            }
        }
    };
}

options!(SubOptions);
options!(XSubOptions, subscribing);

impl XSubOptions {
    /// How many messages may wait for each publisher, with [`send`](crate::XSubSocket::send), before it
    /// loses new ones. Default: 1000.
    pub fn send_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.send_hwm = mark;
        self
    }

    /// How many octets may wait for each publisher, beside [`send_hwm`](Self::send_hwm): whichever mark
    /// is reached first counts. An empty queue takes any one message; 0 is taken as 1, and `usize::MAX`
    /// is no limit. Default: none beside [`HighWaterMark::Unlimited`]; otherwise 64 MiB.
    pub fn send_hwm_octets(mut self, octets: usize) -> Self {
        self.role.send_hwm_octets = Some(octets.max(1));
        self
    }

    /// Of a message of several parts that is [sent](crate::XSubSocket::send): looks for subscriptions in
    /// it only if the first part is one, as publishers do that are
    /// [told the same](crate::XPubOptions::only_first_subscribe). Default: yes.
    pub fn only_first_subscribe(mut self, only_first: bool) -> Self {
        self.role.only_first = only_first;
        self
    }
}

impl Subscribing {
    pub(crate) fn marks(&self) -> Marks {
        Marks::new(self.receive_hwm, self.receive_hwm_octets, DEFAULT_OCTETS)
    }
}

impl Asking {
    pub(crate) fn send_marks(&self) -> Marks {
        Marks::new(self.send_hwm, self.send_hwm_octets, DEFAULT_OCTETS)
    }
}
