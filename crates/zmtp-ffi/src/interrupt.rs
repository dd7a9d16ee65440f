//! The wait of a thread that runs the I/O thread's runtime meanwhile, and signals of the system that end it.
//!
//! A signal whose handler runs while the thread runs a task, and not while it sleeps, does not end the wait, and
//! nothing tells that it came. So the thread of a program that handles signals (as those of Python do, for Ctrl-C)
//! runs the runtime for a moment only, in which the next message of a stream comes, and then sleeps in `poll(2)`. A
//! program that begins to handle them later is noticed a little later; until then a signal ends the wait if it comes
//! while the thread sleeps.

use std::cell::Cell;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use errno::{Errno as SystemErrno, errno, set_errno};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;
use zmtp_socket::Tries;

use crate::border;
use crate::errno::Errno;
use crate::io::as_io_thread;
use crate::signal::Signal;

/// How many waits pass until it is looked again whether the program handles signals.
const LOOKS: u32 = 64;

/// For how long the thread of a program that handles signals runs the runtime.
const MOMENT: Duration = Duration::from_millis(1);

/// It tries that at the latest after so many waits that have lasted longer.
const MOST_PASSED: u32 = 64;

thread_local! {
    /// The wait of this thread, if it runs the runtime.
    static WAITER: Cell<Option<Waker>> = const { Cell::new(None) };
    static IS_INTERRUPTED: Cell<bool> = const { Cell::new(false) };
}

/// The waits of a socket.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    /// Whether the program handles signals, and for how many waits that counts as known.
    is_signalled: bool,
    known: u32,
    /// The waits in which the thread of such a program runs the runtime.
    moments: Tries,
}

/// How long a thread that waits may run the runtime.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Stay {
    Moment,
    Long,
}

impl Waiting {
    /// A wait begins. Returns how long its thread may run the runtime, if it may.
    pub(crate) fn begin(&mut self) -> Option<Stay> {
        if self.known == 0 {
            self.known = LOOKS;
            self.is_signalled = border::handles_signals();
        }
        self.known -= 1;
        if !self.is_signalled {
            return Some(Stay::Long);
        }
        if self.moments.is_due() {
            return Some(Stay::Moment);
        }
        self.moments.passed(MOST_PASSED);
        None
    }

    /// The thread has run the runtime until the wait was over.
    pub(crate) fn found(&mut self) {
        self.moments.succeeded();
    }

    /// A moment was too short.
    pub(crate) fn failed(&mut self) {
        self.moments.passed(MOST_PASSED);
    }
}

impl Stay {
    /// When it ends, if the wait has this deadline.
    fn until(self, deadline: Option<Instant>) -> Option<Instant> {
        match self {
            Self::Long => deadline,
            Self::Moment => {
                let end = Instant::now() + MOMENT;
                Some(deadline.map_or(end, |deadline| deadline.min(end)))
            }
        }
    }
}

/// How a wait ended.
pub(crate) enum Waited<T> {
    Done(T),
    /// The deadline has come.
    Over,
    /// The moment was too short.
    Unfinished,
}

/// Waits in `runtime`, which this thread runs, until `attempt` is ready, or for as long as it may stay. Everything that
/// raises one of the `signals` has it tried again.
pub(crate) fn wait<T>(
    runtime: &Runtime,
    signals: &[Arc<Signal>],
    stay: Stay,
    deadline: Option<Instant>,
    mut attempt: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Errno>>,
) -> Result<Waited<T>, Errno> {
    let until = stay.until(deadline);
    IS_INTERRUPTED.set(false);
    // Until another thread has left the runtime, the waker is not the runtime's.
    let mut waker = Waker::noop().clone();
    let attempts = poll_fn(|cx| {
        if !waker.will_wake(cx.waker()) {
            waker.clone_from(cx.waker());
            signals.iter().for_each(|signal| signal.wakes(Some(waker.clone())));
            WAITER.set(Some(waker.clone()));
        }
        match attempt(cx) {
            Poll::Pending if IS_INTERRUPTED.get() => Poll::Ready(Err(Errno::EINTR)),
            done => done,
        }
    });
    let done = as_io_thread(|| match until {
        None => runtime.block_on(attempts).map(Some),
        Some(until) => {
            let timely = async { timeout_at(until.into(), attempts).await };
            runtime.block_on(timely).ok().transpose()
        }
    });
    signals.iter().for_each(|signal| signal.wakes(None));
    WAITER.set(None);
    Ok(match done? {
        Some(done) => Waited::Done(done),
        None if until == deadline => Waited::Over,
        None => Waited::Unfinished,
    })
}

/// Called before the runtime sleeps.
pub(crate) fn before_sleep() {
    set_errno(SystemErrno(0));
}

/// Called after the runtime has slept: ends this thread's wait if a signal has interrupted the sleep. The system's call
/// has then failed, and no call since can have hidden that. It also fails if the program was stopped and goes on, which
/// one that handles no signals is not told.
pub(crate) fn after_sleep() {
    if Errno(errno().0) == Errno::EINTR
        && border::handles_signals()
        && let Some(waiter) = WAITER.take()
    {
        IS_INTERRUPTED.set(true);
        waiter.wake();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_of_a_program_with_handlers_runs_the_runtime_for_moments_while_they_pay() {
        let mut waiting = Waiting { is_signalled: true, known: u32::MAX, ..Waiting::default() };
        for _ in 0..10 {
            assert_eq!(waiting.begin(), Some(Stay::Moment));
            waiting.found();
        }
        let pauses: Vec<_> = (0..8)
            .map(|_| {
                assert_eq!(waiting.begin(), Some(Stay::Moment));
                waiting.failed();
                let mut pause = 0;
                while !waiting.moments.is_due() {
                    assert_eq!(waiting.begin(), None);
                    pause += 1;
                }
                pause
            })
            .collect();
        assert_eq!(pauses, [1, 3, 7, 15, 31, 63, 64, 64]);
        waiting.found();
        waiting.failed();
        assert_eq!((waiting.begin(), waiting.begin()), (None, Some(Stay::Moment)), "it has paid");
    }

    #[test]
    fn a_moment_ends_at_the_deadline_at_the_latest() {
        let now = Instant::now();
        let (soon, late) = (Some(now), Some(now + 60_000 * MOMENT));
        assert_eq!((Stay::Moment.until(soon), Stay::Long.until(late)), (soon, late));
        assert_eq!(Stay::Long.until(None), None);
        for deadline in [None, late] {
            let end = Stay::Moment.until(deadline).unwrap();
            assert!(end >= now + MOMENT && Some(end) < late);
        }
    }
}
