//! The listening side: one socket for each address of the host.

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream};

use super::{Networks, established, socket};
use crate::endpoint::Host;
use crate::engine::transport::{Connected, addresses};
use crate::options::TcpOptions;

/// How many ports that the system chose for one address are tried on all the others.
const PORTS: usize = 16;

/// Sockets on all addresses of one host, with the same port on each.
#[derive(Debug)]
pub(crate) struct Listener {
    /// At least one.
    sockets: Vec<TcpListener>,
    /// The socket that is polled first. It changes, so that no socket waits for ever behind another.
    next: usize,
}

impl Listener {
    /// Binds each of the host's addresses that this machine has. Port 0 is replaced by one that is free
    /// on all.
    ///
    /// # Errors
    /// One of these addresses is taken, even if others are free, or this machine has none of them.
    pub(crate) async fn bind(
        host: &Host,
        port: u16,
        networks: &Networks,
        options: &TcpOptions,
    ) -> io::Result<Self> {
        let mut addresses = match host {
            Host::Any => unspecified(port, options),
            _ => addresses::of(host, port, networks).await.map_err(no_such_interface)?,
        };
        if addresses.len() > 1 && !has_ipv6() {
            addresses.retain(SocketAddr::is_ipv4);
        }
        let mut tries = PORTS;
        loop {
            tries -= 1;
            match listen_on_all(&addresses, options) {
                // Another port may be free on all of them.
                Err((1.., error))
                    if port == 0 && tries > 0 && error.kind() == io::ErrorKind::AddrInUse => {}
                Err((_, error)) => return Err(error),
                Ok(sockets) => return Ok(Self { sockets, next: 0 }),
            }
        }
    }

    /// Listens on a socket that the caller has bound.
    #[cfg(unix)]
    pub(crate) fn on(socket: &std::os::fd::OwnedFd) -> io::Result<Self> {
        let socket = std::net::TcpListener::from(socket.try_clone()?);
        socket.set_nonblocking(true)?;
        Ok(Self { sockets: vec![TcpListener::from_std(socket)?], next: 0 })
    }

    /// The address under which peers reach what was bound as `host`. For all addresses it is the
    /// unspecified one, of version 4 if that is among them: every program on this machine can connect to
    /// it.
    pub(crate) fn address(&self, host: &Host) -> io::Result<(Host, u16)> {
        let address = self.sockets[0].local_addr()?;
        let host = match host {
            Host::Name(_) => host.clone(),
            _ => Host::Ip(address.ip()),
        };
        Ok((host, address.port()))
    }

    /// The next peer at any of the addresses.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        let (stream, address) = ready!(self.poll_sockets(cx))?;
        // An IPv4 peer at an IPv6 address is still an IPv4 peer.
        let address = match address.ip().to_canonical() {
            ip @ IpAddr::V4(_) => SocketAddr::new(ip, address.port()),
            // The address as it came: the canonical one has no zone.
            IpAddr::V6(_) => address,
        };
        Poll::Ready(Ok((established(stream), address.to_string())))
    }

    fn poll_sockets(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<(TcpStream, SocketAddr)>> {
        let count = self.sockets.len();
        for place in (self.next..self.next + count).map(|place| place % count) {
            if let Poll::Ready(accepted) = self.sockets[place].poll_accept(cx) {
                self.next = (place + 1) % count;
                return Poll::Ready(accepted);
            }
        }
        Poll::Pending
    }
}

/// A socket for each address that this machine has, the later ones on the port of the first; or the
/// error, and the number of sockets that were bound before it.
fn listen_on_all(
    addresses: &[SocketAddr],
    options: &TcpOptions,
) -> Result<Vec<TcpListener>, (usize, io::Error)> {
    let mut sockets: Vec<TcpListener> = Vec::new();
    let mut foreign = None;
    let is_only = addresses.len() == 1;
    for address in addresses {
        let port = match sockets.first() {
            Some(first) => first.local_addr().map_err(|error| (sockets.len(), error))?.port(),
            None => address.port(),
        };
        let mut address = *address;
        address.set_port(port);
        match listen(address, is_only, options) {
            Ok(socket) => sockets.push(socket),
            Err(error) if is_only => return Err((0, error)),
            Err(error) => {
                let named = io::Error::new(error.kind(), format!("{address}: {error}"));
                match error.kind() {
                    // The name also has addresses of other machines, or of a family that is switched
                    // off.
                    io::ErrorKind::AddrNotAvailable => foreign = Some(named),
                    _ => return Err((sockets.len(), named)),
                }
            }
        }
    }
    match (sockets.is_empty(), foreign) {
        (true, foreign) => Err((0, foreign.unwrap_or_else(no_address))),
        (false, _) => Ok(sockets),
    }
}

fn listen(address: SocketAddr, is_only: bool, options: &TcpOptions) -> io::Result<TcpListener> {
    // An accepted socket inherits its options from the listener.
    let socket = socket(address, options)?;
    // A server that is started again must not wait for its old connections to time out. On Windows it
    // does not in any case, and there the option would let two servers bind one address.
    if cfg!(not(windows)) {
        socket.set_reuseaddr(true)?;
    }
    if address.is_ipv6() {
        // The IPv6 socket takes only IPv6, since IPv4 has a socket of its own.
        let only = if is_only { options.ipv6_only } else { Some(true) };
        if let Some(only) = only {
            SockRef::from(&socket).set_only_v6(only)?;
        }
    }
    socket.bind(address)?;
    socket.listen(options.backlog)
}

/// Every address of this machine.
fn unspecified(port: u16, options: &TcpOptions) -> Vec<SocketAddr> {
    let v4 = SocketAddr::from((Ipv4Addr::UNSPECIFIED, port));
    let v6 = SocketAddr::from((Ipv6Addr::UNSPECIFIED, port));
    match options.ipv6_only {
        Some(true) => vec![v6],
        _ => vec![v4, v6],
    }
}

/// Whether the system has IPv6 at all. A socket may also fail for other reasons, such as a lack of
/// descriptors; then a socket of the other family fails too.
fn has_ipv6() -> bool {
    TcpSocket::new_v6().is_ok() || TcpSocket::new_v4().is_err()
}

fn no_address() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "the name has no address")
}

fn no_such_interface(error: io::Error) -> io::Error {
    let advice = "no address has this name; to bind an interface, give its address";
    io::Error::new(error.kind(), format!("{advice} ({error})"))
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;

    use super::*;

    #[tokio::test]
    async fn no_address_waits_behind_a_crowd_at_another() {
        let networks = Networks::default();
        let listener = Listener::bind(&Host::Any, 0, &networks, &TcpOptions::default()).await;
        let mut listener = listener.unwrap();
        let port = listener.address(&Host::Any).unwrap().1;
        let mut crowd = Vec::new();
        for _ in 0..20 {
            crowd.push(TcpStream::connect((Ipv4Addr::LOCALHOST, port)).await.unwrap());
        }
        let alone = TcpStream::connect((Ipv6Addr::LOCALHOST, port)).await.unwrap();
        let mut first = Vec::new();
        for _ in 0..3 {
            first.push(poll_fn(|cx| listener.poll_accept(cx)).await.unwrap().1);
        }
        assert!(first.contains(&alone.local_addr().unwrap().to_string()), "{first:?}");
    }
}
