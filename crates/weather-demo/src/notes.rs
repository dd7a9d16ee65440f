//! What a program says on standard error beside its work.

use std::collections::HashSet;
use std::fmt;
use std::io::{self, Write};

use indicatif::ProgressBar;
use zmtp_socket::{Endpoint, Event, Monitor, Reason};

/// Says lines on standard error, each under the program's name. Cheap to clone.
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

    /// The same, above a progress bar.
    pub fn above(self, bar: ProgressBar) -> Self {
        Self { bar, ..self }
    }

    /// Says one line. That nobody can read it (standard error is closed) is no reason to fail.
    pub fn say(&self, line: impl fmt::Display) {
        // Standard error has no buffer; a line written at once is not torn by other writers.
        let line = format!("{}: {line}\n", self.program);
        self.bar.suspend(|| {
            let _ = io::stderr().write_all(line.as_bytes());
        });
    }
}

/// Says when a connected endpoint does not answer, or is lost, and when it answers again; returns when
/// the socket is gone, or all of `dialled`, if there are any, have refused it for good.
pub async fn watch(mut monitor: Monitor, notes: Notes, mut dialled: HashSet<Endpoint>) {
    let mut silent = HashSet::new();
    let mut hung_up = HashSet::new();
    while let Some(event) = monitor.next().await {
        match event {
            // Said once, however often it is tried.
            Event::RetryingIn { endpoint, reason, .. } if !silent.contains(&endpoint) => {
                notes.say(format_args!("{endpoint}: {reason}; trying again until it answers"));
                silent.insert(endpoint);
            }
            Event::HandshakeFailed { peer, reason: Reason::PeerClosed, .. }
                if hung_up.insert(peer.endpoint().clone()) =>
            {
                notes.say(format_args!(
                    "{}: hung up in the handshake: is it a ZeroMQ peer of this mechanism, and is its key right?",
                    peer.endpoint()
                ));
            }
            Event::HandshakeSucceeded { peer, .. } if silent.remove(peer.endpoint()) => {
                notes.say(format_args!("{}: connected", peer.endpoint()));
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
