//! The DEALER and the ROUTER socket.

use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use zmtp_codec::{Message, SocketType};

use crate::error::{Closed, Reason, SendError};
use crate::monitor::Events;
use crate::options::{Dealing, HighWaterMark, Routing};
use crate::patterns::unicast::{Config, Sends as Whom, To, UnicastCore};
use crate::peer::Peer;
use crate::receive::{Receiver, Source as _};
use crate::send::flushing::Wait;
use crate::send::{Outgoing, SendCore as _, SinkCore as _};
use crate::sockets::handle::Handle;
use crate::sockets::kind::{
    Dealer, Kind, Parts, Reader, Receive, Receives, ReceivesMessages, Router, Sends, Sinks,
    Unicasts,
};
use crate::sockets::sink::CoreSink;
use crate::sockets::socket::Socket;
use crate::stats::Unfinished;

/// Sends to its peers in turn and receives from all of them (RFC 28, The DEALER Socket Type): an
/// asynchronous REQ, the server side of a broker, or one side of any exchange with a ROUTER.
///
/// It adds no part to a message and removes none. To talk to a REP, begin each message with an empty
/// part.
///
/// For an example, see [`RouterSocket`].
pub type DealerSocket = Socket<Dealer>;

/// A handle on a [`DealerSocket`], for other tasks than the one that receives.
pub type DealerHandle = Handle<Dealer>;

/// Receives from all peers, tells which peer each message came from, and sends to the peer that is
/// named (RFC 28, The ROUTER Socket Type).
///
/// It [receives](Socket::recv) a message beside its [`Peer`], where libzmq puts the peer's identity
/// into the message as its first part. [`send_to`](Handle::send_to) takes a peer, or an identity.
///
/// ```
/// use zmtp_socket::{DealerOptions, DealerSocket, RouterSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut server = RouterSocket::new();
/// let endpoint = server.bind("tcp://127.0.0.1:*").await?;
///
/// let mut client = DealerSocket::with_options(DealerOptions::new().identity("client-1"));
/// client.connect(&endpoint)?;
/// client.send("work?").await?;
///
/// let (peer, message) = server.recv().await?;
/// assert_eq!(message.first(), "work?");
/// server.send_to(&peer, "yes").await?;
/// server.send_to("client-1", "and more").await?;
/// assert_eq!(client.recv().await?.first(), "yes");
/// assert_eq!(client.recv().await?.first(), "and more");
/// # Ok(())
/// # }
/// ```
pub type RouterSocket = Socket<Router>;

/// A handle on a [`RouterSocket`], for other tasks than the one that receives.
pub type RouterHandle = Handle<Router>;

/// The peer of a ROUTER that a message is for, named by its [`Peer`] or its identity.
#[derive(Clone, Copy, Debug)]
pub struct Destination<'a>(pub(crate) To<'a>);

impl<'a> From<&'a Peer> for Destination<'a> {
    fn from(peer: &'a Peer) -> Self {
        Self(peer.into())
    }
}

/// By its identity.
impl<'a> From<&'a [u8]> for Destination<'a> {
    fn from(identity: &'a [u8]) -> Self {
        Self(To::Identity(identity))
    }
}

/// By its identity.
impl<'a> From<&'a str> for Destination<'a> {
    fn from(identity: &'a str) -> Self {
        Self(To::Identity(identity.as_bytes()))
    }
}

/// By its identity.
impl<'a> From<&'a Bytes> for Destination<'a> {
    fn from(identity: &'a Bytes) -> Self {
        Self(To::Identity(identity))
    }
}

impl Handle<Router> {
    /// Sends a message to one peer.
    ///
    /// If the peer is at its [high-water mark](crate::Options::send_hwm), the policy
    /// [`when_full`](crate::Options::when_full) decides; by default, the message is dropped. A message for a
    /// peer that is not connected is dropped, unless [`mandatory`](crate::RouterOptions::mandatory) makes it
    /// an error. Each drop is [counted](crate::Stats::dropped).
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed; [`SendError::Full`] when it has waited for
    /// room as long as [`WhenFull::WaitFor`](crate::WhenFull::WaitFor) allows; [`SendError::Unroutable`]
    /// if the peer is not connected and [`mandatory`](crate::RouterOptions::mandatory) is set.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is done, the message has reached nobody.
    pub async fn send_to<'a>(
        &self,
        peer: impl Into<Destination<'a>>,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<(), SendError> {
        let (core, to, message) = (&self.engine.core, peer.into().0, message.into());
        match core.send_now_to(to, &message) {
            Some(sent) => sent,
            None => {
                self.engine.move_here();
                Box::pin(core.send_later_to(to, &message)).await.map(drop)
            }
        }
    }

    /// Does as [`send_to`](Self::send_to), but never waits and never yields to other tasks.
    ///
    /// # Errors
    /// As [`send_to`](Self::send_to); [`SendError::Full`] where the socket would have to wait.
    pub fn try_send_to<'a>(
        &self,
        peer: impl Into<Destination<'a>>,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<(), SendError> {
        self.engine.core.send(peer.into().0, &message.into(), None).map(drop)
    }

    /// Changes how many messages may [wait](crate::Options::send_hwm) for each peer.
    pub fn set_send_hwm(&self, mark: HighWaterMark) {
        self.engine.core.set_send_hwm(mark);
    }

    /// Changes how many messages of each peer may [wait](crate::Options::receive_hwm) to be received.
    pub fn set_receive_hwm(&self, mark: HighWaterMark) {
        self.engine.core.set_receive_hwm(mark);
    }

    /// Changes the option [`handover`](crate::RouterOptions::handover).
    pub fn set_handover(&self, handover: bool) {
        self.engine.core.set_handover(handover);
    }

    /// Whether a message can be [sent](Self::try_send_to) to this peer now, without being dropped or having
    /// to wait.
    ///
    /// # Errors
    /// [`SendError::Unroutable`] if there is no such peer; [`SendError::Closed`] once the socket has been
    /// closed.
    pub fn has_room_for<'a>(&self, peer: impl Into<Destination<'a>>) -> Result<bool, SendError> {
        self.engine.core.has_room_for(peer.into().0)
    }

    /// Waits until a message can be [sent](Self::try_send_to) to this peer without being dropped or having to
    /// wait.
    ///
    /// # Errors
    /// [`SendError::Unroutable`] if there is no such peer, or when it has gone; [`SendError::Closed`] once the
    /// socket has been closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn wait_for_room<'a>(
        &self,
        peer: impl Into<Destination<'a>>,
    ) -> Result<(), SendError> {
        let to = peer.into().0;
        self.engine.move_here();
        self.engine.core.wait_for_room(to).await
    }

    /// The connected peer that has an identity.
    pub fn peer_with(&self, identity: impl AsRef<[u8]>) -> Option<Peer> {
        self.engine.core.peer_with(identity.as_ref())
    }

    /// Ends the connection of one peer. Returns whether it was there. A peer that dialled us may come back.
    pub fn disconnect_peer(&self, peer: &Peer) -> bool {
        self.engine.core.expel(peer, Reason::Stopped)
    }
}

impl Socket<Router> {
    /// Ready while some peer has room for a message.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        self.handle.engine.core.poll_room(&mut self.receiver.room, cx.waker())
    }
}

/// Takes messages out of a ROUTER, each with its peer.
#[derive(Debug, Default)]
pub(crate) struct RouterReceiver {
    receiver: Receiver,
    room: Wait,
}

impl Reader<UnicastCore> for RouterReceiver {
    fn left_unread(&self, closed: Unfinished) -> Unfinished {
        self.receiver.left_unread(closed)
    }
}

impl RouterReceiver {
    fn with_sender(&self, message: Message) -> (Peer, Message) {
        let sender = self.receiver.sender().expect("a message has been received");
        (sender.clone(), message)
    }
}

impl Receive<UnicastCore> for RouterReceiver {
    type Item = (Peer, Message);

    fn poll_next(
        &mut self,
        core: &Arc<UnicastCore>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<(Peer, Message), Closed>> {
        let next = self.receiver.poll_next(&**core, cx);
        next.map_ok(|message| self.with_sender(message))
    }

    fn try_next(&mut self, core: &Arc<UnicastCore>) -> Result<Option<(Peer, Message)>, Closed> {
        let next = self.receiver.try_next(&**core)?;
        Ok(next.map(|message| self.with_sender(message)))
    }
}

impl Kind for Dealer {
    const SOCKET_TYPE: SocketType = SocketType::Dealer;
}

impl Sends for Dealer {}

impl Sinks for Dealer {}

impl Receives for Dealer {
    type Received = Message;
}

impl ReceivesMessages for Dealer {}

impl Unicasts for Dealer {}

impl Parts for Dealer {
    type Core = UnicastCore;
    type Receiver = Receiver;
    type Sink = CoreSink<UnicastCore>;

    fn core(role: Dealing, events: Arc<Events>) -> UnicastCore {
        let config = Config::in_turn(&role.in_turn, &role.receiving);
        UnicastCore::new(Config { probe: role.probing.0, ..config }, events)
    }
}

impl Kind for Router {
    const SOCKET_TYPE: SocketType = SocketType::Router;
}

impl Receives for Router {
    type Received = (Peer, Message);
}

impl Unicasts for Router {}

impl Parts for Router {
    type Core = UnicastCore;
    type Receiver = RouterReceiver;
    type Sink = ();

    fn core(role: Routing, events: Arc<Events>) -> UnicastCore {
        let Routing { replying, probing, mandatory, handover } = role;
        let config = Config::replying(Whom::ByIdentity, &replying);
        UnicastCore::new(Config { probe: probing.0, mandatory, handover, ..config }, events)
    }
}
