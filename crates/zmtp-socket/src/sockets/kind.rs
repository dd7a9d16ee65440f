//! The kinds of sockets, and the calls that sockets of each kind have.
//!
//! | socket | kind | [`Sends`] | [`Publishes`] | [`Receives`] | [`ReceivesMessages`] | [`Subscribes`] |
//! |---|---|---|---|---|---|---|
//! | [`PubSocket`](crate::PubSocket) | [`Pub`] | yes | yes | | | |
//! | [`XPubSocket`](crate::XPubSocket) | [`XPub`] | yes | yes | [`Request`](crate::Request)s | | |
//! | [`SubSocket`](crate::SubSocket) | [`Sub`] | | | [`Message`](crate::Message)s | yes | yes |
//! | [`XSubSocket`](crate::XSubSocket) | [`XSub`] | yes | | [`Message`](crate::Message)s | yes | yes |
//! | [`PushSocket`](crate::PushSocket) | [`Push`] | yes | | | | |
//! | [`PullSocket`](crate::PullSocket) | [`Pull`] | | | [`Message`](crate::Message)s | yes | |
//! | [`PairSocket`](crate::PairSocket) | [`Pair`] | yes | | [`Message`](crate::Message)s | yes | |
//! | [`DealerSocket`](crate::DealerSocket) | [`Dealer`] | yes | | [`Message`](crate::Message)s | yes | |
//! | [`RouterSocket`](crate::RouterSocket) | [`Router`] | by name | | messages with their [`Peer`](crate::Peer)s | | |
//! | [`ReqSocket`](crate::ReqSocket) | [`Req`] | requests | | | | |
//! | [`RepSocket`](crate::RepSocket) | [`Rep`] | replies | | requests with their [`Reply`](crate::Reply) | | |
//!
//! All kinds that send, except XSUB, are sinks of messages too ([`Sinks`]).
//!
//! Generic code bounds the kind by what it does with the sockets:
//!
//! ```
//! use zmtp_socket::kind::Publishes;
//! use zmtp_socket::{Closed, Handle, SendError};
//!
//! async fn announce<T: Publishes>(publisher: Handle<T>, topic: &str) -> Result<(), SendError> {
//!     publisher.wait_for_subscriber(topic).await?;
//!     publisher.send(topic).await
//! }
//! ```
#![expect(private_bounds, reason = "how a socket is built is no affair of its user")]

use std::sync::Arc;
use std::task::{Context, Poll};

use zmtp_codec::{Message, SocketType};

use crate::engine::driver::Core;
use crate::error::Closed;
use crate::monitor::Events;
pub use crate::options::kind::{Dealer, Pair, Pub, Pull, Push, Rep, Req, Router, Sub, XPub, XSub};
use crate::options::{
    Configured, Conflates, Linger, Matching, Publishing, Receiving, Sending, SocketRole, WhenFull,
};
use crate::patterns::publish::PubCore;
use crate::patterns::subscribe::SubCore;
use crate::patterns::unicast::UnicastCore;
use crate::receive::{Receiver, Source};
use crate::send::{SendCore, SinkCore};
use crate::sockets::sink::CoreSink;
use crate::stats::Unfinished;

/// A kind of sockets. Only the library's own types implement it.
pub trait Kind: Configured<Role: SocketRole> + Parts {
    /// The socket type that the sockets announce to their peers.
    const SOCKET_TYPE: SocketType;
}

/// A kind whose sockets [send](crate::Handle::send).
pub trait Sends: Kind + Configured<Role: AsMut<Sending>> + Parts<Core: SendCore> {}

/// A kind whose sockets and handles are sinks of messages.
pub trait Sinks: Sends + Parts<Core: SinkCore, Sink = CoreSink<<Self as Parts>::Core>> {}

/// A kind whose sockets send to the peers that have subscribed.
pub trait Publishes:
    Sends
    + Configured<Role: AsMut<Publishing> + AsMut<Matching> + AsMut<WhenFull> + Conflates>
    + Sinks
    + Parts<Core = PubCore>
{
}

/// A kind whose sockets [receive](crate::Socket::recv).
pub trait Receives:
    Kind + Parts<Receiver: Receive<Self::Core, Item = <Self as Receives>::Received>>
{
    /// The type of what they receive.
    type Received;
}

/// A kind whose sockets receive messages from queues, one for each peer.
pub trait ReceivesMessages:
    Receives<Received = Message>
    + Configured<Role: AsMut<Receiving> + Conflates>
    + Parts<Core: Source, Receiver = Receiver>
{
}

/// A kind whose sockets send each message to one peer, if they send.
pub trait Unicasts: Kind + Parts<Core = UnicastCore> {}

/// A kind whose sockets [subscribe](crate::Handle::subscribe) to what they receive.
pub trait Subscribes: Kind + Configured<Role: AsMut<Matching>> + Parts<Core = SubCore> {}

/// The parts that the sockets of a kind are made of.
pub(crate) trait Parts: Configured {
    type Core: Core;

    /// The part that only the socket owns.
    type Receiver: Reader<Self::Core> + Default + Send + Sync + Unpin;

    /// The part that each handle owns, if it is a sink.
    type Sink: Default + Send + Sync + Unpin;

    /// How long a closed socket goes on delivering, by default.
    const LINGER: Linger = Linger::DEFAULT;

    fn core(role: Self::Role, events: Arc<Events>) -> Self::Core;
}

/// The part that belongs to the socket and not to its handles.
pub(crate) trait Reader<C> {
    /// Adds the messages that were not received.
    fn left_unread(&self, closed: Unfinished) -> Unfinished {
        closed
    }

    /// Called when the socket is dropped.
    fn stop(&self, core: &C) {
        let _ = core;
    }
}

/// Takes received items out of a core.
pub(crate) trait Receive<C>: Reader<C> {
    type Item;

    /// Waits for the next one.
    fn poll_next(
        &mut self,
        core: &Arc<C>,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Self::Item, Closed>>;

    /// The next one, if there is one.
    fn try_next(&mut self, core: &Arc<C>) -> Result<Option<Self::Item>, Closed>;
}

/// Nothing is received.
impl<C> Reader<C> for () {}

impl<C: Source> Reader<C> for Receiver {
    fn left_unread(&self, closed: Unfinished) -> Unfinished {
        self.left_unread(closed)
    }
}

impl<C: Source> Receive<C> for Receiver {
    type Item = Message;

    #[inline]
    fn poll_next(&mut self, core: &Arc<C>, cx: &mut Context<'_>) -> Poll<Result<Message, Closed>> {
        self.poll_next(&**core, cx)
    }

    #[inline]
    fn try_next(&mut self, core: &Arc<C>) -> Result<Option<Message>, Closed> {
        self.try_next(&**core)
    }
}
