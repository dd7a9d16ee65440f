//! What every socket is, whatever it is for: it binds, connects, and closes.

use std::collections::hash_map::Entry;
use std::sync::Arc;

use crate::connector::connect;
use crate::driver::Core;
use crate::endpoint::IntoEndpoint;
use crate::listener::listen;
use crate::monitor::Events;
use crate::options::{SocketOptions, Terms};
use crate::shared::{Shared, Side};
use crate::sync::lock;
use crate::transport::Listener;
use crate::{
    BindError, ConnectError, Context, Endpoint, EndpointOptions, Event, Linger, Monitor, Stats,
    UnknownEndpoint,
};

/// A socket of any type. Dropping it closes it in the background.
pub(crate) struct Socket<C: Core> {
    pub(crate) core: Arc<C>,
    pub(crate) shared: Arc<Shared>,
}

impl<C: Core> Socket<C> {
    pub(crate) fn new(
        context: &Context,
        core: C,
        terms: Arc<Terms>,
        options: SocketOptions,
        linger: Linger,
        events: Arc<Events>,
    ) -> Self {
        let shared = Shared::new(context.networks.clone(), terms, options, linger, events);
        Self { core: Arc::new(core), shared: Arc::new(shared) }
    }

    /// The socket's own terms, but for what `change` makes of them.
    fn terms(&self, change: impl FnOnce(EndpointOptions) -> EndpointOptions) -> Arc<Terms> {
        let terms = &self.shared.terms;
        let link = terms.options.clone();
        let options = change(EndpointOptions { link, ..EndpointOptions::default() });
        Terms::new(options.link, terms.config.socket_type)
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
        terms: Arc<Terms>,
        endpoint: impl IntoEndpoint,
    ) -> Result<Endpoint, BindError> {
        let endpoint = endpoint.into_endpoint()?;
        terms.config.validate()?;
        let runtime = self.shared.runtime()?;
        let bound = Listener::bind(&endpoint, &self.shared.networks, &terms.options.tcp).await;
        let (listener, endpoint) =
            bound.map_err(|source| BindError::Refused { endpoint, source })?;
        let door = self.shared.new_door(endpoint.clone(), terms);
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
        terms: Option<Arc<Terms>>,
        endpoint: impl IntoEndpoint,
    ) -> Result<Endpoint, ConnectError> {
        let endpoint = endpoint.into_endpoint()?;
        endpoint.for_connect()?;
        terms.as_ref().unwrap_or(&self.shared.terms).config.validate()?;
        let runtime = self.shared.runtime()?;
        let mut doors = lock(&self.shared.doors);
        self.shared.check_open()?;
        match doors.entry((Side::Connected, endpoint.clone())) {
            Entry::Occupied(door) => {
                if let Some(terms) = terms {
                    door.get().set_terms(terms);
                }
                door.get().unpark.notify_waiters();
            }
            Entry::Vacant(place) => {
                let terms = terms.unwrap_or_else(|| self.shared.terms.clone());
                let door = place.insert(self.shared.new_door(endpoint.clone(), terms));
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

    /// Closes the socket; returns how many messages could not be delivered.
    pub(crate) async fn close(&self) -> usize {
        self.begin_close();
        finish_close(self.core.clone(), self.shared.clone()).await
    }

    /// Closes the socket; lingers for as long as the runtime lives.
    pub(crate) fn close_in_background(&self) {
        self.begin_close();
        if self.shared.is_idle() {
            self.shared.end();
        } else if let Some(runtime) = self.shared.home() {
            runtime.spawn(finish_close(self.core.clone(), self.shared.clone()));
        }
    }

    fn begin_close(&self) {
        self.core.close();
        self.shared.drain();
    }
}

async fn finish_close<C: Core>(core: Arc<C>, shared: Arc<Shared>) -> usize {
    shared.linger().await;
    shared.end();
    core.undelivered()
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
            /// # Errors
            /// [`BindError`](crate::BindError) if the endpoint cannot be read or bound, the socket
            /// is closed, or there is no tokio runtime.
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
            /// closed, or there is no tokio runtime. That nobody is there yet is no error.
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
            /// been refused.
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
            /// [`UnknownEndpoint`](crate::UnknownEndpoint) if it is not bound; give it as
            /// [`bind`](Self::bind) returned it.
            ///
            /// # Cancel safety
            /// The end goes on if the future is dropped.
            pub async fn unbind(
                &self,
                endpoint: &crate::Endpoint,
            ) -> Result<(), crate::UnknownEndpoint> {
                let $this = self;
                $socket.unbind(endpoint).await
            }

            /// Ends an endpoint that was connected, with its connection. What had arrived from
            /// there is still received.
            ///
            /// # Errors
            /// [`UnknownEndpoint`](crate::UnknownEndpoint) if it is not connected.
            ///
            /// # Cancel safety
            /// The end goes on if the future is dropped.
            pub async fn disconnect(
                &self,
                endpoint: &crate::Endpoint,
            ) -> Result<(), crate::UnknownEndpoint> {
                let $this = self;
                $socket.disconnect(endpoint).await
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
