//! The options of connections. They are set for a socket, and may be changed for one endpoint.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use zmtp_codec::{
    Config, Credentials, Heartbeat, Limits, Mechanism, Metadata, SocketType, Version,
};
#[cfg(feature = "curve")]
use zmtp_codec::{CurveKeyPair, CurvePublicKey};

use super::{Configured, EndpointOptions, Identified, Options, TcpOptions};
use crate::options::authorize::{AuthRequest, Authorizer, Verdict};
use crate::options::plain::PlainUsers;
use crate::peer::Peer;

#[derive(Clone, Debug)]
pub(crate) struct LinkOptions {
    pub(crate) version: Version,
    pub(crate) security: Security,
    pub(crate) judge: Option<Authorizer>,
    pub(crate) domain: Arc<str>,
    pub(crate) limits: Limits,
    pub(crate) handshake_timeout: Duration,
    pub(crate) heartbeat: Option<Heartbeat>,
    pub(crate) reconnect: Reconnect,
    pub(crate) retry_refused: bool,
    pub(crate) tcp: TcpOptions,
    pub(crate) ipc_mode: Option<u32>,
    /// `Some` if the peers speak no ZMTP; then, whether messages tell when one comes and goes.
    pub(crate) raw: Option<bool>,
    #[cfg(feature = "ws")]
    pub(crate) ws_origins: Arc<[String]>,
    #[cfg(feature = "wss")]
    pub(crate) wss_server: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    #[cfg(feature = "wss")]
    pub(crate) wss_client: Option<Arc<tokio_rustls::rustls::ClientConfig>>,
    /// Our identity and the peer's, for sockets that send by identity.
    pub(crate) identity: Bytes,
    pub(crate) peer_identity: Option<Bytes>,
    /// Whether an empty identity is announced as well.
    pub(crate) announces_none: bool,
    pub(crate) signature_first: bool,
    pub(crate) admits: Option<Admits>,
    /// The system's socket to listen on.
    pub(crate) listener: Option<Arc<Listening>>,
}

/// A system socket that somebody else has bound.
#[cfg(unix)]
pub(crate) type Listening = std::os::fd::OwnedFd;
#[cfg(not(unix))]
pub(crate) type Listening = std::convert::Infallible;

/// Decides which peers may begin their handshake.
#[derive(Clone)]
pub(crate) struct Admits(pub(crate) Arc<dyn Fn(&Peer) -> bool + Send + Sync>);

impl fmt::Debug for Admits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admits")
    }
}

/// The configuration of the connections through one endpoint.
#[derive(Debug)]
pub(crate) struct LinkConfig {
    pub(crate) options: LinkOptions,
    pub(crate) config: Arc<Config>,
}

impl LinkConfig {
    pub(crate) fn new(options: LinkOptions, socket_type: SocketType) -> Arc<Self> {
        let config = Arc::new(options.config(socket_type));
        Arc::new(Self { options, config })
    }
}

#[derive(Clone)]
pub(crate) enum Security {
    Null,
    PlainClient {
        username: Bytes,
        password: Bytes,
    },
    PlainServer(Arc<dyn Fn(&Credentials) -> bool + Send + Sync>),
    #[cfg(feature = "curve")]
    CurveClient {
        server_key: CurvePublicKey,
        keys: CurveKeyPair,
    },
    #[cfg(feature = "curve")]
    CurveServer {
        keys: CurveKeyPair,
    },
}

impl<T: Configured> Options<T> {
    /// The ZMTP version to announce, 3.1 or 3.0. Default: 3.1. The version spoken with a peer is
    /// the lower of the two.
    pub fn version(mut self, version: Version) -> Self {
        self.link.version = version;
        self
    }

    /// Authenticates us with the PLAIN mechanism (RFC 24), to peers that are PLAIN servers.
    /// Username and password have at most 255 octets each; with longer ones `bind` and `connect`
    /// fail. Default: no mechanism (NULL).
    pub fn plain_client(mut self, username: impl Into<Bytes>, password: impl Into<Bytes>) -> Self {
        let (username, password) = (username.into(), password.into());
        self.link.security = Security::PlainClient { username, password };
        self
    }

    /// Lets in only peers that give one of these names and passwords, with the PLAIN mechanism (RFC
    /// 24). Default: no mechanism (NULL).
    pub fn plain_server(self, users: PlainUsers) -> Self {
        self.plain_server_with(move |credentials| users.allow(credentials))
    }

    /// Lets in only peers for whose credentials `allow` returns true, with the PLAIN mechanism (RFC
    /// 24). `allow` is called on the connection's own task and must not block. Default: no
    /// mechanism (NULL).
    pub fn plain_server_with(
        mut self,
        allow: impl Fn(&Credentials) -> bool + Send + Sync + 'static,
    ) -> Self {
        self.link.security = Security::PlainServer(Arc::new(allow));
        self
    }

    /// Encrypts, with the CURVE mechanism (RFC 25 and 26), and accepts only a server with this key.
    /// `keys` are our own key pair, by which the server may know us. Default: no mechanism (NULL).
    ///
    /// A server that has another key, or does not admit ours, ends the connection in the handshake.
    #[cfg(feature = "curve")]
    pub fn curve_client(mut self, server_key: CurvePublicKey, keys: CurveKeyPair) -> Self {
        self.link.security = Security::CurveClient { server_key, keys };
        self
    }

    /// Encrypts, with the CURVE mechanism (RFC 25 and 26). Any client that knows our public key is let
    /// in, unless a [judge](Self::authorize) refuses it, such as [`allow_keys`](crate::allow_keys).
    /// Default: no mechanism (NULL).
    #[cfg(feature = "curve")]
    pub fn curve_server(mut self, keys: CurveKeyPair) -> Self {
        self.link.security = Security::CurveServer { keys };
        self
    }

    /// Lets `judge` decide whether a peer is let in, under any mechanism and in addition to its checks. A PLAIN
    /// or CURVE client does not ask it about the servers that it dials, and may not bind with a judge.
    /// The time for it is part of the [handshake's](Self::handshake_timeout). Meanwhile no more than 1
    /// KiB of what the peer sends is read. Default: no judge.
    ///
    /// The user id and metadata that the judge gives an [allowed](crate::Allowed) peer are in
    /// [`Peer::info`](crate::Peer::info) from then on. A [denied](crate::Denial) peer is sent an ERROR
    /// with the status, 400 or 500, and does not dial again. After a temporary denial the connection is
    /// closed without an ERROR, and the peer tries again later.
    ///
    /// ```
    /// # #[cfg(feature = "curve")]
    /// use zmtp_socket::{Allowed, Credentials, CurveKeyPair, Denial, PubOptions};
    ///
    /// # #[cfg(feature = "curve")]
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// let options = PubOptions::new().curve_server(CurveKeyPair::generate()?).authorize(|claim| async move {
    ///     match claim.credentials {
    ///         Credentials::Curve { public_key } => Ok(Allowed::new().user_id(public_key.to_string())),
    ///         _ => Err(Denial::refused("a key is asked for")),
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// Two judges are asked one after the other by a third:
    ///
    /// ```
    /// # #[cfg(all(feature = "curve", feature = "ipnet"))]
    /// use zmtp_socket::{CurveKeyPair, PubOptions, allow_addresses, allow_keys};
    ///
    /// # #[cfg(all(feature = "curve", feature = "ipnet"))]
    /// # fn example() -> Result<(), Box<dyn std::error::Error>> {
    /// # let (server, client) = (CurveKeyPair::generate()?, CurveKeyPair::generate()?);
    /// let addresses = allow_addresses(["10.0.0.0/8".parse()?]);
    /// let keys = allow_keys([client.public()]);
    /// let options = PubOptions::new().curve_server(server).authorize(move |claim| {
    ///     let (address, key) = (addresses(claim.clone()), keys(claim));
    ///     async move {
    ///         address.await?;
    ///         key.await
    ///     }
    /// });
    /// # Ok(())
    /// # }
    /// ```
    pub fn authorize<F: Future<Output = Verdict> + Send + 'static>(
        mut self,
        judge: impl Fn(AuthRequest) -> F + Send + Sync + 'static,
    ) -> Self {
        self.link.judge = Some(Authorizer::new(judge));
        self
    }

    /// The domain that the [judge](Self::authorize) sees in [`AuthRequest::domain`], for rules that many
    /// sockets share. RFC 27 limits it to 255 ASCII characters. Default: empty.
    pub fn domain(mut self, domain: impl Into<Arc<str>>) -> Self {
        self.link.domain = domain.into();
        self
    }

    /// The largest message, in octets of all its parts, that a peer may send; one that announces
    /// more is disconnected. Default: 64 MiB.
    pub fn max_message_size(mut self, octets: u64) -> Self {
        self.link.limits.message_size = octets;
        self
    }

    /// How many parts a message may have that a peer sends; one that sends more is disconnected. Default:
    /// 1024.
    pub fn max_message_parts(mut self, parts: usize) -> Self {
        self.link.limits.message_parts = parts;
        self
    }

    /// The largest command, in octets, that a peer may send after the handshake, such as a subscription
    /// with its topic; one that announces more is disconnected. Default: 1 MiB.
    pub fn max_command_size(mut self, octets: u64) -> Self {
        self.link.limits.command_size = octets;
        self
    }

    /// The largest frame of a handshake, in octets, that a peer may send; one that announces more is
    /// disconnected. With less than our own side of the handshake needs, `bind` and `connect` fail.
    /// Default: 4096.
    pub fn max_handshake_frame_size(mut self, octets: u64) -> Self {
        self.link.limits.handshake_frame_size = octets;
        self
    }

    /// How long a peer may take from the first octet to the end of the handshake. Default: 30 s.
    pub fn handshake_timeout(mut self, timeout: Duration) -> Self {
        self.link.handshake_timeout = timeout;
        self
    }

    /// Finds dead connections by PING and PONG (RFC 37). Default: off; a peer's own PING is always
    /// answered.
    ///
    /// [`keepalive`](Self::keepalive) finds a dead machine or line without this. A heartbeat also finds
    /// a process that hangs, or that lies behind a proxy. But it takes a peer for dead that is busy for
    /// too long: a subscriber that does not receive, or a program that blocks the runtime its sockets
    /// run on.
    ///
    /// A peer that announces ZMTP 3.0 is sent no heartbeats, since 3.0 has none; this is logged at DEBUG.
    /// If such a peer freezes, only [`user_timeout`](Self::user_timeout) finds it, once it has something
    /// to read.
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

    /// Lets only peers begin a handshake for which `admits` returns true: by their address, for example, or
    /// by their [descriptor](Peer::descriptor). Any other connection is closed without a word, with an event
    /// [`Refused`](crate::Event::Refused). `admits` is called on the endpoint's own task and must not block.
    /// For bound endpoints. Default: all peers.
    pub fn accept_if(mut self, admits: impl Fn(&Peer) -> bool + Send + Sync + 'static) -> Self {
        self.link.admits = Some(Admits(Arc::new(admits)));
        self
    }

    /// Dials again also when the peer refused us with an ERROR command (RFC 23 advises against
    /// it). Default: no; the endpoint is [parked](crate::Event::Parked), unless the reason is `300`, which
    /// means a temporary error (RFC 27).
    pub fn retry_refused(mut self, retry: bool) -> Self {
        self.link.retry_refused = retry;
        self
    }
}

impl<T: Identified> Options<T> {
    /// The identity by which ROUTERs know us: 1 to 255 octets, the first of them not zero, or `bind` and
    /// `connect` fail (RFC 37, The Identity Property). Default: none; each ROUTER then generates one.
    /// (`ZMQ_ROUTING_ID`)
    pub fn identity(mut self, identity: impl Into<Bytes>) -> Self {
        self.link.identity = identity.into();
        self
    }

    /// Announces an empty identity if none is set, as libzmq does. Peers treat it like no identity.
    /// Default: no.
    pub fn announce_empty_identity(mut self, announce: bool) -> Self {
        self.link.announces_none = announce;
        self
    }
}

impl EndpointOptions {
    /// The identity of the peer of a ROUTER's connected endpoint, whatever the peer announces. Messages can
    /// be sent to it from the call of `connect` on. Default: the one that it announces.
    /// (`ZMQ_CONNECT_ROUTING_ID`)
    pub fn peer_identity(mut self, identity: impl Into<Bytes>) -> Self {
        self.link.peer_identity = Some(identity.into());
        self
    }

    /// The peers of this `tcp` endpoint speak no ZMTP: anything that can open a connection is a peer. Its
    /// octets are received as messages of one part, one for each piece that arrived, of 8 KiB at most. A
    /// message to it is written as its octets alone. With `notify`, an empty message says that a peer has
    /// come, and another one that it has gone. (`ZMQ_STREAM`, `ZMQ_STREAM_NOTIFY`)
    ///
    /// The socket sees such a peer as a DEALER, so the socket should be a ROUTER, which tells its peers
    /// apart. An empty part sent to a peer ends the connection, once everything before it has been written; a
    /// connected endpoint is then not dialled again until `connect` is repeated. With a mechanism, with
    /// heartbeats or over another transport, `bind` and `connect` fail.
    pub fn raw(mut self, notify: bool) -> Self {
        self.link.raw = Some(notify);
        self
    }

    /// Sends the first ten octets of the greeting, the signature, by themselves, and the rest when the peer's
    /// signature has come, as libzmq does. It costs a round trip. Default: no.
    pub fn signature_first(mut self, first: bool) -> Self {
        self.link.signature_first = first;
        self
    }

    /// Listens on a system socket that already listens, such as one that a service manager has passed.
    /// Only the transport of the bound endpoint then matters. Not on Windows.
    #[cfg(unix)]
    pub fn listen_on(mut self, socket: std::os::fd::OwnedFd) -> Self {
        self.link.listener = Some(Arc::new(socket));
        self
    }
}

impl LinkOptions {
    fn config(&self, socket_type: SocketType) -> Config {
        let mut config = Config::new(socket_type);
        config.version = self.version;
        config.mechanism = match &self.security {
            Security::Null => Mechanism::Null,
            Security::PlainClient { username, password } => {
                Mechanism::PlainClient { username: username.clone(), password: password.clone() }
            }
            Security::PlainServer(_) => Mechanism::PlainServer,
            #[cfg(feature = "curve")]
            Security::CurveClient { server_key, keys } => {
                Mechanism::CurveClient { server_key: *server_key, keys: keys.clone() }
            }
            #[cfg(feature = "curve")]
            Security::CurveServer { keys } => Mechanism::CurveServer { keys: keys.clone() },
        };
        config.authenticate_null = self.judge.is_some();
        config.signature_first = self.signature_first;
        config.limits = self.limits;
        config.handshake_timeout = Some(self.handshake_timeout);
        config.heartbeat = self.heartbeat;
        if !self.identity.is_empty() || self.announces_none {
            // One octet above the limit is enough for the configuration to be refused.
            let identity = self.identity.slice(..self.identity.len().min(256));
            let metadata = Metadata::new().with("Identity", identity);
            config.metadata = metadata.expect("a short property is valid");
        }
        config
    }
}

impl Default for LinkOptions {
    fn default() -> Self {
        Self {
            version: Version::V3_1,
            security: Security::Null,
            judge: None,
            domain: Arc::default(),
            limits: Limits::default(),
            handshake_timeout: Duration::from_secs(30),
            heartbeat: None,
            reconnect: Reconnect::default(),
            retry_refused: false,
            tcp: TcpOptions::default(),
            ipc_mode: None,
            raw: None,
            #[cfg(feature = "ws")]
            ws_origins: Arc::default(),
            #[cfg(feature = "wss")]
            wss_server: None,
            #[cfg(feature = "wss")]
            wss_client: None,
            identity: Bytes::new(),
            peer_identity: None,
            announces_none: false,
            signature_first: false,
            admits: None,
            listener: None,
        }
    }
}

impl fmt::Debug for Security {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::PlainClient { .. } => "PlainClient",
            Self::PlainServer(_) => "PlainServer",
            #[cfg(feature = "curve")]
            Self::CurveClient { .. } => "CurveClient",
            #[cfg(feature = "curve")]
            Self::CurveServer { .. } => "CurveServer",
        })
    }
}

/// How long to wait between attempts to connect.
///
/// Each wait is a random time between half the present delay and all of it, so that many
/// subscribers do not come back at the same moment. No wait is shorter than a millisecond.
///
/// ```
/// use std::time::Duration;
/// use zmtp_socket::{Reconnect, SubOptions};
///
/// let patient = Reconnect::new(Duration::from_secs(1), Duration::from_secs(60));
/// let options = SubOptions::new().reconnect(patient);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reconnect {
    /// The first delay, and again the first one after a connection that carried traffic.
    pub initial: Duration,
    /// The longest delay; each is twice the one before.
    pub max: Duration,
}

impl Reconnect {
    /// Delays that begin with `initial` and double up to `max`.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max }
    }
}

impl Default for Reconnect {
    /// 100 ms, doubling to 5 s.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(5))
    }
}
