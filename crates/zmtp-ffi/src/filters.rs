//! Filters that let peers in: over tcp by their address, over ipc by their process.

use std::collections::HashSet;
use std::ffi::c_int;
use std::net::IpAddr;

use nix::sys::socket::{getsockopt, sockopt::PeerCredentials};
use nix::unistd::{Gid, Uid, User, getgrouplist};
use zmtp_socket::{Endpoint, IpNet, Peer};

use crate::border;
use crate::errno::Errno;
use crate::options;

/// All filters of one socket. If a transport has any, a peer over it must match one of them.
#[derive(Clone, Debug, Default)]
pub(crate) struct Filters {
    addresses: Vec<IpNet>,
    users: HashSet<u32>,
    groups: HashSet<u32>,
    processes: HashSet<c_int>,
}

impl Filters {
    /// Adds a filter, or removes all of its kind if there are no octets. Returns whether the option
    /// is a filter.
    pub(crate) fn add(&mut self, option: c_int, octets: &[u8]) -> Result<bool, Errno> {
        if option == options::TCP_ACCEPT_FILTER {
            if octets.is_empty() {
                self.addresses.clear();
            } else {
                self.addresses.push(range_of(octets).ok_or(Errno::EINVAL)?);
            }
            return Ok(true);
        }
        let is_ours = (options::IPC_FILTER_PID..=options::IPC_FILTER_GID).contains(&option);
        if !is_ours {
            return Ok(false);
        }
        let number = match octets {
            [] => None,
            octets => {
                let octets = octets.try_into().map_err(|_| Errno::EINVAL)?;
                Some(c_int::from_ne_bytes(octets))
            }
        };
        match (option, number) {
            (options::IPC_FILTER_PID, Some(number)) => drop(self.processes.insert(number)),
            (options::IPC_FILTER_PID, None) => self.processes.clear(),
            (options::IPC_FILTER_UID, Some(number)) => drop(self.users.insert(number as u32)),
            (options::IPC_FILTER_UID, None) => self.users.clear(),
            (_, Some(number)) => drop(self.groups.insert(number as u32)),
            (_, None) => self.groups.clear(),
        }
        Ok(true)
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.addresses.is_empty() && !self.has_processes()
    }

    fn has_processes(&self) -> bool {
        !(self.users.is_empty() && self.groups.is_empty() && self.processes.is_empty())
    }

    /// Whether the filters let a peer in.
    pub(crate) fn let_in(&self, peer: &Peer) -> bool {
        match peer.endpoint() {
            Endpoint::Tcp { .. } => {
                let address = peer.socket_addr().map(|address| address.ip());
                self.addresses.is_empty()
                    || address.is_some_and(|it| self.addresses.iter().any(|net| net.contains(&it)))
            }
            Endpoint::Ipc(_) => !self.has_processes() || self.let_process_in(peer).unwrap_or(false),
            _ => true,
        }
    }

    /// Judges a process by the credentials that the system reports of it. `None` if there are none.
    fn let_process_in(&self, peer: &Peer) -> Option<bool> {
        let socket = border::borrow_descriptor(peer.descriptor()?);
        let credentials = getsockopt(&socket, PeerCredentials).ok()?;
        let (user, group) = (credentials.uid(), credentials.gid());
        if self.users.contains(&user)
            || self.groups.contains(&group)
            || self.processes.contains(&credentials.pid())
        {
            return Some(true);
        }
        if self.groups.is_empty() {
            return Some(false);
        }
        // The groups of the user besides the primary one.
        let user = User::from_uid(Uid::from_raw(user)).ok()??;
        let name = std::ffi::CString::new(user.name).ok()?;
        let groups = getgrouplist(&name, Gid::from_raw(group)).ok()?;
        Some(groups.iter().any(|group| self.groups.contains(&group.as_raw())))
    }
}

/// An address or a range of addresses: `192.168.0.0/16`. NULs at its end are ignored.
fn range_of(octets: &[u8]) -> Option<IpNet> {
    let text = std::str::from_utf8(octets).ok()?.trim_end_matches('\0');
    match text.parse::<IpAddr>() {
        Ok(address) => Some(address.into()),
        Err(_) => text.parse().ok(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filter_is_an_address_or_a_range_and_can_be_taken_away() {
        let mut filters = Filters::default();
        for text in ["127.0.0.1", "127.0.0.0/8", "::1", "fe80::/10", "10.0.0.1\0"] {
            assert_eq!(
                filters.add(options::TCP_ACCEPT_FILTER, text.as_bytes()),
                Ok(true),
                "{text}"
            );
        }
        for text in ["x", "127.0.0.1/33", "127.0.0.1/", "localhost"] {
            let added = filters.add(options::TCP_ACCEPT_FILTER, text.as_bytes());
            assert_eq!(added, Err(Errno::EINVAL), "{text}");
        }
        assert!(!filters.is_empty());
        filters.add(options::TCP_ACCEPT_FILTER, &[]).unwrap();
        assert!(filters.is_empty());
        filters.add(options::IPC_FILTER_UID, &7_i32.to_ne_bytes()).unwrap();
        assert!(filters.has_processes());
        assert_eq!(filters.add(options::IPC_FILTER_UID, &[1]), Err(Errno::EINVAL));
        assert_eq!(filters.add(options::SNDHWM, &[]), Ok(false));
    }
}
