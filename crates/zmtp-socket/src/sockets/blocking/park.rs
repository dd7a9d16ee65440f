//! How a thread waits for a future while the I/O thread runs the runtime: parked, and woken by the future's waker.
//!
//! No runtime takes part. So a wait is the same wherever it is begun, also within a task of a runtime,
//! which is then blocked.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use tokio::task::coop::unconstrained;

/// Waits for `future`.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    block_until(None, future).expect("there is no deadline")
}

/// Waits for `future`, but no longer than `time`.
pub(super) fn block_for<F: Future>(time: Duration, future: F) -> Option<F::Output> {
    // Overflows the clock: no deadline.
    block_until(Instant::now().checked_add(time), future)
}

fn block_until<F: Future>(deadline: Option<Instant>, future: F) -> Option<F::Output> {
    // Within a task of a tokio runtime, a future that has used up the task's budget would wait for the
    // task to yield, which it never does while this blocks it.
    let mut future = pin!(unconstrained(future));
    let parked = Arc::new(Parked { thread: thread::current(), woken: AtomicBool::new(false) });
    let waker = Waker::from(parked.clone());
    let mut cx = Context::from_waker(&waker);
    loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut cx) {
            return Some(output);
        }
        if !parked.wait(deadline) {
            return None;
        }
    }
}

/// A thread that waits.
struct Parked {
    thread: Thread,
    /// Whether it has been woken since it last looked: the thread may be unparked for other reasons, and
    /// other code on it may use up an unparking.
    woken: AtomicBool,
}

impl Parked {
    /// Waits until it is woken. Returns whether it was, rather than that the deadline has passed.
    fn wait(&self, deadline: Option<Instant>) -> bool {
        while !self.woken.swap(false, Ordering::Acquire) {
            let Some(deadline) = deadline else {
                thread::park();
                continue;
            };
            match deadline.checked_duration_since(Instant::now()) {
                Some(left) if !left.is_zero() => thread::park_timeout(left),
                _ => return false,
            }
        }
        true
    }
}

impl Wake for Parked {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if !self.woken.swap(true, Ordering::Release) {
            self.thread.unpark();
        }
    }
}

#[cfg(test)]
mod tests {
    use std::future::{pending, poll_fn, ready};

    use super::*;

    /// Ready when it is polled for the third time; wakes itself, as a future that yields does.
    fn third_time() -> impl Future<Output = u32> {
        let mut polls = 0;
        poll_fn(move |cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            if polls == 3 { Poll::Ready(polls) } else { Poll::Pending }
        })
    }

    #[test]
    fn a_thread_waits_until_the_future_is_ready() {
        assert_eq!(block_on(ready(1)), 1);
        assert_eq!(block_on(third_time()), 3);
        assert_eq!(block_for(Duration::MAX, third_time()), Some(3));
        assert_eq!(block_for(Duration::ZERO, ready(1)), Some(1));
    }

    #[test]
    fn a_wait_ends_in_time_whatever_else_unparks_the_thread() {
        const TIME: Duration = Duration::from_millis(20);
        thread::current().unpark();
        let begun = Instant::now();
        assert_eq!(block_for(TIME, pending::<()>()), None);
        assert!(begun.elapsed() >= TIME);
    }

    #[test]
    fn a_waker_counts_although_other_code_has_used_up_the_unparking() {
        let mut polls = 0;
        block_on(poll_fn(|cx| {
            polls += 1;
            cx.waker().wake_by_ref();
            // As a lock or a channel of the standard library may do while the future is polled.
            thread::park();
            if polls == 2 { Poll::Ready(()) } else { Poll::Pending }
        }));
    }

    /// The budget of a task is used up by its first 128 steps or so; the rest must not wait for more.
    #[tokio::test]
    async fn a_task_that_waits_so_does_not_wait_for_its_own_turn_to_end() {
        let (sender, mut receiver) = tokio::sync::mpsc::unbounded_channel();
        (0..1000).for_each(|number| sender.send(number).unwrap());
        for number in 0..1000 {
            assert_eq!(block_on(receiver.recv()), Some(number));
        }
    }
}
