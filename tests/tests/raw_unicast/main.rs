//! Peers made of literal octets, for the sockets that send each message to one peer.

mod hostile;
mod wire;
