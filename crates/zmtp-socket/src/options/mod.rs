//! The options of sockets and endpoints, with their defaults.

pub(crate) mod authorize;
mod ipc;
pub(crate) mod kind;
mod link;
mod mark;
pub(crate) mod plain;
mod publishing;
mod queues;
mod subscribing;
#[cfg(test)]
mod table;
mod tcp;
mod unicast;
#[cfg(feature = "ws")]
mod ws;

use std::time::Duration;

#[cfg(feature = "ipnet")]
pub use authorize::allow_addresses;
#[cfg(feature = "curve")]
pub use authorize::allow_keys;
pub use authorize::{AuthRequest, Verdict};
pub use kind::{Configured, EndpointOptions, Endpoints, Identified};
pub use link::Reconnect;
pub(crate) use link::{LinkConfig, LinkOptions, Security};
pub(crate) use mark::Marks;
pub use mark::{HighWaterMark, InvalidHighWaterMark, Mark};
pub use plain::PlainUsers;
pub(crate) use publishing::RequestOptions;
pub use publishing::{Duplicates, Hearing, Publishing, Verbosity, WhenFull};
pub(crate) use queues::Conflates;
pub use queues::{Receiving, Sending};
pub(crate) use subscribing::UpstreamOptions;
pub use subscribing::{Asking, Matching, Subscribing};
pub use tcp::Keepalive;
pub(crate) use tcp::TcpOptions;
pub use unicast::{Dealing, InTurn, Pairing, Probing, Replying, Requesting, Routing};

/// The options of a socket of one [kind](crate::kind), such as [`PubOptions`], or of one of its endpoints,
/// [`EndpointOptions`].
///
/// ```
/// use std::time::Duration;
/// use zmtp_socket::{Heartbeat, HighWaterMark, PubOptions};
///
/// let options = PubOptions::new()
///     .send_hwm(HighWaterMark::messages(10_000))
///     .heartbeat(Heartbeat::every(Duration::from_secs(5)));
/// ```
#[derive(Clone, Debug, Default)]
pub struct Options<T: Configured> {
    pub(crate) link: LinkOptions,
    pub(crate) socket: SocketOptions,
    pub(crate) role: T::Role,
}

/// The options of a [`PubSocket`](crate::PubSocket).
pub type PubOptions = Options<kind::Pub>;

/// The options of a [`SubSocket`](crate::SubSocket).
pub type SubOptions = Options<kind::Sub>;

/// The options of an [`XPubSocket`](crate::XPubSocket): those of a PUB, and more.
pub type XPubOptions = Options<kind::XPub>;

/// The options of an [`XSubSocket`](crate::XSubSocket): those of a SUB, and more.
pub type XSubOptions = Options<kind::XSub>;

/// The options of a [`PushSocket`](crate::PushSocket).
pub type PushOptions = Options<kind::Push>;

/// The options of a [`PullSocket`](crate::PullSocket).
pub type PullOptions = Options<kind::Pull>;

/// The options of a [`PairSocket`](crate::PairSocket).
pub type PairOptions = Options<kind::Pair>;

/// The options of a [`DealerSocket`](crate::DealerSocket).
pub type DealerOptions = Options<kind::Dealer>;

/// The options of a [`RouterSocket`](crate::RouterSocket).
pub type RouterOptions = Options<kind::Router>;

/// The options of a [`ReqSocket`](crate::ReqSocket).
pub type ReqOptions = Options<kind::Req>;

/// The options of a [`RepSocket`](crate::RepSocket).
pub type RepOptions = Options<kind::Rep>;

/// The options that only some kinds of sockets have.
pub trait SocketRole {}

/// The options that concern a socket as a whole.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SocketOptions {
    pub(crate) linger: Option<Linger>,
    pub(crate) max_connections: usize,
    pub(crate) max_handshakes: usize,
    pub(crate) spin: bool,
}

impl Default for SocketOptions {
    fn default() -> Self {
        Self { linger: None, max_connections: 65_536, max_handshakes: 1024, spin: true }
    }
}

impl<T: Configured> Options<T> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<T: Configured<Role: SocketRole>> Options<T> {
    /// How long a closed socket goes on delivering what is queued. Default: 30 s; for a SUB and a PULL,
    /// [`Linger::NONE`], since they have nothing to deliver.
    pub fn linger(mut self, linger: Linger) -> Self {
        self.socket.linger = Some(linger);
        self
    }

    /// How many connections the socket's bound endpoints may have at once, all together. A newcomer
    /// beyond that replaces the oldest connection that has not finished its handshake; if all have,
    /// the newcomer is [refused](crate::Event::Refused). Default: 65,536; 0 is taken as 1. Each
    /// connection costs a descriptor, and the system may allow fewer of these.
    pub fn max_connections(mut self, connections: usize) -> Self {
        self.socket.max_connections = connections.max(1);
        self
    }

    /// How many of these connections may be in their handshake at once. A newcomer beyond that
    /// replaces the oldest of them, so silent connections cannot keep out a peer that speaks. Each
    /// handshake has at least 0.1 s; until then, newcomers wait to be accepted.
    /// Default: 1024; 0 is taken as 1.
    pub fn max_handshakes(mut self, connections: usize) -> Self {
        self.socket.max_handshakes = connections.max(1);
        self
    }

    /// Whether a socket that waits to receive may look for a while before it lets its thread sleep. To sleep
    /// and be woken often takes longer than a peer of the same machine takes to answer. Default: yes.
    ///
    /// A socket whose last wait was shorter than 50 µs looks for that long. Others do so now and then, for
    /// 0.3 ms, and less and less often if that leads to no shorter waits. Other tasks run meanwhile. Messages
    /// that come every few microseconds may so take a whole core, even if they need only a part of one; an
    /// idle socket takes no processor time. Only a current-thread runtime, or a
    /// [blocking](crate::blocking) socket, ever looks.
    pub fn spin(mut self, spin: bool) -> Self {
        self.socket.spin = spin;
        self
    }
}

/// How long a closed socket goes on delivering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Linger {
    /// Until every peer has been given everything, or has left.
    Forever,
    /// At most so long.
    For(Duration),
}

impl Linger {
    /// Not at all.
    pub const NONE: Self = Self::For(Duration::ZERO);

    /// The default of a socket that sends.
    pub(crate) const DEFAULT: Self = Self::For(Duration::from_secs(30));
}
