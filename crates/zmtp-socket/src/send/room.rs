//! The room in a queue.

/// The room in a queue before it is full, or in the fullest of several.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Room {
    pub(crate) messages: usize,
    /// A message that exceeds it still fits.
    pub(crate) octets: usize,
}

impl Room {
    pub(crate) const UNLIMITED: Self = Self { messages: usize::MAX, octets: usize::MAX };

    /// Room for at least one message.
    pub(crate) fn or_one(self) -> Self {
        Self { messages: self.messages.max(1), octets: self.octets.max(1) }
    }

    pub(crate) fn is_none(self) -> bool {
        self.messages == 0 || self.octets == 0
    }

    pub(crate) fn min(self, other: Self) -> Self {
        Self { messages: self.messages.min(other.messages), octets: self.octets.min(other.octets) }
    }
}
