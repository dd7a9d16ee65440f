//! A handle: all that a socket does, but for receiving.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::endpoint::{Endpoint, IntoEndpoint, OpenEndpoints};
use crate::engine::socket::Engine;
use crate::error::{BindError, Closed, ConnectError, SendError, UnknownEndpoint};
use crate::monitor::Monitor;
use crate::options::{EndpointOptions, HighWaterMark, Linger, WhenFull};
use crate::receive::Source as _;
use crate::send::{Outgoing, SendCore as _};
use crate::sockets::kind::{Kind, Publishes, ReceivesMessages, Sends, Subscribes, Unicasts};
use crate::stats::{Stats, Unfinished};

/// Messages that are sent under one lock, at most.
const RUN: usize = 64;

/// A handle on a [`Socket`](crate::Socket), which does all that the socket does, but for receiving.
///
/// Cheap to clone: each task has one of its own. It does not keep the socket open; once the socket has been
/// dropped or closed, what is called on its handles fails as [`Closed`], or has no effect.
pub struct Handle<T: Kind> {
    pub(crate) engine: Arc<Engine<T::Core>>,
    pub(crate) sink: T::Sink,
}

impl<T: Kind> Handle<T> {
    pub(crate) fn of(engine: Arc<Engine<T::Core>>) -> Self {
        Self { engine, sink: T::Sink::default() }
    }

    /// Opens an endpoint for peers, and returns it with its real port. A socket may bind and connect to
    /// many endpoints at once.
    ///
    /// The socket's connections run on the tokio runtime of the first such call for as long as that
    /// runtime lives. Once it has ended, all endpoints move to the runtime that the socket is used on next:
    /// they are bound again there, or dialled.
    ///
    /// # Errors
    /// [`BindError`] if the endpoint cannot be read or bound, the socket is closed, or there is no tokio
    /// runtime with timers and, for tcp and ipc, I/O.
    ///
    /// # Cancel safety
    /// If the future is dropped, nothing is bound.
    pub async fn bind(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, BindError> {
        self.engine.bind(endpoint).await
    }

    /// Does as [`bind`](Self::bind), with other options than the socket's own, which `change` is given, for
    /// this endpoint and the connections through it.
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

    /// Connects to a peer's endpoint in the background, again after every cut, until
    /// [`disconnect`](Self::disconnect) or the end of the socket. Returns at once. To repeat it for an
    /// endpoint that is connected changes nothing, but dials at once if the endpoint is
    /// [parked](crate::Event::Parked) or waits for its next attempt.
    ///
    /// # Errors
    /// [`ConnectError`] if the endpoint cannot be read, the socket is closed, or there is no tokio runtime
    /// with timers and, for tcp and ipc, I/O. That nobody is there yet is no error.
    pub fn connect(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, ConnectError> {
        self.engine.connect(endpoint)
    }

    /// Does as [`connect`](Self::connect), with other options than the socket's own, which `change` is
    /// given, for this endpoint. If it is connected already, they hold from its next connection on: this is
    /// how to come back with other credentials after having been refused. An attempt that is under way with
    /// the old ones is awaited, and another one follows at once if it fails.
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

    /// Ends an endpoint that was bound, with all connections that came through it, and returns when its
    /// address is free again.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] if it cannot be read or is not bound; name it as [`bind`](Self::bind) returned
    /// it, with its real port.
    ///
    /// # Cancel safety
    /// The end goes on if the future is dropped.
    pub async fn unbind(&self, endpoint: impl IntoEndpoint) -> Result<(), UnknownEndpoint> {
        self.engine.unbind(endpoint).await
    }

    /// Ends an endpoint that was connected, with its connection. What had arrived from there is still
    /// received.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] if it cannot be read or is not connected.
    ///
    /// # Cancel safety
    /// The end goes on if the future is dropped.
    pub async fn disconnect(&self, endpoint: impl IntoEndpoint) -> Result<(), UnknownEndpoint> {
        self.engine.disconnect(endpoint).await
    }

    /// The endpoints that the socket has bound, with their real addresses, and those that it is to be
    /// connected to, whether or not somebody is there now.
    pub fn endpoints(&self) -> OpenEndpoints {
        self.engine.endpoints()
    }

    /// What was sent, received, lost and is queued, in all: [`stats`](Self::stats) without its list of
    /// peers, which costs the same however many they are.
    pub fn totals(&self) -> Stats {
        self.engine.totals()
    }

    /// What was sent, received, lost and is queued, in all and for each peer.
    ///
    /// The sums are those of one moment. Each peer's numbers may be a little younger: others go on while
    /// many peers are looked at.
    pub fn stats(&self) -> Stats {
        self.engine.stats()
    }

    /// Gives the [statistics](Self::stats) as they are now to the recorder of the crate `metrics` that is installed,
    /// with the labels `socket`, which is `name`, and `type`. Call it at an interval, or before the recorder is
    /// read: between two calls it costs nothing. Without a recorder it does nothing.
    #[cfg(feature = "metrics")]
    pub fn publish_metrics(&self, name: &str) {
        crate::metrics::publish(name, T::SOCKET_TYPE.name(), &self.stats());
    }

    /// What happens to this socket's endpoints and peers from now on.
    pub fn monitor(&self) -> Monitor {
        self.engine.monitor()
    }

    /// Closes the socket from another task: nothing more is sent or accepted, and what is queued is
    /// delivered for as long as [`linger`](crate::Options::linger) says. The socket's
    /// [`recv`](crate::Socket::recv) gives what has arrived and then
    /// [`RecvError::Closed`](crate::RecvError::Closed). Returns, once every task has ended and every
    /// descriptor is closed, what could not be delivered, and what had arrived and was not received: that
    /// can still be.
    ///
    /// # Cancel safety
    /// If the future is dropped the socket is closed all the same; lingering then ends with the socket and
    /// its own time.
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
    /// Sends a message to the peers that are to get it.
    ///
    /// A PUB and an XPUB send it to every subscriber whose subscriptions match its first part, an XSUB to
    /// every publisher. They wait for no peer: one at its [high-water mark](crate::Options::send_hwm)
    /// loses this message, alone, and that is [counted](crate::PeerStats::dropped). A publisher that rather
    /// [waits](crate::WhenFull::Wait) is an option.
    ///
    /// A PUSH, a DEALER and a PAIR send it to one peer, to each in its turn. They wait until one has room,
    /// for as long as [`send_timeout`](crate::Options::send_timeout) says.
    ///
    /// Either way the other tasks of the runtime get a turn now and then.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed; [`SendError::Full`] when it has waited for
    /// room as long as [it may](crate::WhenFull::WaitFor). A message that is lent, as in `send(&message)`,
    /// is still there to be sent again; to lend it costs nothing.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is done, the message has reached nobody; otherwise it is queued
    /// for every peer that accepts it, at one moment for all of them.
    pub async fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let (core, message) = (&self.engine.core, message.into());
        match core.send_now(&message) {
            Some(sent) => sent,
            // Few messages come this way: in a box, it does not make the future of all others large.
            None => {
                self.engine.move_here();
                Box::pin(core.send_later(&message)).await
            }
        }
    }

    /// Sends the first of `messages` as [`send`](Self::send) does, and with it as many of the others, in
    /// order, as need not wait: small ones under one lock. Returns how many that were: at least one, unless
    /// there are none.
    ///
    /// # Errors
    /// As [`send`](Self::send), for the first message. An error of another one is told by the next call.
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

    /// Does as [`send`](Self::send), but never waits and never gives others a turn: in a loop on a
    /// current-thread runtime, hardly anything leaves the process until something else is awaited.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed; [`SendError::Full`] where the socket would
    /// have to wait for room, and then the message has reached nobody. Lend it, as in
    /// `try_send(&message)`, to keep it for another attempt; to lend it costs nothing.
    #[inline]
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.engine.core.try_send(&message.into())
    }
}

impl<T: Sends> Handle<T> {
    /// Changes how many messages may [wait](crate::Options::send_hwm) for each peer, for those that are there
    /// and those to come. What waits beyond it stays.
    pub fn set_send_hwm(&self, mark: HighWaterMark) {
        self.engine.core.set_send_hwm(mark);
    }
}

impl<T: ReceivesMessages> Handle<T> {
    /// Changes how many messages of each peer may [wait](crate::Options::receive_hwm) to be received, of those
    /// that are there and those to come. What waits beyond it stays.
    pub fn set_receive_hwm(&self, mark: HighWaterMark) {
        self.engine.core.set_receive_hwm(mark);
    }
}

impl<T: Publishes> Handle<T> {
    /// Changes [what becomes](crate::Options::when_full) of a message for a peer that has no room for it.
    pub fn set_when_full(&self, policy: WhenFull) {
        self.engine.core.set_when_full(policy);
    }

    /// Changes whether the matching is [turned round](crate::Options::invert_matching).
    pub fn set_invert_matching(&self, inverted: bool) {
        self.engine.core.set_inverted(inverted);
    }

    /// How many connected peers have subscribed to something.
    pub fn subscriber_count(&self) -> usize {
        self.engine.core.subscriber_count()
    }

    /// Waits until some peer would be sent a message whose first part is `topic`. This is how a publisher
    /// that has just begun makes sure that its first message is not lost.
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
}

impl<T: Unicasts> Handle<T> {
    /// How many peers are connected, their handshakes done.
    pub fn peer_count(&self) -> usize {
        self.engine.core.peer_count()
    }

    /// Waits until some peer is connected, its handshake done.
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
    /// Changes whether what is received is what was *not* [subscribed to](crate::Options::invert_matching).
    pub fn set_invert_filter(&self, inverted: bool) {
        self.engine.core.set_inverted(inverted);
    }

    /// Subscribes to every message whose first part begins with `topic`, any octets. Subscriptions count:
    /// two to the same topic take two calls of [`unsubscribe`](Self::unsubscribe).
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
        self.engine.core.subscribe(topic.as_ref());
    }

    /// Subscribes to every message: to the empty topic, which [`unsubscribe`](Self::unsubscribe) takes
    /// back.
    pub fn subscribe_all(&self) {
        self.subscribe("");
    }

    /// Takes one subscription back. Once it was the last to this topic, no message that only it matched is
    /// received any more, even if it has already arrived. Returns whether there was such a subscription.
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
        self.engine.core.unsubscribe(topic.as_ref())
    }

    /// How many publishers are connected, their handshakes done.
    pub fn publisher_count(&self) -> usize {
        self.engine.core.publisher_count()
    }

    /// Waits until some publisher is connected, its handshake done.
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
