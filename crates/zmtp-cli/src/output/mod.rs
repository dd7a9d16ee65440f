//! Writes received messages to standard output.

mod format;
mod writer;

use std::io::{self, IsTerminal, Write};
use std::time::{Instant, SystemTime};

use bytes::Bytes;
use clap::{Args, ValueEnum};
use zmtp_socket::Message;

use crate::ending::{Failure, Usage};
use crate::json;
use crate::text::{push_hex, push_shown, unescape};

pub(crate) use self::format::Template;
pub(crate) use self::writer::Writer;

/// How messages are written.
#[derive(Debug, Args)]
#[command(next_help_heading = "Output")]
pub(crate) struct OutputArgs {
    /// The form in which messages are written
    #[arg(short, long, value_enum, value_name = "FORM", default_value = "text", conflicts_with_all = ["json", "format"])]
    output: Form,

    /// Write each message as FORMAT says, such as '{topic} {1} {size}'
    #[arg(
        short = 'F',
        long,
        conflicts_with = "json",
        allow_hyphen_values = true,
        long_help = "\
Write each message as FORMAT says. It may contain, in braces,
  {}              all parts, with the text of --join between them
  {0} {1} ...     the first part, the second ...; empty if there is none
  {topic} {body}  the first part; all other parts
  {hex} {base64} {json}   all parts, in this form
  {size} {parts}  the number of octets; the number of parts
  {number}        the number of the message, from 1 up
  {time} {unix} {delta}   when it came: RFC 3339, seconds since 1970, seconds since the last message
and \\t \\n \\0 \\xNN \\\\, and {{ or }} for a brace. A line end is added, unless FORMAT ends with \\c"
    )]
    format: Option<String>,

    /// Begin each message with the time when it came
    #[arg(long)]
    timestamp: bool,

    /// Begin each message with the seconds since the last message
    #[arg(long)]
    delta_time: bool,

    /// The text between the parts of a message; may contain \t, \n, \0 and \xNN [default: \t]
    #[arg(long = "join", value_name = "TEXT", value_parser = unescape_arg, allow_hyphen_values = true)]
    join: Option<Separator>,
}

/// How a message is written, or read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// A line of text
    Text,
    /// A line of JSON: {"parts":["text",{"base64":"..."}]}
    Json,
    /// A line of hexadecimal digits, a space between parts
    Hex,
    /// The number of parts, then each part after its length; numbers have 4 octets, big-endian
    Sized,
}

/// The octets between parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Separator(pub(crate) Vec<u8>);

/// Parses a separator with its escapes.
pub(crate) fn unescape_arg(text: &str) -> Result<Separator, String> {
    match unescape(text)? {
        octets if octets.is_empty() => Err("must not be empty".to_owned()),
        octets => Ok(Separator(octets)),
    }
}

/// Something that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Incoming {
    Message(Message),
    Subscribe(Bytes),
    Unsubscribe(Bytes),
}

impl Incoming {
    /// The parts of a message, or the topic of a subscription.
    pub(crate) fn parts(&self) -> &[Bytes] {
        match self {
            Self::Message(message) => message.parts(),
            Self::Subscribe(topic) | Self::Unsubscribe(topic) => std::slice::from_ref(topic),
        }
    }

    /// The name of an event that is not a message.
    fn event(&self) -> Option<&'static str> {
        match self {
            Self::Message(_) => None,
            Self::Subscribe(_) => Some("subscribe"),
            Self::Unsubscribe(_) => Some("unsubscribe"),
        }
    }
}

/// Formats messages as octets.
#[derive(Debug)]
pub(crate) struct Printer {
    style: Style,
    separator: Vec<u8>,
    timestamp: bool,
    delta_time: bool,
    /// Whether the output is a terminal, which must not obey octets of peers.
    to_terminal: bool,
    count: u64,
    last: Option<Instant>,
}

#[derive(Debug)]
enum Style {
    Form(Form),
    Template(Template),
}

impl OutputArgs {
    /// A printer for standard output.
    pub(crate) fn printer(&self, json: bool) -> Result<Printer, Failure> {
        let style = match &self.format {
            Some(format) => {
                let template = Template::parse(format);
                Style::Template(template.map_err(|error| Usage(format!("--format: {error}")))?)
            }
            None => Style::Form(if json { Form::Json } else { self.output }),
        };
        if self.output == Form::Sized && (self.timestamp || self.delta_time) {
            let line = "--output sized has no place for times; --json has".to_owned();
            return Err(Usage(line).into());
        }
        let join = self.join.as_ref().map_or(&b"\t"[..], |join| &join.0);
        Ok(Printer {
            style,
            separator: join.to_vec(),
            timestamp: self.timestamp,
            delta_time: self.delta_time,
            to_terminal: io::stdout().is_terminal(),
            count: 0,
            last: None,
        })
    }
}

/// Writes a line without buffering. Returns whether that succeeded.
pub(crate) fn print_line(line: &str) -> bool {
    io::stdout().write_all(format!("{line}\n").as_bytes()).is_ok()
}

/// The time of a message.
#[derive(Clone, Copy, Debug)]
struct Moment {
    time: SystemTime,
    /// Seconds since the message before it.
    delta: f64,
    number: u64,
}

impl Printer {
    /// The same printer without regard to terminals, for the input of a command.
    pub(crate) fn for_command(mut self) -> Self {
        self.to_terminal = false;
        self
    }

    /// Appends the output for one message.
    pub(crate) fn print(&mut self, incoming: &Incoming, out: &mut Vec<u8>) {
        let moment = self.moment();
        match &self.style {
            Style::Form(Form::Sized) => return push_sized(incoming.parts(), out),
            Style::Form(Form::Json) => self.push_json(incoming, moment, out),
            Style::Form(form) => {
                self.push_times(moment, out);
                if let Some(event) = incoming.event() {
                    out.extend_from_slice(event.as_bytes());
                    out.push(b' ');
                }
                match form {
                    Form::Hex => push_hex_parts(incoming.parts(), out),
                    _ => self.push_joined(incoming.parts(), out),
                }
            }
            Style::Template(template) => {
                self.push_times(moment, out);
                template.fill(self, incoming.parts(), moment, out);
                if !template.ends_line {
                    return;
                }
            }
        }
        out.push(b'\n');
    }

    fn moment(&mut self) -> Option<Moment> {
        let wants_time = match &self.style {
            Style::Template(template) => template.wants_time,
            Style::Form(_) => false,
        };
        self.count += 1;
        if !wants_time && !self.timestamp && !self.delta_time {
            return None;
        }
        let now = Instant::now();
        let before = self.last.replace(now).unwrap_or(now);
        let delta = now.duration_since(before).as_secs_f64();
        Some(Moment { time: SystemTime::now(), delta, number: self.count })
    }

    fn push_times(&self, moment: Option<Moment>, out: &mut Vec<u8>) {
        let Some(moment) = moment else { return };
        let written = match (self.timestamp, self.delta_time) {
            (false, false) => Ok(()),
            (true, false) => write!(out, "{} ", rfc3339(moment.time)),
            (false, true) => write!(out, "+{:.6} ", moment.delta),
            (true, true) => write!(out, "{} +{:.6} ", rfc3339(moment.time), moment.delta),
        };
        written.expect("memory can be written to");
    }

    fn push_json(&self, incoming: &Incoming, moment: Option<Moment>, out: &mut Vec<u8>) {
        out.push(b'{');
        if let Some(moment) = moment {
            if self.timestamp {
                write!(out, "\"time\":\"{}\",", rfc3339(moment.time)).expect("it is memory");
            }
            if self.delta_time {
                write!(out, "\"delta\":{:.6},", moment.delta).expect("it is memory");
            }
        }
        match (incoming.event(), incoming.parts()) {
            (Some(event), [topic, ..]) => {
                write!(out, "\"{event}\":").expect("it is memory");
                json::push_part(topic, out);
            }
            (_, parts) => {
                out.extend_from_slice(b"\"parts\":");
                json::push_parts(parts, out);
            }
        }
        out.push(b'}');
    }

    fn push_joined(&self, parts: &[Bytes], out: &mut Vec<u8>) {
        for (number, part) in parts.iter().enumerate() {
            if number > 0 {
                out.extend_from_slice(&self.separator);
            }
            self.push_text(part, out);
        }
    }

    fn push_text(&self, octets: &[u8], out: &mut Vec<u8>) {
        match self.to_terminal {
            true => push_shown(octets, out),
            false => out.extend_from_slice(octets),
        }
    }
}

fn rfc3339(time: SystemTime) -> humantime::Rfc3339Timestamp {
    humantime::format_rfc3339_micros(time)
}

fn push_hex_parts(parts: &[Bytes], out: &mut Vec<u8>) {
    for (number, part) in parts.iter().enumerate() {
        if number > 0 {
            out.push(b' ');
        }
        push_hex(part, out);
    }
}

fn push_sized(parts: &[Bytes], out: &mut Vec<u8>) {
    let length = |count: usize| u32::try_from(count).unwrap_or(u32::MAX).to_be_bytes();
    out.extend_from_slice(&length(parts.len()));
    for part in parts {
        out.extend_from_slice(&length(part.len()));
        out.extend_from_slice(part);
    }
}
