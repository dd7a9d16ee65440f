//! The terminal: some lines that are redrawn again and again, and remain at the end.

use std::env;
use std::io;

use console::Term;
use indicatif::HumanCount;

use super::stage::{Stage, Subscriber};

/// The length of the bars, and the rate at which they are full.
const BAR: u64 = 20;
const FULL: u64 = 4000;

/// Whether standard output is a terminal that can be drawn on.
pub fn is_wanted() -> bool {
    Term::stdout().is_term() && env::var_os("TERM").is_some_and(|term| term != "dumb")
}

/// The lines on the terminal. When dropped, it shows the cursor again.
pub(super) struct Screen {
    term: Term,
    drawn: usize,
    has_colours: bool,
}

impl Screen {
    pub(super) fn open() -> io::Result<Self> {
        let has_colours = env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        // Buffered, so that a frame is written in one piece.
        let screen = Self { term: Term::buffered_stdout(), drawn: 0, has_colours };
        screen.term.hide_cursor()?;
        screen.term.flush()?;
        Ok(screen)
    }

    /// Draws the stage, and a text below it, over the previous frame.
    pub(super) fn draw(&mut self, stage: &Stage, text: &str) -> io::Result<()> {
        let [made, fast, slow] = stage.rates();
        let publisher = match stage.subscriber_count() {
            None => self.colour("31", "killed"),
            Some(count) => {
                let plural = if count == 1 { "" } else { "s" };
                let line = format!("{} updates/s, {count} subscriber{plural}", HumanCount(made));
                self.colour("32", &line)
            }
        };
        let mut lines = vec![format!("publisher  {publisher}")];
        for (name, rate, subscriber) in [("fast", fast, 0), ("slow", slow, 1)]
            .map(|(name, rate, index)| (name, rate, stage.subscribers()[index]))
        {
            lines.push(self.subscriber(name, rate, subscriber));
        }
        lines.push(String::new());
        lines.extend(text.lines().map(str::to_owned));
        self.replace(&lines)
    }

    /// Keeps the last frame, and writes a text below it.
    pub(super) fn end(&self, text: &str) -> io::Result<()> {
        self.term.write_line("")?;
        self.term.write_line(text)?;
        self.term.flush()
    }

    fn subscriber(&self, name: &str, rate: u64, subscriber: Subscriber) -> String {
        let Subscriber { received, waiting, lost } = subscriber;
        let full = usize::try_from((rate * BAR).div_ceil(FULL).min(BAR)).unwrap_or(0);
        let bar = format!("{:·<20}", "█".repeat(full));
        let lost = format!("lost {}", HumanCount(lost));
        let lost = if subscriber.lost > 0 { self.colour("33", &lost) } else { lost };
        format!(
            "{name:<9}  {bar} {:>6}/s  got {:<7} waiting {:<6} {lost}",
            HumanCount(rate).to_string(),
            HumanCount(received).to_string(),
            HumanCount(waiting).to_string(),
        )
    }

    fn replace(&mut self, lines: &[String]) -> io::Result<()> {
        // A line that wraps would take two lines of the terminal.
        let width = usize::from(self.term.size().1).saturating_sub(1);
        self.term.clear_last_lines(self.drawn)?;
        for line in lines {
            self.term.write_line(&console::truncate_str(line, width, ""))?;
        }
        self.drawn = lines.len();
        self.term.flush()
    }

    fn colour(&self, colour: &str, text: &str) -> String {
        if self.has_colours { format!("\x1b[{colour}m{text}\x1b[0m") } else { text.to_owned() }
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Errors do not matter: the terminal may be gone.
        let _ = self.term.show_cursor().and_then(|()| self.term.flush());
    }
}
