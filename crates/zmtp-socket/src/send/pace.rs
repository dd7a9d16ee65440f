//! How closely the messages of a sender follow one another. One that comes alone is sent at once; those that come
//! together cost less together.

use std::mem;
use std::time::{Duration, Instant};

/// A sender whose messages follow each other within this time is busy.
const BUSY: Duration = Duration::from_micros(50);

/// The pace of one sender.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    /// When it sent last, as far as that was noted: not while its messages are queued.
    last: Option<Instant>,
    /// Whether it is about to send several messages.
    several: bool,
}

impl Pace {
    /// Notes a message. Returns whether others have come just before, or are about to follow.
    pub(crate) fn is_among_others(&mut self) -> bool {
        let now = Instant::now();
        let is_busy = is_just_before(self.last.replace(now), now);
        mem::take(&mut self.several) || is_busy
    }

    /// Whether the sender has sent something just before.
    pub(crate) fn is_busy(&self) -> bool {
        is_just_before(self.last, Instant::now())
    }

    /// Notes that the sender has sent something.
    pub(crate) fn note(&mut self) {
        self.last = Some(Instant::now());
    }

    /// Notes that so many messages have arrived together. The answer to a single one comes alone, however closely
    /// it follows an earlier message. The answers to several come together, even if the first of them comes late.
    pub(crate) fn expect_answers(&mut self, messages: u64) {
        *self = Self { last: None, several: messages > 1 };
    }

    /// The pace of a sender that is busy for a minute.
    #[cfg(test)]
    pub(crate) fn busy() -> Self {
        Self { last: Some(Instant::now() + Duration::from_secs(60)), several: false }
    }
}

fn is_just_before(last: Option<Instant>, now: Instant) -> bool {
    last.is_some_and(|last| now.saturating_duration_since(last) < BUSY)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_message_is_among_others_if_one_came_just_before_or_others_will_follow() {
        let mut pace = Pace::default();
        assert!(!pace.is_among_others(), "the first one");
        let mut pace = Pace::busy();
        assert!(pace.is_among_others());
        pace.expect_answers(1);
        assert!(!pace.is_among_others(), "an answer");
        pace.last = Some(Instant::now() - BUSY);
        assert!(!pace.is_busy() && !pace.is_among_others(), "it comes late");
        pace.expect_answers(2);
        assert!(!pace.is_busy() && pace.is_among_others(), "the first of two answers");
        pace.last = None;
        assert!(!pace.is_among_others(), "nothing more is expected");
        pace.last = None;
        pace.note();
        assert!(pace.last.is_some());
    }
}
