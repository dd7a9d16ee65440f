//! The wait of a thread that runs the I/O thread's runtime meanwhile, and signals of the system that end it.
//!
//! A signal whose handler runs while the thread runs a task, and not while it sleeps, would not end the wait, and
//! nothing tells that it came. So only programs that handle no signals wait in this way (those of Python do handle
//! Ctrl-C). One that begins to handle them later is noticed a little later; until then a signal ends the wait if it
//! comes while the thread sleeps.

use std::cell::Cell;
use std::future::poll_fn;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use errno::{Errno as SystemErrno, errno, set_errno};
use tokio::runtime::Runtime;
use tokio::time::timeout_at;
use zmtp_socket::blocking::Waits;

use crate::border;
use crate::errno::Errno;
use crate::io::as_io_thread;
use crate::signal::Signal;

/// How many waits pass until it is looked again whether the program handles signals.
const LOOKS: u32 = 64;

thread_local! {
    /// The wait of this thread, if it runs the runtime.
    static WAITER: Cell<Option<Waker>> = const { Cell::new(None) };
    static IS_INTERRUPTED: Cell<bool> = const { Cell::new(false) };
}

/// The waits of a socket for messages.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    waits: Waits,
    /// Whether the program handles signals, and for how many waits that counts as known.
    is_signalled: bool,
    known: u32,
}

impl Waiting {
    /// A message was there without a wait.
    #[inline]
    pub(crate) fn spare(&mut self) {
        self.waits.halve();
    }

    /// Another message has to be waited for. Returns the waits that count for running the runtime.
    pub(crate) fn begin(&mut self) -> Waits {
        if self.known == 0 {
            self.known = LOOKS;
            self.is_signalled = border::handles_signals();
        }
        self.known -= 1;
        self.waits.add();
        if self.is_signalled { Waits::default() } else { self.waits }
    }
}

/// Waits in `runtime`, which this thread runs, until `attempt` is ready: `None` if the deadline comes first. Everything
/// that raises `signal` has it tried again.
pub(crate) fn wait<T>(
    runtime: &Runtime,
    signal: &Signal,
    deadline: Option<Instant>,
    mut attempt: impl FnMut(&mut Context<'_>) -> Poll<Result<T, Errno>>,
) -> Result<Option<T>, Errno> {
    IS_INTERRUPTED.set(false);
    // Until another thread has left the runtime, the waker is not the runtime's.
    let mut waker = Waker::noop().clone();
    let attempts = poll_fn(|cx| {
        if !waker.will_wake(cx.waker()) {
            waker.clone_from(cx.waker());
            signal.wakes(Some(waker.clone()));
            WAITER.set(Some(waker.clone()));
        }
        match attempt(cx) {
            Poll::Pending if IS_INTERRUPTED.get() => Poll::Ready(Err(Errno::EINTR)),
            done => done,
        }
    });
    let done = as_io_thread(|| match deadline {
        None => runtime.block_on(attempts).map(Some),
        Some(deadline) => {
            let timely = async { timeout_at(deadline.into(), attempts).await };
            runtime.block_on(timely).ok().transpose()
        }
    });
    signal.wakes(None);
    WAITER.set(None);
    done
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
