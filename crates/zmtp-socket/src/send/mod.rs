//! What waits to be sent: encoded messages, and a queue of them for each peer.

mod core;
pub(crate) mod journal;
pub(crate) mod outbox;
pub(crate) mod outgoing;
pub(crate) mod room;
pub(crate) mod waiters;

pub(crate) use self::core::SendCore;
pub(crate) use outbox::{Outbox, Run};
pub use outgoing::Outgoing;
