//! The locked state of a core that sends, and its effects on others once the lock is released.

use std::mem;
use std::ops::{Deref, DerefMut};
use std::sync::{Mutex, MutexGuard};
use std::task::Waker;

use crate::monitor::Recorded;
use crate::send::Run;
use crate::sync::{Calls, lock};

/// A state that collects effects, which are due when its lock is released.
pub(crate) trait Effectful {
    /// The effects so far. They are taken out.
    fn effects(&mut self) -> &mut Effects;
}

/// The locked state. Its [effects](Effects) are executed after the lock is released.
pub(crate) struct Guard<'a, S: Effectful> {
    // Fields are dropped in this order: the lock is released first.
    state: MutexGuard<'a, S>,
    /// Most often nothing, which costs nothing to drop.
    effects: Option<Effects>,
}

/// Effects of a change of the state: wakers, events for the log and the monitors, dropped messages, and
/// memory of the index. To execute them runs foreign code, which may lock the state, or takes long.
/// Therefore it is done only when the lock is released.
#[derive(Default)]
pub(crate) struct Effects {
    pub(crate) dropped: Vec<Run>,
    pub(crate) spent: Option<Box<dyn Send>>,
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
        Self { state, effects: None }
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
        let effects = self.state.effects();
        if !effects.is_empty() {
            self.effects = Some(mem::take(effects));
        }
    }
}

impl Effects {
    fn is_empty(&self) -> bool {
        let Self { dropped, spent, recorded, wakers } = self;
        dropped.is_empty() && spent.is_none() && recorded.is_empty() && wakers.is_empty()
    }

    /// Adds wakers to call.
    pub(crate) fn wake(&mut self, wakers: impl IntoIterator<Item = Waker>) {
        self.wakers.extend(wakers);
    }

    /// Adds an event to announce.
    pub(crate) fn tell(&mut self, recorded: Option<Recorded>) {
        self.recorded.extend(recorded);
    }
}

impl Drop for Effects {
    fn drop(&mut self) {
        let mut calls = Calls::default();
        self.recorded.drain(..).for_each(|event| calls.make(|| drop(event)));
        self.wakers.drain(..).for_each(|waker| calls.make(|| waker.wake()));
    }
}
