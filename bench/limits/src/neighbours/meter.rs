//! What is measured while messages flow.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rig::now;

/// The longest of some times.
#[derive(Debug, Default)]
pub(super) struct Longest(AtomicU64);

impl Longest {
    pub(super) const fn new() -> Self {
        Self(AtomicU64::new(0))
    }

    pub(super) fn record(&self, nanoseconds: u64) {
        self.0.fetch_max(nanoseconds, Ordering::Relaxed);
    }

    /// The longest since it was asked for last.
    pub(super) fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

/// Messages that come, and the longest time without one. One thread counts, another one looks.
#[derive(Debug, Default)]
pub(super) struct Meter {
    messages: AtomicU64,
    gap: Longest,
    /// When messages came last, or somebody looked: in nanoseconds of [`now`].
    last: AtomicU64,
}

impl Meter {
    pub(super) const fn new() -> Self {
        Self { messages: AtomicU64::new(0), gap: Longest::new(), last: AtomicU64::new(0) }
    }

    /// So many messages have come.
    pub(super) fn count(&self, messages: u64) {
        if messages > 0 {
            self.messages.fetch_add(messages, Ordering::Relaxed);
            self.end_gap();
        }
    }

    /// Messages and the longest gap, the present one included, since it was asked for last.
    pub(super) fn take(&self) -> (u64, Duration) {
        self.end_gap();
        (self.messages.swap(0, Ordering::Relaxed), self.gap.take())
    }

    fn end_gap(&self) {
        let now = now();
        let last = self.last.swap(now, Ordering::Relaxed);
        // Before the first message there is no gap.
        if last > 0 {
            self.gap.record(now.saturating_sub(last));
        }
    }
}
