//! The program under test: started, read line by line, interrupted, killed, and never waited for in vain.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

const ZMTP: &str = env!("CARGO_BIN_EXE_zmtp");

/// An event that has not happened after so long will not: far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running program; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
    stdin: Option<ChildStdin>,
    pub(crate) stdout: Lines,
    pub(crate) stderr: Lines,
}

/// How a program ended, and what it had said that was not read before.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) status: ExitStatus,
    pub(crate) stdout: Vec<String>,
    pub(crate) stderr: Vec<String>,
}

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
        let mut process = Self::of(command(arguments));
        process.stdin = None;
        process
    }

    /// The same; its standard input stays open.
    pub(crate) fn open(arguments: &[&str]) -> Self {
        Self::of(command(arguments))
    }

    /// The same; these octets come on its standard input, and no more.
    pub(crate) fn fed(arguments: &[&str], input: &[u8]) -> Self {
        let mut process = Self::open(arguments);
        process.write(input);
        process.stdin = None;
        process
    }

    /// Starts any program whose streams are piped.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdin, stdout, stderr }
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
        self.stdin.as_mut().unwrap().write_all(input).unwrap();
    }

    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    pub(crate) fn terminate(&self) {
        kill_process(Pid::from_child(&self.child), Signal::TERM).unwrap();
    }

    /// Whether it has ended.
    pub(crate) fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Waits until it ends.
    pub(crate) fn end(mut self) -> Ended {
        let (stdout, stderr) = (self.stdout.rest(), self.stderr.rest());
        Ended { status: self.child.wait().unwrap(), stdout, stderr }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a stream, as they come.
pub(crate) struct Lines {
    receiver: Receiver<String>,
    seen: Vec<String>,
}

impl Lines {
    fn of(stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(stream);
            let mut line = Vec::new();
            while reader.read_until(b'\n', &mut line).is_ok_and(|length| length > 0) {
                let text = String::from_utf8_lossy(&line);
                if sender.send(text.trim_end_matches('\n').to_owned()).is_err() {
                    return;
                }
                line.clear();
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    /// The next line.
    #[track_caller]
    pub(crate) fn next(&mut self) -> String {
        let next = self.next_until(Instant::now() + DEADLINE);
        next.unwrap_or_else(|| panic!("the stream ended after {:#?}", self.seen))
    }

    /// The next line, if it is there.
    #[cfg(feature = "nats")]
    pub(crate) fn try_next(&self) -> Option<String> {
        self.receiver.try_recv().ok()
    }

    /// Passes over lines until one contains `part`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let deadline = Instant::now() + DEADLINE;
        while let Some(line) = self.next_until(deadline) {
            if line.contains(part) {
                return line;
            }
        }
        panic!("the stream ended without '{part}', after {:#?}", self.seen);
    }

    fn rest(&mut self) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        std::iter::from_fn(|| self.next_until(deadline)).collect()
    }

    #[track_caller]
    fn next_until(&mut self, deadline: Instant) -> Option<String> {
        match self.receiver.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
            Ok(line) => {
                self.seen.push(line.clone());
                Some(line)
            }
            Err(RecvTimeoutError::Disconnected) => None,
            Err(RecvTimeoutError::Timeout) => panic!("no line in time, after {:#?}", self.seen),
        }
    }
}

/// Nobody's terminal, and no log whatever the environment says.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(ZMTP);
    command.args(arguments).env_remove("RUST_LOG").env_remove("NO_COLOR");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
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
