//! The subscriptions of all peers: the only place that decides which peers a message goes to.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use bytes::Bytes;
use slab::Slab;
use zmtp_codec::Subscription;

use super::recipients::{PackedRecipients, Recipients};
use crate::options::Duplicates;
use crate::prefix_map::{EntryId, PrefixMap};

/// The subscriptions of all peers, in one index.
pub(crate) struct Topics {
    index: PrefixMap<PackedRecipients>,
    /// The peers of topics that several peers subscribed to.
    lists: Slab<Vec<u32>>,
    /// The topics of each peer, by its key.
    peers: Vec<Held>,
    duplicates: Duplicates,
    /// The number of the present search for peers.
    round: u64,
    subscribed_peers: usize,
    /// The number of topics that the peers which have not left hold, all together.
    held: u64,
    /// The number of peers that have left and whose topics have not all been removed.
    leaving: usize,
}

/// The largest number of topics that are removed at once from a peer that has left: each takes some
/// microseconds, under the lock.
pub(super) const SLICE: usize = 256;

/// The same limit in octets, about.
const SLICE_OCTETS: usize = 64 << 10;

/// The effect of a subscription, or of its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Change {
    /// None: the peer does not hold the topic.
    Nothing,
    /// None but perhaps a count: the peer holds the topic as before.
    Repeated,
    /// The peer has begun or ceased to hold the topic; others hold it too.
    OfPeer,
    /// The peer is the first to hold the topic, or was the last.
    OfAll,
}

impl Change {
    fn of_peer(alone: bool) -> Self {
        if alone { Self::OfAll } else { Self::OfPeer }
    }
}

/// The subscriptions of one peer.
#[derive(Default)]
struct Held {
    /// In a tree, which never moves more than a node of itself. A hash table would have to move all at
    /// once when it grows, and would have to be searched when it is emptied in slices.
    topics: BTreeMap<EntryId, Subscribed>,
    /// The sum of the octets of all these topics.
    octets: usize,
    /// The last search in which this peer was found: it gets one copy, however many of its topics match.
    found_in: u64,
    /// It has left, and gets nothing, whatever topics it still holds.
    is_leaving: bool,
}

struct Subscribed {
    /// The number of subscriptions to the topic. At [`UNCOUNTED`] it no longer changes.
    count: u32,
    /// The peer's place among those that subscribed to the topic.
    place: u32,
}

/// A peer that subscribes to a topic so often can end that only by leaving.
const UNCOUNTED: u32 = u32::MAX;

impl Topics {
    pub(crate) fn new(duplicates: Duplicates) -> Self {
        Self {
            index: PrefixMap::new(),
            lists: Slab::new(),
            peers: Vec::new(),
            duplicates,
            round: 0,
            subscribed_peers: 0,
            held: 0,
            leaving: 0,
        }
    }

    /// Adds a peer whose key is not in use.
    pub(crate) fn add_peer(&mut self, key: usize) {
        if self.peers.len() <= key {
            self.peers.resize_with(key + 1, Held::default);
        }
    }

    /// Ends the sending to a peer that leaves. Its topics are [forgotten](Self::forget) in slices; until
    /// then it is as if it had yet to cancel the rest.
    pub(crate) fn leave(&mut self, key: usize) {
        let held = &mut self.peers[key];
        self.subscribed_peers -= usize::from(!held.topics.is_empty());
        held.is_leaving = true;
        self.held -= held.topics.len() as u64;
        self.leaving += 1;
    }

    /// Removes some topics of a peer that is leaving. With `reported`, returns these topics and the effect
    /// of the end of each. Returns `None` once no topic is left.
    pub(crate) fn forget(&mut self, key: usize, reported: bool) -> Option<Vec<(Bytes, Change)>> {
        let held = &self.peers[key];
        let slice = held.topics.len() * SLICE_OCTETS / held.octets.max(1);
        self.forget_at_most(key, slice.clamp(1, SLICE), reported)
    }

    fn forget_at_most(
        &mut self,
        key: usize,
        slice: usize,
        reported: bool,
    ) -> Option<Vec<(Bytes, Change)>> {
        let held = &mut self.peers[key];
        let count = held.topics.len();
        if count == 0 {
            return None;
        }
        let first = || held.topics.pop_first();
        let slice: Vec<_> = std::iter::from_fn(first).take(slice).collect();
        held.octets -= held.octets * slice.len() / count;
        let mut left = Vec::new();
        for (entry, Subscribed { place, .. }) in slice {
            let topic = reported.then(|| self.index.key(entry));
            let change = self.give_up(entry, place);
            left.extend(topic.map(|topic| (topic.into(), change)));
        }
        Some(left)
    }

    /// Ends the leaving of a peer that holds no topic any more. Its key may then be given to another
    /// peer. The returned memory is to be freed without the lock.
    pub(crate) fn remove_peer(&mut self, key: usize) -> impl Sized + use<> {
        self.leaving -= 1;
        std::mem::take(&mut self.peers[key])
    }

    /// Memory that the index has outgrown, to be freed without the lock.
    pub(crate) fn take_spent(&mut self) -> Option<Box<dyn Send>> {
        self.index.take_spent().map(|spent| spent as Box<dyn Send>)
    }

    /// Whether a peer has left.
    pub(crate) fn is_leaving(&self, key: usize) -> bool {
        self.peers[key].is_leaving
    }

    /// Applies a subscription of a peer, or its end.
    pub(crate) fn change(&mut self, key: usize, subscription: &Subscription) -> Change {
        match subscription {
            Subscription::Subscribe(topic) => self.subscribe(key, topic),
            Subscription::Cancel(topic) => self.cancel(key, topic),
        }
    }

    fn subscribe(&mut self, key: usize, topic: &[u8]) -> Change {
        let (entry, audience) = self.index.entry(topic);
        let held = &mut self.peers[key];
        match held.topics.entry(entry) {
            Entry::Vacant(vacant) => {
                let alone = audience.who() == Recipients::None;
                let place = audience.add(key, &mut self.lists);
                vacant.insert(Subscribed { count: 1, place });
                held.octets += topic.len();
                self.held += 1;
                self.subscribed_peers += usize::from(held.topics.len() == 1);
                Change::of_peer(alone)
            }
            Entry::Occupied(mut subscribed) => {
                if self.duplicates == Duplicates::Counted {
                    // RFC 23, Subscriptions: the same topic may be subscribed to repeatedly, and
                    // each takes a CANCEL of its own.
                    let count = &mut subscribed.get_mut().count;
                    *count = count.saturating_add(1);
                }
                Change::Repeated
            }
        }
    }

    fn cancel(&mut self, key: usize, topic: &[u8]) -> Change {
        let held = &mut self.peers[key];
        let Some(entry) = self.index.find(topic) else { return Change::Nothing };
        let Some(subscribed) = held.topics.get_mut(&entry) else { return Change::Nothing };
        if subscribed.count > 1 {
            subscribed.count -= u32::from(subscribed.count != UNCOUNTED);
            return Change::Repeated;
        }
        let place = subscribed.place;
        held.topics.remove(&entry);
        held.octets -= topic.len();
        self.held -= 1;
        self.subscribed_peers -= usize::from(held.topics.is_empty());
        self.give_up(entry, place)
    }

    /// Puts the topics that match a message with this first part into `matching`. If they are the same
    /// for two messages, and no peer subscribed or cancelled between them, the same peers want both.
    #[inline(always)]
    pub(crate) fn matching(&self, topic: &[u8], matching: &mut Vec<EntryId>) {
        matching.clear();
        // `extend` would be a call.
        for entry in self.index.prefixes_of(topic) {
            matching.push(entry);
        }
    }

    /// The peers that subscribed to any of these topics, each once.
    #[inline]
    pub(crate) fn peers_of(&mut self, matching: &[EntryId], found: &mut Vec<usize>) {
        found.clear();
        if let [entry] = matching {
            // If one topic matches, which is the usual case, no peer is found twice.
            self.each_of(*entry, |key| found.push(key));
        } else {
            self.round += 1;
            let (round, mut held) = (self.round, std::mem::take(&mut self.peers));
            for entry in matching {
                self.each_of(*entry, |key| {
                    if std::mem::replace(&mut held[key].found_in, round) != round {
                        found.push(key);
                    }
                });
            }
            self.peers = held;
        }
        if self.leaving > 0 {
            found.retain(|key| !self.peers[*key].is_leaving);
        }
    }

    #[inline]
    fn each_of(&self, entry: EntryId, mut each: impl FnMut(usize)) {
        match self.index.value(entry).map(|audience| audience.who()) {
            Some(Recipients::Many(list)) => {
                self.lists[list].iter().for_each(|key| each(*key as usize));
            }
            Some(Recipients::One(key)) => each(key),
            Some(Recipients::None) | None => {}
        }
    }

    /// Whether any peer holds a topic that begins a message with this first part.
    #[cfg(test)]
    pub(crate) fn is_wanted(&self, topic: &[u8]) -> bool {
        self.index.any_prefix_of(topic)
    }

    /// The number of distinct topics that a peer is subscribed to, and the sum of their octets.
    pub(crate) fn held_by(&self, key: usize) -> (usize, usize) {
        let held = &self.peers[key];
        (held.topics.len(), held.octets)
    }

    /// The sum of all peers' distinct topics.
    pub(crate) fn held_by_all(&self) -> u64 {
        self.held
    }

    /// A bound that is larger than every peer's key.
    pub(crate) fn keys(&self) -> usize {
        self.peers.len()
    }

    /// The number of peers with at least one subscription.
    pub(crate) fn subscribed_peers(&self) -> usize {
        self.subscribed_peers
    }

    /// Removes the peer at `place` of those that subscribed to a topic. The last one moves there, so
    /// that the list is not searched for each of many peers that leave.
    fn give_up(&mut self, entry: EntryId, place: u32) -> Change {
        let Some(audience) = self.index.value_mut(entry) else { return Change::Nothing };
        if let Some(moved) = audience.remove(place, &mut self.lists) {
            let subscribed = self.peers[moved].topics.get_mut(&entry);
            subscribed.expect("a peer of a topic holds it").place = place;
        }
        let alone = audience.who() == Recipients::None;
        if alone {
            self.index.remove(entry);
        }
        Change::of_peer(alone)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn wanted(topics: &mut Topics, topic: &[u8]) -> Vec<usize> {
        let (mut matching, mut found) = (Vec::new(), Vec::new());
        topics.matching(topic, &mut matching);
        topics.peers_of(&matching, &mut found);
        found.sort_unstable();
        found
    }

    fn with_peers(count: usize) -> Topics {
        let mut topics = Topics::new(Duplicates::Counted);
        (0..count).for_each(|key| topics.add_peer(key));
        topics
    }

    fn remove(topics: &mut Topics, key: usize) {
        topics.leave(key);
        while topics.forget(key, false).is_some() {}
        drop(topics.remove_peer(key));
    }

    #[test]
    fn a_peer_that_leaves_is_forgotten_in_slices_and_gets_nothing_meanwhile() {
        let mut topics = with_peers(2);
        for number in 0..10 * SLICE {
            topics.subscribe(0, format!("A{number}").as_bytes());
        }
        topics.subscribe(1, b"A0");
        topics.leave(0);
        assert_eq!(topics.subscribed_peers(), 1);
        assert_eq!(wanted(&mut topics, b"A0"), [1]);
        assert_eq!(wanted(&mut topics, b"A1"), []);
        let mut left = 10 * SLICE;
        while let Some(slice) = topics.forget(0, true) {
            assert!(!slice.is_empty() && slice.len() <= SLICE, "{} at once", slice.len());
            left -= slice.len();
            assert_eq!(topics.held_by(0).0, left);
        }
        assert_eq!(left, 0);
        drop(topics.remove_peer(0));
        assert_eq!(wanted(&mut topics, b"A0"), [1]);
    }

    #[test]
    fn of_long_topics_few_are_forgotten_at_once() {
        let mut topics = with_peers(1);
        for number in 0..10u8 {
            topics.subscribe(0, &[&[number][..], &[7; SLICE_OCTETS / 2]].concat());
        }
        topics.leave(0);
        let slices = std::iter::from_fn(|| topics.forget(0, true)).map(|slice| slice.len());
        assert!(slices.max() <= Some(2));
    }

    #[test]
    fn a_peer_gets_one_copy_however_many_of_its_topics_match() {
        let mut topics = with_peers(2);
        for topic in ["", "1", "10", "10002"] {
            topics.subscribe(0, topic.as_bytes());
        }
        topics.subscribe(1, b"10002 ");
        assert_eq!(wanted(&mut topics, b"10002 27 33"), [0, 1]);
        assert_eq!(wanted(&mut topics, b"10002"), [0]);
    }

    #[test]
    fn two_subscriptions_take_two_cancels() {
        let mut topics = with_peers(1);
        assert_eq!(topics.subscribe(0, b"A"), Change::OfAll);
        assert_eq!(topics.subscribe(0, b"A"), Change::Repeated);
        assert_eq!(topics.cancel(0, b"A"), Change::Repeated);
        assert!(topics.is_wanted(b"A"));
        assert_eq!(topics.cancel(0, b"A"), Change::OfAll);
        assert!(!topics.is_wanted(b"A"));
        assert_eq!(topics.cancel(0, b"A"), Change::Nothing);
    }

    #[test]
    fn as_a_set_the_first_cancel_ends_it() {
        let mut topics = Topics::new(Duplicates::AsSet);
        topics.add_peer(0);
        assert_eq!(topics.subscribe(0, b"A"), Change::OfAll);
        assert_eq!(topics.subscribe(0, b"A"), Change::Repeated);
        assert_eq!(topics.cancel(0, b"A"), Change::OfAll);
        assert!(!topics.is_wanted(b"A"));
    }

    #[test]
    fn a_cancel_of_what_another_peer_holds_changes_nothing() {
        let mut topics = with_peers(2);
        topics.subscribe(0, b"A");
        assert_eq!(topics.cancel(1, b"A"), Change::Nothing);
        assert_eq!(wanted(&mut topics, b"A"), [0]);
    }

    #[test]
    fn what_was_subscribed_to_too_often_to_be_counted_is_never_cancelled() {
        let mut topics = with_peers(1);
        topics.subscribe(0, b"A");
        let subscribed = topics.peers[0].topics.values_mut().next().expect("it was subscribed to");
        subscribed.count = u32::MAX - 1;
        assert_eq!(topics.cancel(0, b"A"), Change::Repeated);
        for _ in 0..3 {
            assert_eq!(topics.subscribe(0, b"A"), Change::Repeated);
        }
        let counts = |topics: &Topics| topics.peers[0].topics.values().map(|it| it.count).max();
        assert_eq!(counts(&topics), Some(u32::MAX));
        assert_eq!(topics.cancel(0, b"A"), Change::Repeated);
        assert_eq!(counts(&topics), Some(u32::MAX));
        remove(&mut topics, 0);
        assert!(!topics.is_wanted(b"A"));
    }

    #[test]
    fn a_topic_of_one_peer_has_no_list_and_the_list_of_a_crowd_goes_with_it() {
        assert_eq!(size_of::<Option<PackedRecipients>>(), 4);
        assert_eq!(size_of::<(EntryId, Subscribed)>(), 12);
        let mut topics = with_peers(100);
        topics.subscribe(0, b"A");
        assert!(topics.lists.is_empty());
        for key in 1..100 {
            topics.subscribe(key, b"A");
        }
        let list = |topics: &Topics| topics.lists.iter().next().map(|(_, keys)| keys.capacity());
        assert!(list(&topics) >= Some(100));
        (0..90).for_each(|key| remove(&mut topics, key));
        assert!(list(&topics) <= Some(40), "{:?}", list(&topics));
        assert_eq!(wanted(&mut topics, b"A"), (90..100).collect::<Vec<_>>());
        (90..99).for_each(|key| remove(&mut topics, key));
        assert!(topics.lists.is_empty());
        assert_eq!(wanted(&mut topics, b"A"), [99]);
    }

    #[derive(Clone, Debug)]
    enum Step {
        Subscribe(usize, Vec<u8>),
        Cancel(usize, Vec<u8>),
        /// A peer leaves, or more of it is forgotten; a new peer takes its place in the end.
        Leave(usize),
        Match(Vec<u8>),
    }

    const PEERS: usize = 4;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let topic = || proptest::collection::vec(0u8..3, 0..5);
        let step = prop_oneof![
            4 => (0..PEERS, topic()).prop_map(|(peer, topic)| Step::Subscribe(peer, topic)),
            3 => (0..PEERS, topic()).prop_map(|(peer, topic)| Step::Cancel(peer, topic)),
            2 => (0..PEERS).prop_map(Step::Leave),
            3 => topic().prop_map(Step::Match),
        ];
        proptest::collection::vec(step, 0..120)
    }

    /// The effect of a peer's number of subscriptions to a topic changing from `from`.
    fn change(model: &[Vec<Vec<u8>>], peer: usize, topic: &Vec<u8>, from: usize) -> Change {
        let held =
            |lists: &[Vec<Vec<u8>>]| lists.iter().flatten().filter(|it| *it == topic).count();
        let own = held(&model[peer..=peer]);
        match own {
            own if own == from => Change::of_peer(held(model) == own),
            0 => Change::Nothing,
            _ => Change::Repeated,
        }
    }

    proptest! {
        /// Against lists that are searched from end to end.
        #[test]
        fn matches_as_a_naive_model_does(steps in steps()) {
            let mut topics = with_peers(PEERS);
            let mut model = vec![Vec::<Vec<u8>>::new(); PEERS];
            for step in steps {
                match step {
                    Step::Subscribe(peer, _) | Step::Cancel(peer, _) if topics.is_leaving(peer) => {}
                    Step::Subscribe(peer, topic) => {
                        let expected = change(&model, peer, &topic, 0);
                        prop_assert_eq!(topics.subscribe(peer, &topic), expected);
                        model[peer].push(topic);
                    }
                    Step::Cancel(peer, topic) => {
                        let expected = change(&model, peer, &topic, 1);
                        prop_assert_eq!(topics.cancel(peer, &topic), expected);
                        if let Some(at) = model[peer].iter().position(|held| *held == topic) {
                            model[peer].remove(at);
                        }
                    }
                    Step::Leave(peer) if !topics.is_leaving(peer) => topics.leave(peer),
                    Step::Leave(peer) => match topics.forget_at_most(peer, 2, true) {
                        Some(slice) => {
                            for (topic, changed) in slice {
                                let topic = topic.to_vec();
                                model[peer].retain(|held| *held != topic);
                                let alone = !model.iter().flatten().any(|held| *held == topic);
                                prop_assert_eq!(changed, Change::of_peer(alone));
                            }
                        }
                        None => {
                            prop_assert!(model[peer].is_empty());
                            drop(topics.remove_peer(peer));
                            topics.add_peer(peer);
                        }
                    },
                    Step::Match(topic) => {
                        let expected: Vec<usize> = (0..PEERS)
                            .filter(|peer| !topics.is_leaving(*peer))
                            .filter(|peer| model[*peer].iter().any(|held| topic.starts_with(held)))
                            .collect();
                        prop_assert_eq!(wanted(&mut topics, &topic), expected);
                    }
                }
                for (peer, held) in model.iter().enumerate() {
                    let mut distinct = held.clone();
                    distinct.sort();
                    distinct.dedup();
                    let octets = distinct.iter().map(Vec::len).sum();
                    let (count, held) = topics.held_by(peer);
                    prop_assert_eq!(count, distinct.len());
                    prop_assert!(held == octets || topics.is_leaving(peer));
                }
                let present = (0..PEERS).filter(|peer| !topics.is_leaving(*peer));
                let subscribed = present.filter(|peer| !model[*peer].is_empty()).count();
                prop_assert_eq!(topics.subscribed_peers(), subscribed);
                let present = (0..PEERS).filter(|peer| !topics.is_leaving(*peer));
                let all = present.map(|peer| topics.held_by(peer).0 as u64).sum();
                prop_assert_eq!(topics.held_by_all(), all);
            }
        }
    }
}
