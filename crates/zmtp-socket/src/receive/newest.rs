//! The newest message of each topic.

use std::collections::{BTreeMap, HashMap};

use bytes::Bytes;
use zmtp_codec::{Batch, Message};

/// One message of each topic, in the order in which the topics arrived. A newer message replaces the
/// older one of its topic, and keeps its place. So a topic that changes all the time gets its turn like
/// the others.
#[derive(Debug, Default)]
pub(crate) struct Newest {
    places: HashMap<Bytes, u64>,
    messages: BTreeMap<u64, Message>,
    next: u64,
}

impl Newest {
    pub(crate) fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// Keeps a message. Returns the one that it replaces.
    pub(crate) fn put(&mut self, message: Message) -> Option<Message> {
        if let Some(place) = self.places.get(message.first()) {
            return self.messages.insert(*place, message);
        }
        // A copy, because a shared topic would keep the whole buffer of a message that has been
        // replaced.
        self.places.insert(Bytes::copy_from_slice(message.first()), self.next);
        self.messages.insert(self.next, message);
        self.next += 1;
        None
    }

    /// Takes out the first messages, at most so many.
    pub(crate) fn take(&mut self, count: usize) -> Batch {
        let mut batch = Vec::with_capacity(count.min(self.messages.len()));
        while batch.len() < count
            && let Some((_, message)) = self.messages.pop_first()
        {
            self.places.remove(message.first());
            batch.push(message);
        }
        if self.is_empty() {
            *self = Self::default();
        }
        batch.into_iter().collect()
    }
}
