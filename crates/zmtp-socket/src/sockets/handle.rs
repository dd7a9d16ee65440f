//! A handle: everything that a socket does except receiving.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::{Endpoint, IntoEndpoint, OpenEndpoints};
use crate::engine::socket::Engine;
use crate::error::{BindError, Closed, ConnectError, SendError, UnknownEndpoint};
use crate::monitor::Monitor;
use crate::options::{
    Configured, EndpointOptions, HighWaterMark, InTurn, Linger, Probing, WhenFull,
};
use crate::receive::Source as _;
use crate::send::{Outgoing, SendCore as _};
use crate::sockets::kind::{Kind, Publishes, ReceivesMessages, Sends, Subscribes, Unicasts};
use crate::stats::{Stats, Unfinished};

/// How many messages are sent under one lock, at most.
const RUN: usize = 64;

/// A handle on a [`Socket`](crate::Socket), which does everything that the socket does except
/// receiving.
///
/// Cheap to clone: each task has one of its own. A handle does not keep the socket open. Once the socket
/// has been dropped or closed, calls on its handles fail with [`Closed`], or have no effect.
pub struct Handle<T: Kind> {
    pub(crate) engine: Arc<Engine<T::Core>>,
    pub(crate) sink: T::Sink,
}

impl<T: Kind> Handle<T> {
    pub(crate) fn of(engine: Arc<Engine<T::Core>>) -> Self {
        Self { engine, sink: T::Sink::default() }
    }

    /// Listens on an endpoint, and returns it with its real port. A socket may bind and connect any
    /// number of endpoints.
    ///
    /// The socket's connections run on the tokio runtime of the first such call for as long as that
    /// runtime lives. Once it has ended, all endpoints move to the runtime that the socket is used on next:
    /// they are bound again there, or dialled.
    ///
    /// # Errors
    /// [`BindError`] if the endpoint cannot be parsed or bound, the options contradict each other, the
    /// socket is closed, or there is no tokio runtime with timers and, for tcp and ipc, I/O.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is bound.
    pub async fn bind(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, BindError> {
        self.engine.bind(endpoint).await
    }

    /// Does as [`bind`](Self::bind), with options of its own for this endpoint and its connections:
    /// `change` is given the socket's, and returns them changed.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is bound.
    pub async fn bind_with(
        &self,
        endpoint: impl IntoEndpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Result<Endpoint, BindError> {
        self.engine.bind_with(endpoint, change).await
    }

    /// Connects to a peer's endpoint in the background, and again whenever the connection is lost,
    /// until [`disconnect`](Self::disconnect) or the end of the socket. Returns at once. A repeated
    /// call for the same endpoint changes nothing, but dials at once if the endpoint is
    /// [parked](crate::Event::Parked) or waits for its next attempt.
    ///
    /// # Errors
    /// [`ConnectError`] if the endpoint cannot be parsed, the options contradict each other, the system
    /// cannot do what they ask for, the socket is closed, or there is no tokio runtime with timers and,
    /// for tcp and ipc, I/O. It is no error if nobody listens there yet.
    pub fn connect(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, ConnectError> {
        self.engine.connect(endpoint)
    }

    /// Does as [`connect`](Self::connect), with options of its own for this endpoint: `change` is given the
    /// socket's, and returns them changed. If the endpoint is connected already, they hold from its next
    /// connection on: this is how to dial again with other credentials after a refusal. An attempt that is
    /// under way with the old ones goes on; if it fails, the next one follows at once.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with(
        &self,
        endpoint: impl IntoEndpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Result<Endpoint, ConnectError> {
        self.engine.connect_with(endpoint, change)
    }

    /// Ends a bound endpoint and all its connections, and returns when its address is free again.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] if it cannot be parsed or is not bound. Name it as [`bind`](Self::bind)
    /// returned it, with its real port.
    ///
    /// # Cancel safety
    /// The end goes on if the future is dropped.
    pub async fn unbind(&self, endpoint: impl IntoEndpoint) -> Result<(), UnknownEndpoint> {
        self.engine.unbind(endpoint).await
    }

    /// Ends a connected endpoint and its connection. Messages that have arrived through it are still
    /// received.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] if it cannot be parsed or is not connected.
    ///
    /// # Cancel safety
    /// The end goes on if the future is dropped.
    pub async fn disconnect(&self, endpoint: impl IntoEndpoint) -> Result<(), UnknownEndpoint> {
        self.engine.disconnect(endpoint).await
    }

    /// The bound endpoints, with their real addresses, and the connected ones, whether or not they
    /// can be reached at present.
    pub fn endpoints(&self) -> OpenEndpoints {
        self.engine.endpoints()
    }

    /// The counters of the socket: [`stats`](Self::stats) without the list of peers. Its cost does not
    /// grow with their number.
    pub fn totals(&self) -> Stats {
        self.engine.totals()
    }

    /// The counters of the socket and of each peer: what was sent, received and lost, and what is
    /// queued.
    ///
    /// The sums are those of one moment. The numbers of a peer may be slightly newer, since other tasks
    /// go on while many peers are read.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Passes the current [statistics](Self::stats) to the installed recorder of the crate `metrics`, with
    /// the labels `socket`, which is `name`, and `type`. Call it at an interval, or before the recorder is
    /// read: between two calls it costs nothing. Without a recorder it does nothing.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self, name: &str) {
        crate::metrics::publish(name, T::SOCKET_TYPE.name(), &self.stats());
    }

    /// A stream of the events of this socket's endpoints and peers, from now on.
    pub fn monitor(&self) -> Monitor {
        self.engine.monitor()
    }

    /// Closes the socket from another task. Nothing more is sent or accepted, and what is queued is
    /// delivered for as long as [`linger`](crate::Options::linger) says. The socket's
    /// [`recv`](crate::Socket::recv) gives what has arrived and then
    /// [`RecvError::Closed`](crate::RecvError::Closed). Returns once every task has ended and every
    /// descriptor is closed, with the number of messages that could not be delivered, and of those that
    /// have arrived and can still be received.
    ///
    /// # Cancel safety
    /// If the future is dropped, the socket is closed all the same, and lingers until its time is over or
    /// the socket is dropped.
    pub async fn close(&self) -> Unfinished {
        self.engine.close().await
    }

    /// Does as [`close`](Self::close), but delivers for no longer than `time`, whatever
    /// [`linger`](crate::Options::linger) says.
    ///
    /// # Cancel safety
    /// As [`close`](Self::close).
    pub async fn close_within(&self, time: Duration) -> Unfinished {
        self.engine.close_lingering(Linger::For(time)).await
    }
}

impl<T: Sends> Handle<T> {
    /// Sends a message, to the peers that the type of the socket decides.
    ///
    /// A PUB and an XPUB send it to every subscriber whose subscriptions match its first part, an XSUB to
    /// every publisher. They wait for no peer: one at its [high-water mark](crate::Options::send_hwm) alone
    /// loses this message, which is [counted](crate::PeerStats::dropped). A publisher can be told to
    /// [wait](crate::WhenFull::Wait) instead.
    ///
    /// A PUSH, a DEALER and a PAIR send it to one peer, each in its turn. They wait until a peer has room,
    /// for as long as [`send_timeout`](crate::Options::send_timeout) says.
    ///
    /// Now and then the call yields to the other tasks of the runtime.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed; [`SendError::Full`] when it has waited for
    /// room as long as [`WhenFull::WaitFor`](crate::WhenFull::WaitFor) or
    /// [`send_timeout`](crate::Options::send_timeout) allows. Pass the message by reference, as in
    /// `send(&message)`, to keep it for another attempt; that costs nothing.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is done, the message has reached nobody; otherwise it is queued
    /// for every peer that accepts it, at one moment for all of them.
    pub async fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let (core, message) = (&self.engine.core, message.into());
        match core.send_now(&message) {
            Some(sent) => sent,
            // Few messages come this way. A box keeps this from enlarging the future of all others.
            None => {
                self.engine.move_here();
                Box::pin(core.send_later(&message)).await
            }
        }
    }

    /// Sends the first of `messages` as [`send`](Self::send) does, and as many of the following ones, in
    /// order, as need not wait; small ones under one lock. Returns how many were sent: at least one, unless
    /// `messages` is empty.
    ///
    /// # Errors
    /// As [`send`](Self::send), for the first message. The error of a later one is returned by the next
    /// call.
    ///
    /// # Cancel safety
    /// If the future is dropped, no message has been sent.
    ///
    /// ```
    /// use zmtp_socket::{Context, PubOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let publisher = Context::new().pub_socket(PubOptions::new());
    /// let updates = ["10001 17", "10001 18", "10002 21"];
    /// let mut rest = &updates[..];
    /// while !rest.is_empty() {
    ///     let sent = publisher.send_many(rest).await?;
    ///     rest = &rest[sent..];
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn send_many<M>(&self, messages: &[M]) -> Result<usize, SendError>
    where
        for<'a> &'a M: Into<Outgoing<'a>>,
    {
        let Some(first) = messages.first() else { return Ok(0) };
        let mut sent = 0;
        let mut run = Vec::with_capacity(messages.len().min(RUN));
        for chunk in messages.chunks(RUN) {
            run.clear();
            run.extend(chunk.iter().map(Into::into));
            let (more, error) = self.engine.core.send_run(&run);
            sent += more;
            match error {
                Some(error) if sent == 0 => return Err(error),
                None if more == chunk.len() => {}
                _ => break,
            }
        }
        if sent == 0 {
            self.send(first).await?;
            sent = 1;
        }
        Ok(sent)
    }

    /// Does as [`send`](Self::send), but never waits and never yields to other tasks. In a loop on
    /// a current-thread runtime, hardly anything leaves the process until something else is
    /// awaited.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed; [`SendError::Full`] where the socket would
    /// have to wait for room, and then the message has reached nobody. Pass the message by reference, as
    /// in `try_send(&message)`, to keep it for another attempt; that costs nothing.
    #[inline]
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.engine.core.try_send(&message.into())
    }
}

impl<T: Sends> Handle<T> {
    /// Changes [`send_hwm`](crate::Options::send_hwm), for present and future peers. Messages beyond the new
    /// mark stay queued.
    pub fn set_send_hwm(&self, mark: HighWaterMark) {
        self.engine.core.set_send_hwm(mark);
    }
}

impl<T: ReceivesMessages> Handle<T> {
    /// Changes [`receive_hwm`](crate::Options::receive_hwm), for present and future peers. Messages beyond
    /// the new mark stay queued.
    pub fn set_receive_hwm(&self, mark: HighWaterMark) {
        self.engine.core.set_receive_hwm(mark);
    }
}

impl<T: ReceivesMessages> Handle<T> {
    /// Changes [`conflate`](crate::Options::conflate), for the peers that come from now on.
    pub fn set_conflate(&self, conflate: bool) {
        self.engine.core.set_conflate(conflate);
    }
}

impl<T: Unicasts + Configured<Role: AsMut<InTurn>>> Handle<T> {
    /// Changes [`immediate`](crate::Options::immediate), for the endpoints that are connected from now on.
    pub fn set_immediate(&self, immediate: bool) {
        self.engine.core.set_immediate(immediate);
    }
}

impl<T: Unicasts + Configured<Role: AsMut<Probing>>> Handle<T> {
    /// Changes [`probe`](crate::Options::probe), for the peers that come from now on.
    pub fn set_probe(&self, probe: bool) {
        self.engine.core.set_probe(probe);
    }
}

impl<T: Publishes> Handle<T> {
    /// Changes the policy [`when_full`](crate::Options::when_full).
    pub fn set_when_full(&self, policy: WhenFull) {
        self.engine.core.set_when_full(policy);
    }

    /// Changes whether the matching is [inverted](crate::Options::invert_matching).
    pub fn set_invert_matching(&self, inverted: bool) {
        self.engine.core.set_inverted(inverted);
    }

    /// How many connected peers have at least one subscription.
    pub fn subscriber_count(&self) -> usize {
        self.engine.core.subscriber_count()
    }

    /// Waits until a message whose first part is `topic` would be sent to at least one peer. A publisher
    /// that has just started calls this so that its first message is not lost.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn wait_for_subscriber(&self, topic: impl AsRef<[u8]>) -> Result<(), Closed> {
        self.engine.move_here();
        self.engine.core.wait_for_subscriber(topic.as_ref()).await
    }

    /// Waits until each peer that wants a message whose first part is `topic` has room for it: then the message
    /// can be sent without being dropped or having to wait. If no peer wants it, that is so at once.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn wait_for_room(&self, topic: impl AsRef<[u8]>) -> Result<(), Closed> {
        self.engine.move_here();
        self.engine.core.wait_for_room(topic.as_ref()).await
    }
}

impl<T: Unicasts> Handle<T> {
    /// How many peers are connected and have completed their handshake.
    pub fn peer_count(&self) -> usize {
        self.engine.core.peer_count()
    }

    /// Waits until at least one peer is connected and has completed its handshake.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn wait_for_peer(&self) -> Result<(), Closed> {
        self.engine.move_here();
        self.engine.core.wait_for_peer().await
    }
}

impl<T: Subscribes> Handle<T> {
    /// Changes whether the matching is [inverted](crate::Options::invert_matching).
    pub fn set_invert_filter(&self, inverted: bool) {
        self.engine.core.set_inverted(inverted);
    }

    /// Subscribes to every message whose first part begins with `topic`, which may be any octets.
    /// Subscriptions count: two to the same topic take two calls of [`unsubscribe`](Self::unsubscribe).
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
        self.engine.core.subscribe(topic.as_ref());
    }

    /// Subscribes to every message, by the empty topic; [`unsubscribe`](Self::unsubscribe) of that
    /// ends it.
    pub fn subscribe_all(&self) {
        self.subscribe("");
    }

    /// Cancels one subscription. If it was the last to this topic, messages that only it matched are no
    /// longer received, even if they have already arrived. Returns whether there was such a subscription.
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
        self.engine.core.unsubscribe(topic.as_ref())
    }

    /// How many publishers are connected and have completed their handshake.
    pub fn publisher_count(&self) -> usize {
        self.engine.core.publisher_count()
    }

    /// Waits until at least one publisher is connected and has completed its handshake.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn wait_for_publisher(&self) -> Result<(), Closed> {
        self.engine.move_here();
        self.engine.core.wait_for_publisher().await
    }
}

impl<T: Kind> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self::of(self.engine.clone())
    }
}

impl<T: Kind> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Handle").field("type", &T::SOCKET_TYPE).finish_non_exhaustive()
    }
}
