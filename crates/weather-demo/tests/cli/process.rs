//! The demo's programs under test.

use std::net::{Ipv4Addr, TcpListener};

use tempfile::TempDir;

use crate::shared::Lines;
pub(crate) use crate::shared::{Process, command};

pub(crate) const PUBLISHER: &str = env!("CARGO_BIN_EXE_weather-publisher");
pub(crate) const SUBSCRIBER: &str = env!("CARGO_BIN_EXE_weather-subscriber");
pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_weather-proxy");
pub(crate) const DEMO: &str = env!("CARGO_BIN_EXE_weather-demo");

impl Process {
    pub(crate) fn start(program: &str, arguments: &[&str]) -> Self {
        Self::of(command(program, arguments))
    }

    /// The same, with an environment variable.
    pub(crate) fn start_with(variable: (&str, &str), program: &str, arguments: &[&str]) -> Self {
        let mut command = command(program, arguments);
        command.env(variable.0, variable.1);
        Self::of(command)
    }

    /// Starts a program whose reader goes away after so many lines.
    pub(crate) fn start_with_reader_of(lines: usize, program: &str, arguments: &[&str]) -> Self {
        let mut child = command(program, arguments).spawn().unwrap();
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

    /// kill -9, and waits until it is dead.
    pub(crate) fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Lines {
    /// Passes over the lines that have come so far; says how many.
    pub(crate) fn drain(&mut self) -> usize {
        let before = self.seen.len();
        self.seen.extend(self.receiver.try_iter());
        self.seen.len() - before
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
