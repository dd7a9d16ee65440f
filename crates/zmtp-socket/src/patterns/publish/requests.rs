//! The requests of subscribers that an XPUB's user has not read yet.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{BuildHasher as _, RandomState};
use std::task::Waker;

use bytes::Bytes;
use zmtp_codec::{Message, Subscription};

use super::topics::Change;
use crate::error::Overrun;
use crate::options::Verbosity;
use crate::peer::{Peer, PeerId};
use crate::stats::Count;

/// A request of a subscriber to an [`XPubSocket`](crate::XPubSocket).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Request {
    /// A subscription: the peer wants messages that begin with a topic.
    Subscribe {
        /// The subscriber.
        peer: Peer,
        /// The topic.
        topic: Bytes,
    },
    /// The end of a subscription. A subscriber that leaves ends all of its subscriptions.
    Unsubscribe {
        /// The subscriber.
        peer: Peer,
        /// The topic.
        topic: Bytes,
    },
    /// A message that an XSUB has sent.
    Message {
        /// The peer that sent it.
        peer: Peer,
        /// The message.
        message: Message,
    },
}

/// Requests that have not been read, oldest first.
///
/// The end of a subscription removes the subscription if that has not been read, and a repeated
/// subscription adds nothing. So unread changes are bounded by the topics that a peer may have. A peer
/// whose unread changes or messages exceed the limit of its subscriptions is disconnected.
///
/// The indexes are trees, because a tree grows a node at a time. A hash table would grow all at once,
/// under the lock.
pub(super) struct Requests {
    verbosity: Verbosity,
    limit: Unread,
    pending: BTreeMap<u64, Request>,
    /// The last pending change of a topic: for each peer, where they are told apart.
    places: BTreeMap<Key, u64>,
    hasher: RandomState,
    next: u64,
    /// The pending requests of each connected peer, and their places.
    unread: BTreeMap<PeerId, (Unread, BTreeSet<u64>)>,
    /// The amount of pending requests of departed peers.
    departed: Unread,
    /// Topics that were reported as wanted, where only the end of the last subscription is
    /// reported.
    reported: BTreeSet<Bytes>,
    reader: Option<Waker>,
}

/// A topic, and its peer where peers are told apart. A hash in front decides nearly every comparison, so that
/// few topics are compared.
type Key = (u64, Option<PeerId>, Bytes);

/// The amount that is pending.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Unread {
    pub(super) requests: usize,
    pub(super) octets: usize,
}

impl Requests {
    pub(super) fn verbosity(&self) -> Verbosity {
        self.verbosity
    }

    /// Sets the verbosity of new requests. Pending ones are still reported.
    pub(super) fn set_verbosity(&mut self, verbosity: Verbosity) {
        self.verbosity = verbosity;
    }

    pub(super) fn new(verbosity: Verbosity, limit: Unread) -> Self {
        Self {
            verbosity,
            limit,
            pending: BTreeMap::new(),
            places: BTreeMap::new(),
            hasher: RandomState::new(),
            next: 0,
            unread: BTreeMap::new(),
            departed: Unread::default(),
            reported: BTreeSet::new(),
            reader: None,
        }
    }

    /// Adds a subscription or its end, if it is to be reported.
    pub(super) fn tell(
        &mut self,
        peer: &Peer,
        subscription: Subscription,
        change: Change,
    ) -> Result<(), Overrun> {
        let begins = matches!(subscription, Subscription::Subscribe(_));
        let is_reported = match self.verbosity {
            Verbosity::Distinct => change == Change::OfAll,
            Verbosity::Subscriptions if begins => true,
            Verbosity::Subscriptions => {
                if change >= Change::OfPeer {
                    self.take_back(peer, subscription.topic());
                }
                change == Change::OfAll && self.reported.remove(subscription.topic())
            }
            // A repeated subscription is not a new one, and its end does not end the first one.
            Verbosity::All => change >= Change::OfPeer,
        };
        if is_reported { self.add_change(peer, subscription) } else { Ok(()) }
    }

    /// Adds a subscription or its end.
    pub(super) fn add_change(
        &mut self,
        peer: &Peer,
        subscription: Subscription,
    ) -> Result<(), Overrun> {
        let key = self.key(peer, subscription.topic());
        let begins = matches!(subscription, Subscription::Subscribe(_));
        if let Some(&place) = self.places.get(&key) {
            match (self.pending.get(&place), begins) {
                // The change repeats the pending one.
                (Some(Request::Subscribe { .. }), true)
                | (Some(Request::Unsubscribe { .. }), false) => return Ok(()),
                (Some(Request::Subscribe { .. }), false) => {
                    self.take(place);
                    return Ok(());
                }
                _ => {}
            }
        }
        self.places.insert(key, self.next);
        let peer = peer.clone();
        self.add(match subscription {
            Subscription::Subscribe(topic) => Request::Subscribe { peer, topic },
            Subscription::Cancel(topic) => Request::Unsubscribe { peer, topic },
        })
    }

    pub(super) fn add_message(&mut self, peer: &Peer, message: Message) -> Result<(), Overrun> {
        self.add(Request::Message { peer: peer.clone(), message })
    }

    fn add(&mut self, request: Request) -> Result<(), Overrun> {
        let (unread, places) = self.unread.entry(request.peer().id()).or_default();
        unread.add(&request);
        places.insert(self.next);
        let limit = self.limit;
        let is_too_much = unread.requests > limit.requests || unread.octets > limit.octets;
        self.pending.insert(self.next, request);
        self.next += 1;
        match is_too_much {
            true => Err(Overrun::Requests { requests: limit.requests, octets: limit.octets }),
            false => Ok(()),
        }
    }

    /// Removes a subscription of this peer that has not been read.
    fn take_back(&mut self, peer: &Peer, topic: &Bytes) {
        let place = self.places.get(&self.key(peer, topic)).copied();
        if let Some(place) = place
            && matches!(self.pending.get(&place), Some(Request::Subscribe { .. }))
        {
            self.take(place);
        }
    }

    /// Handles up to `count` of the requests of a peer that has gone. Its unread subscriptions are
    /// removed, where peers are told apart. Its messages stay, within a limit that all departed peers
    /// share. Returns the messages that are lost, and whether there may be more requests.
    pub(super) fn depart(&mut self, peer: &Peer, count: usize) -> (Count, bool) {
        let mut lost = Count::default();
        let are_apart = self.apart(peer).is_some();
        for _ in 0..count {
            let Some((unread, places)) = self.unread.get_mut(&peer.id()) else {
                return (lost, false);
            };
            let Some(place) = places.pop_first() else {
                self.unread.remove(&peer.id());
                return (lost, false);
            };
            let Some(request) = self.pending.get(&place) else { continue };
            unread.remove(request);
            self.departed.add(request);
            let is_past_limit = self.departed.requests > self.limit.requests
                || self.departed.octets > self.limit.octets;
            match request {
                Request::Subscribe { .. } if are_apart => drop(self.take(place)),
                Request::Message { message, .. } if is_past_limit => {
                    lost.add(1, message.encoded_len());
                    self.take(place);
                }
                _ => {}
            }
        }
        (lost, true)
    }

    /// Takes the oldest request.
    pub(super) fn pop(&mut self) -> Option<Request> {
        let place = *self.pending.first_key_value()?.0;
        let request = self.take(place)?;
        if let (Verbosity::Subscriptions, Request::Subscribe { topic, .. }) =
            (self.verbosity, &request)
        {
            self.reported.insert(topic.clone());
        }
        Some(request)
    }

    fn take(&mut self, place: u64) -> Option<Request> {
        let request = self.pending.remove(&place)?;
        if let Request::Subscribe { peer, topic } | Request::Unsubscribe { peer, topic } = &request
        {
            let key = self.key(peer, topic);
            if self.places.get(&key) == Some(&place) {
                self.places.remove(&key);
            }
        }
        let id = request.peer().id();
        if let Some((unread, places)) = self.unread.get_mut(&id)
            && places.remove(&place)
        {
            unread.remove(&request);
            if places.is_empty() {
                self.unread.remove(&id);
            }
        } else {
            // It was already removed when its peer left.
            self.departed.remove(&request);
        }
        Some(request)
    }

    fn key(&self, peer: &Peer, topic: &Bytes) -> Key {
        (self.hasher.hash_one(topic), self.apart(peer), topic.clone())
    }

    /// The peer's number, if its changes are told apart from those of others.
    fn apart(&self, peer: &Peer) -> Option<PeerId> {
        (self.verbosity != Verbosity::Distinct).then(|| peer.id())
    }

    /// Waits for a request.
    pub(super) fn wait(&mut self, waker: Waker) {
        self.reader = Some(waker);
    }

    /// The waker of the reader, if it waits and there is a request.
    pub(super) fn wake(&mut self) -> Option<Waker> {
        self.reader.take_if(|_| !self.pending.is_empty())
    }

    /// The waker of the reader, if it waits.
    pub(super) fn end(&mut self) -> Option<Waker> {
        self.reader.take()
    }
}

impl Unread {
    fn add(&mut self, request: &Request) {
        self.requests += 1;
        self.octets += request.octets();
    }

    fn remove(&mut self, request: &Request) {
        self.requests -= 1;
        self.octets -= request.octets();
    }
}

impl Request {
    /// The peer that made the request. To send it a message alone, see
    /// [`send_to`](crate::XPubHandle::send_to).
    pub fn peer(&self) -> &Peer {
        match self {
            Self::Subscribe { peer, .. }
            | Self::Unsubscribe { peer, .. }
            | Self::Message { peer, .. } => peer,
        }
    }

    fn octets(&self) -> usize {
        match self {
            Self::Subscribe { topic, .. } | Self::Unsubscribe { topic, .. } => topic.len(),
            Self::Message { message, .. } => message.encoded_len(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::Endpoint;

    fn requests(verbosity: Verbosity) -> Requests {
        Requests::new(verbosity, Unread { requests: 4, octets: 100 })
    }

    fn peer(id: u64) -> Peer {
        Peer::new(PeerId(id), Endpoint::Inproc("test".into()), "test")
    }

    fn subscribe(topic: &'static str) -> Subscription {
        Subscription::Subscribe(Bytes::from(topic))
    }

    fn cancel(topic: &'static str) -> Subscription {
        Subscription::Cancel(Bytes::from(topic))
    }

    /// All pending requests: `+1 a` is peer 1's subscription to a.
    fn pending(requests: &mut Requests) -> Vec<String> {
        let text = |request: Request| match &request {
            Request::Subscribe { peer, topic } => format!("+{} {topic:?}", peer.id().0),
            Request::Unsubscribe { peer, topic } => format!("-{} {topic:?}", peer.id().0),
            Request::Message { peer, message } => format!("{} {message:?}", peer.id().0),
        };
        std::iter::from_fn(|| requests.pop()).map(text).collect()
    }

    #[test]
    fn what_is_told_depends_on_the_verbosity() {
        let steps = [
            (1, subscribe("a"), Change::OfAll),
            (2, subscribe("a"), Change::OfPeer),
            (1, cancel("a"), Change::OfPeer),
            (2, cancel("a"), Change::OfAll),
            (2, cancel("a"), Change::Nothing),
        ];
        let rows = [
            (Verbosity::Distinct, &["+1 b\"a\"", "-2 b\"a\""][..]),
            (Verbosity::Subscriptions, &["+1 b\"a\"", "+2 b\"a\"", "-2 b\"a\""]),
            (Verbosity::All, &["+1 b\"a\"", "+2 b\"a\"", "-1 b\"a\"", "-2 b\"a\""]),
        ];
        for (verbosity, expected) in rows {
            let mut requests = requests(verbosity);
            let mut reported = Vec::new();
            for (id, subscription, change) in steps.clone() {
                requests.tell(&peer(id), subscription, change).expect("within limits");
                reported.extend(pending(&mut requests));
            }
            assert_eq!(reported, expected, "{verbosity:?}");
        }
    }

    #[test]
    fn what_is_taken_back_unread_is_not_told_and_what_is_repeated_once() {
        let mut requests = requests(Verbosity::All);
        let one = peer(1);
        for round in 0..100 {
            let changes = [subscribe("a"), subscribe("a"), cancel("a"), subscribe("b")];
            for change in changes {
                requests.add_change(&one, change).expect("it does not grow");
            }
            assert_eq!(requests.pending.len(), 1, "in round {round}");
        }
        assert_eq!(pending(&mut requests), ["+1 b\"b\""]);
        for change in [cancel("a"), subscribe("a"), cancel("a"), subscribe("a")] {
            requests.add_change(&one, change).expect("it does not grow");
        }
        assert_eq!(pending(&mut requests), ["-1 b\"a\"", "+1 b\"a\""], "a new interest is told");
        assert!(requests.places.is_empty() && requests.unread.is_empty());
    }

    #[test]
    fn a_peer_that_takes_back_a_repetition_is_still_told_of() {
        for verbosity in [Verbosity::Distinct, Verbosity::Subscriptions, Verbosity::All] {
            let mut requests = requests(verbosity);
            let steps = [
                (subscribe("a"), Change::OfAll),
                (subscribe("a"), Change::Repeated),
                (cancel("a"), Change::Repeated),
            ];
            for (subscription, change) in steps {
                requests.tell(&peer(1), subscription, change).expect("within limits");
            }
            assert_eq!(pending(&mut requests), ["+1 b\"a\""], "{verbosity:?}");
        }
    }

    #[test]
    fn where_the_end_of_the_last_alone_is_told_it_is_so_if_a_beginning_was() {
        let steps = [
            (1, subscribe("a"), Change::OfAll),
            (2, subscribe("a"), Change::OfPeer),
            (1, cancel("a"), Change::OfPeer),
            (2, cancel("a"), Change::OfAll),
        ];
        // Before each step, some of the earlier requests have been read.
        for (reads, expected) in [([0; 4], vec![]), ([0, 1, 0, 0], vec!["+1 b\"a\"", "-2 b\"a\""])]
        {
            let mut requests = requests(Verbosity::Subscriptions);
            let mut reported = Vec::new();
            for ((id, subscription, change), read) in steps.clone().into_iter().zip(reads) {
                if read > 0 {
                    reported.extend(pending(&mut requests));
                }
                requests.tell(&peer(id), subscription, change).expect("within limits");
            }
            reported.extend(pending(&mut requests));
            assert_eq!(reported, expected);
            assert!(requests.reported.is_empty());
        }
    }

    #[test]
    fn what_peers_that_have_gone_leave_unread_is_bounded_for_all_together() {
        let mut requests = requests(Verbosity::All);
        let mut lost = 0;
        for id in 0..100 {
            requests.add_change(&peer(id), subscribe("a")).expect("within limits");
            for number in 0..3 {
                let message = format!("{id}/{number}").into();
                requests.add_message(&peer(id), message).expect("within limits");
            }
            // In slices, as for a peer that has left many requests behind.
            let mut has_more = true;
            while has_more {
                let (count, more) = requests.depart(&peer(id), 2);
                (lost, has_more) = (lost + count.messages, more);
            }
        }
        assert_eq!(
            pending(&mut requests),
            [
                "0 Message[\"0/0\"]",
                "0 Message[\"0/1\"]",
                "0 Message[\"0/2\"]",
                "1 Message[\"1/0\"]"
            ]
        );
        assert_eq!((lost, requests.departed), (296, Unread::default()));
        assert!(requests.places.is_empty() && requests.unread.is_empty());
    }

    #[test]
    fn peers_are_told_apart_only_where_each_is_told_of() {
        for (verbosity, expected) in [(Verbosity::Distinct, 0), (Verbosity::All, 2)] {
            let mut requests = requests(verbosity);
            requests.add_change(&peer(1), subscribe("a")).expect("within limits");
            requests.add_change(&peer(2), cancel("a")).expect("within limits");
            assert_eq!(requests.pending.len(), expected);
        }
    }

    #[test]
    fn a_peer_whose_requests_are_not_read_goes_past_its_limit_alone() {
        let mut requests = requests(Verbosity::All);
        for number in 0..4 {
            requests.add_message(&peer(1), format!("{number}").into()).expect("within limits");
        }
        let overrun = Overrun::Requests { requests: 4, octets: 100 };
        assert_eq!(requests.add_message(&peer(1), "4".into()), Err(overrun));
        assert_eq!(requests.add_message(&peer(2), vec![0; 99].into()), Err(overrun));
        assert_eq!(requests.add_message(&peer(3), "1".into()), Ok(()));
        pending(&mut requests);
        assert_eq!(requests.add_message(&peer(1), "5".into()), Ok(()));
    }
}
