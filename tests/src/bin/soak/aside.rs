//! Rounds that are played beside the nodes, one after the other, until the process ends.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use tokio::runtime::Builder;

use crate::child::Tally;

/// A thread with a runtime of its own, so that no peer comes or goes between reading the list of peers
/// and sending them a message.
pub(crate) struct Aside {
    is_over: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

impl Aside {
    /// Plays rounds of one kind. Each adds to four counters: messages received, their octets, messages
    /// dropped, and connections.
    pub(crate) fn begin(
        round: impl AsyncFn(fastrand::Rng, &mut [u64; 4]) + Send + 'static,
    ) -> Self {
        let is_over = Arc::new(AtomicBool::new(false));
        let ended = is_over.clone();
        let thread = std::thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            let (mut chance, mut tally) = (fastrand::Rng::new(), Tally::new());
            let mut counts = [0; 4];
            while !ended.load(Ordering::Relaxed) {
                runtime.block_on(round(chance.fork(), &mut counts));
                tally.tell(counts);
                std::thread::sleep(Duration::from_millis(chance.u64(0..500)));
            }
        });
        Self { is_over, thread }
    }

    /// Waits for the end of the round.
    pub(crate) fn end(self) {
        self.is_over.store(true, Ordering::Relaxed);
        self.thread.join().expect("no panic");
    }
}
