//! Looking up the addresses of a host.

use std::collections::HashSet;
use std::io;
use std::net::SocketAddr;

use tokio::net::lookup_host;

use super::Networks;
use crate::endpoint::Host;

/// The addresses of `host`, each once, in the order in which they should be dialled.
pub(super) async fn of(host: &Host, port: u16, networks: &Networks) -> io::Result<Vec<SocketAddr>> {
    match host {
        // `connect` takes one host, and `bind` handles all addresses of the machine by itself.
        Host::Any => Ok(Vec::new()),
        Host::Ip(ip) => Ok(vec![SocketAddr::new(*ip, port)]),
        Host::Name(name) => look_up(name, port, networks).await.map(interleave),
    }
}

async fn look_up(name: &str, port: u16, networks: &Networks) -> io::Result<Vec<SocketAddr>> {
    #[cfg(feature = "simulation")]
    if let Some(found) = networks.simulation.as_ref().and_then(|it| it.look_up(name)) {
        return Ok(found?.into_iter().map(|ip| SocketAddr::new(ip, port)).collect());
    }
    #[cfg(not(feature = "simulation"))]
    let _ = networks;
    Ok(lookup_host((name, port)).await?.collect())
}

/// Alternates between the two families, each in the order that it had: if one family cannot be reached,
/// that must not cost the delay of all its addresses (RFC 8305, section 4).
fn interleave(addresses: Vec<SocketAddr>) -> Vec<SocketAddr> {
    let begins_with_v4 = addresses.first().is_some_and(SocketAddr::is_ipv4);
    let is_first = |address: &SocketAddr| address.is_ipv4() == begins_with_v4;
    let (first, second): (Vec<_>, Vec<_>) = addresses.into_iter().partition(is_first);
    let mut families = [first.into_iter(), second.into_iter()];
    let (mut seen, mut result) = (HashSet::new(), Vec::new());
    while families.iter().any(|family| family.len() > 0) {
        let turn = families.iter_mut().filter_map(Iterator::next);
        result.extend(turn.filter(|address| seen.insert(*address)));
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_take_turns_and_no_address_comes_twice() {
        let table: [(&[&str], &[&str]); 4] = [
            (&[], &[]),
            (&["1.1.1.1:1"], &["1.1.1.1:1"]),
            (
                &["[::1]:1", "[::2]:1", "[::3]:1", "1.1.1.1:1", "1.1.1.2:1"],
                &["[::1]:1", "1.1.1.1:1", "[::2]:1", "1.1.1.2:1", "[::3]:1"],
            ),
            (
                &["1.1.1.1:1", "1.1.1.1:1", "1.1.1.2:1", "[::1]:1", "[::1]:1"],
                &["1.1.1.1:1", "[::1]:1", "1.1.1.2:1"],
            ),
        ];
        for (found, expected) in table {
            let [found, expected] = [found, expected]
                .map(|texts| texts.iter().map(|it| it.parse().unwrap()).collect::<Vec<_>>());
            assert_eq!(interleave(found), expected);
        }
    }
}
