//! Locks that outlive a panic elsewhere, and wakers that run only after the lock is released.

use std::any::Any;
use std::ops::{Deref, DerefMut};
use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::Waker;
use std::{mem, process, thread};

use tokio::sync::Notify;

/// Locks `mutex`. A panic of a thread that held the lock is ignored: everything guarded here is
/// kept consistent between any two statements that can panic.
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
        wake_all(self.0.drain(..));
    }
}

/// Calls to foreign code, which may panic: that keeps none of the later calls from being made. Then the first panic
/// goes on, unless another one does.
#[derive(Default)]
pub(crate) struct Calls(Option<Box<dyn Any + Send>>);

impl Calls {
    pub(crate) fn make(&mut self, call: impl FnOnce()) {
        if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
            self.0.get_or_insert(panic);
        }
    }
}

impl Drop for Calls {
    fn drop(&mut self) {
        // A second panic would abort the process.
        if let Some(panic) = self.0.take()
            && !thread::panicking()
        {
            resume_unwind(panic);
        }
    }
}

/// Calls all these wakers, also if one of them panics.
pub(crate) fn wake_all(wakers: impl IntoIterator<Item = Waker>) {
    let mut calls = Calls::default();
    wakers.into_iter().for_each(|waker| calls.make(|| waker.wake()));
}

/// Looks again after each change, until `look` has found something.
pub(crate) async fn wait_until<T>(changed: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    loop {
        // From before the look, so that no change is missed.
        let next = changed.notified();
        if let Some(found) = look() {
            return found;
        }
        next.await;
    }
}

/// One value for the whole process, made when it is first asked for. A forked process begins with a new
/// one: the threads and descriptors of the old one belong to its parent.
pub(crate) struct PerProcess<T>(Mutex<Option<(u32, T)>>);

impl<T: Clone> PerProcess<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    pub(crate) fn get(&self, make: impl FnOnce() -> T) -> T {
        self.get_in(process::id(), make)
    }

    /// Does as [`get`](Self::get) in the process with this number.
    fn get_in(&self, process: u32, make: impl FnOnce() -> T) -> T {
        let mut present = lock(&self.0);
        if let Some((made_in, value)) = &*present
            && *made_in == process
        {
            return value.clone();
        }
        let value = make();
        // To drop the parent's value would disturb what the two processes share.
        mem::forget(present.replace((process, value.clone())));
        value
    }
}

/// A waker that counts how often it is woken.
#[cfg(test)]
#[derive(Debug, Default)]
pub(crate) struct Woken(pub(crate) std::sync::atomic::AtomicUsize);

#[cfg(test)]
impl std::task::Wake for Woken {
    fn wake(self: std::sync::Arc<Self>) {
        self.0.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
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

    #[test]
    fn each_process_has_a_value_of_its_own() {
        let (value, made) = (PerProcess::new(), Cell::new(0));
        let get_in = |process| {
            value.get_in(process, || {
                made.set(made.get() + 1);
                Arc::new(made.get())
            })
        };
        let of_parent = get_in(1);
        assert_eq!((*of_parent, *get_in(1)), (1, 1));
        assert_eq!((*get_in(2), *get_in(2)), (2, 2));
        // It is not dropped: here, and as the parent's that was copied.
        assert_eq!(Arc::strong_count(&of_parent), 2);
    }
}
