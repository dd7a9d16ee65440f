//! The thread that does the network's work.

use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle};
use tokio_util::sync::CancellationToken;

use crate::{Closed, RecvError, TryRecvError};

/// A thread with a runtime. It ends when this is dropped.
pub(super) struct IoThread {
    runtime: Handle,
    end: CancellationToken,
}

impl IoThread {
    pub(super) fn start() -> Arc<Self> {
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.expect("the system gives descriptors for a runtime");
        let end = CancellationToken::new();
        let this = Self { runtime: runtime.handle().clone(), end: end.clone() };
        let work = move || runtime.block_on(end.cancelled());
        let thread = thread::Builder::new().name("zmtp-io".into()).spawn(work);
        thread.expect("the system gives a thread");
        Arc::new(this)
    }

    /// Waits for `future` on the caller's thread.
    pub(super) fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    /// As [`block_on`](Self::block_on), but no longer than `time`.
    pub(super) fn block_for<F: Future>(&self, time: Duration, future: F) -> Option<F::Output> {
        // The timer must be made on the runtime.
        self.runtime.block_on(async { tokio::time::timeout(time, future).await.ok() })
    }

    /// Waits for somebody to be there, but no longer than `time`. Returns whether there is.
    pub(super) fn wait_for(
        &self,
        time: Duration,
        coming: impl Future<Output = Result<(), Closed>>,
    ) -> Result<bool, Closed> {
        self.block_for(time, coming).map_or(Ok(false), |there| there.map(|()| true))
    }

    /// Waits for something to be received, but no longer than `time`.
    pub(super) fn receive_for<T>(
        &self,
        time: Duration,
        receiving: impl Future<Output = Result<T, RecvError>>,
    ) -> Result<T, TryRecvError> {
        match self.block_for(time, receiving) {
            Some(Ok(received)) => Ok(received),
            Some(Err(RecvError::Closed(closed))) => Err(closed.into()),
            None => Err(TryRecvError::Empty),
        }
    }

    /// Waits for `task`, which runs on this thread and not on the caller's.
    pub(super) fn run(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.block_on(self.runtime.spawn(task)).expect("nothing of ours panics");
    }

    /// Lets what is called meanwhile spawn its tasks here.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        self.runtime.enter()
    }

    /// Runs `last` in the background, and keeps the thread for it.
    pub(super) fn finish(self: &Arc<Self>, last: impl Future<Output = ()> + Send + 'static) {
        let this = self.clone();
        self.runtime.spawn(async move {
            last.await;
            drop(this);
        });
    }
}

impl Drop for IoThread {
    fn drop(&mut self) {
        self.end.cancel();
    }
}

impl fmt::Debug for IoThread {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("IoThread").finish_non_exhaustive()
    }
}
