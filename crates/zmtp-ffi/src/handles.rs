//! Handles: a `void *` of C is the address of one word of `GROUND`, which nobody here reads.
//!
//! A program may read it: CZMQ looks at the first word behind a pointer to learn whether it is an object of its
//! own. The place of the word in `GROUND` says which place of a table is meant, and how often that has been used. So
//! a handle that is null, closed or of another kind is detected, and none is ever dereferenced. A place is used
//! again, and its memory is never freed.

use std::collections::VecDeque;
use std::ffi::c_void;
use std::ops::{Deref, DerefMut};
use std::ptr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError, TryLockError};

/// The bits of a handle for the count of its place's uses, for the kind, and for the place. Miri has no room for more.
const USE_BITS: u32 = 4;
const KIND_BITS: u32 = 3;
const PLACE_BITS: u32 = if cfg!(miri) { 8 } else { 16 };

/// How many places a block of the table has, and how many blocks there are.
const BLOCK: usize = 256;
const BLOCKS: usize = (1 << PLACE_BITS) / BLOCK;

/// So many closed places are left alone. A closed handle comes back, as another's, after at least this many openings
/// for each of the uses that are told apart.
const RESTING: usize = BLOCK / 2;

/// One word for each possible handle. The system gives memory only to those that have been in use.
static GROUND: [AtomicU64; 1 << (USE_BITS + KIND_BITS + PLACE_BITS)] =
    [const { AtomicU64::new(0) }; 1 << (USE_BITS + KIND_BITS + PLACE_BITS)];

/// The word that a program reads behind a handle: neither a tag of CZMQ's objects nor the number of a descriptor.
const MARK: u64 = u64::MAX;

/// The handle of a value, which C gets as a pointer: the number of a word of `GROUND`, or any number from C.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Handle(usize);

impl Handle {
    pub(crate) fn of(pointer: *const c_void) -> Self {
        let distance = pointer.addr().wrapping_sub(GROUND.as_ptr().addr());
        // An address that is not that of a whole word becomes a number beyond all words.
        Self(distance.rotate_right(size_of::<AtomicU64>().trailing_zeros()))
    }

    pub(crate) fn to_pointer(self) -> *mut c_void {
        GROUND.get(self.0).map_or(ptr::null_mut(), AtomicU64::as_ptr).cast()
    }
}

/// All open values of one kind.
#[derive(Debug)]
pub(crate) struct Table<T> {
    kind: usize,
    blocks: [OnceLock<Box<[Place<T>]>>; BLOCKS],
    /// The free places, the one that has rested longest first, and how many places have ever been used.
    free: Mutex<VecDeque<usize>>,
    places: AtomicUsize,
}

/// Each is in cache lines of its own: two threads with a socket each do not slow each other down.
#[derive(Debug)]
#[repr(align(128))]
struct Place<T>(Mutex<Entry<T>>);

#[derive(Debug)]
struct Entry<T> {
    uses: usize,
    value: Option<T>,
}

/// Exclusive access to the value of a handle.
#[derive(Debug)]
pub(crate) struct Guard<'a, T>(MutexGuard<'a, Entry<T>>);

/// Why there is no access to the value of a handle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Missing {
    Closed,
    /// Another thread has it.
    Busy,
}

impl<T> Table<T> {
    /// The table of one kind. Each kind has its own number below 8.
    pub(crate) const fn new(kind: usize) -> Self {
        assert!(kind < 1 << KIND_BITS, "there are eight kinds");
        Self {
            kind,
            blocks: [const { OnceLock::new() }; BLOCKS],
            free: Mutex::new(VecDeque::new()),
            places: AtomicUsize::new(0),
        }
    }

    /// Stores `value` and returns its handle; `None` if the table is full.
    pub(crate) fn insert(&self, value: T) -> Option<Handle> {
        let place = self.rested(RESTING).or_else(|| self.unused()).or_else(|| self.rested(0))?;
        let mut entry = lock(&self.place_or_new(place).0);
        entry.uses = (entry.uses + 1) % (1 << USE_BITS);
        entry.value = Some(value);
        let number = (place << KIND_BITS | self.kind) << USE_BITS | entry.uses;
        GROUND[number].store(MARK, Ordering::Relaxed);
        Some(Handle(number))
    }

    /// A free place, if more than so many are free.
    fn rested(&self, others: usize) -> Option<usize> {
        let mut free = lock(&self.free);
        if free.len() > others { free.pop_front() } else { None }
    }

    /// A place that was never used.
    fn unused(&self) -> Option<usize> {
        let next = |place: usize| (place < BLOCK * BLOCKS).then_some(place + 1);
        self.places.fetch_update(Ordering::Relaxed, Ordering::Relaxed, next).ok()
    }

    /// Exclusive access to the value of the handle, if it is open.
    #[inline]
    pub(crate) fn lock(&self, handle: Handle) -> Option<Guard<'_, T>> {
        let (place, uses) = self.split(handle)?;
        let entry = lock(&self.place(place)?.0);
        (entry.uses == uses && entry.value.is_some()).then_some(Guard(entry))
    }

    /// As [`lock`](Self::lock); but if another thread has the value, it does not wait.
    pub(crate) fn try_lock(&self, handle: Handle) -> Result<Guard<'_, T>, Missing> {
        let (place, uses) = self.split(handle).ok_or(Missing::Closed)?;
        let entry = match self.place(place).ok_or(Missing::Closed)?.0.try_lock() {
            Ok(entry) => entry,
            Err(TryLockError::Poisoned(entry)) => entry.into_inner(),
            Err(TryLockError::WouldBlock) => return Err(Missing::Busy),
        };
        match entry.uses == uses && entry.value.is_some() {
            true => Ok(Guard(entry)),
            false => Err(Missing::Closed),
        }
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
        lock(&self.free).push_back(place);
        Some(value)
    }

    fn split(&self, Handle(number): Handle) -> Option<(usize, usize)> {
        let (uses, rest) = (number & ((1 << USE_BITS) - 1), number >> USE_BITS);
        let is_ours = rest & ((1 << KIND_BITS) - 1) == self.kind;
        is_ours.then_some((rest >> KIND_BITS, uses))
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
        assert_eq!(NUMBERS.try_lock(handle).as_deref(), Ok(&7));
        let held = NUMBERS.lock(handle);
        assert_eq!(NUMBERS.try_lock(handle).err(), Some(Missing::Busy));
        drop(held);
        assert!(OTHERS.lock(handle).is_none(), "it is of another kind");
        assert_eq!((NUMBERS.remove(handle), NUMBERS.remove(handle)), (Some(7), None));
        assert!(NUMBERS.lock(handle).is_none());
        assert_eq!(NUMBERS.try_lock(handle).err(), Some(Missing::Closed));
        let again = NUMBERS.insert(8).unwrap();
        assert_ne!(again, handle, "the place is used anew, and the old handle stays closed");
        assert!(NUMBERS.lock(handle).is_none());
    }

    #[test]
    fn a_closed_handle_is_not_soon_another_one() {
        static TABLE: Table<u32> = Table::new(3);
        let closed = TABLE.insert(0).unwrap();
        TABLE.remove(closed);
        for number in 0..(RESTING << USE_BITS) as u32 - 1 {
            let handle = TABLE.insert(number).unwrap();
            assert!(TABLE.lock(closed).is_none(), "after {number} others");
            TABLE.remove(handle);
        }
        assert!(TABLE.places.load(Ordering::Relaxed) <= RESTING + 1, "places are used again");
    }

    #[test]
    fn a_full_table_takes_one_more_for_each_that_goes() {
        static TABLE: Table<()> = Table::new(4);
        let handles: Vec<_> = std::iter::from_fn(|| TABLE.insert(())).collect();
        assert_eq!(handles.len(), 1 << PLACE_BITS);
        assert_eq!((TABLE.remove(handles[200]), TABLE.remove(handles[200])), (Some(()), None));
        assert!(TABLE.insert(()).is_some(), "in the place that rests, for there is no other");
        assert!(TABLE.insert(()).is_none());
    }

    #[test]
    fn no_number_is_followed() {
        let first = GROUND.as_ptr().addr();
        let end = first + size_of_val(&GROUND);
        for address in
            [0, 1, first - 8, first, first + 1, first + 2 * 128, end - 8, end, usize::MAX]
        {
            let handle = Handle::of(ptr::without_provenance(address));
            assert!(OTHERS.lock(handle).is_none(), "{address:x}");
            assert!(OTHERS.remove(handle).is_none(), "{address:x}");
        }
    }
}
