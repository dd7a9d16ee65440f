//! [`Version`]: a version of the protocol.

use std::fmt;

/// A version of the protocol. It orders by `major`, then `minor`, and prints as `3.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The octet that decides whether two peers can communicate at all.
    pub major: u8,
    /// The octet that decides which commands a peer knows.
    pub minor: u8,
}

impl Version {
    /// ZMTP 3.0 (RFC 23): subscriptions travel as messages.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// ZMTP 3.1 (RFC 37): subscriptions travel as commands, and there are heartbeats.
    pub const V3_1: Self = Self { major: 3, minor: 1 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}
