//! The SUB socket.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use futures_core::Stream;
use zmtp_codec::{Batch, SocketType};

use crate::monitor::Events;
use crate::options::{LinkOptions, SocketOptions, Terms};
use crate::socket::{Socket, endpoint_methods};
use crate::subscribe::{Receiver, Subscriber};
use crate::{Context, Linger, Message, Peer, RecvError, SubOptions, TryRecvError};

/// Receives the messages it subscribed to (RFC 29, The SUB Socket Type).
///
/// A new socket is subscribed to nothing and receives nothing. Subscriptions are prefixes of a
/// message's first part; the empty one matches every message. They outlive every connection:
/// each publisher is told all of them whenever it is reached, or reached again.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut subscriber = zmtp_socket::SubSocket::new();
/// subscriber.connect("tcp://localhost:5556")?;
/// subscriber.subscribe("10002");
/// let update = subscriber.recv().await?;
/// println!("{}", String::from_utf8_lossy(update.first()));
/// # Ok(())
/// # }
/// ```
pub struct SubSocket {
    handle: SubHandle,
    receiver: Receiver,
}

/// A handle on a [`SubSocket`], for other tasks than the one that receives. Cheap to clone. It does
/// not keep the socket open.
#[derive(Clone)]
pub struct SubHandle {
    socket: Arc<Socket<Subscriber>>,
}

impl SubSocket {
    /// A subscriber in the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_context(&Context::global(), SubOptions::new())
    }

    /// A subscriber in the process-wide context.
    pub fn with_options(options: SubOptions) -> Self {
        Self::with_context(&Context::global(), options)
    }

    pub(crate) fn with_context(context: &Context, options: SubOptions) -> Self {
        let SubOptions { link, socket, role } = options;
        let core = |events| Subscriber::new(role, None, events);
        Self::of_type(context, SocketType::Sub, link, socket, Linger::NONE, core)
    }

    pub(crate) fn of_type(
        context: &Context,
        socket_type: SocketType,
        link: LinkOptions,
        socket: SocketOptions,
        linger: Linger,
        core: impl FnOnce(Arc<Events>) -> Subscriber,
    ) -> Self {
        let linger = socket.linger.unwrap_or(linger);
        let terms = Terms::new(link, socket_type);
        let events = Arc::new(Events::default());
        let core = core(events.clone());
        let socket = Arc::new(Socket::new(context, core, terms, socket, linger, events));
        Self { handle: SubHandle { socket }, receiver: Receiver::default() }
    }

    pub(crate) fn core(&self) -> &Subscriber {
        &self.handle.socket.core
    }

    /// Receives the next message. Publishers take turns; each one's messages come in the order in
    /// which it sent them on one connection; what was left of an earlier connection to the same
    /// endpoint comes before. A publisher that is gone, or not there yet, leaves this waiting.
    ///
    /// A message may share the buffer that it was read into, if it fills at least half of that: as long
    /// as it or a clone of a part is kept, it keeps about twice its size in memory, at most.
    ///
    /// # Errors
    /// [`RecvError::Closed`] once the socket has been closed through a [handle](Self::handle) and
    /// everything that had arrived has been received.
    ///
    /// # Cancel safety
    /// No message is lost if the future is dropped.
    pub async fn recv(&mut self) -> Result<Message, RecvError> {
        Ok(poll_fn(|cx| self.receiver.poll_next(&self.handle.socket.core, cx)).await?)
    }

    /// Receives the next message if one has arrived.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if none has; [`TryRecvError::Closed`] as for [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Message, TryRecvError> {
        self.receiver.try_next(&self.handle.socket.core)?.ok_or(TryRecvError::Empty)
    }

    /// The publisher that the message came from which was received last: what the handshake has told of it,
    /// and who it was judged to be, is in its [`info`](Peer::info). It may have gone by now. None before the
    /// first message.
    pub fn sender(&self) -> Option<&Peer> {
        self.receiver.sender()
    }

    /// Receives all messages that have come together.
    pub(crate) async fn recv_batch(&mut self) -> Result<Batch, RecvError> {
        Ok(poll_fn(|cx| self.receiver.poll_batch(&self.handle.socket.core, cx)).await?)
    }

    /// A handle to subscribe, connect and look on with while another task receives.
    pub fn handle(&self) -> SubHandle {
        self.handle.clone()
    }

    /// Subscribes to every message whose first part begins with `topic`, any octets. Subscriptions
    /// count: two to the same topic take two calls of [`unsubscribe`](Self::unsubscribe).
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
        self.handle.subscribe(topic);
    }

    /// Takes one subscription back. Once it was the last to this topic, no message that only it
    /// matched is received any more, even if it has already arrived. Returns whether there was such
    /// a subscription.
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
        self.handle.unsubscribe(topic)
    }

    /// Closes the socket. Returns how many messages had arrived and were not received, once every
    /// task has ended and every descriptor is closed.
    ///
    /// # Cancel safety
    /// If the future is dropped the socket is closed all the same.
    pub async fn close(self) -> usize {
        self.receiver.in_hand() + self.handle.socket.close().await
    }
}

impl SubHandle {
    /// As [`SubSocket::subscribe`].
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
        self.socket.core.subscribe(topic.as_ref());
    }

    /// As [`SubSocket::unsubscribe`].
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
        self.socket.core.unsubscribe(topic.as_ref())
    }

    /// Closes the socket from another task: its [`recv`](SubSocket::recv) gives what has arrived
    /// and then [`RecvError::Closed`]. Returns how many messages had arrived and were not received.
    ///
    /// # Cancel safety
    /// If the future is dropped the socket is closed all the same.
    pub async fn close(&self) -> usize {
        self.socket.close().await
    }
}

endpoint_methods!(SubSocket, this => this.handle.socket);
endpoint_methods!(SubHandle, this => this.socket);

impl Default for SubSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SubSocket {
    fn drop(&mut self) {
        // Handles elsewhere do not keep it open.
        self.handle.socket.close_in_background();
    }
}

impl fmt::Debug for SubSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubSocket").finish_non_exhaustive()
    }
}

impl fmt::Debug for SubHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubHandle").finish_non_exhaustive()
    }
}

/// The messages as a stream, which ends when the socket has been closed.
impl Stream for SubSocket {
    type Item = Message;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Message>> {
        let this = &mut *self;
        this.receiver.poll_next(&this.handle.socket.core, cx).map(Result::ok)
    }
}
