//! What a subscriber wants, and what the publishing socket that it is connected to takes it to want.

use std::collections::BTreeMap;

/// The topic with this number. None begins with another.
pub(crate) fn topic(number: usize) -> String {
    format!("{number:04}")
}

/// How often it has subscribed to each topic, and not taken that back.
pub(crate) struct Wishes {
    wanted: BTreeMap<usize, u32>,
    /// The same as the publishing socket knows it.
    held: BTreeMap<usize, u32>,
    /// As libzmq's SUB does.
    sends_each: bool,
    /// As a publishing socket of ours does by default.
    counts: bool,
}

impl Wishes {
    /// A subscriber that sends each SUBSCRIBE or only the first to each topic, to one that counts them or
    /// keeps a set. Everybody sends only the last CANCEL.
    pub(crate) fn new(sends_each: bool, counts: bool) -> Self {
        Self { wanted: BTreeMap::new(), held: BTreeMap::new(), sends_each, counts }
    }

    pub(crate) fn subscribe(&mut self, topic: usize) {
        let times = self.wanted.entry(topic).or_default();
        *times += 1;
        if *times == 1 || self.sends_each {
            let held = self.held.entry(topic).or_default();
            *held = if self.counts { *held + 1 } else { 1 };
        }
    }

    pub(crate) fn unsubscribe(&mut self, topic: usize) {
        if take(&mut self.wanted, topic) {
            take(&mut self.held, topic);
        }
    }

    /// How often it has subscribed to one.
    pub(crate) fn times(&self, topic: usize) -> u32 {
        self.wanted.get(&topic).copied().unwrap_or_default()
    }

    /// In their order.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = usize> {
        self.wanted.keys().copied()
    }

    /// What it is served. It may be more than it wants, and never less.
    pub(crate) fn held(&self) -> impl Iterator<Item = usize> {
        self.held.keys().copied()
    }
}

/// Whether that was the last.
fn take(times: &mut BTreeMap<usize, u32>, topic: usize) -> bool {
    let left = times.get_mut(&topic).expect("it is subscribed to");
    *left -= 1;
    let is_last = *left == 0;
    if is_last {
        times.remove(&topic);
    }
    is_last
}
