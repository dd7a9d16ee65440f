//! The receiving side of a socket: a queue of messages for each peer, and the receiver that takes them
//! out.

pub(crate) mod inbox;
mod late_wake;
mod newest;
pub(crate) mod receiver;

pub(crate) use inbox::Inbox;
pub(crate) use late_wake::LateWake;
pub(crate) use receiver::{Receiver, Source};
