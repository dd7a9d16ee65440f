//! The weather client: collects updates and reports the mean temperature.

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::pin::pin;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::coop::consume_budget;
use tokio::time::{Instant, sleep, timeout_at};
use zmtp_socket::{Message, SubSocket, TryRecvError};

use crate::{Failure, Notes, Update};

/// How many octets are shown of a message that is no update.
const SHOWN: usize = 120;
/// How often lines are written at most. Each write is a system call, and in a terminal the progress
/// bar is cleared before it and drawn after it.
const WRITE_EVERY: Duration = Duration::from_millis(50);
/// From this many octets on, lines are written before their time, so that they do not fill memory.
const WRITE_AT: usize = 4 << 20;

/// How many updates are collected, and how slowly.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// How many updates.
    pub updates: NonZeroU64,
    /// How long to sleep after each update; zero for a client that keeps up.
    pub delay: Duration,
}

/// Receives updates until `options.updates` have come, and shows each within 50 ms. It has no time
/// limit: a server that is gone may come back.
///
/// Dropping the future stops it between two updates; `collection` keeps those that came.
///
/// # Errors
///
/// Those of [`Collection`]'s output, or that the socket is closed.
pub async fn collect<W: Write>(
    socket: &mut SubSocket,
    options: &CollectOptions,
    collection: &mut Collection<W>,
) -> Result<(), Failure> {
    while collection.count < options.updates.get() {
        // A flood from the server must not keep the runtime from its other tasks.
        consume_budget().await;
        let message = match socket.try_recv() {
            Ok(message) => message,
            Err(TryRecvError::Empty) => collection.write_while(socket.recv()).await??,
            Err(closed) => return Err(closed.into()),
        };
        if collection.add(&message)? && !options.delay.is_zero() {
            collection.write_while(sleep(options.delay)).await?;
        }
    }
    collection.write()?;
    Ok(())
}

/// The updates that have come. Each is written to `out` on a line of its own; their number and mean
/// temperature are kept. When dropped, it writes the lines that are left.
#[derive(Debug)]
pub struct Collection<W: Write> {
    out: W,
    /// The lines that are not written yet.
    lines: Vec<u8>,
    written_at: Instant,
    notes: Notes,
    bar: ProgressBar,
    count: u64,
    sum: i64,
}

impl<W: Write> Collection<W> {
    /// An empty collection. Messages that are no updates are reported to `notes`.
    pub fn new(out: W, notes: Notes) -> Self {
        Self {
            out,
            lines: Vec::new(),
            written_at: Instant::now(),
            notes,
            bar: ProgressBar::hidden(),
            count: 0,
            sum: 0,
        }
    }

    /// Shows a progress bar towards `updates` on standard error, if that is a terminal.
    pub fn with_progress(mut self, updates: NonZeroU64) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} updates");
        self.bar =
            ProgressBar::new(updates.get()).with_style(style.expect("the template is valid"));
        self.notes = self.notes.clone().above(self.bar.clone());
        self
    }

    /// Notes that do not spoil the progress bar.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// How many updates have come.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Writes a line of text immediately.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn write_line(&mut self, line: &str) -> io::Result<()> {
        self.push_line(line.as_bytes());
        self.write()
    }

    /// Ends the progress bar and writes the last line: the mean temperature of the updates under
    /// `topic`, in whole degrees, with halves rounded away from zero. Without updates it writes no
    /// line.
    ///
    /// # Errors
    ///
    /// Those of the output.
    pub fn write_average(&mut self, topic: &[u8]) -> io::Result<()> {
        self.write()?;
        self.bar.finish_and_clear();
        let Some(mean) = self.mean() else { return Ok(()) };
        let place = match topic {
            b"" => "all zipcodes".to_owned(),
            zipcode => format!("zipcode '{}'", String::from_utf8_lossy(zipcode)),
        };
        self.write_line(&format!("Average temperature for {place} was {mean}F"))
    }

    fn mean(&self) -> Option<i64> {
        // As an integer, since a mean of -0.4 is 0 and not -0.
        (self.count > 0).then(|| (self.sum as f64 / self.count as f64).round() as i64)
    }

    /// Takes one message; returns whether it is an update. If not, it is reported and not counted.
    /// The text of an update is shown as it came, since it consists of digits, signs and spaces.
    fn add(&mut self, message: &Message) -> io::Result<bool> {
        let reason = match (message.parts().len(), Update::try_from(&**message.first())) {
            (1, Ok(update)) => {
                self.count += 1;
                self.sum += i64::from(update.temperature);
                self.push_line(message.first());
                if self.lines.len() >= WRITE_AT || self.written_at.elapsed() >= WRITE_EVERY {
                    self.write()?;
                }
                return Ok(true);
            }
            (1, Err(error)) => error.to_string(),
            (parts, _) => format!("it has {parts} parts"),
        };
        let first = message.first();
        let shown = &first[..first.len().min(SHOWN)];
        let more = if shown.len() < first.len() { "…" } else { "" };
        self.notes.say(format_args!("not an update: '{}{more}': {reason}", shown.escape_ascii()));
        Ok(false)
    }

    fn push_line(&mut self, line: &[u8]) {
        self.lines.extend_from_slice(line);
        self.lines.push(b'\n');
    }

    /// Waits for `event`, and meanwhile writes waiting lines when their time comes.
    async fn write_while<T>(&mut self, event: impl Future<Output = T>) -> io::Result<T> {
        let mut event = pin!(event);
        if !self.lines.is_empty() {
            if let Ok(it) = timeout_at(self.written_at + WRITE_EVERY, &mut event).await {
                return Ok(it);
            }
            self.write()?;
        }
        Ok(event.await)
    }

    /// Writes the waiting lines, and redraws the progress bar below them.
    fn write(&mut self) -> io::Result<()> {
        if self.lines.is_empty() {
            return Ok(());
        }
        self.bar.set_position(self.count);
        let written = self.bar.suspend(|| {
            self.out.write_all(&self.lines)?;
            self.out.flush()
        });
        // Not retried after an error, since a part may have been written.
        self.lines.clear();
        self.written_at = Instant::now();
        written
    }
}

impl<W: Write> Drop for Collection<W> {
    fn drop(&mut self) {
        let _ = self.write();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn collected(texts: &[&'static str]) -> (Collection<Vec<u8>>, String) {
        let mut collection = Collection::new(Vec::new(), Notes::new("test"));
        for text in texts {
            collection.add(&Message::from(*text)).unwrap();
        }
        collection.write_average(b"10002").unwrap();
        let out = String::from_utf8(collection.out.clone()).unwrap();
        (collection, out)
    }

    #[test]
    fn each_update_has_its_line_and_the_average_the_last() {
        let (collection, out) = collected(&["10002 10 10", "10002 20 20", "10002 33 30"]);
        assert_eq!(collection.count(), 3);
        assert_eq!(
            out,
            "10002 10 10\n10002 20 20\n10002 33 30\n\
             Average temperature for zipcode '10002' was 21F\n"
        );
    }

    #[test]
    fn the_average_is_rounded_to_whole_degrees() {
        for (texts, mean) in [
            (&["1 0 1", "1 1 1"][..], 1),
            (&["1 0 1", "1 -1 1"], -1),
            (&["1 0 1", "1 0 1", "1 -1 1"], 0),
            (&["1 -80 1"], -80),
            (&["1 2 1", "1 3 1", "1 2 1"], 2),
        ] {
            assert_eq!(collected(texts).0.mean(), Some(mean), "{texts:?}");
        }
    }

    #[test]
    fn what_is_no_update_does_not_count() {
        let (collection, out) = collected(&["10002 10 10", "10002 warm", ""]);
        assert_eq!(collection.count(), 1);
        assert_eq!(out, "10002 10 10\nAverage temperature for zipcode '10002' was 10F\n");

        let mut collection = Collection::new(Vec::new(), Notes::new("test"));
        let parts = Message::multipart(["10002 10 10", "more"]).unwrap();
        assert!(!collection.add(&parts).unwrap());
        collection.write_average(b"10002").unwrap();
        assert_eq!(collection.out, b"");
    }

    #[test]
    fn what_has_come_is_written_however_it_ends() {
        let mut out = Vec::new();
        let mut collection = Collection::new(&mut out, Notes::new("test"));
        collection.written_at += Duration::from_secs(3600);
        collection.add(&Message::from("10002 10 10")).unwrap();
        assert!(collection.out.is_empty(), "it is not time yet");
        drop(collection);
        assert_eq!(out, b"10002 10 10\n");
    }

    #[test]
    fn the_empty_topic_is_all_zipcodes() {
        let mut collection = Collection::new(Vec::new(), Notes::new("test"));
        collection.add(&Message::from("5 6 7")).unwrap();
        collection.write_average(b"").unwrap();
        assert_eq!(collection.out, b"5 6 7\nAverage temperature for all zipcodes was 6F\n");
    }
}
