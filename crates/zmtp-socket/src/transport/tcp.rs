//! `tcp://host:port`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::{Connected, Stream};
use crate::{Endpoint, Host};

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;

pub(super) async fn bind(host: &Host, port: u16) -> io::Result<(TcpListener, Endpoint)> {
    let listener = first(&addresses(host, port).await.map_err(no_such_interface)?, listen)?;
    let address = listener.local_addr()?;
    let endpoint = Endpoint::Tcp { host: Host::Ip(address.ip()), port: address.port() };
    Ok((listener, endpoint))
}

fn listen(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    // A server that is started again must not wait for its old connections to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

pub(super) async fn accept(listener: &TcpListener) -> io::Result<Connected> {
    let (stream, address) = listener.accept().await?;
    Ok(connected(stream, address))
}

pub(super) async fn dial(host: &Host, port: u16) -> io::Result<Connected> {
    let mut last = no_address();
    for address in addresses(host, port).await? {
        match TcpStream::connect(address).await {
            Ok(stream) if is_own_echo(&stream) => last = io::ErrorKind::ConnectionRefused.into(),
            Ok(stream) => return Ok(connected(stream, address)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

/// Dialling a port of this machine that nobody listens on can, by TCP's simultaneous open, connect
/// a socket to itself, and then keep the port from the server that is to come.
fn is_own_echo(stream: &TcpStream) -> bool {
    stream.local_addr().ok() == stream.peer_addr().ok()
}

fn connected(stream: TcpStream, address: SocketAddr) -> Connected {
    // We write whole bursts: there is nothing to wait for before a segment goes out. On a connection
    // that has ended already this may fail, as its first use will.
    let _ended = stream.set_nodelay(true);
    (Stream::Tcp(stream), address.to_string())
}

async fn addresses(host: &Host, port: u16) -> io::Result<Vec<SocketAddr>> {
    match host {
        Host::Any => Ok(vec![SocketAddr::new(IpAddr::V4(Ipv4Addr::UNSPECIFIED), port)]),
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => Ok(lookup_host((name.as_str(), port)).await?.collect()),
    }
}

/// The first success, or the last failure.
fn first<A: Copy, T>(addresses: &[A], each: impl Fn(A) -> io::Result<T>) -> io::Result<T> {
    let mut last = no_address();
    for address in addresses {
        match each(*address) {
            Ok(found) => return Ok(found),
            Err(error) => last = error,
        }
    }
    Err(last)
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

fn no_such_interface(error: io::Error) -> io::Error {
    let advice = "no address has this name; to bind an interface, give its address";
    io::Error::new(error.kind(), format!("{advice} ({error})"))
}
