//! Sockets on a simulated network, on virtual time.

mod faults;
mod ledger;
mod scenarios;
mod seed;
mod time;
mod view;
