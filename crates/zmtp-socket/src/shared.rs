//! What a socket's tasks share: its options, its endpoints, and the signals that end it.

use std::collections::HashMap;
use std::future::Future;
use std::process;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::admission::Admission;
use crate::monitor::Events;
use crate::options::{SocketOptions, Terms};
use crate::peer::PeerId;
use crate::sync::lock;
use crate::transport::Networks;
use crate::{Closed, Endpoint, Linger, NoRuntime, Peer, UnknownEndpoint};

/// What all tasks of one socket have at hand.
pub(crate) struct Shared {
    pub(crate) networks: Networks,
    /// For every endpoint that is told nothing else.
    pub(crate) terms: Arc<Terms>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) events: Arc<Events>,
    /// Cancelled when the socket closes: deliver what is queued, begin nothing new.
    pub(crate) drain: CancellationToken,
    /// Cancelled when lingering is over: end at once.
    abort: CancellationToken,
    tasks: TaskTracker,
    pub(crate) doors: Mutex<HashMap<(Side, Endpoint), Door>>,
    peers: AtomicU64,
    /// How long a closed socket delivers, if [`linger`](Self::linger) is told nothing else.
    pub(crate) linger: Linger,
    runtime: OnceLock<Handle>,
    /// The process that the socket was made in.
    process: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Bound,
    Connected,
}

/// One endpoint of a socket, and all that runs behind it.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) endpoint: Endpoint,
    /// For the connections to come.
    terms: Arc<Mutex<Arc<Terms>>>,
    pub(crate) stop: CancellationToken,
    /// Wakes a connector that was refused, or waits for its next attempt.
    pub(crate) unpark: Arc<Notify>,
    tasks: TaskTracker,
}

impl Door {
    /// The terms for a connection that begins now.
    pub(crate) fn terms(&self) -> Arc<Terms> {
        lock(&self.terms).clone()
    }

    pub(crate) fn set_terms(&self, terms: Arc<Terms>) {
        *lock(&self.terms) = terms;
    }
}

impl Shared {
    pub(crate) fn new(
        networks: Networks,
        terms: Arc<Terms>,
        options: SocketOptions,
        linger: Linger,
        events: Arc<Events>,
    ) -> Self {
        Self {
            networks,
            terms,
            admission: Admission::new(options),
            events,
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            doors: Mutex::default(),
            peers: AtomicU64::new(0),
            linger,
            runtime: OnceLock::new(),
            process: process::id(),
        }
    }

    /// Whether the process is a copy that was forked off since the socket was made. Its runtime is not
    /// there, and its descriptors are the other process's too.
    pub(crate) fn is_forked(&self) -> bool {
        self.process != process::id()
    }

    pub(crate) fn new_peer(&self, endpoint: &Endpoint, address: &str) -> Peer {
        let id = PeerId(self.peers.fetch_add(1, Ordering::Relaxed) + 1);
        Peer::new(id, endpoint.clone(), address)
    }

    /// Runs `task` for one endpoint of this socket.
    pub(crate) fn spawn<T: Send + 'static>(
        &self,
        door: &Door,
        task: impl Future<Output = T> + Send + 'static,
        runtime: &Handle,
    ) {
        let task = door.tasks.track_future(task);
        self.tasks.spawn_on(task, runtime);
    }

    pub(crate) fn runtime(&self) -> Result<Handle, NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        Ok(self.runtime.get_or_init(|| runtime.clone()).clone())
    }

    pub(crate) fn check_open(&self) -> Result<(), Closed> {
        if self.drain.is_cancelled() { Err(Closed) } else { Ok(()) }
    }

    pub(crate) fn new_door(&self, endpoint: Endpoint, terms: Arc<Terms>) -> Door {
        let (stop, unpark) = (self.abort.child_token(), Arc::new(Notify::new()));
        let terms = Arc::new(Mutex::new(terms));
        Door { endpoint, terms, stop, unpark, tasks: TaskTracker::new() }
    }

    /// The endpoints that are open at this side.
    pub(crate) fn endpoints(&self, side: Side) -> Vec<Endpoint> {
        let doors = lock(&self.doors);
        let at_side = doors.keys().filter(|(its_side, _)| *its_side == side);
        at_side.map(|(_, endpoint)| endpoint.clone()).collect()
    }

    /// Ends an endpoint with all its connections.
    pub(crate) async fn shut(
        &self,
        side: Side,
        endpoint: &Endpoint,
    ) -> Result<(), UnknownEndpoint> {
        let door = lock(&self.doors).remove(&(side, endpoint.clone()));
        let door = door.ok_or_else(|| match side {
            Side::Bound => UnknownEndpoint::NotBound(endpoint.clone()),
            Side::Connected => UnknownEndpoint::NotConnected(endpoint.clone()),
        })?;
        door.stop.cancel();
        door.tasks.close();
        door.tasks.wait().await;
        Ok(())
    }

    /// Begins the end: no endpoint is opened any more, and the connections deliver what is queued.
    pub(crate) fn drain(&self) {
        // Under this lock, so that no task is spawned after it.
        let _doors = lock(&self.doors);
        self.drain.cancel();
        self.tasks.close();
    }

    /// Whether all tasks have ended.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until all tasks have ended, as they do when drained, but no longer than
    /// `linger` says.
    pub(crate) async fn linger(&self, linger: Linger) {
        match linger {
            Linger::Forever => self.tasks.wait().await,
            Linger::For(time) => {
                // Elapsed or not: what is left is ended and counted by the caller.
                let _elapsed = tokio::time::timeout(time, self.tasks.wait()).await;
            }
        }
        self.abort.cancel();
        self.tasks.wait().await;
    }

    /// Nothing runs any more: whoever watches is told.
    pub(crate) fn end(&self) {
        lock(&self.doors).clear();
        self.events.end();
    }

    /// The runtime that this socket's tasks run on, once it has any.
    pub(crate) fn home(&self) -> Option<&Handle> {
        self.runtime.get()
    }
}
