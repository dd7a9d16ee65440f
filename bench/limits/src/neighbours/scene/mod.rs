//! The victim: this program again, in a process of its own, with one socket or one proxy.
//!
//! It binds, prints its endpoints on one line, and answers each line of its standard input with the
//! figures since the line before. It ends when its standard input does, or with the time it was given.

mod libzmq;
mod ours;

use std::io::{self, BufRead, Error};
use std::process::exit;
use std::time::Duration;
use std::{fmt, thread};

use clap::{Args, ValueEnum};

use super::meter::{Longest, Meter};
use crate::process::Process;

/// A message of the flood is a frame of so many octets. Its topic is [`FLOOD`].
pub(super) const FRAME: usize = 64;
pub(super) const FLOOD: &str = "d";

/// So many messages of the flood come between two messages [`TICK`](crate::victim::TICK), by which a
/// subscriber can tell that all its subscriptions have been read.
pub(super) const BETWEEN_TICKS: usize = 1000;

/// How often a task of ours wants a turn.
const BEAT: Duration = Duration::from_micros(500);

/// The arguments of the victim.
#[derive(Args, Clone, Debug)]
pub(crate) struct Settings {
    #[arg(value_enum)]
    pub(super) shape: Shape,
    #[arg(value_enum)]
    pub(super) engine: Engine,
    /// Admits the first peer at once, and takes a minute to decide about each later one.
    #[arg(long)]
    pub(super) judges: bool,
    /// Topics that a subscriber subscribes to.
    #[arg(long, default_value_t = 0)]
    pub(super) topics: u32,
    /// Ends after so many seconds, whatever happens.
    #[arg(long, default_value_t = 120)]
    pub(super) timeout: u64,
}

/// The sockets between the attacker and its neighbour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Shape {
    /// A PUB that sends the flood.
    Direct,
    /// A proxy that is sent the flood: it has an XSUB and an XPUB.
    Proxy,
    /// A SUB that is sent the flood: the neighbour is its own receiver.
    Sub,
}

/// Whose threads the victim runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(super) enum Engine {
    /// Ours, on a runtime of one thread.
    Current,
    /// Ours, on a runtime with two workers.
    Workers,
    /// Those of libzmq: the caller's, and one for I/O.
    Libzmq,
}

/// The measurements of the victim itself.
struct Probe {
    /// The messages that a subscriber receives.
    received: Meter,
    /// From one turn of a task to the next, which it wants after a [`BEAT`].
    turn: Longest,
    /// How long a call takes that needs the socket's lock, and does nothing.
    lock: Longest,
}

static PROBE: Probe = Probe { received: Meter::new(), turn: Longest::new(), lock: Longest::new() };

/// The figures that a victim reports of itself. A time is zero where it is not measured.
#[derive(Clone, Copy, Debug)]
pub(super) struct Figures {
    pub(super) received: u64,
    pub(super) gap: Duration,
    pub(super) turn: Duration,
    pub(super) lock: Duration,
}

/// Starts such a victim.
pub(super) fn start(settings: &Settings) -> io::Result<Process> {
    let Settings { shape, engine, judges, topics, timeout } = settings;
    let mut arguments = vec!["scene".to_owned(), shape.to_string(), engine.to_string()];
    arguments.push(format!("--topics={topics}"));
    arguments.push(format!("--timeout={timeout}"));
    arguments.extend(judges.then(|| "--judges".to_owned()));
    Process::start(arguments)
}

/// The figures of the victim since they were asked for last.
pub(super) fn figures(victim: &mut Process) -> io::Result<Figures> {
    let answer = victim.ask("look")?;
    let numbers: Vec<u64> = answer.split(' ').map_while(|word| word.parse().ok()).collect();
    let [received, gap, turn, lock] = numbers[..] else {
        return Err(Error::other(format!("no figures: {answer}")));
    };
    let [gap, turn, lock] = [gap, turn, lock].map(Duration::from_nanos);
    Ok(Figures { received, gap, turn, lock })
}

/// Is the victim until its standard input ends.
pub(crate) fn run(settings: &Settings) {
    let timeout = Duration::from_secs(settings.timeout);
    thread::spawn(move || {
        thread::sleep(timeout);
        exit(9);
    });
    thread::spawn(|| {
        for _look in io::stdin().lock().lines().map_while(Result::ok) {
            let (received, gap) = PROBE.received.take();
            let turn = PROBE.turn.take().saturating_sub(BEAT);
            let [gap, turn, lock] = [gap, turn, PROBE.lock.take()].map(|time| time.as_nanos());
            rig::print(&format!("{received} {gap} {turn} {lock}"));
        }
        exit(0);
    });
    match settings.engine {
        Engine::Libzmq => libzmq::run(settings),
        Engine::Current | Engine::Workers => ours::run(settings),
    }
}

/// A message of the flood.
pub(super) fn flood() -> Vec<u8> {
    let mut body = FLOOD.as_bytes().to_vec();
    body.resize(FRAME - 2, b'-');
    body
}

/// Topic 7 is `t0000007`. Nothing is published of it.
pub(super) fn topic(number: u32) -> String {
    format!("t{number:07}")
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Direct => "direct",
            Self::Proxy => "proxy",
            Self::Sub => "sub",
        })
    }
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Current => "current",
            Self::Workers => "workers",
            Self::Libzmq => "libzmq",
        })
    }
}
