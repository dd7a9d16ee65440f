//! The thread that does the network I/O.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;
use std::{fmt, thread};

use tokio::runtime::Builder;
use tokio::time::timeout;

use super::park;
use super::shared_runtime::SharedRuntime;
use crate::error::{Closed, RecvError, TryRecvError};

/// A thread with a runtime. It ends when this is dropped.
///
/// A fork copies this value, but not the thread. In the new process every call that waits or needs the
/// runtime therefore fails: it would hang, or disturb what both processes share.
pub(super) struct IoThread {
    runtime: SharedRuntime,
}

impl IoThread {
    pub(super) fn start() -> Arc<Self> {
        let thread = thread::Builder::new().name("zmtp-io".into());
        let runtime =
            SharedRuntime::start(Builder::new_current_thread().enable_all(), thread, || {});
        let runtime = runtime.expect("the system gives a thread, and descriptors for a runtime");
        Arc::new(Self { runtime })
    }

    /// Makes a call within the runtime: it can use that and spawn tasks on it.
    pub(super) fn within<T>(&self, call: impl FnOnce() -> T) -> Result<T, Closed> {
        if !self.runtime.is_here() {
            return Err(Closed);
        }
        let _within = self.runtime.handle().enter();
        let made = call();
        self.attend();
        Ok(made)
    }

    /// Has the tasks run that a call has woken.
    #[inline]
    pub(super) fn attend(&self) {
        self.runtime.attend();
    }

    /// Takes note that a caller has looked for what is not there yet, and does not wait.
    pub(super) fn looked_in_vain(&self) {
        self.runtime.looked_in_vain();
    }

    /// Waits on the caller's thread for `future`, which may use the runtime.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Closed> {
        let mut future = pin!(future);
        // Only polled within the runtime: a thread that is within one cannot run it.
        let within = poll_fn(|cx| {
            let _within = self.runtime.handle().enter();
            future.as_mut().poll(cx)
        });
        self.wait(async { Ok(within.await) })
    }

    /// Waits on the caller's thread for something that this thread causes.
    pub(super) fn wait<T, E: From<Closed>>(
        &self,
        coming: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        match self.runtime.is_here() {
            true => self.block(None, coming).expect("there is no deadline"),
            false => Err(Closed.into()),
        }
    }

    /// As [`wait`](Self::wait), but no longer than `time`.
    pub(super) fn wait_for<T, E: From<Closed>>(
        &self,
        time: Duration,
        coming: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        match self.runtime.is_here() {
            true => self.block(Some(time), coming).transpose(),
            false => Err(Closed.into()),
        }
    }

    /// Waits for something to be received, but no longer than `time`.
    pub(super) fn receive_for<T>(
        &self,
        time: Duration,
        receiving: impl Future<Output = Result<T, RecvError>>,
    ) -> Result<T, TryRecvError> {
        if !self.runtime.is_here() {
            return Err(Closed.into());
        }
        match self.block(Some(time), receiving) {
            Some(received) => received.map_err(|RecvError::Closed(closed)| closed.into()),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Waits for `future`, but no longer than `time`.
    fn block<F: Future>(&self, time: Option<Duration>, future: F) -> Option<F::Output> {
        let mut future = pin!(future);
        // Most are done at once, and leave the runtime alone.
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            self.attend();
            return Some(output);
        }
        let wait = self.runtime.begin(true);
        match (wait.runtime(), time) {
            (Some(runtime), None) => Some(runtime.block_on(future)),
            (Some(runtime), Some(time)) => {
                runtime.block_on(async { timeout(time, future).await.ok() })
            }
            (None, None) => Some(park::block_on(future)),
            (None, Some(time)) => park::block_for(time, future),
        }
    }

    /// Waits for `task`, which runs on this thread and not on the caller's.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.runtime.is_here() {
            let task = self.runtime.handle().spawn(task);
            let _wait = self.runtime.begin(false);
            park::block_on(task).expect("nothing of ours panics");
        }
    }

    /// Runs `last` in the background, and keeps the thread for it.
    pub(super) fn finish(self: &Arc<Self>, last: impl Future<Output = ()> + Send + 'static) {
        if !self.runtime.is_here() {
            return;
        }
        let this = self.clone();
        self.runtime.handle().spawn(async move {
            last.await;
            drop(this);
        });
        self.attend();
    }
}

impl fmt::Debug for IoThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoThread").finish_non_exhaustive()
    }
}
