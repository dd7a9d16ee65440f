use std::collections::BTreeMap;

use zmtp_socket::fuzzing::{EntryId, PrefixMap};

use crate::script::Script;

/// How many octets the map keeps free for new entries.
const UNCOLLECTED: usize = 64 * 1024;

/// Compares the map of topics with a simple model.
///
/// Instructions, three octets each: the operation, a length, and how much of the last key begins
/// the next one. As many new octets follow; or, from 64 on, one octet that is repeated four times
/// as often, for keys that are longer than a node holds.
pub fn topics(data: &[u8]) {
    let mut script = Script::new(data);
    let mut map = PrefixMap::default();
    let mut model: BTreeMap<Vec<u8>, (EntryId, u32)> = BTreeMap::new();
    let mut key = Vec::new();
    let mut number = 0;
    let (mut octets, mut most) = (0, 0);
    let mut steps = 0;
    while !script.is_over() {
        let (what, len) = (script.octet(), script.octet());
        let kept = usize::from(script.octet());
        key.truncate(kept);
        match len {
            0..64 => key.extend_from_slice(script.take(usize::from(len))),
            _ => key.resize(key.len() + 4 * usize::from(len), script.octet()),
        }
        match what & 3 {
            0 | 1 => {
                number += 1;
                let id = map.insert(&key, number);
                let was = model.insert(key.clone(), (id, number));
                assert!(was.is_none_or(|(was, _)| was == id), "an id that moved");
                octets += if was.is_none() { key.len() + 100 } else { 0 };
            }
            2 => {
                let expected = model.remove(&key);
                let id = map.find(&key);
                assert_eq!(id, expected.map(|(id, _)| id));
                if let Some((id, value)) = expected {
                    octets -= key.len() + 100;
                    assert_eq!(map.remove(id), Some(value));
                    assert_eq!(map.remove(id), None);
                }
            }
            _ => {
                let nth = usize::from(what >> 2) % model.len().max(1);
                if let Some(key) = model.keys().nth(nth).cloned() {
                    let (id, value) = model.remove(&key).expect("it is there");
                    octets -= key.len() + 100;
                    assert_eq!(map.key(id), key);
                    assert_eq!(map.remove(id), Some(value));
                }
            }
        }
        most = most.max(octets);
        steps += 1;
        // Seldom in a long script; every short script is the beginning of a longer one.
        if steps % 16 == 0 || script.is_over() {
            map.check();
            compare(&map, &model, &key);
            let memory = map.memory();
            assert!(memory <= 2 * most + UNCOLLECTED, "{memory} octets after {most} at the most");
        }
    }
}

fn compare(map: &PrefixMap, model: &BTreeMap<Vec<u8>, (EntryId, u32)>, topic: &[u8]) {
    let prefixes = (0..=topic.len()).filter_map(|len| model.get(&topic[..len]));
    let expected: Vec<_> = prefixes.map(|(_, value)| *value).collect();
    assert_eq!(map.prefixes_of(topic).collect::<Vec<_>>(), expected);
    for (key, (id, _)) in model.iter().take(8) {
        assert_eq!(map.find(key), Some(*id));
        assert_eq!(map.key(*id), *key);
    }
}
