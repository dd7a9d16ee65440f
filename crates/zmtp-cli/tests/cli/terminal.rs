//! The output on a terminal.

use std::fs::File;
use std::io::{Read, Write};
use std::process::Child;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Instant;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::{Folder, Process, command, zmtp};
use crate::shared::{DEADLINE, in_terminal};

/// A program in a terminal of its own, of which all that it shows is kept.
struct Terminal {
    child: Child,
    keys: File,
    shown: Receiver<Vec<u8>>,
    output: Vec<u8>,
}

impl Terminal {
    fn start(arguments: &[&str], no_color: bool) -> Self {
        let mut command = command(arguments);
        if no_color {
            command.env("NO_COLOR", "1");
        }
        let (child, keys) = in_terminal(command, 140);
        let mut screen = keys.try_clone().unwrap();
        let (sender, shown) = channel();
        thread::spawn(move || {
            let mut buffer = [0; 4096];
            // The end of a terminal that nobody has open any longer is an error.
            while let Ok(count @ 1..) = screen.read(&mut buffer) {
                if sender.send(buffer[..count].to_vec()).is_err() {
                    return;
                }
            }
        });
        Self { child, keys, shown, output: Vec::new() }
    }

    /// Waits until it has shown this, since it was asked last.
    fn wait_for(&mut self, part: &str) {
        let deadline = Instant::now() + DEADLINE;
        while !String::from_utf8_lossy(&self.output).contains(part) {
            let more = self.shown.recv_timeout(deadline.saturating_duration_since(Instant::now()));
            let Ok(more) = more else {
                panic!("no '{part}' in {:?}", String::from_utf8_lossy(&self.output));
            };
            self.output.extend(more);
        }
        self.output.clear();
    }

    fn interrupt(&self) {
        kill_process(Pid::from_child(&self.child), Signal::INT).unwrap();
    }

    fn press(&mut self, key: &str) {
        self.keys.write_all(key.as_bytes()).unwrap();
    }

    /// Waits until it ends. Gives what it has shown since it was asked last.
    fn end(mut self) -> (i32, String) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            match self.shown.recv_timeout(left) {
                Ok(more) => self.output.extend(more),
                Err(RecvTimeoutError::Disconnected) => break,
                Err(RecvTimeoutError::Timeout) => panic!("it does not end"),
            }
        }
        let status = self.child.wait().unwrap();
        (status.code().unwrap(), String::from_utf8(std::mem::take(&mut self.output)).unwrap())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn a_terminal_does_not_obey_what_peers_send() {
    let folder = Folder::new();
    let endpoint = folder.ipc("socket");
    let terminal = Terminal::start(&["pull", &endpoint, "-n", "1", "-q"], false);
    zmtp(&["push", &endpoint, "-m", "a\x1b[2Jb"]).expect(0, &[]);
    assert_eq!(terminal.end(), (0, "a\\x1b[2Jb\r\n".to_owned()));
}

#[test]
fn colours_are_for_terminals_that_want_them() {
    for no_color in [false, true] {
        let arguments = ["pull", "ipc:///there/is/no/such/folder"];
        let (status, output) = Terminal::start(&arguments, no_color).end();
        assert_eq!(status, 1);
        let expected = if no_color { "zmtp: cannot" } else { "\x1b[31mzmtp:\x1b[0m cannot" };
        assert!(output.starts_with(expected), "{output:?}");
    }
}

#[test]
fn a_live_table_shows_sockets_and_peers_and_gives_the_terminal_back() {
    let (mut pull, endpoint) =
        Process::bound(&["pull", "tcp://127.0.0.1:*", "--metrics", "127.0.0.1:0"]);
    let line = pull.stderr.wait_for("statistics at http://");
    let address = line.split('/').nth(2).unwrap();
    let _push = Process::start(&["push", &endpoint, "-m", "x", "--repeat", "--rate", "1000"]);
    pull.stdout.wait_for("x");
    let mut top = Terminal::start(&["top", address, "-i", "50ms"], false);
    top.wait_for("\x1b[?1049h");
    top.wait_for(&endpoint);
    top.press("s");
    top.wait_for("by dropped");
    top.press("p");
    top.wait_for("paused");
    top.press("q");
    let (status, output) = top.end();
    assert_eq!(status, 0, "{output:?}");
    assert!(output.contains("\x1b[?1049l") && output.contains("\x1b[?25h"), "{output:?}");

    // One that goes away is told, and the table stays; Ctrl-C ends it.
    let mut top = Terminal::start(&["top", address, "-i", "50ms"], false);
    top.wait_for(&endpoint);
    drop(pull);
    top.wait_for("Connection refused");
    top.press("\x03");
    assert_eq!(top.end().0, 0);
}

#[test]
fn a_table_is_printed_once_for_those_without_a_terminal() {
    let (mut pull, endpoint) =
        Process::bound(&["pull", "tcp://127.0.0.1:*", "--metrics", "127.0.0.1:0"]);
    let line = pull.stderr.wait_for("statistics at http://");
    let address = line.split('/').nth(2).unwrap();
    let _push = Process::start(&["push", &endpoint, "-m", "x", "--repeat", "--rate", "1000"]);
    pull.stdout.wait_for("x");
    let ended = zmtp(&["top", &format!("http://{address}/metrics"), "--once", "-i", "100ms"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let socket = ended.stdout.iter().find(|line| line.starts_with("zmtp     PULL")).unwrap();
    let fields: Vec<_> = socket.split_whitespace().collect();
    assert_eq!(fields[2], "1", "one peer: {socket}");
    assert!(fields[4].replace(',', "").parse::<u64>().unwrap() > 0, "messages come: {socket}");
    let ended = zmtp(&["top", address]);
    ended.expect(2, &[]);
    ended.says("--once");
    drop(pull);
    let ended = zmtp(&["top", address, "--once"]);
    ended.expect(1, &[]);
    ended.says("--metrics");
}

#[test]
fn a_bench_shows_how_far_it_is_and_then_its_report() {
    let mut bench = Terminal::start(&["bench", "latency", "-n", "100000000"], false);
    bench.wait_for("latency [");
    bench.wait_for("/100,000,000 ");
    bench.interrupt();
    let (status, output) = bench.end();
    assert_eq!(status, 130, "{output:?}");
    // The bar is gone before the report.
    let report = output.rsplit("\x1b[2K").next().unwrap();
    assert!(report.trim_start().starts_with("latency, 64 B: "), "{output:?}");
}
