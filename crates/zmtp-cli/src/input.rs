//! The messages to send: texts and files of the command line, or lines of standard input.

use std::fs;
use std::io::{self, BufRead, BufReader, Read};
use std::path::PathBuf;
use std::thread;

use bytes::Bytes;
use clap::{Args, ValueEnum};
use tokio::sync::mpsc;
use zmtp_socket::Message;

use crate::ending::Failure;
use crate::json;
use crate::output::{Separator, unescape_arg};

/// How many messages are read from standard input together at most.
const BATCH: usize = 256;

/// The messages to send.
#[derive(Debug, Args)]
#[command(next_help_heading = "Input")]
pub(crate) struct InputArgs {
    /// Send this text as a message; may be repeated. Without -m and -f, standard input is read
    #[arg(short, long, value_name = "TEXT", allow_hyphen_values = true)]
    message: Vec<String>,

    /// Send the content of this file as one message; may be repeated; - is standard input
    #[arg(short, long, value_name = "FILE")]
    file: Vec<PathBuf>,

    /// The form in which messages are read from standard input
    #[arg(
        short,
        long,
        value_enum,
        value_name = "FORM",
        default_value = "text",
        conflicts_with = "json"
    )]
    input: InputForm,

    /// Cut each text or line into parts at TEXT, such as --split '|' or --split '\t'
    #[arg(long, value_name = "TEXT", value_parser = unescape_arg, allow_hyphen_values = true)]
    split: Option<Separator>,
}

/// How messages are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum InputForm {
    /// Each line is a message
    Text,
    /// A line of JSON: "text", or ["part",{"base64":"..."}], or {"parts":[...]}
    Json,
    /// The number of parts, then each part after its length; numbers have 4 octets, big-endian
    Sized,
}

/// The source of messages.
#[derive(Debug)]
pub(crate) enum Source {
    /// The messages of the command line.
    Fixed { messages: Vec<Message>, next: usize },
    /// The messages that a thread reads from standard input.
    Stdin { batches: mpsc::Receiver<io::Result<Vec<Message>>>, batch: std::vec::IntoIter<Message> },
}

impl InputArgs {
    /// Whether the command line gives the messages.
    pub(crate) fn is_fixed(&self) -> bool {
        !self.message.is_empty() || !self.file.is_empty()
    }

    /// The source of messages. Opens all files.
    pub(crate) fn source(&self, json: bool) -> Result<Source, Failure> {
        if !self.is_fixed() {
            let form = if json { InputForm::Json } else { self.input };
            return Ok(Source::stdin(form, self.split.clone()));
        }
        let mut messages = Vec::new();
        for text in &self.message {
            messages.push(cut(text.clone().into(), self.split.as_ref()));
        }
        for file in &self.file {
            let mut octets = Vec::new();
            let read = match file.to_str() {
                Some("-") => io::stdin().read_to_end(&mut octets).map(drop),
                _ => fs::read(file).map(|content| octets = content),
            };
            read.map_err(|error| format!("{}: {error}", file.display()))?;
            messages.push(Message::from(octets));
        }
        Ok(Source::Fixed { messages, next: 0 })
    }
}

impl Source {
    fn stdin(form: InputForm, split: Option<Separator>) -> Self {
        let (sender, batches) = mpsc::channel(4);
        // Nothing waits for this thread: a read from a terminal cannot be cancelled.
        thread::spawn(move || {
            let mut reader = MessageReader {
                input: BufReader::with_capacity(64 << 10, io::stdin()),
                form,
                split,
                line: 0,
            };
            loop {
                let batch = reader.next_batch();
                let is_last = batch.as_ref().map_or(true, Vec::is_empty);
                if sender.blocking_send(batch).is_err() || is_last {
                    return;
                }
            }
        });
        Self::Stdin { batches, batch: Vec::new().into_iter() }
    }

    /// The next message. With `again`, the messages of the command line are repeated.
    pub(crate) async fn next(&mut self, again: bool) -> Result<Option<Message>, Failure> {
        match self {
            Self::Fixed { messages, next } => {
                if *next == messages.len() && again {
                    *next = 0;
                }
                let message = messages.get(*next).cloned();
                *next += 1;
                Ok(message)
            }
            Self::Stdin { batches, batch } => {
                if batch.len() == 0 {
                    let Some(next) = batches.recv().await else { return Ok(None) };
                    *batch = next.map_err(|error| format!("standard input: {error}"))?.into_iter();
                }
                Ok(batch.next())
            }
        }
    }
}

/// Reads messages in one form.
struct MessageReader<R> {
    input: BufReader<R>,
    form: InputForm,
    split: Option<Separator>,
    line: u64,
}

impl<R: Read> MessageReader<R> {
    /// The messages that have come together; empty at the end.
    fn next_batch(&mut self) -> io::Result<Vec<Message>> {
        let mut batch = Vec::new();
        while let Some(message) = self.next()? {
            batch.push(message);
            let is_more_here = match self.form {
                InputForm::Sized => false,
                _ => self.input.buffer().contains(&b'\n'),
            };
            if batch.len() == BATCH || !is_more_here {
                break;
            }
        }
        Ok(batch)
    }

    fn next(&mut self) -> io::Result<Option<Message>> {
        if self.form == InputForm::Sized {
            return self.next_sized();
        }
        loop {
            let mut line = Vec::new();
            if self.input.read_until(b'\n', &mut line)? == 0 {
                return Ok(None);
            }
            self.line += 1;
            if line.last() == Some(&b'\n') {
                line.pop();
            }
            if self.form == InputForm::Text {
                return Ok(Some(cut(line.into(), self.split.as_ref())));
            }
            if line.trim_ascii().is_empty() {
                continue;
            }
            let message = json::parse(&line);
            return message
                .map(Some)
                .map_err(|error| invalid(format!("line {}: {error}", self.line)));
        }
    }

    fn next_sized(&mut self) -> io::Result<Option<Message>> {
        if self.input.fill_buf()?.is_empty() {
            return Ok(None);
        }
        let count = self.number()?;
        let mut parts = Vec::new();
        for _ in 0..count {
            let length = u64::from(self.number()?);
            // Memory is reserved for the octets that come, not for the length that is announced.
            let mut part = Vec::new();
            self.input.by_ref().take(length).read_to_end(&mut part)?;
            if (part.len() as u64) < length {
                return Err(invalid("the input ends within a part".to_owned()));
            }
            parts.push(Bytes::from(part));
        }
        let message = Message::multipart(parts);
        message.map(Some).ok_or_else(|| invalid("a message has at least one part".to_owned()))
    }

    fn number(&mut self) -> io::Result<u32> {
        let mut octets = [0; 4];
        self.input.read_exact(&mut octets)?;
        Ok(u32::from_be_bytes(octets))
    }
}

fn invalid(reason: String) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, reason)
}

/// A text as a message, split at the separator if there is one.
fn cut(text: Bytes, separator: Option<&Separator>) -> Message {
    let Some(Separator(separator)) = separator else { return text.into() };
    let mut parts = Vec::new();
    let mut from = 0;
    let mut at = 0;
    while at + separator.len() <= text.len() {
        if text[at..].starts_with(separator) {
            parts.push(text.slice(from..at));
            at += separator.len();
            from = at;
        } else {
            at += 1;
        }
    }
    parts.push(text.slice(from..));
    Message::multipart(parts).expect("there is a last part")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: InputForm, split: Option<&str>, octets: &[u8]) -> io::Result<Vec<Vec<Vec<u8>>>> {
        let split = split.map(|text| Separator(text.into()));
        let mut reader = MessageReader { input: BufReader::new(octets), form, split, line: 0 };
        let mut messages = Vec::new();
        loop {
            match reader.next_batch()? {
                batch if batch.is_empty() => return Ok(messages),
                batch => messages.extend(
                    batch.iter().map(|it| it.parts().iter().map(|part| part.to_vec()).collect()),
                ),
            }
        }
    }

    #[test]
    fn lines_are_messages_and_may_be_cut() {
        let one = |text: &str| vec![text.as_bytes().to_vec()];
        let text = InputForm::Text;
        assert_eq!(read(text, None, b"a\n\nb\r").unwrap(), [one("a"), one(""), one("b\r")]);
        let cut = [vec![b"a".to_vec(), vec![], b"b".to_vec()], one("c")];
        assert_eq!(read(text, Some("||"), b"a||||b\nc\n").unwrap(), cut);
    }

    #[test]
    fn sized_parts_come_whole_or_not_at_all() {
        let octets = b"\0\0\0\x02\0\0\0\x01a\0\0\0\0\0\0\0\x01\0\0\0\x02b\n";
        let messages = [vec![b"a".to_vec(), vec![]], vec![b"b\n".to_vec()]];
        assert_eq!(read(InputForm::Sized, None, octets).unwrap(), messages);
        for end in (1..octets.len()).filter(|end| *end != 13) {
            read(InputForm::Sized, None, &octets[..end]).expect_err("it is cut off");
        }
        read(InputForm::Sized, None, &[0; 4]).expect_err("no part");
        read(InputForm::Sized, None, &[255; 12]).expect_err("announced, and not there");
    }

    #[test]
    fn a_line_that_is_no_json_is_named() {
        let error = read(InputForm::Json, None, b"\"a\"\n\n{}\n").unwrap_err().to_string();
        assert!(error.starts_with("line 3: "), "{error}");
    }
}
