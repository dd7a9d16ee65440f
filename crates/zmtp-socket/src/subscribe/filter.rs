//! What a subscriber is subscribed to.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::prefix_map::PrefixMap;

/// The topics of one socket, counted: each is given up when it has been unsubscribed as often as
/// it was subscribed.
#[derive(Default)]
pub(crate) struct Filter {
    held: PrefixMap<Held>,
    /// The topics in the order in which they were first subscribed to.
    order: BTreeMap<u64, Bytes>,
    next: u64,
}

#[derive(Default)]
struct Held {
    count: usize,
    place: u64,
}

impl Filter {
    /// Returns whether the topic is new.
    pub(crate) fn subscribe(&mut self, topic: &Bytes) -> bool {
        let (_, held) = self.held.entry(topic);
        held.count += 1;
        if held.count > 1 {
            return false;
        }
        held.place = self.next;
        self.order.insert(self.next, topic.clone());
        self.next += 1;
        true
    }

    /// Returns how many subscriptions to the topic are left, if there was one.
    pub(crate) fn unsubscribe(&mut self, topic: &[u8]) -> Option<usize> {
        let entry = self.held.find(topic)?;
        let held = self.held.value_mut(entry)?;
        held.count -= 1;
        let left = held.count;
        if left == 0 {
            let place = held.place;
            self.order.remove(&place);
            self.held.remove(entry);
        }
        Some(left)
    }

    /// Whether a message with this first part was asked for.
    pub(crate) fn lets_in(&self, topic: &[u8]) -> bool {
        self.held.any_prefix_of(topic)
    }

    /// Every topic once, in the order of subscription.
    pub(crate) fn topics(&self) -> impl Iterator<Item = &Bytes> {
        self.order.values()
    }

    /// How many distinct topics there are.
    pub(crate) fn len(&self) -> usize {
        self.order.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lets_nothing_in_before_a_subscription() {
        let mut filter = Filter::default();
        assert!(!filter.lets_in(b""));
        assert!(filter.subscribe(&Bytes::new()));
        assert!(filter.lets_in(b"") && filter.lets_in(b"anything"));
    }

    #[test]
    fn counts_what_is_subscribed_twice() {
        let mut filter = Filter::default();
        let topic = Bytes::from_static(b"A");
        assert!(filter.subscribe(&topic));
        assert!(!filter.subscribe(&topic));
        assert_eq!(filter.unsubscribe(b"A"), Some(1));
        assert!(filter.lets_in(b"AB"));
        assert_eq!(filter.unsubscribe(b"A"), Some(0));
        assert!(!filter.lets_in(b"AB"));
        assert_eq!(filter.unsubscribe(b"A"), None);
    }

    #[test]
    fn remembers_each_topic_once_in_the_order_of_subscription() {
        let mut filter = Filter::default();
        for topic in ["b", "a", "b", "c"] {
            filter.subscribe(&Bytes::from(topic));
        }
        filter.unsubscribe(b"a");
        filter.subscribe(&Bytes::from_static(b"a"));
        assert_eq!(filter.topics().collect::<Vec<_>>(), ["b", "c", "a"]);
    }
}
