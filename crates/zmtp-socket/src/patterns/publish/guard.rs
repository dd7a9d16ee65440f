//! The locked state of a publisher, and what others are told once it is free again.

use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use super::state::State;
use crate::monitor::Recorded;
use crate::send::outbox::Run;
use crate::sync::lock;

/// The locked state. Its [effects](Effects) come about when it has been released.
pub(super) struct Guard<'a> {
    // Fields are dropped in this order: the lock is released first.
    state: MutexGuard<'a, State>,
    effects: Effects,
}

/// Wakers that are due, events that the log and the monitors' readers have yet to be told of, messages that
/// were dropped, and memory of the index. Each means foreign code, which may ask for the state, or takes
/// long; therefore it runs only when the state is free.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) dropped: Vec<Run>,
    _spent: Option<Box<dyn Send>>,
    recorded: Vec<Recorded>,
    wakers: Vec<Waker>,
}

impl<'a> Guard<'a> {
    pub(super) fn lock(state: &'a Mutex<State>) -> Self {
        lock(state).into()
    }
}

impl<'a> From<MutexGuard<'a, State>> for Guard<'a> {
    fn from(state: MutexGuard<'a, State>) -> Self {
        Self { state, effects: Effects::default() }
    }
}

impl Deref for Guard<'_> {
    type Target = State;

    fn deref(&self) -> &State {
        &self.state
    }
}

impl DerefMut for Guard<'_> {
    fn deref_mut(&mut self) -> &mut State {
        &mut self.state
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.effects = std::mem::take(&mut self.state.effects);
        self.effects._spent = self.state.topics.take_spent();
    }
}

impl Effects {
    /// Wakes these.
    pub(super) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    /// Tells of an event.
    pub(super) fn tell(&mut self, recorded: Option<Recorded>) {
        self.recorded.extend(recorded);
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        self.recorded.clear();
        self.wakers.drain(..).for_each(Waker::wake);
    }
}
