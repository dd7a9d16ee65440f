//! Thousands of short scenarios, each with one fault at one stage of a connection. After each, the
//! publisher knows its subscriber's topics, no message was torn, repeated or reordered, and no task is
//! left. `ZMTP_SCENARIOS` sets their number, `ZMTP_SEED=17` runs one.

mod plan;
mod run;
mod table;
mod world;

use std::time::{Duration, Instant};

use run::run;
use table::Table;
use zmtp_tests::seed;

/// Each pair of a fault and a stage thirty-five times.
const SCENARIOS: u64 = 1890;

#[test]
fn whatever_befalls_a_connection_at_whatever_stage_the_subscriptions_come_back() {
    if let Some(seed) = seed::asked_for() {
        println!("{:?}", seed::run(seed, run));
        return;
    }
    let count = seed::number("ZMTP_SCENARIOS").unwrap_or(SCENARIOS);
    let mut table = Table::default();
    let begun = Instant::now();
    let mut said = begun;
    for seed in 0..count {
        table.count(&seed::run(seed, run));
        if said.elapsed() > Duration::from_secs(5) {
            said = Instant::now();
            println!("{} scenarios", seed + 1);
        }
    }
    let seconds = begun.elapsed().as_secs_f64();
    println!("{table}");
    println!("{count} scenarios in {seconds:.1} s: {:.0} each second", count as f64 / seconds);
    table.expect_no_empty_cell();
}
