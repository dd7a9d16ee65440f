//! The sending side of a socket: encoded messages, and a queue of them for each peer.

pub(crate) mod at_once;
mod core;
pub(crate) mod flushing;
pub(crate) mod gathering;
pub(crate) mod guard;
pub(crate) mod journal;
pub(crate) mod outbox;
pub(crate) mod outgoing;
pub(crate) mod pace;
pub(crate) mod room;
pub(crate) mod turn;
pub(crate) mod waiters;

pub(crate) use outbox::{Outbox, Run};
pub use outgoing::Outgoing;

pub(crate) use self::core::{Place, SendCore, SinkCore};
