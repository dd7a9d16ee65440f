//! A process of the soak that the conductor may kill. It has some nodes, which get their commands as
//! lines on the standard input. It ends when that is closed, so no process outlives the conductor.
//!
//! ```text
//! conductor ── "3 dial tcp://127.0.0.1:12345" ──▶ child      each command has one answer
//! child ── "3 ok" ──▶ conductor
//! child ── "! what broke" · "~ received octets dropped links" ──▶ conductor      unasked
//! ```

use std::collections::HashMap;
use std::fmt;
use std::str::FromStr;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::mpsc;
use zmtp_socket::Context;

use crate::aside::Aside;
use crate::{publisher, subscriber, talk, work};

/// The interval at which a node reports its counts: a kill loses those since the last report.
const TELL: Duration = Duration::from_millis(300);

/// How long the sending of a socket's remaining messages may take.
const PARTING: Duration = Duration::from_secs(5);

/// A node: `3:publisher:ours:lossless`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spec {
    pub(crate) node: u32,
    pub(crate) role: Role,
    pub(crate) kind: Kind,
    /// Whether the publisher waits for room instead of dropping.
    pub(crate) lossless: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    Publisher,
    Subscriber,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Ours,
    Libzmq,
}

impl fmt::Display for Spec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let role = if self.role == Role::Publisher { "publisher" } else { "subscriber" };
        let kind = if self.kind == Kind::Ours { "ours" } else { "libzmq" };
        let lossless = if self.lossless { ":lossless" } else { "" };
        write!(f, "{}:{role}:{kind}{lossless}", self.node)
    }
}

impl FromStr for Spec {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || format!("\"{text}\" is no node");
        let words: Vec<&str> = text.split(':').collect();
        let [node, role, kind, lossless @ ..] = &words[..] else { return Err(wrong()) };
        let role = match *role {
            "publisher" => Role::Publisher,
            "subscriber" => Role::Subscriber,
            _ => return Err(wrong()),
        };
        let kind = match *kind {
            "ours" => Kind::Ours,
            "libzmq" => Kind::Libzmq,
            _ => return Err(wrong()),
        };
        let node = node.parse().map_err(|_| wrong())?;
        Ok(Self { node, role, kind, lossless: lossless == ["lossless"] })
    }
}

/// Runs the nodes until the conductor sends `quit`, or closes the input.
pub(crate) async fn run(specs: &[Spec]) {
    // A node that panics ends the whole process, so that the conductor notices.
    let report = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        report(info);
        std::process::abort();
    }));
    let descriptors = open_descriptors();
    let mut lines = lines();
    let context = Context::new();
    let mut nodes = HashMap::new();
    let mut tasks = Vec::new();
    for &spec in specs {
        let (sender, commands) = mpsc::unbounded_channel();
        nodes.insert(spec.node.to_string(), sender);
        tasks.push(match spec.role {
            Role::Publisher => tokio::spawn(publisher::run(spec, context.clone(), commands)),
            Role::Subscriber => tokio::spawn(subscriber::run(spec, context.clone(), commands)),
        });
    }
    let talk = async |chance, counts: &mut _| talk::Round::new(chance).run(counts).await;
    let asides = [Aside::begin(talk), Aside::begin(work::round)];
    while let Some(line) = lines.recv().await
        && line != "quit"
    {
        let (node, command) = line.split_once(' ').expect("a node and a command");
        nodes[node].send(command.to_owned()).expect("its task runs");
    }
    drop(nodes);
    for task in tasks {
        task.await.expect("no panic");
    }
    // The end may take as long as a round.
    let ending = tokio::task::spawn_blocking(|| asides.into_iter().for_each(Aside::end));
    ending.await.expect("no panic");
    expect_nothing_left(descriptors).await;
}

/// Checks that all tasks have ended, and that all descriptors are closed that were not open at the
/// beginning.
async fn expect_nothing_left(descriptors: usize) {
    let begun = Instant::now();
    loop {
        let tasks = Handle::current().metrics().num_alive_tasks();
        let left = open_descriptors().saturating_sub(descriptors);
        if (tasks, left) == (0, 0) {
            return;
        }
        if begun.elapsed() > PARTING {
            return complain(&format!("left behind: {tasks} tasks, {left} descriptors"));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn open_descriptors() -> usize {
    std::fs::read_dir("/proc/self/fd").expect("Linux has it").count()
}

/// The lines of the standard input. At its end, the process ends.
fn lines() -> mpsc::UnboundedReceiver<String> {
    let (sender, lines) = mpsc::unbounded_channel();
    std::thread::spawn(move || {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            // The receiver is gone if the process is about to end.
            let _ended = sender.send(line);
        }
        std::process::exit(0);
    });
    lines
}

/// Answers a command.
pub(crate) fn say(node: u32, answer: &str) {
    println!("{node} {answer}");
}

/// Reports a fault.
pub(crate) fn complain(what: &str) {
    println!("! {what}");
}

/// The counts of one node, reported at an interval as the increase since the last report.
pub(crate) struct Tally {
    told: [u64; 4],
    next: Instant,
}

impl Tally {
    pub(crate) fn new() -> Self {
        Self { told: [0; 4], next: Instant::now() + TELL }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    /// Reports messages received, their octets, messages dropped and connections made.
    pub(crate) fn tell(&mut self, counts: [u64; 4]) {
        let news: Vec<String> =
            counts.iter().zip(self.told).map(|(now, told)| (now - told).to_string()).collect();
        println!("~ {}", news.join(" "));
        self.told = counts;
        self.next = Instant::now() + TELL;
    }

    /// Notes that the socket has gone: the next one counts from zero.
    pub(crate) fn end(&mut self) {
        self.told = [0; 4];
    }
}
