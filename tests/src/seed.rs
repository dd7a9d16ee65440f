//! Worlds and scenarios that follow from a seed.

use tokio::runtime::{Builder, Handle};

/// `ZMTP_SEED=17` runs what follows from that seed alone.
pub fn asked_for() -> Option<u64> {
    number("ZMTP_SEED")
}

/// A number in the environment.
///
/// # Panics
/// When there is something else.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs what follows from `seed` on a virtual time of its own, to the end of its last task. Says which
/// seed it was if it fails.
///
/// # Panics
/// When it fails, or leaves tasks.
pub fn run<T>(seed: u64, what: impl AsyncFnOnce(u64) -> T) -> T {
    let _on_failure = Seed(seed);
    let runtime = Builder::new_current_thread().enable_time().start_paused(true).build();
    runtime.expect("a runtime can be made").block_on(async {
        let done = what(seed).await;
        assert_eq!(Handle::current().metrics().num_alive_tasks(), 0, "tasks are left");
        done
    })
}

struct Seed(u64);

impl Drop for Seed {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("what follows from seed {0} failed: see it again with ZMTP_SEED={0}", self.0);
        }
    }
}
