//! The terminal: a screen of its own, and its keys.

use std::io::{self, IsTerminal, Write};
use std::thread;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::event::{Event, KeyCode, KeyEventKind, KeyModifiers, read};
use crossterm::style::{Attribute, SetAttribute};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode,
    enable_raw_mode, size,
};
use crossterm::{execute, queue};
use tokio::sync::mpsc;

use crate::ending::{Failure, Usage};

/// A command of the user.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Key {
    Quit,
    Sort,
    Pause,
    Redraw,
}

/// A line of the table.
#[derive(Clone, Debug)]
pub(super) struct Line {
    pub(super) text: String,
    pub(super) emphasis: Emphasis,
}

/// How a line is emphasized. There are no colours, so that every terminal can show it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Emphasis {
    None,
    Title,
    Heading,
    Alarm,
}

/// Controls the terminal until it is dropped.
pub(super) struct Screen {
    keys: mpsc::UnboundedReceiver<Key>,
}

impl Screen {
    /// Takes control of the terminal.
    pub(super) fn open() -> Result<Self, Failure> {
        if !io::stdout().is_terminal() {
            return Err(Usage(
                "top needs a terminal; --once prints the table without one".to_owned(),
            )
            .into());
        }
        enable_raw_mode()?;
        let (sender, keys) = mpsc::unbounded_channel();
        // From here on, dropping `screen` restores the terminal.
        let screen = Self { keys };
        execute!(io::stdout(), EnterAlternateScreen, Hide)?;
        // Nothing waits for this thread: a read from a terminal cannot be cancelled.
        thread::spawn(move || {
            while let Ok(event) = read() {
                if key(&event).is_some_and(|key| sender.send(key).is_err()) {
                    return;
                }
            }
        });
        Ok(screen)
    }

    /// The next key that has a meaning.
    pub(super) async fn key(&mut self) -> Key {
        match self.keys.recv().await {
            Some(key) => key,
            // The terminal is gone.
            None => Key::Quit,
        }
    }

    /// Draws the lines that are made for the width and height of the terminal.
    pub(super) fn draw(&self, lines: impl FnOnce(usize, usize) -> Vec<Line>) -> io::Result<()> {
        let (width, height) = size()?;
        let lines = lines(width.into(), height.into());
        let mut out = Vec::new();
        for (row, Line { text, emphasis }) in (0..height).zip(&lines) {
            queue!(out, MoveTo(0, row))?;
            match emphasis {
                Emphasis::None => {}
                Emphasis::Title => queue!(out, SetAttribute(Attribute::Bold))?,
                Emphasis::Heading => queue!(out, SetAttribute(Attribute::Reverse))?,
                Emphasis::Alarm => {
                    queue!(out, SetAttribute(Attribute::Bold), SetAttribute(Attribute::Reverse))?;
                }
            }
            out.extend_from_slice(text.as_bytes());
            queue!(out, SetAttribute(Attribute::Reset), Clear(ClearType::UntilNewLine))?;
        }
        if lines.len() < height.into() {
            queue!(out, MoveTo(0, u16::try_from(lines.len()).unwrap_or(height)))?;
            queue!(out, Clear(ClearType::FromCursorDown))?;
        }
        let mut stdout = io::stdout().lock();
        stdout.write_all(&out)?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // Errors do not matter: the terminal may be gone.
        let _ = execute!(io::stdout(), LeaveAlternateScreen, Show);
        let _ = disable_raw_mode();
    }
}

fn key(event: &Event) -> Option<Key> {
    match event {
        Event::Resize(..) => Some(Key::Redraw),
        Event::Key(key) if key.kind == KeyEventKind::Press => match key.code {
            KeyCode::Char('c' | 'd') if key.modifiers.contains(KeyModifiers::CONTROL) => {
                Some(Key::Quit)
            }
            KeyCode::Char('q') | KeyCode::Esc => Some(Key::Quit),
            KeyCode::Char('s') => Some(Key::Sort),
            KeyCode::Char('p' | ' ') => Some(Key::Pause),
            _ => None,
        },
        _ => None,
    }
}
