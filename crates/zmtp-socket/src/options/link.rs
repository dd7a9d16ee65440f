//! What every connection of a socket has to be told. An endpoint can be told something else.

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
    /// The peers speak no ZMTP, and whether messages tell when one comes and goes.
    pub(crate) raw: Option<bool>,
    #[cfg(feature = "ws")]
    pub(crate) ws_origins: Arc<[String]>,
    #[cfg(feature = "wss")]
    pub(crate) wss_server: Option<Arc<tokio_rustls::rustls::ServerConfig>>,
    #[cfg(feature = "wss")]
    pub(crate) wss_client: Option<Arc<tokio_rustls::rustls::ClientConfig>>,
    /// What we go by, and what the peer goes by, with those that send by identity.
    pub(crate) identity: Bytes,
    pub(crate) peer_identity: Option<Bytes>,
    /// Whether an empty identity is announced, too.
    pub(crate) announces_none: bool,
    pub(crate) signature_first: bool,
    pub(crate) admits: Option<Admits>,
    /// The socket of the system to listen on.
    pub(crate) listener: Option<Arc<Listening>>,
}

/// A socket of the system that somebody else has bound.
#[cfg(unix)]
pub(crate) type Listening = std::os::fd::OwnedFd;
#[cfg(not(unix))]
pub(crate) type Listening = std::convert::Infallible;

/// Says which peers may begin their handshake.
#[derive(Clone)]
pub(crate) struct Admits(pub(crate) Arc<dyn Fn(&Peer) -> bool + Send + Sync>);

impl fmt::Debug for Admits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Admits")
    }
}

/// The terms on which connections are made through one endpoint.
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

    /// Encrypts, and lets only the server with this key take part, with the CURVE mechanism (RFC 25 and
    /// 26). `keys` are our own: what the server may know us by. Default: no mechanism (NULL).
    ///
    /// A server that has another key, or does not know ours, hangs up in the handshake.
    #[cfg(feature = "curve")]
    pub fn curve_client(mut self, server_key: CurvePublicKey, keys: CurveKeyPair) -> Self {
        self.link.security = Security::CurveClient { server_key, keys };
        self
    }

    /// Encrypts, with the CURVE mechanism (RFC 25 and 26). Any client is let in that knows our public
    /// key, unless a judge says otherwise: [`allow_keys`](crate::allow_keys), for example. Default: no
    /// mechanism (NULL).
    #[cfg(feature = "curve")]
    pub fn curve_server(mut self, keys: CurveKeyPair) -> Self {
        self.link.security = Security::CurveServer { keys };
        self
    }

    /// Lets `judge` decide who comes in, under any mechanism, beside what the mechanism asks for. While
    /// it does, within the [handshake's time](Self::handshake_timeout), no more than 1 KiB of what the
    /// peer goes on to say is kept. Default: nobody.
    ///
    /// What the judge gives an [allowed](crate::Allowed) peer is in [`Peer::info`](crate::Peer::info)
    /// from then on. A [denied](crate::Denial) one is told the status, 400 or 500, and does not dial
    /// again; with a temporary denial the connection is closed without a word, and the peer tries later.
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

    /// What the [judge](Self::authorize) is told of where a peer wants to come in, as
    /// [`AuthRequest::domain`]: RFC 27 has it for rules that many sockets share, and wants 255 characters of
    /// ASCII at most. Default: empty.
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
    /// That a machine or the line to it has gone is found without this, by
    /// [`keepalive`](Self::keepalive). A heartbeat also finds a process that hangs, or that lies behind
    /// a proxy; but it takes for dead whoever is busy for so long: a subscriber that does not receive,
    /// or a program that blocks the runtime its sockets run on.
    ///
    /// A peer that announces ZMTP 3.0 knows no heartbeats, and is sent none, which the log tells at DEBUG.
    /// If such a peer freezes, nothing finds it but [`user_timeout`](Self::user_timeout), once it has
    /// something to read.
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

    /// Lets only those peers begin a handshake that `admits` finds by their address, or by their
    /// [descriptor](Peer::descriptor): the connection of any other is closed without a word, and
    /// [told](crate::Event::Refused). It is called on the endpoint's own task, and must not block. For bound
    /// endpoints. Default: all.
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
    /// What ROUTERs know us by: 1 to 255 octets, the first of them not zero, or `bind` and `connect` fail
    /// (RFC 37, The Identity Property). Default: nothing, and each ROUTER makes something up.
    /// (`ZMQ_ROUTING_ID`)
    pub fn identity(mut self, identity: impl Into<Bytes>) -> Self {
        self.link.identity = identity.into();
        self
    }

    /// Announces an empty identity where there is none, as libzmq does. It means the same as to announce
    /// nothing. Default: no.
    pub fn announce_empty_identity(mut self, announce: bool) -> Self {
        self.link.announces_none = announce;
        self
    }
}

impl EndpointOptions {
    /// What the peer of a connected endpoint goes by, with a ROUTER: it can be sent to from now on, and what
    /// it announces itself does not matter. Default: what it announces. (`ZMQ_CONNECT_ROUTING_ID`)
    pub fn peer_identity(mut self, identity: impl Into<Bytes>) -> Self {
        self.link.peer_identity = Some(identity.into());
        self
    }

    /// The peers of this `tcp` endpoint speak no ZMTP: anything that can open a connection is one. What such a
    /// peer sends is received in messages of one part, cut wherever it arrived cut and of 8 KiB at most; of what
    /// it is sent it gets the octets alone. With `notify`, an empty message says that it has come, and another
    /// one that it has gone. (`ZMQ_STREAM`, `ZMQ_STREAM_NOTIFY`)
    ///
    /// To our socket it is a DEALER, so the socket should be a ROUTER, which knows its peers apart. An empty part
    /// that is sent to it ends the connection when what was sent before has gone out; a connected endpoint is
    /// then dialled again when it is connected anew. With a mechanism, with heartbeats or over another
    /// transport, `bind` and `connect` fail.
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

    /// Listens on a socket of the system that is bound and listens already, as a service manager hands it
    /// over: of the endpoint that is bound, only the transport counts then. Not on Windows.
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
            // One octet too many is enough for the configuration to be refused.
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
/// Each wait is drawn from the upper half of the present delay, so that a crowd of subscribers
/// does not come back in step. None is shorter than a millisecond.
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
