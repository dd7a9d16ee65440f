//! The signal by which other tasks end a task of a socket.
//!
//! A driver is polled about once for each message. Therefore each task has a signal of its own, and
//! checking it takes no lock.

use std::pin::Pin;
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use slab::Slab;

use crate::error::Reason;
use crate::sync::{lock, lock_to_wake};

/// How far a task has been asked to end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u8)]
enum Stage {
    #[default]
    Running,
    /// Queued messages are delivered, and nothing new is begun.
    Draining,
    /// The task ends at once.
    Ended,
}

/// The state that both ends of a signal share.
#[derive(Debug, Default)]
struct Shared {
    /// The [`Stage`] of `state`, readable without its lock.
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
    /// Moves the task on to `stage`, unless it is there or beyond. Returns the waker to call.
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
    /// A signal, and its receiving end.
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

    /// Does as [`because`](Self::because), but returns the waker, for a caller that holds a lock.
    #[must_use = "the task sleeps until it is woken"]
    pub(crate) fn advance(self, reason: Reason) -> Option<Waker> {
        self.0.advance(Stage::Ended, Some(reason))
    }
}

/// The task's end of its signal. As a future, it is ready with the reason when the task is to end at
/// once.
#[derive(Debug)]
pub(crate) struct Killed {
    shared: Arc<Shared>,
    /// The waker that is registered at the signal: most tasks have one for life.
    waker: Option<Waker>,
    /// The list in which the other end stands, and its place there.
    member: Option<(Signals, usize)>,
}

impl Killed {
    /// Whether the task is to deliver its queued messages and begin nothing new.
    pub(crate) fn is_draining(&self) -> bool {
        self.shared.has_reached(Stage::Draining)
    }

    /// Whether the task is to end at once.
    pub(crate) fn is_ended(&self) -> bool {
        self.shared.has_reached(Stage::Ended)
    }

    /// Waits until the task is to drain or to end.
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

    /// Registers the task's waker for the next signal.
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
        // Left here, the waker would keep the memory of a task that has ended.
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
    /// The stage of all these tasks, and of those that are added later.
    stage: Stage,
    tasks: Slab<Kill>,
}

impl Signals {
    /// Adds the signal of another task. It is listed until the task drops its end.
    pub(crate) fn add(&self) -> Killed {
        let (kill, mut expelled) = Kill::new();
        let all = &mut *lock(&self.0);
        let _nobody = kill.0.advance(all.stage, None);
        expelled.member = Some((self.clone(), all.tasks.insert(kill)));
        expelled
    }

    /// Lets all tasks deliver their queued messages and begin nothing new.
    pub(crate) fn drain(&self) {
        self.advance(Stage::Draining);
    }

    /// Ends all tasks at once.
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
