//! The command line.

use std::env;
use std::io;

use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::bench::Bench;
use crate::ending::{Ending, Failure, Usage, statuses};
use crate::inspect::Inspect;
use crate::keygen::Keygen;
use crate::notes::{Notes, Verbosity};
use crate::ping::Ping;
use crate::talk::Talk;
use crate::tap::Tap;

/// ZeroMQ at the terminal: publish, subscribe, ask, answer, and look into what others say.
#[derive(Debug, Parser)]
#[command(name = "zmtp", version, max_term_width = 100, after_help = statuses!(), after_long_help = LONG_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Say each peer that comes and goes
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,

    /// Say nothing but errors
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

/// What `--help` ends with.
const LONG_HELP: &str = concat!(
    "\
Examples:
  zmtp sub tcp://localhost:5556                     print what a publisher sends
  date | zmtp pub tcp://*:5556 --wait-for-peer      publish a line
  zmtp rep tcp://*:5555 --exec 'tr a-z A-Z'         a server in one line

Endpoints are tcp://HOST:PORT, ipc:///PATH and ipc://@NAME (Linux). An endpoint that names no single
host, as tcp://*:5556 does, is bound; a host is connected to; --bind and --connect say otherwise.

",
    statuses!(),
    "

Environment:
  NO_COLOR   if set, no colours on terminals
  RUST_LOG   such as zmtp_socket=debug: the log of the library, on standard error"
);

/// The examples at the end of a command's help.
macro_rules! examples {
    ($($line:literal)*) => { concat!("Examples:", $("\n  ", $line),*) };
}
pub(crate) use examples;

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Talk(Box<Talk>),
    /// Make a key for CURVE
    #[command(after_help = examples!(
        "zmtp keygen weather.key                       writes weather.key and weather.key.pub"
        "zmtp pub tcp://*:5556 --curve-secret weather.key"
        "zmtp sub tcp://localhost:5556 --curve-server weather.key.pub"
    ))]
    Keygen(Keygen),
    /// Ask a peer how long it takes to answer
    #[command(after_help = examples!(
        "zmtp ping tcp://localhost:5556                handshake, and four PINGs"
        "zmtp ping tcp://localhost:5556 -n 0           does the handshake work?"
    ))]
    Ping(Ping),
    /// Say what a peer is, what it wants, and what is wrong
    #[command(after_help = examples!(
        "zmtp inspect tcp://localhost:5556             version, mechanism, type, heartbeats ..."
        "zmtp inspect tcp://localhost:5556 --tolerates --json"
        "zmtp inspect tcp://localhost:5556 --curve-server weather.key.pub"
    ))]
    Inspect(Inspect),
    /// Relay connections, and print what both sides say
    #[command(after_help = examples!(
        "zmtp tap tcp://*:7000 tcp://localhost:5556    then let clients connect to port 7000"
        "zmtp tap tcp://*:7000 tcp://localhost:5556 --json | jq 'select(.said==\"subscribe\")'"
        "\nFrames under CURVE are sealed: only their sizes are seen."
    ))]
    Tap(Tap),
    /// Measure latency and throughput, between two of us or with any other peer
    #[command(after_help = examples!(
        "zmtp bench latency                            requests and replies, in this process"
        "zmtp bench throughput --size 16,4k,1M --csv"
        "zmtp bench latency tcp://localhost:5555 --clients 4 --svg latency.svg"
    ))]
    Bench(Box<Bench>),
}

impl Cli {
    /// How much is said on standard error.
    pub(crate) fn verbosity(&self) -> Verbosity {
        match (self.quiet, self.verbose) {
            (true, _) => Verbosity::Quiet,
            (_, true) => Verbosity::Verbose,
            _ => Verbosity::Normal,
        }
    }

    /// Runs the command.
    pub(crate) async fn run(self, notes: &Notes) -> Result<Ending, Failure> {
        start_log()?;
        match self.command {
            Command::Talk(talk) => talk.run(notes).await,
            Command::Keygen(keygen) => keygen.run(),
            Command::Ping(ping) => ping.run(notes).await,
            Command::Inspect(inspect) => inspect.run().await,
            Command::Tap(tap) => tap.run(notes).await,
            Command::Bench(bench) => bench.run(notes).await,
        }
    }
}

/// Writes the log to standard error, if `RUST_LOG` is set, as far as that asks for it.
fn start_log() -> Result<(), Failure> {
    let Some(filter) = env::var_os("RUST_LOG").filter(|filter| !filter.is_empty()) else {
        return Ok(());
    };
    let filter = filter.to_str().and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.ok_or_else(|| Usage("RUST_LOG: no filter of a log".to_owned()))?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init()
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }
}
