//! What can be set on a socket, typed, with its defaults.

use std::fmt;
use std::num::NonZeroUsize;
use std::str::FromStr;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zmtp_codec::{Config, Credentials, Heartbeat, Limits, Mechanism, SocketType, Version};

use crate::plain::PlainUsers;

/// The options of one socket. The role says which: [`PubOptions`] or [`SubOptions`].
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
pub struct Options<Role> {
    pub(crate) link: LinkOptions,
    pub(crate) role: Role,
}

/// The options of a [`PubSocket`](crate::PubSocket).
pub type PubOptions = Options<Publishing>;

/// The options of a [`SubSocket`](crate::SubSocket).
pub type SubOptions = Options<Subscribing>;

/// What only a publisher has to be told.
#[derive(Clone, Debug)]
pub struct Publishing {
    pub(crate) send_hwm: HighWaterMark,
    pub(crate) send_hwm_octets: Option<usize>,
    pub(crate) when_full: WhenFull,
    pub(crate) duplicates: Duplicates,
    pub(crate) max_topics: usize,
    pub(crate) max_topic_octets: usize,
}

/// What only a subscriber has to be told.
#[derive(Clone, Debug, Default)]
pub struct Subscribing {
    pub(crate) receive_hwm: HighWaterMark,
}

/// What every connection of a socket has to be told.
#[derive(Clone, Debug)]
pub(crate) struct LinkOptions {
    pub(crate) version: Version,
    pub(crate) security: Security,
    pub(crate) limits: Limits,
    pub(crate) handshake_timeout: Duration,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) reconnect: Reconnect,
    pub(crate) retry_refused: bool,
    pub(crate) linger: Option<Linger>,
    pub(crate) tcp: TcpOptions,
}

/// What a tcp connection asks of the system; what is not given is left to it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct TcpOptions {
    pub(crate) send_buffer: Option<u32>,
    pub(crate) receive_buffer: Option<u32>,
}

#[derive(Clone)]
pub(crate) enum Security {
    Null,
    PlainClient { username: Bytes, password: Bytes },
    PlainServer(Arc<dyn Fn(&Credentials) -> bool + Send + Sync>),
}

impl PubOptions {
    /// How many messages may wait for each subscriber before it loses new ones. Default: 1000.
    ///
    /// A message counts until the transport has taken its last octet. There is a mark in octets
    /// [beside it](Self::send_hwm_octets).
    pub fn send_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.send_hwm = mark;
        self
    }

    /// How many octets may wait for each subscriber, beside [`send_hwm`](Self::send_hwm): whichever
    /// mark is reached first counts. An empty queue takes any one message; `usize::MAX` is no
    /// limit. Default: 64 MiB, or 256 KiB where [`send`](crate::PubSocket::send) [waits](WhenFull::Wait).
    pub fn send_hwm_octets(mut self, octets: usize) -> Self {
        self.role.send_hwm_octets = Some(octets);
        self
    }

    /// What becomes of a message that a subscriber wants and has no room for. Default:
    /// [`WhenFull::DropNew`].
    pub fn when_full(mut self, policy: WhenFull) -> Self {
        self.role.when_full = policy;
        self
    }

    /// What two subscriptions of one peer to the same topic are. Default: [`Duplicates::Counted`].
    pub fn duplicate_subscriptions(mut self, duplicates: Duplicates) -> Self {
        self.role.duplicates = duplicates;
        self
    }

    /// How many distinct topics, and octets of them, one peer may be subscribed to; past either
    /// its connection is closed. Default: 1,000,000 topics, 64 MiB.
    pub fn max_subscriptions(mut self, topics: usize, octets: usize) -> Self {
        self.role.max_topics = topics;
        self.role.max_topic_octets = octets;
        self
    }
}

impl SubOptions {
    /// How many messages of each publisher may wait for [`recv`](crate::SubSocket::recv) before
    /// we stop reading from that publisher. Default: 1000.
    pub fn receive_hwm(mut self, mark: HighWaterMark) -> Self {
        self.role.receive_hwm = mark;
        self
    }
}

impl<Role: Default> Options<Role> {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }
}

impl<Role> Options<Role> {
    /// The ZMTP version to announce, 3.1 or 3.0. Default: 3.1. The version spoken with a peer is
    /// the lower of the two.
    pub fn version(mut self, version: Version) -> Self {
        self.link.version = version;
        self
    }

    /// Says who we are, with the PLAIN mechanism (RFC 24): for a socket whose peers are PLAIN
    /// servers. Username and password have at most 255 octets each; with longer ones `bind` and
    /// `connect` fail. Default: no mechanism (NULL).
    pub fn plain_client(mut self, username: impl Into<Bytes>, password: impl Into<Bytes>) -> Self {
        let (username, password) = (username.into(), password.into());
        self.link.security = Security::PlainClient { username, password };
        self
    }

    /// Lets in only who gives one of these names and passwords, with the PLAIN mechanism (RFC 24).
    /// Default: no mechanism (NULL).
    pub fn plain_server(self, users: PlainUsers) -> Self {
        self.plain_server_with(move |credentials| users.allow(credentials))
    }

    /// Lets in only whom `allow` allows, with the PLAIN mechanism (RFC 24). It is called on the
    /// connection's own task and must not block. Default: no mechanism (NULL).
    pub fn plain_server_with(
        mut self,
        allow: impl Fn(&Credentials) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.link.security = Security::PlainServer(Arc::new(allow));
        self
    }

    /// The largest message, in octets of all its parts, that a peer may send; one that announces
    /// more is disconnected. Default: 64 MiB.
    pub fn max_message_size(mut self, octets: u64) -> Self {
        self.link.limits.message_size = octets;
        self
    }

    /// Every limit on what a peer may send at once. Defaults: those of [`Limits`].
    pub fn limits(mut self, limits: Limits) -> Self {
        self.link.limits = limits;
        self
    }

    /// How long a peer may take from the first octet to the end of the handshake. Default: 30 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.link.handshake_timeout = timeout;
        self
    }

    /// Finds dead connections by PING and PONG (RFC 37). Default: off; a peer's own PING is always
    /// answered.
    pub fn heartbeat(mut self, heartbeat: Heartbeat) -> Self {
        self.link.heartbeat = Some(heartbeat);
        self
    }

    /// How long to wait before a connected endpoint is dialled again. Default: 100 ms, doubling to
    /// 5 s.
    pub fn reconnect(mut self, reconnect: Reconnect) -> Self {
        self.link.reconnect = reconnect;
        self
    }

    /// Dials again also when the peer refused us with an ERROR command (RFC 23 advises against
    /// it). Default: no; the endpoint is [parked](crate::Event::Parked).
    pub fn retry_refused(mut self, retry: bool) -> Self {
        self.link.retry_refused = retry;
        self
    }

    /// How long a closed socket goes on delivering what is queued. Default: 30 s for a publisher,
    /// not at all for a subscriber, which has nothing to deliver.
    pub fn linger(mut self, linger: Linger) -> Self {
        self.link.linger = Some(linger);
        self
    }

    /// How many octets the system may hold for each peer before it takes no more (`SO_SNDBUF`).
    /// Default: the system's choice, which grows by itself, to megabytes. For tcp alone.
    ///
    /// What this buffer holds counts as sent, and no high-water mark sees it. With a bound, of
    /// 256 KiB for example, a slow peer is felt sooner, the kernel keeps less for it, and what it
    /// receives is not so old. On loopback, messages of 16 KiB and more are then often faster. One
    /// that is too small costs throughput: it has to hold what is on its way until the peer has
    /// acknowledged it, the bandwidth times the round trip.
    ///
    /// Linux takes a number above `net.core.wmem_max` for that one, without saying so, and a tiny
    /// one for a few KiB. Then it allows twice as much, and counts its own bookkeeping in.
    pub fn send_buffer(mut self, octets: u32) -> Self {
        self.link.tcp.send_buffer = Some(octets);
        self
    }

    /// How many octets from each peer the system may hold until we read them (`SO_RCVBUF`).
    /// Default: the system's choice, which grows as we read. For tcp alone.
    ///
    /// It also bounds the window that tcp offers the peer, so one that is too small costs
    /// throughput as a small [`send_buffer`](Self::send_buffer) does. With a bound, a publisher
    /// feels sooner that we do not receive. Linux does with the number what it does there; the
    /// limit is `net.core.rmem_max`.
    pub fn receive_buffer(mut self, octets: u32) -> Self {
        self.link.tcp.receive_buffer = Some(octets);
        self
    }

    pub(crate) fn config(&self, socket_type: SocketType) -> Config {
        let mut config = Config::new(socket_type);
        config.version = self.link.version;
        config.mechanism = match &self.link.security {
            Security::Null => Mechanism::Null,
            Security::PlainClient { username, password } => {
                Mechanism::PlainClient { username: username.clone(), password: password.clone() }
            }
            Security::PlainServer(_) => Mechanism::PlainServer,
        };
        config.limits = self.link.limits;
        config.handshake_timeout = Some(self.link.handshake_timeout);
        config.heartbeat = self.link.heartbeat;
        config
    }
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            version: Version::V3_1,
            security: Security::Null,
            limits: Limits::default(),
            handshake_timeout: Duration::from_secs(30),
            heartbeat: None,
            reconnect: Reconnect::default(),
            retry_refused: false,
            linger: None,
            tcp: TcpOptions::default(),
        }
    }
}

impl Default for Publishing {
    fn default() -> Self {
        Self {
            send_hwm: HighWaterMark::default(),
            send_hwm_octets: None,
            when_full: WhenFull::default(),
            duplicates: Duplicates::Counted,
            max_topics: 1_000_000,
            max_topic_octets: 64 << 20,
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::PlainClient { .. } => "PlainClient",
            Self::PlainServer(_) => "PlainServer",
        })
    }
}

/// How many messages a queue may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HighWaterMark {
    /// So many.
    Messages(NonZeroUsize),
    /// Any number. A publisher's mark in octets ([`PubOptions::send_hwm_octets`]) still holds; a
    /// subscriber that does not receive takes what memory there is.
    Unlimited,
}

impl HighWaterMark {
    /// No limit.
    pub const UNLIMITED: Self = Self::Unlimited;

    /// A limit of `count` messages; 0 is taken as 1.
    pub const fn messages(count: usize) -> Self {
        match NonZeroUsize::new(count) {
            Some(count) => Self::Messages(count),
            None => Self::Messages(NonZeroUsize::MIN),
        }
    }

    pub(crate) fn get(self) -> usize {
        match self {
            Self::Messages(count) => count.get(),
            Self::Unlimited => usize::MAX,
        }
    }
}

impl Default for HighWaterMark {
    /// 1000 messages.
    fn default() -> Self {
        Self::messages(1000)
    }
}

impl fmt::Display for HighWaterMark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Messages(count) => count.fmt(f),
            Self::Unlimited => f.write_str("unlimited"),
        }
    }
}

/// The text is neither a number of messages from 1 up nor `unlimited`.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a high-water mark is a number of messages from 1 up, or \"unlimited\"")]
pub struct InvalidHighWaterMark;

impl FromStr for HighWaterMark {
    type Err = InvalidHighWaterMark;

    fn from_str(text: &str) -> Result<Self, InvalidHighWaterMark> {
        match text {
            "unlimited" => Ok(Self::Unlimited),
            _ => text.parse().map(Self::Messages).map_err(|_| InvalidHighWaterMark),
        }
    }
}

/// What becomes of a message that a subscriber wants while its queue is at the high-water mark.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum WhenFull {
    /// That subscriber, alone, loses it.
    #[default]
    DropNew,
    /// [`send`](crate::PubSocket::send) waits until every subscriber that wants the message has
    /// room for it, and then it goes to all of them. One stuck subscriber holds all others up.
    Wait,
    /// The same, but `send` fails, and the message goes to nobody, when it has waited so long.
    WaitFor(Duration),
}

/// How long a closed socket goes on delivering.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Linger {
    /// Until every peer has been given everything, or has left.
    Forever,
    /// At most so long.
    For(Duration),
}

impl Linger {
    /// Not at all.
    pub const NONE: Self = Self::For(Duration::ZERO);
}

/// How long to wait between attempts to connect.
///
/// Each wait is drawn from the upper half of the present delay, so that a crowd of subscribers
/// does not come back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reconnect {
    /// The first delay, and again the first one after a connection that carried traffic.
    pub initial: Duration,
    /// The longest delay; each is twice the one before.
    pub max: Duration,
}

impl Default for Reconnect {
    /// 100 ms, doubling to 5 s.
    fn default() -> Self {
        Self { initial: Duration::from_millis(100), max: Duration::from_secs(5) }
    }
}

/// What several subscriptions of one peer to the same topic are.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Duplicates {
    /// Each counts, and each takes its own CANCEL (RFC 23, as most peers do).
    #[default]
    Counted,
    /// All are one, and the first CANCEL ends it. For libzmq's SUB and XSUB where they subscribe
    /// repeatedly to the same topic: they send every SUBSCRIBE but only the last CANCEL.
    AsSet,
}
