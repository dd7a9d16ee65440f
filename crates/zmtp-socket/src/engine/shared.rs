//! The state that a socket's tasks share: its options, its endpoints, and the signals that end it.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::{io, process};

use tokio::sync::Notify;
use tokio_util::task::TaskTracker;

use crate::endpoint::Endpoint;
use crate::engine::admission::Admission;
use crate::engine::home::{Home, within};
use crate::engine::signal::{Killed, Signals};
use crate::engine::transport::{Connected, Listener, Networks};
use crate::error::{Closed, UnknownEndpoint};
use crate::monitor::Events;
use crate::options::{Linger, LinkConfig, SocketOptions};
use crate::peer::{Peer, PeerId};
use crate::sync::lock;

/// The state that all tasks of one socket share.
pub(crate) struct Shared {
    pub(crate) networks: Networks,
    /// The options of each endpoint that has none of its own.
    pub(crate) terms: Arc<LinkConfig>,
    pub(crate) admission: Arc<Admission>,
    pub(crate) events: Arc<Events>,
    /// The socket is closed: its tasks deliver the queued messages and begin nothing new. Set under the
    /// lock of `endpoints`.
    closed: AtomicBool,
    tasks: TaskTracker,
    pub(crate) endpoints: Mutex<HashMap<(Side, Endpoint), Arc<EndpointTask>>>,
    peers: AtomicU64,
    /// How long a closed socket delivers, unless [`linger`](Self::linger) is called with another value.
    pub(crate) linger: Linger,
    pub(crate) home: Home,
    /// Whether a receiver looks on for a while before its thread sleeps.
    pub(crate) spins: bool,
    /// The task of some endpoint has ended with its runtime.
    stranded: AtomicBool,
    /// The process that the socket was made in.
    process: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    Bound,
    Connected,
}

/// One endpoint of a socket, and the state that its task and its connections share.
pub(crate) struct EndpointTask {
    pub(crate) side: Side,
    pub(crate) endpoint: Endpoint,
    /// The options for new connections.
    terms: Mutex<Arc<LinkConfig>>,
    /// The signals that end the task and its connections.
    signals: Signals,
    /// Wakes a connector that is parked or waits for its next attempt.
    pub(crate) unpark: Notify,
    /// The listener of a bound endpoint. It is taken out by the caller that ends the endpoint, so that
    /// the address is free before the task has run again.
    listener: Mutex<Option<Listener>>,
    /// The endpoint to bind again when the listener was lost with its runtime.
    asked: Endpoint,
    /// The task has ended with its runtime.
    stranded: AtomicBool,
    tasks: TaskTracker,
}

impl EndpointTask {
    /// An endpoint that was bound as `endpoint` when `asked` was asked for.
    pub(crate) fn bound(
        asked: Endpoint,
        endpoint: Endpoint,
        terms: Arc<LinkConfig>,
        listener: Listener,
    ) -> Arc<Self> {
        let asked = match (asked, &endpoint) {
            // Peers know the port that was chosen, so it is bound again.
            (Endpoint::Tcp { host, .. }, &Endpoint::Tcp { port, .. }) => {
                Endpoint::Tcp { host, port }
            }
            #[cfg(feature = "ws")]
            (Endpoint::Ws { host, path, .. }, &Endpoint::Ws { port, .. }) => {
                Endpoint::Ws { host, port, path }
            }
            #[cfg(feature = "wss")]
            (Endpoint::Wss { host, path, .. }, &Endpoint::Wss { port, .. }) => {
                Endpoint::Wss { host, port, path }
            }
            _ => endpoint.clone(),
        };
        Self::new(Side::Bound, asked, endpoint, terms, Some(listener))
    }

    pub(crate) fn connected(endpoint: Endpoint, terms: Arc<LinkConfig>) -> Arc<Self> {
        Self::new(Side::Connected, endpoint.clone(), endpoint, terms, None)
    }

    fn new(
        side: Side,
        asked: Endpoint,
        endpoint: Endpoint,
        terms: Arc<LinkConfig>,
        listener: Option<Listener>,
    ) -> Arc<Self> {
        Arc::new(Self {
            side,
            endpoint,
            terms: Mutex::new(terms),
            signals: Signals::default(),
            unpark: Notify::new(),
            listener: Mutex::new(listener),
            asked,
            stranded: AtomicBool::new(false),
            tasks: TaskTracker::new(),
        })
    }

    /// The options for a connection that begins now.
    pub(crate) fn terms(&self) -> Arc<LinkConfig> {
        lock(&self.terms).clone()
    }

    pub(crate) fn set_terms(&self, terms: Arc<LinkConfig>) {
        *lock(&self.terms) = terms;
    }

    /// The signal for another task of this endpoint.
    pub(crate) fn signal(&self) -> Killed {
        self.signals.add()
    }

    /// The next peer that arrives. Pending for ever if the listener has been closed.
    pub(crate) fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        match &mut *lock(&self.listener) {
            Some(listener) => listener.poll_accept(cx),
            None => Poll::Pending,
        }
    }

    pub(crate) fn is_listening(&self) -> bool {
        lock(&self.listener).is_some()
    }

    /// Binds the address again.
    pub(crate) async fn listen_anew(&self, networks: &Networks) -> io::Result<()> {
        let terms = self.terms();
        let (listener, _) = Listener::bind(&self.asked, networks, &terms.options).await?;
        *lock(&self.listener) = Some(listener);
        Ok(())
    }

    /// Frees the address.
    pub(crate) fn close_listener(&self) {
        // The listener is dropped after the lock is released.
        let _listener = lock(&self.listener).take();
    }

    // The signal comes first: a task that finds no listener, and has no signal to end, would bind the
    // address again.

    fn drain(&self) {
        self.signals.drain();
        self.close_listener();
    }

    fn stop(&self) {
        self.signals.stop();
        self.close_listener();
    }
}

impl Shared {
    pub(crate) fn new(
        networks: Networks,
        terms: Arc<LinkConfig>,
        options: SocketOptions,
        linger: Linger,
        events: Arc<Events>,
    ) -> Self {
        Self {
            // A simulation that depends on the time it takes could not be repeated.
            spins: options.spin && !networks.are_simulated(),
            networks,
            terms,
            admission: Admission::new(options),
            events,
            closed: AtomicBool::new(false),
            tasks: TaskTracker::new(),
            endpoints: Mutex::default(),
            peers: AtomicU64::new(0),
            linger,
            home: Home::default(),
            stranded: AtomicBool::new(false),
            process: process::id(),
        }
    }

    /// Whether this process was forked off after the socket was made. The socket's runtime does not run
    /// here, and its descriptors belong to the other process too.
    pub(crate) fn is_forked(&self) -> bool {
        self.process != process::id()
    }

    /// A peer that was accepted.
    pub(crate) fn new_peer(&self, endpoint: &Endpoint, address: &str) -> Peer {
        Peer::new(self.next_id(), endpoint.clone(), address)
    }

    /// A peer that was dialled.
    pub(crate) fn dialled_peer(&self, endpoint: &Endpoint, address: &str) -> Peer {
        Peer::dialled(self.next_id(), endpoint.clone(), address)
    }

    fn next_id(&self) -> PeerId {
        PeerId(self.peers.fetch_add(1, Ordering::Relaxed) + 1)
    }

    /// Counts `task` among the tasks of this endpoint and of this socket until it ends.
    pub(crate) fn track<T>(
        &self,
        endpoint: &EndpointTask,
        task: impl Future<Output = T> + Send + 'static,
    ) -> impl Future<Output = T> + Send + 'static {
        self.tasks.track_future(endpoint.tasks.track_future(task))
    }

    pub(crate) fn check_open(&self) -> Result<(), Closed> {
        if self.closed.load(Ordering::Acquire) { Err(Closed) } else { Ok(()) }
    }

    /// The open endpoints of this side.
    pub(crate) fn endpoints(&self, side: Side) -> Vec<Endpoint> {
        let endpoints = lock(&self.endpoints);
        let at_side = endpoints.keys().filter(|(its_side, _)| *its_side == side);
        at_side.map(|(_, endpoint)| endpoint.clone()).collect()
    }

    /// Notes that the task of an endpoint has ended with its runtime.
    pub(crate) fn strand(&self, endpoint: &EndpointTask) {
        endpoint.stranded.store(true, Ordering::Release);
        self.stranded.store(true, Ordering::Release);
    }

    /// Whether an endpoint is stranded that has not been [taken](Self::take_stranded) yet.
    pub(crate) fn has_stranded(&self) -> bool {
        self.stranded.load(Ordering::Acquire)
    }

    /// The stranded endpoints. Each is returned once.
    pub(crate) fn take_stranded(&self) -> Vec<Arc<EndpointTask>> {
        if !self.stranded.swap(false, Ordering::AcqRel) {
            return Vec::new();
        }
        let endpoints = lock(&self.endpoints);
        let stranded = |task: &&Arc<EndpointTask>| task.stranded.swap(false, Ordering::AcqRel);
        endpoints.values().filter(stranded).cloned().collect()
    }

    /// Ends an endpoint with all its connections. Calls `removed` before another endpoint can be opened
    /// in its place.
    pub(crate) async fn shut(
        &self,
        side: Side,
        endpoint: &Endpoint,
        removed: impl FnOnce(),
    ) -> Result<(), UnknownEndpoint> {
        let task = {
            let mut endpoints = lock(&self.endpoints);
            let task = endpoints.remove(&(side, endpoint.clone()));
            task.inspect(|_| removed())
        };
        let task = task.ok_or_else(|| match side {
            Side::Bound => UnknownEndpoint::NotBound(endpoint.clone()),
            Side::Connected => UnknownEndpoint::NotConnected(endpoint.clone()),
        })?;
        task.stop();
        task.tasks.close();
        task.tasks.wait().await;
        Ok(())
    }

    /// Closes the socket for new endpoints, and lets the connections deliver the queued messages.
    pub(crate) fn drain(&self) {
        {
            // Under this lock, so that no endpoint is opened afterwards.
            let _endpoints = lock(&self.endpoints);
            self.closed.store(true, Ordering::Release);
        }
        self.for_each_endpoint(EndpointTask::drain);
        self.tasks.close();
    }

    fn for_each_endpoint(&self, tell: impl Fn(&EndpointTask)) {
        let endpoints: Vec<_> = lock(&self.endpoints).values().cloned().collect();
        endpoints.iter().for_each(|endpoint| tell(endpoint));
    }

    /// Whether all tasks have ended.
    pub(crate) fn is_idle(&self) -> bool {
        self.tasks.is_empty()
    }

    /// Waits until all tasks have ended, which they do when drained, but no longer than `linger`. Then
    /// ends the remaining ones.
    pub(crate) async fn linger(&self, linger: Linger) {
        match linger {
            Linger::Forever => self.tasks.wait().await,
            // The timer is that of the socket's runtime, because the caller may be outside of any
            // runtime.
            Linger::For(time)
                if !self.tasks.is_empty()
                    && let Some(home) = self.home.get() =>
            {
                // The outcome does not matter: the remaining tasks are stopped below.
                let waiting = async { tokio::time::timeout(time, self.tasks.wait()).await };
                let _elapsed = within(&home, waiting).await;
            }
            Linger::For(_) => {}
        }
        self.for_each_endpoint(EndpointTask::stop);
        self.tasks.wait().await;
    }

    /// Forgets the endpoints and ends the monitors, after all tasks have ended.
    pub(crate) fn end(&self) {
        let _endpoints = std::mem::take(&mut *lock(&self.endpoints));
        self.events.end();
    }
}
