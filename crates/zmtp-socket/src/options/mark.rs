//! High-water marks.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;

/// How many messages a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HighWaterMark {
    /// At most so many.
    Messages(NonZeroUsize),
    /// Any number of messages; and any number of octets, unless the mark in octets is set.
    Unlimited,
}

impl HighWaterMark {
    /// A limit of `count` messages; 0 is taken as 1.
    pub const fn messages(count: usize) -> Self {
        match NonZeroUsize::new(count) {
            Some(count) => Self::Messages(count),
            None => Self::Messages(NonZeroUsize::MIN),
        }
    }

    pub(crate) fn get(self) -> usize {
        match self {
            Self::Messages(count) => count.get(),
            Self::Unlimited => usize::MAX,
        }
    }
}

impl Default for HighWaterMark {
    /// 1000 messages.
    fn default() -> Self {
        Self::messages(1000)
    }
}

impl fmt::Display for HighWaterMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(count) => count.fmt(f),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

/// The text is neither a number of messages from 1 up nor `unlimited`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a high-water mark must be a number of messages, at least 1, or \"unlimited\"")]
pub struct InvalidHighWaterMark;

impl FromStr for HighWaterMark {
    type Err = InvalidHighWaterMark;

    fn from_str(text: &str) -> Result<Self, InvalidHighWaterMark> {
        match text {
            "unlimited" => Ok(Self::Unlimited),
            _ => text.parse().map(Self::Messages).map_err(|_| InvalidHighWaterMark),
        }
    }
}

/// The default mark in octets: 64 MiB.
pub(crate) const DEFAULT_OCTETS: usize = 64 << 20;

/// The marks of a queue, which is full at either of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Marks {
    pub(crate) messages: HighWaterMark,
    pub(crate) octets: usize,
}

impl Marks {
    /// Without a mark in octets, `default` is used; but an unlimited number of messages also means unlimited
    /// octets.
    pub(crate) fn new(messages: HighWaterMark, octets: Option<usize>, default: usize) -> Self {
        let default = match messages {
            HighWaterMark::Messages(_) => default,
            HighWaterMark::Unlimited => usize::MAX,
        };
        Self { messages, octets: octets.unwrap_or(default) }
    }

    /// The mark that a full queue of so many messages has reached: that in messages, or else that in
    /// octets.
    pub(crate) fn reached_by(&self, messages: usize) -> Mark {
        match messages >= self.messages.get() {
            true => Mark::Messages(messages),
            false => Mark::Octets(self.octets),
        }
    }
}

/// The high-water mark that a queue has reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mark {
    /// So many messages wait.
    Messages(usize),
    /// So many octets wait, or more.
    Octets(usize),
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(messages) => write!(f, "{messages} messages"),
            Self::Octets(octets) => write!(f, "{octets} octets"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::{PubOptions, SubOptions};

    #[test]
    fn an_unlimited_queue_has_no_mark_in_octets_unless_one_was_set() {
        let mark = HighWaterMark::Unlimited;
        let (sending, receiving) =
            (PubOptions::new().send_hwm(mark), SubOptions::new().receive_hwm(mark));
        assert_eq!(sending.role.marks().octets, usize::MAX);
        assert_eq!(receiving.role.receiving.marks().octets, usize::MAX);
        let waiting = PubOptions::new().send_hwm(mark).when_full(crate::WhenFull::Wait);
        assert_eq!(waiting.role.marks().octets, usize::MAX);
        assert_eq!(sending.send_hwm_octets(5).role.marks().octets, 5);
        assert_eq!(receiving.receive_hwm_octets(5).role.receiving.marks().octets, 5);
        assert_eq!(PubOptions::new().role.marks().octets, DEFAULT_OCTETS);
        assert_eq!(SubOptions::new().role.receiving.marks().octets, DEFAULT_OCTETS);
    }

    #[test]
    fn every_mark_lets_one_message_through() {
        assert_eq!(HighWaterMark::messages(0).get(), 1);
        assert_eq!(PubOptions::new().send_hwm_octets(0).role.marks().octets, 1);
        assert_eq!(SubOptions::new().receive_hwm_octets(0).role.receiving.marks().octets, 1);
    }
}
