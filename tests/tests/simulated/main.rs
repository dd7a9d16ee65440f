//! Sockets on a simulated network, on virtual time.

mod addresses;
mod faults;
mod heartbeats;
mod ledger;
mod scenarios;
mod seed;
mod steps;
mod time;
mod view;
