//! Sockets that send each message to one peer, on a network with every kind of fault, on virtual time.
//! `ZMTP_SCENARIOS` sets the number of scenarios of each test, `ZMTP_SEED=17` runs one.

mod book;
mod flows;
mod requests;
mod sinks;
mod sources;
mod streams;
mod trouble;

use zmtp_tests::seed;

/// The number of scenarios of each test: five hundred in all.
const SCENARIOS: u64 = 100;

/// Runs scenarios that seeds determine, or the one that is asked for.
fn run_all(scenario: impl AsyncFn(u64)) {
    let seeds = match seed::asked_for() {
        Some(seed) => seed..seed + 1,
        None => 0..seed::number("ZMTP_SCENARIOS").unwrap_or(SCENARIOS),
    };
    for seed in seeds {
        seed::run(seed, &scenario);
    }
}
