//! Sockets on a simulated network, on virtual time.

mod faults;
mod time;
