//! `tcp://host:port`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use socket2::SockRef;
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::Connected;
use crate::options::TcpOptions;
use crate::{Endpoint, Host};

/// Connections that the system keeps for us until they are accepted.
const BACKLOG: u32 = 1024;

/// Octets that the system takes of us before it can send them. Its buffer grows to megabytes, most of
/// them acknowledged late or waiting for their turn; what waits is better off in our queue, where it
/// counts, and where it is not copied out of the processor's cache and back. What has been sent, and
/// with it the throughput of a long line, is not limited by this.
const UNSENT: u32 = 256 << 10;

pub(super) async fn bind(
    host: &Host,
    port: u16,
    options: TcpOptions,
) -> io::Result<(TcpListener, Endpoint)> {
    let addresses = addresses(host, port).await.map_err(no_such_interface)?;
    let listener = first(&addresses, |address| listen(address, options))?;
    let address = listener.local_addr()?;
    let endpoint = Endpoint::Tcp { host: Host::Ip(address.ip()), port: address.port() };
    Ok((listener, endpoint))
}

fn listen(address: SocketAddr, options: TcpOptions) -> io::Result<TcpListener> {
    // What it accepts has its buffers.
    let socket = socket(address, options)?;
    // A server that is started again must not wait for its old connections to time out.
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

pub(super) async fn accept(listener: &TcpListener) -> io::Result<Connected> {
    let (stream, address) = listener.accept().await?;
    Ok(connected(stream, address))
}

pub(super) async fn dial(host: &Host, port: u16, options: TcpOptions) -> io::Result<Connected> {
    let mut last = no_address();
    for address in addresses(host, port).await? {
        match connect(address, options).await {
            Ok(stream) if is_own_echo(&stream) => last = io::ErrorKind::ConnectionRefused.into(),
            Ok(stream) => return Ok(connected(stream, address)),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect(address: SocketAddr, options: TcpOptions) -> io::Result<TcpStream> {
    socket(address, options)?.connect(address).await
}

/// A socket with its buffers: the first segment already says how far the window can open, so they
/// are set before there is a connection.
fn socket(address: SocketAddr, options: TcpOptions) -> io::Result<TcpSocket> {
    let socket = match address {
        SocketAddr::V4(_) => TcpSocket::new_v4(),
        SocketAddr::V6(_) => TcpSocket::new_v6(),
    }?;
    if let Some(octets) = options.send_buffer {
        socket.set_send_buffer_size(octets)?;
    }
    if let Some(octets) = options.receive_buffer {
        socket.set_recv_buffer_size(octets)?;
    }
    Ok(socket)
}

/// Dialling a port of this machine that nobody listens on can, by TCP's simultaneous open, connect
/// a socket to itself, and then keep the port from the server that is to come.
fn is_own_echo(stream: &TcpStream) -> bool {
    stream.local_addr().ok() == stream.peer_addr().ok()
}

fn connected(stream: TcpStream, address: SocketAddr) -> Connected {
    // On a connection that has ended already these may fail, as its first use will.
    let _ended = tune(&stream);
    (stream.into(), address.to_string())
}

fn tune(stream: &TcpStream) -> io::Result<()> {
    // We write whole bursts: there is nothing to wait for before a segment goes out.
    stream.set_nodelay(true)?;
    SockRef::from(stream).set_tcp_notsent_lowat(UNSENT)
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::transport::Stream;

    /// Far below what the system chooses, so that either can be told from its choice.
    const SEND: u32 = 6 << 10;
    const RECEIVE: u32 = 7 << 10;

    /// What the system says of one end of a connection.
    #[derive(Debug, PartialEq, Eq)]
    struct Buffers {
        send: usize,
        receive: usize,
    }

    impl Buffers {
        fn of((stream, _): &Connected) -> Self {
            let Stream::Tcp(stream, _) = stream else { panic!("a tcp connection") };
            let stream = stream.as_ref();
            let socket = SockRef::from(stream);
            Self {
                send: socket.send_buffer_size().unwrap(),
                receive: socket.recv_buffer_size().unwrap(),
            }
        }
    }

    /// The bound and the connected end of a new connection.
    async fn ends(host: IpAddr, bound: TcpOptions, connected: TcpOptions) -> [Buffers; 2] {
        let (listener, endpoint) = bind(&Host::Ip(host), 0, bound).await.unwrap();
        let Endpoint::Tcp { host, port } = endpoint else { panic!("{endpoint}") };
        let dialled = dial(&host, port, connected).await.unwrap();
        let accepted = accept(&listener).await.unwrap();
        [Buffers::of(&accepted), Buffers::of(&dialled)]
    }

    #[tokio::test]
    async fn the_system_is_given_no_more_than_it_is_about_to_send() {
        let options = TcpOptions::default();
        let (listener, Endpoint::Tcp { host, port }) =
            bind(&Host::Ip(Ipv4Addr::LOCALHOST.into()), 0, options).await.unwrap()
        else {
            panic!("a tcp endpoint")
        };
        let dialled = dial(&host, port, options).await.unwrap();
        let accepted = accept(&listener).await.unwrap();
        for (stream, _) in [dialled, accepted] {
            let Stream::Tcp(stream, _) = stream else { panic!("a tcp stream") };
            let stream = stream.as_ref();
            assert_eq!(SockRef::from(stream).tcp_notsent_lowat().unwrap(), UNSENT);
            assert!(stream.nodelay().unwrap());
        }
    }

    #[tokio::test]
    async fn each_end_has_the_buffers_that_were_asked_for_and_else_those_of_the_system() {
        let systems = TcpOptions::default();
        let host = IpAddr::V4(Ipv4Addr::LOCALHOST);
        let [accepted, dialled] = ends(host, systems, systems).await;
        for (send_buffer, receive_buffer) in
            [(Some(SEND), None), (None, Some(RECEIVE)), (Some(SEND), Some(RECEIVE))]
        {
            let options = TcpOptions { send_buffer, receive_buffer };
            // Linux allows twice what is asked for.
            let given = |asked: Option<u32>, systems| asked.map_or(systems, |it| 2 * it as usize);
            let expected = |systems: &Buffers| Buffers {
                send: given(send_buffer, systems.send),
                receive: given(receive_buffer, systems.receive),
            };
            let [here, there] = ends(host, options, systems).await;
            assert_eq!(here, expected(&accepted), "bound with {options:?}");
            assert_eq!(there, dialled, "connected to what is bound with {options:?}");
            let [here, there] = ends(host, systems, options).await;
            assert_eq!(here, accepted, "what is connected with {options:?} reaches");
            assert_eq!(there, expected(&dialled), "connected with {options:?}");
        }
    }
}
