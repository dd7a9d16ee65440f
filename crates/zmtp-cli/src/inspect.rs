//! `zmtp inspect`: shows what a peer is and what it supports.

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::BytesMut;
use clap::Args;
use serde_json::{Map, Value, json};
use tokio::time::timeout;
use zmtp_codec::{Config, Event, Greeting, Mechanism, Metadata, SocketType, Subscription, Version};
use zmtp_socket::wire::Stream;
use zmtp_socket::{Endpoint, SubOptions};

use crate::ending::{Ending, Failure};
use crate::notes::has_colours;
use crate::ping::{ProbeArgs, ProbeOutcome, millis};
use crate::probe::Probe;
use crate::signals::Signals;
use crate::traffic::part;

/// The most topics that are listed.
const TOPICS: usize = 1000;

/// `zmtp inspect`
#[derive(Debug, Args)]
pub(crate) struct Inspect {
    /// The peer: tcp://HOST:PORT, ipc:///PATH or ws://HOST:PORT/PATH
    endpoint: Endpoint,

    /// Test on further connections which deviations the peer tolerates
    #[arg(short, long)]
    tolerates: bool,

    /// How long to wait for its subscriptions
    #[arg(long, value_name = "TIME", default_value = "300ms")]
    listen: humantime::Duration,

    /// Print a line of JSON
    #[arg(short, long)]
    json: bool,

    #[command(flatten)]
    probing: ProbeArgs,
}

impl Inspect {
    pub(crate) async fn run(&self) -> Result<Ending, Failure> {
        let mut signals = Signals::new()?;
        let mut report = Report::default();
        let ended = tokio::select! {
            biased;
            status = signals.next() => Ok(Ending::Interrupted(status)),
            ended = self.inspect(&mut report) => ended,
        };
        report.print(&self.endpoint, self.json);
        ended
    }

    async fn inspect(&self, report: &mut Report) -> Result<Ending, Failure> {
        match self.probing.go(&self.endpoint).await? {
            ProbeOutcome::Open { mut probe, config, info, took } => {
                report.greeted(&probe);
                let kind = info.socket_type.map_or("not announced", SocketType::name);
                report.add("socket type", "socket_type", kind.to_owned(), json!(kind));
                report.metadata(&info.metadata);
                report.add(
                    "handshake",
                    "handshake_ms",
                    format!("done in {:.3} ms; we came as {}", millis(took), config.socket_type),
                    json!(millis(took)),
                );
                if matches!(info.socket_type, Some(SocketType::Sub | SocketType::XSub)) {
                    self.subscriptions(&mut probe, report).await;
                }
                self.heartbeat(&mut probe, report).await;
                if self.tolerates {
                    self.tolerance(&config, probe.is_sealed(), report).await;
                }
                Ok(Ending::Done)
            }
            ProbeOutcome::Left { theirs, probe } => {
                report.greeted(&probe);
                let line = format!(
                    "{theirs}; we left in the handshake, since it would send us messages meant for \
                     others (with --as, name the socket type to connect with nevertheless)"
                );
                report.add("socket type", "socket_type", line, json!(theirs.name()));
                Ok(Ending::Done)
            }
            ProbeOutcome::Failed { probe, diagnosis } => {
                if let Some(probe) = probe {
                    report.greeted(&probe);
                }
                let value = json!(diagnosis);
                report.add("trouble", "trouble", diagnosis, value);
                Ok(Ending::Incomplete)
            }
        }
    }

    async fn subscriptions(&self, probe: &mut Probe, report: &mut Report) {
        let mut topics = Vec::new();
        let listening = async {
            while topics.len() < TOPICS
                && let Ok(Some(event)) = probe.listen(*self.listen).await
            {
                if let Event::Subscription(Subscription::Subscribe(topic)) = event {
                    topics.push(topic);
                }
            }
        };
        // A peer that never stops talking is not listened to for ever.
        let _ended = timeout(*self.probing.timeout, listening).await;
        let shown = topics.iter().map(|topic| format!("\"{}\"", topic.escape_ascii()));
        let shown = match topics.len() {
            0 => format!("none within {}", self.listen),
            TOPICS => format!("{TOPICS}, and perhaps more"),
            _ => shown.collect::<Vec<_>>().join(", "),
        };
        let values = topics.iter().map(|topic| part(topic)).collect();
        report.add("subscriptions", "subscriptions", shown, values);
    }

    async fn heartbeat(&self, probe: &mut Probe, report: &mut Report) {
        let is_sealed = probe.is_sealed();
        let (line, value) = match probe.ping(*self.probing.timeout).await {
            Ok(Some(time)) if is_sealed => (
                format!("something came {:.3} ms after a PING (it is sealed)", millis(time)),
                json!(millis(time)),
            ),
            Ok(Some(time)) => {
                (format!("answers PING in {:.3} ms", millis(time)), json!(millis(time)))
            }
            Ok(None) => ("does not answer PING".to_owned(), json!(null)),
            Err(_) => ("hangs up on PING".to_owned(), json!(false)),
        };
        report.add("heartbeat", "ping_ms", line, value);
    }

    /// Sends unusual input to the peer, each kind on a connection of its own, followed by a PING.
    async fn tolerance(&self, config: &Arc<Config>, is_sealed: bool, report: &mut Report) {
        if matches!(self.endpoint, Endpoint::Ws { .. }) {
            let line = "not tested: over ws:// such input cannot be sent";
            return report.add("tolerance", "tolerates", line.to_owned(), json!(null));
        }
        let mut older = Config::clone(config);
        older.version = Version::V3_0;
        let mut verdicts = vec![("a peer of ZMTP 3.0", self.verdict(&older.into(), &[]).await)];
        let oddities: [(&str, &[u8]); 4] = [
            ("an unknown command", b"\x04\x06\x05XYZZY"),
            ("a short frame in the long form", b"\x06\0\0\0\0\0\0\0\x07\x04PING\0\0"),
            ("a frame with a reserved flag", b"\x0C\x07\x04PING\0\0"),
            ("READY after the handshake", b"\x04\x06\x05READY"),
        ];
        for (what, octets) in oddities {
            if !is_sealed {
                verdicts.push((what, self.verdict(config, octets).await));
            }
        }
        if matches!(config.mechanism, Mechanism::Null) {
            let what = "greeting, READY and PING at once";
            verdicts.push((what, self.verdict_at_once(config).await));
        }
        let mut lines = String::new();
        for (what, verdict) in &verdicts {
            let separator = if lines.is_empty() { "" } else { "\n" };
            let _ = write!(lines, "{separator}{what}: {verdict}");
        }
        let value = verdicts.iter().map(|(what, verdict)| ((*what).to_owned(), json!(verdict)));
        report.add("tolerance", "tolerates", lines, Value::Object(value.collect()));
    }

    async fn verdict(&self, config: &Arc<Config>, octets: &[u8]) -> &'static str {
        let patience = *self.probing.timeout;
        let Ok(mut probe) = Probe::dial(&self.endpoint, config.clone(), patience).await else {
            return "cannot be reached any more";
        };
        if probe.handshake(patience).await.is_err() {
            return "hangs up";
        }
        match probe.say(octets).await {
            Ok(()) => aftermath(&mut probe, patience).await,
            Err(_) => "hangs up",
        }
    }

    /// Sends our whole side of the handshake and a PING at once. A peer need not wait for the other
    /// side before it does so.
    async fn verdict_at_once(&self, config: &Arc<Config>) -> &'static str {
        let patience = *self.probing.timeout;
        let dialled = Stream::connect(&self.endpoint, &SubOptions::new()).await;
        let Ok((mut stream, _)) = dialled else {
            return "cannot be reached any more";
        };
        let greeting = Greeting {
            version: Version::V3_1,
            mechanism: config.mechanism.name(),
            as_server: false,
        };
        let kind = config.socket_type.name();
        let Ok(metadata) = Metadata::new().with("Socket-Type", kind) else { return "unknown" };
        let mut octets = BytesMut::from(&greeting.encode()[..]);
        zmtp_codec::Command::Ready(metadata).encode(&mut octets);
        octets.extend_from_slice(b"\x04\x09\x04PING\0\0id");
        let conversation = async {
            use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
            if stream.write_all(&octets).await.is_err() {
                return "hangs up";
            }
            let mut observed = Vec::new();
            let mut buffer = [0; 4096];
            while !observed.windows(7).any(|it| it == b"\x04PONGid") && observed.len() < 1 << 20 {
                match stream.read(&mut buffer).await {
                    Ok(0) | Err(_) => return "hangs up",
                    Ok(count) => observed.extend_from_slice(&buffer[..count]),
                }
            }
            "tolerated"
        };
        tokio::time::timeout(patience, conversation).await.unwrap_or("falls silent")
    }
}

/// How the connection goes on after unusual input.
async fn aftermath(probe: &mut Probe, patience: Duration) -> &'static str {
    match probe.ping(patience).await {
        Ok(Some(_)) => "tolerated",
        Ok(None) => "falls silent",
        Err(_) => "hangs up",
    }
}

/// The findings, in the order of output.
#[derive(Debug, Default)]
struct Report {
    lines: Vec<(&'static str, String)>,
    values: Map<String, Value>,
}

impl Report {
    fn add(&mut self, name: &'static str, key: &str, line: String, value: Value) {
        self.lines.push((name, line));
        self.values.insert(key.to_owned(), value);
    }

    /// Adds the findings that every peer gives.
    fn greeted(&mut self, probe: &Probe) {
        let time = millis(probe.connected_in);
        let line = format!("{}, connected in {time:.3} ms", probe.address);
        self.add("address", "address", line, json!(probe.address));
        self.values.insert("connect_ms".to_owned(), json!(time));
        if let Some(profile) = probe.sub_protocol() {
            // ZWS has no greeting.
            self.add("sub-protocol", "sub_protocol", profile.to_owned(), json!(profile));
            return;
        }
        let Some(greeting) = probe.observed.greeting else { return };
        let Greeting { version, mechanism, as_server } = greeting;
        let side = if as_server { ", as its server" } else { "" };
        let value = json!({"version": version.to_string(), "mechanism": mechanism.to_string(),
            "as_server": as_server});
        self.add("greeting", "greeting", format!("ZMTP {version}, {mechanism}{side}"), value);
    }

    fn metadata(&mut self, metadata: &Metadata) {
        let shown =
            metadata.iter().map(|(name, value)| format!("{name}: \"{}\"", value.escape_ascii()));
        let line = shown.collect::<Vec<_>>().join(", ");
        let value = metadata
            .iter()
            .map(|(name, value)| (name.to_owned(), json!(String::from_utf8_lossy(value))));
        self.add("metadata", "metadata", line, Value::Object(value.collect()));
    }

    fn print(&self, endpoint: &Endpoint, json: bool) {
        if json {
            let mut values = self.values.clone();
            values.insert("endpoint".to_owned(), json!(endpoint.to_string()));
            println!("{}", Value::Object(values));
            return;
        }
        let colours = has_colours(&std::io::stdout());
        println!("{endpoint}");
        for (name, line) in &self.lines {
            for (number, line) in line.lines().enumerate() {
                let name = if number == 0 { name } else { "" };
                match colours {
                    true => println!("  \x1b[36m{name:<14}\x1b[0m {line}"),
                    false => println!("  {name:<14} {line}"),
                }
            }
        }
    }
}
