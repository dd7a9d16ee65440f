//! A log of one thread, beside tests in other threads that have none.

use std::io;
use std::sync::{Arc, LazyLock, Mutex};

use tracing::subscriber::{DefaultGuard, NoSubscriber};
use tracing::{Dispatch, Subscriber};
use tracing_subscriber::fmt::MakeWriter;

/// Makes `log` the log of this thread, until the guard is dropped.
///
/// tracing remembers for each line of the program whether a log wants it. In a process with one log, it
/// asks the log of the thread that reaches the line first; if that thread has none, the line is off for
/// every thread. In a process with two logs, it asks each of them. Therefore a second log is kept here.
pub(crate) fn of_this_thread(log: impl Subscriber + Send + Sync + 'static) -> DefaultGuard {
    static SECOND: LazyLock<Dispatch> = LazyLock::new(|| Dispatch::new(NoSubscriber::new()));
    LazyLock::force(&SECOND);
    tracing::subscriber::set_default(log)
}

/// The lines of a log.
#[derive(Clone, Default)]
pub(crate) struct Lines(Arc<Mutex<Vec<u8>>>);

impl Lines {
    /// Installs the log of this thread, on which everything in a test runs.
    pub(crate) fn of_this_thread() -> (Self, DefaultGuard) {
        let lines = Self::default();
        let log = tracing_subscriber::fmt()
            .with_max_level(tracing::Level::TRACE)
            .with_writer(lines.clone())
            .with_ansi(false)
            .without_time()
            .finish();
        (lines, of_this_thread(log))
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
    }
}

impl io::Write for Lines {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.lock().unwrap().write(octets)
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Lines {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[test]
fn a_line_that_a_thread_without_a_log_reached_first_is_written() {
    let (lines, _log) = Lines::of_this_thread();
    let line = || tracing::info!("the line");
    std::thread::spawn(line).join().unwrap();
    line();
    assert_eq!(lines.text().matches("the line").count(), 1);
}
