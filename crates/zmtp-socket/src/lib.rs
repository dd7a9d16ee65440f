//! ZeroMQ for tokio, speaking ZMTP 3.x by itself: no C library, no broker.
//!
//! A [`PubSocket`] publishes, and a [`SubSocket`] receives what it has subscribed to. Either may bind
//! or connect, to any number of endpoints, and either may start first. The same holds for all sockets
//! of the table below. All of them interoperate with other implementations of the protocol (libzmq,
//! pyzmq, JeroMQ and so on).
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
//! A socket belongs to one task: receiving takes `&mut self`. Everything else, such as sending, can also be
//! done through a [`Handle`]: each task gets its own from [`Socket::handle`]. Every type of socket is a
//! [`Socket`] of its [`kind`], so what all of them have in common is documented once.
//!
//! # The sockets
//!
//! | socket | sends to | receives | without a peer | when full |
//! |---|---|---|---|---|
//! | [`PubSocket`] | each peer with a matching subscription | | goes to nobody | that peer loses it |
//! | [`SubSocket`] | | what it has subscribed to | waits | its publishers wait, or drop |
//! | [`XPubSocket`] | as PUB | [what its peers ask for](Request) | as PUB | as PUB |
//! | [`XSubSocket`] | each publisher | as SUB, unfiltered | goes to nobody | that peer loses it |
//! | [`PushSocket`] | one PULL, in turn | | waits | the next with room, or waits |
//! | [`PullSocket`] | | from all PUSHes, in turn | waits | its PUSHes wait |
//! | [`ReqSocket`] | one REP or ROUTER, in turn | the reply to its [request](ReqSocket::request) | waits | the next with room, or waits |
//! | [`RepSocket`] | the peer that asked | requests, each with its [`Reply`] | drops the reply | drops the reply |
//! | [`DealerSocket`] | one peer, in turn | from all peers, in turn | waits | the next with room, or waits |
//! | [`RouterSocket`] | the peer that is [named](RouterHandle::send_to) | messages, each with its [`Peer`] | drops it | that peer loses it |
//! | [`PairSocket`] | its one peer | from that peer | waits | waits |
//!
//! Every message that is dropped is [counted](Stats::dropped). For the sockets that wait without a peer, a
//! [connected](Handle::connect) endpoint counts as a peer while it cannot be reached, unless the option
//! [`immediate`](Options::immediate) is set. Where a full peer loses messages, the socket can be told to
//! [wait](WhenFull) instead.
//!
//! # Guarantees
//!
//! - A lost connection is made again: the side that connected dials until it succeeds, unless the peer
//!   has [refused](Event::Parked) it. The end of a connection is an [event](Event::Disconnected) with
//!   its [reason](Reason).
//! - A subscription is never lost: a subscriber tells the publisher all of them before anything else.
//! - A slow peer loses its own messages and delays no other peer. [`send`](Handle::send) waits for no
//!   subscriber, unless [told to](WhenFull::Wait); a socket that sends in turn passes over peers without
//!   room.
//! - A message is sent whole or not at all, and each peer gets messages in the order in which they were
//!   accepted. Each accepted message is counted as sent, [dropped](Stats::dropped) or
//!   [undelivered](Stats::undelivered). Sent means that the transport has taken it; a program that must
//!   know whether it arrived asks for a reply.
//! - A message that waits for a connected endpoint of a PUSH, DEALER, REQ or PAIR survives the loss of the
//!   connection. A message that waits for a peer that connected to us is lost with its connection.
//! - A [request](ReqSocket::request) gets its own reply, from the peer that was asked, or fails: when its
//!   time is over, or at once when that peer is gone.
//! - No octet from a peer can panic, hang the socket, or make it reserve memory that the peer has
//!   not sent. A peer that breaks the protocol is disconnected; its neighbours notice nothing.
//! - Dropping the future of any call loses, tears and duplicates no message.
//!
//! # Observability
//!
//! [`stats`](Handle::stats) returns counters for the socket and for each peer, which the feature
//! `serde` can serialise. [`monitor`](Handle::monitor) is a stream of [events](Event). Each event is
//! also logged through the crate `tracing`, with the event's fields under their own names:
//!
//! | level | events |
//! |---|---|
//! | WARN | [`AcceptFailed`](Event::AcceptFailed), [`Parked`](Event::Parked): somebody should see to it |
//! | INFO | [`Listening`](Event::Listening) |
//! | DEBUG | all that happens to one connection: refused, connected, handshake, dropping, caught up, disconnected, retrying |
//! | TRACE | [`Subscribed`](Event::Subscribed), [`Unsubscribed`](Event::Unsubscribed) |
//!
//! No single message is logged. Each connection's task runs in a span `peer` (DEBUG) with the fields
//! `id`, `endpoint` and `address`, so a filter such as `zmtp_socket[peer{id=7}]=debug` follows one
//! connection through its life. A program that sends its log over a socket of this library must leave
//! the library's own lines out, since sending them could cause new ones.
//!
//! # Features
//!
//! | feature | by default | what it adds |
//! |---|---|---|
//! | `blocking` | yes | [`blocking`]: the sockets for programs without async |
//! | `curve` | yes | the CURVE mechanism, and the crates of its cryptography |
//! | `ipnet` | yes | [`allow_addresses`], a judge of addresses by ranges of them |
//! | `metrics` | no | `Handle::publish_metrics`: the statistics for the recorder of the crate `metrics` |
//! | `serde` | no | `serde::Serialize` for the statistics |
//! | `ws` | yes | the transport `ws://`: ZeroMQ over WebSocket (RFC 45), which browsers speak |
//! | `wss` | no | the same over TLS, `wss://`, by `rustls` |
//! | `simulation` | no | the in-memory transport `mem://`, for tests on virtual time |

#![cfg_attr(docsrs, feature(doc_cfg))]

mod endpoint;
mod engine;
mod error;
#[cfg(feature = "fuzzing")]
#[doc(hidden)]
pub mod fuzzing;
#[cfg(test)]
mod layers;
mod log;
mod metrics;
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

/// The octets of a message part. A clone shares them, and copies nothing.
pub use bytes::Bytes;
pub use endpoint::{Endpoint, EndpointError, Host, IntoEndpoint, IpcAddress, OpenEndpoints};
#[cfg(feature = "simulation")]
pub use engine::transport::simulation;
pub use engine::wire;
// For libzmq's C interface, whose threads try in the same way.
#[doc(hidden)]
pub use engine::tries::Tries;
pub use error::{
    BindError, Closed, ConnectError, NoRuntime, Overrun, Reason, RecvError, RequestError,
    SendError, TryRecvError, UnknownEndpoint,
};
#[cfg(feature = "ipnet")]
pub use ipnet::IpNet;
pub use metrics::{Metric, MetricKind};
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
#[cfg(feature = "wss")]
pub use tokio_rustls::rustls;
pub use zmtp_codec::{
    Allowed, Batch, ConfigError, Credentials, Denial, Heartbeat, InvalidProperty, MechanismName,
    Message, MessageRef, Messages, Metadata, PeerInfo, SocketType, Status, Version,
};
#[cfg(feature = "curve")]
pub use zmtp_codec::{CurveKeyPair, CurvePublicKey, CurveSecretKey, InvalidKey, NoRandomness};
/// Why a connection ended, where a rule of the protocol is the [`Reason`].
pub use zmtp_codec::{Error as WireError, Mismatch, ProtocolError, Timeout};
