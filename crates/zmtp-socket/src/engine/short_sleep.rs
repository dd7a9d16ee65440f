//! Sleeping for less than a millisecond, which the runtime's timers cannot do.

#[cfg(target_os = "linux")]
pub(crate) use linux::ShortSleep;
#[cfg(not(target_os = "linux"))]
pub(crate) use none::ShortSleep;

#[cfg(target_os = "linux")]
mod linux {
    use std::io;
    use std::os::fd::OwnedFd;
    use std::task::{Context, Poll, ready};
    use std::time::Duration;

    use rustix::io::read;
    use rustix::time::{
        Itimerspec, TimerfdClockId, TimerfdFlags, TimerfdTimerFlags, Timespec, timerfd_create,
        timerfd_settime,
    };
    use tokio::io::Interest;
    use tokio::io::unix::AsyncFd;

    use crate::engine::panics::catch;

    /// A timer of the system, as a descriptor that the runtime polls.
    #[derive(Debug)]
    pub(crate) struct ShortSleep(AsyncFd<OwnedFd>);

    impl ShortSleep {
        /// A timer for a task, if the system has another one and the runtime does I/O. Tokio reports
        /// that it does not only by a panic.
        #[expect(deprecated, reason = "unsound for types that lie, of which `OwnedFd` is none")]
        pub(crate) fn new() -> io::Result<Self> {
            let flags = TimerfdFlags::NONBLOCK | TimerfdFlags::CLOEXEC;
            let timer = timerfd_create(TimerfdClockId::Monotonic, flags)?;
            let polled = catch(|| AsyncFd::with_interest(timer, Interest::READABLE));
            Ok(Self(polled.map_err(|_panic| io::ErrorKind::Unsupported)??))
        }

        /// Starts the timer again, for less than a second. Zero would never elapse.
        pub(crate) fn start(&self, time: Duration) -> io::Result<()> {
            let once = Timespec { tv_sec: 0, tv_nsec: 0 };
            let time = Timespec { tv_sec: 0, tv_nsec: time.subsec_nanos().into() };
            let setting = Itimerspec { it_interval: once, it_value: time };
            Ok(timerfd_settime(&self.0, TimerfdTimerFlags::empty(), &setting).map(drop)?)
        }

        /// Waits until the timer elapses.
        pub(crate) fn poll(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            loop {
                let mut guard = ready!(self.0.poll_read_ready(cx))?;
                let expired = guard.try_io(|timer| Ok(read(timer, &mut [0; 8])?));
                // The timer was started again after it had been reported as ready.
                let Ok(expired) = expired else { continue };
                // It elapses once, and is ready again only after another start. Without this, the next
                // call would read in vain.
                guard.clear_ready();
                return Poll::Ready(expired.map(drop));
            }
        }
    }
}

#[cfg(not(target_os = "linux"))]
mod none {
    use std::io;
    use std::task::{Context, Poll};
    use std::time::Duration;

    /// This system has no such timer.
    #[derive(Debug)]
    pub(crate) enum ShortSleep {}

    impl ShortSleep {
        pub(crate) fn new() -> io::Result<Self> {
            Err(io::ErrorKind::Unsupported.into())
        }

        pub(crate) fn start(&self, _time: Duration) -> io::Result<()> {
            match *self {}
        }

        pub(crate) fn poll(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
            match *self {}
        }
    }
}
