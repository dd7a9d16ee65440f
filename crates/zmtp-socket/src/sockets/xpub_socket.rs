//! The XPUB socket.

use std::fmt;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context as TaskContext, Poll};

use bytes::Bytes;
use futures_core::Stream;
use zmtp_codec::{SocketType, Subscription};

use crate::error::{RecvError, SendError, TryRecvError};
use crate::options::XPubOptions;
use crate::patterns::publish::Request;
use crate::peer::Peer;
use crate::send::Outgoing;
use crate::sockets::context::Context;
use crate::sockets::pub_socket::{PubSocket, publisher_methods};

/// A PUB that also hears what its subscribers want (RFC 29, The XPUB Socket Type).
///
/// It does all that a [`PubSocket`] does; [one](Self::publisher) sends from other tasks while this one
/// receives. What subscribers ask for must be [received](Self::recv): whoever has more unread than it
/// may be [subscribed](crate::PubOptions::max_subscriptions) to is disconnected. Once this is dropped
/// nobody is, and subscriptions are what they are to a PUB.
///
/// Who comes late, and wants to know how things stand, can be told alone:
///
/// ```
/// use zmtp_socket::{Context, Request, SubOptions, Verbosity, XPubOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = Context::new();
/// let mut publisher = context.xpub_socket(XPubOptions::new().verbosity(Verbosity::Subscriptions));
/// publisher.bind("inproc://weather").await?;
/// publisher.send("10002 27 33").await?; // nobody is there
///
/// let mut subscriber = context.sub_socket(SubOptions::new());
/// subscriber.subscribe("10002");
/// subscriber.connect("inproc://weather")?;
///
/// if let Request::Subscribe { peer, topic } = publisher.recv().await? {
///     assert_eq!(topic, "10002");
///     publisher.send_to(&peer, "10002 27 33")?; // the last value, to this peer
/// }
/// assert_eq!(subscriber.recv().await?.first(), "10002 27 33");
/// # Ok(())
/// # }
/// ```
pub struct XPubSocket {
    publisher: PubSocket,
}

publisher_methods!(XPubSocket, this => this.publisher.socket);

impl XPubSocket {
    /// In the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_context(&Context::global(), XPubOptions::new())
    }

    /// In the process-wide context.
    pub fn with_options(options: XPubOptions) -> Self {
        Self::with_context(&Context::global(), options)
    }

    pub(crate) fn with_context(context: &Context, options: XPubOptions) -> Self {
        let XPubOptions { link, socket, role } = options;
        let hearing = Some(role.requests);
        let publisher =
            PubSocket::of_type(context, SocketType::XPub, link, socket, role.publishing, hearing);
        Self { publisher }
    }

    /// The same socket as a publisher, to be cloned for other tasks: they send and bind while this one
    /// receives what subscribers want.
    pub fn publisher(&self) -> &PubSocket {
        &self.publisher
    }

    /// What a subscriber wants next. Subscriptions that are taken back before they are received are not
    /// told.
    ///
    /// # Errors
    /// [`RecvError::Closed`] once the socket has been closed and everything has been received.
    ///
    /// # Cancel safety
    /// No request is lost if the future is dropped.
    pub async fn recv(&mut self) -> Result<Request, RecvError> {
        let socket = self.publisher.socket();
        Ok(poll_fn(|cx| socket.follow(socket.core.poll_request(Some(cx.waker())))).await?)
    }

    /// What a subscriber wants next, if it has said so already.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if none has; [`TryRecvError::Closed`] as for [`recv`](Self::recv).
    pub fn try_recv(&mut self) -> Result<Request, TryRecvError> {
        match self.publisher.core().poll_request(None) {
            Poll::Ready(request) => Ok(request?),
            Poll::Pending => Err(TryRecvError::Empty),
        }
    }

    /// Sends a message to one peer alone, whatever it is subscribed to (it may filter what it did not
    /// ask for). Queues like [`send`](Self::send), in the same order; but a peer without room loses
    /// it, whatever the socket does [otherwise](crate::WhenFull). Returns whether the peer is there.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    pub fn send_to<'a>(
        &self,
        peer: &Peer,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<bool, SendError> {
        Ok(self.publisher.core().send_to(peer, &message.into().into_message())?)
    }

    /// Subscribes a peer to a topic, in its place: in [manual](XPubOptions::manual) mode nothing else
    /// does. Returns whether the peer is there and was not subscribed to it.
    pub fn subscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        let topic = Bytes::copy_from_slice(topic.as_ref());
        self.publisher.core().change_for(peer, Subscription::Subscribe(topic))
    }

    /// Ends a peer's subscription to a topic, in its place. Returns whether it had one and now has none.
    pub fn unsubscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        let topic = Bytes::copy_from_slice(topic.as_ref());
        self.publisher.core().change_for(peer, Subscription::Cancel(topic))
    }
}

impl Drop for XPubSocket {
    fn drop(&mut self) {
        self.publisher.core().stop_hearing();
    }
}

impl Default for XPubSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for XPubSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XPubSocket").finish_non_exhaustive()
    }
}

/// The requests as a stream, which ends when the socket has been closed.
impl Stream for XPubSocket {
    type Item = Request;

    fn poll_next(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<Option<Request>> {
        let socket = self.publisher.socket();
        socket.follow(socket.core.poll_request(Some(cx.waker()))).map(Result::ok)
    }
}
