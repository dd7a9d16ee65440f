//! The wait of a thread for a socket: in `poll(2)`, on a descriptor that every change writes to. (A thread that
//! waits often does so in another way: see [`interrupt`](crate::interrupt).)
//!
//! A signal of the system that the thread handles ends the wait, so Ctrl-C ends a program that
//! waits for a message. The descriptor is also the value of `ZMQ_FD`.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex};
use std::task::{Wake, Waker};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::errno::Errno;
use crate::handles::lock;

/// A descriptor that becomes readable when something may have changed.
#[derive(Debug)]
pub(crate) struct Signal {
    descriptor: EventFd,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    /// Whether the descriptor is readable: to ask the system takes longer.
    is_raised: bool,
    /// A thread that waits in the runtime in place of `poll(2)`. It is woken, and the descriptor is left alone.
    waiter: Option<Waker>,
}

impl Signal {
    pub(crate) fn new() -> Result<Arc<Self>, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let descriptor = EventFd::from_value_and_flags(0, flags)?;
        Ok(Arc::new(Self { descriptor, state: Mutex::default() }))
    }

    /// Makes the descriptor readable.
    pub(crate) fn raise(&self) {
        let mut state = lock(&self.state);
        if let Some(waiter) = &state.waiter {
            waiter.wake_by_ref();
        } else if !state.is_raised {
            state.is_raised = self.descriptor.write(1).is_ok();
        }
    }

    /// From now on, `waiter` is woken in place of the signal's being raised; or the signal is raised, if that is `None`.
    /// After a wait, its thread looks for the changes by itself: they have raised nothing.
    pub(crate) fn wakes(&self, waiter: Option<Waker>) {
        lock(&self.state).waiter = waiter;
    }

    /// Clears the signal. A state that is checked after this, and found not to hold, raises the
    /// signal again once it holds.
    pub(crate) fn drain(&self) {
        let mut state = lock(&self.state);
        if state.is_raised {
            state.is_raised = self.descriptor.read().is_err();
        }
    }

    /// Waits until it is raised or the deadline is over. Returns whether it is raised.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Result<bool, Errno> {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut fds, time_until(deadline))? > 0)
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.descriptor.as_fd()
    }
}

impl Wake for Signal {
    fn wake(self: Arc<Self>) {
        self.raise();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.raise();
    }
}

/// The time left until the deadline, rounded up; for ever without a deadline.
pub(crate) fn time_until(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = left.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
    PollTimeout::try_from(milliseconds as i32).unwrap_or(PollTimeout::MAX)
}

/// The deadline that is so many milliseconds from now; `None` if the number is negative.
pub(crate) fn deadline_in(milliseconds: i64) -> Option<Instant> {
    let milliseconds = u64::try_from(milliseconds).ok()?;
    Instant::now().checked_add(Duration::from_millis(milliseconds))
}
