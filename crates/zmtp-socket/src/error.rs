//! The errors of each call, and the reasons why a connection ends.

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
        /// The endpoint to be bound.
        endpoint: Endpoint,
        /// The error of the system.
        source: io::Error,
    },
    /// The socket's options do not make sense together.
    #[error("invalid socket options: {0}")]
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

/// Why [`connect`](crate::Handle::connect) failed. An endpoint where nobody listens is no error: it
/// is dialled again until somebody does.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConnectError {
    /// The text is no endpoint that can be connected to.
    #[error(transparent)]
    Endpoint(#[from] EndpointError),
    /// This system cannot do what the options ask for, or has no such transport.
    #[error("cannot connect to {endpoint}: {source}")]
    Unsupported {
        /// The endpoint that was to be connected.
        endpoint: Endpoint,
        /// The option or the transport that this system lacks.
        source: io::Error,
    },
    /// Another peer of the ROUTER has the [identity](crate::EndpointOptions::peer_identity) that was to
    /// be given to this one.
    #[error(
        "cannot connect to {endpoint}: another peer already has the identity given to this one"
    )]
    #[non_exhaustive]
    IdentityTaken {
        /// The endpoint that was to be connected.
        endpoint: Endpoint,
    },
    /// The socket's options do not make sense together.
    #[error("invalid socket options: {0}")]
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
    /// The call was made outside of any runtime.
    #[error("there is no tokio runtime here: call bind and connect from within one")]
    Absent,
    /// The runtime that the call was made on has no timers.
    #[error("this tokio runtime has no timers: build it with enable_time or enable_all")]
    WithoutTime,
    /// The runtime of the socket cannot wait for the network.
    #[error("this tokio runtime does no I/O: build it with enable_io or enable_all")]
    WithoutIo,
}

/// The socket has been closed. In a forked process, all blocking sockets of the parent are closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the socket is closed")]
pub struct Closed;

/// Why [`unbind`](crate::Handle::unbind) or [`disconnect`](crate::Handle::disconnect) did nothing.
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
    /// A peer that is to get the message has no room for it, and the socket is one that waits for
    /// room. [`try_send`](crate::Handle::try_send) fails so at once, [`send`](crate::Handle::send)
    /// after the time of [`send_timeout`](crate::Options::send_timeout) or
    /// [`WhenFull::WaitFor`](crate::WhenFull::WaitFor).
    #[error("there is no room for the message: the queue of its receiver is full")]
    Full,
    /// The named peer is not connected, and the option [`mandatory`](crate::RouterOptions::mandatory)
    /// makes that an error.
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
    /// No reply has come within the [time](crate::ReqOptions::request_timeout); perhaps no peer is
    /// connected.
    #[error("no reply came in time")]
    TimedOut,
    /// The connection that the request went through has ended. It is not known whether the request
    /// was served.
    #[error("the connection to the peer that was asked ended before its reply came")]
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
    #[error("no message has arrived yet")]
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
    /// The peer broke a rule of the protocol, is incompatible with us, refused us, or fell silent.
    #[error(transparent)]
    Protocol(#[from] zmtp_codec::Error),
    /// The peer, or all peers together, have reached a limit of ours.
    #[error(transparent)]
    Overrun(#[from] Overrun),
    /// We ended it: the endpoint was unbound or disconnected, or the socket closed.
    #[error("closed from this side")]
    Stopped,
    /// Code that ran for the connection panicked: [a judge](crate::PubOptions::authorize), a
    /// subscriber of the log, or this library. The text is what the panic said.
    #[error("a panic: {0}")]
    Panicked(Arc<str>),
    /// The socket already has a peer, and a PAIR may have only one (RFC 31).
    #[error("the socket already has a peer")]
    Occupied,
    /// The option [`accept_if`](crate::PubOptions::accept_if) does not admit the peer.
    #[error("the option accept_if does not admit the peer")]
    NotAdmitted,
    /// Another peer has the identity that this one announced, or has taken it over.
    #[error("another peer has the same identity")]
    IdentityTaken,
    /// A request was given up, and its late reply could be mistaken for the reply to a later
    /// request.
    #[error("a request was given up, and a late reply must not be taken for another")]
    Abandoned,
    /// The tokio runtime that the connection ran on has ended.
    #[error("the runtime of the connection has ended")]
    RuntimeEnded,
}

impl From<io::Error> for Reason {
    fn from(error: io::Error) -> Self {
        Self::Transport(Arc::new(error))
    }
}

/// The limit of this socket for which a connection was ended. Single messages and commands have limits of
/// their own, such as [`max_message_size`](crate::PubOptions::max_message_size); a peer that exceeds one
/// of those has broken the [protocol](Reason::Protocol).
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Overrun {
    /// The peer holds more subscriptions than [it may](crate::PubOptions::max_subscriptions), or more
    /// [octets](crate::PubOptions::max_subscription_octets) of them.
    #[error("the peer subscribed to more than {topics} topics, or {octets} octets of them")]
    #[non_exhaustive]
    Subscriptions {
        /// How many distinct topics the peer may hold.
        topics: usize,
        /// So many octets of them.
        octets: usize,
    },
    /// The socket has as many connections as
    /// [`max_connections`](crate::PubOptions::max_connections) allows.
    #[error("all {limit} connections that the socket may have are in use")]
    #[non_exhaustive]
    Connections {
        /// How many the socket may have.
        limit: usize,
    },
    /// As many connections as [`max_handshakes`](crate::PubOptions::max_handshakes) allows are in
    /// their handshake, and this was the oldest: it has made room for a newer one.
    #[error("more than {limit} handshakes were half-done, and this one was the oldest")]
    #[non_exhaustive]
    Handshakes {
        /// How many may be in their handshake at once.
        limit: usize,
    },
    /// The user of an [`XPubSocket`](crate::XPubSocket) has not read the peer's requests. A peer
    /// may have as many unread requests as it may have
    /// [subscriptions](crate::PubOptions::max_subscriptions).
    #[error("more than {requests} requests of the peer, or {octets} octets of them, are unread")]
    #[non_exhaustive]
    Requests {
        /// How many requests may be unread.
        requests: usize,
        /// So many octets of them.
        octets: usize,
    },
    /// The peer was too slow, and the policy is
    /// [`WhenFull::Disconnect`](crate::WhenFull::Disconnect).
    #[error("the peer is too slow: {mark} were waiting for it")]
    #[non_exhaustive]
    Queue {
        /// The mark that its queue has reached.
        mark: Mark,
    },
}
