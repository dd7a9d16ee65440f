//! The cost of hostile and stuck peers, for this library and for libzmq: prints one table, and a
//! line of progress for each of its rows.
//!
//! `limits` makes every attack on a socket's memory; `limits idle --connections 1000` makes one, with numbers
//! of its own; `limits neighbours` measures what attacks do to the peers beside the attacker; `limits crowd`
//! measures how many well-behaved ones are let in.
//! Every row is measured on a victim of its own.

mod cases;
mod crowd;
mod neighbours;
mod peer;
mod process;
mod table;
mod trial;
mod victim;

use std::process::exit;

use clap::{Parser, Subcommand};
use nix::sys::resource::{Resource, getrlimit, setrlimit};

use crate::cases::{Giants, Idle, More, Pings, Strangers, Stuck, Subscriptions};
use crate::crowd::Crowd;
use crate::neighbours::Neighbours;
use crate::table::Table;
use crate::trial::Trial;
use crate::victim::Library;

#[derive(Debug, Parser)]
#[command(about = "The cost of hostile and stuck peers, for this library and for libzmq")]
struct Command {
    /// Print the table as Markdown.
    #[arg(long, global = true)]
    markdown: bool,
    /// The libraries to attack.
    #[arg(long, global = true, value_delimiter = ',', default_value = "ours,libzmq")]
    victims: Vec<Library>,
    /// The attack to make; all attacks on memory if it is not given.
    #[command(subcommand)]
    case: Option<Case>,
}

#[derive(Debug, Subcommand)]
enum Case {
    Subscriptions(Subscriptions),
    Stuck(Stuck),
    Idle(Idle),
    More(More),
    Giants(Giants),
    Strangers(Strangers),
    Pings(Pings),
    Neighbours(Neighbours),
    Crowd(Crowd),
    #[command(hide = true)]
    Victim(victim::Settings),
    #[command(hide = true)]
    Scene(neighbours::Settings),
}

const EVERY_CASE: [&str; 7] =
    ["subscriptions", "stuck", "idle", "more", "giants", "strangers", "pings"];

fn main() {
    let Command { markdown, victims, case } = Command::parse();
    let cases = match case {
        Some(Case::Victim(settings)) => return victim::run(&settings),
        Some(Case::Scene(settings)) => return neighbours::run_scene(&settings),
        Some(Case::Neighbours(case)) => exit((!case.run(&victims, markdown)).into()),
        Some(Case::Crowd(case)) => {
            raise_descriptors();
            exit((!case.run(&victims, markdown)).into())
        }
        Some(case) => vec![case],
        None => EVERY_CASE.map(with_defaults).into(),
    };
    raise_descriptors();
    let mut table = Table::new(trial::COLUMNS);
    let mut failed = false;
    for trial in cases.iter().flat_map(Case::trials) {
        for &library in victims.iter().filter(|library| trial.is_for(**library)) {
            eprintln!("# {}: {library}{} …", trial.name, trial.bounds);
            let names = trial.names(library);
            match trial.run(library) {
                Ok(cost) => table.add(names.into_iter().chain(cost.cells()).collect()),
                Err(error) => {
                    failed = true;
                    table.add_failure(names, &error.to_string());
                }
            }
            eprintln!("#   {}", table.last());
        }
    }
    table.print(markdown);
    exit(failed.into());
}

fn with_defaults(name: &str) -> Case {
    Command::parse_from(["limits", name]).case.expect("a case has been named")
}

impl Case {
    fn trials(&self) -> Vec<Trial<'_>> {
        match self {
            Self::Subscriptions(case) => case.trials(),
            Self::Stuck(case) => case.trials(),
            Self::Idle(case) => case.trials(),
            Self::More(case) => case.trials(),
            Self::Giants(case) => case.trials(),
            Self::Strangers(case) => case.trials(),
            Self::Pings(case) => case.trials(),
            Self::Neighbours(_) | Self::Crowd(_) | Self::Victim(_) | Self::Scene(_) => Vec::new(),
        }
    }
}

/// Lets this process, and the victims that it starts, open as many descriptors as they may.
fn raise_descriptors() {
    let limits = getrlimit(Resource::RLIMIT_NOFILE);
    if let Ok((_, most)) = limits
        .and_then(|(_, most)| setrlimit(Resource::RLIMIT_NOFILE, most, most).map(|()| (most, most)))
    {
        eprintln!("# each process may open {most} descriptors");
    }
}
