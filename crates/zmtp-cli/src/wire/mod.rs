//! Connections without a socket, for watching their traffic.

pub(crate) mod net;
pub(crate) mod probe;
