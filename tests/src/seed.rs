//! Worlds and scenarios that are determined by a seed.

use tokio::runtime::{Builder, Handle};

/// The seed in the environment: `ZMTP_SEED=17` runs only what that seed determines.
pub fn asked_for() -> Option<u64> {
    number("ZMTP_SEED")
}

/// A number in the environment.
///
/// # Panics
/// When the value is not a number.
pub fn number(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is a number")))
}

/// Runs what `seed` determines, on a virtual time of its own, to the end of its last task. A failure
/// names the seed.
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
