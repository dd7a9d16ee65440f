//! The socket: it receives, and its handles do everything else.

use std::future::poll_fn;
use std::ops::Deref;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{self, Poll};
use std::time::Duration;
use std::{fmt, iter};

use futures_core::Stream;
use zmtp_codec::{Batch, Message};

use crate::endpoint::{EndpointError, IntoEndpoint};
use crate::engine::socket::Engine;
use crate::engine::spin::Spin;
use crate::error::{Closed, RecvError, TryRecvError};
use crate::monitor::Events;
use crate::options::{LinkConfig, Options};
use crate::peer::Peer;
use crate::sockets::context::Context;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Kind, Reader as _, Receive as _, Receives, ReceivesMessages};
use crate::stats::Unfinished;

/// A socket of one [kind](crate::kind), such as a [`PubSocket`](crate::PubSocket) or a
/// [`SubSocket`](crate::SubSocket).
///
/// Only the socket itself receives, if its kind does. Everything else is done by a [`Handle`]; the
/// socket dereferences to its own, so all calls of a handle can be made on the socket as well. Other
/// tasks get [theirs](Self::handle).
///
/// When the socket is dropped, it closes in the background: what is queued is still delivered, for as long
/// as [`linger`](Options::linger) says and the runtime runs. Handles do not keep it open.
pub struct Socket<T: Kind> {
    pub(crate) handle: Handle<T>,
    pub(crate) receiver: T::Receiver,
    pub(crate) spin: Spin,
}

impl<T: Kind> Socket<T> {
    /// A socket in the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_options(Options::new())
    }

    /// A socket in the process-wide context.
    pub fn with_options(options: Options<T>) -> Self {
        Context::global().socket(options)
    }

    pub(crate) fn with_context(context: &Context, options: Options<T>) -> Self {
        let Options { link, socket, role } = options;
        let linger = socket.linger.unwrap_or(T::LINGER);
        let events = Arc::new(Events::default());
        let core = T::core(role, events.clone());
        let config = LinkConfig::new(link, T::SOCKET_TYPE);
        let engine = Engine::new(&context.networks, core, config, socket, linger, events);
        let receiver = T::Receiver::default();
        Self { handle: Handle::of(Arc::new(engine)), receiver, spin: Spin::default() }
    }

    /// A handle, for other tasks. It does not keep the socket open.
    pub fn handle(&self) -> Handle<T> {
        self.handle.clone()
    }

    /// Closes the socket: nothing more is sent or accepted, and what is queued is delivered for as long as
    /// [`linger`](Options::linger) says. Returns once every task has ended and every descriptor is closed,
    /// with the number of messages that could not be delivered, and of those that had arrived and were not
    /// received.
    ///
    /// # Cancel safety
    /// If the future is dropped, the socket is closed all the same.
    pub async fn close(self) -> Unfinished {
        let closed = self.handle.close().await;
        self.receiver.left_unread(closed)
    }

    /// Does as [`close`](Self::close), but delivers for no longer than `time`, whatever
    /// [`linger`](Options::linger) says.
    ///
    /// # Cancel safety
    /// As [`close`](Self::close).
    pub async fn close_within(self, time: Duration) -> Unfinished {
        let closed = self.handle.close_within(time).await;
        self.receiver.left_unread(closed)
    }
}

impl<T: Receives> Socket<T> {
    /// Receives the next item: a message, or what else sockets of this kind [receive](crate::kind).
    /// Waits for it, also while no peer is connected.
    ///
    /// Peers take turns. The messages of one connection come in the order in which they were sent; those
    /// left over from an earlier connection to the same endpoint come first. A message may share the
    /// buffer that it was read into, if it fills at least half of that: while it or a clone of a part is
    /// kept, it holds at most about twice its size in memory.
    ///
    /// # Errors
    /// [`RecvError::Closed`] once the socket has been closed through a [handle](Self::handle) and
    /// everything that had arrived has been received.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Result<T::Received, RecvError> {
        Ok(poll_fn(|cx| self.poll_recv(cx)).await?)
    }

    #[inline]
    fn poll_recv(&mut self, cx: &mut task::Context<'_>) -> Poll<Result<T::Received, Closed>> {
        let Self { handle, receiver, spin } = self;
        let engine = &*handle.engine;
        let poll = receiver.poll_next(&engine.core, cx);
        engine.follow(spin, cx, poll)
    }

    /// Receives the next item if it has arrived.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if nothing has; [`TryRecvError::Closed`] as for [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<T::Received, TryRecvError> {
        let next = self.receiver.try_next(&self.handle.engine.core)?;
        next.ok_or(TryRecvError::Empty)
    }

    /// Waits for the next item, and appends it to `received` with those that have arrived after it,
    /// `limit` in all at most. Returns how many were appended: at least one, unless `limit` is 0.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); then nothing has been appended.
    ///
    /// # Cancel safety
    /// Nothing is lost, and nothing has been appended, if the future is dropped.
    ///
    /// ```
    /// use zmtp_socket::{Context, PubOptions, SubOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let context = Context::new();
    /// # let publisher = context.pub_socket(PubOptions::new());
    /// # let mut subscriber = context.sub_socket(SubOptions::new());
    /// # publisher.bind("inproc://weather").await?;
    /// # subscriber.connect("inproc://weather")?;
    /// # subscriber.subscribe_all();
    /// # publisher.wait_for_subscriber("").await?;
    /// # for number in 0..3u8 { publisher.send(&[number]).await?; }
    /// let (mut messages, mut received) = (Vec::new(), 0);
    /// while received < 3 {
    ///     received += subscriber.recv_many(&mut messages, 100).await?;
    ///     for message in messages.drain(..) {
    ///         println!("{message:?}");
    ///     }
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_many(
        &mut self,
        received: &mut Vec<T::Received>,
        limit: usize,
    ) -> Result<usize, RecvError> {
        if limit == 0 {
            return Ok(0);
        }
        received.push(self.recv().await?);
        Ok(1 + self.take_arrived(received, limit - 1))
    }

    /// Appends items that have arrived to `received`, `limit` at most. Returns how many were
    /// appended.
    pub(crate) fn take_arrived(&mut self, received: &mut Vec<T::Received>, limit: usize) -> usize {
        let before = received.len();
        received.extend(iter::from_fn(|| self.try_recv().ok()).take(limit));
        received.len() - before
    }
}

impl<T: ReceivesMessages> Socket<T> {
    /// Receives the next message and the peer that it came from, which may have gone by now. The result of
    /// the peer's handshake is its [`info`](Peer::info).
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// As [`recv`](Self::recv).
    pub async fn recv_from(&mut self) -> Result<(Peer, Message), RecvError> {
        let message = self.recv().await?;
        let sender = self.sender().expect("a message has been received");
        Ok((sender.clone(), message))
    }

    /// The peer that the last received message came from; see [`recv_from`](Self::recv_from). `None`
    /// before the first message.
    pub fn sender(&self) -> Option<&Peer> {
        self.receiver.sender()
    }

    /// Receives the next message without copying it: passes its octets and its peer to `look`, and returns
    /// the result. This works for a message of one part and up to `most` octets that has arrived in the same
    /// batch as the last received one. Otherwise it returns `None`, and receives nothing.
    ///
    /// ```
    /// use zmtp_socket::{Context, PullOptions, PushOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let context = Context::new();
    /// # let push = context.socket(PushOptions::new());
    /// # let mut pull = context.socket(PullOptions::new());
    /// # pull.bind("inproc://work").await?;
    /// # push.connect("inproc://work")?;
    /// # push.send("17").await?;
    /// # push.send("21").await?;
    /// let first = pull.recv().await?;
    /// let mut octets = first.first().len();
    /// while let Some(more) = pull.try_recv_in_hand(1000, |body, _sender| body.len()) {
    ///     octets += more;
    /// }
    /// # Ok(())
    /// # }
    /// ```
    #[inline]
    pub fn try_recv_in_hand<R>(
        &mut self,
        most: usize,
        look: impl FnOnce(&[u8], &Peer) -> R,
    ) -> Option<R> {
        self.receiver.lend_next(&*self.handle.engine.core, most, look)
    }

    /// How many messages are known to have arrived and were not received. It takes no lock, so others may have
    /// arrived since this socket last looked for them.
    pub fn backlog(&self) -> usize {
        self.receiver.backlog()
    }

    /// Drops the messages that have arrived through a [connected](Handle::connect) endpoint and were not
    /// received: for a program that has [disconnected](Handle::disconnect) it and wants none of its
    /// messages any more.
    ///
    /// # Errors
    /// [`EndpointError`] if the endpoint cannot be parsed.
    pub fn discard_received(&mut self, endpoint: impl IntoEndpoint) -> Result<(), EndpointError> {
        self.receiver.discard(&*self.handle.engine.core, &endpoint.into_endpoint()?);
        Ok(())
    }

    /// Waits for messages, and takes those of one peer that have arrived together. They stay in the buffer
    /// that they arrived in, so [reading](Batch::iter) them allocates no memory. It takes the messages that
    /// [`recv`](Self::recv) would give next, in the same order; [`sender`](Self::sender) then is their peer.
    /// They count for the high-water mark until the next call.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    ///
    /// ```
    /// use zmtp_socket::{Context, PubOptions, SubOptions};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let context = Context::new();
    /// # let publisher = context.pub_socket(PubOptions::new());
    /// # let mut subscriber = context.sub_socket(SubOptions::new());
    /// # publisher.bind("inproc://weather").await?;
    /// # subscriber.connect("inproc://weather")?;
    /// # subscriber.subscribe_all();
    /// # publisher.wait_for_subscriber("").await?;
    /// # publisher.send("10001 17").await?;
    /// let batch = subscriber.recv_batch().await?;
    /// for message in &batch {
    ///     println!("{} octets", message.first().len());
    /// }
    /// # Ok(())
    /// # }
    /// ```
    pub async fn recv_batch(&mut self) -> Result<Batch, RecvError> {
        let Self { handle, receiver, spin } = self;
        let engine = &*handle.engine;
        let next = poll_fn(|cx| {
            let poll = receiver.poll_batch(&*engine.core, cx);
            engine.follow(spin, cx, poll)
        });
        Ok(next.await?)
    }
}

/// The stream of what [`recv`](Socket::recv) gives. It ends when the socket has been closed.
impl<T: Receives> Stream for Socket<T> {
    type Item = T::Received;

    fn poll_next(
        mut self: Pin<&mut Self>,
        cx: &mut task::Context<'_>,
    ) -> Poll<Option<T::Received>> {
        self.poll_recv(cx).map(Result::ok)
    }
}

/// A socket dereferences to its own handle.
impl<T: Kind> Deref for Socket<T> {
    type Target = Handle<T>;

    fn deref(&self) -> &Handle<T> {
        &self.handle
    }
}

impl<T: Kind> Default for Socket<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Kind> Drop for Socket<T> {
    fn drop(&mut self) {
        let engine = &self.handle.engine;
        self.receiver.stop(&engine.core);
        engine.close_in_background();
    }
}

impl<T: Kind> fmt::Debug for Socket<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Socket").field("type", &T::SOCKET_TYPE).finish_non_exhaustive()
    }
}
