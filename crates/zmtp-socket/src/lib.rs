//! ZeroMQ publish/subscribe for tokio, speaking ZMTP 3.x by itself: no C library, no broker.
//!
//! A [`PubSocket`] publishes, a [`SubSocket`] receives what it subscribed to; either may bind or
//! connect, to any number of endpoints, in any order of starting. Both talk to every other
//! implementation of the protocol (libzmq, pyzmq, JeroMQ and so on).
//!
//! ```
//! use zmtp_socket::{PubSocket, SubSocket};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = PubSocket::new();
//! let endpoint = publisher.bind("tcp://127.0.0.1:*").await?;
//!
//! let mut subscriber = SubSocket::new();
//! subscriber.connect(&endpoint)?;
//! subscriber.subscribe("10002");
//!
//! publisher.wait_for_subscriber("10002").await?; // no sleep, and no first message lost
//! publisher.send("10001 -3 50").await?;
//! publisher.send("10002 27 33").await?;
//! assert_eq!(subscriber.recv().await?.first(), "10002 27 33");
//! # Ok(())
//! # }
//! ```
//!
//! # What is promised
//!
//! - A subscription is never lost: after any cut the subscriber dials again, for ever, and tells
//!   the publisher all of them before anything else.
//! - [`PubSocket::send`] waits for no subscriber, unless [told to](WhenFull::Wait). One that is too
//!   slow loses messages, whole ones, alone, and each is [counted](PeerStats::dropped).
//! - No octet from a peer can panic, hang the socket, or make it reserve memory that the peer has
//!   not sent. A peer that breaks the protocol is disconnected; its neighbours notice nothing.
//! - Dropping the future of any call loses, tears and duplicates no message.
//!
//! # What can be seen
//!
//! [`stats`](PubSocket::stats) counts, for the socket and for each peer; with the feature `serde` it can
//! be serialised. [`monitor`](PubSocket::monitor) is a stream of [events](Event), and each event is a
//! line of the log too, through the crate `tracing`, with the event's fields under their own names:
//!
//! | level | events |
//! |---|---|
//! | WARN | [`AcceptFailed`](Event::AcceptFailed), [`Parked`](Event::Parked): somebody should see to it |
//! | INFO | [`Listening`](Event::Listening) |
//! | DEBUG | all that happens to one connection: refused, connected, handshake, dropping, caught up, disconnected, retrying |
//! | TRACE | [`Subscribed`](Event::Subscribed), [`Unsubscribed`](Event::Unsubscribed) |
//!
//! There is nothing for a single message. Each connection's task runs in a span `peer` (DEBUG) with the
//! fields `id`, `endpoint` and `address`, so a filter such as `zmtp_socket[peer{id=7}]=debug` follows
//! one connection through its life. Whoever sends the log over a socket of this library must leave the
//! library's own lines out: some are written while the socket is locked.
//!
//! # Features
//!
//! | feature | by default | what it adds |
//! |---|---|---|
//! | `blocking` | yes | [`blocking`]: the sockets for programs without async |
//! | `curve` | yes | the CURVE mechanism, and the crates of its cryptography |
//! | `ipnet` | yes | [`allow_addresses`], a judge of addresses by ranges of them |
//! | `serde` | no | `serde::Serialize` for the statistics |
//! | `simulation` | no | the in-memory transport `mem://`, for tests on virtual time |

mod endpoint;
mod engine;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod layers;
mod log;
mod monitor;
mod options;
mod patterns;
mod peer;
mod prefix_map;
mod receive;
mod send;
#[cfg(feature = "serde")]
mod serialize;
mod sockets;
mod stats;
mod sync;

/// What a message is made of.
pub use bytes::Bytes;
pub use endpoint::{Endpoint, EndpointError, Host, IntoEndpoint, IpcAddress, OpenEndpoints};
#[cfg(feature = "simulation")]
pub use engine::transport::simulation;
pub use error::{
    BindError, Closed, ConnectError, NoRuntime, Overrun, Reason, RecvError, RequestError,
    SendError, TryRecvError, UnknownEndpoint,
};
#[cfg(feature = "ipnet")]
pub use ipnet::IpNet;
pub use monitor::{Event, EventClass, Monitor};
#[cfg(feature = "ipnet")]
pub use options::allow_addresses;
#[cfg(feature = "curve")]
pub use options::allow_keys;
pub use options::{
    Asking, AuthRequest, Configured, DealerOptions, Dealing, Duplicates, EndpointOptions,
    Endpoints, Hearing, HighWaterMark, Identified, InTurn, InvalidHighWaterMark, Keepalive, Linger,
    Mark, Matching, Options, PairOptions, Pairing, PlainUsers, Probing, PubOptions, Publishing,
    PullOptions, PushOptions, Receiving, Reconnect, RepOptions, Replying, ReqOptions, Requesting,
    RouterOptions, Routing, Sending, SubOptions, Subscribing, Verbosity, Verdict, WhenFull,
    XPubOptions, XSubOptions,
};
pub use patterns::publish::Request;
pub use peer::{Peer, PeerId};
pub use send::Outgoing;
#[cfg(feature = "blocking")]
pub use sockets::blocking;
pub use sockets::context::Context;
pub use sockets::dealer_router::{
    DealerHandle, DealerSocket, Destination, RouterHandle, RouterSocket,
};
pub use sockets::handle::Handle;
pub use sockets::kind;
pub use sockets::pair::{PairHandle, PairSocket};
pub use sockets::proxy::{Proxy, ProxyHandle, ProxyStats, proxy};
pub use sockets::pub_socket::{PubHandle, PubSocket};
pub use sockets::push_pull::{PullHandle, PullSocket, PushHandle, PushSocket};
pub use sockets::relay::{Relay, Relays, relay};
pub use sockets::req_rep::{RepHandle, RepSocket, Reply, ReqHandle, ReqSocket};
pub use sockets::socket::Socket;
pub use sockets::sub_socket::{SubHandle, SubSocket};
pub use sockets::xpub_socket::{XPubHandle, XPubSocket};
pub use sockets::xsub_socket::{XSubHandle, XSubSocket};
pub use stats::{PeerState, PeerStats, Stats, Unfinished};
pub use zmtp_codec::{
    Allowed, ConfigError, Credentials, Denial, Heartbeat, InvalidProperty, MechanismName, Message,
    Metadata, PeerInfo, SocketType, Status, Version,
};
#[cfg(feature = "curve")]
pub use zmtp_codec::{CurveKeyPair, CurvePublicKey, CurveSecretKey, InvalidKey, NoRandomness};
/// Why a connection ended, where a rule of the protocol is the [`Reason`].
pub use zmtp_codec::{Error as WireError, Mismatch, ProtocolError, Timeout};
