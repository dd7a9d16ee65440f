//! `zmtp` as a program under test.

use std::io::Write;
use std::process::{Command, Stdio};

use tempfile::TempDir;

#[cfg(feature = "nats")]
use crate::shared::Lines;
pub(crate) use crate::shared::{Ended, Process};

impl Ended {
    /// It has ended with this status, and said this on standard output.
    #[track_caller]
    pub(crate) fn expect(&self, status: i32, stdout: &[&str]) {
        assert_eq!(self.status.code(), Some(status), "{self:#?}");
        assert_eq!(self.stdout, stdout, "{self:#?}");
    }

    /// Some line on standard error has this.
    #[track_caller]
    pub(crate) fn says(&self, part: &str) {
        assert!(self.stderr.iter().any(|line| line.contains(part)), "no '{part}' in {self:#?}");
    }
}

impl Process {
    /// Starts `zmtp` with these words; nothing comes on its standard input.
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::of(command(arguments))
    }

    /// The same; its standard input stays open.
    pub(crate) fn open(arguments: &[&str]) -> Self {
        let mut command = command(arguments);
        command.stdin(Stdio::piped());
        Self::of(command)
    }

    /// The same; these octets come on its standard input, and no more.
    pub(crate) fn fed(arguments: &[&str], input: &[u8]) -> Self {
        let mut process = Self::open(arguments);
        process.write(input);
        process.child.stdin = None;
        process
    }

    /// Starts one that binds, and waits until it does. Gives where.
    pub(crate) fn bound(arguments: &[&str]) -> (Self, String) {
        let mut process = Self::start(arguments);
        let endpoint = process.endpoint();
        (process, endpoint)
    }

    /// Waits until it says where it listens.
    pub(crate) fn endpoint(&mut self) -> String {
        let line = self.stderr.wait_for("listening at ");
        line.rsplit(' ').next().unwrap().to_owned()
    }

    pub(crate) fn write(&mut self, input: &[u8]) {
        self.child.stdin.as_mut().unwrap().write_all(input).unwrap();
    }
}

#[cfg(feature = "nats")]
impl Lines {
    /// The next line, if it is there.
    pub(crate) fn try_next(&self) -> Option<String> {
        self.receiver.try_recv().ok()
    }
}

pub(crate) fn command(arguments: &[&str]) -> Command {
    crate::shared::command(env!("CARGO_BIN_EXE_zmtp"), arguments)
}

/// Runs it to its end.
pub(crate) fn zmtp(arguments: &[&str]) -> Ended {
    Process::start(arguments).end()
}

/// A folder for files and endpoints, which goes with it.
pub(crate) struct Folder(TempDir);

impl Folder {
    pub(crate) fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// The path of a file in it.
    pub(crate) fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }

    /// An endpoint in it.
    pub(crate) fn ipc(&self, name: &str) -> String {
        format!("ipc://{}", self.path(name))
    }

    /// Writes a file.
    pub(crate) fn file(&self, name: &str, content: &[u8]) -> String {
        let path = self.path(name);
        std::fs::write(&path, content).unwrap();
        path
    }
}
