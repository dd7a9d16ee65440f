//! The recipients that are subscribed to one topic.

use std::num::NonZeroU32;

use slab::Slab;

/// The recipients that are subscribed to one topic: in four octets, so that many fit into the
/// processor's cache.
#[derive(Clone, Copy)]
pub(super) struct PackedRecipients(NonZeroU32);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Recipients {
    None,
    /// One peer, by its key.
    One(usize),
    /// Several peers, by the place of their list.
    Many(usize),
}

impl PackedRecipients {
    const NOBODY: u32 = u32::MAX;
    /// Marks the place of a list.
    const MANY: u32 = 1 << 31;

    fn of(who: &Recipients) -> Self {
        let code = |index: usize, mark| {
            let index = u32::try_from(index).ok().filter(|index| *index < Self::MANY - 2);
            (index.expect("less than two thousand million peers") + 1) | mark
        };
        let code = match *who {
            Recipients::None => Self::NOBODY,
            Recipients::One(key) => code(key, 0),
            Recipients::Many(list) => code(list, Self::MANY),
        };
        Self(NonZeroU32::new(code).expect("codes begin with 1"))
    }

    #[inline]
    pub(super) fn who(self) -> Recipients {
        let index = ((self.0.get() & !Self::MANY) as usize).wrapping_sub(1);
        match self.0.get() {
            Self::NOBODY => Recipients::None,
            code if code & Self::MANY == 0 => Recipients::One(index),
            _ => Recipients::Many(index),
        }
    }

    /// Adds a peer; returns its place.
    pub(super) fn add(&mut self, key: usize, lists: &mut Slab<Vec<u32>>) -> u32 {
        let number = |count: usize| u32::try_from(count).expect("no more peers than can be coded");
        match self.who() {
            Recipients::None => {
                *self = Self::of(&Recipients::One(key));
                0
            }
            Recipients::One(first) => {
                *self = Self::of(&Recipients::Many(lists.insert(vec![number(first), number(key)])));
                1
            }
            Recipients::Many(list) => {
                lists[list].push(number(key));
                number(lists[list].len() - 1)
            }
        }
    }

    /// Removes the peer at `place`; returns the one that has moved there, if one has.
    pub(super) fn remove(&mut self, place: u32, lists: &mut Slab<Vec<u32>>) -> Option<usize> {
        let Recipients::Many(list) = self.who() else {
            *self = Self::of(&Recipients::None);
            return None;
        };
        let keys = &mut lists[list];
        keys.swap_remove(place as usize);
        let moved = keys.get(place as usize).map(|key| *key as usize);
        if let [last] = keys[..] {
            *self = Self::of(&Recipients::One(last as usize));
            lists.remove(list);
        } else if keys.len() < keys.capacity() / 4 {
            keys.shrink_to(2 * keys.len());
        }
        moved
    }
}

impl Default for PackedRecipients {
    fn default() -> Self {
        Self::of(&Recipients::None)
    }
}
