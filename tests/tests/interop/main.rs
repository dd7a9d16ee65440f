//! Ours and libzmq, each with each.

mod exchange;
mod links;
mod plain;
mod pyzmq;
mod subscriptions;
