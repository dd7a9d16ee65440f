//! What every socket is, whatever it is for: endpoints, the tasks behind them, and an end.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::future::Future;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};

use tokio::runtime::Handle;
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use zmtp_codec::Config;

use crate::connector::connect;
use crate::driver::Core;
use crate::endpoint::IntoEndpoint;
use crate::listener::listen;
use crate::monitor::Events;
use crate::options::LinkOptions;
use crate::peer::PeerId;
use crate::sync::lock;
use crate::transport::Listener;
use crate::{
    BindError, Closed, ConnectError, Context, Endpoint, Event, Linger, Monitor, NoRuntime, Peer,
    UnknownEndpoint, context,
};

/// A socket of any type. Dropping it closes it in the background.
pub(crate) struct Socket<C: Core> {
    pub(crate) core: Arc<C>,
    pub(crate) shared: Arc<Shared>,
}

/// What a socket's tasks share.
pub(crate) struct Shared {
    pub(crate) context: Arc<context::Shared>,
    pub(crate) options: LinkOptions,
    pub(crate) config: Arc<Config>,
    pub(crate) events: Arc<Events>,
    /// Cancelled when the socket closes: deliver what is queued, begin nothing new.
    pub(crate) drain: CancellationToken,
    /// Cancelled when lingering is over: end at once.
    abort: CancellationToken,
    tasks: TaskTracker,
    doors: Mutex<HashMap<(Side, Endpoint), Door>>,
    peers: AtomicU64,
    linger: Linger,
    runtime: OnceLock<Handle>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Side {
    Bound,
    Connected,
}

/// One endpoint of a socket, and all that runs behind it.
#[derive(Clone)]
pub(crate) struct Door {
    pub(crate) endpoint: Endpoint,
    pub(crate) stop: CancellationToken,
    /// Wakes a connector that was refused, or waits for its next attempt.
    pub(crate) unpark: Arc<Notify>,
    tasks: TaskTracker,
}

impl<C: Core> Socket<C> {
    pub(crate) fn new(
        context: &Context,
        core: C,
        options: LinkOptions,
        config: Config,
        linger: Linger,
        events: Arc<Events>,
    ) -> Self {
        let shared = Shared {
            context: context.shared.clone(),
            options,
            config: Arc::new(config),
            events,
            drain: CancellationToken::new(),
            abort: CancellationToken::new(),
            tasks: TaskTracker::new(),
            doors: Mutex::default(),
            peers: AtomicU64::new(0),
            linger,
            runtime: OnceLock::new(),
        };
        Self { core: Arc::new(core), shared: Arc::new(shared) }
    }

    pub(crate) async fn bind(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, BindError> {
        let endpoint = endpoint.into_endpoint()?;
        self.shared.config.validate()?;
        let runtime = self.shared.runtime()?;
        let bound = Listener::bind(&endpoint, &self.shared.context).await;
        let (listener, endpoint) =
            bound.map_err(|source| BindError::Refused { endpoint, source })?;
        let door = self.shared.new_door(endpoint.clone());
        let task = listen(listener, door.clone(), self.core.clone(), self.shared.clone());
        let mut doors = lock(&self.shared.doors);
        self.shared.check_open()?;
        // The event comes before those of the first peer.
        self.shared.events.emit(|| Event::Listening { endpoint: endpoint.clone() });
        self.shared.spawn(&door, task, &runtime);
        doors.insert((Side::Bound, endpoint.clone()), door);
        Ok(endpoint)
    }

    pub(crate) fn connect(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, ConnectError> {
        let endpoint = endpoint.into_endpoint()?;
        endpoint.for_connect()?;
        self.shared.config.validate()?;
        let runtime = self.shared.runtime()?;
        let mut doors = lock(&self.shared.doors);
        self.shared.check_open()?;
        match doors.entry((Side::Connected, endpoint.clone())) {
            Entry::Occupied(door) => door.get().unpark.notify_waiters(),
            Entry::Vacant(place) => {
                let door = place.insert(self.shared.new_door(endpoint.clone()));
                let task = connect(door.clone(), self.core.clone(), self.shared.clone());
                self.shared.spawn(door, task, &runtime);
            }
        }
        Ok(endpoint)
    }

    pub(crate) async fn unbind(&self, endpoint: &Endpoint) -> Result<(), UnknownEndpoint> {
        self.shared.shut(Side::Bound, endpoint).await
    }

    pub(crate) async fn disconnect(&self, endpoint: &Endpoint) -> Result<(), UnknownEndpoint> {
        self.shared.shut(Side::Connected, endpoint).await
    }

    pub(crate) fn monitor(&self) -> Monitor {
        self.shared.events.monitor()
    }

    pub(crate) async fn close(&self) -> usize {
        self.begin_close();
        finish_close(self.core.clone(), self.shared.clone()).await
    }

    /// Closes the socket; lingers for as long as the runtime lives.
    pub(crate) fn close_in_background(&self) {
        self.begin_close();
        if self.shared.tasks.is_empty() {
            self.shared.end();
        } else if let Some(runtime) = self.shared.runtime.get() {
            runtime.spawn(finish_close(self.core.clone(), self.shared.clone()));
        }
    }

    /// Closes the socket for its user; the tasks go on to deliver what is queued.
    fn begin_close(&self) {
        // Under this lock, so that no task is spawned after it.
        let _doors = lock(&self.shared.doors);
        self.core.close();
        self.shared.drain.cancel();
        self.shared.tasks.close();
    }
}

/// Lingers, then ends all tasks. Returns how many messages were left.
async fn finish_close<C: Core>(core: Arc<C>, shared: Arc<Shared>) -> usize {
    match shared.linger {
        Linger::Forever => shared.tasks.wait().await,
        Linger::For(time) => {
            // Elapsed or not: what is left is counted below.
            let _elapsed = tokio::time::timeout(time, shared.tasks.wait()).await;
        }
    }
    shared.abort.cancel();
    shared.tasks.wait().await;
    shared.end();
    core.undelivered()
}

impl<C: Core> Drop for Socket<C> {
    fn drop(&mut self) {
        self.close_in_background();
    }
}

impl Shared {
    pub(crate) fn new_peer(&self, endpoint: &Endpoint, address: &str) -> Peer {
        let id = PeerId(self.peers.fetch_add(1, Ordering::Relaxed) + 1);
        Peer::new(id, endpoint.clone(), address)
    }

    /// Runs `task` for one endpoint of this socket.
    pub(crate) fn spawn(
        &self,
        door: &Door,
        task: impl Future<Output = ()> + Send + 'static,
        runtime: &Handle,
    ) {
        let task = door.tasks.track_future(task);
        self.tasks.spawn_on(task, runtime);
    }

    fn runtime(&self) -> Result<Handle, NoRuntime> {
        let runtime = Handle::try_current().map_err(|_| NoRuntime)?;
        Ok(self.runtime.get_or_init(|| runtime.clone()).clone())
    }

    fn check_open(&self) -> Result<(), Closed> {
        if self.drain.is_cancelled() { Err(Closed) } else { Ok(()) }
    }

    fn new_door(&self, endpoint: Endpoint) -> Door {
        let (stop, unpark) = (self.abort.child_token(), Arc::new(Notify::new()));
        Door { endpoint, stop, unpark, tasks: TaskTracker::new() }
    }

    /// Nothing runs any more: whoever watches is told.
    fn end(&self) {
        lock(&self.doors).clear();
        self.events.end();
    }

    /// Ends an endpoint with all its connections.
    async fn shut(&self, side: Side, endpoint: &Endpoint) -> Result<(), UnknownEndpoint> {
        let door = lock(&self.doors).remove(&(side, endpoint.clone()));
        let door = door.ok_or_else(|| UnknownEndpoint {
            endpoint: endpoint.clone(),
            state: match side {
                Side::Bound => "bound",
                Side::Connected => "connected",
            },
        })?;
        door.stop.cancel();
        door.tasks.close();
        door.tasks.wait().await;
        Ok(())
    }
}
