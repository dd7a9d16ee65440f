//! The configuration of a connection.

use std::time::Duration;

use crate::error::ConfigError;
use crate::mechanism::Mechanism;
use crate::metadata::{IDENTITY, Metadata, SOCKET_TYPE, is_valid_identity};
#[cfg(feature = "curve")]
use crate::randomness::Randomness;
use crate::socket_type::SocketType;
use crate::version::Version;

/// How this side of a connection behaves.
#[derive(Clone, Debug)]
pub struct Config {
    /// Our socket type, announced in the handshake.
    pub socket_type: SocketType,
    /// The version we announce: 3.1 by default, or 3.0.
    pub version: Version,
    /// The security mechanism; NULL by default.
    pub mechanism: Mechanism,
    /// Further properties to announce: `X-…` for the application, and Identity, which only REQ,
    /// DEALER and ROUTER send (see [`with_identity`](Self::with_identity)). A Socket-Type given
    /// here is ignored: the announced one is always [`socket_type`](Self::socket_type). Empty by
    /// default.
    pub metadata: Metadata,
    /// Whether the caller authorizes peers under NULL too, which send no credentials: they are
    /// given as [`Credentials::Null`](crate::Credentials::Null). No by default. If so, our READY is
    /// sent only after the verdict.
    pub authenticate_null: bool,
    /// Whether the signature at the front of the greeting is sent first, padded as libzmq pads it,
    /// and the rest after the peer's signature has come. No by default; it costs a round trip.
    pub signature_first: bool,
    /// The source of CURVE's transient keys and nonces; the operating system by default.
    #[cfg(feature = "curve")]
    pub randomness: Randomness,
    /// Limits on the memory that a peer can take.
    pub limits: Limits,
    /// How long greeting and handshake may take together, including the wait for a verdict on
    /// credentials; 30 seconds by default. `None` sets no limit.
    pub handshake_timeout: Option<Duration>,
    /// Whether to send heartbeats; `None` by default. A peer's PING is answered in any case.
    pub heartbeat: Option<Heartbeat>,
}

impl Config {
    /// The defaults, for a socket of this type.
    pub fn new(socket_type: SocketType) -> Self {
        Self {
            socket_type,
            version: Version::V3_1,
            mechanism: Mechanism::Null,
            metadata: Metadata::new(),
            authenticate_null: false,
            signature_first: false,
            #[cfg(feature = "curve")]
            randomness: Randomness::default(),
            limits: Limits::default(),
            handshake_timeout: Some(Duration::from_secs(30)),
            heartbeat: None,
        }
    }

    /// The same with this identity, by which a ROUTER addresses us. An empty one, the default,
    /// announces none. Only REQ, DEALER and ROUTER announce an identity. It replaces one that was
    /// set before.
    ///
    /// ```
    /// use zmtp_codec::{Config, ConfigError, SocketType};
    ///
    /// let config = Config::new(SocketType::Dealer).with_identity("station 7")?;
    /// assert_eq!(config.metadata.identity(), Some(&b"station 7"[..]));
    /// assert!(config.with_identity("\0").is_err(), "a ROUTER makes those for peers that have none");
    /// # Ok::<(), ConfigError>(())
    /// ```
    ///
    /// # Errors
    /// [`ConfigError::Identity`] when it has more than 255 octets, or begins with a zero.
    pub fn with_identity(mut self, identity: impl AsRef<[u8]>) -> Result<Self, ConfigError> {
        let identity = identity.as_ref();
        if !is_valid_identity(identity) {
            return Err(ConfigError::Identity);
        }
        self.metadata = self.metadata.without(IDENTITY);
        if !identity.is_empty() {
            let added = self.metadata.with(IDENTITY, identity);
            self.metadata = added.map_err(|_| ConfigError::Identity)?;
        }
        Ok(self)
    }

    /// Finds the mistakes with which no connection can be made. One call before the first
    /// connection is enough.
    ///
    /// # Errors
    /// See [`ConfigError`].
    pub fn validate(&self) -> Result<(), ConfigError> {
        if ![Version::V3_0, Version::V3_1].contains(&self.version) {
            return Err(ConfigError::Version { version: self.version });
        }
        if let Mechanism::PlainClient { username, password } = &self.mechanism {
            let size = username.len().max(password.len());
            if size > 255 {
                return Err(ConfigError::Credentials { size });
            }
        }
        if self.metadata.has_invalid_identity() {
            return Err(ConfigError::Identity);
        }
        #[cfg(feature = "curve")]
        if let Mechanism::CurveClient { server_key, .. } = &self.mechanism
            && server_key.is_weak()
        {
            return Err(ConfigError::WeakServerKey);
        }
        self.heartbeat.map_or(Ok(()), Heartbeat::validate)?;
        let limit = self.limits.handshake_frame_size;
        // The largest command that a peer must be able to send us, and the largest that we send.
        let (least, own) = self.mechanism.largest_commands();
        if least as u64 > limit {
            let mechanism = self.mechanism.name();
            return Err(ConfigError::HandshakeFrameSize { mechanism, size: least, limit });
        }
        let size = own.saturating_add(self.ready_metadata().encoded_len());
        if size as u64 > limit {
            return Err(ConfigError::Metadata { size, limit });
        }
        Ok(())
    }

    /// The properties that we announce in READY or INITIATE.
    pub(crate) fn ready_metadata(&self) -> Metadata {
        let others = self.metadata.without(SOCKET_TYPE);
        let others =
            if self.socket_type.has_identity() { others } else { others.without(IDENTITY) };
        let socket_type = (SOCKET_TYPE, self.socket_type.name().as_bytes());
        Metadata::of(std::iter::once(socket_type).chain(others.iter()))
    }
}

/// Limits on the memory that a peer can take. A size is checked when it is announced, before any
/// memory is reserved for it.
///
/// ```
/// use zmtp_codec::Limits;
///
/// let limits = Limits::new().with_message_size(1 << 20).with_message_parts(8);
/// assert_eq!(limits.command_size, 1 << 20, "the others have their defaults");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The bodies of all parts of a message together, in octets; 64 MiB by default. A PUB keeps no
    /// messages, but it too disconnects a peer that exceeds this.
    pub message_size: u64,
    /// The parts of a message; 1024 by default. One part is always allowed.
    pub message_parts: usize,
    /// The body of a command after the handshake, in octets; 1 MiB by default. The body of a
    /// SUBSCRIBE is 10 octets longer than its topic. This limit also applies, whatever
    /// `message_size` is, to a subscription in the form of a message, as in ZMTP 3.0, and under
    /// CURVE to every frame that is sent to a PUB.
    pub command_size: u64,
    /// The body of a frame during the handshake, in octets; 4 KiB by default.
    pub handshake_frame_size: u64,
}

impl Limits {
    /// The defaults.
    pub const fn new() -> Self {
        Self {
            message_size: 64 << 20,
            message_parts: 1024,
            command_size: 1 << 20,
            handshake_frame_size: 4 << 10,
        }
    }

    /// Whether a message of so many octets, in so many parts, is within
    /// [`message_size`](Self::message_size) and [`message_parts`](Self::message_parts).
    #[inline]
    pub const fn allow(&self, octets: u64, parts: usize) -> bool {
        octets <= self.message_size && (parts <= 1 || parts <= self.message_parts)
    }

    /// The same with this [`message_size`](Self::message_size).
    pub const fn with_message_size(mut self, octets: u64) -> Self {
        self.message_size = octets;
        self
    }

    /// The same with these [`message_parts`](Self::message_parts).
    pub const fn with_message_parts(mut self, parts: usize) -> Self {
        self.message_parts = parts;
        self
    }

    /// The same with this [`command_size`](Self::command_size).
    pub const fn with_command_size(mut self, octets: u64) -> Self {
        self.command_size = octets;
        self
    }

    /// The same with this [`handshake_frame_size`](Self::handshake_frame_size).
    pub const fn with_handshake_frame_size(mut self, octets: u64) -> Self {
        self.handshake_frame_size = octets;
        self
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self::new()
    }
}

/// How to find out that a peer is dead (RFC 37, Connection Heartbeating).
///
/// Heartbeats are sent if both sides announce ZMTP 3.1 or later: a peer of 3.0 need not know PING,
/// and its silence would prove nothing. [`for_any_version`](Self::for_any_version) lifts this
/// condition. [`Connection::sends_heartbeats`](crate::Connection::sends_heartbeats) tells whether
/// they are sent.
///
/// ```
/// use std::time::Duration;
/// use zmtp_codec::Heartbeat;
///
/// let second = Duration::from_secs(1);
/// let heartbeat = Heartbeat::every(second).with_timeout(second * 5).with_ttl(second * 3);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Heartbeat {
    /// The time from one PING to the next; zero for no heartbeats. At most two PINGs are sent while
    /// nothing arrives.
    pub interval: Duration,
    /// How long after a PING nothing may arrive before the peer is taken for dead. A PING waits for
    /// the end of the message before it; until it has been sent, it is enough if the transport
    /// takes octets. The peer must be able to read all that the transport buffers within this time.
    /// Not zero.
    pub timeout: Duration,
    /// How long the peer may tolerate our silence; zero for no limit. It is sent in tenths of a
    /// second, rounded up, and at most 65.5 seconds, which is all that libzmq can hold. It must not
    /// be shorter than `interval`, unless it is set by [`with_any_ttl`](Self::with_any_ttl).
    pub ttl: Duration,
    /// Whether the time to live may be shorter than the interval.
    any_ttl: bool,
    /// Whether peers of ZMTP 3.0 are sent heartbeats, too.
    pub(crate) any_version: bool,
}

impl Heartbeat {
    /// A PING every `interval`, the same time to wait for a sign of life, and no time to live.
    pub const fn every(interval: Duration) -> Self {
        Self {
            interval,
            timeout: interval,
            ttl: Duration::ZERO,
            any_ttl: false,
            any_version: false,
        }
    }

    /// The same with this [`timeout`](Self::timeout).
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// The same with this [time to live](Self::ttl).
    pub const fn with_ttl(mut self, ttl: Duration) -> Self {
        self.ttl = ttl;
        self
    }

    /// The same, also for peers that announce ZMTP 3.0, as libzmq does: libzmq knows heartbeats
    /// from 4.2 on, whichever version it announces. Another peer of 3.0 may end the connection at a
    /// PING.
    pub const fn for_any_version(mut self) -> Self {
        self.any_version = true;
        self
    }

    /// The same with this [time to live](Self::ttl), which may be shorter than the interval. If it
    /// is, the peer ends a connection on which we send nothing else.
    pub const fn with_any_ttl(mut self, ttl: Duration) -> Self {
        (self.ttl, self.any_ttl) = (ttl, true);
        self
    }

    /// Finds heartbeats that would end every connection.
    fn validate(self) -> Result<(), ConfigError> {
        if self.interval.is_zero() {
            return Ok(());
        }
        if self.timeout.is_zero() {
            return Err(ConfigError::HeartbeatTimeout);
        }
        let told = Duration::from_millis(u64::from(self.ttl_tenths()).saturating_mul(100));
        if !told.is_zero() && told < self.interval && !self.any_ttl {
            return Err(ConfigError::HeartbeatTtl { ttl: told, interval: self.interval });
        }
        Ok(())
    }

    /// The time to live as a PING encodes it, in tenths of a second.
    pub(crate) fn ttl_tenths(&self) -> u16 {
        const MAX: u16 = 655;
        u16::try_from(self.ttl.as_nanos().div_ceil(100_000_000)).map_or(MAX, |ttl| ttl.min(MAX))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ready_says_our_type_first_and_an_identity_only_where_it_counts() {
        let metadata = Metadata::new()
            .with("identity", "me")
            .and_then(|m| m.with("X-a", "1"))
            .and_then(|m| m.with("socket-type", "PAIR"))
            .unwrap();
        type Row = (SocketType, &'static [(&'static str, &'static [u8])]);
        let rows: [Row; 2] = [
            (SocketType::Sub, &[("Socket-Type", b"SUB"), ("X-a", b"1")]),
            (SocketType::Dealer, &[("Socket-Type", b"DEALER"), ("identity", b"me"), ("X-a", b"1")]),
        ];
        for (socket_type, properties) in rows {
            let config = Config { metadata: metadata.clone(), ..Config::new(socket_type) };
            assert_eq!(config.ready_metadata().iter().collect::<Vec<_>>(), properties);
            assert_eq!(config.validate(), Ok(()));
        }
    }

    #[test]
    fn mistakes_are_found() {
        let good = Config::new(SocketType::Dealer);
        let property = |name, value: Vec<u8>| Config {
            metadata: Metadata::new().with(name, value).unwrap(),
            ..good.clone()
        };
        let plain = |username: &str, password: &str| Config {
            mechanism: Mechanism::PlainClient {
                username: username.to_owned().into(),
                password: password.to_owned().into(),
            },
            ..good.clone()
        };
        let mut twice = property("Identity", vec![1]);
        twice.metadata = twice.metadata.with("IDENTITY", [0]).unwrap();
        let version = Version { major: 3, minor: 2 };
        let long = "x".repeat(256);
        let rows = [
            (Config { version, ..good.clone() }, ConfigError::Version { version }),
            (plain(&long, ""), ConfigError::Credentials { size: 256 }),
            (plain("", &long), ConfigError::Credentials { size: 256 }),
            (property("Identity", vec![0]), ConfigError::Identity),
            (property("Identity", vec![1; 256]), ConfigError::Identity),
            (twice, ConfigError::Identity),
            (property("X-a", vec![0; 4096]), ConfigError::Metadata { size: 4135, limit: 4096 }),
        ];
        for (config, error) in rows {
            assert_eq!(config.validate(), Err(error));
        }
        assert_eq!(plain(&long[1..], &long[1..]).validate(), Ok(()));
    }

    #[test]
    fn an_identity_is_set_once_and_held_to_its_rules() {
        let dealer = || Config::new(SocketType::Dealer);
        for good in [&b"a"[..], b"a\0", &[0xFF; 255]] {
            let config = dealer().with_identity("before").unwrap().with_identity(good).unwrap();
            assert_eq!(config.metadata.iter().collect::<Vec<_>>(), [("Identity", good)]);
            assert_eq!(config.validate(), Ok(()));
        }
        assert!(
            dealer().with_identity("a").unwrap().with_identity("").unwrap().metadata.is_empty()
        );
        for bad in [&b"\0"[..], b"\0a", &[1; 256]] {
            assert_eq!(dealer().with_identity(bad).unwrap_err(), ConfigError::Identity);
        }
    }

    #[test]
    fn heartbeats_that_would_end_every_connection_are_found() {
        let ms = Duration::from_millis;
        let ttl =
            |ttl, interval| Err(ConfigError::HeartbeatTtl { ttl: ms(ttl), interval: ms(interval) });
        let rows = [
            (1000, 1000, 0, Ok(())),
            (1000, 1, 1000, Ok(())),
            (950, 1, 901, Ok(())),
            (1000, 0, 0, Err(ConfigError::HeartbeatTimeout)),
            (1000, 1000, 900, ttl(900, 1000)),
            // A PING cannot express more than 65.5 seconds.
            (70_000, 1000, 80_000, ttl(65_500, 70_000)),
            (0, 0, 1, Ok(())),
        ];
        for (interval, timeout, ttl, outcome) in rows {
            let heartbeat =
                Heartbeat::every(ms(interval)).with_timeout(ms(timeout)).with_ttl(ms(ttl));
            let config = Config { heartbeat: Some(heartbeat), ..Config::new(SocketType::Pub) };
            assert_eq!(config.validate(), outcome, "{heartbeat:?}");
        }
    }

    #[test]
    fn a_time_to_live_is_rounded_up_and_bounded() {
        let rows = [(0, 0), (1, 1), (100, 1), (101, 2), (65_500, 655), (65_501, 655)];
        for (millis, tenths) in rows {
            let ttl = Duration::from_millis(millis);
            let heartbeat = Heartbeat { ttl, ..Heartbeat::every(Duration::from_secs(1)) };
            assert_eq!(heartbeat.ttl_tenths(), tenths);
        }
        let heartbeat = Heartbeat { ttl: Duration::MAX, ..Heartbeat::every(Duration::ZERO) };
        assert_eq!(heartbeat.ttl_tenths(), 655);
    }
}
