//! Buffers that threads have given up, for their next messages.
//!
//! A program that makes messages of one size and sends them needs a buffer for each. To free it and to ask for
//! another takes a quarter of all instructions for a small message. If another thread frees it, as inside a process,
//! both threads contend for the allocator's lock, and sleep for it.
//!
//! So a thread keeps its last buffer. What it gives up beyond that it gathers, and leaves to all threads once it is
//! much.
//!
//! The functions are not inlined, so that a message that needs no buffer pays nothing for them.

use std::cell::{Cell, RefCell};
use std::mem;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use bytes::Bytes;

/// A larger buffer goes back to the allocator at once.
const MOST: usize = 64 << 10;

/// How many octets a thread gathers, beside its last buffer. A smaller buffer counts as 4 KiB.
const GATHERED: usize = 1 << 20;
const LEAST: usize = 4 << 10;

/// How many such gatherings there are for all threads: 8 MiB.
const LEFT: usize = 8;

thread_local! {
    static LAST: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
    static OWN: RefCell<Gathering> = const { RefCell::new(Gathering { buffers: Vec::new(), size: 0 }) };
}

/// The buffers that threads have left for each other. No thread waits for this lock: a fork may have copied it while it
/// was locked.
static SHARED: Mutex<Vec<Gathering>> = Mutex::new(Vec::new());
static SHARED_COUNT: AtomicUsize = AtomicUsize::new(0);

/// Buffers of one size.
#[derive(Default)]
struct Gathering {
    buffers: Vec<Box<[u8]>>,
    size: usize,
}

/// Keeps a buffer that nobody uses any more.
#[inline(never)]
pub(crate) fn keep(buffer: Box<[u8]>) {
    if buffer.len() > MOST {
        return;
    }
    let size = buffer.len();
    // The last functions of a program run when its threads' variables are gone.
    if let Ok(Some(before)) = LAST.try_with(|last| last.replace(Some(buffer)))
        && before.len() == size
    {
        let _kept = OWN.try_with(|own| own.borrow_mut().add(before));
    }
}

/// A buffer that some thread has kept, of this size. It holds anything.
#[inline(never)]
pub(crate) fn take(size: usize) -> Option<Box<[u8]>> {
    let take = |last: &Cell<Option<Box<[u8]>>>| match last.take() {
        Some(buffer) if buffer.len() == size => Some(buffer),
        other => {
            last.set(other);
            None
        }
    };
    let last = LAST.try_with(take).ok()?;
    last.or_else(|| OWN.try_with(|own| own.borrow_mut().take(size)).ok()?)
}

/// Shares a buffer that is kept when nobody uses it any more.
pub(crate) fn share(buffer: Box<[u8]>) -> Bytes {
    match buffer.len() {
        ..=MOST => Bytes::from_owner(Kept(buffer)),
        _ => buffer.into(),
    }
}

struct Kept(Box<[u8]>);

impl AsRef<[u8]> for Kept {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Kept {
    fn drop(&mut self) {
        keep(mem::take(&mut self.0));
    }
}

impl Gathering {
    fn add(&mut self, buffer: Box<[u8]>) {
        if self.size != buffer.len() {
            *self = Self { buffers: Vec::new(), size: buffer.len() };
        }
        if self.buffers.len() >= GATHERED / self.size.max(LEAST) {
            let Ok(mut shared) = SHARED.try_lock() else { return };
            // The oldest may have a size that nobody needs any more.
            let oldest = (shared.len() == LEFT).then(|| shared.remove(0));
            shared.push(Self { buffers: mem::take(&mut self.buffers), size: self.size });
            SHARED_COUNT.store(shared.len(), Ordering::Relaxed);
            drop(shared);
            drop(oldest);
        }
        self.buffers.push(buffer);
    }

    fn take(&mut self, size: usize) -> Option<Box<[u8]>> {
        if (self.size != size || self.buffers.is_empty())
            && SHARED_COUNT.load(Ordering::Relaxed) > 0
        {
            let mut shared = SHARED.try_lock().ok()?;
            let left = shared.iter().position(|left| left.size == size)?;
            *self = shared.swap_remove(left);
            SHARED_COUNT.store(shared.len(), Ordering::Relaxed);
        }
        if self.size == size { self.buffers.pop() } else { None }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use super::*;

    #[test]
    fn a_buffer_comes_back_once_for_its_size() {
        let buffer: Box<[u8]> = vec![7; 100].into();
        let place = buffer.as_ptr();
        keep(buffer);
        assert!(take(99).is_none() && take(101).is_none());
        assert_eq!(take(100).map(|buffer| buffer.as_ptr()), Some(place));
        assert!(take(100).is_none());
    }

    #[test]
    fn a_thread_keeps_buffers_of_one_size_and_no_large_one() {
        keep(vec![0; 100].into());
        keep(vec![0; MOST].into());
        keep(vec![0; MOST + 1].into());
        assert!(take(100).is_none() && take(MOST + 1).is_none());
        assert!(take(MOST).is_some());
        (0..10).for_each(|_| keep(vec![0; 100].into()));
        assert_eq!((0..11).map_while(|_| take(100)).count(), 10);
    }

    // One test, since the buffers are the process's.
    #[test]
    fn what_one_thread_gives_up_others_use_and_not_more_is_kept_than_is_said() {
        let size = GATHERED / 16 - 1;
        let whole = GATHERED / size;
        let kept = thread::spawn(move || {
            let shared: Vec<_> = (0..2 * whole + 1).map(|_| share(vec![7; size].into())).collect();
            let places: Vec<_> = shared.iter().map(|octets| octets.as_ptr() as usize).collect();
            drop(shared);
            places
        });
        let kept = kept.join().unwrap();
        let taken: Vec<_> = (0..3 * whole).map_while(|_| take(size)).collect();
        assert_eq!(taken.len(), whole, "one gathering, since a thread keeps the last one itself");
        assert!(taken.iter().all(|buffer| kept.contains(&(buffer.as_ptr() as usize))));

        let size = MOST - 1;
        let whole = GATHERED / size;
        (0..(LEFT + 2) * (whole + 1)).for_each(|_| keep(vec![0; size].into()));
        let most = (LEFT + 1) * whole + 1;
        assert!((0..2 * most).map_while(|_| take(size)).count() <= most);
    }
}
