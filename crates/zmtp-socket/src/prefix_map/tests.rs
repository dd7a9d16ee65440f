use std::collections::{BTreeMap, HashMap};

use proptest::prelude::*;

use super::cells::MOVED_AT_ONCE;
use super::*;

impl<V> PrefixMap<V> {
    /// The value of `key`.
    fn get(&self, key: &[u8]) -> Option<&V> {
        self.value(self.find(key)?)
    }

    /// The values of all entries whose key is a prefix of `topic`.
    fn values_of(&self, topic: &[u8]) -> Vec<&V> {
        self.prefixes_of(topic).filter_map(|id| self.value(id)).collect()
    }

    /// All entries, keys and values, in no order to rely on.
    fn iter(&self) -> impl Iterator<Item = (Vec<u8>, &V)> {
        let ids = (0..=NONE).zip(&self.values);
        ids.filter_map(|(id, value)| Some((self.key(EntryId(id)), value.as_ref()?)))
    }
}

/// A map beside a model of it that cannot be wrong.
#[derive(Default)]
struct Pair {
    map: PrefixMap<u32>,
    model: BTreeMap<Vec<u8>, (EntryId, u32)>,
}

impl Pair {
    fn insert(&mut self, key: &[u8], value: u32) {
        let (id, slot) = self.map.entry(key);
        let was = self.model.get(key);
        assert_eq!(was.map_or(0, |(_, value)| *value), *slot);
        if let Some((was, _)) = was {
            assert_eq!(*was, id, "an id that moved");
        }
        *slot = value;
        self.model.insert(key.to_vec(), (id, value));
    }

    fn remove(&mut self, key: &[u8]) {
        let id = self.map.find(key);
        assert_eq!(id, self.model.get(key).map(|(id, _)| *id));
        if let Some((id, value)) = self.model.remove(key) {
            assert_eq!(self.map.remove(id), Some(value));
            assert_eq!(self.map.remove(id), None);
        }
    }

    fn query(&self, topic: &[u8]) {
        let expected: Vec<_> = (0..=topic.len())
            .filter_map(|len| self.model.get(&topic[..len]))
            .map(|(_, value)| value)
            .collect();
        assert_eq!(self.map.values_of(topic), expected);
        assert_eq!(self.map.any_prefix_of(topic), !expected.is_empty());
        assert_eq!(self.map.get(topic), self.model.get(topic).map(|(_, value)| value));
    }

    fn compare(&mut self) {
        self.map.check();
        let mut entries: Vec<_> = self.map.iter().map(|(key, value)| (key, *value)).collect();
        entries.sort();
        let expected = self.model.iter().map(|(key, (_, value))| (key.clone(), *value));
        assert!(entries.into_iter().eq(expected));
        for (key, (id, value)) in &mut self.model {
            assert_eq!(self.map.key(*id), *key);
            assert_eq!(self.map.find(key), Some(*id));
            assert_eq!(self.map.value_mut(*id), Some(value));
        }
    }
}

#[derive(Clone, Debug)]
enum Step {
    Insert(Vec<u8>),
    Remove(Vec<u8>),
    RemoveNth(usize),
    Query(Vec<u8>),
}

fn steps(
    key: impl Strategy<Value = Vec<u8>> + Clone + 'static,
) -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => key.clone().prop_map(Step::Insert),
        2 => any::<usize>().prop_map(Step::RemoveNth),
        1 => key.clone().prop_map(Step::Remove),
        2 => key.prop_map(Step::Query),
    ];
    prop::collection::vec(step, 0..60)
}

fn run(steps: Vec<Step>) {
    let mut pair = Pair::default();
    for (number, step) in (1..).zip(steps) {
        match step {
            Step::Insert(key) => pair.insert(&key, number),
            Step::Remove(key) => pair.remove(&key),
            Step::RemoveNth(_) if pair.model.is_empty() => {}
            Step::RemoveNth(nth) => {
                let key = pair.model.keys().nth(nth % pair.model.len()).expect("in range").clone();
                pair.remove(&key);
            }
            Step::Query(topic) => pair.query(&topic),
        }
        pair.compare();
    }
}

const SCATTERED: [u8; 11] = [0, 1, 2, 3, 4, 9, 80, 81, 200, 254, 255];

proptest! {
    #[test]
    fn like_the_model_with_tiny_keys(
        steps in steps(prop::collection::vec(prop::sample::select(b"ab".to_vec()), 0..8)),
    ) {
        run(steps);
    }

    /// Nodes of every layout: few, dense and scattered children.
    #[test]
    fn like_the_model_with_wide_nodes(
        steps in steps(prop::collection::vec(prop::sample::select(SCATTERED.to_vec()), 0..3)),
    ) {
        run(steps);
    }

    /// Labels longer than one node may have.
    #[test]
    fn like_the_model_with_long_keys(
        steps in steps((0..1000_usize, 0..3_u8).prop_map(|(len, end)| {
            let mut key = vec![b'x'; len];
            key.extend((end > 0).then_some(end));
            key
        })),
    ) {
        run(steps);
    }
}

#[test]
fn an_empty_key_is_a_prefix_of_everything() {
    let mut map = PrefixMap::<u32>::new();
    assert!(!map.any_prefix_of(b""));
    *map.entry(b"").1 = 1;
    *map.entry(b"10001").1 = 2;
    assert_eq!(map.values_of(b""), [&1]);
    assert_eq!(map.values_of(b"10001 25 60"), [&1, &2]);
    assert_eq!(map.values_of(b"1000"), [&1]);
}

#[test]
fn ids_and_values_outlive_changes_around_them() {
    let mut map = PrefixMap::<u32>::new();
    let (id, value) = map.entry(b"abcdef");
    *value = 7;
    let keep = map.entry(b"abc").0;
    let around: Vec<_> = (0..6).map(|len| map.entry(&b"abcdef"[..len]).0).collect();
    let beside: Vec<_> = (0..=255).map(|octet| map.entry(&[b'a', b'b', octet]).0).collect();
    for other in around.into_iter().chain(beside).filter(|other| *other != keep) {
        map.remove(other);
        map.check();
        assert_eq!(map.value_mut(id), Some(&mut 7));
        assert_eq!(map.key(id), b"abcdef");
    }
    assert_eq!(map.len, 2);
}

#[test]
fn an_id_that_was_never_given_is_no_entry() {
    let mut map = PrefixMap::<u32>::new();
    map.entry(b"a");
    for id in [0, 2, NONE] {
        assert_eq!(map.value_mut(EntryId(id)), None);
        assert_eq!(map.remove(EntryId(id)), None);
    }
    assert_eq!(map.len, 1);
}

#[test]
fn all_octets_side_by_side_and_back() {
    let mut pair = Pair::default();
    for (number, octet) in (1..).zip(0..=255_u8) {
        // In an order that makes scattered, dense and full nodes.
        let octet = octet.wrapping_mul(71);
        pair.insert(&[b'k', octet], number);
        pair.insert(&[b'k', octet, octet], number);
        pair.map.check();
    }
    for octet in 0..=255 {
        pair.query(&[b'k', octet, octet, octet]);
    }
    for octet in 0..=255 {
        pair.remove(&[b'k', octet]);
        pair.remove(&[b'k', octet, octet]);
        pair.map.check();
    }
    assert_eq!(pair.map.memory(), 0);
}

#[test]
fn among_dense_children_a_change_moves_nothing() {
    let mut map = PrefixMap::<u32>::new();
    for octet in 0..20 {
        map.entry(&[octet, 7]);
    }
    let family = map.cells.slot(ROOT);
    for octet in 1..19 {
        let id = map.find(&[octet, 7]).expect("it is there");
        map.remove(id);
        map.check();
        assert_eq!(map.cells.slot(ROOT), family);
        map.entry(&[octet, 7]);
        map.check();
        assert_eq!(map.cells.slot(ROOT), family);
    }
}

#[test]
fn a_change_and_back_needs_no_more_memory() {
    let tails = [&b""[..], b"1", &[b'x'; 100]];
    // All layouts that children can have, under nodes with a short and with a long label.
    for octets in [&[][..], &[9], &[0, 9], &[8, 9, 10], &[0, 4, 8, 12, 16, 20, 24]] {
        for (upper, lower) in tails.into_iter().flat_map(|it| tails.map(|other| (it, other))) {
            let key = |octet: u8| [b"k", upper, &[octet], lower].concat();
            let mut map = PrefixMap::<u32>::new();
            for &octet in octets {
                map.entry(&key(octet));
            }
            map.entry(b"other");
            let mut cells = 0;
            for round in 0..10 {
                for octet in [1, 11, 255] {
                    let id = map.entry(&key(octet)).0;
                    map.remove(id);
                    map.check();
                }
                if round == 0 {
                    cells = map.cells.cells.len();
                }
            }
            assert_eq!(map.cells.cells.len(), cells);
        }
    }
}

#[test]
fn a_very_long_key() {
    let mut map = PrefixMap::<u32>::new();
    let key = vec![b'x'; 1 << 20];
    let (long, _) = map.entry(&key);
    // Cut and joined at its beginning, again and again: the cost is that of the short key.
    for _ in 0..100_000 {
        let (short, _) = map.entry(b"xxx");
        map.remove(short);
    }
    map.check();
    assert_eq!(map.key(long), key);
    assert_eq!(map.prefixes_of(&key).count(), 1);
    assert_eq!(map.prefixes_of(&key[1..]).count(), 0);
    assert!(map.memory() < key.len() * 5 / 4);
    map.remove(long);
    assert_eq!(map.memory(), 0);
}

#[test]
fn prefixes_nested_deep() {
    let mut map = PrefixMap::<u32>::new();
    let key = vec![b'x'; 2_000];
    let ids: Vec<_> = (0..=key.len()).map(|len| map.entry(&key[..len]).0).collect();
    map.check();
    assert_eq!(map.prefixes_of(&key).count(), ids.len());
    assert_eq!(map.key(ids[1_234]).len(), 1_234);
    for id in ids {
        map.remove(id);
    }
    assert_eq!(map.memory(), 0);
}

#[test]
fn memory_of_hostile_keys_is_bounded() {
    const KEYS: usize = 20_000;
    let mut random = fastrand::Rng::with_seed(23);
    let mut map = PrefixMap::<u32>::new();
    let mut ids = Vec::new();
    let bounds = |map: &PrefixMap<u32>, octets: usize| {
        let each = map.memory() / map.len;
        assert!(each < octets + 100, "{each} octets for a key of {octets}");
    };
    for _ in 0..KEYS {
        let key: Vec<_> = std::iter::repeat_with(|| random.u8(..)).take(200).collect();
        ids.push(map.entry(&key).0);
    }
    bounds(&map, 200);
    // Every node has two children, as far apart as possible.
    let mut map = PrefixMap::<u32>::new();
    for number in 0..1 << 14 {
        let key: Vec<_> = (0..14).map(|bit| (number >> bit & 1) as u8 * 255).collect();
        map.entry(&key);
    }
    bounds(&map, 14);
}

#[test]
fn memory_of_a_single_entry_is_small() {
    let mut map = PrefixMap::<u32>::new();
    map.entry(b"10001");
    let all = size_of_val(&map) + map.memory();
    assert!(all <= 208, "{all} octets");
}

#[test]
fn memory_is_given_back_as_entries_go() {
    let mut map = PrefixMap::<u32>::new();
    let ids: HashMap<u32, EntryId> = (0..20_000)
        .map(|number: u32| (number, map.entry(&[&number.to_le_bytes()[..], &[7; 100]].concat()).0))
        .collect();
    let most = map.cells.capacity();
    for number in 0..19_000 {
        map.remove(ids[&number]);
    }
    map.check();
    assert!(map.cells.capacity() < most / 8, "{} of {most} cells", map.cells.capacity());
    assert!((19_000..20_000).all(|number: u32| map.key(ids[&number])[..4] == number.to_le_bytes()));
}

#[test]
fn others_wait_for_little_when_many_entries_go() {
    const MANY: u32 = 100_000;
    let mut map = PrefixMap::<u32>::new();
    let ids: Vec<EntryId> = (0..MANY).map(|number| map.entry(&number.to_le_bytes()).0).collect();
    map.take_spent();
    assert!(map.cells.used() > 4 * MOVED_AT_ONCE);
    let (mut moves, mut before) = (0, map.cells.capacity());
    for id in ids {
        map.remove(id);
        let after = map.cells.capacity();
        if after < before {
            // The rest has been moved, and the outgrown memory is not freed yet.
            assert!(map.cells.used() <= MOVED_AT_ONCE, "{} cells at once", map.cells.used());
            assert!(map.take_spent().is_some() || map.len == 0);
            moves += 1;
        }
        before = after;
    }
    assert!(moves > 1 && map.memory() == 0);
}
