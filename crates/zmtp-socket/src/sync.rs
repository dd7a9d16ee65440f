//! Locks that outlive a panic elsewhere, and wakers that run only after the lock is released.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;

/// Locks `mutex`. A thread that panicked while it held the lock does not take the others along:
/// everything guarded here is kept consistent between any two statements that can panic.
pub(crate) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Locks `mutex` to change something that tasks may wait for.
pub(crate) fn lock_to_wake<T>(mutex: &Mutex<T>) -> WakingGuard<'_, T> {
    WakingGuard { value: lock(mutex), wakes: Wakes::default() }
}

/// A locked value, and the wakers that are due when it is released.
///
/// A waker is foreign code: it may ask for the same lock. Therefore no waker is called while a lock
/// of ours is held; it is [handed to the guard](Self::wake), which calls it after the release.
pub(crate) struct WakingGuard<'a, T> {
    // Fields are dropped in this order: the lock is released first.
    value: MutexGuard<'a, T>,
    wakes: Wakes,
}

impl<T> WakingGuard<'_, T> {
    /// Wakes these once the lock is released.
    pub(crate) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakes.0.extend(wakers);
    }
}

impl<T> Deref for WakingGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.value
    }
}

impl<T> DerefMut for WakingGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        &mut self.value
    }
}

/// Wakers that are called when this is dropped.
#[derive(Default)]
struct Wakes(Vec<Waker>);

impl Drop for Wakes {
    fn drop(&mut self) {
        self.0.drain(..).for_each(Waker::wake);
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Wake;

    use super::*;

    /// A waker that looks at what was locked.
    struct Looks(Mutex<Option<u32>>);

    impl Wake for Looks {
        fn wake(self: Arc<Self>) {
            let mut value = self.0.try_lock().expect("the lock is released before the waker runs");
            *value = value.map(|seen| seen + 1);
        }
    }

    #[test]
    fn wakers_run_after_the_release() {
        let looks = Arc::new(Looks(Mutex::new(None)));
        let mut guard = lock_to_wake(&looks.0);
        guard.wake([looks.clone().into(), looks.clone().into()]);
        *guard = Some(0);
        drop(guard);
        assert_eq!(*lock(&looks.0), Some(2));
    }
}
