//! What one publisher still has to be told: our subscriptions, and messages of our own.
//!
//! ```text
//! the filter's order     a  b  c  ·  e  f      of all topics, shared by all publishers
//!                                 ▲
//! an upstream                     told         everything before has been told,
//!                                 cancels      but what of that was given up since has not
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use zmtp_codec::Subscription;

use super::filter::{Ended, Filter};
use crate::peer::Peer;
use crate::send::Outbox;

/// A publisher: how far it has been told of the topics, and the messages that it is to be sent.
///
/// A change that takes back one which has not been told removes it instead of following it, so that
/// however long the publisher does not read, this holds no topic that the publisher was not told, and
/// each other at most once.
pub(super) struct Upstream {
    pub(super) peer: Peer,
    /// The place in the order of subscriptions before which everything has been told.
    told: u64,
    /// Topics that have been told and were given up, by the numbers of these changes.
    cancels: BTreeMap<u64, Bytes>,
    /// The number of each.
    cancelled: BTreeMap<Bytes, u64>,
    /// The places from `told` on of topics that were given up and subscribed to again while the
    /// publisher was told of neither.
    known: BTreeSet<u64>,
    /// Topics that were subscribed to again, which is to be told after all else.
    repeated: BTreeSet<Bytes>,
    pub(super) outbox: Outbox,
}

impl Upstream {
    /// A publisher that has been told nothing.
    pub(super) fn new(peer: Peer, outbox: Outbox) -> Self {
        let (cancels, cancelled) = (BTreeMap::new(), BTreeMap::new());
        let (known, repeated) = (BTreeSet::new(), BTreeSet::new());
        Self { peer, told: 0, cancels, cancelled, known, repeated, outbox }
    }

    /// A topic was subscribed to, and has this place in the order.
    pub(super) fn subscribed(&mut self, topic: &Bytes, place: u64) {
        if let Some(at) = self.cancelled.remove(topic) {
            self.cancels.remove(&at);
            self.known.insert(place);
        }
    }

    /// A topic was subscribed to that is subscribed to already.
    pub(super) fn repeated(&mut self, topic: &Bytes) {
        self.repeated.insert(topic.clone());
    }

    /// A topic was given up.
    pub(super) fn ended(&mut self, ended: &Ended) {
        self.repeated.remove(&ended.topic);
        if ended.place < self.told || self.known.remove(&ended.place) {
            self.cancels.insert(ended.at, ended.topic.clone());
            self.cancelled.insert(ended.topic.clone(), ended.at);
        }
    }

    /// Takes changes that are to be told next, in the order in which they were made: in so many steps at
    /// most, and no more once their topics come to so many octets. Returns how many steps it took, which is
    /// none if there is nothing to tell.
    pub(super) fn take_changes(
        &mut self,
        filter: &Filter,
        steps: usize,
        octets: usize,
        changes: &mut Vec<Subscription>,
    ) -> usize {
        let mut topics = filter.topics_from(self.told).peekable();
        let (mut taken, mut taken_octets) = (0, 0);
        while taken < steps && taken_octets < octets {
            let place = topics.peek().map_or(u64::MAX, |(place, _)| *place);
            if let Some(cancel) = self.cancels.first_entry().filter(|it| *it.key() < place) {
                let topic = cancel.remove();
                self.cancelled.remove(&topic);
                taken_octets += topic.len();
                changes.push(Subscription::Cancel(topic));
            } else if let Some((place, topic)) = topics.next() {
                self.told = place + 1;
                if !self.known.remove(&place) {
                    taken_octets += topic.len();
                    changes.push(Subscription::Subscribe(topic.clone()));
                }
            } else if let Some(topic) = self.repeated.pop_first() {
                taken_octets += topic.len();
                changes.push(Subscription::Subscribe(topic));
            } else {
                break;
            }
            taken += 1;
        }
        taken
    }
}
