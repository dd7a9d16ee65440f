//! The options of tcp connections.

use std::net::SocketAddr;
use std::time::Duration;

use super::{Configured, Options};
use crate::endpoint::Host;

/// The options of a tcp connection; the system decides those that are not set.
#[derive(Clone, Debug)]
pub(crate) struct TcpOptions {
    pub(crate) send_buffer: Option<u32>,
    pub(crate) receive_buffer: Option<u32>,
    pub(crate) connect_timeout: Duration,
    pub(crate) keepalive: Option<Keepalive>,
    pub(crate) user_timeout: Option<Duration>,
    pub(crate) nodelay: bool,
    pub(crate) type_of_service: Option<u8>,
    pub(crate) device: Option<String>,
    pub(crate) ipv6_only: Option<bool>,
    pub(crate) source: Option<SocketAddr>,
    pub(crate) backlog: u32,
    pub(crate) socks_proxy: Option<(Host, u16)>,
}

/// How the system finds out that a quiet connection is dead: it probes the other machine, and ends
/// the connection when that does not answer. No program takes part, so a peer that is busy or does
/// not read is not taken for dead.
///
/// The times are rounded to seconds. OpenBSD has times of its own, the same for all connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keepalive {
    /// How long a connection is quiet before the first probe. Default: 30 s.
    pub idle: Duration,
    /// The time between two probes. Default: 10 s.
    pub interval: Duration,
    /// After how many unanswered probes the connection ends. Default: 3.
    pub probes: u32,
}

impl Keepalive {
    /// Probes after `idle`, then every `interval`, and ends the connection after `probes` without an
    /// answer.
    pub const fn new(idle: Duration, interval: Duration, probes: u32) -> Self {
        Self { idle, interval, probes }
    }
}

impl Default for Keepalive {
    fn default() -> Self {
        Self::new(Duration::from_secs(30), Duration::from_secs(10), 3)
    }
}

impl Default for TcpOptions {
    fn default() -> Self {
        Self {
            send_buffer: None,
            receive_buffer: None,
            connect_timeout: Duration::from_secs(10),
            keepalive: Some(Keepalive::default()),
            user_timeout: None,
            nodelay: true,
            type_of_service: None,
            device: None,
            ipv6_only: None,
            source: None,
            backlog: 4096,
            socks_proxy: None,
        }
    }
}

/// Options for tcp only.
impl<T: Configured> Options<T> {
    /// How many octets the system may hold for each peer before it takes no more (`SO_SNDBUF`).
    /// Default: the system's choice, which grows by itself, to megabytes. For tcp only.
    ///
    /// Octets in this buffer count as sent, and no high-water mark counts them. With a bound, of
    /// 256 KiB for example, a slow peer is noticed sooner, the kernel keeps less for it, and what
    /// it receives is not so old. On loopback, messages of 16 KiB and more are then often faster. A
    /// bound that is too small costs throughput: the buffer has to hold all octets that the peer
    /// has not acknowledged yet, the bandwidth times the round trip.
    ///
    /// Linux silently reduces a number above `net.core.wmem_max` to that, and raises a tiny one to
    /// a few KiB. Then it doubles the number, and counts its own bookkeeping in.
    pub fn send_buffer(mut self, octets: u32) -> Self {
        self.link.tcp.send_buffer = Some(octets);
        self
    }

    /// How many octets from each peer the system may hold until we read them (`SO_RCVBUF`).
    /// Default: the system's choice, which grows as we read. For tcp only.
    ///
    /// It also bounds the window that tcp offers the peer, so one that is too small costs
    /// throughput as a small [`send_buffer`](Self::send_buffer) does. With a bound, a publisher
    /// notices sooner that we do not receive. Linux adjusts the number in the same way; the limit
    /// is `net.core.rmem_max`.
    pub fn receive_buffer(mut self, octets: u32) -> Self {
        self.link.tcp.receive_buffer = Some(octets);
        self
    }

    /// How long an attempt to connect may take, from the look-up of the name to the connection, with all
    /// addresses of the name. It also holds over ipc, and over inproc once the name is bound. Default:
    /// 10 s.
    ///
    /// The addresses of a name are dialled 250 ms after each other, or as soon as the one before has
    /// failed, the two families in turns (RFC 8305). The first connection is taken. An address that
    /// fails, up to the end of the handshake, is not dialled again before all the others; the last one
    /// that completed a handshake is dialled first.
    pub fn connect_timeout(mut self, timeout: Duration) -> Self {
        self.link.tcp.connect_timeout = timeout;
        self
    }

    /// How the system finds dead connections (`SO_KEEPALIVE`); `None` switches this off. Default:
    /// [`Keepalive::default`], which finds one within a minute.
    ///
    /// It checks quiet connections only. While octets wait for an acknowledgement, the system
    /// retransmits them instead. Linux gives that up after about a quarter of an hour, or after the
    /// [`user_timeout`](Self::user_timeout).
    pub fn keepalive(mut self, keepalive: impl Into<Option<Keepalive>>) -> Self {
        self.link.tcp.keepalive = keepalive.into();
        self
    }

    /// How long sent octets may stay unacknowledged before the connection ends (`TCP_USER_TIMEOUT`).
    /// Default: the system's choice, about a quarter of an hour on Linux. Linux only: elsewhere,
    /// `bind` and `connect` fail as [`Unsupported`](std::io::ErrorKind::Unsupported).
    ///
    /// It also ends the connection of a subscriber that does not read for so long.
    pub fn user_timeout(mut self, timeout: Duration) -> Self {
        self.link.tcp.user_timeout = Some(timeout);
        self
    }

    /// Whether small segments are sent at once (`TCP_NODELAY`). Default: yes. Messages are gathered
    /// into large writes in either case; with `false`, the last write may wait for an acknowledgement.
    pub fn nodelay(mut self, nodelay: bool) -> Self {
        self.link.tcp.nodelay = nodelay;
        self
    }

    /// The type of service that is requested from routers: `IP_TOS`, or the traffic class of IPv6. Six bits
    /// of the octet are the DSCP of RFC 2474. Default: 0. On Windows and other systems that have no such
    /// option for IPv6, `bind` and `connect` fail as [`Unsupported`](std::io::ErrorKind::Unsupported).
    pub fn type_of_service(mut self, octet: u8) -> Self {
        self.link.tcp.type_of_service = Some(octet);
        self
    }

    /// The network interface that connections go through, by its name (`SO_BINDTODEVICE`). Default:
    /// the one that the routing table chooses. Linux only: elsewhere, `bind` and `connect` fail as
    /// [`Unsupported`](std::io::ErrorKind::Unsupported).
    pub fn bind_device(mut self, name: impl Into<String>) -> Self {
        self.link.tcp.device = Some(name.into());
        self
    }

    /// The local address and port that a connected endpoint is dialled from; port 0 is any. An endpoint
    /// that has only addresses of the other family is not reached. Default: the system's choice.
    pub fn source(mut self, address: SocketAddr) -> Self {
        self.link.tcp.source = Some(address);
        self
    }

    /// A SOCKS 5 proxy (RFC 1928), without authentication, through which connected endpoints are reached.
    /// The proxy resolves their names. Default: none.
    pub fn socks_proxy(mut self, host: Host, port: u16) -> Self {
        self.link.tcp.socks_proxy = Some((host, port));
        self
    }

    /// How many connections to a bound endpoint may wait to be accepted, over tcp and ipc. The system may
    /// allow fewer: Linux allows 4096, unless `net.core.somaxconn` differs. Default: 4096.
    pub fn backlog(mut self, connections: u32) -> Self {
        self.link.tcp.backlog = connections;
        self
    }

    /// Whether an endpoint bound to `tcp://*:5556` or to an IPv6 address, such as `tcp://[::]:5556`,
    /// refuses IPv4 peers (`IPV6_V6ONLY`). Default: with `*`, no; otherwise the system's choice, which
    /// on Linux is no.
    pub fn ipv6_only(mut self, only: bool) -> Self {
        self.link.tcp.ipv6_only = Some(only);
        self
    }
}
