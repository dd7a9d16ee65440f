//! The program as its users run it: what it prints, how it ends, with peers of its own and of libzmq.

mod bench;
#[cfg(feature = "nats")]
mod bridge;
mod capture;
mod command_line;
mod look;
mod process;
mod proxy;
mod security;
mod shared;
mod talk;
mod terminal;
mod with_libzmq;
