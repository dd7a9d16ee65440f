//! The XPUB socket.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use zmtp_codec::{Message, SocketType, Subscription};

use crate::error::{Closed, SendError};
use crate::monitor::Events;
use crate::options::{Hearing, Verbosity};
use crate::patterns::publish::{PubCore, Request};
use crate::peer::Peer;
use crate::send::Outgoing;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Kind, Parts, Publishes, Reader, Receive, Receives, Sends, Sinks, XPub};
use crate::sockets::pub_socket::PubHandle;
use crate::sockets::sink::CoreSink;
use crate::sockets::socket::Socket;

/// A PUB that also receives its subscribers' requests (RFC 29, The XPUB Socket Type).
///
/// It does all that a [`PubSocket`](crate::PubSocket) does, and [receives](Socket::recv) the
/// [requests](Request) of its subscribers. The program must receive them: a subscriber with more unread
/// requests than [`max_subscriptions`](crate::PubOptions::max_subscriptions) allows is disconnected. A
/// subscription that is cancelled before it is received is not reported.
///
/// A subscriber that comes late can be sent the last value, by itself:
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
pub type XPubSocket = Socket<XPub>;

/// A handle on an [`XPubSocket`], for other tasks than the one that receives.
pub type XPubHandle = Handle<XPub>;

impl Handle<XPub> {
    /// Sends a message to one peer only, whatever it is subscribed to (it may filter out what it did
    /// not subscribe to). The message is queued in order with those of [`send`](Self::send); but a
    /// peer without room loses it, whatever the [policy](crate::WhenFull). Returns whether the peer
    /// is connected.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    pub fn send_to<'a>(
        &self,
        peer: &Peer,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<bool, SendError> {
        Ok(self.engine.core.send_to(peer, &message.into().into_message())?)
    }

    /// Changes which subscriptions [`recv`](crate::XPubSocket::recv) reports; in
    /// [manual](crate::XPubOptions::manual) mode it goes on to report all.
    pub fn set_verbosity(&self, verbosity: Verbosity) {
        self.engine.core.set_verbosity(verbosity);
    }

    /// Changes the option [`manual`](crate::XPubOptions::manual), and which subscriptions are reported
    /// without it. Peers keep the subscriptions that they have.
    pub fn set_manual(&self, manual: bool, verbosity: Verbosity) {
        self.engine.core.set_manual(manual, verbosity);
    }

    /// Changes the [`welcome`](crate::XPubOptions::welcome) message, for peers that connect from
    /// now on.
    pub fn set_welcome(&self, message: Option<Message>) {
        self.engine.core.set_welcome(message);
    }

    /// Subscribes a peer to a topic, on its behalf. In [manual](crate::XPubOptions::manual) mode
    /// nothing else does. Returns whether the peer is connected and was not subscribed to it.
    pub fn subscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        let topic = Bytes::copy_from_slice(topic.as_ref());
        self.engine.core.change_for(peer, Subscription::Subscribe(topic))
    }

    /// Ends a peer's subscription to a topic, on its behalf. Returns whether it had one and now has
    /// none.
    pub fn unsubscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        let topic = Bytes::copy_from_slice(topic.as_ref());
        self.engine.core.change_for(peer, Subscription::Cancel(topic))
    }
}

/// The same socket, with the calls of a PUB only.
impl From<XPubHandle> for PubHandle {
    fn from(handle: XPubHandle) -> Self {
        Self::of(handle.engine)
    }
}

impl Kind for XPub {
    const SOCKET_TYPE: SocketType = SocketType::XPub;
}

impl Sends for XPub {}

impl Sinks for XPub {}
impl Publishes for XPub {}

impl Receives for XPub {
    type Received = Request;
}

impl Parts for XPub {
    type Core = PubCore;
    type Receiver = Requests;
    type Sink = CoreSink<PubCore>;

    fn core(role: Hearing, events: Arc<Events>) -> PubCore {
        PubCore::new(role.publishing, Some(role.requests), events)
    }
}

/// Receives the requests of subscribers.
#[derive(Debug, Default)]
pub(crate) struct Requests;

impl Reader<PubCore> for Requests {
    /// While the socket lingers, nobody reads requests.
    fn stop(&self, core: &PubCore) {
        core.stop_hearing();
    }
}

impl Receive<PubCore> for Requests {
    type Item = Request;

    fn poll_next(
        &mut self,
        core: &Arc<PubCore>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Request, Closed>> {
        core.poll_request(Some(cx.waker()))
    }

    fn try_next(&mut self, core: &Arc<PubCore>) -> Result<Option<Request>, Closed> {
        match core.poll_request(None) {
            Poll::Ready(request) => request.map(Some),
            Poll::Pending => Ok(None),
        }
    }
}
