//! Waking many drivers together, for a busy sender that runs beside them.
//!
//! Such a sender may have another message for another peer each time. If it woke each driver at once,
//! most of its time would go into wake-ups, and each driver would find one message to write. Therefore
//! it leaves them waiting, and a task of the socket wakes those that have messages, a little later:
//!
//! ```text
//! sender   for a, wakes ─ for b ─ for c ─ for a ─ for d ...
//! task     ─────────────► rests ───────────────────────► wakes the drivers of a, b, c, d
//! ```

use std::sync::{Arc, Weak};
use std::task::{Context, Poll, Waker};
use std::{future, io, mem};

use tokio::runtime::{Handle, RuntimeFlavor};

use super::PubCore;
use super::state::State;
use crate::engine::short_sleep::ShortSleep;
use crate::send::gathering::LONGEST_REST;
use crate::send::guard::Guard;
use crate::sync::lock;

/// The drivers that are left waiting.
#[derive(Debug, Default)]
pub(super) struct Together {
    /// The keys of their peers.
    late: Vec<usize>,
    /// Whether there is a task that will wake them.
    has_task: bool,
    /// Its waker, while it waits for the first of them.
    task: Option<Waker>,
}

impl Together {
    /// Leaves one more waiting. Returns the task, to be woken if it waits.
    pub(super) fn add(&mut self, key: usize) -> Option<Waker> {
        self.late.push(key);
        self.task.take()
    }

    /// Returns the task, to be woken if it waits: it ends with the socket, and without any peer.
    pub(super) fn end(&mut self) -> Option<Waker> {
        self.task.take()
    }
}

impl Drop for Together {
    fn drop(&mut self) {
        self.end().into_iter().for_each(Waker::wake);
    }
}

impl State {
    /// Whether the drivers that wait are left to the task: the sender is busy, and beside them.
    pub(super) fn wakes_together(&self) -> bool {
        let is_beside = || match Handle::try_current() {
            Ok(runtime) => runtime.runtime_flavor() != RuntimeFlavor::CurrentThread,
            Err(_) => true,
        };
        self.together.has_task && is_beside() && self.pace.is_busy()
    }

    /// Wakes all that were left waiting.
    fn wake_late(&mut self) {
        for key in self.together.late.drain(..) {
            // Another peer may have the key by now: its driver finds nothing to do.
            let driver = self.peers.get_mut(key).and_then(|peer| peer.outbox.waker.take());
            self.effects.wake(driver);
        }
    }

    fn poll_late(&mut self, cx: &Context<'_>) -> Poll<bool> {
        if self.closed || self.peers.is_empty() {
            self.together.has_task = false;
            self.wake_late();
            return Poll::Ready(false);
        }
        if !self.together.late.is_empty() {
            return Poll::Ready(true);
        }
        self.together.task = Some(cx.waker().clone());
        Poll::Pending
    }
}

impl PubCore {
    /// Starts the task, if there is none and this is a runtime. A runtime that ends drops the task at
    /// once, which takes the lock.
    pub(super) fn wake_together(self: &Arc<Self>) {
        if let Ok(runtime) = Handle::try_current()
            && !mem::replace(&mut lock(&self.state).together.has_task, true)
        {
            let mut task = Task { core: Arc::downgrade(self), is_over: false };
            // If there is no timer, drivers are woken at once from then on.
            runtime.spawn(async move { task.run().await.ok() });
        }
    }
}

/// The task of one socket. If it is dropped before it is over, nobody is left waiting.
struct Task {
    core: Weak<PubCore>,
    is_over: bool,
}

impl Task {
    async fn run(&mut self) -> io::Result<()> {
        let mut sleep = None;
        while future::poll_fn(|cx| self.poll_late(cx)).await {
            let sleep = match &mut sleep {
                Some(sleep) => sleep,
                none => none.insert(ShortSleep::new()?),
            };
            sleep.start(LONGEST_REST)?;
            future::poll_fn(|cx| sleep.poll(cx)).await?;
            if let Some(core) = self.core.upgrade() {
                Guard::lock(&core.state).wake_late();
            }
        }
        self.is_over = true;
        Ok(())
    }

    /// Whether a driver has been left waiting, once there is one or the task is over.
    fn poll_late(&self, cx: &Context<'_>) -> Poll<bool> {
        let core = self.core.upgrade();
        core.map_or(Poll::Ready(false), |core| Guard::lock(&core.state).poll_late(cx))
    }
}

impl Drop for Task {
    fn drop(&mut self) {
        if let Some(core) = self.core.upgrade().filter(|_| !self.is_over) {
            let mut state = Guard::lock(&core.state);
            state.together.has_task = false;
            state.wake_late();
        }
    }
}
