//! Endpoints in the forms that C programs use.

use std::fs::{self, Metadata};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs as _};
use std::path::Path;

use nix::ifaddrs::getifaddrs;
use zmtp_socket::{Endpoint, Host};

use crate::errno::Errno;

/// The longest address of an ipc endpoint.
const IPC_MAX: usize = 107;

/// Parses an endpoint, to bind or to connect.
///
/// In addition to the library's forms, the host of a tcp endpoint may be the name of a network
/// interface if it is to be bound. `*` binds IPv4 only, unless `ipv6` is set.
pub(crate) fn parse(text: &str, binds: bool, ipv6: bool) -> Result<Endpoint, Errno> {
    let (transport, address) = split_transport(text)?;
    if transport == "ipc" && address.len() > IPC_MAX {
        return Err(Errno::ENAMETOOLONG);
    }
    if transport == "tcp"
        && binds
        && let Some(host) = host_of_interface(address, ipv6)?
    {
        return Ok(host);
    }
    let endpoint: Endpoint = match address.rsplit_once(':') {
        // libzmq takes the text after the last colon for the port, with brackets or without.
        Some((host, port)) if transport == "tcp" && host.parse::<Ipv6Addr>().is_ok() => {
            format!("tcp://[{host}]:{port}").parse()
        }
        _ => text.parse(),
    }
    .map_err(|_| Errno::EINVAL)?;
    Ok(match endpoint {
        Endpoint::Tcp { host: Host::Any, port } => {
            let any: IpAddr =
                if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
            Endpoint::Tcp { host: Host::Ip(any), port }
        }
        endpoint => endpoint,
    })
}

/// Divides an endpoint into a transport that there is and the address behind it.
pub(crate) fn split_transport(text: &str) -> Result<(&str, &str), Errno> {
    let (transport, address) = text.split_once("://").ok_or(Errno::EINVAL)?;
    match transport {
        _ if address.is_empty() => Err(Errno::EINVAL),
        "tcp" | "inproc" | "ipc" => Ok((transport, address)),
        "udp" => Err(Errno::ENOCOMPATPROTO),
        _ => Err(Errno::EPROTONOSUPPORT),
    }
}

/// Divides an endpoint to connect to into its parts: `tcp://source:port;host:port`.
pub(crate) fn split_source(text: &str, ipv6: bool) -> Result<(String, Option<SocketAddr>), Errno> {
    let Some((source, peer)) = text.strip_prefix("tcp://").and_then(|it| it.split_once(';')) else {
        return Ok((text.to_owned(), None));
    };
    let source = match host_of_interface(source, ipv6)? {
        Some(Endpoint::Tcp { host: Host::Ip(ip), port }) => SocketAddr::new(ip, port),
        _ => source_of(source, ipv6)?,
    };
    Ok((format!("tcp://{peer}"), Some(source)))
}

/// A proxy, and the local address to dial it from, if one is given.
type Proxy = ((Host, u16), Option<SocketAddr>);

/// The host and the port of a proxy: `host:port` or `source:port;host:port`; `None` if the text is
/// empty.
pub(crate) fn proxy(text: &[u8], ipv6: bool) -> Result<Option<Proxy>, Errno> {
    if text.is_empty() {
        return Ok(None);
    }
    let text = std::str::from_utf8(text).map_err(|_| Errno::EINVAL)?.trim_end_matches('\0');
    let (text, source) = split_source(&format!("tcp://{text}"), ipv6)?;
    match text.parse() {
        Ok(Endpoint::Tcp { host: Host::Any, .. } | Endpoint::Tcp { port: 0, .. }) => {
            Err(Errno::EINVAL)
        }
        Ok(Endpoint::Tcp { host, port }) => Ok(Some(((host, port), source))),
        _ => Err(Errno::EINVAL),
    }
}

fn source_of(source: &str, ipv6: bool) -> Result<SocketAddr, Errno> {
    let any: IpAddr =
        if ipv6 { Ipv6Addr::UNSPECIFIED.into() } else { Ipv4Addr::UNSPECIFIED.into() };
    let source = match source.strip_suffix(":*") {
        Some(host) => format!("{host}:0"),
        None => source.to_owned(),
    };
    if let Some(port) = source.strip_prefix("*:") {
        return Ok(SocketAddr::new(any, port.parse().map_err(|_| Errno::EINVAL)?));
    }
    let found: Vec<_> = source.to_socket_addrs().map_err(|_| Errno::EINVAL)?.collect();
    let wanted = found.iter().find(|address| address.is_ipv6() == ipv6).or(found.first());
    wanted.copied().ok_or(Errno::EINVAL)
}

/// Removes an empty file at the path of a socket to be bound: programs reserve names by such files.
/// (libzmq removes any file there.)
pub(crate) fn clear(path: &Path) {
    let is_empty = |file: Metadata| file.is_file() && file.len() == 0;
    if fs::symlink_metadata(path).is_ok_and(is_empty) {
        // If it cannot be removed, the bind fails and reports that.
        let _removed = fs::remove_file(path);
    }
}

/// The endpoint of a network interface, if the host is the name of an interface.
fn host_of_interface(address: &str, ipv6: bool) -> Result<Option<Endpoint>, Errno> {
    let Some((name, port)) = address.rsplit_once(':') else { return Err(Errno::EINVAL) };
    if name == "*" || name.parse::<IpAddr>().is_ok() || name.starts_with('[') {
        return Ok(None);
    }
    let addresses: Vec<IpAddr> = getifaddrs()?
        .filter(|interface| interface.interface_name == name)
        .filter_map(|interface| {
            let address = interface.address?;
            let v4 = address.as_sockaddr_in().map(|it| it.ip().into());
            v4.or_else(|| address.as_sockaddr_in6().map(|it| it.ip().into()))
        })
        .collect();
    let wanted = addresses.iter().find(|it| it.is_ipv6() == ipv6).or(addresses.first());
    let Some(address) = wanted else { return Ok(None) };
    let port = match port {
        "*" => 0,
        port => port.parse().map_err(|_| Errno::EINVAL)?,
    };
    Ok(Some(Endpoint::Tcp { host: Host::Ip(*address), port }))
}
