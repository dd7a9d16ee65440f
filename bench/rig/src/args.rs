//! The command line that all peers share.

use std::time::Duration;

use clap::{Parser, ValueEnum};

use crate::topics::topic;
use crate::weather::zipcode;
use crate::{measure, signals};

/// How a peer is to take part in a run.
#[derive(Clone, Debug, Parser)]
pub struct Args {
    /// The part that this process plays.
    #[arg(value_enum)]
    pub role: Role,
    /// The types of the sockets.
    #[arg(long, value_enum, default_value = "pub-sub")]
    pub pattern: Pattern,
    /// The messages that are sent.
    #[arg(long, value_enum, default_value = "thr")]
    pub mode: Mode,
    /// Where one side binds and the other connects.
    #[arg(long, default_value = "tcp://127.0.0.1:5556")]
    pub endpoint: String,
    /// Where a proxy binds for the receivers.
    #[arg(long, default_value = "tcp://127.0.0.1:5557")]
    pub backend: String,
    /// Octets of a message, 16 or more.
    #[arg(long, default_value_t = 64, value_parser = size)]
    pub size: usize,
    /// Messages to send.
    #[arg(long, default_value_t = 1_000_000)]
    pub count: u64,
    /// Send no longer than this many seconds.
    #[arg(long, default_value_t = 5.0)]
    pub max_secs: f64,
    /// The sockets that will connect. Some libraries must know how many.
    #[arg(long, default_value_t = 1)]
    pub peers: usize,
    /// Senders of all processes. More than one connect, and the receiver binds.
    #[arg(long, default_value_t = 1)]
    pub senders: usize,
    /// Which of the senders this process is, or its first, from 0.
    #[arg(long, default_value_t = 0)]
    pub index: usize,
    /// Senders in this process, a socket each, which send in turn; for a library that can.
    #[arg(long, default_value_t = 1)]
    pub own_senders: usize,
    /// Sockets in the process of a receiver, or in one that makes requests.
    #[arg(long, default_value_t = 1)]
    pub sockets: usize,
    /// Requests that a socket sends together, when the last ones have been answered; messages that one
    /// of several senders of a process sends in its turn.
    #[arg(long, default_value_t = 1)]
    pub window: u64,
    /// Zipcodes that each socket subscribes to; 0 subscribes to everything.
    #[arg(long, default_value_t = 0)]
    pub zips: usize,
    /// Topics that each socket subscribes to, and that messages begin with; 0 subscribes to everything.
    #[arg(long = "topics", default_value_t = 0)]
    pub topic_count: usize,
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
    /// Messages that are sent in one call, if the library can send several. It then receives several
    /// in one call, too.
    #[arg(long, default_value_t = 1)]
    pub together: usize,
    /// Send each body without a copy, from the buffer in which it was made, if the library can.
    #[arg(long)]
    pub shared: bool,
    /// I/O threads, for a library that starts its own.
    #[arg(long, default_value_t = 1)]
    pub io_threads: usize,
    /// Microseconds between two messages in the latency mode.
    #[arg(long, default_value_t = 100)]
    pub interval_us: u64,
    /// Octets of a write or read buffer, where the peer sizes it.
    #[arg(long, default_value_t = 65536)]
    pub chunk: usize,
    /// Octets of the sender's send buffer in the system (`SO_SNDBUF`), where the peer sets it; 0
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

/// The part of a process in a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Role {
    /// One socket that sends, or all that make requests.
    Sender,
    /// One or more sockets that receive, or one that answers requests.
    Receiver,
    /// Sender and receivers in one process.
    Inproc,
    /// Subscribers that nothing is sent to.
    IdleSubs,
    /// The device between the sender and the receivers.
    Proxy,
}

/// The types of the sockets: first the sender's, then the receiver's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Pattern {
    /// Every receiver gets every message.
    PubSub,
    /// Every message goes to one of the receivers.
    PushPull,
    /// Every request is answered.
    ReqRep,
    /// The same, with envelopes that the application sees.
    DealerRouter,
}

/// The messages that are sent.
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

impl Pattern {
    /// Whether the sender waits for answers.
    pub fn asks(self) -> bool {
        matches!(self, Self::ReqRep | Self::DealerRouter)
    }
}

impl Args {
    /// Reads the command line, starts to read the driver's commands, and makes sure that the process
    /// ends soon after its timeout, whatever the library does.
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

    /// Tells the driver that the endpoint is open.
    pub fn bound(&self) {
        if self.role != Role::Inproc {
            measure::print("BOUND");
        }
    }

    /// Whether the receiver's side binds and the sender's connects, and not the other way round.
    pub fn receiver_binds(&self) -> bool {
        self.pattern.asks() || self.senders > 1
    }

    /// The endpoint without `tcp://`, for libraries that take only an address.
    pub fn address(&self) -> &str {
        self.endpoint.strip_prefix("tcp://").expect("a tcp endpoint")
    }

    /// The high-water mark for a library whose highest is `highest`.
    pub fn hwm_or(&self, highest: u32) -> u32 {
        if self.hwm == 0 { highest } else { self.hwm }
    }

    /// The topics that socket `index` subscribes to: none, if it is no SUB. The prefix of the control
    /// messages comes last, so that a receiver that gets `~S` has been subscribed to all the others.
    pub fn topics(&self, index: usize) -> Vec<String> {
        if self.pattern != Pattern::PubSub {
            return Vec::new();
        }
        let mut topics: Vec<String> = if self.topic_count > 0 {
            (0..self.topic_count).map(topic).collect()
        } else if self.zips > 0 {
            let own = index * self.zips..(index + 1) * self.zips;
            own.map(|global| format!("{:05}", zipcode(global))).collect()
        } else {
            return vec![String::new()];
        };
        topics.push("~".into());
        topics
    }
}

/// Reads a size. A message holds a letter, a number and, at the end of a run, one more letter.
fn size(text: &str) -> Result<usize, String> {
    text.parse().ok().filter(|size| *size >= 16).ok_or_else(|| "a size of 16 octets or more".into())
}
