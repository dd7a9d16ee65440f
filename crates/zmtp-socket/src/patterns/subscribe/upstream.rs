//! The state that one publisher is still to be sent: our subscriptions, and messages of an XSUB.
//!
//! ```text
//! the filter's order     a  b  c  ·  e  f      of all topics, shared by all publishers
//!                                 ▲
//! an upstream                     sent_to      everything before has been sent,
//!                                 cancels      but not the ends of these topics since
//! ```

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use zmtp_codec::Subscription;

use super::filter::{Ended, Filter};
use crate::peer::Peer;
use crate::send::Outbox;

/// A publisher: how many of the topics it has been sent, and the messages that it is to be sent.
///
/// A change that takes back an unsent one removes it instead of following it. So, however long the
/// publisher does not read, this holds no topic that the publisher was not sent, and each other at most
/// once.
pub(super) struct Upstream {
    pub(super) peer: Peer,
    /// The place in the order of subscriptions before which everything has been sent.
    sent_to: u64,
    /// Topics that were sent and have ended since, by the numbers of these changes.
    cancels: BTreeMap<u64, Bytes>,
    /// The number of the change for each of these topics.
    cancelled: BTreeMap<Bytes, u64>,
    /// The places, from `sent_to` on, of topics that ended and were subscribed to again while the publisher
    /// was sent neither change.
    known: BTreeSet<u64>,
    /// Topics that were subscribed to repeatedly; the repetition is sent after all else.
    repeated: BTreeSet<Bytes>,
    pub(super) outbox: Outbox,
}

impl Upstream {
    /// A publisher that has been sent nothing.
    pub(super) fn new(peer: Peer, outbox: Outbox) -> Self {
        let (cancels, cancelled) = (BTreeMap::new(), BTreeMap::new());
        let (known, repeated) = (BTreeSet::new(), BTreeSet::new());
        Self { peer, sent_to: 0, cancels, cancelled, known, repeated, outbox }
    }

    /// Notes that a topic was subscribed to, which has this place in the order.
    pub(super) fn subscribed(&mut self, topic: &Bytes, place: u64) {
        if let Some(at) = self.cancelled.remove(topic) {
            self.cancels.remove(&at);
            self.known.insert(place);
        }
    }

    /// Notes another subscription to a topic.
    pub(super) fn repeated(&mut self, topic: &Bytes) {
        self.repeated.insert(topic.clone());
    }

    /// Notes the end of a topic.
    pub(super) fn ended(&mut self, ended: &Ended) {
        self.repeated.remove(&ended.topic);
        if ended.place < self.sent_to || self.known.remove(&ended.place) {
            self.cancels.insert(ended.at, ended.topic.clone());
            self.cancelled.insert(ended.topic.clone(), ended.at);
        }
    }

    /// Takes the changes that are to be sent next, in the order in which they were made, in at most so
    /// many steps, and none after their topics have reached so many octets. Returns the number of steps,
    /// which is zero if there is nothing to send.
    pub(super) fn take_changes(
        &mut self,
        filter: &Filter,
        steps: usize,
        octets: usize,
        changes: &mut Vec<Subscription>,
    ) -> usize {
        let mut topics = filter.topics_from(self.sent_to).peekable();
        let (mut taken, mut taken_octets) = (0, 0);
        while taken < steps && taken_octets < octets {
            let place = topics.peek().map_or(u64::MAX, |(place, _)| *place);
            if let Some(cancel) = self.cancels.first_entry().filter(|it| *it.key() < place) {
                let topic = cancel.remove();
                self.cancelled.remove(&topic);
                taken_octets += topic.len();
                changes.push(Subscription::Cancel(topic));
            } else if let Some((place, topic)) = topics.next() {
                self.sent_to = place + 1;
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
