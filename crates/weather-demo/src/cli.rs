//! What the programs' command lines have in common: parsing, and how a program ends.

use std::error::Error;
use std::io::{self, BufWriter, Stdout, Write};
use std::process::{self, ExitCode};

use clap::Parser;
use zmtp_socket::{BindError, ConnectError};

use crate::Notes;

/// Why a program failed; its text is one line that says what and where.
pub type Failure = Box<dyn Error + Send + Sync>;

/// The exit status of a command line that makes no sense.
pub const USAGE: u8 = 2;

/// Parses the command line. One that makes no sense ends the program with status 2 and one line on
/// standard error; `--help` and `--version` end it with status 0.
pub fn parse<C: Parser>(notes: &Notes) -> C {
    C::try_parse().unwrap_or_else(|error| {
        if !error.use_stderr() {
            error.exit();
        }
        notes.say(one_line(&error.render().to_string()));
        process::exit(USAGE.into());
    })
}

/// The exit status of a program: its own, or 1 after a line on standard error; 2, if what failed is an
/// endpoint of the wrong kind. A reader that has gone away (`| head -3`) has had enough, which is no
/// failure.
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

/// Standard output, buffered until it is flushed, whose errors say that they are its own.
#[derive(Debug)]
pub struct Output(BufWriter<Stdout>);

impl Output {
    /// This program's.
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

/// The first paragraph of clap's message; usage and hints follow it.
fn one_line(message: &str) -> String {
    let paragraph = message.lines().map(str::trim).take_while(|line| !line.is_empty());
    let line = paragraph.collect::<Vec<_>>().join(" ");
    let line = line.strip_prefix("error: ").unwrap_or(&line);
    format!("{line} (--help says more)")
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_usage_error_is_one_line() {
        let message =
            "error: the argument '--all' cannot be used with:\n  [ZIPCODE]\n  --x\n\nUsage: …\n";
        assert_eq!(
            one_line(message),
            "the argument '--all' cannot be used with: [ZIPCODE] --x (--help says more)"
        );
    }
}
