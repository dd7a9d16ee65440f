//! The commands of the driver so far.

use std::sync::atomic::{AtomicBool, Ordering};

static STARTED: AtomicBool = AtomicBool::new(false);
static STOPPED: AtomicBool = AtomicBool::new(false);

/// Whether data may be published.
pub fn started() -> bool {
    STARTED.load(Ordering::Acquire)
}

/// Whether the run is over.
pub fn stopped() -> bool {
    STOPPED.load(Ordering::Acquire)
}

/// Ends the run, if publisher and subscribers are one process.
pub fn stop() {
    STOPPED.store(true, Ordering::Release);
}

pub(crate) fn start() {
    STARTED.store(true, Ordering::Release);
}

/// Reads standard input on a thread: `go` starts the data, its end ends the run.
pub(crate) fn listen() {
    std::thread::spawn(|| {
        for line in std::io::stdin().lines().map_while(Result::ok) {
            if line.trim() == "go" {
                start();
            }
        }
        stop();
    });
}
