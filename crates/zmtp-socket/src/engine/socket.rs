//! What every socket is, whatever it is for: it binds, connects, and closes.

use std::collections::hash_map::Entry;
use std::mem;
use std::sync::Arc;
use std::task::Poll;

use tokio::runtime::Handle;

use crate::endpoint::{Endpoint, IntoEndpoint, OpenEndpoints};
use crate::engine::connector::connect;
use crate::engine::driver::Core;
use crate::engine::home::{check_io, within};
use crate::engine::listener::listen;
use crate::engine::shared::{EndpointTask, Shared, Side};
use crate::engine::transport::{Listener, Networks, check};
use crate::error::{BindError, ConnectError, NoRuntime, UnknownEndpoint};
use crate::monitor::{Event, Events, Monitor};
use crate::options::{EndpointOptions, Linger, LinkConfig, SocketOptions};
use crate::stats::{Stats, Unfinished};
use crate::sync::lock;

/// A socket of any type. Dropping it closes it in the background.
pub(crate) struct Socket<C: Core> {
    pub(crate) core: Arc<C>,
    pub(crate) shared: Arc<Shared>,
}

impl<C: Core> Socket<C> {
    pub(crate) fn new(
        networks: &Networks,
        core: C,
        terms: Arc<LinkConfig>,
        options: SocketOptions,
        linger: Linger,
        events: Arc<Events>,
    ) -> Self {
        let shared = Shared::new(networks.clone(), terms, options, linger, events);
        Self { core: Arc::new(core), shared: Arc::new(shared) }
    }

    /// The socket's own terms, but for what `change` makes of them.
    fn terms(&self, change: impl FnOnce(EndpointOptions) -> EndpointOptions) -> Arc<LinkConfig> {
        let terms = &self.shared.terms;
        let link = terms.options.clone();
        let options = change(EndpointOptions { link, ..EndpointOptions::default() });
        LinkConfig::new(options.link, terms.config.socket_type)
    }

    pub(crate) async fn bind(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, BindError> {
        self.bind_on(self.shared.terms.clone(), endpoint).await
    }

    pub(crate) async fn bind_with(
        &self,
        endpoint: impl IntoEndpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Result<Endpoint, BindError> {
        self.bind_on(self.terms(change), endpoint).await
    }

    async fn bind_on(
        &self,
        terms: Arc<LinkConfig>,
        endpoint: impl IntoEndpoint,
    ) -> Result<Endpoint, BindError> {
        let asked = endpoint.into_endpoint()?;
        terms.config.validate()?;
        let runtime = self.settle(&asked)?;
        let bound = Listener::bind(&asked, &self.shared.networks, &terms.options);
        let (listener, endpoint) = match within(&runtime, bound).await {
            Ok(bound) => bound,
            Err(source) => return Err(BindError::Refused { endpoint: asked, source }),
        };
        let task = EndpointTask::bound(asked, endpoint.clone(), terms, listener);
        let (run, listening) = {
            let mut endpoints = lock(&self.shared.endpoints);
            self.shared.check_open()?;
            // The system may allow it, as with an ipc path whose file was removed.
            let Entry::Vacant(place) = endpoints.entry((Side::Bound, endpoint.clone())) else {
                return Err(BindError::already_bound(endpoint));
            };
            let listening = || Event::Listening { endpoint: endpoint.clone() };
            (self.run(place.insert(task)), self.shared.events.record(listening))
        };
        // The event comes before those of the first peer.
        drop(listening);
        runtime.spawn(run);
        Ok(endpoint)
    }

    pub(crate) fn connect(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, ConnectError> {
        self.connect_on(None, endpoint)
    }

    pub(crate) fn connect_with(
        &self,
        endpoint: impl IntoEndpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Result<Endpoint, ConnectError> {
        self.connect_on(Some(self.terms(change)), endpoint)
    }

    /// Without terms, those that the endpoint has or, if it is new, the socket's.
    fn connect_on(
        &self,
        terms: Option<Arc<LinkConfig>>,
        endpoint: impl IntoEndpoint,
    ) -> Result<Endpoint, ConnectError> {
        let endpoint = endpoint.into_endpoint()?;
        endpoint.for_connect()?;
        let asked_for = terms.as_ref().unwrap_or(&self.shared.terms);
        asked_for.config.validate()?;
        if let Err(source) = check(&endpoint, &asked_for.options) {
            return Err(ConnectError::Unsupported { endpoint, source });
        }
        let runtime = self.settle(&endpoint)?;
        let mut endpoints = lock(&self.shared.endpoints);
        self.shared.check_open()?;
        match endpoints.entry((Side::Connected, endpoint.clone())) {
            Entry::Occupied(task) => {
                let task = task.get().clone();
                drop(endpoints);
                if let Some(terms) = terms {
                    task.set_terms(terms);
                }
                task.unpark.notify_waiters();
            }
            Entry::Vacant(place) => {
                let terms = terms.unwrap_or_else(|| self.shared.terms.clone());
                let identity = terms.options.peer_identity.clone();
                let run = self.run(place.insert(EndpointTask::connected(endpoint.clone(), terms)));
                // Under the lock of the endpoints: what is disconnected at once has been connected before.
                self.core.connected(&endpoint, identity.as_ref());
                drop(endpoints);
                runtime.spawn(run);
            }
        }
        Ok(endpoint)
    }

    /// The runtime for the tasks of `endpoint`. All endpoints whose runtime has ended move there.
    fn settle(&self, endpoint: &Endpoint) -> Result<Handle, NoRuntime> {
        let runtime = self.shared.home.settle()?;
        check_io(&runtime, endpoint)?;
        self.move_to(&runtime);
        Ok(runtime)
    }

    fn move_to(&self, runtime: &Handle) {
        for task in self.shared.take_stranded() {
            runtime.spawn(self.run(&task));
        }
    }

    /// Passes `poll` on. If it waits though the runtime of the endpoints has ended, they move to the one
    /// that it waits on.
    #[inline]
    pub(crate) fn follow<T>(&self, poll: Poll<T>) -> Poll<T> {
        if poll.is_pending() {
            self.move_here();
        }
        poll
    }

    /// If the runtime of the endpoints has ended, they move to the one that this is called on.
    #[inline]
    pub(crate) fn move_here(&self) {
        if self.shared.has_stranded()
            && let Ok(runtime) = self.shared.home.settle()
        {
            self.move_to(&runtime);
        }
    }

    /// The task of an endpoint. It counts from now on, and is to be spawned when no lock is held: a
    /// runtime that has just ended drops it at once.
    fn run(&self, task: &Arc<EndpointTask>) -> impl Future<Output = ()> + Send + 'static {
        let (core, shared) = (self.core.clone(), self.shared.clone());
        let stay = Stay { core, shared, task: task.clone(), is_over: false };
        self.shared.track(task, async move {
            // As a whole: what is captured by itself, it would not see.
            let mut stay = stay;
            let (task, core, shared) = (stay.task.clone(), stay.core.clone(), stay.shared.clone());
            match task.side {
                Side::Bound => listen(task, core, shared).await,
                Side::Connected => connect(task, core, shared).await,
            }
            stay.is_over = true;
        })
    }

    pub(crate) async fn unbind(&self, endpoint: impl IntoEndpoint) -> Result<(), UnknownEndpoint> {
        self.shared.shut(Side::Bound, &endpoint.into_endpoint()?, || {}).await
    }

    pub(crate) async fn disconnect(
        &self,
        endpoint: impl IntoEndpoint,
    ) -> Result<(), UnknownEndpoint> {
        let endpoint = endpoint.into_endpoint()?;
        self.shared.shut(Side::Connected, &endpoint, || self.core.disconnected(&endpoint)).await
    }

    pub(crate) fn endpoints(&self) -> OpenEndpoints {
        let [bound, connected] =
            [Side::Bound, Side::Connected].map(|side| self.shared.endpoints(side));
        OpenEndpoints { bound, connected }
    }

    pub(crate) fn stats(&self) -> Stats {
        let (handshakes, refused) = self.shared.admission.counts();
        Stats { handshakes, refused, ..self.core.stats() }
    }

    pub(crate) fn totals(&self) -> Stats {
        let (handshakes, refused) = self.shared.admission.counts();
        Stats { handshakes, refused, ..self.core.totals() }
    }

    pub(crate) fn monitor(&self) -> Monitor {
        self.shared.events.monitor()
    }

    /// Closes the socket; returns what nobody got.
    pub(crate) async fn close(&self) -> Unfinished {
        self.close_lingering(self.shared.linger).await
    }

    /// Closes the socket, which delivers for no longer than `linger` says.
    pub(crate) async fn close_lingering(&self, linger: Linger) -> Unfinished {
        self.begin_close();
        finish_close(self.core.clone(), self.shared.clone(), linger).await
    }

    /// Closes the socket; lingers for as long as the runtime lives.
    pub(crate) fn close_in_background(&self) {
        if self.shared.is_forked() {
            // To close them, or to drop their descriptors, would end the other process's connections.
            mem::forget((self.core.clone(), self.shared.clone()));
            return;
        }
        self.begin_close();
        if self.shared.is_idle() {
            self.shared.end();
        } else if let Some(runtime) = self.shared.home.get() {
            let (core, shared) = (self.core.clone(), self.shared.clone());
            runtime.spawn(finish_close(core, shared, self.shared.linger));
        }
    }

    fn begin_close(&self) {
        self.core.close();
        self.shared.drain();
    }
}

/// The task of an endpoint, from its beginning to its end on one runtime.
struct Stay<C: Core> {
    core: Arc<C>,
    shared: Arc<Shared>,
    task: Arc<EndpointTask>,
    /// The endpoint has ended; otherwise it is the runtime that has.
    is_over: bool,
}

impl<C: Core> Drop for Stay<C> {
    fn drop(&mut self) {
        self.task.close_listener();
        if !self.is_over {
            self.shared.strand(&self.task);
            // Whoever waits on another runtime takes it there.
            self.core.interrupt();
        }
    }
}

async fn finish_close<C: Core>(core: Arc<C>, shared: Arc<Shared>, linger: Linger) -> Unfinished {
    shared.linger(linger).await;
    shared.end();
    core.unfinished()
}

impl<C: Core> Drop for Socket<C> {
    fn drop(&mut self) {
        self.close_in_background();
    }
}

/// The methods that every public face of a socket has, for a type `$face` whose socket is
/// `$socket`. They are written, and documented, here alone.
macro_rules! endpoint_methods {
    ($face:ty, $this:ident => $socket:expr) => {
        impl $face {
            /// Opens an endpoint for peers, and returns it with its real port. A socket may bind
            /// and connect to many endpoints at once.
            ///
            /// The socket's connections run on the tokio runtime of the first such call for as long as
            /// that runtime lives. Once it has ended, all endpoints move to the runtime that the socket
            /// is used on next: they are bound again there, or dialled.
            ///
            /// # Errors
            /// [`BindError`](crate::BindError) if the endpoint cannot be read or bound, the socket
            /// is closed, or there is no tokio runtime with timers and, for tcp and ipc, I/O.
            ///
            /// # Cancel safety
            /// If the future is dropped, nothing is bound.
            pub async fn bind(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<crate::Endpoint, crate::BindError> {
                let $this = self;
                $socket.bind(endpoint).await
            }

            /// Does as [`bind`](Self::bind), with other options than the socket's own, which `change`
            /// is given, for this endpoint and the connections through it.
            ///
            /// # Errors
            /// As [`bind`](Self::bind).
            ///
            /// # Cancel safety
            /// If the future is dropped, nothing is bound.
            pub async fn bind_with(
                &self,
                endpoint: impl crate::IntoEndpoint,
                change: impl FnOnce(crate::EndpointOptions) -> crate::EndpointOptions,
            ) -> Result<crate::Endpoint, crate::BindError> {
                let $this = self;
                $socket.bind_with(endpoint, change).await
            }

            /// Connects to a peer's endpoint in the background, again after every cut, until
            /// [`disconnect`](Self::disconnect) or the end of the socket. Returns at once. To
            /// repeat it for an endpoint that is connected changes nothing, but dials at once if
            /// the endpoint is [parked](crate::Event::Parked) or waits for its next attempt.
            ///
            /// # Errors
            /// [`ConnectError`](crate::ConnectError) if the endpoint cannot be read, the socket is
            /// closed, or there is no tokio runtime with timers and, for tcp and ipc, I/O. That nobody is
            /// there yet is no error.
            pub fn connect(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<crate::Endpoint, crate::ConnectError> {
                let $this = self;
                $socket.connect(endpoint)
            }

            /// Does as [`connect`](Self::connect), with other options than the socket's own, which
            /// `change` is given, for this endpoint. If it is connected already, they hold from its
            /// next connection on: this is how to come back with other credentials after having
            /// been refused. An attempt that is under way with the old ones is awaited, and another
            /// one follows at once if it fails.
            ///
            /// # Errors
            /// As [`connect`](Self::connect).
            pub fn connect_with(
                &self,
                endpoint: impl crate::IntoEndpoint,
                change: impl FnOnce(crate::EndpointOptions) -> crate::EndpointOptions,
            ) -> Result<crate::Endpoint, crate::ConnectError> {
                let $this = self;
                $socket.connect_with(endpoint, change)
            }

            /// Ends an endpoint that was bound, with all connections that came through it, and
            /// returns when its address is free again.
            ///
            /// # Errors
            /// [`UnknownEndpoint`](crate::UnknownEndpoint) if it cannot be read or is not bound; name
            /// it as [`bind`](Self::bind) returned it, with its real port.
            ///
            /// # Cancel safety
            /// The end goes on if the future is dropped.
            pub async fn unbind(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<(), crate::UnknownEndpoint> {
                let $this = self;
                $socket.unbind(endpoint).await
            }

            /// Ends an endpoint that was connected, with its connection. What had arrived from
            /// there is still received.
            ///
            /// # Errors
            /// [`UnknownEndpoint`](crate::UnknownEndpoint) if it cannot be read or is not connected.
            ///
            /// # Cancel safety
            /// The end goes on if the future is dropped.
            pub async fn disconnect(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<(), crate::UnknownEndpoint> {
                let $this = self;
                $socket.disconnect(endpoint).await
            }

            /// The endpoints that the socket has bound, with their real addresses, and those that it is
            /// to be connected to, whether or not somebody is there now.
            pub fn endpoints(&self) -> crate::OpenEndpoints {
                let $this = self;
                $socket.endpoints()
            }

            /// What was sent, received, lost and is queued, in all: [`stats`](Self::stats) without its list
            /// of peers, which costs the same however many they are.
            pub fn totals(&self) -> crate::Stats {
                let $this = self;
                $socket.totals()
            }

            /// What was sent, received, lost and is queued, in all and for each peer.
            ///
            /// The sums are those of one moment. Each peer's numbers may be a little younger: others go on
            /// while many peers are looked at.
            pub fn stats(&self) -> crate::Stats {
                let $this = self;
                $socket.stats()
            }

            /// What happens to this socket's endpoints and peers from now on.
            pub fn monitor(&self) -> crate::Monitor {
                let $this = self;
                $socket.monitor()
            }
        }
    };
}

pub(crate) use endpoint_methods;
