//! The walk down the tree along a topic or a key.

use super::cells::LABEL_MAX;
use super::slot::NONE;
use super::{EntryId, PrefixMap, ROOT};

impl<V> PrefixMap<V> {
    /// All entries whose key is a prefix of `topic`, the shortest key first.
    #[inline(always)]
    pub(crate) fn prefixes_of<'a>(&'a self, topic: &'a [u8]) -> impl Iterator<Item = EntryId> + 'a {
        Prefixes { map: self, place: ROOT, rest: topic }
    }

    /// Whether the key of any entry is a prefix of `topic`.
    pub(crate) fn any_prefix_of(&self, topic: &[u8]) -> bool {
        self.prefixes_of(topic).next().is_some()
    }

    /// The entry of `key`.
    pub(crate) fn find(&self, key: &[u8]) -> Option<EntryId> {
        let (mut place, mut rest) = (ROOT, key);
        loop {
            let slot = self.cells.seek(place)?;
            rest = self.cells.strip_label(&slot, rest)?;
            let Some(&octet) = rest.first() else {
                return slot.has_value().then_some(EntryId(slot.id));
            };
            place = self.cells.child_place(&slot, octet);
        }
    }

    /// The key of the entry `id`; empty if the entry is no longer there.
    pub(crate) fn key(&self, id: EntryId) -> Vec<u8> {
        let mut key = Vec::new();
        let mut id = id.0;
        while let Some(node) = self.nodes.get(id as usize).filter(|node| node.place != NONE) {
            let slot = self.cells.slot(node.place);
            let mut label = [0; LABEL_MAX];
            let len = self.cells.copy_label(&slot, &mut label);
            key.extend(label[..len].iter().rev());
            id = node.parent;
        }
        key.reverse();
        key
    }
}

struct Prefixes<'a, V> {
    map: &'a PrefixMap<V>,
    /// The place of the next node's slot, if there is one.
    place: u32,
    /// The octets of the topic behind the labels of the nodes above it.
    rest: &'a [u8],
}

impl<V> Iterator for Prefixes<'_, V> {
    type Item = EntryId;

    /// Inlined into every caller, since each sent message walks.
    #[inline(always)]
    fn next(&mut self) -> Option<EntryId> {
        let cells = &self.map.cells;
        loop {
            let slot = cells.seek(self.place)?;
            let Some(rest) = cells.strip_label(&slot, self.rest) else {
                self.place = NONE;
                return None;
            };
            self.rest = rest;
            self.place = rest.first().map_or(NONE, |&octet| cells.child_place(&slot, octet));
            if slot.has_value() {
                return Some(EntryId(slot.id));
            }
        }
    }
}
