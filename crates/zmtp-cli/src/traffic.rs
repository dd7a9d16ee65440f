//! Formats everything that two sides of a connection send, as lines.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{Duration, SystemTime};

use serde_json::{Map, Value, json};
use zmtp_codec::{Command, Greeting, Metadata, Said, Side, Subscription};

use crate::json::push_part;
use crate::probe::command_name;

/// The style of the lines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct TrafficStyle {
    pub(crate) json: bool,
    /// How many octets of a part are shown.
    pub(crate) octets: usize,
    pub(crate) timestamp: bool,
    pub(crate) colours: bool,
}

/// The time and the connection of a line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Heading {
    pub(crate) since: Duration,
    pub(crate) time: SystemTime,
    pub(crate) connection: u64,
}

impl TrafficStyle {
    /// Appends an observation.
    pub(crate) fn push(
        &self,
        heading: Heading,
        side: Side,
        position: u64,
        said: &Said,
        out: &mut Vec<u8>,
    ) {
        match self.json {
            true => {
                let mut object = self.object(heading, Some(side));
                object.insert("position".to_owned(), json!(position));
                insert(said, &mut object);
                push_json(object, out);
            }
            false => self.push_line(heading, Some(side), &self.describe(said), out),
        }
    }

    /// Appends how one direction has ended.
    pub(crate) fn push_end(&self, heading: Heading, side: Side, how: &str, out: &mut Vec<u8>) {
        match self.json {
            true => {
                let mut object = self.object(heading, Some(side));
                object.insert("end".to_owned(), json!(how));
                push_json(object, out);
            }
            false => self.push_line(heading, Some(side), how, out),
        }
    }

    /// Appends a note about a connection.
    pub(crate) fn push_note(&self, heading: Heading, text: &str, out: &mut Vec<u8>) {
        match self.json {
            true => {
                let mut object = self.object(heading, None);
                object.insert("note".to_owned(), json!(text));
                push_json(object, out);
            }
            false => self.push_line(heading, None, text, out),
        }
    }

    fn object(&self, heading: Heading, side: Option<Side>) -> Map<String, Value> {
        let time = humantime::format_rfc3339_micros(heading.time).to_string();
        let mut object = Map::new();
        object.insert("time".to_owned(), json!(time));
        object.insert("connection".to_owned(), json!(heading.connection));
        if let Some(side) = side {
            object.insert("side".to_owned(), json!(side_name(side)));
        }
        object
    }

    fn push_line(&self, heading: Heading, side: Option<Side>, text: &str, out: &mut Vec<u8>) {
        let Heading { since, time, connection } = heading;
        let (arrow, colour) = match side {
            Some(Side::Connecting) => ("→", "32"),
            Some(Side::Binding) => ("←", "34"),
            None => ("·", "2"),
        };
        let time = match self.timestamp {
            true => humantime::format_rfc3339_micros(time).to_string(),
            false => format!("{:>10.6}", since.as_secs_f64()),
        };
        let written = match self.colours {
            true => writeln!(
                out,
                "\x1b[2m{time} #{connection}\x1b[0m \x1b[{colour}m{arrow} {text}\x1b[0m"
            ),
            false => writeln!(out, "{time} #{connection} {arrow} {text}"),
        };
        written.expect("memory can be written to");
    }

    fn describe(&self, said: &Said) -> String {
        match said {
            Said::Greeting(Greeting { version, mechanism, as_server }) => {
                let side = if *as_server { ", as its server" } else { "" };
                format!("greeting: ZMTP {version}, {mechanism}{side}")
            }
            Said::Command(command) => self.describe_command(command),
            Said::Subscription(Subscription::Subscribe(topic)) => {
                format!("SUBSCRIBE {}", self.excerpt(topic))
            }
            Said::Subscription(Subscription::Cancel(topic)) => {
                format!("CANCEL {}", self.excerpt(topic))
            }
            Said::Part { more, body } => {
                let more = if *more { " +" } else { "" };
                format!("message [{}] {}{more}", body.len(), self.excerpt(body))
            }
            Said::Sealed { size } => format!("sealed frame [{size}]"),
            Said::Broken(error) => format!("breaks the protocol: {error}"),
            other => format!("{other:?}"),
        }
    }

    fn describe_command(&self, command: &Command) -> String {
        let mut line = command_name(command);
        let written = match command {
            Command::Ready(metadata) | Command::Initiate(metadata) => metadata
                .iter()
                .try_for_each(|(name, value)| write!(line, " {name}={}", self.excerpt(value))),
            Command::Error(reason) => write!(line, " {}", self.excerpt(reason)),
            Command::Subscribe(topic) | Command::Cancel(topic) => {
                write!(line, " {}", self.excerpt(topic))
            }
            Command::Ping { ttl, context } => {
                let ttl = f64::from(*ttl) / 10.0;
                write!(line, " ttl={ttl}s context={}", self.excerpt(context))
            }
            Command::Pong { context } => write!(line, " context={}", self.excerpt(context)),
            // The password is never shown.
            Command::Hello { username, .. } => {
                write!(line, " username={} password=***", self.excerpt(username))
            }
            Command::Opaque { data, .. } => write!(line, " [{}]", data.len()),
            _ => Ok(()),
        };
        written.expect("text can be written to");
        line
    }

    fn excerpt(&self, octets: &[u8]) -> String {
        let shown = &octets[..octets.len().min(self.octets)];
        let rest = if shown.len() < octets.len() { "…" } else { "" };
        match str::from_utf8(octets) {
            Ok(text) => {
                let mut end = shown.len();
                while !text.is_char_boundary(end) {
                    end -= 1;
                }
                format!("\"{}\"{rest}", text[..end].escape_debug())
            }
            Err(_) => format!("\"{}\"{rest}", shown.escape_ascii()),
        }
    }
}

fn side_name(side: Side) -> &'static str {
    match side {
        Side::Connecting => "connecting",
        Side::Binding => "binding",
    }
}

fn push_json(object: Map<String, Value>, out: &mut Vec<u8>) {
    writeln!(out, "{}", Value::Object(object)).expect("memory can be written to");
}

/// Adds the fields of an observation to an object.
fn insert(said: &Said, object: &mut Map<String, Value>) {
    let mut put = |name: &str, value: Value| object.insert(name.to_owned(), value);
    match said {
        Said::Greeting(Greeting { version, mechanism, as_server }) => {
            put("said", json!("greeting"));
            put("version", json!(version.to_string()));
            put("mechanism", json!(mechanism.to_string()));
            put("as_server", json!(as_server));
        }
        Said::Command(command) => {
            put("said", json!("command"));
            put("name", json!(command_name(command)));
            match command {
                Command::Ready(metadata) | Command::Initiate(metadata) => {
                    put("metadata", properties(metadata));
                }
                Command::Error(reason) => drop(put("reason", part(reason))),
                Command::Ping { ttl, context } => {
                    put("ttl", json!(f64::from(*ttl) / 10.0));
                    put("context", part(context));
                }
                Command::Pong { context } => drop(put("context", part(context))),
                Command::Hello { username, .. } => drop(put("username", part(username))),
                Command::Opaque { data, .. } => drop(put("size", json!(data.len()))),
                _ => {}
            }
        }
        Said::Subscription(subscription) => {
            let is_subscribe = matches!(subscription, Subscription::Subscribe(_));
            put("said", json!(if is_subscribe { "subscribe" } else { "cancel" }));
            put("topic", part(subscription.topic()));
        }
        Said::Part { more, body } => {
            put("said", json!("part"));
            put("more", json!(more));
            put("part", part(body));
        }
        Said::Sealed { size } => {
            put("said", json!("sealed"));
            put("size", json!(size));
        }
        Said::Broken(error) => {
            put("said", json!("broken"));
            put("error", json!(error.to_string()));
        }
        other => drop(put("said", json!(format!("{other:?}")))),
    }
}

fn properties(metadata: &Metadata) -> Value {
    let pairs = metadata.iter().map(|(name, value)| (name.to_owned(), part(value)));
    Value::Object(pairs.collect())
}

/// Octets as a JSON value: text, or base64 in an object.
pub(crate) fn part(octets: &[u8]) -> Value {
    let mut out = Vec::new();
    push_part(octets, &mut out);
    serde_json::from_slice(&out).expect("what was written as JSON can be read")
}
