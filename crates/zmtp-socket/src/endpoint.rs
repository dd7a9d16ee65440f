//! Where a socket listens or dials: `tcp://*:5556`, `ipc:///run/feed`, `inproc://feed`, `ws://*:8080/feed`.

use std::ffi::OsStr;
use std::fmt;
use std::net::{IpAddr, Ipv6Addr};
use std::path::{Path, PathBuf};
use std::str::FromStr;

/// A transport and an address on it, as written `transport://address`.
///
/// It is parsed with [`FromStr`] and printed in the same form, so that printing and parsing again
/// gives an equal endpoint (but for an `ipc` path that is not UTF-8).
///
/// ```
/// use zmtp_socket::{Endpoint, Host};
///
/// let endpoint: Endpoint = "tcp://*:5556".parse()?;
/// assert_eq!(endpoint, Endpoint::Tcp { host: Host::Any, port: 5556 });
/// assert_eq!(endpoint.to_string(), "tcp://*:5556");
/// # Ok::<(), zmtp_socket::EndpointError>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Endpoint {
    /// `tcp://host:port`.
    Tcp {
        /// The machine; to bind, one of this machine's addresses.
        host: Host,
        /// The port. 0, also written `*`, asks `bind` for any free one.
        port: u16,
    },
    /// `ipc://path`, `ipc://@name` or `ipc://*`: a Unix domain socket. Not on Windows.
    Ipc(IpcAddress),
    /// `inproc://name`: within one `Context`. The name has 1 to 256 octets.
    Inproc(String),
    /// `ws://host:port/path`: ZeroMQ in WebSocket messages (RFC 45), as browsers speak it.
    #[cfg(feature = "ws")]
    Ws {
        /// The machine; to bind, one of this machine's addresses.
        host: Host,
        /// The port. 0, also written `*`, asks `bind` for any free one.
        port: u16,
        /// The path, `/` if none is written: up to 1024 ASCII characters, without `?` and `#`. A peer that
        /// asks for another path is refused.
        path: String,
    },
    /// `wss://host:port/path`: the same over TLS, configured by
    /// [`wss_server`](crate::Options::wss_server) and [`wss_client`](crate::Options::wss_client).
    #[cfg(feature = "wss")]
    Wss {
        /// As with `ws`. To connect, the server's certificate must be that of this name or address.
        host: Host,
        /// As with `ws`.
        port: u16,
        /// As with `ws`.
        path: String,
    },
    /// `mem://name`: the in-memory transport of the tests. The name has 1 to 256 octets.
    #[cfg(feature = "simulation")]
    Mem(String),
}

/// The host of a `tcp` or `ws` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Host {
    /// `*`: every address of this machine, of both families. For `bind` only, which returns the
    /// endpoint with the host `0.0.0.0`, since every program on this machine can connect to that.
    Any,
    /// An address; one of version 6 is written in brackets: `tcp://[::1]:5556`.
    Ip(IpAddr),
    /// A name, resolved anew at each attempt. Up to 253 letters, digits, `-`, `_` and `.`. `bind` opens
    /// all of its addresses that this machine has, on the same port, or fails if one of them is taken.
    Name(String),
}

/// The address of an `ipc` endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IpcAddress {
    /// A path in the file system, of 1 to 107 octets.
    Path(PathBuf),
    /// `@name`: a name of 1 to 107 octets in the abstract namespace. Linux only.
    Abstract(String),
    /// `*`: a path that the library chooses, in the folder for temporary files. For `bind` only, which
    /// returns the path.
    Any,
}

/// The text or value is not an endpoint, or not one that the call can use.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("endpoint {text:?}: {reason}")]
pub struct EndpointError {
    /// The text that was given, cut to [`SHOWN`] characters.
    text: String,
    reason: Reason,
}

/// A value that names an endpoint: a text, or an [`Endpoint`].
pub trait IntoEndpoint {
    /// The endpoint, checked.
    ///
    /// # Errors
    /// [`EndpointError`] says what is wrong with the text or the value.
    fn into_endpoint(self) -> Result<Endpoint, EndpointError>;
}

/// The transports, as an error names them.
const KNOWN: &str = match cfg!(feature = "ws") {
    true => "tcp, ws, ipc or inproc",
    false => "tcp, ipc or inproc",
};
/// How many characters of a text an error shows.
const SHOWN: usize = 200;
/// Longest host name in the Domain Name System, in octets, and longest part of one between dots.
const NAME_MAX: usize = 253;
const NAME_PART_MAX: usize = 63;
/// Longest Unix socket address on Linux, in octets: the 108 of `sockaddr_un`, less the NUL after a
/// path or before a name.
const IPC_MAX: usize = 107;
/// Longest `inproc` name, in octets.
const INPROC_MAX: usize = 256;
/// Longest path of `ws`, in octets.
#[cfg(feature = "ws")]
const PATH_MAX: usize = 1024;

#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("no transport (expected transport://address, where the transport is {KNOWN})")]
    NoTransport,
    #[error("unknown transport {0:?} (expected {KNOWN})")]
    UnknownTransport(String),
    #[error("no port (expected tcp://host:port)")]
    NoPort,
    #[error("port {0:?} is neither a number from 0 to 65535 nor *")]
    Port(String),
    #[cfg(feature = "ws")]
    #[error("the path {0:?} is not an HTTP path (expected /, then ASCII without blanks, ? and #)")]
    WsPath(String),
    #[error("no host (expected tcp://host:port; tcp://*:port binds every address)")]
    NoHost,
    #[error("host {0:?} is not a name, an address or *")]
    Host(String),
    #[error("host {0:?} is not an IPv4 address (expected four numbers from 0 to 255)")]
    Ipv4(String),
    #[error("an IPv6 address must be in brackets: tcp://[{0}]:port")]
    NoBrackets(Ipv6Addr),
    #[error("{0:?} in brackets is not an IPv6 address")]
    Ipv6(String),
    #[error("an IPv6 zone (%{0}) is not supported")]
    Zone(String),
    #[error("the {0} is empty")]
    Empty(&'static str),
    #[error("the {what} has {len} octets; the limit is {max}")]
    TooLong { what: &'static str, len: usize, max: usize },
    #[error("the {0} contains a NUL octet")]
    Nul(&'static str),
    #[error("a path that begins with @ means an abstract name (for a file, write ./@…)")]
    PathLikeAbstract,
    #[error("the path * means any free path (for a file of that name, write ./*)")]
    PathLikeAny,
    #[error(
        "* means every address of this machine, and can only be bound; to connect, name one host"
    )]
    ConnectToAny,
    #[error("port 0 (*) means any free port, and can only be bound; to connect, name the port")]
    ConnectToPortZero,
    #[error("* means any free path, and can only be bound; to connect, name the path")]
    ConnectToAnyPath,
}

impl Endpoint {
    /// The port of a `tcp` or `ws` endpoint; 0 stands for any free one. `None` for other transports.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let publisher = zmtp_socket::PubSocket::new();
    /// let endpoint = publisher.bind("tcp://127.0.0.1:*").await?;
    /// println!("listening on port {}", endpoint.port().expect("tcp has ports"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn port(&self) -> Option<u16> {
        match self {
            Self::Tcp { port, .. } => Some(*port),
            #[cfg(feature = "ws")]
            Self::Ws { port, .. } => Some(*port),
            #[cfg(feature = "wss")]
            Self::Wss { port, .. } => Some(*port),
            _ => None,
        }
    }

    /// Whether the endpoint is reached over tcp.
    pub(crate) fn is_over_tcp(&self) -> bool {
        self.port().is_some()
    }

    /// Whether the endpoint belongs to a transport of the operating system.
    pub(crate) fn is_of_the_system(&self) -> bool {
        self.is_over_tcp() || matches!(self, Self::Ipc(_))
    }

    /// Whether this endpoint can be dialled.
    pub(crate) fn for_connect(&self) -> Result<(), EndpointError> {
        let reason = match self {
            Self::Tcp { host: Host::Any, .. } => Reason::ConnectToAny,
            Self::Tcp { port: 0, .. } => Reason::ConnectToPortZero,
            #[cfg(feature = "ws")]
            Self::Ws { host: Host::Any, .. } => Reason::ConnectToAny,
            #[cfg(feature = "ws")]
            Self::Ws { port: 0, .. } => Reason::ConnectToPortZero,
            #[cfg(feature = "wss")]
            Self::Wss { host: Host::Any, .. } => Reason::ConnectToAny,
            #[cfg(feature = "wss")]
            Self::Wss { port: 0, .. } => Reason::ConnectToPortZero,
            Self::Ipc(IpcAddress::Any) => Reason::ConnectToAnyPath,
            _ => return Ok(()),
        };
        Err(EndpointError::new(&self.to_string(), reason))
    }

    fn parse(text: &str) -> Result<Self, Reason> {
        let (transport, address) = text.split_once("://").ok_or(Reason::NoTransport)?;
        match transport {
            "tcp" => parse_tcp(address).map(|(host, port)| Self::Tcp { host, port }),
            #[cfg(feature = "ws")]
            "ws" => parse_ws(address).map(|(host, port, path)| Self::Ws { host, port, path }),
            #[cfg(feature = "wss")]
            "wss" => parse_ws(address).map(|(host, port, path)| Self::Wss { host, port, path }),
            "ipc" => Ok(Self::Ipc(match address.strip_prefix('@') {
                None if address == "*" => IpcAddress::Any,
                Some(name) => IpcAddress::Abstract(name.to_owned()),
                None => IpcAddress::Path(address.into()),
            })),
            "inproc" => Ok(Self::Inproc(address.to_owned())),
            #[cfg(feature = "simulation")]
            "mem" => Ok(Self::Mem(address.to_owned())),
            _ => Err(Reason::UnknownTransport(shown(transport))),
        }
    }

    /// Checks the rules that a value which was not parsed may break.
    fn check(&self) -> Result<(), Reason> {
        match self {
            Self::Tcp { host: Host::Name(name), .. } => check_name(name),
            #[cfg(feature = "ws")]
            Self::Ws { host, path, .. } => check_ws(host, path),
            #[cfg(feature = "wss")]
            Self::Wss { host, path, .. } => check_ws(host, path),
            Self::Tcp { .. } | Self::Ipc(IpcAddress::Any) => Ok(()),
            Self::Ipc(IpcAddress::Path(path)) => check_path(path),
            Self::Ipc(IpcAddress::Abstract(name)) => check_text("abstract name", name, IPC_MAX),
            Self::Inproc(name) => check_text("name", name, INPROC_MAX),
            #[cfg(feature = "simulation")]
            Self::Mem(name) => check_text("name", name, INPROC_MAX),
        }
    }
}

impl FromStr for Endpoint {
    type Err = EndpointError;

    fn from_str(text: &str) -> Result<Self, EndpointError> {
        Self::parse(text)
            .and_then(|endpoint| endpoint.check().map(|()| endpoint))
            .map_err(|reason| EndpointError::new(text, reason))
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp { host, port: 0 } => write!(f, "tcp://{host}:*"),
            Self::Tcp { host, port } => write!(f, "tcp://{host}:{port}"),
            #[cfg(feature = "ws")]
            Self::Ws { host, port: 0, path } => write!(f, "ws://{host}:*{path}"),
            #[cfg(feature = "ws")]
            Self::Ws { host, port, path } => write!(f, "ws://{host}:{port}{path}"),
            #[cfg(feature = "wss")]
            Self::Wss { host, port: 0, path } => write!(f, "wss://{host}:*{path}"),
            #[cfg(feature = "wss")]
            Self::Wss { host, port, path } => write!(f, "wss://{host}:{port}{path}"),
            Self::Ipc(IpcAddress::Path(path)) => write!(f, "ipc://{}", path.display()),
            Self::Ipc(IpcAddress::Abstract(name)) => write!(f, "ipc://@{name}"),
            Self::Ipc(IpcAddress::Any) => f.write_str("ipc://*"),
            Self::Inproc(name) => write!(f, "inproc://{name}"),
            #[cfg(feature = "simulation")]
            Self::Mem(name) => write!(f, "mem://{name}"),
        }
    }
}

impl fmt::Display for Host {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("*"),
            Self::Ip(IpAddr::V4(address)) => write!(f, "{address}"),
            Self::Ip(IpAddr::V6(address)) => write!(f, "[{address}]"),
            Self::Name(name) => f.write_str(name),
        }
    }
}

impl EndpointError {
    fn new(text: &str, reason: Reason) -> Self {
        Self { text: shown(text), reason }
    }
}

impl IntoEndpoint for &str {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for &String {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for String {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.parse()
    }
}

impl IntoEndpoint for Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        match self.check() {
            Ok(()) => Ok(self),
            Err(reason) => Err(EndpointError::new(&self.to_string(), reason)),
        }
    }
}

impl IntoEndpoint for &Endpoint {
    fn into_endpoint(self) -> Result<Endpoint, EndpointError> {
        self.clone().into_endpoint()
    }
}

fn parse_tcp(address: &str) -> Result<(Host, u16), Reason> {
    // Checked first, since the last group of such an address would be taken for the port.
    if let Ok(address) = address.parse::<Ipv6Addr>() {
        return Err(Reason::NoBrackets(address));
    }
    let (host, port) = address.rsplit_once(':').ok_or(Reason::NoPort)?;
    // The colon found stands within the brackets: [::1]
    if port.ends_with(']') {
        return Err(Reason::NoPort);
    }
    Ok((parse_host(host)?, parse_port(port)?))
}

fn parse_host(host: &str) -> Result<Host, Reason> {
    if host == "*" {
        return Ok(Host::Any);
    }
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        if let Some((_, zone)) = inner.split_once('%') {
            return Err(Reason::Zone(shown(zone)));
        }
        let address = inner.parse::<Ipv6Addr>().map_err(|_| Reason::Ipv6(shown(inner)))?;
        return Ok(Host::Ip(address.into()));
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match address {
            IpAddr::V4(_) => Ok(Host::Ip(address)),
            IpAddr::V6(address) => Err(Reason::NoBrackets(address)),
        };
    }
    Ok(Host::Name(host.to_owned()))
}

fn parse_port(port: &str) -> Result<u16, Reason> {
    match port {
        "" => Err(Reason::NoPort),
        "*" => Ok(0),
        // `parse` alone would take a sign too.
        _ if port.bytes().all(|octet| octet.is_ascii_digit()) => {
            port.parse().map_err(|_| Reason::Port(shown(port)))
        }
        _ => Err(Reason::Port(shown(port))),
    }
}

fn check_name(name: &str) -> Result<(), Reason> {
    let allowed = |octet: u8| octet.is_ascii_alphanumeric() || b"-_.".contains(&octet);
    if name.is_empty() {
        return Err(Reason::NoHost);
    }
    if name.len() > NAME_MAX {
        return Err(Reason::TooLong { what: "host name", len: name.len(), max: NAME_MAX });
    }
    let mut parts = name.strip_suffix('.').unwrap_or(name).split('.');
    if !name.bytes().all(allowed) || !parts.all(|part| (1..=NAME_PART_MAX).contains(&part.len())) {
        return Err(Reason::Host(shown(name)));
    }
    // A host whose last part is a number (999.0.0.1, 127.1) is an address and never a name, and
    // resolvers disagree about which address.
    let last = name.rsplit('.').find(|part| !part.is_empty()).unwrap_or(name);
    if last.bytes().all(|octet| octet.is_ascii_digit()) {
        return Err(Reason::Ipv4(shown(name)));
    }
    Ok(())
}

fn check_path(path: &Path) -> Result<(), Reason> {
    let path: &OsStr = path.as_os_str();
    if path == "*" {
        return Err(Reason::PathLikeAny);
    }
    if path.as_encoded_bytes().starts_with(b"@") {
        return Err(Reason::PathLikeAbstract);
    }
    check_octets("path", path.as_encoded_bytes(), IPC_MAX)
}

#[cfg(feature = "ws")]
fn parse_ws(address: &str) -> Result<(Host, u16, String), Reason> {
    let (address, path) = address.split_at(address.find('/').unwrap_or(address.len()));
    let (host, port) = parse_tcp(address)?;
    let path = if path.is_empty() { "/" } else { path };
    Ok((host, port, path.to_owned()))
}

/// Checks the host, and that an HTTP request can name the path.
#[cfg(feature = "ws")]
fn check_ws(host: &Host, path: &str) -> Result<(), Reason> {
    if let Host::Name(name) = host {
        check_name(name)?;
    }
    let is_allowed = |octet: u8| octet.is_ascii_graphic() && !b"?#".contains(&octet);
    if !path.starts_with('/') || !path.bytes().all(is_allowed) {
        return Err(Reason::WsPath(shown(path)));
    }
    check_octets("path", path.as_bytes(), PATH_MAX)
}

fn check_text(what: &'static str, text: &str, max: usize) -> Result<(), Reason> {
    check_octets(what, text.as_bytes(), max)
}

fn check_octets(what: &'static str, octets: &[u8], max: usize) -> Result<(), Reason> {
    match octets.len() {
        0 => Err(Reason::Empty(what)),
        len if len > max => Err(Reason::TooLong { what, len, max }),
        _ if octets.contains(&0) => Err(Reason::Nul(what)),
        _ => Ok(()),
    }
}

/// The text, or as much of it as is shown in an error.
fn shown(text: &str) -> String {
    match text.char_indices().nth(SHOWN) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}

/// The endpoints of one socket, each kind in no particular order; see
/// [`endpoints`](crate::Handle::endpoints).
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct OpenEndpoints {
    /// The endpoints where the socket listens, as `bind` returned them.
    pub bound: Vec<Endpoint>,
    /// The endpoints that the socket dials, as `connect` returned them.
    pub connected: Vec<Endpoint>,
}

#[cfg(test)]
mod tests;
