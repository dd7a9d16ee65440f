//! What one publisher still has to be told: our subscriptions, and messages of our own.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::task::Waker;

use bytes::Bytes;
use zmtp_codec::{Connection, Message, Subscription};

use crate::stats::Count;

/// Octets written at once for one publisher, about.
const BURST: usize = 64 << 10;

/// Changes on their way to one publisher, oldest first, and behind them messages.
///
/// A change that takes back one which is still here removes it instead of following it, so that
/// however long the publisher does not read, this holds each topic at most once.
#[derive(Debug, Default)]
pub(crate) struct Upstream {
    changes: BTreeMap<u64, Subscription>,
    places: HashMap<Bytes, u64>,
    next: u64,
    messages: VecDeque<Message>,
    /// What has been written for the transport, which has not taken all of that.
    written: Count,
    /// What the transport has not taken.
    pub(crate) queued: Count,
    pub(crate) sent: Count,
    pub(crate) dropped: Count,
    /// The publisher's driver, if it waits for something to do.
    pub(crate) waker: Option<Waker>,
}

impl Upstream {
    pub(crate) fn push(&mut self, change: Subscription) {
        if let Some(place) = self.places.remove(change.topic()) {
            self.changes.remove(&place);
            return;
        }
        self.places.insert(change.topic().clone(), self.next);
        self.changes.insert(self.next, change);
        self.next += 1;
    }

    /// Adds a message, if fewer than `limit` are queued.
    pub(crate) fn push_message(&mut self, message: &Message, limit: usize) {
        if self.queued.messages < limit as u64 {
            self.queued += Count::of(message);
            self.messages.push_back(message.clone());
        } else {
            self.dropped += Count::of(message);
        }
    }

    /// Writes what waits to the connection's output, which the transport has taken all of. Returns
    /// whether there was something.
    pub(crate) fn write(&mut self, connection: &mut Connection) -> bool {
        let written = std::mem::take(&mut self.written);
        self.queued -= written;
        self.sent += written;
        while connection.output().len() < BURST
            && let Some(change) = self.pop()
        {
            connection.subscribe(&change).expect("a session lives in traffic alone");
        }
        while connection.output().len() < BURST
            && let Some(message) = self.messages.pop_front()
        {
            self.written += Count::of(&message);
            connection.send(&message).expect("a session lives in traffic alone");
        }
        !connection.output().is_empty()
    }

    fn pop(&mut self) -> Option<Subscription> {
        let Some((_, change)) = self.changes.pop_first() else {
            // Nothing is kept for the next change, which may never come.
            self.places = HashMap::new();
            return None;
        };
        self.places.remove(change.topic());
        Some(change)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn subscribe(topic: &'static str) -> Subscription {
        Subscription::Subscribe(Bytes::from(topic))
    }

    fn cancel(topic: &'static str) -> Subscription {
        Subscription::Cancel(Bytes::from(topic))
    }

    fn told(upstream: &mut Upstream) -> Vec<Subscription> {
        std::iter::from_fn(|| upstream.pop()).collect()
    }

    #[test]
    fn changes_are_told_in_order() {
        let mut upstream = Upstream::default();
        for change in [subscribe("b"), subscribe("a"), cancel("c")] {
            upstream.push(change);
        }
        assert_eq!(told(&mut upstream), [subscribe("b"), subscribe("a"), cancel("c")]);
    }

    #[test]
    fn a_change_taken_back_before_it_was_told_is_not_told() {
        let mut upstream = Upstream::default();
        for change in [subscribe("a"), subscribe("b"), cancel("a")] {
            upstream.push(change);
        }
        assert_eq!(told(&mut upstream), [subscribe("b")]);
    }

    #[test]
    fn a_change_taken_back_after_it_was_told_is_told() {
        let mut upstream = Upstream::default();
        upstream.push(subscribe("a"));
        assert_eq!(told(&mut upstream), [subscribe("a")]);
        upstream.push(cancel("a"));
        upstream.push(subscribe("a"));
        upstream.push(cancel("a"));
        assert_eq!(told(&mut upstream), [cancel("a")]);
    }

    #[test]
    fn a_publisher_that_does_not_read_costs_no_more_than_the_topics() {
        let mut upstream = Upstream::default();
        for _ in 0..1000 {
            upstream.push(subscribe("a"));
            upstream.push(cancel("a"));
        }
        assert_eq!((upstream.changes.len(), upstream.places.len()), (0, 0));
    }
}
