//! Meters of the flow of messages.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rig::now;

/// The longest of times that begin and end. One thread measures, another one asks.
#[derive(Debug, Default)]
pub(super) struct Longest {
    nanoseconds: AtomicU64,
    /// When the present one began, as [`now`] says; 0 if there is none.
    since: AtomicU64,
}

/// Messages that come, and the longest time without one. One thread counts, another one asks.
#[derive(Debug, Default)]
pub(super) struct Meter {
    messages: AtomicU64,
    gap: Longest,
}

impl Longest {
    pub(super) const fn new() -> Self {
        Self { nanoseconds: AtomicU64::new(0), since: AtomicU64::new(0) }
    }

    /// A time begins, and the one before it ends.
    pub(super) fn begin(&self) {
        self.record(self.since.swap(now(), Ordering::Relaxed));
    }

    /// A time ends.
    pub(super) fn end(&self) {
        self.record(self.since.swap(0, Ordering::Relaxed));
    }

    /// The longest since it was asked for last. One that goes on counts with what has passed of it.
    pub(super) fn take(&self) -> Duration {
        let goes_on = |since| (since > 0).then(now);
        if let Ok(since) = self.since.fetch_update(Ordering::Relaxed, Ordering::Relaxed, goes_on) {
            self.record(since);
        }
        Duration::from_nanos(self.nanoseconds.swap(0, Ordering::Relaxed))
    }

    fn record(&self, since: u64) {
        if since > 0 {
            self.nanoseconds.fetch_max(now().saturating_sub(since), Ordering::Relaxed);
        }
    }
}

impl Meter {
    pub(super) const fn new() -> Self {
        Self { messages: AtomicU64::new(0), gap: Longest::new() }
    }

    /// So many messages have come.
    pub(super) fn count(&self, messages: u64) {
        if messages > 0 {
            self.messages.fetch_add(messages, Ordering::Relaxed);
            self.gap.begin();
        }
    }

    /// Messages and the longest gap since it was asked for last.
    pub(super) fn take(&self) -> (u64, Duration) {
        (self.messages.swap(0, Ordering::Relaxed), self.gap.take())
    }
}
