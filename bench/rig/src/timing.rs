//! Waiting, on a tokio runtime or without one.

use std::os::fd::OwnedFd;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use nix::sys::time::TimeSpec;
use nix::sys::timerfd::{ClockId, Expiration, TimerFd, TimerFlags, TimerSetTimeFlags};
use tokio::io::unix::AsyncFd;
use tokio::runtime::{Builder, Handle, Runtime};

use crate::Args;

/// The tokio runtime that `--rt` names: `current` (the default) or `multi`, with two workers.
pub fn runtime(args: &Args) -> Runtime {
    let mut builder = match args.rt.as_deref() {
        None | Some("current") => Builder::new_current_thread(),
        Some("multi") => Builder::new_multi_thread(),
        Some(other) => panic!("--rt is current or multi, not {other}"),
    };
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

/// Runs a future that waits only by blocking the thread.
pub fn run_ready<F: Future>(future: F) -> F::Output {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(output) => output,
        Poll::Pending => panic!("a blocking peer has nothing to await"),
    }
}

/// Sleeps: on the present runtime's timer, or, outside of a runtime, with the thread.
pub async fn sleep(duration: Duration) {
    match Handle::try_current() {
        Ok(_) => tokio::time::sleep(duration).await,
        Err(_) => std::thread::sleep(duration),
    }
}

/// A steady beat from the kernel: tokio's own timer is too coarse for 100 µs.
#[derive(Debug)]
pub struct Ticker(Beat);

#[derive(Debug)]
enum Beat {
    Blocking(OwnedFd),
    Tokio(AsyncFd<OwnedFd>),
}

impl Ticker {
    /// Begins to beat.
    pub fn new(period: Duration) -> Self {
        let on_runtime = Handle::try_current().is_ok();
        let flags = if on_runtime { TimerFlags::TFD_NONBLOCK } else { TimerFlags::empty() };
        let timer = TimerFd::new(ClockId::CLOCK_MONOTONIC, flags).expect("a timer");
        let beat = Expiration::Interval(TimeSpec::from(period));
        timer.set(beat, TimerSetTimeFlags::empty()).expect("a period above zero");
        let timer = OwnedFd::from(timer);
        Self(if on_runtime { Beat::Tokio(register(timer)) } else { Beat::Blocking(timer) })
    }

    /// Waits for the next beat. Beats that were missed count as one.
    pub async fn tick(&self) {
        let mut expirations = [0; 8];
        match &self.0 {
            Beat::Blocking(timer) => {
                nix::unistd::read(timer, &mut expirations).expect("a timer can be read");
            }
            Beat::Tokio(timer) => loop {
                let mut ready = timer.readable().await.expect("the runtime is there");
                match ready.try_io(|timer| Ok(nix::unistd::read(timer, &mut expirations)?)) {
                    Ok(read) => {
                        read.expect("a timer can be read");
                        return;
                    }
                    Err(_would_block) => {}
                }
            },
        }
    }
}

#[expect(unsafe_code, reason = "an OwnedFd names one open descriptor for as long as it lives")]
fn register(timer: OwnedFd) -> AsyncFd<OwnedFd> {
    unsafe { AsyncFd::register(timer) }.expect("a runtime with I/O")
}
