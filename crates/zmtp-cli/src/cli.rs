//! The command line.

use std::env;
use std::io;

use clap::{ArgAction, Parser, Subcommand};
use tracing_subscriber::EnvFilter;

use crate::bench::Bench;
#[cfg(feature = "nats")]
use crate::bridge::Bridge;
use crate::ending::{Ending, Failure, Usage, statuses};
use crate::inspect::Inspect;
use crate::keygen::Keygen;
use crate::manual::{Completions, Manual};
use crate::notes::{Notes, Verbosity};
use crate::ping::Ping;
use crate::proxy::Proxy;
use crate::talk::SocketCommand;
use crate::tap::Tap;
use crate::top::Top;

/// ZeroMQ at the terminal: send and receive with every socket type, inspect peers, print traffic, measure.
#[derive(Debug, Parser)]
#[command(name = "zmtp", version, max_term_width = 100, after_help = statuses!(), after_long_help = LONG_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    command: Command,

    /// Report each peer that connects or disconnects
    #[arg(short, long, global = true, action = ArgAction::SetTrue)]
    verbose: bool,

    /// Print errors only
    #[arg(short, long, global = true, conflicts_with = "verbose")]
    quiet: bool,
}

/// The end of `--help`.
const LONG_HELP: &str = concat!(
    "\
Examples:
  zmtp sub tcp://localhost:5556                     print what a publisher sends
  date | zmtp pub tcp://*:5556 --wait-for-peer      publish a line
  zmtp rep tcp://*:5555 --exec 'tr a-z A-Z'         a server in one line

Endpoints are tcp://HOST:PORT, ws://HOST:PORT/PATH (WebSocket), ipc:///PATH and ipc://@NAME
(Linux). An endpoint without a single host, such as tcp://*:5556, is bound; an endpoint with a
host is connected. --bind and --connect override this.

",
    statuses!(),
    "

Environment:
  NO_COLOR   if set, no colours on terminals
  RUST_LOG   a log filter, such as zmtp_socket=debug: the library's log goes to standard error"
);

/// The examples at the end of a command's help.
macro_rules! examples {
    ($($line:literal)*) => { concat!("Examples:", $("\n  ", $line),*) };
}
pub(crate) use examples;

#[derive(Debug, Subcommand)]
enum Command {
    #[command(flatten)]
    Socket(Box<SocketCommand>),
    /// Make a pair of keys for CURVE
    #[command(after_help = examples!(
        "zmtp keygen weather.key                       writes weather.key and weather.key.pub"
        "zmtp pub tcp://*:5556 --curve-secret weather.key"
        "zmtp sub tcp://localhost:5556 --curve-server weather.key.pub"
    ))]
    Keygen(Keygen),
    /// Measure how long a peer takes to answer
    #[command(after_help = examples!(
        "zmtp ping tcp://localhost:5556                handshake, and four PINGs"
        "zmtp ping tcp://localhost:5556 -n 0           does the handshake work?"
    ))]
    Ping(Ping),
    /// Show what a peer is, what it subscribes to, and why it cannot be reached
    #[command(after_help = examples!(
        "zmtp inspect tcp://localhost:5556             version, mechanism, type, heartbeats ..."
        "zmtp inspect tcp://localhost:5556 --tolerates --json"
        "zmtp inspect tcp://localhost:5556 --curve-server weather.key.pub"
    ))]
    Inspect(Inspect),
    /// Relay connections, and print what both sides send
    #[command(after_help = examples!(
        "zmtp tap tcp://*:7000 tcp://localhost:5556    then connect clients to port 7000"
        "zmtp tap tcp://*:7000 tcp://localhost:5556 --json | jq 'select(.said==\"subscribe\")'"
        "zmtp tap --read capture.pcap                  what was sent, as tcpdump -w has captured it"
        "\nCURVE encrypts frames: of these only the sizes are shown."
    ))]
    Tap(Tap),
    /// Measure latency and throughput, within this process or with any other peer
    #[command(after_help = examples!(
        "zmtp bench latency                            requests and replies, in this process"
        "zmtp bench throughput --size 16,4k,1M --csv"
        "zmtp bench latency tcp://localhost:5555 --clients 4 --svg latency.svg"
    ))]
    Bench(Box<Bench>),
    /// Forward messages between publishers and subscribers, clients and workers and so on
    #[command(after_help = examples!(
        "zmtp proxy pubsub tcp://*:5559 tcp://*:5556                  both connect to the proxy"
        "zmtp proxy pubsub tcp://feed.example:5556 tcp://*:5556       one subscription to a feed, for all here"
        "zmtp proxy queue tcp://*:5555 tcp://*:5560 --stats           clients and workers"
        "zmtp proxy pipeline tcp://*:5557 ipc:///run/work --metrics 127.0.0.1:9100"
        "zmtp proxy queue tcp://*:5555 tcp://*:5560 --tap tcp://*:5561    and: zmtp sub tcp://localhost:5561"
    ))]
    Proxy(Box<Proxy>),
    /// Forward messages to NATS and from NATS, with topics as subjects
    ///
    /// The subject of a topic begins with a prefix: weather.nyc becomes zmq.weather.nyc. Letters, digits, most signs
    /// and a dot between two words stay as they are; any other octet is written as % and two digits, as in zmq.a%20b.
    /// In a message of two parts, the first is the subject and the second the payload. In a message of one part, the
    /// text before the first blank is the subject, and the whole part is the payload. The header Zmtp-Parts says where
    /// further parts end, so another bridge restores every message. A message that another program publishes to NATS
    /// comes as topic and payload.
    ///
    /// A bridge does not receive from NATS what it has published there. If ZeroMQ leads messages from the bridge back
    /// to it, give the two directions different prefixes; otherwise they go round in a circle.
    ///
    /// A subscriber that is too slow loses messages, and delays nobody. If NATS is slow or cannot be reached, as many
    /// messages as --hwm says wait in the bridge, and as many in the socket; then publishers wait, or drop messages,
    /// as they are configured. Without --jetstream, messages that are on their way when the connection breaks are
    /// lost, and not counted. With it they are sent again until they are acknowledged, and each is stored once, but
    /// not always in order.
    #[cfg(feature = "nats")]
    #[command(after_help = examples!(
        "zmtp bridge tcp://feed.example:5556 nats://localhost         publishers here, and then: nats sub 'zmq.>'"
        "zmtp bridge tcp://*:5557 nats://localhost --from-nats        nats pub zmq.weather.nyc 27"
        "zmtp bridge tcp://feed.example:5556 nats://localhost --publish tcp://*:5557    both ways"
        "zmtp bridge tcp://*:5556 nats://localhost --bind --jetstream WEATHER    kept by a stream"
    ))]
    Bridge(Box<Bridge>),
    /// Show sockets and peers in a live table: rates, queues, losses
    #[command(after_help = examples!(
        "zmtp proxy queue tcp://*:5555 tcp://*:5560 --metrics 127.0.0.1:9100"
        "zmtp top 127.0.0.1:9100                       and in another terminal"
        "zmtp top 127.0.0.1:9100 --once --sort dropped"
        "\nEvery socket command has --metrics, too. Keys: q quits, s changes the order, p pauses."
    ))]
    Top(Top),
    /// Print the completions for a shell
    #[command(after_help = examples!(
        "zmtp completions bash > /etc/bash_completion.d/zmtp"
        "zmtp completions zsh > ~/.zfunc/_zmtp"
        "zmtp completions fish > ~/.config/fish/completions/zmtp.fish"
    ))]
    Completions(Completions),
    /// Write the manual pages into a folder
    #[command(after_help = examples!(
        "zmtp man /usr/local/share/man/man1            and then: man zmtp-sub"
    ))]
    Man(Manual),
}

impl Cli {
    /// How much is written to standard error.
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
            Command::Socket(socket) => socket.run(notes).await,
            Command::Keygen(keygen) => keygen.run(),
            Command::Ping(ping) => ping.run(notes).await,
            Command::Inspect(inspect) => inspect.run().await,
            Command::Tap(tap) => tap.run(notes).await,
            Command::Bench(bench) => bench.run(notes).await,
            Command::Proxy(proxy) => proxy.run(notes).await,
            #[cfg(feature = "nats")]
            Command::Bridge(bridge) => bridge.run(notes).await,
            Command::Top(top) => top.run().await,
            Command::Completions(completions) => completions.run(),
            Command::Man(manual) => manual.run(),
        }
    }
}

/// Writes the log that `RUST_LOG` selects to standard error, if it is set.
fn start_log() -> Result<(), Failure> {
    let Some(filter) = env::var_os("RUST_LOG").filter(|filter| !filter.is_empty()) else {
        return Ok(());
    };
    let filter = filter.to_str().and_then(|filter| EnvFilter::try_new(filter).ok());
    let filter = filter.ok_or_else(|| {
        Usage("RUST_LOG is not a log filter; zmtp_socket=debug is one".to_owned())
    })?;
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(io::stderr).try_init()
}

#[cfg(test)]
mod tests {
    use clap::{Command, CommandFactory as _};

    use super::*;
    use crate::output::Template;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
    }

    #[test]
    fn every_example_of_the_help_and_of_the_readme_is_a_command_line() {
        let mut texts = vec![include_str!("../README.md").to_owned()];
        collect_help(&mut Cli::command(), &mut texts);
        let mut count = 0;
        let lines = texts.iter().flat_map(|text| text.lines());
        let commands = lines.flat_map(|line| line.split(" | ").flat_map(|it| it.split("; ")));
        for command in commands.map(str::trim).filter(|command| command.starts_with("zmtp ")) {
            let words = words(command);
            // The explanation of a command is separated from it by two blanks.
            if let Err(error) = Cli::try_parse_from(&words) {
                panic!("{command}: {error}");
            }
            count += 1;
        }
        assert!(count > 50, "{count}");
    }

    #[test]
    fn the_help_names_every_placeholder_of_a_format() {
        let mut cli = Cli::command();
        let help = cli.find_subcommand_mut("sub").expect("it is there").render_long_help();
        let error = Template::parse("{x}").expect_err("there is no such placeholder");
        let placeholders: Vec<_> =
            error.split(['{', '}']).skip(1).step_by(2).filter(|name| *name != "x").collect();
        assert!(placeholders.len() > 10, "{placeholders:?}");
        for name in placeholders {
            assert!(help.to_string().contains(&format!("{{{name}}}")), "{{{name}}} in {help}");
        }
    }

    #[cfg(feature = "nats")]
    #[test]
    fn the_help_of_the_bridge_says_which_messages_are_lost() {
        let mut cli = Cli::command();
        let help = cli.find_subcommand_mut("bridge").expect("it is there").render_long_help();
        assert!(help.to_string().contains("Without --jetstream"), "{help}");
    }

    fn collect_help(command: &mut Command, texts: &mut Vec<String>) {
        texts.push(command.render_help().to_string());
        command.get_subcommands_mut().for_each(|below| collect_help(below, texts));
    }

    /// The words of a command, up to its explanation or the redirection of its output.
    fn words(command: &str) -> Vec<String> {
        let mut words = vec![String::new()];
        let mut quote = None;
        let mut last = ' ';
        for letter in command.chars() {
            match (quote, letter) {
                (None, '\'' | '"') => quote = Some(letter),
                (Some(open), _) if open == letter => quote = None,
                (None, ' ') if last == ' ' => break,
                (None, ' ') => words.push(String::new()),
                (None, '>' | '<') => break,
                _ => words.last_mut().expect("there is one").push(letter),
            }
            last = if quote.is_none() { letter } else { 'x' };
        }
        words.retain(|word| !word.is_empty());
        words
    }
}
