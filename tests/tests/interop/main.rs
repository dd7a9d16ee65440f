//! Ours and libzmq, each with each.

mod curve;
mod exchange;
mod links;
mod plain;
mod pyzmq;
mod subscriptions;
