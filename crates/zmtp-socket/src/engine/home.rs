//! The runtime that a socket's tasks run on.

use std::pin::pin;
use std::sync::Mutex;
use std::time::Duration;

use tokio::runtime::Handle;

use crate::endpoint::Endpoint;
use crate::engine::panics::catch;
use crate::error::NoRuntime;
use crate::sync::lock;

/// The runtime of one socket: the one that it was first used on, for as long as that runs, then the next
/// one that it is used on.
#[derive(Debug, Default)]
pub(crate) struct Home(Mutex<Option<Handle>>);

impl Home {
    /// The runtime of the socket's tasks. If it has none, the caller's runtime becomes that.
    pub(crate) fn settle(&self) -> Result<Handle, NoRuntime> {
        let here = Handle::try_current().map_err(|_| NoRuntime::Absent)?;
        let mut home = lock(&self.0);
        if let Some(home) = home.as_ref().filter(|home| home.id() == here.id() || is_alive(home)) {
            return Ok(home.clone());
        }
        if !has_time(&here) {
            return Err(NoRuntime::WithoutTime);
        }
        *home = Some(here.clone());
        Ok(here)
    }

    /// The runtime of the socket's tasks, if it has ever had one.
    pub(crate) fn get(&self) -> Option<Handle> {
        lock(&self.0).clone()
    }
}

/// A runtime that has ended accepts no tasks.
fn is_alive(runtime: &Handle) -> bool {
    let probe = runtime.spawn(std::future::pending::<()>());
    let is_taken = !probe.is_finished();
    probe.abort();
    is_taken
}

/// Whether tasks of `runtime` can use timers. Tokio reports that only by a panic.
fn has_time(runtime: &Handle) -> bool {
    let _within = runtime.enter();
    catch(|| drop(tokio::time::sleep(Duration::ZERO))).is_ok()
}

/// Whether tasks of `runtime` can use the I/O that `endpoint` needs.
pub(crate) fn check_io(runtime: &Handle, endpoint: &Endpoint) -> Result<(), NoRuntime> {
    let needs_io = endpoint.is_of_the_system();
    if needs_io && !has_io(runtime) { Err(NoRuntime::WithoutIo) } else { Ok(()) }
}

/// Whether tasks of `runtime` can wait for descriptors. Tokio reports that only by a panic. (A failure
/// to get a descriptor, as when all are in use, is an error and no panic.)
#[cfg(unix)]
fn has_io(runtime: &Handle) -> bool {
    let _within = runtime.enter();
    catch(|| drop(tokio::net::UnixDatagram::unbound())).is_ok()
}

/// Without a descriptor that could be tried at no cost, the panic cannot be foreseen.
#[cfg(not(unix))]
fn has_io(_runtime: &Handle) -> bool {
    true
}

/// Polls `future` with the descriptors and timers of `runtime`, on whichever runtime it is polled.
pub(crate) async fn within<F: Future>(runtime: &Handle, future: F) -> F::Output {
    let mut future = pin!(future);
    std::future::poll_fn(|cx| {
        let _within = runtime.enter();
        future.as_mut().poll(cx)
    })
    .await
}

#[cfg(test)]
mod tests {
    use tokio::runtime::{Builder, Runtime};

    use super::*;

    fn runtimes() -> [Runtime; 2] {
        [Builder::new_current_thread(), Builder::new_multi_thread()]
            .map(|mut builder| builder.enable_all().build().unwrap())
    }

    #[test]
    fn a_runtime_is_home_until_it_ends() {
        for first in runtimes() {
            for second in runtimes() {
                let home = Home::default();
                assert_eq!(home.settle().unwrap_err(), NoRuntime::Absent);
                let settle = |runtime: &Runtime| {
                    runtime.block_on(async { home.settle().map(|handle| handle.id()) }).unwrap()
                };
                let ids = [&first, &second].map(|runtime| runtime.handle().id());
                assert_eq!([settle(&first), settle(&second)], [ids[0]; 2]);
                let third = runtimes();
                let gone = Home::default();
                let [third, _] = third;
                third.block_on(async { gone.settle() }).unwrap();
                drop(third);
                let moved = second.block_on(async { gone.settle() }).unwrap();
                assert_eq!(moved.id(), ids[1]);
            }
        }
    }

    #[test]
    fn a_runtime_without_what_is_needed_is_no_home() {
        let bare = Builder::new_current_thread().build().unwrap();
        let settled = bare.block_on(async { Home::default().settle() });
        assert_eq!(settled.unwrap_err(), NoRuntime::WithoutTime);
        let timed = Builder::new_current_thread().enable_time().build().unwrap();
        let settled = timed.block_on(async { Home::default().settle() }).unwrap();
        let endpoint = |text: &str| text.parse::<Endpoint>().unwrap();
        for (text, ok) in [("tcp://127.0.0.1:1", false), ("ipc:///x", false), ("inproc://x", true)]
        {
            assert_eq!(check_io(&settled, &endpoint(text)).is_ok(), ok, "{text}");
        }
    }
}
