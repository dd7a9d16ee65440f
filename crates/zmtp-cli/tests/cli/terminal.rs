//! What a terminal is shown.

use std::fs::File;
use std::io::Read;
use std::process::Child;
use std::thread::{self, JoinHandle};

use rustix::fs::{Mode, OFlags, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::process::{Folder, command, zmtp};

/// A program in a terminal of its own, of which all that it shows is kept.
struct Terminal {
    child: Child,
    output: JoinHandle<Vec<u8>>,
}

impl Terminal {
    fn start(arguments: &[&str], no_color: bool) -> Self {
        let ours = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&ours).unwrap();
        unlockpt(&ours).unwrap();
        let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC;
        let theirs = open(ptsname(&ours, Vec::new()).unwrap(), flags, Mode::empty()).unwrap();
        let size = Winsize { ws_row: 24, ws_col: 80, ws_xpixel: 0, ws_ypixel: 0 };
        tcsetwinsize(&theirs, size).unwrap();
        let mut command = command(arguments);
        command.env("TERM", "xterm");
        if no_color {
            command.env("NO_COLOR", "1");
        }
        command.stdout(theirs.try_clone().unwrap()).stderr(theirs);
        let child = command.spawn().unwrap();
        // The command has the terminal open, too.
        drop(command);
        let output = thread::spawn(move || {
            let mut output = Vec::new();
            // The end of a terminal that nobody has open any longer is an error.
            let _ = File::from(ours).read_to_end(&mut output);
            output
        });
        Self { child, output }
    }

    /// Waits until it ends.
    fn end(mut self) -> (i32, String) {
        let status = self.child.wait().unwrap();
        (status.code().unwrap(), String::from_utf8(self.output.join().unwrap()).unwrap())
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
