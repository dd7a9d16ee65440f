//! The logic of each family of sockets: who is sent a message, and what becomes of those that arrive.

mod peer_stats;
pub(crate) mod publish;
pub(crate) mod subscribe;
pub(crate) mod unicast;
