//! Handles: a `void *` of C is a number here, and never an address.
//!
//! The number names a place of a table, and how often the place has been used. So a handle that is
//! null, closed or of another kind is detected, and none is ever dereferenced. A place is used
//! again, and its memory is never freed.

use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

/// The bits of a handle for the kind, for the place, and for the count of its uses.
const KIND_BITS: u32 = 3;
const PLACE_BITS: u32 = usize::BITS / 2 - 8 - KIND_BITS;
const USE_BITS: u32 = usize::BITS - PLACE_BITS - KIND_BITS;

/// How many places a block of the table has, and how many blocks there are.
const BLOCK: usize = 256;
const BLOCKS: usize = 1024;

/// The handle of a value, which C gets as a pointer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(usize);

impl Handle {
    pub(crate) fn of(pointer: *const c_void) -> Self {
        Self(pointer.addr())
    }

    pub(crate) fn to_pointer(self) -> *mut c_void {
        ptr::without_provenance_mut(self.0)
    }
}

/// All open values of one kind.
#[derive(Debug)]
pub(crate) struct Table<T> {
    kind: usize,
    blocks: [OnceLock<Box<[Place<T>]>>; BLOCKS],
    /// The free places, and how many places have ever been used.
    free: Mutex<Vec<usize>>,
    places: AtomicUsize,
}

#[derive(Debug)]
struct Place<T>(Mutex<Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    uses: usize,
    value: Option<T>,
}

/// Exclusive access to the value of a handle.
#[derive(Debug)]
pub(crate) struct Guard<'a, T>(MutexGuard<'a, Entry<T>>);

impl<T> Table<T> {
    /// The table of one kind. Each kind has its own number below 8.
    pub(crate) const fn new(kind: usize) -> Self {
        assert!(kind < 1 << KIND_BITS, "there are eight kinds");
        Self {
            kind,
            blocks: [const { OnceLock::new() }; BLOCKS],
            free: Mutex::new(Vec::new()),
            places: AtomicUsize::new(0),
        }
    }

    /// Stores `value` and returns its handle; `None` if the table is full.
    pub(crate) fn insert(&self, value: T) -> Option<Handle> {
        let free = lock(&self.free).pop();
        let place = match free {
            Some(place) => place,
            None => {
                let place = self.places.fetch_add(1, Ordering::Relaxed);
                if place >= BLOCK * BLOCKS {
                    self.places.fetch_sub(1, Ordering::Relaxed);
                    return None;
                }
                place
            }
        };
        let mut entry = lock(&self.place_or_new(place).0);
        // Never 0, so that no handle is null.
        entry.uses = (entry.uses + 1) % (1 << USE_BITS);
        entry.uses = entry.uses.max(1);
        entry.value = Some(value);
        Some(Handle(((entry.uses << PLACE_BITS) | place) << KIND_BITS | self.kind))
    }

    /// Exclusive access to the value of the handle, if it is open.
    #[inline]
    pub(crate) fn lock(&self, handle: Handle) -> Option<Guard<'_, T>> {
        let (place, uses) = self.split(handle)?;
        let entry = lock(&self.place(place)?.0);
        (entry.uses == uses && entry.value.is_some()).then_some(Guard(entry))
    }

    /// Closes a handle. Returns its value.
    pub(crate) fn remove(&self, handle: Handle) -> Option<T> {
        let (place, uses) = self.split(handle)?;
        let mut entry = lock(&self.place(place)?.0);
        if entry.uses != uses {
            return None;
        }
        let value = entry.value.take()?;
        drop(entry);
        lock(&self.free).push(place);
        Some(value)
    }

    fn split(&self, Handle(number): Handle) -> Option<(usize, usize)> {
        let is_ours = number & ((1 << KIND_BITS) - 1) == self.kind;
        let rest = number >> KIND_BITS;
        is_ours.then_some((rest & ((1 << PLACE_BITS) - 1), rest >> PLACE_BITS))
    }

    #[inline]
    fn place(&self, place: usize) -> Option<&Place<T>> {
        self.blocks.get(place / BLOCK)?.get()?.get(place % BLOCK)
    }

    fn place_or_new(&self, place: usize) -> &Place<T> {
        let block = self.blocks[place / BLOCK].get_or_init(|| {
            let places = || Place(Mutex::new(Entry { uses: 0, value: None }));
            std::iter::repeat_with(places).take(BLOCK).collect()
        });
        &block[place % BLOCK]
    }
}

impl<T> Deref for Guard<'_, T> {
    type Target = T;

    #[inline]
    fn deref(&self) -> &T {
        self.0.value.as_ref().expect("it was looked at when it was locked")
    }
}

impl<T> DerefMut for Guard<'_, T> {
    #[inline]
    fn deref_mut(&mut self) -> &mut T {
        self.0.value.as_mut().expect("it was looked at when it was locked")
    }
}

/// Ignores poisoning: a panic has been logged, and leaves no half-done change that others could
/// see.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    static NUMBERS: Table<u32> = Table::new(1);
    static OTHERS: Table<u32> = Table::new(2);

    #[test]
    fn a_handle_names_what_was_kept_until_it_is_closed() {
        let handle = NUMBERS.insert(7).unwrap();
        assert!(!handle.to_pointer().is_null());
        assert_eq!(Handle::of(handle.to_pointer()), handle);
        assert_eq!(NUMBERS.lock(handle).as_deref(), Some(&7));
        assert!(OTHERS.lock(handle).is_none(), "it is of another kind");
        assert_eq!((NUMBERS.remove(handle), NUMBERS.remove(handle)), (Some(7), None));
        assert!(NUMBERS.lock(handle).is_none());
        let again = NUMBERS.insert(8).unwrap();
        assert_ne!(again, handle, "the place is used anew, and the old handle stays closed");
        assert!(NUMBERS.lock(handle).is_none());
    }

    #[test]
    fn no_number_is_followed() {
        for number in [0, 1, 2, 8, usize::MAX, usize::MAX << KIND_BITS | 1, 0xdead_beef] {
            assert!(OTHERS.lock(Handle(number)).is_none(), "{number:x}");
            assert!(OTHERS.remove(Handle(number)).is_none(), "{number:x}");
        }
    }
}
