//! Who subscribed to one topic.

use std::num::NonZeroU32;

use slab::Slab;

/// Who subscribed to one topic: in four octets, so that there are many in the processor's cache.
#[derive(Clone, Copy)]
pub(super) struct Audience(NonZeroU32);

#[derive(Debug, PartialEq, Eq)]
pub(super) enum Who {
    Nobody,
    /// One peer, by its key.
    One(usize),
    /// More, by the place of their list.
    Crowd(usize),
}

impl Audience {
    const NOBODY: u32 = u32::MAX;
    /// Marks the place of a list.
    const CROWD: u32 = 1 << 31;

    fn of(who: &Who) -> Self {
        let code = |index: usize, mark| {
            let index = u32::try_from(index).ok().filter(|index| *index < Self::CROWD - 2);
            (index.expect("less than two thousand million peers") + 1) | mark
        };
        let code = match *who {
            Who::Nobody => Self::NOBODY,
            Who::One(key) => code(key, 0),
            Who::Crowd(crowd) => code(crowd, Self::CROWD),
        };
        Self(NonZeroU32::new(code).expect("codes begin with 1"))
    }

    #[inline]
    pub(super) fn who(self) -> Who {
        let index = ((self.0.get() & !Self::CROWD) as usize).wrapping_sub(1);
        match self.0.get() {
            Self::NOBODY => Who::Nobody,
            code if code & Self::CROWD == 0 => Who::One(index),
            _ => Who::Crowd(index),
        }
    }

    /// Adds a peer; returns its place.
    pub(super) fn add(&mut self, key: usize, crowds: &mut Slab<Vec<u32>>) -> u32 {
        let number = |count: usize| u32::try_from(count).expect("no more peers than can be coded");
        match self.who() {
            Who::Nobody => {
                *self = Self::of(&Who::One(key));
                0
            }
            Who::One(first) => {
                *self = Self::of(&Who::Crowd(crowds.insert(vec![number(first), number(key)])));
                1
            }
            Who::Crowd(crowd) => {
                crowds[crowd].push(number(key));
                number(crowds[crowd].len() - 1)
            }
        }
    }

    /// Takes away the peer at `place`; returns the one that has moved there, if one has.
    pub(super) fn remove(&mut self, place: u32, crowds: &mut Slab<Vec<u32>>) -> Option<usize> {
        let Who::Crowd(crowd) = self.who() else {
            *self = Self::of(&Who::Nobody);
            return None;
        };
        let keys = &mut crowds[crowd];
        keys.swap_remove(place as usize);
        let moved = keys.get(place as usize).map(|key| *key as usize);
        if let [last] = keys[..] {
            *self = Self::of(&Who::One(last as usize));
            crowds.remove(crowd);
        } else if keys.len() < keys.capacity() / 4 {
            keys.shrink_to(2 * keys.len());
        }
        moved
    }
}

impl Default for Audience {
    fn default() -> Self {
        Self::of(&Who::Nobody)
    }
}
