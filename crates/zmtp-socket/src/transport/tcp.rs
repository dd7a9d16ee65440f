//! `tcp://host:port`.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::task::{Context, Poll, ready};

use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpListener, TcpSocket, TcpStream, lookup_host};

use super::{Connected, in_time};
use crate::options::TcpOptions;
use crate::{Endpoint, Host, Keepalive};

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
    options: &TcpOptions,
) -> io::Result<(TcpListener, Endpoint)> {
    let addresses = addresses(host, port).await.map_err(no_such_interface)?;
    let listener = first(&addresses, |address| listen(address, options))?;
    let address = listener.local_addr()?;
    let endpoint = Endpoint::Tcp { host: Host::Ip(address.ip()), port: address.port() };
    Ok((listener, endpoint))
}

fn listen(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpListener> {
    // What it accepts is set up as it is.
    let socket = socket(address, options)?;
    // A server that is started again must not wait for its old connections to time out.
    socket.set_reuseaddr(true)?;
    if let (Some(only), true) = (options.ipv6_only, address.is_ipv6()) {
        SockRef::from(&socket).set_only_v6(only)?;
    }
    socket.bind(address)?;
    socket.listen(BACKLOG)
}

pub(super) fn poll_accept(
    listener: &TcpListener,
    cx: &mut Context<'_>,
) -> Poll<io::Result<Connected>> {
    let (stream, address) = ready!(listener.poll_accept(cx))?;
    Poll::Ready(Ok((stream.into(), address.to_string())))
}

pub(super) async fn dial(host: &Host, port: u16, options: &TcpOptions) -> io::Result<Connected> {
    let mut last = no_address();
    for address in in_time(options, addresses(host, port)).await? {
        // One that does not answer must not keep us from the others.
        match in_time(options, connect(address, options)).await {
            Ok(stream) if is_own_echo(&stream) => last = io::ErrorKind::ConnectionRefused.into(),
            Ok(stream) => return Ok((stream.into(), address.to_string())),
            Err(error) => last = error,
        }
    }
    Err(last)
}

async fn connect(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpStream> {
    socket(address, options)?.connect(address).await
}

/// A socket with all that is asked of it, before there is a connection: the first segment already
/// says how far the window can open. What a listener accepts has the same from it.
fn socket(address: SocketAddr, options: &TcpOptions) -> io::Result<TcpSocket> {
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
    socket.set_nodelay(options.nodelay)?;
    set_up(&SockRef::from(&socket), address, options)?;
    Ok(socket)
}

/// What tokio has no words for.
fn set_up(socket: &SockRef<'_>, address: SocketAddr, options: &TcpOptions) -> io::Result<()> {
    socket.set_tcp_notsent_lowat(UNSENT)?;
    if let Some(Keepalive { idle, interval, probes }) = options.keepalive {
        let keepalive = TcpKeepalive::new();
        let keepalive = keepalive.with_time(idle).with_interval(interval).with_retries(probes);
        socket.set_tcp_keepalive(&keepalive)?;
    }
    if options.user_timeout.is_some() {
        socket.set_tcp_user_timeout(options.user_timeout)?;
    }
    if let Some(octet) = options.type_of_service {
        match address {
            SocketAddr::V4(_) => socket.set_tos_v4(octet.into()),
            SocketAddr::V6(_) => socket.set_tclass_v6(octet.into()),
        }?;
    }
    if let Some(device) = &options.device {
        socket.bind_device(Some(device.as_bytes()))?;
    }
    Ok(())
}

/// Dialling a port of this machine that nobody listens on can, by TCP's simultaneous open, connect
/// a socket to itself, and then keep the port from the server that is to come.
fn is_own_echo(stream: &TcpStream) -> bool {
    stream.local_addr().ok() == stream.peer_addr().ok()
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
    use std::future::poll_fn;
    use std::net::Ipv6Addr;
    use std::time::{Duration, Instant};

    use super::*;
    use crate::EndpointOptions;
    use crate::transport::Stream;

    /// What the system says of one end of a connection.
    #[derive(Clone, Debug, PartialEq)]
    struct Socket {
        send_buffer: usize,
        receive_buffer: usize,
        nodelay: bool,
        unsent: u32,
        keepalive: Option<Keepalive>,
        user_timeout: Option<Duration>,
        type_of_service: u32,
        device: Option<Vec<u8>>,
    }

    impl Socket {
        fn of((stream, _): &Connected) -> Self {
            let Stream::Tcp(stream, _) = stream else { panic!("a tcp connection") };
            let stream: &TcpStream = stream.as_ref();
            let socket = SockRef::from(stream);
            let is_v4 = stream.local_addr().unwrap().is_ipv4();
            Self {
                send_buffer: socket.send_buffer_size().unwrap(),
                receive_buffer: socket.recv_buffer_size().unwrap(),
                nodelay: stream.nodelay().unwrap(),
                unsent: socket.tcp_notsent_lowat().unwrap(),
                keepalive: socket.keepalive().unwrap().then(|| Keepalive {
                    idle: socket.tcp_keepalive_time().unwrap(),
                    interval: socket.tcp_keepalive_interval().unwrap(),
                    probes: socket.tcp_keepalive_retries().unwrap(),
                }),
                user_timeout: socket.tcp_user_timeout().unwrap(),
                type_of_service: match is_v4 {
                    true => socket.tos_v4().unwrap(),
                    false => socket.tclass_v6().unwrap(),
                },
                device: socket.device().unwrap(),
            }
        }
    }

    async fn bound(host: IpAddr, options: &TcpOptions) -> (TcpListener, Host, u16) {
        let (listener, endpoint) = bind(&Host::Ip(host), 0, options).await.unwrap();
        let Endpoint::Tcp { host, port } = endpoint else { panic!("{endpoint}") };
        (listener, host, port)
    }

    /// The bound and the connected end of a new connection.
    async fn ends(host: IpAddr, here: &TcpOptions, there: &TcpOptions) -> [Socket; 2] {
        let (listener, host, port) = bound(host, here).await;
        let dialled = dial(&host, port, there).await.unwrap();
        let accepted = poll_fn(|cx| poll_accept(&listener, cx)).await.unwrap();
        [Socket::of(&accepted), Socket::of(&dialled)]
    }

    const HOSTS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

    #[tokio::test]
    async fn a_connection_finds_its_own_death_and_takes_no_more_than_it_is_about_to_send() {
        for host in HOSTS {
            let options = TcpOptions::default();
            for end in ends(host, &options, &options).await {
                let times = (Duration::from_secs(30), Duration::from_secs(10));
                let keepalive = Keepalive { idle: times.0, interval: times.1, probes: 3 };
                assert_eq!((end.unsent, end.nodelay), (UNSENT, true));
                assert_eq!((end.keepalive, end.user_timeout), (Some(keepalive), None));
                assert_eq!((end.type_of_service, end.device), (0, None));
            }
        }
    }

    #[tokio::test]
    async fn each_end_is_what_was_asked_for_and_all_else_as_by_default() {
        type Row = (fn(EndpointOptions) -> EndpointOptions, fn(&mut Socket));
        let rows: [Row; 9] = [
            // Linux allows twice what is asked for. All are far below what it chooses by itself.
            (|it| it.send_buffer(6 << 10), |it| it.send_buffer = 12 << 10),
            (|it| it.receive_buffer(7 << 10), |it| it.receive_buffer = 14 << 10),
            (|it| it.nodelay(false), |it| it.nodelay = false),
            (|it| it.keepalive(None), |it| it.keepalive = None),
            (|it| it.keepalive(RARE), |it| it.keepalive = Some(RARE)),
            (|it| it.user_timeout(RARE.idle), |it| it.user_timeout = Some(RARE.idle)),
            (|it| it.type_of_service(0xB8), |it| it.type_of_service = 0xB8),
            (|it| it.bind_device("lo"), |it| it.device = Some(b"lo".into())),
            (|it| it.connect_timeout(RARE.idle), |_| {}),
        ];
        for host in HOSTS {
            let systems = TcpOptions::default();
            let [accepted, dialled] = ends(host, &systems, &systems).await;
            for (number, (ask, expect)) in rows.iter().enumerate() {
                let options = ask(EndpointOptions::new()).link.tcp;
                let (mut here, mut there) = (accepted.clone(), dialled.clone());
                expect(&mut here);
                expect(&mut there);
                let bound = ends(host, &options, &systems).await;
                assert_eq!(bound, [here, dialled.clone()], "row {number}, bound");
                let connected = ends(host, &systems, &options).await;
                assert_eq!(connected, [accepted.clone(), there], "row {number}, connected");
            }
        }
    }

    /// Times that nobody would have by default.
    const RARE: Keepalive =
        Keepalive { idle: Duration::from_secs(77), interval: Duration::from_secs(7), probes: 9 };

    #[tokio::test]
    async fn an_ipv6_endpoint_lets_ipv4_peers_in_or_not() {
        for only in [false, true] {
            let options = EndpointOptions::new().ipv6_only(only).link.tcp;
            let (_listener, _, port) = bound(Ipv6Addr::UNSPECIFIED.into(), &options).await;
            let host = Host::Ip(Ipv4Addr::LOCALHOST.into());
            let dialled = dial(&host, port, &TcpOptions::default()).await;
            assert_eq!(dialled.is_err(), only);
        }
    }

    #[tokio::test]
    async fn an_address_that_does_not_answer_is_given_up_in_time() {
        // A listener that accepts nobody takes a few and then leaves the others unanswered.
        let (listener, ..) = bound(HOSTS[0], &TcpOptions::default()).await;
        let address = listener.local_addr().unwrap();
        drop(listener);
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        socket.bind(address).unwrap();
        let _full = socket.listen(1).unwrap();
        let connect_timeout = Duration::from_millis(300);
        let options = EndpointOptions::new().connect_timeout(connect_timeout).link.tcp;
        let mut taken = Vec::new();
        let (error, waited) = loop {
            assert!(taken.len() < 10, "the queue of a listener has no end");
            let begun = Instant::now();
            // Without us, the system would wait for minutes.
            let host = Host::Ip(address.ip());
            let dialling = dial(&host, address.port(), &options);
            match tokio::time::timeout(Duration::from_secs(20), dialling).await.unwrap() {
                Ok(connected) => taken.push(connected),
                Err(error) => break (error, begun.elapsed()),
            }
        };
        assert_eq!(error.kind(), io::ErrorKind::TimedOut);
        assert!(waited >= connect_timeout, "{waited:?}");
    }
}
