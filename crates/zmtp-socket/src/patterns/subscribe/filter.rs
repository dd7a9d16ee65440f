//! The subscriptions of a subscriber.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::prefix_map::PrefixMap;

/// The topics of one socket, each with a count: a topic ends when it has been unsubscribed as often as
/// it was subscribed.
#[derive(Default)]
pub(crate) struct Filter {
    held: PrefixMap<Held>,
    /// The topics in the order in which they were first subscribed to.
    order: BTreeMap<u64, Bytes>,
    /// The number of the next change.
    next: u64,
}

#[derive(Default)]
struct Held {
    count: usize,
    place: u64,
}

/// How many subscriptions to a topic one call takes back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Back {
    One,
    All,
}

/// A topic whose last subscription was taken back.
pub(crate) struct Ended {
    pub(crate) topic: Bytes,
    /// The topic's place in the order.
    pub(crate) place: u64,
    /// The number of this change: greater than every place that was given before.
    pub(crate) at: u64,
}

impl Filter {
    /// Returns the topic's place in the order, if the topic is new.
    pub(crate) fn subscribe(&mut self, topic: &Bytes) -> Option<u64> {
        let (_, held) = self.held.entry(topic);
        held.count += 1;
        if held.count > 1 {
            return None;
        }
        held.place = self.next;
        self.order.insert(self.next, topic.clone());
        self.next += 1;
        Some(self.next - 1)
    }

    /// Takes back one subscription to the topic, or all of them. Returns whether there was one, and the
    /// topic that has ended if none is left.
    pub(crate) fn unsubscribe(&mut self, topic: &[u8], back: Back) -> (bool, Option<Ended>) {
        let Some(entry) = self.held.find(topic) else { return (false, None) };
        let Some(held) = self.held.value_mut(entry) else { return (false, None) };
        held.count = match back {
            Back::One => held.count - 1,
            Back::All => 0,
        };
        if held.count > 0 {
            return (true, None);
        }
        let place = held.place;
        self.held.remove(entry);
        drop(self.held.take_spent());
        let at = self.next;
        self.next += 1;
        let topic = self.order.remove(&place);
        (true, topic.map(|topic| Ended { topic, place, at }))
    }

    /// Whether any subscription matches a message with this first part.
    pub(crate) fn lets_in(&self, topic: &[u8]) -> bool {
        self.held.any_prefix_of(topic)
    }

    /// The topics from `place` on, each once, in the order of subscription.
    pub(crate) fn topics_from(&self, place: u64) -> impl Iterator<Item = (u64, &Bytes)> {
        self.order.range(place..).map(|(place, topic)| (*place, topic))
    }

    /// The number of distinct topics.
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
        assert!(filter.subscribe(&Bytes::new()).is_some());
        assert!(filter.lets_in(b"") && filter.lets_in(b"anything"));
    }

    #[test]
    fn counts_what_is_subscribed_twice() {
        let mut filter = Filter::default();
        let topic = Bytes::from_static(b"A");
        assert_eq!(filter.subscribe(&topic), Some(0));
        assert_eq!(filter.subscribe(&topic), None);
        assert!(matches!(filter.unsubscribe(b"A", Back::One), (true, None)));
        assert!(filter.lets_in(b"AB"));
        let (true, Some(ended)) = filter.unsubscribe(b"A", Back::One) else {
            panic!("it was the last")
        };
        assert_eq!((ended.topic, ended.place, ended.at), (topic, 0, 1));
        assert!(!filter.lets_in(b"AB"));
        assert!(matches!(filter.unsubscribe(b"A", Back::One), (false, None)));
    }

    #[test]
    fn all_subscriptions_to_a_topic_are_taken_back_at_once() {
        let mut filter = Filter::default();
        let topic = Bytes::from_static(b"A");
        (0..3).for_each(|_| _ = filter.subscribe(&topic));
        assert!(matches!(filter.unsubscribe(b"A", Back::All), (true, Some(_))));
        assert!(!filter.lets_in(b"AB"));
        assert!(matches!(filter.unsubscribe(b"A", Back::All), (false, None)));
    }

    #[test]
    fn remembers_each_topic_once_in_the_order_of_subscription() {
        let mut filter = Filter::default();
        for topic in ["b", "a", "b", "c"] {
            filter.subscribe(&Bytes::from(topic));
        }
        filter.unsubscribe(b"a", Back::One);
        filter.subscribe(&Bytes::from_static(b"a"));
        let topics = |from| filter.topics_from(from).map(|(_, topic)| topic).collect::<Vec<_>>();
        assert_eq!(topics(0), ["b", "c", "a"]);
        assert_eq!(topics(1), ["c", "a"]);
    }
}
