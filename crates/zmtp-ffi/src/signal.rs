//! How a thread waits for a socket: in `poll(2)`, on a descriptor that whatever happens writes to.
//!
//! A signal that the thread handles ends the wait, so Ctrl-C ends a program that waits for a message. The
//! descriptor is also what `ZMQ_FD` gives.

use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;
use std::task::Wake;
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::errno::Errno;

/// A descriptor that can be read once something may have changed.
#[derive(Debug)]
pub(crate) struct Signal(EventFd);

impl Signal {
    pub(crate) fn new() -> Result<Arc<Self>, Errno> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Arc::new(Self(EventFd::from_value_and_flags(0, flags)?)))
    }

    /// Something may have changed.
    pub(crate) fn raise(&self) {
        // If it cannot be written to, it is as full as can be, and can be read.
        let _written = self.0.write(1);
    }

    /// Takes note: what is looked at after this, and found not to be so, raises the signal when it is.
    pub(crate) fn drain(&self) {
        // If nothing can be read, it was not raised.
        let _read = self.0.read();
    }

    /// Waits until it is raised. Returns whether it was, rather than that the time is over.
    pub(crate) fn wait(&self, deadline: Option<Instant>) -> Result<bool, Errno> {
        let mut fds = [PollFd::new(self.as_fd(), PollFlags::POLLIN)];
        Ok(poll(&mut fds, time_until(deadline))? > 0)
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
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

/// The time that is left until the deadline, rounded up; for ever without one.
pub(crate) fn time_until(deadline: Option<Instant>) -> PollTimeout {
    let Some(deadline) = deadline else { return PollTimeout::NONE };
    let left = deadline.saturating_duration_since(Instant::now());
    let milliseconds = left.as_nanos().div_ceil(1_000_000).min(i32::MAX as u128);
    PollTimeout::try_from(milliseconds as i32).unwrap_or(PollTimeout::MAX)
}

/// When a time of so many milliseconds is over, which begins now; never if it is negative.
pub(crate) fn deadline_in(milliseconds: i64) -> Option<Instant> {
    let milliseconds = u64::try_from(milliseconds).ok()?;
    Instant::now().checked_add(Duration::from_millis(milliseconds))
}
