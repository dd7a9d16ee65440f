//! `tcp://host:port`.

mod listener;

use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::pin::pin;

pub(super) use listener::Listener;
use socket2::{SockRef, TcpKeepalive};
use tokio::net::{TcpSocket, TcpStream};
use tokio::time::sleep;

use super::{Connected, Dialler, Networks, Stream, addresses, socks, support};
use crate::endpoint::Host;
use crate::options::{Keepalive, TcpOptions};

/// The number of unsent octets that the system takes from us, where that can be set (Linux). Its send
/// buffer grows to megabytes, most of which wait to be sent or acknowledged. Unsent octets are better
/// kept in our queue, where they count for the high-water mark, and are not copied out of the
/// processor's cache and back. Octets in flight, and with them the throughput of a long line, are not
/// limited by this.
#[cfg(any(target_os = "android", target_os = "linux"))]
const UNSENT: u32 = 256 << 10;

/// How the system controls congestion where there is none: on a connection inside this machine. BBR, which
/// many servers use for all connections, spaces its segments by a timer, and then large messages take three times
/// as long. Every Linux has Reno, which does not.
#[cfg(target_os = "linux")]
const UNPACED: &[u8] = b"reno";

/// Connects to the first of the host's addresses that takes a connection.
pub(super) async fn dial(
    dialler: &mut Dialler,
    host: &Host,
    port: u16,
    networks: &Networks,
    options: &TcpOptions,
) -> io::Result<Connected> {
    let asked = destination(host);
    let proxy = options.socks_proxy.as_ref();
    let (host, port, asked_port) = match proxy {
        Some((proxy, proxy_port)) => (proxy.clone(), *proxy_port, port),
        None => (asked.clone(), port, port),
    };
    let mut deadline = pin!(sleep(options.connect_timeout));
    let addresses = tokio::select! {
        biased;
        found = addresses::of(&host, port, networks) => found?,
        () = &mut deadline => {
            let what = "the name's look-up takes too long";
            return Err(io::Error::new(io::ErrorKind::TimedOut, what));
        }
    };
    let by_proxy = proxy.is_some().then_some((&asked, asked_port));
    let connect = |address| connect(address, options, by_proxy);
    let connected = dialler.race(addresses, connect, deadline).await;
    connected.map_err(|failures| failures.of(&format!("{host}:{port}")))
}

/// The address to dial for a host. `bind` returns the unspecified address for `*`, and not every system
/// accepts that as a destination, so it is replaced by this machine's own.
fn destination(host: &Host) -> Host {
    match host {
        Host::Ip(IpAddr::V4(ip)) if ip.is_unspecified() => Host::Ip(Ipv4Addr::LOCALHOST.into()),
        Host::Ip(IpAddr::V6(ip)) if ip.is_unspecified() => Host::Ip(Ipv6Addr::LOCALHOST.into()),
        _ => host.clone(),
    }
}

/// Connects to an address. If that is a proxy's, asks the proxy to connect us to the host.
async fn connect(
    address: SocketAddr,
    options: &TcpOptions,
    further: Option<(&Host, u16)>,
) -> io::Result<Stream> {
    let socket = socket(address, options)?;
    if let Some(source) = options.source {
        // The local port may still be in use by an earlier connection.
        socket.set_reuseaddr(true)?;
        socket.bind(source)?;
    }
    let mut stream = socket.connect(address).await?;
    if let Some((host, port)) = further {
        socks::open(&mut stream, host, port).await?;
    }
    match is_own_echo(&stream) {
        true => Err(io::ErrorKind::ConnectionRefused.into()),
        false => Ok(established(stream)),
    }
}

/// A connection that is there, with the option that depends on where its peer is.
fn established(stream: TcpStream) -> Stream {
    #[cfg(target_os = "linux")]
    if let (Ok(here), Ok(there)) = (stream.local_addr(), stream.peer_addr())
        && is_inside(here.ip(), there.ip())
    {
        // If the system refuses, the connection is slower.
        let _set = SockRef::from(&stream).set_tcp_congestion(UNPACED);
    }
    stream.into()
}

/// Whether both ends of a connection with these addresses are on this machine.
#[cfg(target_os = "linux")]
fn is_inside(here: IpAddr, there: IpAddr) -> bool {
    here == there || there.to_canonical().is_loopback()
}

/// A socket with all its options, set before there is a connection: the first segment already announces
/// how far the window can open. An accepted socket inherits them from its listener.
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

/// Sets the options that tokio does not offer. Those that the system does not support have been refused
/// before.
fn set_up(socket: &SockRef<'_>, address: SocketAddr, options: &TcpOptions) -> io::Result<()> {
    if let Some(keepalive) = options.keepalive {
        socket.set_tcp_keepalive(&system_keepalive(keepalive))?;
    }
    if let Some(octet) = options.type_of_service {
        // On Linux, this also serves the IPv4 peers of an IPv6 socket.
        if address.is_ipv4() || support::LINUX {
            socket.set_tos_v4(octet.into())?;
        }
        #[cfg(any(
            target_os = "android",
            target_os = "dragonfly",
            target_os = "freebsd",
            target_os = "linux",
            target_os = "macos",
            target_os = "netbsd",
        ))]
        if address.is_ipv6() {
            socket.set_tclass_v6(octet.into())?;
        }
    }
    #[cfg(any(target_os = "android", target_os = "linux"))]
    {
        socket.set_tcp_notsent_lowat(UNSENT)?;
        if options.user_timeout.is_some() {
            socket.set_tcp_user_timeout(options.user_timeout)?;
        }
        if let Some(device) = &options.device {
            socket.bind_device(Some(device.as_bytes()))?;
        }
    }
    Ok(())
}

/// OpenBSD has one set of times for all connections.
fn system_keepalive(keepalive: Keepalive) -> TcpKeepalive {
    let system = TcpKeepalive::new().with_time(keepalive.idle);
    #[cfg(not(target_os = "openbsd"))]
    let system = system.with_interval(keepalive.interval).with_retries(keepalive.probes);
    system
}

/// Whether the socket is connected to itself. By TCP's simultaneous open, that can happen when a port of
/// this machine is dialled that has no listener. The socket would then keep the port from the server
/// that is to bind it.
fn is_own_echo(stream: &TcpStream) -> bool {
    stream.local_addr().ok() == stream.peer_addr().ok()
}

// These tests read the options back from Linux.
#[cfg(all(test, target_os = "linux"))]
mod tests;
