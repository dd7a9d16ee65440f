//! The peer at the other end of a connection.

use std::any::Any;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::net::SocketAddr;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::Instant;
use zmtp_codec::PeerInfo;

use crate::endpoint::Endpoint;

/// The number of one connection, unique among all that its socket ever had.
///
/// A peer that comes back after a cut gets a new one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(pub(crate) u64);

impl fmt::Display for PeerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "#{}", self.0)
    }
}

/// One connection of a socket: its number, our endpoint it came through, and the address of the
/// other side. Cheap to clone.
#[derive(Clone)]
pub struct Peer(Arc<Inner>);

struct Inner {
    id: PeerId,
    endpoint: Endpoint,
    address: Box<str>,
    is_dialled: bool,
    since: Instant,
    info: OnceLock<Arc<PeerInfo>>,
    identity: OnceLock<Bytes>,
    attached: OnceLock<Box<dyn Any + Send + Sync>>,
    descriptor: OnceLock<i32>,
}

impl Peer {
    pub(crate) fn new(id: PeerId, endpoint: Endpoint, address: &str) -> Self {
        Self::with_side(id, endpoint, address, false)
    }

    /// A peer that was dialled.
    pub(crate) fn dialled(id: PeerId, endpoint: Endpoint, address: &str) -> Self {
        Self::with_side(id, endpoint, address, true)
    }

    fn with_side(id: PeerId, endpoint: Endpoint, address: &str, is_dialled: bool) -> Self {
        let (address, since) = (address.into(), Instant::now());
        Self(Arc::new(Inner {
            id,
            endpoint,
            address,
            is_dialled,
            since,
            info: OnceLock::new(),
            identity: OnceLock::new(),
            attached: OnceLock::new(),
            descriptor: OnceLock::new(),
        }))
    }

    /// Whether both stand for the same connection of the same socket. Peers of different sockets
    /// may be [equal](PartialEq).
    #[inline]
    pub fn is(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Whether it was we who connected.
    pub fn is_dialled(&self) -> bool {
        self.0.is_dialled
    }

    /// Whether it was we who connected, to this endpoint.
    pub(crate) fn is_through(&self, endpoint: &Endpoint) -> bool {
        self.is_dialled() && self.endpoint() == endpoint
    }

    /// The number of this connection, unique within its socket.
    pub fn id(&self) -> PeerId {
        self.0.id
    }

    /// The endpoint that was bound or connected, as `bind` and `connect` returned it.
    pub fn endpoint(&self) -> &Endpoint {
        &self.0.endpoint
    }

    /// The result of the handshake: the peer's socket type and metadata, its key or name, and the user id
    /// that a judge has [given](crate::Allowed) it. `None` before the handshake is done.
    pub fn info(&self) -> Option<&PeerInfo> {
        self.0.info.get().map(Arc::as_ref)
    }

    pub(crate) fn set_info(&self, info: Arc<PeerInfo>) {
        // Once: there is one handshake.
        let _ = self.0.info.set(info);
    }

    /// The identity of a ROUTER's peer: the one that it has announced or was
    /// [given](crate::EndpointOptions::peer_identity), or else five generated octets, a zero and a number
    /// (RFC 28, The ROUTER Socket Type). `None` for peers of other sockets, and before the handshake is done.
    pub fn identity(&self) -> Option<&Bytes> {
        self.0.identity.get()
    }

    pub(crate) fn set_identity(&self, identity: Bytes) {
        // Once: there is one handshake.
        let _ = self.0.identity.set(identity);
    }

    /// The connection's file descriptor, if the transport has one: for the log, or to ask the system about
    /// the other side. Once the connection has ended, the number may belong to something else.
    pub fn descriptor(&self) -> Option<i32> {
        self.0.descriptor.get().copied()
    }

    pub(crate) fn set_descriptor(&self, descriptor: Option<i32>) {
        if let Some(descriptor) = descriptor {
            // Once: there is one connection.
            let _ = self.0.descriptor.set(descriptor);
        }
    }

    /// A value of the program's own, kept for as long as a clone of this peer is. The first call makes
    /// it with `make`, and later calls return the same value. `None` if the first call made one of
    /// another type.
    ///
    /// ```
    /// # use zmtp_socket::Peer;
    /// # use std::sync::atomic::{AtomicU64, Ordering};
    /// fn count_request(peer: &Peer) -> u64 {
    ///     let requests = peer.attached(|_| AtomicU64::new(0)).expect("nothing else is attached");
    ///     requests.fetch_add(1, Ordering::Relaxed)
    /// }
    /// ```
    pub fn attached<T: Send + Sync + 'static>(&self, make: impl FnOnce(&Self) -> T) -> Option<&T> {
        self.0.attached.get_or_init(|| Box::new(make(self))).downcast_ref()
    }

    /// How long ago the connection was made.
    pub fn age(&self) -> Duration {
        self.0.since.elapsed()
    }

    /// The transport's own name for the other side: `127.0.0.1:49152` over tcp, a path over ipc.
    pub fn address(&self) -> &str {
        &self.0.address
    }

    /// The IP address and port of the other side; an IPv4 peer has an IPv4 address also at an IPv6
    /// endpoint. `None` unless the transport is tcp, ws or wss.
    pub fn socket_addr(&self) -> Option<SocketAddr> {
        match self.endpoint() {
            endpoint if endpoint.is_over_tcp() => self.address().parse().ok(),
            _ => None,
        }
    }
}

/// One connection of one socket; those of other sockets may have the same number.
impl PartialEq for Peer {
    fn eq(&self, other: &Self) -> bool {
        let (one, other) = (&*self.0, &*other.0);
        (one.id, &one.endpoint, &one.address) == (other.id, &other.endpoint, &other.address)
    }
}

impl Eq for Peer {}

impl Hash for Peer {
    fn hash<H: Hasher>(&self, state: &mut H) {
        (self.0.id, &self.0.endpoint, &self.0.address).hash(state);
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "peer {} at {} ({})", self.id(), self.address(), self.endpoint())
    }
}

impl fmt::Debug for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_attached_stays_and_is_of_one_type() {
        let peer = Peer::new(PeerId(1), "inproc://x".parse().unwrap(), "x");
        assert_eq!(peer.attached(|peer| peer.address().to_owned()).map(String::as_str), Some("x"));
        assert_eq!(peer.clone().attached(|_| "y".to_owned()).map(String::as_str), Some("x"));
        assert_eq!(peer.attached(|_| 1_u32), None);
    }

    #[test]
    fn tcp_alone_has_socket_addresses() {
        let table = [
            ("tcp://*:5556", "127.0.0.1:49152", true),
            ("tcp://[::]:5556", "[::1]:49152", true),
            ("tcp://[::]:5556", "[fe80::1%2]:49152", true),
            ("ipc://127.0.0.1:1", "127.0.0.1:1", false),
            ("inproc://127.0.0.1:1", "127.0.0.1:1", false),
        ];
        for (endpoint, address, is_tcp) in table {
            let peer = Peer::new(PeerId(1), endpoint.parse().expect(endpoint), address);
            let expected = is_tcp.then(|| address.parse().expect(address));
            assert_eq!(peer.socket_addr(), expected, "{endpoint} {address}");
        }
    }
}
