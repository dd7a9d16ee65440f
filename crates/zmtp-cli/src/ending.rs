//! How the program ends, and its exit status.

use std::error::Error;
use std::fmt;
use std::io;
use std::process::ExitCode;

use zmtp_socket::{BindError, ConnectError};

use crate::notes::Notes;

/// Why the program failed: one line with the fault, its place and a remedy.
pub(crate) type Failure = Box<dyn Error + Send + Sync>;

/// The meaning of each status, for `--help`.
macro_rules! statuses {
    () => {
        "\
Exit status:
  0          all was done; or Ctrl-C or SIGTERM ended a command that runs until then
  1          a failure; or messages were not delivered, or commands of --exec failed
  2          the command line is wrong
  124        --timeout ended the command
  130, 143   Ctrl-C or SIGTERM ended the command before all was done"
    };
}
pub(crate) use statuses;

/// How a command without a failure has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ending {
    /// Everything was done.
    Done,
    /// Something could not be done; the notes have reported it.
    Incomplete,
    /// A time limit was reached.
    TimedOut,
    /// A signal ended the command. This is the exit status that shells give to the signal.
    Interrupted(u8),
}

impl From<Ending> for ExitCode {
    fn from(ending: Ending) -> Self {
        match ending {
            Ending::Done => Self::SUCCESS,
            Ending::Incomplete => Self::FAILURE,
            Ending::TimedOut => Self::from(124),
            Ending::Interrupted(status) => Self::from(status),
        }
    }
}

/// A command line that clap accepts, but that is wrong.
#[derive(Debug)]
pub(crate) struct Usage(pub(crate) String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Error for Usage {}

/// Reports why the program fails, and returns its exit status. It is not a failure if the reader of
/// standard output has ended (`| head -3`).
pub(crate) fn fail(failure: Failure, notes: &Notes) -> ExitCode {
    let is_broken_pipe = failure
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe);
    if is_broken_pipe {
        return ExitCode::SUCCESS;
    }
    notes.error(&failure);
    let is_usage = failure.is::<Usage>()
        || matches!(failure.downcast_ref(), Some(BindError::Endpoint(_)))
        || matches!(failure.downcast_ref(), Some(ConnectError::Endpoint(_)));
    if is_usage { ExitCode::from(2) } else { ExitCode::FAILURE }
}
