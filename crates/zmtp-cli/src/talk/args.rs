//! The options of the eleven kinds.

use std::net::SocketAddr;
use std::str::FromStr;

use bytes::Bytes;
use clap::Args;
use zmtp_socket::WhenFull;

use super::kinds::Tuning;
use super::receive::Reaction;
use crate::ending::Failure;
use crate::exec::ExecArgs;
use crate::input::InputArgs;
use crate::link::Link;
use crate::notes::Notes;
use crate::output::OutputArgs;
use crate::role::Endpoints;
use crate::text::unescape;

/// The options of all kinds.
#[derive(Debug, Args)]
pub(crate) struct Base {
    #[command(flatten)]
    pub(super) endpoints: Endpoints,

    /// End after N messages: received ones, or sent ones if the socket only sends; -m and -f are then repeated
    #[arg(short = 'n', long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub(super) count: Option<u64>,

    /// End with status 124 when nothing could be received, sent or answered for this long, such as 500ms
    #[arg(short = 'w', long, value_name = "TIME")]
    pub(super) timeout: Option<humantime::Duration>,

    /// Read and write lines of JSON: {"parts":["text",{"base64":"..."}]}
    #[arg(short, long)]
    pub(super) json: bool,

    /// Print at the end, on standard error, how much was sent, received and lost; with --json, as JSON
    #[arg(short, long)]
    pub(super) stats: bool,

    /// Serve counters over HTTP at this address: /metrics in the OpenMetrics format, /stats.json for zmtp top
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(super) metrics: Option<SocketAddr>,

    #[command(flatten)]
    pub(super) link: Link,
}

/// The options of kinds that send.
#[derive(Debug, Args)]
#[command(next_help_heading = "Sending")]
pub(crate) struct SendArgs {
    /// Send at most N messages a second
    #[arg(short, long, value_name = "N")]
    pub(super) rate: Option<Rate>,

    /// Send the messages of -m and -f again and again
    #[arg(long)]
    pub(super) repeat: bool,

    /// Wait for a peer before the first message is sent; pub and xpub wait for a subscriber of that message
    #[arg(short = 'p', long)]
    pub(super) wait_for_peer: bool,

    /// For pub, xpub and router: do not wait for a peer that is too slow; it loses messages
    #[arg(long)]
    drop: bool,

    /// For dealer and router: our identity, by which a ROUTER addresses us
    #[arg(long, value_name = "TEXT", value_parser = unescaped)]
    identity: Option<Bytes>,

    #[command(flatten)]
    pub(super) input: InputArgs,
}

/// Messages a second.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rate(f64);

impl Rate {
    pub(super) fn get(self) -> f64 {
        self.0
    }
}

impl SendArgs {
    pub(super) fn tuning(&self, base: &Base) -> Tuning {
        let identity = self.identity.clone().unwrap_or_default();
        let when_full = if self.drop { WhenFull::DropNew } else { WhenFull::Wait };
        Tuning { when_full, identity, ..Tuning::of(base) }
    }
}

impl FromStr for Rate {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text.parse() {
            Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(Self(rate)),
            _ => Err("must be a number greater than 0"),
        }
    }
}

/// The options of subscribers.
#[derive(Debug, Args)]
#[command(next_help_heading = None::<&str>)]
pub(crate) struct Topics {
    /// Subscribe to messages that begin with TOPIC; may be repeated [default: all messages]
    #[arg(short, long, value_name = "TOPIC", value_parser = unescaped, allow_hyphen_values = true)]
    topic: Vec<Bytes>,
}

impl Topics {
    pub(super) fn each(&self, mut subscribe: impl FnMut(&Bytes)) {
        match self.topic.is_empty() {
            true => subscribe(&Bytes::new()),
            false => self.topic.iter().for_each(subscribe),
        }
    }
}

fn unescaped(text: &str) -> Result<Bytes, String> {
    unescape(text).map(Bytes::from)
}

/// The options of publishers.
#[derive(Debug, Args)]
#[command(next_help_heading = None::<&str>)]
pub(crate) struct Prefix {
    /// Put TOPIC before each message, as its first part; subscriptions are compared with it
    #[arg(short, long, value_name = "TOPIC", value_parser = unescaped, allow_hyphen_values = true)]
    pub(super) topic: Option<Bytes>,
}

/// A socket that publishes.
#[derive(Debug, Args)]
pub(crate) struct PubArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) prefix: Prefix,
    #[command(flatten)]
    pub(super) send: SendArgs,
}

/// A socket that sends.
#[derive(Debug, Args)]
pub(crate) struct PushArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) send: SendArgs,
}

/// A socket that receives.
#[derive(Debug, Args)]
pub(crate) struct PullArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) exec: ExecArgs,
}

/// A socket that subscribes.
#[derive(Debug, Args)]
pub(crate) struct SubArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) topics: Topics,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) exec: ExecArgs,
}

/// A socket that sends and receives.
#[derive(Debug, Args)]
pub(crate) struct DuplexArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) send: SendArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) exec: ExecArgs,
}

/// An XPUB.
#[derive(Debug, Args)]
pub(crate) struct XpubArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) prefix: Prefix,
    #[command(flatten)]
    pub(super) send: SendArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) exec: ExecArgs,
}

/// An XSUB.
#[derive(Debug, Args)]
pub(crate) struct XsubArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) topics: Topics,
    #[command(flatten)]
    pub(super) send: SendArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    pub(super) exec: ExecArgs,
}

/// The options of a socket that sends and receives.
#[derive(Clone, Copy, Debug)]
pub(super) struct Conversation<'a> {
    pub(super) base: &'a Base,
    pub(super) topic: Option<&'a Bytes>,
    pub(super) send: &'a SendArgs,
    pub(super) output: &'a OutputArgs,
    pub(super) exec: &'a ExecArgs,
}

impl<'a> From<&'a DuplexArgs> for Conversation<'a> {
    fn from(args: &'a DuplexArgs) -> Self {
        let DuplexArgs { base, send, output, exec } = args;
        Self { base, topic: None, send, output, exec }
    }
}

impl<'a> From<&'a XpubArgs> for Conversation<'a> {
    fn from(args: &'a XpubArgs) -> Self {
        let XpubArgs { base, prefix, send, output, exec } = args;
        Self { base, topic: prefix.topic.as_ref(), send, output, exec }
    }
}

impl<'a> From<&'a XsubArgs> for Conversation<'a> {
    fn from(args: &'a XsubArgs) -> Self {
        let XsubArgs { base, send, output, exec, topics: _ } = args;
        Self { base, topic: None, send, output, exec }
    }
}

/// A REQ.
#[derive(Debug, Args)]
pub(crate) struct ReqArgs {
    #[command(flatten)]
    pub(super) base: Base,
    #[command(flatten)]
    pub(super) input: InputArgs,

    /// Send at most N requests a second
    #[arg(short, long, value_name = "N", help_heading = "Sending")]
    pub(super) rate: Option<Rate>,

    /// Send a request up to N more times, if no reply comes in time or the connection ends; needs --timeout
    #[arg(
        long,
        value_name = "N",
        default_value = "0",
        requires = "timeout",
        help_heading = "Sending"
    )]
    retries: u32,

    /// Our identity, by which a ROUTER addresses us
    #[arg(long, value_name = "TEXT", value_parser = unescaped, help_heading = "Sending")]
    identity: Option<Bytes>,

    #[command(flatten)]
    pub(super) output: OutputArgs,
}

impl ReqArgs {
    pub(super) fn tuning(&self) -> Tuning {
        let identity = self.identity.clone().unwrap_or_default();
        let request_timeout = self.base.timeout.map(Into::into);
        Tuning { identity, request_timeout, retries: self.retries, ..Tuning::of(&self.base) }
    }
}

/// A REP.
#[derive(Debug, Args)]
pub(crate) struct RepArgs {
    #[command(flatten)]
    pub(super) base: Base,

    /// Reply to each request with the request itself
    #[arg(long, conflicts_with_all = ["message", "file", "exec"], help_heading = None::<&str>)]
    echo: bool,

    #[command(flatten)]
    input: InputArgs,
    #[command(flatten)]
    pub(super) output: OutputArgs,
    #[command(flatten)]
    exec: ExecArgs,
}

impl RepArgs {
    /// How requests are answered: by a command, by themselves, by the messages of the command line,
    /// or by those of standard input.
    pub(super) fn reaction(&self, notes: &Notes) -> Result<Reaction, Failure> {
        if let Some(commands) = self.exec.commands(self.base.json, notes) {
            return Ok(Reaction::Run(commands));
        }
        if self.echo {
            return Ok(Reaction::Echo);
        }
        Ok(Reaction::Answer(self.input.source(self.base.json)?))
    }
}
