//! The one signal that ends a task of a socket from outside, whoever sends it.
//!
//! A driver is polled for each message or so. Therefore each task has a signal of its own, and a
//! look at it costs no lock.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::error::Reason;
use crate::sync::{lock, lock_to_wake};

/// How far a task has been told to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Stage {
    #[default]
    Running,
    /// What is queued is delivered, nothing new is begun.
    Draining,
    /// The task ends at once.
    Ended,
}

/// What both ends of a signal share.
#[derive(Debug, Default)]
struct Shared {
    /// The [`Stage`] of `state`, to be read without its lock.
    stage: AtomicU8,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    stage: Stage,
    reason: Option<Reason>,
    waker: Option<Waker>,
}

impl Shared {
    /// Tells the task to go on to `stage`, unless it is there or beyond. Returns the waker to call.
    fn advance(&self, stage: Stage, reason: Option<Reason>) -> Option<Waker> {
        let state = &mut *lock(&self.state);
        if stage <= state.stage {
            return None;
        }
        (state.stage, state.reason) = (stage, reason);
        self.stage.store(stage as u8, Ordering::Release);
        state.waker.clone()
    }

    fn has_reached(&self, stage: Stage) -> bool {
        self.stage.load(Ordering::Acquire) >= stage as u8
    }
}

/// Ends one task.
#[derive(Clone, Debug)]
pub(crate) struct Kill(Arc<Shared>);

impl Kill {
    /// A signal, and what hears it.
    pub(crate) fn new() -> (Self, Killed) {
        let shared = Arc::<Shared>::default();
        (Self(shared.clone()), Killed { shared, waker: None, member: None })
    }

    /// Ends the task, unless it has been ended already.
    pub(crate) fn because(self, reason: Reason) {
        if let Some(waker) = self.advance(reason) {
            waker.wake();
        }
    }

    /// Does as [`because`](Self::because), but leaves the waker to be called by who holds a lock.
    #[must_use = "the task sleeps until it is woken"]
    pub(crate) fn advance(self, reason: Reason) -> Option<Waker> {
        self.0.advance(Stage::Ended, Some(reason))
    }
}

/// The task's end of its signal. As a future, it is ready with the reason once the task is to end at
/// once.
#[derive(Debug)]
pub(crate) struct Killed {
    shared: Arc<Shared>,
    /// The waker that the signal has: a task mostly has the same one for life.
    waker: Option<Waker>,
    /// Where the other end is listed.
    member: Option<(Signals, usize)>,
}

impl Killed {
    /// Whether the task is to deliver what is queued and to begin nothing new.
    pub(crate) fn is_draining(&self) -> bool {
        self.shared.has_reached(Stage::Draining)
    }

    /// Whether the task is to end at once.
    pub(crate) fn is_ended(&self) -> bool {
        self.shared.has_reached(Stage::Ended)
    }

    /// Waits until the task is at least to drain.
    pub(crate) async fn drained(&mut self) {
        std::future::poll_fn(|cx| {
            self.register(cx);
            if self.is_draining() { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    /// Waits until the task is to end at once.
    pub(crate) async fn ended(&mut self) {
        self.await;
    }

    /// Another end of the same signal.
    pub(crate) fn kill(&self) -> Kill {
        Kill(self.shared.clone())
    }

    /// Has the task woken by the next signal.
    fn register(&mut self, cx: &Context<'_>) {
        if !self.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
            let waker = cx.waker().clone();
            lock(&self.shared.state).waker = Some(waker.clone());
            self.waker = Some(waker);
        }
    }
}

impl Future for Killed {
    type Output = Reason;

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Reason> {
        self.register(cx);
        if !self.is_ended() {
            return Poll::Pending;
        }
        Poll::Ready(lock(&self.shared.state).reason.clone().unwrap_or(Reason::Stopped))
    }
}

impl Drop for Killed {
    fn drop(&mut self) {
        // A waker of a task that is gone would keep its memory.
        let _waker = lock(&self.shared.state).waker.take();
        if let Some((signals, key)) = &self.member {
            lock(&signals.0).tasks.remove(*key);
        }
    }
}

/// The signals of all tasks of one endpoint. Cheap to clone.
#[derive(Clone, Debug, Default)]
pub(crate) struct Signals(Arc<Mutex<Tasks>>);

#[derive(Debug, Default)]
struct Tasks {
    /// What all of them have been told, and those to come are.
    stage: Stage,
    tasks: Slab<Kill>,
}

impl Signals {
    /// The signal of another task. It is listed for as long as the task keeps it.
    pub(crate) fn add(&self) -> Killed {
        let (kill, mut expelled) = Kill::new();
        let all = &mut *lock(&self.0);
        let _nobody = kill.0.advance(all.stage, None);
        expelled.member = Some((self.clone(), all.tasks.insert(kill)));
        expelled
    }

    /// All tasks deliver what is queued, and begin nothing new.
    pub(crate) fn drain(&self) {
        self.advance(Stage::Draining);
    }

    /// All tasks end at once.
    pub(crate) fn stop(&self) {
        self.advance(Stage::Ended);
    }

    fn advance(&self, stage: Stage) {
        let mut all = lock_to_wake(&self.0);
        all.stage = all.stage.max(stage);
        let wakers: Vec<Waker> =
            all.tasks.iter().filter_map(|(_, task)| task.0.advance(stage, None)).collect();
        all.wake(wakers);
    }
}

#[cfg(test)]
mod tests {

    use super::*;
    use crate::sync::Woken;

    fn poll(expelled: &mut Killed, woken: &Arc<Woken>) -> Option<String> {
        let waker = Waker::from(woken.clone());
        match Pin::new(expelled).poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(reason) => Some(reason.to_string()),
            Poll::Pending => None,
        }
    }

    #[test]
    fn each_stage_wakes_the_task_once_and_there_is_no_way_back() {
        let (signals, woken) = (Signals::default(), Arc::<Woken>::default());
        let mut task = signals.add();
        assert_eq!(poll(&mut task, &woken), None);
        assert!(!task.is_draining());
        for _ in 0..2 {
            signals.drain();
            assert_eq!(woken.0.load(Ordering::Relaxed), 1);
            assert!(task.is_draining() && !task.is_ended());
            assert_eq!(poll(&mut task, &woken), None);
        }
        signals.stop();
        signals.drain();
        task.kill().because(Reason::PeerClosed);
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
        assert_eq!(poll(&mut task, &woken).as_deref(), Some("closed from this side"));
    }

    #[test]
    fn the_first_reason_counts_and_no_other_task_hears_it() {
        let (signals, woken) = (Signals::default(), Arc::<Woken>::default());
        let (mut one, mut other) = (signals.add(), signals.add());
        assert_eq!((poll(&mut one, &woken), poll(&mut other, &woken)), (None, None));
        one.kill().because(Reason::PeerClosed);
        signals.stop();
        assert_eq!(poll(&mut one, &woken).as_deref(), Some("the peer closed the connection"));
        assert_eq!(poll(&mut other, &woken).as_deref(), Some("closed from this side"));
        assert_eq!(woken.0.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn who_comes_later_hears_what_all_have_been_told_and_who_is_gone_leaves_nothing() {
        let signals = Signals::default();
        signals.drain();
        let late = signals.add();
        assert!(late.is_draining() && !late.is_ended());
        drop(late);
        assert!(lock(&signals.0).tasks.is_empty());
    }

    #[test]
    fn the_waker_of_the_last_poll_is_the_one_that_is_called() {
        let (first, second) = (Arc::<Woken>::default(), Arc::<Woken>::default());
        let (kill, mut task) = Kill::new();
        assert_eq!(poll(&mut task, &first), None);
        assert_eq!(poll(&mut task, &second), None);
        kill.because(Reason::Stopped);
        assert_eq!(first.0.load(Ordering::Relaxed), 0);
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
    }
}
