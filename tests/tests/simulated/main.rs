//! Sockets on a simulated network, on virtual time.

mod addresses;
mod faults;
mod heartbeats;
mod judges;
mod ledger;
mod runtimes;
mod scenarios;
mod steps;
mod time;
mod upstream;
mod view;
mod waiting;
