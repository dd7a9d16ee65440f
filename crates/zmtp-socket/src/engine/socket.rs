//! The part that sockets of all types share: binding, connecting and closing.

use std::collections::hash_map::Entry;
use std::mem;
use std::sync::Arc;
use std::task::{Context, Poll};

use tokio::runtime::Handle;

use crate::endpoint::{Endpoint, IntoEndpoint, OpenEndpoints};
use crate::engine::connector::connect;
use crate::engine::driver::Core;
use crate::engine::home::{check_io, within};
use crate::engine::listener::listen;
use crate::engine::shared::{EndpointTask, Shared, Side};
use crate::engine::spin::Spin;
use crate::engine::transport::{Listener, Networks, check};
use crate::error::{BindError, ConnectError, NoRuntime, UnknownEndpoint};
use crate::monitor::{Event, Events, Monitor};
use crate::options::{EndpointOptions, Linger, LinkConfig, SocketOptions};
use crate::stats::{Stats, Unfinished};
use crate::sync::lock;

/// A socket of any type, without its receiving half. Its owner has to close it.
pub(crate) struct Engine<C: Core> {
    pub(crate) core: Arc<C>,
    pub(crate) shared: Arc<Shared>,
}

impl<C: Core> Engine<C> {
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

    /// The socket's own options, as `change` alters them.
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
            // The system may bind an address twice, as with an ipc path whose file was removed.
            let Entry::Vacant(place) = endpoints.entry((Side::Bound, endpoint.clone())) else {
                return Err(BindError::already_bound(endpoint));
            };
            let listening = || Event::Listening { endpoint: endpoint.clone() };
            (self.run(place.insert(task)), self.shared.events.record(listening))
        };
        // This event comes before those of the first peer.
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

    /// Without `terms`, the endpoint keeps its options or, if it is new, has the socket's.
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
                // Under the lock of the endpoints, so that a call to `disconnect` reaches the core after
                // this.
                if !self.core.connected(&endpoint, identity.as_ref()) {
                    return Err(ConnectError::IdentityTaken { endpoint });
                }
                let run = self.run(place.insert(EndpointTask::connected(endpoint.clone(), terms)));
                drop(endpoints);
                runtime.spawn(run);
            }
        }
        Ok(endpoint)
    }

    /// The runtime for the tasks of `endpoint`. All endpoints whose runtime has ended move there too.
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

    /// Returns `poll`, which says whether something has been received. If not, and the runtime of the
    /// endpoints has ended, they move to the runtime of the caller; and the receiver may look on.
    #[inline]
    pub(crate) fn follow<T>(
        &self,
        spin: &mut Spin,
        cx: &mut Context<'_>,
        poll: Poll<T>,
    ) -> Poll<T> {
        if poll.is_ready() {
            spin.found();
        } else {
            self.move_here();
            if self.shared.spins {
                spin.look_on(cx);
            }
        }
        poll
    }

    /// Moves the endpoints to the runtime of the caller if theirs has ended.
    #[inline]
    pub(crate) fn move_here(&self) {
        if self.shared.has_stranded()
            && let Ok(runtime) = self.shared.home.settle()
        {
            self.move_to(&runtime);
        }
    }

    /// The task of an endpoint. It is counted from now on. Spawn it without any lock: a runtime that has
    /// just ended drops it at once.
    fn run(&self, task: &Arc<EndpointTask>) -> impl Future<Output = ()> + Send + 'static {
        let (core, shared) = (self.core.clone(), self.shared.clone());
        let stay = Stay { core, shared, task: task.clone(), is_over: false };
        self.shared.track(task, async move {
            // Captures the whole of `stay`: a copy of `is_over` alone would be set unseen by its `drop`.
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

    /// Closes the socket. Returns the counts of messages that were not delivered or not received.
    pub(crate) async fn close(&self) -> Unfinished {
        self.close_lingering(self.shared.linger).await
    }

    /// Closes the socket, which delivers for no longer than `linger`.
    pub(crate) async fn close_lingering(&self, linger: Linger) -> Unfinished {
        self.begin_close();
        finish_close(self.core.clone(), self.shared.clone(), linger).await
    }

    /// Closes the socket, which lingers for as long as the runtime runs.
    pub(crate) fn close_in_background(&self) {
        if self.shared.is_forked() {
            // Closing the connections, or dropping their descriptors, would end those of the other
            // process.
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

/// The run of an endpoint's task on one runtime.
struct Stay<C: Core> {
    core: Arc<C>,
    shared: Arc<Shared>,
    task: Arc<EndpointTask>,
    /// The endpoint has ended. Otherwise its runtime has.
    is_over: bool,
}

impl<C: Core> Drop for Stay<C> {
    fn drop(&mut self) {
        self.task.close_listener();
        if !self.is_over {
            self.shared.strand(&self.task);
            // A caller that waits on another runtime then moves the endpoint there.
            self.core.interrupt();
        }
    }
}

async fn finish_close<C: Core>(core: Arc<C>, shared: Arc<Shared>, linger: Linger) -> Unfinished {
    shared.linger(linger).await;
    shared.end();
    core.unfinished()
}
