//! What can go wrong in each call, and why a connection ends.

use std::io;
use std::sync::Arc;

use zmtp_codec::ConfigError;

use crate::endpoint::{Endpoint, EndpointError};
use crate::options::Mark;

/// Why [`bind`](crate::Handle::bind) failed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum BindError {
    /// The text is no endpoint that can be bound.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The operating system, or this context's table of `inproc` names, refused the address.
    #[error("cannot bind {endpoint}: {source}")]
    #[non_exhaustive]
    Refused {
        /// What was to be bound.
        endpoint: Endpoint,
        /// What the system said.
        source: io::Error,
    },
    /// The socket's options do not make sense together.
    #[error("the socket's options: {0}")]
    Options(#[from] ConfigError),
    /// The socket has been closed.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The call was made outside a tokio runtime, or on one that cannot do what is needed.
    #[error(transparent)]
    NoRuntime(#[from] NoRuntime),
}

impl BindError {
    /// The same socket has bound `endpoint` before.
    pub(crate) fn already_bound(endpoint: Endpoint) -> Self {
        let advice = "this socket has it bound already; unbind it first";
        Self::Refused { endpoint, source: io::Error::new(io::ErrorKind::AddrInUse, advice) }
    }
}

/// Why [`connect`](crate::Handle::connect) failed. That nobody listens there is no error: it is
/// tried again until somebody does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no endpoint that can be connected to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// This system cannot do what the options ask for, or has no such transport.
    #[error("cannot connect to {endpoint}: {source}")]
    Unsupported {
        /// What was to be connected.
        endpoint: Endpoint,
        /// What is missing.
        source: io::Error,
    },
    /// Another peer of the ROUTER goes by the [identity](crate::EndpointOptions::peer_identity) that this
    /// one was to have.
    #[error(
        "cannot connect to {endpoint}: another peer has the identity that this one was to have"
    )]
    #[non_exhaustive]
    IdentityTaken {
        /// What was to be connected.
        endpoint: Endpoint,
    },
    /// The socket's options do not make sense together.
    #[error("the socket's options: {0}")]
    Options(#[from] ConfigError),
    /// The socket has been closed.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// The call was made outside a tokio runtime, or on one that cannot do what is needed.
    #[error(transparent)]
    NoRuntime(#[from] NoRuntime),
}

/// There is no tokio runtime that could run a socket's connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NoRuntime {
    /// The call was made outside of any.
    #[error("no tokio runtime here: bind and connect must be called from within one")]
    Absent,
    /// The runtime that the call was made on has no timers.
    #[error("this tokio runtime has no timers: build it with enable_time or enable_all")]
    WithoutTime,
    /// The runtime of the socket cannot wait for the network.
    #[error("this tokio runtime does no I/O: build it with enable_io or enable_all")]
    WithoutIo,
}

/// The socket has been closed. In a process that was forked off, all blocking sockets of its parent are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the socket is closed")]
pub struct Closed;

/// Why [`unbind`](crate::Handle::unbind) or [`disconnect`](crate::Handle::disconnect) has ended
/// nothing.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum UnknownEndpoint {
    /// The text is no endpoint.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// The endpoint is not bound by this socket.
    #[error("{0} is not bound by this socket")]
    NotBound(Endpoint),
    /// The endpoint is not connected by this socket.
    #[error("{0} is not connected by this socket")]
    NotConnected(Endpoint),
}

/// Why a message was not sent to anybody.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum SendError {
    /// The socket has been closed.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// A subscriber that wants the message has no room for it: at once, with
    /// [`try_send`](crate::Handle::try_send), or within the time that
    /// [`WhenFull::WaitFor`](crate::WhenFull::WaitFor) allows. Only where the socket waits.
    #[error("there is no room for the message: the queue of who is to get it is full")]
    Full,
    /// The peer that was named is not connected, and nothing waits for it: only where the socket was told
    /// that each message has to have somebody to go to.
    #[error("no peer with this name is connected")]
    Unroutable,
}

/// Why a [request](crate::ReqSocket::request) has no reply.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RequestError {
    /// The socket has been closed.
    #[error(transparent)]
    Closed(#[from] Closed),
    /// No reply has come in [time](crate::ReqOptions::request_timeout); perhaps nobody is there.
    #[error("no reply has come in time")]
    TimedOut,
    /// The connection that the request went through has ended: whether it was served is not known.
    #[error("the connection to the peer that was asked has ended before its reply")]
    Lost,
}

impl From<SendError> for RequestError {
    fn from(error: SendError) -> Self {
        match error {
            SendError::Closed(closed) => Self::Closed(closed),
            SendError::Full | SendError::Unroutable => Self::TimedOut,
        }
    }
}

/// Why [`recv`](crate::SubSocket::recv) gives no message, now or ever again.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum RecvError {
    /// The socket has been closed and everything it had received has been taken.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why [`try_recv`](crate::SubSocket::try_recv) gives no message.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum TryRecvError {
    /// Nothing has arrived.
    #[error("no message has arrived")]
    Empty,
    /// The socket has been closed and everything it had received has been taken.
    #[error(transparent)]
    Closed(#[from] Closed),
}

/// Why a connection ended, or could not be made.
#[derive(Clone, Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Reason {
    /// The peer closed the connection.
    #[error("the peer closed the connection")]
    PeerClosed,
    /// The operating system reported an error on the connection, or while it was made.
    #[error("{0}")]
    Transport(Arc<io::Error>),
    /// The peer broke a rule of the protocol, fits us not, refused us, or fell silent.
    #[error(transparent)]
    Protocol(#[from] zmtp_codec::Error),
    /// A limit of ours, which the peer or all peers together have reached.
    #[error(transparent)]
    Overrun(#[from] Overrun),
    /// We ended it: the endpoint was unbound or disconnected, or the socket closed.
    #[error("closed from this side")]
    Stopped,
    /// Code that ran for the connection panicked: [a judge](crate::PubOptions::authorize), a
    /// subscriber of the log, or this library. The text is what the panic said.
    #[error("a panic: {0}")]
    Panicked(Arc<str>),
    /// The socket has a peer, and may have one only (RFC 31).
    #[error("the socket has a peer already")]
    Occupied,
    /// The endpoint was told to [accept](crate::PubOptions::accept_if) others alone.
    #[error("the peer is none of those that are accepted")]
    NotAdmitted,
    /// Another peer has the identity that this one announced, or has taken it over.
    #[error("another peer has the same identity")]
    IdentityTaken,
    /// A request was given up whose late reply could be mistaken for that to another.
    #[error("a request was given up, and its reply must not come late")]
    Abandoned,
    /// The tokio runtime that the connection ran on has ended.
    #[error("the runtime of the connection has ended")]
    RuntimeEnded,
}

/// A transport's word for the end that we asked it for by what we sent.
#[derive(Debug, thiserror::Error)]
#[error("closed from this side")]
pub(crate) struct Ended;

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        match error.get_ref() {
            Some(inner) if inner.is::<Ended>() => Self::Stopped,
            _ => Self::Transport(Arc::new(error)),
        }
    }
}

/// Which limit of this socket a connection had to end for. What a peer sends at once has limits of its
/// own, such as [`max_message_size`](crate::PubOptions::max_message_size): past one of them it has broken
/// the [protocol](Reason::Protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Overrun {
    /// The peer holds more subscriptions than [it may](crate::PubOptions::max_subscriptions), or more
    /// [octets](crate::PubOptions::max_subscription_octets) of them.
    #[error("the peer subscribed to more than {topics} topics, or {octets} octets of them")]
    #[non_exhaustive]
    Subscriptions {
        /// So many distinct topics it may hold.
        topics: usize,
        /// So many octets of them.
        octets: usize,
    },
    /// The socket has as many [connections](crate::PubOptions::max_connections) as it may.
    #[error("all {limit} connections that the socket may have are in use")]
    #[non_exhaustive]
    Connections {
        /// So many it may have.
        limit: usize,
    },
    /// Newer connections need the place: [so many](crate::PubOptions::max_handshakes) are in their
    /// handshake, and this was the oldest.
    #[error("more than {limit} handshakes were half-done, and this one was the oldest")]
    #[non_exhaustive]
    Handshakes {
        /// So many may be in their handshake at once.
        limit: usize,
    },
    /// The peer wanted more than the user of an [`XPubSocket`](crate::XPubSocket) has read. It may
    /// have as much unread as it may be [subscribed](crate::PubOptions::max_subscriptions) to.
    #[error("more than {requests} requests of the peer, or {octets} octets of them, are unread")]
    #[non_exhaustive]
    Requests {
        /// So many may be unread.
        requests: usize,
        /// So many octets of them.
        octets: usize,
    },
    /// The peer was too slow, where [`WhenFull::Disconnect`](crate::WhenFull::Disconnect) says so.
    #[error("the peer is too slow: {mark} were waiting for it")]
    #[non_exhaustive]
    Queue {
        /// The mark that its queue had reached.
        mark: Mark,
    },
}
