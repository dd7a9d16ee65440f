//! The internals of this crate that the fuzz targets need. Not part of its public interface.

#[cfg(feature = "ws")]
pub use crate::engine::transport::ws::fuzz::{Heard, WsSetup, hear};
use crate::prefix_map;

/// The map from topics to subscribers, with numbers as values.
#[derive(Debug, Default)]
pub struct PrefixMap(prefix_map::PrefixMap<u32>);

/// The name of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EntryId(prefix_map::EntryId);

impl PrefixMap {
    /// Sets the value of a key.
    pub fn insert(&mut self, key: &[u8], value: u32) -> EntryId {
        let (id, slot) = self.0.entry(key);
        *slot = value;
        EntryId(id)
    }

    /// The entry of a key.
    pub fn find(&self, key: &[u8]) -> Option<EntryId> {
        self.0.find(key).map(EntryId)
    }

    /// Takes an entry out.
    pub fn remove(&mut self, id: EntryId) -> Option<u32> {
        self.0.remove(id.0)
    }

    /// The key of an entry.
    pub fn key(&self, id: EntryId) -> Vec<u8> {
        self.0.key(id.0)
    }

    /// The values of all entries whose key is a prefix of `topic`, the shortest key first.
    pub fn prefixes_of<'a>(&'a self, topic: &'a [u8]) -> impl Iterator<Item = u32> + 'a {
        self.0.prefixes_of(topic).filter_map(|id| self.0.value(id).copied())
    }

    /// The octets on the heap.
    pub fn memory(&self) -> usize {
        self.0.memory()
    }

    /// Panics if an invariant does not hold.
    pub fn check(&self) {
        self.0.check();
    }
}
