//! Streams of octets over tcp and ipc.

use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::path::PathBuf;

use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
use zmtp_socket::{Endpoint, Host, IpcAddress};

/// A stream of octets, both ways.
pub(crate) type Stream = Box<dyn Duplex>;

/// A type that can be read from and written to.
pub(crate) trait Duplex: AsyncRead + AsyncWrite + Send + Unpin {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin> Duplex for T {}

/// Connects. Returns the stream with its remote address.
pub(crate) async fn dial(endpoint: &Endpoint) -> io::Result<(Stream, String)> {
    match endpoint {
        Endpoint::Tcp { host, port } => {
            let stream = TcpStream::connect((host_name(host)?, *port)).await?;
            stream.set_nodelay(true)?;
            let address = stream.peer_addr()?.to_string();
            Ok((Box::new(stream), address))
        }
        Endpoint::Ipc(IpcAddress::Path(path)) => {
            let stream = UnixStream::connect(path).await?;
            Ok((Box::new(stream), path.display().to_string()))
        }
        Endpoint::Ipc(IpcAddress::Abstract(name)) => {
            Ok((Box::new(abstract_name::connect(name)?), format!("@{name}")))
        }
        _ => Err(unsupported(endpoint)),
    }
}

/// Accepts connections.
#[derive(Debug)]
pub(crate) enum Listener {
    Tcp(TcpListener),
    Unix { listener: UnixListener, _file: Option<SocketFile> },
}

/// The file of an ipc endpoint, removed with its listener.
#[derive(Debug)]
pub(crate) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        // The file may be gone already.
        let _ = std::fs::remove_file(&self.0);
    }
}

impl Listener {
    /// Listens. Returns the listener with its address, which has the real port.
    pub(crate) async fn bind(endpoint: &Endpoint) -> io::Result<(Self, String)> {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let listener = match host {
                    Host::Any => match TcpListener::bind((Ipv6Addr::UNSPECIFIED, *port)).await {
                        Ok(listener) => listener,
                        // A machine may have no IPv6.
                        Err(_) => TcpListener::bind((Ipv4Addr::UNSPECIFIED, *port)).await?,
                    },
                    host => TcpListener::bind((host_name(host)?, *port)).await?,
                };
                let name = match listener.local_addr()? {
                    SocketAddr::V6(address) if address.ip().is_unspecified() => {
                        format!("tcp://*:{}", address.port())
                    }
                    address => format!("tcp://{address}"),
                };
                Ok((Self::Tcp(listener), name))
            }
            Endpoint::Ipc(IpcAddress::Path(path)) => {
                let listener = UnixListener::bind(path)?;
                let file = Some(SocketFile(path.clone()));
                Ok((Self::Unix { listener, _file: file }, endpoint.to_string()))
            }
            Endpoint::Ipc(IpcAddress::Abstract(name)) => {
                let listener = abstract_name::listen(name)?;
                Ok((Self::Unix { listener, _file: None }, endpoint.to_string()))
            }
            _ => Err(unsupported(endpoint)),
        }
    }

    /// The next connection, with its remote address.
    pub(crate) async fn accept(&self) -> io::Result<(Stream, String)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                Ok((Box::new(stream), address.to_string()))
            }
            Self::Unix { listener, .. } => {
                let (stream, _) = listener.accept().await?;
                Ok((Box::new(stream), "ipc".to_owned()))
            }
        }
    }
}

fn host_name(host: &Host) -> io::Result<String> {
    match host {
        Host::Ip(address) => Ok(address.to_string()),
        Host::Name(name) => Ok(name.clone()),
        _ => Err(io::Error::new(io::ErrorKind::InvalidInput, "name one host to connect to")),
    }
}

fn unsupported(endpoint: &Endpoint) -> io::Error {
    let line = format!("{endpoint}: expected tcp://host:port, ipc:///path or ipc://@name");
    io::Error::new(io::ErrorKind::Unsupported, line)
}

#[cfg(target_os = "linux")]
mod abstract_name {
    use std::io;
    use std::os::linux::net::SocketAddrExt as _;
    use std::os::unix::net as unix;

    use tokio::net::{UnixListener, UnixStream};

    pub(super) fn connect(name: &str) -> io::Result<UnixStream> {
        let address = unix::SocketAddr::from_abstract_name(name)?;
        let stream = unix::UnixStream::connect_addr(&address)?;
        stream.set_nonblocking(true)?;
        UnixStream::from_std(stream)
    }

    pub(super) fn listen(name: &str) -> io::Result<UnixListener> {
        let address = unix::SocketAddr::from_abstract_name(name)?;
        let listener = unix::UnixListener::bind_addr(&address)?;
        listener.set_nonblocking(true)?;
        UnixListener::from_std(listener)
    }
}

#[cfg(not(target_os = "linux"))]
mod abstract_name {
    use std::io;

    use tokio::net::{UnixListener, UnixStream};

    pub(super) fn connect(_name: &str) -> io::Result<UnixStream> {
        Err(missing())
    }

    pub(super) fn listen(_name: &str) -> io::Result<UnixListener> {
        Err(missing())
    }

    fn missing() -> io::Error {
        io::Error::new(io::ErrorKind::Unsupported, "only Linux has abstract names")
    }
}
