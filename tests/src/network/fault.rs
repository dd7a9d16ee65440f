//! The faults of a link, and when they occur.

use std::time::Duration;

/// One of the two directions of a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From the dialling side to the listening side.
    Out,
    /// From the listening side to the dialling side.
    Back,
}

impl Way {
    /// Both.
    pub const BOTH: &[Self] = &[Self::Out, Self::Back];

    /// The other one.
    pub fn opposite(self) -> Self {
        match self {
            Self::Out => Self::Back,
            Self::Back => Self::Out,
        }
    }
}

/// How octets arrive.
#[derive(Clone, Copy, Debug)]
pub struct Manner {
    /// The largest number of octets at once; the least is one.
    pub fragment: usize,
    /// The longest delay; every eighth fragment or so is delayed.
    pub delay: Duration,
}

impl Manner {
    /// At once, and all octets that there are.
    pub const SMOOTH: Self = Self { fragment: usize::MAX, delay: Duration::ZERO };
}

/// A fault of a link.
#[derive(Clone, Debug)]
pub enum Fault {
    /// Octets arrive in this manner from now on.
    Hinder(Manner),
    /// Nothing arrives for so long; then everything continues.
    Stall(Duration),
    /// The connection ends for both ends, and some of the octets on their way are lost. The next
    /// attempts to connect fail.
    Cut(Vec<Refusal>),
    /// Nothing arrives in these directions any more, not even an end.
    Silence {
        /// The directions.
        ways: &'static [Way],
        /// Whether octets are still accepted, as if they were delivered; otherwise only until the link
        /// is full.
        swallowed: bool,
    },
}

/// The reason why a connection cannot be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// The name does not exist.
    NoSuchName,
    /// The address has no listener.
    NobodyListens,
}

/// The time of a fault.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// When the link is made.
    Made,
    /// When the octets that have arrived in one direction reach this spot.
    At(Way, Spot),
}

/// A spot in the octets of one side.
#[derive(Clone, Copy, Debug)]
pub enum Spot {
    /// So many octets have arrived.
    Octet(u64),
    /// So many octets have arrived since the end of this side's handshake.
    Traffic(u64),
    /// So many messages have arrived, and of the next one the header and this many octets, modulo its
    /// size: never all of it.
    Message {
        /// Whole messages that have arrived.
        whole: u64,
        /// Octets of the body.
        octets: u64,
    },
}
