//! The locked state of a core that sends, and what others are told once it is free again.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use crate::monitor::Recorded;
use crate::send::Run;
use crate::sync::lock;

/// A state that collects what is due once it is free.
pub(crate) trait Effectful {
    /// Takes it out.
    fn take_effects(&mut self) -> Effects;
}

/// The locked state. Its [effects](Effects) come about when it has been released.
pub(crate) struct Guard<'a, S: Effectful> {
    // Fields are dropped in this order: the lock is released first.
    state: MutexGuard<'a, S>,
    effects: Effects,
}

/// Wakers that are due, events that the log and the monitors' readers have yet to be told of, messages that
/// were dropped, and memory of the index. Each means foreign code, which may ask for the state, or takes
/// long; therefore it runs only when the state is free.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) dropped: Vec<Run>,
    pub(crate) _spent: Option<Box<dyn Send>>,
    recorded: Vec<Recorded>,
    wakers: Vec<Waker>,
}

impl<'a, S: Effectful> Guard<'a, S> {
    pub(crate) fn lock(state: &'a Mutex<S>) -> Self {
        lock(state).into()
    }
}

impl<'a, S: Effectful> From<MutexGuard<'a, S>> for Guard<'a, S> {
    fn from(state: MutexGuard<'a, S>) -> Self {
        Self { state, effects: Effects::default() }
    }
}

impl<S: Effectful> Deref for Guard<'_, S> {
    type Target = S;

    fn deref(&self) -> &S {
        &self.state
    }
}

impl<S: Effectful> DerefMut for Guard<'_, S> {
    fn deref_mut(&mut self) -> &mut S {
        &mut self.state
    }
}

impl<S: Effectful> Drop for Guard<'_, S> {
    fn drop(&mut self) {
        self.effects = self.state.take_effects();
    }
}

impl Effects {
    /// Wakes these.
    pub(crate) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    /// Tells of an event.
    pub(crate) fn tell(&mut self, recorded: Option<Recorded>) {
        self.recorded.extend(recorded);
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        self.recorded.clear();
        self.wakers.drain(..).for_each(Waker::wake);
    }
}
