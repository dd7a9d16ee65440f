//! Endpoints to bind and to connect.

use std::collections::HashSet;

use clap::{Args, ValueEnum};
use zmtp_socket::kind::Kind;
use zmtp_socket::{Endpoint, Host, IpcAddress, Socket};

use crate::ending::{Failure, Usage};
use crate::notes::Notes;

/// The endpoints of one socket.
#[derive(Debug, Args)]
pub(crate) struct Endpoints {
    /// Where to bind or connect. Without a single host (tcp://*:5556, tcp://0.0.0.0:5556, ipc://*) it is bound,
    /// with a host (tcp://localhost:5556) connected; for ipc:///path the type of the socket decides
    #[arg(value_name = "ENDPOINT", required_unless_present_any = ["bind", "connect"])]
    endpoints: Vec<Endpoint>,

    /// Bind this endpoint, whatever its form; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    bind: Vec<Endpoint>,

    /// Connect to this endpoint, whatever its form; may be repeated
    #[arg(long, value_name = "ENDPOINT")]
    connect: Vec<Endpoint>,
}

/// Which end of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Side {
    Bind,
    Connect,
}

impl Endpoints {
    /// Opens all endpoints. Returns those that were dialled, or none if others were bound: peers
    /// may still come there.
    pub(crate) async fn open<T: Kind>(
        &self,
        socket: &Socket<T>,
        usual: Side,
        notes: &Notes,
    ) -> Result<HashSet<Endpoint>, Failure> {
        let by_form = self.endpoints.iter().map(|it| (None, it));
        let bound = self.bind.iter().map(|it| (Some(Side::Bind), it));
        let connected = self.connect.iter().map(|it| (Some(Side::Connect), it));
        open(socket, by_form.chain(bound).chain(connected), usual, notes).await
    }
}

/// Opens endpoints: on the given side, or the side that their form tells, or the usual side.
pub(crate) async fn open<'a, T: Kind>(
    socket: &Socket<T>,
    endpoints: impl Iterator<Item = (Option<Side>, &'a Endpoint)>,
    usual: Side,
    notes: &Notes,
) -> Result<HashSet<Endpoint>, Failure> {
    let mut dialled = HashSet::new();
    let mut is_bound = false;
    for (side, endpoint) in endpoints {
        if matches!(endpoint, Endpoint::Inproc(_)) {
            let line = format!(
                "{endpoint}: inproc reaches only sockets of the same process; use ipc or tcp"
            );
            return Err(Usage(line).into());
        }
        match side.or_else(|| side_of(endpoint)).unwrap_or(usual) {
            Side::Bind => {
                let endpoint = socket.bind(endpoint).await?;
                notes.info(format_args!("listening at {endpoint}"));
                is_bound = true;
            }
            Side::Connect => drop(dialled.insert(socket.connect(endpoint)?)),
        }
    }
    if is_bound {
        dialled.clear();
    }
    Ok(dialled)
}

/// The side that the form of an endpoint tells, if any.
pub(crate) fn side_of(endpoint: &Endpoint) -> Option<Side> {
    match endpoint {
        Endpoint::Tcp { host, port } | Endpoint::Ws { host, port, .. } => Some(match host {
            _ if *port == 0 => Side::Bind,
            Host::Any => Side::Bind,
            Host::Ip(address) if address.is_unspecified() => Side::Bind,
            _ => Side::Connect,
        }),
        Endpoint::Ipc(IpcAddress::Any) => Some(Side::Bind),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_form_tells_the_side() {
        let rows = [
            ("tcp://*:5556", Some(Side::Bind)),
            ("tcp://0.0.0.0:5556", Some(Side::Bind)),
            ("tcp://[::]:5556", Some(Side::Bind)),
            ("tcp://127.0.0.1:*", Some(Side::Bind)),
            ("tcp://127.0.0.1:5556", Some(Side::Connect)),
            ("tcp://localhost:5556", Some(Side::Connect)),
            ("ws://*:8080/feed", Some(Side::Bind)),
            ("ws://0.0.0.0:8080", Some(Side::Bind)),
            ("ws://127.0.0.1:*/feed", Some(Side::Bind)),
            ("ws://localhost:8080/feed", Some(Side::Connect)),
            ("ipc://*", Some(Side::Bind)),
            ("ipc:///run/feed", None),
            ("ipc://@feed", None),
        ];
        for (endpoint, side) in rows {
            assert_eq!(side_of(&endpoint.parse().unwrap()), side, "{endpoint}");
        }
    }
}
