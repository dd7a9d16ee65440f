//! A handle, for programs without async.

use std::sync::Arc;
use std::time::Duration;
use std::{fmt, thread};

use super::Monitor;
use super::thread::IoThread;
use crate::endpoint::{Endpoint, IntoEndpoint, OpenEndpoints};
use crate::error::{BindError, Closed, ConnectError, SendError, UnknownEndpoint};
use crate::options::{EndpointOptions, WhenFull};
use crate::peer::Peer;
use crate::send::{Outgoing, SendCore as _};
use crate::sockets::dealer_router::Destination;
use crate::sockets::kind::{Kind, Publishes, Rep, Router, Sends, Subscribes, Unicasts, XPub};
use crate::sockets::req_rep::Reply;
use crate::stats::{Stats, Unfinished};

/// A handle on a [`Socket`](super::Socket), which does everything that the socket does except
/// receiving.
///
/// Cheap to clone: each thread has one of its own. It does not keep the socket open.
pub struct Handle<T: Kind> {
    pub(super) handle: crate::Handle<T>,
    pub(super) thread: Arc<IoThread>,
}

impl<T: Kind> Handle<T> {
    pub(super) fn of(handle: crate::Handle<T>, thread: Arc<IoThread>) -> Self {
        Self { handle, thread }
    }

    /// Returns what a call has made, after which tasks may have to run.
    #[inline]
    fn attending<R>(&self, made: R) -> R {
        self.thread.attend();
        made
    }

    /// Listens on an endpoint, and returns it with its real port. A socket may bind and connect any
    /// number of endpoints.
    ///
    /// # Errors
    /// [`BindError`] if the endpoint cannot be parsed or bound, the options contradict each other,
    /// or the socket is closed.
    pub fn bind(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, BindError> {
        self.thread.block_on(self.handle.bind(endpoint))?
    }

    /// Does as [`bind`](Self::bind), with options of its own for this endpoint and its connections:
    /// `change` is given the socket's, and returns them changed.
    ///
    /// # Errors
    /// As [`bind`](Self::bind).
    pub fn bind_with(
        &self,
        endpoint: impl IntoEndpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Result<Endpoint, BindError> {
        self.thread.block_on(self.handle.bind_with(endpoint, change))?
    }

    /// Connects to a peer's endpoint in the background, and again whenever the connection is lost. Returns
    /// at once. It is no error if nobody listens there yet.
    ///
    /// # Errors
    /// [`ConnectError`] if the endpoint cannot be parsed, the options contradict each other, the
    /// system cannot do what they ask for, or the socket is closed.
    pub fn connect(&self, endpoint: impl IntoEndpoint) -> Result<Endpoint, ConnectError> {
        self.thread.within(|| self.handle.connect(endpoint))?
    }

    /// Does as [`connect`](Self::connect), with options of its own for this endpoint: `change` is
    /// given the socket's, and returns them changed. If the endpoint is connected already, they hold
    /// from its next connection on.
    ///
    /// # Errors
    /// As [`connect`](Self::connect).
    pub fn connect_with(
        &self,
        endpoint: impl IntoEndpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Result<Endpoint, ConnectError> {
        self.thread.within(|| self.handle.connect_with(endpoint, change))?
    }

    /// Ends a bound endpoint and all its connections. Its address is free again when this returns.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] if it cannot be parsed or is not bound.
    pub fn unbind(&self, endpoint: impl IntoEndpoint) -> Result<(), UnknownEndpoint> {
        let endpoint = endpoint.into_endpoint()?;
        let ended = self.thread.block_on(self.handle.unbind(&endpoint));
        ended.unwrap_or(Err(UnknownEndpoint::NotBound(endpoint)))
    }

    /// Ends a connected endpoint and its connection.
    ///
    /// # Errors
    /// [`UnknownEndpoint`] if it cannot be parsed or is not connected.
    pub fn disconnect(&self, endpoint: impl IntoEndpoint) -> Result<(), UnknownEndpoint> {
        let endpoint = endpoint.into_endpoint()?;
        let ended = self.thread.block_on(self.handle.disconnect(&endpoint));
        ended.unwrap_or(Err(UnknownEndpoint::NotConnected(endpoint)))
    }

    /// The bound endpoints, with their real addresses, and the connected ones, whether or not they
    /// can be reached at present.
    pub fn endpoints(&self) -> OpenEndpoints {
        self.handle.endpoints()
    }

    /// As [`Handle::totals`](crate::Handle::totals).
    pub fn totals(&self) -> Stats {
        self.handle.totals()
    }

    /// The counters of the socket and of each peer: what was sent, received and lost, and what is
    /// queued.
    pub fn stats(&self) -> Stats {
        self.handle.stats()
    }

    /// A stream of the events of this socket's endpoints and peers, from now on.
    pub fn monitor(&self) -> Monitor {
        Monitor::of(self.handle.monitor(), self.thread.clone())
    }

    /// Closes the socket from another thread, after it has delivered what is queued, for as long as
    /// [`linger`](crate::Options::linger) says. The socket's [`recv`](super::Socket::recv) gives what has
    /// arrived and then [`RecvError::Closed`](crate::RecvError::Closed), also to a thread that waits in it.
    /// Returns the number of messages that could not be delivered, and of those that have arrived and can
    /// still be received.
    pub fn close(&self) -> Unfinished {
        self.thread.block_on(self.handle.close()).unwrap_or_default()
    }

    /// Does as [`close`](Self::close), but delivers for no longer than `time`, whatever
    /// [`linger`](crate::Options::linger) says.
    pub fn close_within(&self, time: Duration) -> Unfinished {
        self.thread.block_on(self.handle.close_within(time)).unwrap_or_default()
    }
}

impl<T: Sends> Handle<T> {
    /// Sends a message: see [`Handle::send`](crate::Handle::send).
    ///
    /// Waits for nobody, but where the socket is told to [wait](WhenFull::Wait) for room.
    ///
    /// # Errors
    /// As [`Handle::send`](crate::Handle::send).
    #[inline]
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.send_outgoing(&message.into())
    }

    #[inline]
    fn send_outgoing(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let core = &self.handle.engine.core;
        loop {
            match core.send_now(message) {
                Some(sent) => return self.attending(sent),
                // Much has been sent, or a queue is full, and a sender that does not wait would lose the
                // next message: the other threads' turn. A sender that waits gives them theirs when it
                // has to.
                None if core.take_turn() => {
                    if !core.when_full().waits() {
                        thread::yield_now();
                    }
                }
                None => return self.send_when_room(message, None),
            }
        }
    }

    /// Does as [`send`](Self::send), but waits no longer than `time` for room.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::Full`] when the time is over, and then the message has reached
    /// nobody.
    pub fn send_timeout<'a>(
        &self,
        message: impl Into<Outgoing<'a>>,
        time: Duration,
    ) -> Result<(), SendError> {
        let (core, message) = (&self.handle.engine.core, message.into());
        core.take_turn();
        match core.send_now(&message) {
            Some(sent) => self.attending(sent),
            None => self.send_when_room(&message, Some(time)),
        }
    }

    /// Waits for room, no longer than `time` and than the socket's options say.
    fn send_when_room(
        &self,
        message: &Outgoing<'_>,
        time: Option<Duration>,
    ) -> Result<(), SendError> {
        let core = &self.handle.engine.core;
        let patience = match core.when_full() {
            WhenFull::Wait => None,
            WhenFull::WaitFor(patience) => Some(patience),
            // It was another sender's turn that was over.
            _ => return self.attending(core.try_send(message)),
        };
        let sending = core.send_when_room(message);
        match [time, patience].into_iter().flatten().min() {
            Some(time) => self.thread.wait_for(time, sending)?.ok_or(SendError::Full),
            None => self.thread.wait(sending),
        }
    }

    /// Does as [`send`](Self::send), but never waits.
    ///
    /// # Errors
    /// As [`Handle::try_send`](crate::Handle::try_send).
    #[inline]
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.attending(
            self.handle.try_send(message).inspect_err(|_full| self.thread.looked_in_vain()),
        )
    }
}

impl<T: Publishes> Handle<T> {
    /// How many connected peers have at least one subscription.
    pub fn subscriber_count(&self) -> usize {
        self.handle.subscriber_count()
    }

    /// Waits until a message whose first part is `topic` would be sent to at least one peer.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_subscriber(&self, topic: impl AsRef<[u8]>) -> Result<(), Closed> {
        self.thread.wait(self.handle.wait_for_subscriber(topic))
    }

    /// Does as [`wait_for_subscriber`](Self::wait_for_subscriber), but no longer than `time`. Returns
    /// whether there is one.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_subscriber_timeout(
        &self,
        topic: impl AsRef<[u8]>,
        time: Duration,
    ) -> Result<bool, Closed> {
        Ok(self.thread.wait_for(time, self.handle.wait_for_subscriber(topic))?.is_some())
    }
}

impl<T: Subscribes> Handle<T> {
    /// Subscribes to every message whose first part begins with `topic`, which may be any octets.
    /// Subscriptions count: two to the same topic take two calls of [`unsubscribe`](Self::unsubscribe).
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
        self.handle.subscribe(topic);
        self.thread.attend();
    }

    /// Subscribes to every message, by the empty topic; [`unsubscribe`](Self::unsubscribe) of that
    /// ends it.
    pub fn subscribe_all(&self) {
        self.handle.subscribe_all();
        self.thread.attend();
    }

    /// Cancels one subscription. Returns whether there was such a subscription.
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
        self.attending(self.handle.unsubscribe(topic))
    }

    /// How many publishers are connected and have completed their handshake.
    pub fn publisher_count(&self) -> usize {
        self.handle.publisher_count()
    }

    /// Waits until at least one publisher is connected and has completed its handshake.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_publisher(&self) -> Result<(), Closed> {
        self.thread.wait(self.handle.wait_for_publisher())
    }

    /// Does as [`wait_for_publisher`](Self::wait_for_publisher), but no longer than `time`. Returns whether
    /// there is one.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_publisher_timeout(&self, time: Duration) -> Result<bool, Closed> {
        Ok(self.thread.wait_for(time, self.handle.wait_for_publisher())?.is_some())
    }
}

impl<T: Unicasts> Handle<T> {
    /// How many peers are connected and have completed their handshake.
    pub fn peer_count(&self) -> usize {
        self.handle.peer_count()
    }

    /// Waits until at least one peer is connected and has completed its handshake.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_peer(&self) -> Result<(), Closed> {
        self.thread.wait(self.handle.wait_for_peer())
    }

    /// Does as [`wait_for_peer`](Self::wait_for_peer), but no longer than `time`. Returns whether there is
    /// one.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_peer_timeout(&self, time: Duration) -> Result<bool, Closed> {
        Ok(self.thread.wait_for(time, self.handle.wait_for_peer())?.is_some())
    }
}

impl Handle<Rep> {
    /// Answers a request, as [`Reply::send`] does. It waits only where the policy is to
    /// [wait](WhenFull::Wait) for room.
    ///
    /// # Errors
    /// As [`Reply::send`].
    pub fn reply<'a>(
        &self,
        reply: Reply,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<(), SendError> {
        self.thread.block_on(reply.send(message))?
    }
}

impl Handle<Router> {
    /// Sends a message to one peer: see [`RouterHandle::send_to`](crate::RouterHandle::send_to).
    ///
    /// Waits for nobody, but where the socket is told to [wait](WhenFull::Wait) for room.
    ///
    /// # Errors
    /// As [`RouterHandle::send_to`](crate::RouterHandle::send_to).
    pub fn send_to<'a>(
        &self,
        peer: impl Into<Destination<'a>>,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<(), SendError> {
        self.thread.block_on(self.handle.send_to(peer, message))?
    }

    /// Does as [`send_to`](Self::send_to), but never waits.
    ///
    /// # Errors
    /// As [`RouterHandle::try_send_to`](crate::RouterHandle::try_send_to).
    pub fn try_send_to<'a>(
        &self,
        peer: impl Into<Destination<'a>>,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<(), SendError> {
        let sent = self.handle.try_send_to(peer, message);
        self.attending(sent.inspect_err(|_full| self.thread.looked_in_vain()))
    }

    /// The connected peer that has an identity.
    pub fn peer_with(&self, identity: impl AsRef<[u8]>) -> Option<Peer> {
        self.handle.peer_with(identity)
    }

    /// Ends the connection of one peer. Returns whether it was there. A peer that dialled us may come back.
    pub fn disconnect_peer(&self, peer: &Peer) -> bool {
        self.attending(self.handle.disconnect_peer(peer))
    }
}

impl Handle<XPub> {
    /// As [`XPubHandle::send_to`](crate::XPubHandle::send_to), which never waits.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    pub fn send_to<'a>(
        &self,
        peer: &Peer,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<bool, SendError> {
        self.attending(self.handle.send_to(peer, message))
    }

    /// As [`XPubHandle::subscribe`](crate::XPubHandle::subscribe).
    pub fn subscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        self.attending(self.handle.subscribe(peer, topic))
    }

    /// As [`XPubHandle::unsubscribe`](crate::XPubHandle::unsubscribe).
    pub fn unsubscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        self.attending(self.handle.unsubscribe(peer, topic))
    }
}

impl<T: Kind> Clone for Handle<T> {
    fn clone(&self) -> Self {
        Self::of(self.handle.clone(), self.thread.clone())
    }
}

impl<T: Kind> fmt::Debug for Handle<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}
