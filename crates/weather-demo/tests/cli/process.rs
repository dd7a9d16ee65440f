//! Programs under test: started, read line by line, interrupted, killed, and never waited for in vain.

use std::io::{BufRead, BufReader, Read};
use std::net::{Ipv4Addr, TcpListener};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

pub(crate) const PUBLISHER: &str = env!("CARGO_BIN_EXE_weather-publisher");
pub(crate) const SUBSCRIBER: &str = env!("CARGO_BIN_EXE_weather-subscriber");
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_weather-proxy");
pub(crate) const DEMO: &str = env!("CARGO_BIN_EXE_weather-demo");

/// What has not happened after so long will not: far longer than anything here takes.
const DEADLINE: Duration = Duration::from_secs(60);

/// A running program; dropped, it is killed.
pub(crate) struct Process {
    child: Child,
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

impl Process {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        Self::from(spawn(program, arguments))
    }

    /// The same, with an environment variable.
    pub(crate) fn start_with(variable: (&str, &str), program: &str, arguments: &[&str]) -> Self {
        Self::from(command(program, arguments).env(variable.0, variable.1).spawn().unwrap())
    }

    fn from(mut child: Child) -> Self {
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Starts a program whose reader goes away after so many lines.
    pub(crate) fn start_with_reader_of(lines: usize, program: &str, arguments: &[&str]) -> Self {
        let mut child = spawn(program, arguments);
        let stdout = Lines::first(lines, child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Starts a publisher that listens and says where.
    pub(crate) fn publisher(endpoint: &str, arguments: &[&str]) -> Self {
        let mut publisher = Self::start(PUBLISHER, &[&["--bind", endpoint], arguments].concat());
        publisher.stderr.wait_for("publishing at");
        publisher
    }

    pub(crate) fn subscriber(endpoint: &str, arguments: &[&str]) -> Self {
        Self::start(SUBSCRIBER, &[&["--connect", endpoint], arguments].concat())
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().unwrap().is_none()
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        self.signal(Signal::INT);
    }

    /// `kill`, or a service manager.
    pub(crate) fn terminate(&self) {
        self.signal(Signal::TERM);
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// kill -9, and waits until it is dead.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
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
        Self::first(usize::MAX, stream)
    }

    /// No more than `count` lines; then the stream is closed from this end.
    fn first(count: usize, stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).lines().take(count) {
                let Ok(line) = line else { return };
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        Self { receiver, seen: Vec::new() }
    }

    /// The next line; none at the end of the stream.
    pub(crate) fn next(&mut self) -> Option<String> {
        self.next_until(Instant::now() + DEADLINE)
    }

    /// Passes over lines until one contains `part`.
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        self.wait_until(|line| line.contains(part))
    }

    /// Passes over lines until one is as wanted.
    pub(crate) fn wait_until(&mut self, wanted: impl Fn(&str) -> bool) -> String {
        let deadline = Instant::now() + DEADLINE;
        while let Some(line) = self.next_until(deadline) {
            if wanted(&line) {
                return line;
            }
        }
        panic!("the stream ended without the line, after {:#?}", self.seen);
    }

    /// Passes over the lines that have come so far; says how many.
    pub(crate) fn drain(&mut self) -> usize {
        let before = self.seen.len();
        self.seen.extend(self.receiver.try_iter());
        self.seen.len() - before
    }

    fn rest(&mut self) -> Vec<String> {
        let deadline = Instant::now() + DEADLINE;
        std::iter::from_fn(|| self.next_until(deadline)).collect()
    }

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

/// An endpoint that nobody else uses.
pub(crate) struct Place {
    pub(crate) endpoint: String,
    _directory: Option<TempDir>,
}

impl Place {
    pub(crate) fn tcp() -> Self {
        Self { endpoint: format!("tcp://127.0.0.1:{}", free_port()), _directory: None }
    }

    pub(crate) fn ipc() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let endpoint = format!("ipc://{}/weather", directory.path().display());
        Self { endpoint, _directory: Some(directory) }
    }
}

/// A port that nobody listens on, below those that systems give to outgoing connections.
fn free_port() -> u16 {
    std::iter::repeat_with(|| fastrand::u16(10_000..32_000))
        .find(|port| TcpListener::bind((Ipv4Addr::LOCALHOST, *port)).is_ok())
        .unwrap()
}

fn spawn(program: &str, arguments: &[&str]) -> Child {
    command(program, arguments).spawn().unwrap()
}

/// Nobody's terminal, and no log whatever the environment says.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUST_LOG").stdin(Stdio::null());
    command.stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}
