//! The options of sockets that send each message to one peer.

use std::time::Duration;

use super::kind::{Configured, Req, Router};
use super::mark::DEFAULT_OCTETS;
use super::publishing::WAIT_OCTETS;
use super::{Conflates, Marks, Options, Receiving, Sending, SocketRole, WhenFull};

/// The options of a socket that sends to its peers in turn.
#[derive(Clone, Copy, Debug, Default)]
pub struct InTurn {
    pub(crate) sending: Sending,
    pub(crate) timeout: Option<Duration>,
    pub(crate) immediate: bool,
}

/// The options of a PAIR alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Pairing {
    pub(crate) in_turn: InTurn,
    pub(crate) receiving: Receiving,
}

/// The options of a DEALER alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dealing {
    pub(crate) in_turn: InTurn,
    pub(crate) receiving: Receiving,
    pub(crate) probing: Probing,
}

/// The options of a REQ alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Requesting {
    pub(crate) in_turn: InTurn,
    pub(crate) receiving: Receiving,
    pub(crate) probing: Probing,
    pub(crate) timeout: Option<Duration>,
    pub(crate) retries: u32,
    pub(crate) correlate: bool,
}

/// The options of a ROUTER alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Routing {
    pub(crate) replying: Replying,
    pub(crate) probing: Probing,
    pub(crate) mandatory: bool,
    pub(crate) handover: bool,
}

/// The options of a REP alone.
#[derive(Clone, Copy, Debug, Default)]
pub struct Replying {
    pub(crate) sending: Sending,
    pub(crate) receiving: Receiving,
    pub(crate) when_full: WhenFull,
}

/// The option of sockets that may send each peer an empty message first.
#[derive(Clone, Copy, Debug, Default)]
pub struct Probing(pub(crate) bool);

impl InTurn {
    /// The marks of a queue whose peer is connected. The queue is short in octets: enough to keep the
    /// transport busy, and small enough for the processor's cache.
    pub(crate) fn present(&self) -> Marks {
        self.sending.marks(WAIT_OCTETS)
    }

    /// The marks of a queue whose peer is not connected.
    pub(crate) fn absent(&self) -> Marks {
        self.sending.marks(DEFAULT_OCTETS)
    }

    pub(crate) fn when_full(&self) -> WhenFull {
        self.timeout.map_or(WhenFull::Wait, WhenFull::WaitFor)
    }
}

impl Replying {
    pub(crate) fn marks(&self) -> Marks {
        self.sending.marks(if self.when_full.waits() { WAIT_OCTETS } else { DEFAULT_OCTETS })
    }
}

impl<T: Configured<Role: AsMut<InTurn>>> Options<T> {
    /// How long [`send`](crate::Handle::send) waits for a peer with room before it fails. Default:
    /// without limit.
    pub fn send_timeout(mut self, time: Duration) -> Self {
        self.role.as_mut().timeout = Some(time);
        self
    }

    /// Whether messages are accepted only for peers that are connected. Otherwise they are also accepted for
    /// a connected endpoint that cannot be reached at present: they wait, up to the [mark](Self::send_hwm),
    /// until it can. Default: no. (`ZMQ_IMMEDIATE`)
    pub fn immediate(mut self, immediate: bool) -> Self {
        self.role.as_mut().immediate = immediate;
        self
    }
}

impl<T: Configured<Role: AsMut<Probing>>> Options<T> {
    /// Sends an empty message to each new peer, before all others. It tells a ROUTER that we are there, and
    /// our identity. Default: no. (`ZMQ_PROBE_ROUTER`)
    pub fn probe(mut self, probe: bool) -> Self {
        self.role.as_mut().0 = probe;
        self
    }
}

impl Options<Router> {
    /// Whether a message for a peer that is not connected is an error,
    /// [`Unroutable`](crate::SendError::Unroutable). Otherwise it is dropped, and
    /// [counted](crate::Stats::dropped) (RFC 28, The ROUTER Socket Type). Default: no.
    /// (`ZMQ_ROUTER_MANDATORY`)
    pub fn mandatory(mut self, mandatory: bool) -> Self {
        self.role.mandatory = mandatory;
        self
    }

    /// Whether a new peer with the identity of a connected one takes that identity over. Then the older
    /// connection is ended, otherwise the newer one. Default: no. (`ZMQ_ROUTER_HANDOVER`)
    pub fn handover(mut self, handover: bool) -> Self {
        self.role.handover = handover;
        self
    }
}

impl Options<Req> {
    /// How long each attempt of a [request](crate::ReqSocket::request) may take, from the wait for a peer
    /// with room to the reply. Default: without limit.
    pub fn request_timeout(mut self, time: Duration) -> Self {
        self.role.timeout = Some(time);
        self
    }

    /// How often a [request](crate::ReqSocket::request) is sent again, to the next peer, after its time is
    /// over or the connection that it went through has ended. A server may then get it twice. Default: 0.
    pub fn retries(mut self, retries: u32) -> Self {
        self.role.retries = retries;
        self
    }

    /// Numbers the requests, in a part before the empty one, which every REP and ROUTER returns. A late
    /// reply is then recognised by its number. Otherwise the connection through which it might come is
    /// ended. (A ROUTER that names us by our [identity](Self::identity) can still send it on the next one.)
    /// Default: no. (`ZMQ_REQ_CORRELATE`)
    pub fn correlate(mut self, correlate: bool) -> Self {
        self.role.correlate = correlate;
        self
    }
}

impl SocketRole for InTurn {}
impl SocketRole for Receiving {}
impl SocketRole for Pairing {}
impl SocketRole for Dealing {}
impl SocketRole for Requesting {}
impl SocketRole for Routing {}
impl SocketRole for Replying {}

/// Declares that a role has the options of another.
macro_rules! has {
    ($($role:ty: $part:ty = $($field:ident).*;)*) => {$(
        impl AsMut<$part> for $role {
            fn as_mut(&mut self) -> &mut $part {
                &mut self.$($field).*
            }
        }
    )*};
}

has! {
    InTurn: Sending = sending;
    Pairing: Sending = in_turn.sending;
    Dealing: Sending = in_turn.sending;
    Requesting: Sending = in_turn.sending;
    Replying: Sending = sending;
    Routing: Sending = replying.sending;
    Pairing: Receiving = receiving;
    Dealing: Receiving = receiving;
    Requesting: Receiving = receiving;
    Replying: Receiving = receiving;
    Routing: Receiving = replying.receiving;
    Pairing: InTurn = in_turn;
    Dealing: InTurn = in_turn;
    Requesting: InTurn = in_turn;
    Dealing: Probing = probing;
    Requesting: Probing = probing;
    Routing: Probing = probing;
    Replying: WhenFull = when_full;
    Routing: WhenFull = replying.when_full;
}

impl AsMut<Self> for InTurn {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl AsMut<Self> for Receiving {
    fn as_mut(&mut self) -> &mut Self {
        self
    }
}

impl Conflates for Receiving {
    fn conflate(&mut self, conflate: bool) {
        self.conflate = conflate;
    }
}

impl Conflates for Pairing {
    fn conflate(&mut self, conflate: bool) {
        self.receiving.conflate = conflate;
    }
}

impl Conflates for Dealing {
    fn conflate(&mut self, conflate: bool) {
        self.receiving.conflate = conflate;
    }
}
