//! The last buffer that a thread has given up, for its next message.
//!
//! A program that makes messages of one size and sends them needs a buffer for each. To free it and to ask for
//! another takes a quarter of all instructions for a small message.
//!
//! The functions are not inlined, so that a message that needs no buffer pays nothing for them.

use std::cell::Cell;

/// A larger buffer goes back to the allocator at once.
const MOST: usize = 32 << 10;

thread_local! {
    static SPARE: Cell<Option<Box<[u8]>>> = const { Cell::new(None) };
}

/// Keeps a buffer that nobody uses any more, in place of the one before it.
#[inline(never)]
pub(crate) fn keep(buffer: Box<[u8]>) {
    if buffer.len() <= MOST {
        // The last functions of a program run when its threads' variables are gone.
        let _kept = SPARE.try_with(|spare| spare.set(Some(buffer)));
    }
}

/// The buffer that this thread has kept, if it has this size. It holds anything.
#[inline(never)]
pub(crate) fn take(size: usize) -> Option<Box<[u8]>> {
    let take = |spare: &Cell<Option<Box<[u8]>>>| match spare.take() {
        Some(buffer) if buffer.len() == size => Some(buffer),
        other => {
            spare.set(other);
            None
        }
    };
    SPARE.try_with(take).ok()?
}

#[cfg(test)]
mod tests {
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
    fn a_thread_keeps_one_buffer_and_no_large_one() {
        keep(vec![0; 100].into());
        keep(vec![0; MOST].into());
        keep(vec![0; MOST + 1].into());
        assert!(take(100).is_none() && take(MOST + 1).is_none());
        assert!(take(MOST).is_some());
    }
}
