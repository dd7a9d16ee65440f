//! The common part of the benchmark peers: the command line, the protocol with the driver, the messages
//! and their checks, and the measurements.
//!
//! The driver talks to a peer over its standard streams:
//!
//! 1. The side that binds prints `BOUND`: the sender, or the receiver if there are several senders.
//! 2. A sender sends `~S` every 5 ms, or more rarely to more than 100 receivers. A receiver prints
//!    `SYNCED` once every one of its sockets has received a `~S` of every sender.
//! 3. The driver writes `go` to the senders. Each sends the data and then `~E`, every 10 ms until its
//!    standard input is closed; a PUSH sends as many at once as there are receivers.
//! 4. Each prints one line of JSON: a receiver when every socket has seen all `~E`, a sender when its
//!    standard input is closed. A receiver keeps its sockets open until its own is closed.
//!
//! For requests, the receiver binds and returns every message to the socket that sent it. The sender
//! prints `SYNCED` once each of its sockets has been answered a `~S`. After `go` it prints the reports
//! of both sides, since it sees the messages of both; the receiver prints its use of resources.
//!
//! A message of data is the octet `d`, its number (`u64`, little-endian: the sender's index in the upper
//! 16 bits, a count from 0 below; or, for latency, the time of `CLOCK_MONOTONIC` in nanoseconds) and as
//! many more `d` as its size needs. A topic of eight digits comes before the `d`, if the subscribers ask
//! for topics. In the weather scenario a message is one of the texts of [`Weather`]. `~S` and `~E` are
//! followed by such a number and filled up to 16 octets; that of `~E` is the number of messages that were
//! sent. For requests, the number has a socket's index in place of the sender's.

mod args;
mod ask;
pub mod curve;
mod measure;
mod memory;
mod receive;
mod send;
mod signals;
mod timing;
mod topics;
mod weather;

pub use args::{Args, Mode, Pattern, Payload, Role};
pub use ask::{ask_all, report_answering};
pub use measure::{Usage, now, print, resident_kib};
pub use memory::Memory;
pub use receive::{Group, Receiver, Tally, open_all, receive_all};
pub use send::{Run, Sender, Sent, body, end, send_all, send_in_turn, sync};
pub use signals::{started, stop, stopped};
pub use timing::{Ticker, run_ready, runtime, sleep};
pub use weather::Weather;
