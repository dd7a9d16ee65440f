//! Notes on standard error, beside the output.

use std::collections::{HashMap, HashSet};
use std::env;
use std::fmt;
use std::io::{self, IsTerminal, Write};

use zmtp_socket::{Endpoint, Event, Monitor, Reason, WireError};

/// How many reasons are reported of an endpoint. A peer may invent a new one each time.
const REASONS: usize = 16;

/// How much is reported.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Errors only.
    Quiet,
    /// The endpoints where we listen, and faults.
    #[default]
    Normal,
    /// Each peer that comes and goes, too.
    Verbose,
}

/// Writes lines to standard error.
#[derive(Clone, Debug)]
pub(crate) struct Notes {
    verbosity: Verbosity,
    colours: bool,
}

impl Notes {
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        Self { verbosity, colours: has_colours(&io::stderr()) }
    }

    /// Reports why the program fails.
    pub(crate) fn error(&self, line: impl fmt::Display) {
        self.write("31", line);
    }

    /// Writes a line that the user asked for.
    pub(crate) fn always(&self, line: impl fmt::Display) {
        self.write("36", line);
    }

    /// Writes a line that needs attention.
    pub(crate) fn warn(&self, line: impl fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            self.write("33", line);
        }
    }

    /// Writes a line that is good to know.
    pub(crate) fn info(&self, line: impl fmt::Display) {
        if self.verbosity >= Verbosity::Normal {
            self.write("2", line);
        }
    }

    /// Writes a line that helps to find a fault.
    fn detail(&self, line: impl fmt::Display) {
        if self.verbosity >= Verbosity::Verbose {
            self.write("2", line);
        }
    }

    /// Standard error is unbuffered: a line written with one call is not mixed with others. An
    /// error is ignored, since the program does not need a reader of its notes.
    fn write(&self, colour: &str, line: impl fmt::Display) {
        let line = match self.colours {
            true => format!("\x1b[{colour}mzmtp:\x1b[0m {line}\n"),
            false => format!("zmtp: {line}\n"),
        };
        let _ = io::stderr().write_all(line.as_bytes());
    }
}

/// Whether to write colours to a stream: on a terminal, unless `NO_COLOR` is set (no-color.org).
pub(crate) fn has_colours(stream: &impl IsTerminal) -> bool {
    stream.is_terminal()
        && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
        && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Reports the events of the endpoints. A reason why an endpoint cannot be reached is reported
/// once, until the endpoint is reached. Ends only when all of `dialled`, if there are any, have
/// refused us for good; returns the reason of the last.
pub(crate) async fn watch(
    mut monitor: Monitor,
    notes: &Notes,
    mut dialled: HashSet<Endpoint>,
) -> String {
    let mut reported = Reported::default();
    while let Some(event) = monitor.next().await {
        match event {
            Event::RetryingIn { endpoint, reason, .. } if reported.is_news(&endpoint, &reason) => {
                notes.warn(format_args!("{endpoint}: {}; trying again", explain(&reason)));
            }
            Event::HandshakeFailed { peer, reason, .. } => {
                let endpoint = peer.endpoint();
                if reported.is_news_of_handshake(endpoint, &reason) {
                    notes.warn(format_args!("{endpoint}: {}", explain_handshake(&reason)));
                }
            }
            Event::HandshakeSucceeded { peer, info, .. } => {
                let kind = info.socket_type.map_or("peer", |kind| kind.name());
                let line = format!("{kind} at {} ({})", peer.address(), peer.endpoint());
                match reported.forget(peer.endpoint()) {
                    true => notes.info(format_args!("connected: {line}")),
                    false => notes.detail(format_args!("connected: {line}")),
                }
            }
            Event::Disconnected { peer, reason, .. } => notes.detail(format_args!(
                "disconnected: {} ({}): {reason}",
                peer.address(),
                peer.endpoint()
            )),
            Event::Subscribed { peer, topic, .. } => {
                let topic = topic.escape_ascii();
                notes.detail(format_args!("{} subscribed to \"{topic}\"", peer.address()));
            }
            Event::Unsubscribed { peer, topic, .. } => {
                let topic = topic.escape_ascii();
                notes.detail(format_args!("{} unsubscribed from \"{topic}\"", peer.address()));
            }
            Event::Dropping { peer, mark, .. } => notes.warn(format_args!(
                "{} is too slow and loses messages: {mark} wait for it (--hwm sets the mark)",
                peer.address()
            )),
            Event::AcceptFailed { endpoint, reason, .. }
                if reported.is_news(&endpoint, &reason) =>
            {
                notes.warn(format_args!("{endpoint}: cannot accept connections: {reason}"));
            }
            Event::Parked { endpoint, reason, .. } => {
                let line = format!("{endpoint}: {}; not trying again", explain(&reason));
                if dialled.remove(&endpoint) && dialled.is_empty() {
                    return line;
                }
                notes.warn(line);
            }
            _ => {}
        }
    }
    std::future::pending().await
}

/// Why there is no connection, with a possible remedy.
pub(crate) fn explain(reason: &Reason) -> String {
    let advice = match reason {
        Reason::Transport(error) if error.kind() == io::ErrorKind::ConnectionRefused => {
            " (nobody listens there yet)"
        }
        Reason::Protocol(WireError::Refused { .. }) => {
            " (does it know our key, or our name and password?)"
        }
        _ => "",
    };
    format!("{reason}{advice}")
}

/// Why a handshake failed, with a possible remedy.
pub(crate) fn explain_handshake(reason: &Reason) -> String {
    match reason {
        Reason::PeerClosed | Reason::Protocol(WireError::CutOff { .. }) => {
            "the peer closed the connection in the handshake: does it use another mechanism or \
             another key? Is it a ZeroMQ peer? (zmtp inspect shows it)"
                .to_owned()
        }
        other => format!("the handshake failed: {}", explain(other)),
    }
}

/// The reasons that have been reported of each endpoint.
#[derive(Debug, Default)]
struct Reported(HashMap<Endpoint, HashSet<String>>);

impl Reported {
    /// Whether to report this now. An endpoint with alternating reasons, such as a name with
    /// several addresses, is not reported at every attempt.
    fn is_news(&mut self, endpoint: &Endpoint, reason: &Reason) -> bool {
        self.is_new(endpoint, reason.to_string())
    }

    fn is_news_of_handshake(&mut self, endpoint: &Endpoint, reason: &Reason) -> bool {
        self.is_new(endpoint, format!("handshake: {reason}"))
    }

    fn is_new(&mut self, endpoint: &Endpoint, reason: String) -> bool {
        let reported = self.0.entry(endpoint.clone()).or_default();
        reported.len() < REASONS && reported.insert(reason)
    }

    /// Forgets what was reported of an endpoint. Returns whether there was anything.
    fn forget(&mut self, endpoint: &Endpoint) -> bool {
        self.0.remove(endpoint).is_some()
    }
}
