//! Who wants what: the only place that decides which peers a message goes to.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::slice;

use crate::Duplicates;
use crate::prefix_map::{EntryId, PrefixMap};

/// The subscriptions of all peers, in one index.
pub(crate) struct Topics {
    /// Topic to the peers that subscribed to it.
    index: PrefixMap<Peers>,
    /// What each peer holds, by its key.
    peers: Vec<Held>,
    duplicates: Duplicates,
    /// The number of the search for peers.
    round: u64,
    subscribed_peers: usize,
}

/// The subscriptions of one peer.
#[derive(Default)]
struct Held {
    topics: HashMap<EntryId, Subscribed>,
    /// Octets of all these topics.
    octets: usize,
    /// The last search in which this peer was found: it gets one copy, however many of its topics
    /// match.
    found_in: u64,
}

struct Subscribed {
    /// How often the topic was subscribed to and not cancelled. [`UNCOUNTED`] is never left again.
    count: u32,
    /// The peer's place among those that subscribed to the topic.
    place: u32,
}

/// Who says the same so often can no longer take it back but by leaving.
const UNCOUNTED: u32 = u32::MAX;

/// The keys of the peers that subscribed to one topic. That is mostly one, which needs nothing on the
/// heap.
#[derive(Debug, Default)]
enum Peers {
    #[default]
    Nobody,
    One(u32),
    #[expect(clippy::box_collection, reason = "every node of the index has room for this enum")]
    Many(Box<Vec<u32>>),
}

impl Topics {
    pub(crate) fn new(duplicates: Duplicates) -> Self {
        Self {
            index: PrefixMap::new(),
            peers: Vec::new(),
            duplicates,
            round: 0,
            subscribed_peers: 0,
        }
    }

    /// Makes `key` known; it was not, or has been removed.
    pub(crate) fn add_peer(&mut self, key: usize) {
        if self.peers.len() <= key {
            self.peers.resize_with(key + 1, Held::default);
        }
    }

    /// Forgets all that a peer subscribed to.
    pub(crate) fn remove_peer(&mut self, key: usize) {
        let held = std::mem::take(&mut self.peers[key]);
        self.subscribed_peers -= usize::from(!held.topics.is_empty());
        for (entry, Subscribed { place, .. }) in held.topics {
            self.give_up(entry, place);
        }
    }

    /// Returns whether the peer was not subscribed to this topic before.
    pub(crate) fn subscribe(&mut self, key: usize, topic: &[u8]) -> bool {
        let (entry, peers) = self.index.entry(topic);
        let held = &mut self.peers[key];
        match held.topics.entry(entry) {
            Entry::Vacant(vacant) => {
                vacant.insert(Subscribed { count: 1, place: peers.add(key) });
                held.octets += topic.len();
                self.subscribed_peers += usize::from(held.topics.len() == 1);
                true
            }
            Entry::Occupied(mut subscribed) => {
                if self.duplicates == Duplicates::Counted {
                    // RFC 23, Subscriptions: the same topic may be subscribed to repeatedly, and
                    // each takes a CANCEL of its own.
                    let count = &mut subscribed.get_mut().count;
                    *count = count.saturating_add(1);
                }
                false
            }
        }
    }

    /// Returns whether this ended the peer's subscription to the topic.
    pub(crate) fn cancel(&mut self, key: usize, topic: &[u8]) -> bool {
        let held = &mut self.peers[key];
        let Some(entry) = self.index.find(topic) else { return false };
        let Entry::Occupied(mut subscribed) = held.topics.entry(entry) else { return false };
        let count = &mut subscribed.get_mut().count;
        if *count > 1 {
            *count -= u32::from(*count != UNCOUNTED);
            return false;
        }
        let Subscribed { place, .. } = subscribed.remove();
        held.octets -= topic.len();
        self.subscribed_peers -= usize::from(held.topics.is_empty());
        self.give_up(entry, place);
        true
    }

    /// Puts the topics that match a message with this first part into `matching`. Where they are
    /// the same for two messages, and nobody subscribed or cancelled between them, so are the peers
    /// that want them.
    #[inline]
    pub(crate) fn matching(&self, topic: &[u8], matching: &mut Vec<EntryId>) {
        matching.clear();
        matching.extend(self.index.prefixes_of(topic));
    }

    /// The peers that subscribed to any of these topics, each once.
    pub(crate) fn peers_of(&mut self, matching: &[EntryId], found: &mut Vec<usize>) {
        found.clear();
        self.round += 1;
        for entry in matching {
            for &key in self.index.value(*entry).map_or(&[][..], Peers::keys) {
                let key = key as usize;
                let held = &mut self.peers[key];
                if held.found_in != self.round {
                    held.found_in = self.round;
                    found.push(key);
                }
            }
        }
    }

    /// Whether anybody wants a message with this first part.
    pub(crate) fn is_wanted(&self, topic: &[u8]) -> bool {
        self.index.any_prefix_of(topic)
    }

    /// How many distinct topics a peer is subscribed to, and their octets.
    pub(crate) fn held_by(&self, key: usize) -> (usize, usize) {
        let held = &self.peers[key];
        (held.topics.len(), held.octets)
    }

    /// Peers with at least one subscription.
    pub(crate) fn subscribed_peers(&self) -> usize {
        self.subscribed_peers
    }

    /// Takes away the peer at `place` of those that subscribed to a topic. The last one moves there,
    /// so that a crowd that leaves is not searched through for each of it.
    fn give_up(&mut self, entry: EntryId, place: u32) {
        let Some(peers) = self.index.value_mut(entry) else { return };
        peers.swap_remove(place as usize);
        if let Some(&moved) = peers.keys().get(place as usize) {
            let subscribed = self.peers[moved as usize].topics.get_mut(&entry);
            subscribed.expect("a peer of a topic holds it").place = place;
        } else if peers.keys().is_empty() {
            self.index.remove(entry);
        }
    }
}

impl Peers {
    #[inline]
    fn keys(&self) -> &[u32] {
        match self {
            Self::Nobody => &[],
            Self::One(key) => slice::from_ref(key),
            Self::Many(keys) => keys,
        }
    }

    /// Adds a peer at the end; returns its place.
    fn add(&mut self, key: usize) -> u32 {
        let narrow = |number| u32::try_from(number).expect("fewer than 2³² peers at a time");
        let (key, place) = (narrow(key), narrow(self.keys().len()));
        match self {
            Self::Nobody => *self = Self::One(key),
            Self::One(first) => *self = Self::Many(Box::new(vec![*first, key])),
            Self::Many(keys) => keys.push(key),
        }
        place
    }

    /// Takes the peer at `place` away, and gives memory back when most peers have gone. The last one
    /// moves to that place.
    fn swap_remove(&mut self, place: usize) {
        let Self::Many(keys) = self else {
            *self = Self::Nobody;
            return;
        };
        keys.swap_remove(place);
        if let [last] = keys[..] {
            *self = Self::One(last);
        } else if keys.len() < keys.capacity() / 4 {
            keys.shrink_to(2 * keys.len());
        }
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
        assert!(topics.subscribe(0, b"A"));
        assert!(!topics.subscribe(0, b"A"));
        assert!(!topics.cancel(0, b"A"));
        assert!(topics.is_wanted(b"A"));
        assert!(topics.cancel(0, b"A"));
        assert!(!topics.is_wanted(b"A"));
        assert!(!topics.cancel(0, b"A"));
    }

    #[test]
    fn as_a_set_the_first_cancel_ends_it() {
        let mut topics = Topics::new(Duplicates::AsSet);
        topics.add_peer(0);
        assert!(topics.subscribe(0, b"A"));
        assert!(!topics.subscribe(0, b"A"));
        assert!(topics.cancel(0, b"A"));
        assert!(!topics.is_wanted(b"A"));
    }

    #[test]
    fn a_cancel_of_what_another_peer_holds_changes_nothing() {
        let mut topics = with_peers(2);
        topics.subscribe(0, b"A");
        assert!(!topics.cancel(1, b"A"));
        assert_eq!(wanted(&mut topics, b"A"), [0]);
    }

    #[test]
    fn what_was_subscribed_to_too_often_to_be_counted_is_never_cancelled() {
        let mut topics = with_peers(1);
        topics.subscribe(0, b"A");
        let subscribed = topics.peers[0].topics.values_mut().next().expect("it was subscribed to");
        subscribed.count = u32::MAX - 1;
        assert!(!topics.cancel(0, b"A"));
        for _ in 0..3 {
            assert!(!topics.subscribe(0, b"A"));
        }
        let counts = |topics: &Topics| topics.peers[0].topics.values().map(|it| it.count).max();
        assert_eq!(counts(&topics), Some(u32::MAX));
        assert!(!topics.cancel(0, b"A"));
        assert_eq!(counts(&topics), Some(u32::MAX));
        topics.remove_peer(0);
        assert!(!topics.is_wanted(b"A"));
    }

    /// The octets on the heap for the peers of one topic, beside the index.
    fn heap(topics: &Topics, topic: &[u8]) -> usize {
        match topics.index.find(topic).and_then(|entry| topics.index.value(entry)) {
            Some(Peers::Many(keys)) => size_of::<Vec<u32>>() + 4 * keys.capacity(),
            _ => 0,
        }
    }

    #[test]
    fn a_topic_of_one_peer_takes_no_memory_beside_the_index() {
        assert_eq!(size_of::<Option<Peers>>(), 16);
        assert_eq!(size_of::<(EntryId, Subscribed)>(), 12);
        let mut topics = with_peers(2);
        topics.subscribe(1, b"A");
        assert_eq!(heap(&topics, b"A"), 0);
        topics.subscribe(0, b"A");
        assert!(heap(&topics, b"A") > 0);
        topics.cancel(1, b"A");
        assert_eq!(heap(&topics, b"A"), 0);
        assert_eq!(wanted(&mut topics, b"A"), [0]);
    }

    #[test]
    fn a_crowd_that_leaves_a_topic_gives_its_memory_back() {
        const CROWD: usize = 1000;
        let mut topics = with_peers(CROWD);
        (0..CROWD).for_each(|key| assert!(topics.subscribe(key, b"A")));
        for (left, key) in (0..CROWD).rev().zip((0..CROWD).map(|key| key * 7 % CROWD)) {
            assert_eq!(wanted(&mut topics, b"A").len(), left + 1);
            assert!(topics.cancel(key, b"A"));
            let memory = heap(&topics, b"A");
            assert!(memory <= 64 + 4 * 4 * left, "{memory} octets for {left} peers");
        }
        assert!(!topics.is_wanted(b"A"));
    }

    #[derive(Clone, Debug)]
    enum Step {
        Subscribe(usize, Vec<u8>),
        Cancel(usize, Vec<u8>),
        Leave(usize),
        Match(Vec<u8>),
    }

    const PEERS: usize = 4;

    fn steps() -> impl Strategy<Value = Vec<Step>> {
        let topic = || proptest::collection::vec(0u8..3, 0..5);
        let step = prop_oneof![
            4 => (0..PEERS, topic()).prop_map(|(peer, topic)| Step::Subscribe(peer, topic)),
            3 => (0..PEERS, topic()).prop_map(|(peer, topic)| Step::Cancel(peer, topic)),
            1 => (0..PEERS).prop_map(Step::Leave),
            3 => topic().prop_map(Step::Match),
        ];
        proptest::collection::vec(step, 0..120)
    }

    proptest! {
        /// Against lists that are searched from end to end.
        #[test]
        fn matches_as_a_naive_model_does(steps in steps()) {
            let mut topics = with_peers(PEERS);
            let mut model = vec![Vec::<Vec<u8>>::new(); PEERS];
            for step in steps {
                match step {
                    Step::Subscribe(peer, topic) => {
                        let new = !model[peer].contains(&topic);
                        prop_assert_eq!(topics.subscribe(peer, &topic), new);
                        model[peer].push(topic);
                    }
                    Step::Cancel(peer, topic) => {
                        let held = model[peer].iter().filter(|held| **held == topic).count();
                        prop_assert_eq!(topics.cancel(peer, &topic), held == 1);
                        if let Some(at) = model[peer].iter().position(|held| *held == topic) {
                            model[peer].remove(at);
                        }
                    }
                    Step::Leave(peer) => {
                        topics.remove_peer(peer);
                        model[peer].clear();
                        topics.add_peer(peer);
                    }
                    Step::Match(topic) => {
                        let expected: Vec<usize> = (0..PEERS)
                            .filter(|peer| model[*peer].iter().any(|held| topic.starts_with(held)))
                            .collect();
                        prop_assert_eq!(topics.is_wanted(&topic), !expected.is_empty());
                        prop_assert_eq!(wanted(&mut topics, &topic), expected);
                    }
                }
                for (peer, held) in model.iter().enumerate() {
                    let mut distinct = held.clone();
                    distinct.sort();
                    distinct.dedup();
                    let octets = distinct.iter().map(Vec::len).sum();
                    prop_assert_eq!(topics.held_by(peer), (distinct.len(), octets));
                }
                let subscribed = model.iter().filter(|held| !held.is_empty()).count();
                prop_assert_eq!(topics.subscribed_peers(), subscribed);
            }
        }
    }
}
