//! The logic of each family of sockets: which peers a message is sent to, and how received messages are
//! handled.

mod peer_stats;
pub(crate) mod publish;
pub(crate) mod subscribe;
pub(crate) mod unicast;
