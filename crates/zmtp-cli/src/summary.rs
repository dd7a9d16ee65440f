//! `--stats`: the messages sent and received, reported at the end.

use std::cell::Cell;
use std::time::Instant;

use indicatif::HumanCount;
use serde::Serialize;
use zmtp_socket::{Stats, Unfinished};

use crate::notes::Notes;

/// Counts messages as they pass.
#[derive(Debug, Default)]
pub(crate) struct Meter {
    sent: Cell<u64>,
    received: Cell<u64>,
    span: Cell<Option<(Instant, Instant)>>,
}

impl Meter {
    pub(crate) fn sent(&self, count: u64) {
        self.sent.update(|sent| sent + count);
        self.now();
    }

    pub(crate) fn received(&self, count: u64) {
        self.received.update(|received| received + count);
        self.now();
    }

    pub(crate) fn has_sent(&self) -> u64 {
        self.sent.get()
    }

    fn now(&self) {
        let now = Instant::now();
        let (first, _) = self.span.get().unwrap_or((now, now));
        self.span.set(Some((first, now)));
    }

    /// The totals.
    pub(crate) fn summary(&self, totals: &Stats, unfinished: Unfinished) -> Summary {
        let seconds = self.span.get().map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        let passed = self.sent.get().max(self.received.get());
        Summary {
            sent: self.sent.get(),
            received: self.received.get(),
            octets: totals.sent_octets + totals.received_octets,
            seconds,
            per_second: if seconds > 0.0 { passed as f64 / seconds } else { 0.0 },
            dropped: totals.dropped,
            undelivered: totals.undelivered.max(unfinished.unsent as u64),
        }
    }
}

/// The totals at the end.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    sent: u64,
    received: u64,
    octets: u64,
    seconds: f64,
    per_second: f64,
    dropped: u64,
    undelivered: u64,
}

impl Summary {
    /// Writes the totals to standard error.
    pub(crate) fn print(&self, json: bool, notes: &Notes) {
        if json {
            eprintln!("{}", serde_json::to_string(self).expect("numbers can be written"));
            return;
        }
        let count = HumanCount;
        notes.always(format_args!(
            "{} sent, {} received, {} in {:.3} s: {}/s; {} dropped, {} undelivered",
            count(self.sent),
            count(self.received),
            crate::text::octets(self.octets),
            self.seconds,
            count(self.per_second as u64),
            count(self.dropped),
            count(self.undelivered),
        ));
    }
}
