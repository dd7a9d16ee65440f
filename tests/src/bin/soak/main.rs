//! The soak: publishers and subscribers, ours and libzmq's, come and go at random, kill −9 included,
//! for as long as is asked, and every message is accounted for.
//!
//! ```text
//! main ── a conductor ── world.rs    nodes, processes, connections
//!              │         churn.rs    changes of these, from a seed
//!              │         audit.rs    checks of the nodes at rest
//!              │         memory.rs   checks that they do not grow
//!           process.rs
//!              │ lines over pipes
//!           child.rs ── publisher.rs, subscriber.rs ── sockets.rs   ours or libzmq's
//!                          letter.rs    numbered messages
//!                          checker.rs   order, gaps, and subscriptions
//!                       aside.rs        rounds beside the nodes:
//!                       talk.rs         an XSUB that sends to an XPUB
//!                       work.rs         PUSH, PULL, PAIR, DEALER, ROUTER, REQ and REP
//! ```

mod aside;
mod audit;
mod checker;
mod child;
mod churn;
mod counts;
mod letter;
mod memory;
mod process;
mod publisher;
mod sockets;
mod subscriber;
mod talk;
mod work;
mod world;

use std::process::ExitCode;
use std::time::{Duration, Instant};

use clap::{Parser, Subcommand};

use crate::child::Spec;
use crate::memory::Memory;
use crate::process::News;
use crate::world::World;

/// How long any step may take: far longer than it does, so that only a hang reaches it.
const PATIENCE: Duration = Duration::from_secs(30);

/// The interval of lines that show the progress.
const PROGRESS: Duration = Duration::from_secs(5);

/// The time between two reckonings.
const BETWEEN: Duration = Duration::from_secs(15);

/// Publishers and subscribers, ours and libzmq's, that come and go at random; every message is
/// accounted for.
#[derive(Parser)]
struct Cli {
    #[command(subcommand)]
    what: What,
}

#[derive(Subcommand)]
enum What {
    /// Runs the soak.
    Run {
        /// How many minutes it lasts; a fraction is possible.
        minutes: f64,
        /// Determines the events, but not their times; a random one if it is not given.
        seed: Option<u64>,
    },
    /// Runs some nodes, which obey lines on the standard input: the soak starts itself so.
    #[command(hide = true)]
    Child {
        /// The nodes.
        nodes: Vec<Spec>,
    },
}

#[tokio::main(worker_threads = 2)]
async fn main() -> ExitCode {
    match Cli::parse().what {
        What::Child { nodes } => {
            child::run(&nodes).await;
            ExitCode::SUCCESS
        }
        What::Run { minutes, seed } => {
            let time = Duration::from_secs_f64(minutes * 60.0);
            soak(time, seed.unwrap_or_else(|| fastrand::u64(..))).await
        }
    }
}

async fn soak(time: Duration, seed: u64) -> ExitCode {
    println!("soak for {time:?}, seed {seed}");
    let directory = tempfile::tempdir().expect("a directory can be made");
    let begun = Instant::now();
    let mut world = World::new(seed, directory.path(), News::default());
    let lasting = world.homes.iter().filter(|home| home.lasting);
    let lasting = lasting.map(|home| format!("process of {:?}", home.nodes));
    let mut memory = Memory::new(lasting);
    let result = go_on(&mut world, &mut memory, begun, time).await;
    let mut broken: Vec<String> = result.err().into_iter().collect();
    let well = broken.is_empty();
    for home in 0..world.homes.len() {
        match well {
            true => broken.extend(world.quit(home, Duration::ZERO).await.err()),
            false => world.kill(home, Duration::ZERO).await,
        }
    }
    // The children's reports come before the faults that followed from them.
    broken.splice(0..0, world.news.totals().broken);
    let (lines, grown) = memory.verdict();
    broken.extend(grown);
    report(&world, &lines, begun.elapsed());
    for line in &broken {
        println!("BROKEN: {line}");
    }
    if !broken.is_empty() {
        println!("broken, seed {seed}");
        return ExitCode::FAILURE;
    }
    println!("held, seed {seed}");
    ExitCode::SUCCESS
}

/// Lets nodes come and go until the time is over or a fault is found, here or by a child.
async fn go_on(
    world: &mut World,
    memory: &mut Memory,
    begun: Instant,
    time: Duration,
) -> Result<(), String> {
    world.begin().await?;
    let between = BETWEEN.min(time / 4);
    let (mut next, mut progress) = (begun + between, begun + PROGRESS);
    while world.news.totals().broken.is_empty() {
        let over = begun.elapsed() >= time;
        if over || next <= Instant::now() {
            world.reckon().await?;
            next = Instant::now() + between;
        }
        if over {
            return Ok(());
        }
        world.churn().await?;
        if memory.is_due() {
            let lasting = world.homes.iter().filter(|home| home.lasting);
            memory.sample(
                lasting.filter_map(|home| home.process.as_ref()).map(|process| process.memory()),
            );
        }
        if progress <= Instant::now() {
            let totals = world.news.totals();
            println!(
                "{:4} s: {} messages, {} dropped, {} reckonings; memory {} MiB",
                begun.elapsed().as_secs(),
                totals.received,
                totals.dropped,
                world.ledger.reckonings,
                memory.now()
            );
            progress = Instant::now() + PROGRESS;
        }
    }
    Ok(())
}

fn report(world: &World, memory: &[String], time: Duration) {
    let (totals, done, ledger) = (world.news.totals(), &world.done, &world.ledger);
    let row = |name: &str, value: u64| println!("{name:<44} {value:>12}");
    println!("\nafter {} s", time.as_secs());
    row("handshakes done, as our sockets count them", totals.links);
    row("messages received and checked", totals.received);
    row("octets of these", totals.octets);
    row("messages dropped and counted", totals.dropped);
    row("processes killed", done.kills);
    row("processes that ended by themselves", done.quits);
    row("sockets closed or dropped for another", done.reopened);
    row("connections asked for", done.dials);
    row("connections given up", done.hangups);
    row("changes of subscriptions", done.wishes);
    row("rests of subscribers", done.rests);
    row("reckonings", ledger.reckonings);
    for (pairing, count) in &ledger.links {
        row(&format!("connections reckoned up, {pairing}"), *count);
    }
    row("messages wanted in these", ledger.wanted);
    row("messages dropped in these", ledger.dropped);
    memory.iter().for_each(|line| println!("memory, {line}"));
}
