//! What the benchmark peers have in common: the command line, the protocol with the driver, what is
//! published, how it is checked, and what is measured.
//!
//! The driver talks to a peer over its standard streams:
//!
//! 1. A publisher prints `BOUND`, then publishes `~S` every 5 ms.
//! 2. A subscriber prints `SYNCED` once every one of its sockets has received a `~S`.
//! 3. The driver writes `go` to the publisher, which publishes the data and then, every 10 ms until
//!    its standard input is closed, `~E` and how many messages there were (`u64`, little-endian).
//! 4. Each prints one line of JSON: a subscriber when every socket has seen `~E`, the publisher when
//!    its standard input is closed.
//!
//! A message of data is the octet `d`, its number (or, for latency, the time of `CLOCK_MONOTONIC` in
//! nanoseconds; `u64`, little-endian) and as many more `d` as its size asks for. In the weather
//! scenario it is one of the texts of [`Weather`].

mod args;
pub mod curve;
mod measure;
mod memory;
mod publish;
mod signals;
mod subscribe;
mod timing;
mod weather;

pub use args::{Args, Mode, Payload, Role};
pub use measure::{Usage, now, print, resident_kib};
pub use memory::Memory;
pub use publish::{END, Published, Publisher, Run, SYNC, body, publish};
pub use signals::{started, stop, stopped};
pub use subscribe::{Group, Subscriber, Tally, receive_all, subscribe};
pub use timing::{Ticker, run_ready, runtime, sleep};
pub use weather::Weather;
