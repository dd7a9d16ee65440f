//! The machinery of a socket's connections: endpoints, transports, and a task for each connection.
//!
//! The engine knows no socket type. It gets a [session](driver::Session) for each peer from the socket's
//! [core](driver::Core).

pub(crate) mod admission;
pub(crate) mod burst;
pub(crate) mod connector;
pub(crate) mod driver;
pub(crate) mod heap;
pub(crate) mod home;
pub(crate) mod listener;
pub(crate) mod panics;
pub(crate) mod shared;
pub(crate) mod short_sleep;
pub(crate) mod signal;
pub(crate) mod socket;
pub(crate) mod spin;
pub(crate) mod transport;
pub(crate) mod tries;
pub mod wire;
