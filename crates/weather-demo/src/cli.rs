//! The code that the programs' command lines share: parsing, and the end of a program.

use std::env;
use std::error::Error;
use std::fmt::Display;
use std::io::{self, BufWriter, Stdout, Write};
use std::num::{IntErrorKind, ParseIntError};
use std::process::{self, ExitCode};
use std::str::FromStr;
use std::time::Duration;

use clap::Parser;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use zmtp_socket::{BindError, ConnectError};

use crate::Notes;

/// Why a program failed; its text is one line with the fault and its place.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The end of `--help` of the programs that serve.
pub const SERVER_HELP: &str = "\
Ctrl-C and SIGTERM end it with status 0, after at most a second in which subscribers take what is
queued for them. RUST_LOG=zmtp_socket=debug logs each connection to standard error.";

/// How long a program that is to end waits for subscribers to take the messages that are queued for
/// them.
pub const FINAL_LINGER: Duration = Duration::from_secs(1);

/// The exit status of a command line that is wrong.
pub const USAGE: u8 = 2;

/// Parses the command line, and starts the log if `RUST_LOG` is set. A command line that makes no
/// sense ends the program with status 2 and one line on standard error; `--help` and `--version`
/// end it with status 0.
pub fn parse<C: Parser>(notes: &Notes) -> C {
    let cli = C::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        refuse(notes, one_line(&error.render().to_string()))
    });
    start_log().unwrap_or_else(|error| refuse(notes, format_args!("RUST_LOG: {error}")));
    cli
}

/// Whether a log is written to standard error.
pub fn is_logging() -> bool {
    LevelFilter::current() != LevelFilter::OFF
}

/// Parses a number from 1 up. The parsers of the standard library would answer 0 with a text about
/// a "non-zero type".
///
/// # Errors
///
/// The fault of a text, in words for its author.
pub fn positive<N: FromStr<Err = ParseIntError>>(text: &str) -> Result<N, String> {
    text.parse().map_err(|error: ParseIntError| match error.kind() {
        IntErrorKind::Zero | IntErrorKind::NegOverflow => "must be at least 1".to_owned(),
        IntErrorKind::PosOverflow => "is too large".to_owned(),
        _ => "is not a whole number".to_owned(),
    })
}

/// The exit status of a program: its own, or 1 after a line on standard error; 2 if the failure is
/// an endpoint of the wrong kind. It is not a failure if the reader of standard output has ended
/// (`| head -3`).
pub fn finish(result: Result<ExitCode, Failure>, notes: &Notes) -> ExitCode {
    let error = match result {
        Ok(status) => return status,
        Err(error) if is_broken_pipe(&*error) => return ExitCode::SUCCESS,
        Err(error) => error,
    };
    notes.say(&error);
    if let Some(BindError::Endpoint(_)) = error.downcast_ref() {
        return ExitCode::from(USAGE);
    }
    if let Some(ConnectError::Endpoint(_)) = error.downcast_ref() {
        return ExitCode::from(USAGE);
    }
    ExitCode::FAILURE
}

/// Standard output, buffered until it is flushed. Its errors name it.
#[derive(Debug)]
pub struct Output(BufWriter<Stdout>);

impl Output {
    /// The standard output of this program.
    pub fn new() -> Self {
        Self(BufWriter::new(io::stdout()))
    }
}

impl Default for Output {
    fn default() -> Self {
        Self::new()
    }
}

impl Write for Output {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.write(octets).map_err(explain)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.0.flush().map_err(explain)
    }
}

fn explain(error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("cannot write to standard output: {error}"))
}

/// The fault in clap's message with its tips, without the usage that follows.
fn one_line(message: &str) -> String {
    let is_end =
        |line: &str| line.starts_with("Usage:") || line.starts_with("For more information");
    let lines = message.lines().map(str::trim).take_while(|line| !is_end(line));
    let line = lines.filter(|line| !line.is_empty()).collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line).replace(" tip: ", "; ");
    format!("{line} (--help says more)")
}

/// Writes the log that `RUST_LOG` selects to standard error, if it is set.
fn start_log() -> Result<(), Failure> {
    let Some(filter) = env::var_os("RUST_LOG").filter(|filter| !filter.is_empty()) else {
        return Ok(());
    };
    let filter = EnvFilter::try_new(filter.to_str().ok_or("it is not UTF-8")?)?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init()
}

fn refuse(notes: &Notes, line: impl Display) -> ! {
    notes.say(line);
    process::exit(USAGE.into())
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_one_line() {
        for (message, line) in [
            (
                "error: the argument '--all' cannot be used with:\n  [ZIPCODE]\n  --x\n\nUsage: …\n",
                "the argument '--all' cannot be used with: [ZIPCODE] --x (--help says more)",
            ),
            (
                "error: unexpected '--al'\n\n  tip: there is '--all'\n\nUsage: …\n\nFor more …\n",
                "unexpected '--al'; there is '--all' (--help says more)",
            ),
            (
                "error: invalid 'x'\n\nFor more information, try '--help'.\n",
                "invalid 'x' (--help says more)",
            ),
        ] {
            assert_eq!(one_line(message), line);
        }
    }
}
