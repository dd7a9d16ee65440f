//! A peer that is pyzmq: `python/peer.py` in a process of its own.

use std::env;
use std::ffi::OsString;
use std::path::Path;
use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader, Lines};
use tokio::process::{Child, ChildStdin, ChildStdout, Command};

use crate::story::within;

/// The Python that has pyzmq, from the environment: `ZMTP_PYTHON`. Without it, prints a note and returns
/// `None`; that is a failure if `ZMTP_REQUIRE_PYZMQ` is 1.
pub fn python() -> Option<OsString> {
    let python = env::var_os("ZMTP_PYTHON");
    if python.is_none() {
        let required = env::var_os("ZMTP_REQUIRE_PYZMQ").is_some_and(|value| value == "1");
        assert!(!required, "ZMTP_REQUIRE_PYZMQ is 1 and ZMTP_PYTHON names no Python with pyzmq");
        eprintln!("nothing tested: ZMTP_PYTHON names no Python with pyzmq");
    }
    python
}

/// One socket of pyzmq. Its process is killed when this is dropped.
#[derive(Debug)]
pub struct Pyzmq {
    process: Child,
    commands: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Pyzmq {
    /// Starts a socket of type `kind`, which is to `bind` or `connect`, with the `options` that
    /// `peer.py` documents.
    pub async fn start(
        python: &OsString,
        kind: &str,
        how: &str,
        endpoint: &str,
        options: &[&str],
    ) -> Self {
        let mut peer = Self::without_socket(python);
        peer.open(kind, how, endpoint, options).await;
        peer
    }

    /// Starts a process that has no socket yet.
    pub fn without_socket(python: &OsString) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("python/peer.py");
        Self::of(Command::new(python).arg(script))
    }

    /// Runs another program that has the same commands.
    pub fn of(program: &mut Command) -> Self {
        let mut process = program
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .kill_on_drop(true)
            .spawn()
            .expect("the program can be run");
        let commands = process.stdin.take().expect("it is piped");
        let lines = BufReader::new(process.stdout.take().expect("it is piped")).lines();
        Self { process, commands, lines }
    }

    /// Opens a new socket and closes the present one: another process would take far longer.
    pub async fn open(&mut self, kind: &str, how: &str, endpoint: &str, options: &[&str]) {
        self.command(&format!("open {kind} {how} {endpoint} {}", options.join(" "))).await;
        // The messages that the last socket has received do not matter any more.
        while self.line().await != "ready" {}
    }

    /// Sends a message.
    pub async fn send(&mut self, parts: &[&[u8]]) {
        let words: Vec<_> = parts.iter().map(|part| to_word(part)).collect();
        self.command(&format!("send {}", words.join(" "))).await;
    }

    /// Subscribes a SUB.
    pub async fn subscribe(&mut self, topic: &[u8]) {
        self.command(&format!("subscribe {}", to_word(topic))).await;
    }

    /// Takes one subscription of a SUB back.
    pub async fn unsubscribe(&mut self, topic: &[u8]) {
        self.command(&format!("unsubscribe {}", to_word(topic))).await;
    }

    /// The parts of the next message.
    pub async fn receive(&mut self) -> Vec<Vec<u8>> {
        let line = self.line().await;
        let words = line.strip_prefix("got ").unwrap_or_else(|| panic!("no message: {line}"));
        words.split(' ').map(from_word).collect()
    }

    /// Kills the process, as `kill -9` does, and waits for its end.
    pub async fn kill(mut self) {
        within("the process to end", self.process.kill()).await.expect("it can be killed");
    }

    async fn command(&mut self, line: &str) {
        let line = format!("{line}\n");
        let written = self.commands.write_all(line.as_bytes());
        within("pyzmq to take a command", written).await.expect("it runs");
    }

    async fn line(&mut self) -> String {
        let line = within("a line of pyzmq", self.lines.next_line()).await;
        line.expect("it is text").expect("the program has ended")
    }
}

fn to_word(octets: &[u8]) -> String {
    let digits =
        |octet: &u8| [octet >> 4, octet & 15].map(|digit| b"0123456789abcdef"[usize::from(digit)]);
    match octets {
        [] => "-".to_owned(),
        octets => octets.iter().flat_map(digits).map(char::from).collect(),
    }
}

fn from_word(word: &str) -> Vec<u8> {
    let digits = word.trim_matches('-').as_bytes();
    let octet = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).expect("it is ASCII");
        u8::from_str_radix(pair, 16).expect("hexadecimal digits")
    };
    digits.chunks(2).map(octet).collect()
}
