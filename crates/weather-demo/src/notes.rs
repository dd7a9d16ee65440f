//! The notes of a program on standard error, beside its output.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::io::{self, Write};

use indicatif::ProgressBar;
use zmtp_socket::{Endpoint, Event, Monitor, Reason};

/// How many reasons are reported of an endpoint. A peer may invent a new one each time.
const REASONS: usize = 16;

/// Writes lines to standard error, each after the program's name. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Notes {
    program: &'static str,
    bar: ProgressBar,
}

impl Notes {
    /// Notes of this program.
    pub fn new(program: &'static str) -> Self {
        Self { program, bar: ProgressBar::hidden() }
    }

    /// The same notes, above a progress bar.
    pub fn above(self, bar: ProgressBar) -> Self {
        Self { bar, ..self }
    }

    /// Writes one line. An error is ignored, since the program does not need a reader of its notes.
    pub fn say(&self, line: impl fmt::Display) {
        // Standard error is unbuffered: a line written with one call is not mixed with others.
        let line = format!("{}: {line}\n", self.program);
        self.bar.suspend(|| {
            let _ = io::stderr().write_all(line.as_bytes());
        });
    }
}

/// Reports why a connected endpoint does not answer, each reason once until it answers, and when it
/// answers; and why an endpoint accepts no connections. Returns when the socket is gone, or when
/// all of `dialled`, if there are any, have refused it for good.
pub async fn watch(mut monitor: Monitor, notes: Notes, mut dialled: HashSet<Endpoint>) {
    let (mut retried, mut hung_up) = (Reported::default(), Reported::default());
    let mut not_accepted = Reported::default();
    while let Some(event) = monitor.next().await {
        match event {
            Event::RetryingIn { endpoint, reason, .. } if retried.is_news(&endpoint, &reason) => {
                notes.say(format_args!("{endpoint}: {reason}; trying again until it answers"));
            }
            Event::HandshakeFailed { peer, reason: reason @ Reason::PeerClosed, .. }
                if hung_up.is_news(peer.endpoint(), &reason) =>
            {
                notes.say(format_args!(
                    "{}: the peer closed the connection in the handshake: is it a ZeroMQ peer with the same mechanism, and is the key right?",
                    peer.endpoint()
                ));
            }
            Event::HandshakeSucceeded { peer, .. } => {
                hung_up.forget(peer.endpoint());
                if retried.forget(peer.endpoint()) {
                    notes.say(format_args!("{}: connected", peer.endpoint()));
                }
            }
            Event::AcceptFailed { endpoint, reason, .. }
                if not_accepted.is_news(&endpoint, &reason) =>
            {
                notes.say(format_args!("{endpoint}: cannot accept connections for now: {reason}"));
            }
            Event::Parked { endpoint, reason, .. } => {
                notes.say(format_args!("{endpoint}: {reason}; not trying again"));
                if dialled.remove(&endpoint) && dialled.is_empty() {
                    return;
                }
            }
            _ => {}
        }
    }
}

/// The reasons that have been reported of each endpoint.
#[derive(Debug, Default)]
struct Reported(HashMap<Endpoint, HashSet<String>>);

impl Reported {
    /// Whether to report this now. An endpoint with alternating reasons, such as a name with
    /// several addresses, is not reported at every attempt.
    fn is_news(&mut self, endpoint: &Endpoint, reason: &Reason) -> bool {
        let reported = self.0.entry(endpoint.clone()).or_default();
        reported.len() < REASONS && reported.insert(reason.to_string())
    }

    /// Forgets what was reported of an endpoint. Returns whether there was anything.
    fn forget(&mut self, endpoint: &Endpoint) -> bool {
        self.0.remove(endpoint).is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_reason_is_news_once_until_it_is_forgotten() {
        let mut reported = Reported::default();
        let [one, other]: [Endpoint; 2] =
            ["tcp://127.0.0.1:1", "tcp://127.0.0.1:2"].map(|endpoint| endpoint.parse().unwrap());
        assert!(!reported.forget(&one));
        assert!(reported.is_news(&one, &Reason::PeerClosed));
        assert!(reported.is_news(&one, &Reason::Stopped));
        assert!(!reported.is_news(&one, &Reason::PeerClosed));
        assert!(reported.is_news(&other, &Reason::PeerClosed));
        assert!(reported.forget(&one));
        assert!(reported.is_news(&one, &Reason::PeerClosed));
    }

    #[test]
    fn a_peer_that_makes_reasons_up_is_not_told_of_without_end() {
        let mut reported = Reported::default();
        let endpoint: Endpoint = "tcp://127.0.0.1:1".parse().unwrap();
        let made_up = |number: u32| Reason::from(io::Error::other(format!("reason {number}")));
        let news =
            (0..1000).filter(|&number| reported.is_news(&endpoint, &made_up(number))).count();
        assert_eq!(news, REASONS);
    }
}
