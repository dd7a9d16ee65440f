//! The command line that all peers share.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::weather::zipcode;
use crate::{measure, signals};

/// How a peer is to take part in a run.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// What this process is.
    #[arg(value_enum)]
    pub role: Role,
    /// What is published.
    #[arg(long, value_enum, default_value = "thr")]
    pub mode: Mode,
    /// Where the publisher binds and the subscribers connect.
    #[arg(long, default_value = "tcp://127.0.0.1:5556")]
    pub endpoint: String,
    /// Where a proxy binds for the subscribers.
    #[arg(long, default_value = "tcp://127.0.0.1:5557")]
    pub backend: String,
    /// Octets of a message, 16 or more.
    #[arg(long, default_value_t = 64, value_parser = size)]
    pub size: usize,
    /// Messages to publish.
    #[arg(long, default_value_t = 1_000_000)]
    pub count: u64,
    /// Publish no longer than this many seconds.
    #[arg(long, default_value_t = 5.0)]
    pub max_secs: f64,
    /// How many sockets will connect, for a library that has to be told.
    #[arg(long, default_value_t = 1)]
    pub wait_subs: usize,
    /// Sockets in a subscriber's process.
    #[arg(long, default_value_t = 1)]
    pub subs: usize,
    /// Zipcodes that each socket subscribes to; 0 subscribes to everything.
    #[arg(long, default_value_t = 0)]
    pub zips: usize,
    /// The high-water mark, in messages; 0 is none, or the highest the library has.
    #[arg(long, default_value_t = 0)]
    pub hwm: u32,
    /// Let `send` wait for room instead of dropping.
    #[arg(long)]
    pub nodrop: bool,
    /// Whether each message has a number of its own, or all are the same.
    #[arg(long, value_enum, default_value = "fresh")]
    pub payload: Payload,
    /// The runtime, by a name the peer knows: current, multi …
    #[arg(long)]
    pub rt: Option<String>,
    /// Threads for input and output, for a library that has its own.
    #[arg(long, default_value_t = 1)]
    pub io_threads: usize,
    /// Microseconds between two messages in the latency mode.
    #[arg(long, default_value_t = 100)]
    pub interval_us: u64,
    /// Octets of a write or read buffer, where the peer sizes it.
    #[arg(long, default_value_t = 65536)]
    pub chunk: usize,
    /// Octets of the publisher's send buffer in the system (`SO_SNDBUF`), where the peer sets it; 0
    /// leaves it to the system.
    #[arg(long, default_value_t = 0)]
    pub sndbuf: u32,
    /// The minor version of ZMTP that idle subscribers announce.
    #[arg(long, default_value_t = 0)]
    pub minor: u8,
    /// Encrypt, with CURVE and the keys of [`curve`](crate::curve).
    #[arg(long)]
    pub curve: bool,
    /// Give up after so many seconds.
    #[arg(long, default_value_t = 25.0)]
    pub timeout: f64,
    /// The implementation's name in the report.
    #[arg(skip)]
    pub name: &'static str,
}

/// What a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// One publisher.
    Pub,
    /// One or more subscribers.
    Sub,
    /// Publisher and subscribers in one process.
    Inproc,
    /// Subscribers that nothing is sent to.
    IdleSubs,
    /// What stands between the publisher and the subscribers.
    Proxy,
}

/// What is published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Mode {
    /// Messages of one size, as fast as they are taken.
    Thr,
    /// Weather updates, as fast as they are taken.
    Weather,
    /// Messages that carry the time, one each interval.
    Lat,
    /// Nothing.
    Idle,
}

/// Whether messages differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Payload {
    /// Each has its number.
    Fresh,
    /// All are the same octets; their order cannot be checked.
    Shared,
}

impl Args {
    /// Reads the command line, begins to listen to the driver, and makes sure that the process ends
    /// soon after its timeout, whatever the library does.
    pub fn of_peer(name: &'static str) -> Self {
        let args = Self { name, ..Self::parse() };
        if args.role != Role::Inproc {
            signals::listen();
        }
        let longest = Duration::from_secs_f64(args.timeout + 5.0);
        std::thread::spawn(move || {
            std::thread::sleep(longest);
            std::process::exit(9);
        });
        args
    }

    /// Tells the driver that the endpoint of a publisher or proxy is open.
    pub fn bound(&self) {
        if matches!(self.role, Role::Pub | Role::Proxy) {
            measure::print("BOUND");
        }
    }

    /// The endpoint without `tcp://`, for what takes an address alone.
    pub fn address(&self) -> &str {
        self.endpoint.strip_prefix("tcp://").expect("a tcp endpoint")
    }

    /// The high-water mark for a library whose highest is `highest`.
    pub fn hwm_or(&self, highest: u32) -> u32 {
        if self.hwm == 0 { highest } else { self.hwm }
    }

    /// What socket `index` subscribes to. The prefix of the control messages comes last, so that
    /// whoever receives `~S` has been subscribed to all the others.
    pub fn topics(&self, index: usize) -> Vec<String> {
        if self.zips == 0 {
            return vec![String::new()];
        }
        let own = index * self.zips..(index + 1) * self.zips;
        own.map(|global| format!("{:05}", zipcode(global))).chain(["~".into()]).collect()
    }
}

/// A message holds a letter, a number and, at the end of a run, one more letter.
fn size(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|size| *size >= 16).ok_or_else(|| "a size of 16 octets or more".into())
}
