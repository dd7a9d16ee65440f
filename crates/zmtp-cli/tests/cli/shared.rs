//! A program under test: started, read line by line, interrupted, killed, and never waited for in vain.
//!
//! The tests of weather-demo use this file too, by a link that its package resolves: it names no program, and has
//! only what both need.

use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, kill_process};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

/// An event that has not happened after so long will not: far longer than anything here takes.
pub(crate) const DEADLINE: Duration = Duration::from_secs(60);

/// A running program; dropped, it is killed.
pub(crate) struct Process {
    pub(crate) child: Child,
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
    /// Starts any program whose output is piped.
    pub(crate) fn of(mut command: Command) -> Self {
        let mut child = command.spawn().unwrap();
        let stdout = Lines::of(child.stdout.take().unwrap());
        let stderr = Lines::of(child.stderr.take().unwrap());
        Self { child, stdout, stderr }
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    /// `kill`, or a service manager.
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
    pub(crate) receiver: Receiver<String>,
    pub(crate) seen: Vec<String>,
}

impl Lines {
    pub(crate) fn of(stream: impl Read + Send + 'static) -> Self {
        Self::first(usize::MAX, stream)
    }

    /// No more than `count` lines; then the stream is closed from this end.
    pub(crate) fn first(count: usize, stream: impl Read + Send + 'static) -> Self {
        let (sender, receiver) = channel();
        thread::spawn(move || {
            for line in BufReader::new(stream).split(b'\n').take(count) {
                let Ok(line) = line else { return };
                if sender.send(String::from_utf8_lossy(&line).into_owned()).is_err() {
                    return;
                }
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

    /// Passes over lines until one contains `part`.
    #[track_caller]
    pub(crate) fn wait_for(&mut self, part: &str) -> String {
        let line = self.find(|line| line.contains(part));
        line.unwrap_or_else(|| panic!("the stream ended without '{part}', after {:#?}", self.seen))
    }

    /// Passes over lines until one is as wanted. `None` at the end of the stream.
    #[track_caller]
    pub(crate) fn find(&mut self, wanted: impl Fn(&str) -> bool) -> Option<String> {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let line = self.next_until(deadline)?;
            if wanted(&line) {
                return Some(line);
            }
        }
    }

    #[track_caller]
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

/// A program, nothing on its standard input, its output piped, and no log and all colours whatever the environment
/// says.
pub(crate) fn command(program: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(program);
    command.args(arguments).env_remove("RUST_LOG").env_remove("NO_COLOR");
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Starts a program in a terminal of its own, so wide. What is read from the file is what it shows, and what is
/// written is the keys that are pressed.
pub(crate) fn in_terminal(mut command: Command, columns: u16) -> (Child, File) {
    let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
    grantpt(&ours).unwrap();
    unlockpt(&ours).unwrap();
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
    let theirs = open(ptsname(&ours, Vec::new()).unwrap(), flags, Mode::empty()).unwrap();
    let size = Winsize { ws_row: 24, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(&theirs, size).unwrap();
    command.env("TERM", "xterm").stdin(theirs.try_clone().unwrap());
    command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
    // The command, which has the terminal open too, goes at the end of this function.
    (command.spawn().unwrap(), ours.into())
}
