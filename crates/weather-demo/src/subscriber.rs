//! The weather client: collects updates and says how warm it was.

use std::io::{self, Write};
use std::num::NonZeroU64;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};
use tokio::task::coop::consume_budget;
use tokio::time::sleep;
use zmtp_socket::{Message, SubSocket, TryRecvError};

use crate::{Failure, Notes, Update};

/// So much of a message that is no update is shown.
const SHOWN: usize = 120;

/// How many updates are collected, and how slowly.
#[derive(Clone, Debug)]
pub struct CollectOptions {
    /// How many updates.
    pub updates: NonZeroU64,
    /// How long to sleep after each; nothing for a client that keeps up.
    pub delay: Duration,
}

/// Receives updates until `options.updates` have come, each shown at once. Without an end as long as
/// too few come: a server that is gone may come back.
///
/// Dropping the future stops it between two updates; `collection` has those that came.
///
/// # Errors
///
/// What [`Collection`]'s output said, or that the socket is closed.
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
            Err(TryRecvError::Empty) => {
                collection.out.flush()?;
                socket.recv().await?
            }
            Err(closed) => return Err(closed.into()),
        };
        if collection.add(&message)? && !options.delay.is_zero() {
            collection.out.flush()?;
            sleep(options.delay).await;
        }
    }
    collection.out.flush()?;
    Ok(())
}

/// The updates that have come: each is written to `out` on a line of its own, and their number and
/// mean temperature are kept.
#[derive(Debug)]
pub struct Collection<W> {
    out: W,
    notes: Notes,
    bar: ProgressBar,
    count: u64,
    sum: i64,
}

impl<W: Write> Collection<W> {
    /// Nothing yet. `notes` are told of messages that are no updates.
    pub fn new(out: W, notes: Notes) -> Self {
        Self { out, notes, bar: ProgressBar::hidden(), count: 0, sum: 0 }
    }

    /// Shows a progress bar towards `updates` on standard error, if that is a terminal.
    pub fn with_progress(mut self, updates: NonZeroU64) -> Self {
        let style = ProgressStyle::with_template("{bar:40} {human_pos}/{human_len} updates");
        self.bar =
            ProgressBar::new(updates.get()).with_style(style.expect("the template is valid"));
        self.notes = self.notes.above(self.bar.clone());
        self
    }

    /// Where notes can be said without spoiling the progress bar.
    pub fn notes(&self) -> &Notes {
        &self.notes
    }

    /// How many updates have come.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Writes a line of text.
    ///
    /// # Errors
    ///
    /// What the output said.
    pub fn write_line(&mut self, line: &str) -> io::Result<()> {
        writeln!(self.out, "{line}")?;
        self.out.flush()
    }

    /// Ends the progress bar and writes the last line: the mean temperature of the updates that came
    /// under `topic`, in whole degrees, halves away from zero. No updates, no line.
    ///
    /// # Errors
    ///
    /// What the output said.
    pub fn write_average(&mut self, topic: &[u8]) -> io::Result<()> {
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

    /// Takes one message; says whether it is an update. If not, it is noted and not counted.
    fn add(&mut self, message: &Message) -> io::Result<bool> {
        let reason = match (message.parts().len(), Update::try_from(&**message.first())) {
            (1, Ok(update)) => {
                self.count += 1;
                self.sum += i64::from(update.temperature);
                self.show(message.first())?;
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

    /// Writes the text of an update as it came. Only digits, signs and spaces make an update.
    fn show(&mut self, text: &[u8]) -> io::Result<()> {
        let out = &mut self.out;
        if self.bar.is_hidden() {
            out.write_all(text)?;
            return out.write_all(b"\n");
        }
        self.bar.suspend(|| {
            out.write_all(text)?;
            out.write_all(b"\n")?;
            out.flush()
        })?;
        self.bar.inc(1);
        Ok(())
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
    fn the_empty_topic_is_all_zipcodes() {
        let mut collection = Collection::new(Vec::new(), Notes::new("test"));
        collection.add(&Message::from("5 6 7")).unwrap();
        collection.write_average(b"").unwrap();
        assert_eq!(collection.out, b"5 6 7\nAverage temperature for all zipcodes was 6F\n");
    }
}
