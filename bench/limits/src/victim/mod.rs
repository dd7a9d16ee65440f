//! The victim: this program again, in a process of its own, so that all its memory is the library's.
//!
//! It binds and prints its endpoint. A publisher then publishes [`TICK`] over and over, by which a peer can
//! tell that its subscription has been read. A subscriber wants everything, and throws away what it receives.
//!
//! It obeys the lines of its standard input: a [`Plan`] is published, and [`TRIM`] gives the memory that is
//! free back to the system; the answer is [`DONE`]. It ends when its standard input does, or with the
//! time it was given.

mod libzmq;
mod ours;
mod plan;

use std::io::{self, BufRead};
use std::process::exit;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;
use std::{fmt, thread};

use clap::{Args, ValueEnum};
use rig::Memory;

pub(crate) use plan::{FILLED, Plan, topic};

/// The message that a publisher sends while it has nothing else to send.
pub(crate) const TICK: &str = "~";

/// The order to keep no free memory.
pub(crate) const TRIM: &str = "trim";

/// The answer to an order that has been carried out.
pub(crate) const DONE: &str = "done";

/// Where every victim binds: a port of its own.
pub(crate) const ANY_PORT: &str = "tcp://127.0.0.1:*";

/// A publisher that has nothing to do looks so often whether something has come. (The I/O thread of libzmq
/// hands over a thousand subscriptions at most; then it waits for the user's.)
const SHORT: Duration = Duration::from_micros(50);

/// One that is silent costs nothing by itself.
const SILENCE: Duration = Duration::from_millis(20);

/// After so many octets it stops for so long, so that nobody's queue fills up who reads.
const BREATH: usize = 1 << 20;
const LONG: Duration = Duration::from_millis(1);

/// The arguments of a victim.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    #[arg(value_enum)]
    pub(crate) library: Library,
    #[arg(value_enum)]
    pub(crate) role: Role,
    #[command(flatten)]
    pub(crate) bounds: Bounds,
    /// Ends after so many seconds, whatever happens.
    #[arg(long, default_value_t = 300)]
    pub(crate) timeout: u64,
}

/// The limits that the victim's user has set; without them, the library's defaults.
#[derive(Args, Clone, Copy, Debug, Default)]
pub(crate) struct Bounds {
    /// Distinct topics of one peer.
    #[arg(long)]
    pub(crate) max_topics: Option<usize>,
    /// Octets of a message.
    #[arg(long)]
    pub(crate) max_message_size: Option<u64>,
    /// Milliseconds between two heartbeats.
    #[arg(long)]
    pub(crate) heartbeat: Option<u32>,
    /// Publishes only what the standard input asks for.
    #[arg(long)]
    pub(crate) silent: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Library {
    Ours,
    Libzmq,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Role {
    Pub,
    Sub,
}

/// A socket that publishes.
trait Publisher {
    fn send(&self, body: &[u8]);
    /// Lets the library do for so long, about, what it does beside `send`.
    fn turn(&self, time: Duration);
}

/// The arguments with which this program is such a victim.
pub(crate) fn arguments(library: Library, role: Role, bounds: &Bounds) -> Vec<String> {
    let names = ["victim".to_owned(), library.to_string(), role.to_string()];
    names.into_iter().chain(bounds.arguments()).collect()
}

/// Is the victim until its standard input ends.
pub(crate) fn run(settings: &Settings) {
    let plans = orders();
    let timeout = Duration::from_secs(settings.timeout);
    thread::spawn(move || {
        thread::sleep(timeout);
        exit(9);
    });
    let Settings { role, library, bounds, .. } = settings;
    match (role, library) {
        (Role::Pub, Library::Ours) => publish(&ours::publisher(bounds), bounds, &plans),
        (Role::Pub, Library::Libzmq) => publish(&libzmq::publisher(bounds), bounds, &plans),
        (Role::Sub, Library::Ours) => ours::subscribe(bounds),
        (Role::Sub, Library::Libzmq) => libzmq::subscribe(bounds),
    }
}

/// The plans that come on the standard input. When that ends, the process ends at once.
fn orders() -> Receiver<Plan> {
    let (sender, plans) = channel();
    thread::spawn(move || {
        for line in io::stdin().lock().lines().map_while(Result::ok) {
            if line == TRIM {
                Memory::trim();
                rig::print(DONE);
                continue;
            }
            let plan = line.parse().expect("a plan, as the driver writes it");
            if sender.send(plan).is_err() {
                break;
            }
        }
        exit(0);
    });
    plans
}

fn publish(publisher: &impl Publisher, bounds: &Bounds, plans: &Receiver<Plan>) {
    loop {
        match plans.try_recv() {
            Ok(plan) => {
                carry_out(&plan, publisher);
                rig::print(DONE);
            }
            Err(TryRecvError::Empty) => {}
            Err(TryRecvError::Disconnected) => return,
        }
        match bounds.silent {
            true => publisher.turn(SILENCE),
            false => {
                publisher.send(TICK.as_bytes());
                publisher.turn(SHORT);
            }
        }
    }
}

fn carry_out(plan: &Plan, publisher: &impl Publisher) {
    let mut octets = 0;
    plan.for_each(|body| {
        publisher.send(body);
        octets += body.len();
        if octets >= BREATH {
            octets = 0;
            publisher.turn(LONG);
        }
    });
}

impl Bounds {
    /// The arguments that give these to a victim.
    fn arguments(&self) -> Vec<String> {
        let topics = self.max_topics.map(|count| format!("--max-topics={count}"));
        let size = self.max_message_size.map(|size| format!("--max-message-size={size}"));
        let heartbeat = self.heartbeat.map(|interval| format!("--heartbeat={interval}"));
        let silent = self.silent.then(|| "--silent".to_owned());
        [topics, size, heartbeat, silent].into_iter().flatten().collect()
    }
}

impl fmt::Display for Bounds {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(count) = self.max_topics {
            write!(f, ", at most {count} topics")?;
        }
        if let Some(size) = self.max_message_size {
            write!(f, ", messages of at most {} MiB", size >> 20)?;
        }
        Ok(())
    }
}

impl fmt::Display for Library {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ours => "ours",
            Self::Libzmq => "libzmq",
        })
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pub => "pub",
            Self::Sub => "sub",
        })
    }
}
