//! The thread that does the network I/O.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, process, thread};

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio_util::sync::CancellationToken;

use super::park;
use crate::error::{Closed, RecvError, TryRecvError};

/// A thread with a runtime. It ends when this is dropped.
///
/// A fork copies this value, but not the thread. In the new process every call that waits or needs the
/// runtime therefore fails: it would hang, or disturb what both processes share.
pub(super) struct IoThread {
    runtime: Handle,
    end: CancellationToken,
    /// The process that the thread runs in.
    process: u32,
}

impl IoThread {
    pub(super) fn start() -> Arc<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system gives descriptors for a runtime");
        let (handle, end) = (runtime.handle().clone(), CancellationToken::new());
        let this = Self { runtime: handle, end: end.clone(), process: process::id() };
        let work = move || runtime.block_on(end.cancelled());
        let thread = thread::Builder::new().name("zmtp-io".into()).spawn(work);
        thread.expect("the system gives a thread");
        Arc::new(this)
    }

    /// Whether the thread belongs to this process, and was not left behind by a fork.
    fn is_here(&self) -> bool {
        self.process == process::id()
    }

    /// Enters the runtime: until the guard is dropped, the caller can use it and spawn tasks on it.
    pub(super) fn enter(&self) -> Result<EnterGuard<'_>, Closed> {
        if self.is_here() { Ok(self.runtime.enter()) } else { Err(Closed) }
    }

    /// Waits on the caller's thread for `future`, which may use the runtime.
    pub(super) fn block_on<F: Future>(&self, future: F) -> Result<F::Output, Closed> {
        let _within = self.enter()?;
        Ok(park::block_on(future))
    }

    /// Waits on the caller's thread for something that this thread causes.
    pub(super) fn wait<T, E: From<Closed>>(
        &self,
        coming: impl Future<Output = Result<T, E>>,
    ) -> Result<T, E> {
        if self.is_here() { park::block_on(coming) } else { Err(Closed.into()) }
    }

    /// As [`wait`](Self::wait), but no longer than `time`.
    pub(super) fn wait_for<T, E: From<Closed>>(
        &self,
        time: Duration,
        coming: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, E> {
        match self.is_here() {
            true => park::block_for(time, coming).transpose(),
            false => Err(Closed.into()),
        }
    }

    /// Waits for something to be received, but no longer than `time`.
    pub(super) fn receive_for<T>(
        &self,
        time: Duration,
        receiving: impl Future<Output = Result<T, RecvError>>,
    ) -> Result<T, TryRecvError> {
        match self.wait_for(time, receiving) {
            Ok(received) => received.ok_or(TryRecvError::Empty),
            Err(RecvError::Closed(closed)) => Err(closed.into()),
        }
    }

    /// Waits for `task`, which runs on this thread and not on the caller's.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        if self.is_here() {
            park::block_on(self.runtime.spawn(task)).expect("nothing of ours panics");
        }
    }

    /// Runs `last` in the background, and keeps the thread for it.
    pub(super) fn finish(self: &Arc<Self>, last: impl Future<Output = ()> + Send + 'static) {
        if !self.is_here() {
            return;
        }
        let this = self.clone();
        self.runtime.spawn(async move {
            last.await;
            drop(this);
        });
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        if self.is_here() {
            self.end.cancel();
        }
    }
}

impl fmt::Debug for IoThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoThread").finish_non_exhaustive()
    }
}
