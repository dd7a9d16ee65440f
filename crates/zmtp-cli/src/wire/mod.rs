//! Connections without a socket: for looking at what is said.

pub(crate) mod net;
pub(crate) mod probe;
