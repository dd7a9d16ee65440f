//! libzmq's C interface over `zmtp-socket`: a `libzmq.so.5` without libzmq.
//!
//! A program that was built for libzmq 4.3.5 finds all of its stable functions here. libzmq's
//! manual pages describe them; `docs/c-api.md` lists the differences.
//!
//! All unsafe code is in [`border`], which makes safe values of pointers. A handle is not a pointer
//! (see `handles`): one that is null, closed or invented is an error, and is never dereferenced.

pub mod border;
pub mod constants;

mod address;
mod context;
mod engine;
mod errno;
mod filters;
mod handles;
mod interrupt;
mod io;
mod kind;
mod lent;
mod link;
mod message;
mod monitor;
mod options;
#[cfg(test)]
mod options_doc;
mod patience;
mod poll;
mod properties;
mod proxy;
mod signal;
mod socket;
mod spare;
mod util;
mod zap;
