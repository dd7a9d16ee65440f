//! The subscriptions of a subscriber, and those that its publishing socket holds for it.

use std::collections::BTreeMap;

/// The topic with this number. None begins with another.
pub(crate) fn topic(number: usize) -> String {
    format!("{number:04}")
}

/// The number of subscriptions to each topic that have not been taken back.
pub(crate) struct Wishes {
    wanted: BTreeMap<usize, u32>,
    /// The same numbers as the publishing socket holds them.
    held: BTreeMap<usize, u32>,
    /// Whether each SUBSCRIBE is sent, as libzmq's SUB does.
    sends_each: bool,
    /// Whether the publishing socket counts, as ours does by default.
    counts: bool,
}

impl Wishes {
    /// A subscriber that sends each SUBSCRIBE or only the first to each topic, to a publishing socket
    /// that counts them or keeps a set. Every subscriber sends only the last CANCEL.
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

    /// How often it has subscribed to a topic.
    pub(crate) fn times(&self, topic: usize) -> u32 {
        self.wanted.get(&topic).copied().unwrap_or_default()
    }

    /// The topics that it wants, in order.
    pub(crate) fn wanted(&self) -> impl Iterator<Item = usize> {
        self.wanted.keys().copied()
    }

    /// The topics that it is sent. They may be more than it wants, and never fewer.
    pub(crate) fn held(&self) -> impl Iterator<Item = usize> {
        self.held.keys().copied()
    }
}

/// Takes back one subscription; returns whether that was the last.
fn take(times: &mut BTreeMap<usize, u32>, topic: usize) -> bool {
    let left = times.get_mut(&topic).expect("it is subscribed to");
    *left -= 1;
    let is_last = *left == 0;
    if is_last {
        times.remove(&topic);
    }
    is_last
}
