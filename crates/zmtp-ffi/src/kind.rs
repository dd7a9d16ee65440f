//! The socket types.

use std::ffi::c_int;

/// A socket type, with libzmq's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Pair = 0,
    Pub = 1,
    Sub = 2,
    Req = 3,
    Rep = 4,
    Dealer = 5,
    Router = 6,
    Pull = 7,
    Push = 8,
    XPub = 9,
    XSub = 10,
    Stream = 11,
}

impl Kind {
    pub(crate) fn of(number: c_int) -> Option<Self> {
        Some(match number {
            0 => Self::Pair,
            1 => Self::Pub,
            2 => Self::Sub,
            3 => Self::Req,
            4 => Self::Rep,
            5 => Self::Dealer,
            6 => Self::Router,
            7 => Self::Pull,
            8 => Self::Push,
            9 => Self::XPub,
            10 => Self::XSub,
            11 => Self::Stream,
            _ => return None,
        })
    }

    /// Whether the first part of a sent message names its peer.
    pub(crate) fn names_peer(self) -> bool {
        matches!(self, Self::Router | Self::Stream)
    }

    /// Whether a message waits until there is a peer that it can go to.
    pub(crate) fn waits_for_peers(self) -> bool {
        matches!(self, Self::Push | Self::Dealer | Self::Pair | Self::Req)
    }

    /// Whether it sends a message as it is, to peers that it chooses itself.
    #[inline]
    pub(crate) fn sends_as_is(self) -> bool {
        self.sends() && !self.names_peer()
    }

    pub(crate) fn sends(self) -> bool {
        !matches!(self, Self::Sub | Self::Pull)
    }

    pub(crate) fn receives(self) -> bool {
        !matches!(self, Self::Pub | Self::Push)
    }
}
