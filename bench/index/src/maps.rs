//! Indexes that can be asked directly.

use std::hint::black_box;

use zmtp_socket::fuzzing::PrefixMap;

use crate::row::{Row, nanoseconds, resident};
use crate::workload::Workload;

/// Small indexes are built again and again, for at least so many subscriptions, so that their memory
/// can be told from that of the process.
const ENOUGH: usize = 100_000;

/// A map from topics to numbers.
pub(crate) trait Map: Default {
    fn subscribe(&mut self, topic: &[u8], value: u32);
    fn cancel(&mut self, topic: &[u8]);
    /// The values of all topics that begin this message, summed up.
    fn look_up(&self, message: &[u8]) -> u32;
}

pub(crate) type Ours = PrefixMap;

impl Map for Ours {
    fn subscribe(&mut self, topic: &[u8], value: u32) {
        self.insert(topic, value);
    }

    fn cancel(&mut self, topic: &[u8]) {
        let id = self.find(topic).expect("it was subscribed to");
        self.remove(id);
    }

    fn look_up(&self, message: &[u8]) -> u32 {
        self.prefixes_of(message).sum()
    }
}

#[derive(Default)]
pub(crate) struct FastRadixTrie(fast_radix_trie::RadixMap<u32>);

impl Map for FastRadixTrie {
    fn subscribe(&mut self, topic: &[u8], value: u32) {
        self.0.insert(topic, value);
    }

    fn cancel(&mut self, topic: &[u8]) {
        self.0.remove(topic).expect("it was subscribed to");
    }

    fn look_up(&self, message: &[u8]) -> u32 {
        self.0.common_prefix_values(message).sum()
    }
}

#[derive(Default)]
pub(crate) struct PatriciaTree(patricia_tree::PatriciaMap<u32>);

impl Map for PatriciaTree {
    fn subscribe(&mut self, topic: &[u8], value: u32) {
        self.0.insert(topic, value);
    }

    fn cancel(&mut self, topic: &[u8]) {
        self.0.remove(topic).expect("it was subscribed to");
    }

    fn look_up(&self, message: &[u8]) -> u32 {
        self.0.common_prefix_values(message).sum()
    }
}

pub(crate) fn measure<M: Map>(workload: &Workload) -> Row {
    let Workload { topics, wanted, unwanted, changes } = workload;
    let copies = ENOUGH.div_ceil(topics.len());
    let mut maps = Vec::with_capacity(copies);
    let before = resident();
    maps.resize_with(copies, || {
        let mut map = M::default();
        // No value is 0, so that a sum tells what was found.
        for (value, topic) in (1..).zip(topics) {
            map.subscribe(topic.as_bytes(), value);
        }
        map
    });
    let memory = (resident() - before) / (copies * topics.len()) as f64;

    let mut map = maps.swap_remove(0);
    drop(maps);
    let change = nanoseconds(changes, |&number| {
        let topic = topics[number].as_bytes();
        map.cancel(topic);
        map.subscribe(topic, 1 + number as u32);
    });
    let wanted = nanoseconds(wanted, |message| {
        assert!(map.look_up(black_box(message.as_bytes())) > 0, "{message}");
    });
    let unwanted = nanoseconds(unwanted, |message| {
        assert!(map.look_up(black_box(message.as_bytes())) == 0, "{message}");
    });
    Row {
        memory: Some(memory),
        wanted: Some(wanted),
        unwanted: Some(unwanted),
        change: Some(change),
    }
}
