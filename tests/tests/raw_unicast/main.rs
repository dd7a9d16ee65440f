//! Peers made of octets by hand, of the sockets that send each message to one peer.

mod hostile;
mod wire;
