//! What can befall a link, and when.

use std::time::Duration;

/// One of the two ways over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From who dialled to who listens.
    Out,
    /// From who listens to who dialled.
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
    /// At most so many at once; as few as one.
    pub fragment: usize,
    /// The longest delay; every eighth fragment or so is delayed.
    pub delay: Duration,
}

impl Manner {
    /// At once, and all that there are.
    pub const SMOOTH: Self = Self { fragment: usize::MAX, delay: Duration::ZERO };
}

/// What befalls a link.
#[derive(Clone, Debug)]
pub enum Fault {
    /// From now on octets arrive in this manner.
    Hinder(Manner),
    /// Nothing arrives for so long; then all goes on.
    Stall(Duration),
    /// Both ends find that the connection is over, and some of what was under way is lost. The next
    /// attempts to connect fail.
    Cut(Vec<Refusal>),
    /// On these ways nothing arrives any more, not even an end.
    Silence {
        /// Which ways.
        ways: &'static [Way],
        /// Whether octets are still taken, as if they went somewhere; otherwise until the link is
        /// full.
        swallowed: bool,
    },
}

/// Why there is no connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Refusal {
    /// Nobody has this name.
    NoSuchName,
    /// Nobody listens there.
    NobodyListens,
}

/// When something befalls a link.
#[derive(Clone, Copy, Debug)]
pub enum When {
    /// When it is made.
    Made,
    /// When the octets that arrive on one way are at this spot.
    At(Way, Spot),
}

/// A spot in what one side says.
#[derive(Clone, Copy, Debug)]
pub enum Spot {
    /// So many octets have arrived.
    Octet(u64),
    /// So many octets have arrived since the end of this side's handshake.
    Traffic(u64),
    /// So many messages have arrived, and of the next one its header and this many octets, modulo its
    /// size: never all of it.
    Message {
        /// Whole messages that have arrived.
        whole: u64,
        /// Octets of the body.
        octets: u64,
    },
}
