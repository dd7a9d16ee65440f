//! The count of open things: descriptors of the process, tasks of a runtime.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::runtime::{Builder, Handle};

use crate::story::DEADLINE;

static ONE_AT_A_TIME: Mutex<()> = Mutex::new(());

/// Longer than any test takes, on a slow machine.
const LONGEST: Duration = Duration::from_secs(300);

/// The counts at one moment.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Census {
    /// The number of open descriptors of this process.
    pub descriptors: usize,
    /// The number of tasks of this runtime that have not ended.
    pub tasks: usize,
}

impl Census {
    /// Counts now.
    pub fn now() -> Self {
        let descriptors = std::fs::read_dir("/proc/self/fd").expect("procfs is there").count();
        Self { descriptors, tasks: Handle::current().metrics().num_alive_tasks() }
    }

    /// Waits until no more is open than these counts. Fewer are accepted: another part of the process
    /// may have had a descriptor open for a moment when this was counted.
    ///
    /// # Panics
    /// When the counts stay higher. The message names `after`.
    pub async fn expect(self, after: &str) {
        let more = || {
            let now = Self::now();
            now.descriptors > self.descriptors || now.tasks > self.tasks
        };
        let wait = async {
            while more() {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        };
        let done = tokio::time::timeout(DEADLINE, wait).await;
        assert!(done.is_ok(), "{:?}, expected {self:?}, after {after}", Self::now());
    }

    /// These counts, with so many descriptors and tasks more.
    pub fn and(self, descriptors: usize, tasks: usize) -> Self {
        Self { descriptors: self.descriptors + descriptors, tasks: self.tasks + tasks }
    }
}

/// Runs one test on a current-thread runtime, after the last test's has ended and before the next one's
/// is made: descriptors belong to the whole process. Names are looked up one at a time.
///
/// # Panics
/// When the test hangs: the others are to run, too, and the run is to name this one.
pub fn alone(test: impl Future<Output = ()>) {
    // The failure of an earlier test does not matter to this one.
    let _alone = ONE_AT_A_TIME.lock().unwrap_or_else(PoisonError::into_inner);
    let mut runtime = Builder::new_current_thread();
    runtime.enable_all().max_blocking_threads(1);
    let runtime = runtime.build().expect("a runtime can be made");
    let done = runtime.block_on(async { tokio::time::timeout(LONGEST, test).await });
    assert!(done.is_ok(), "the test hangs");
}
