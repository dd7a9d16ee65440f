//! The record of a network's faults, for the test to read, and the attempts that they refuse.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::Notify;

use super::fault::{Refusal, Way};
use super::lock;
use super::progress::Progress;

/// The progress of a connection when a fault occurred.
#[derive(Clone, Copy, Debug, Default)]
pub struct Struck {
    pub(super) out: Progress,
    pub(super) back: Progress,
}

impl Struck {
    /// The octets that had arrived in this direction.
    pub fn on(&self, way: Way) -> Progress {
        match way {
            Way::Out => self.out,
            Way::Back => self.back,
        }
    }
}

#[derive(Debug, Default)]
pub(super) struct Record {
    struck: Mutex<Option<Struck>>,
    told: Notify,
    cuts: AtomicU64,
    refusals: Mutex<VecDeque<Refusal>>,
}

impl Record {
    pub(super) fn strike(&self, struck: Struck) {
        *lock(&self.struck) = Some(struck);
        self.told.notify_waiters();
    }

    pub(super) fn struck(&self) -> Option<Struck> {
        *lock(&self.struck)
    }

    pub(super) async fn until_struck(&self) -> Struck {
        loop {
            let told = self.told.notified();
            if let Some(struck) = self.struck() {
                return struck;
            }
            told.await;
        }
    }

    pub(super) fn cut(&self, refusals: Vec<Refusal>) {
        self.cuts.fetch_add(1, Ordering::Relaxed);
        lock(&self.refusals).extend(refusals);
    }

    pub(super) fn cuts(&self) -> u64 {
        self.cuts.load(Ordering::Relaxed)
    }

    pub(super) fn refuse(&self, refusals: &[Refusal]) {
        lock(&self.refusals).extend(refusals);
    }

    /// Whether the present attempt is to fail in this way.
    pub(super) fn refuses(&self, refusal: Refusal) -> bool {
        let mut refusals = lock(&self.refusals);
        if refusals.front() != Some(&refusal) {
            return false;
        }
        refusals.pop_front();
        if self.struck().is_none() {
            self.strike(Struck::default());
        }
        true
    }

    pub(super) fn refusals_to_come(&self) -> usize {
        lock(&self.refusals).len()
    }
}
