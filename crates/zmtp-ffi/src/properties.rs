//! The properties of the peer that a message came from.

use std::ffi::{CStr, CString};

use zmtp_socket::Peer;

/// The properties of a peer as C strings. They live as long as the peer is kept.
#[derive(Debug)]
struct Properties(Vec<(CString, CString)>);

/// A property of a peer, if the peer has it.
pub(crate) fn of<'a>(peer: &'a Peer, name: &CStr) -> Option<&'a CStr> {
    let Properties(properties) = peer.attached(Properties::of)?;
    let is_it = |its_name: &CStr| its_name.to_bytes().eq_ignore_ascii_case(name.to_bytes());
    properties.iter().find(|(its_name, _)| is_it(its_name)).map(|(_, value)| value.as_c_str())
}

impl Properties {
    fn of(peer: &Peer) -> Self {
        let mut properties = Self(Vec::new());
        let Some(info) = peer.info() else { return properties };
        if let Some(address) = peer.socket_addr() {
            properties.add("Peer-Address", address.ip().to_string().as_bytes());
        }
        if let Some(user) = &info.allowed.user_id {
            properties.add("User-Id", user);
        }
        if let Some(socket_type) = info.socket_type {
            properties.add("Socket-Type", socket_type.name().as_bytes());
        }
        if let Some(identity) = info.metadata.identity() {
            properties.add("Routing-Id", identity);
            properties.add("Identity", identity);
        }
        for (name, value) in info.metadata.iter() {
            properties.add(name, value);
        }
        for (name, value) in info.allowed.metadata.iter() {
            properties.add(name, value);
        }
        properties
    }

    /// Adds a property, unless C cannot express it.
    fn add(&mut self, name: &str, value: &[u8]) {
        if let (Ok(name), Ok(value)) = (CString::new(name), CString::new(value)) {
            self.0.push((name, value));
        }
    }
}
