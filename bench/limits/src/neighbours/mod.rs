//! The damage that a peer can do to its neighbours: how much less they receive while it attacks,
//! for how long they receive nothing, and for how long nobody else gets a turn or the socket's lock.

mod attack;
mod meter;
mod row;
mod scene;

use std::time::Duration;

use clap::Args;

use attack::Attack;
use row::{COLUMNS, Row};
use scene::{Engine, Shape};
pub(crate) use scene::{Settings, run as run_scene};

use crate::table::Table;
use crate::victim::Library;

/// Attacks on a socket whose neighbour receives a flood of messages: rates, gaps, turns and locks.
#[derive(Args, Debug)]
pub(crate) struct Neighbours {
    /// The rows whose names contain one of these, such as `churn`, `leave-proxy` or
    /// `newcomer-direct-current`; all rows otherwise.
    rows: Vec<String>,
    /// Topics of a subscriber that leaves, and of a subscriber to which a publisher connects.
    #[arg(long, default_value_t = 1_000_000)]
    topics: u32,
    /// Topics of a subscriber that comes; at most as many as the others have.
    #[arg(long, default_value_t = 100_000)]
    newcomer_topics: u32,
    /// Milliseconds that are measured without the attack.
    #[arg(long, default_value_t = 700)]
    before: u64,
    /// Milliseconds that are measured with the attack.
    #[arg(long, default_value_t = 2000)]
    during: u64,
}

impl Neighbours {
    /// Makes every attack that was asked for, and prints the table. Returns whether all could be made.
    pub(crate) fn run(&self, victims: &[Library], markdown: bool) -> bool {
        let mut table = Table::new(COLUMNS);
        let mut all_made = true;
        for row in self.rows().filter(|row| victims.contains(&row.library())) {
            eprintln!("# {row} …");
            match row.run() {
                Ok(outcome) => {
                    let cells = outcome.cells(row.engine);
                    table.add(row.names().into_iter().chain(cells).collect());
                }
                Err(error) => {
                    all_made = false;
                    table.add_failure(row.names(), &error.to_string());
                }
            }
            eprintln!("#   {}", table.last());
        }
        table.print(markdown);
        all_made
    }

    fn rows(&self) -> impl Iterator<Item = Row> {
        use Attack::{Churn, Judged, Leave, Newcomer, Nothing, Publisher};
        use Shape::{Direct, Proxy, Sub};

        let engines = [Engine::Current, Engine::Workers, Engine::Libzmq];
        let of_subscribers = [Nothing, Churn, Leave, Judged, Newcomer]
            .into_iter()
            .flat_map(|attack| [(attack, Direct), (attack, Proxy)]);
        of_subscribers
            .chain([(Nothing, Sub), (Publisher, Sub)])
            .flat_map(move |(attack, shape)| engines.map(|engine| self.row(attack, shape, engine)))
            // libzmq leaves this judgement to a handler that the user writes.
            .filter(|row| row.attack != Judged || row.engine != Engine::Libzmq)
            .filter(|row| {
                let name = row.to_string();
                self.rows.is_empty() || self.rows.iter().any(|part| name.contains(part.as_str()))
            })
    }

    fn row(&self, attack: Attack, shape: Shape, engine: Engine) -> Row {
        let topics = match attack {
            Attack::Newcomer => self.newcomer_topics.min(self.topics),
            _ => self.topics,
        };
        let [before, during] = [self.before, self.during].map(Duration::from_millis);
        Row { attack, shape, engine, topics, before, during }
    }
}
