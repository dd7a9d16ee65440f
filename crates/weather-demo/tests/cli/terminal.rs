//! The client in a terminal, where its lines and its progress bar share the screen.

use std::io::Read;
use std::process::{Child, ExitStatus};
use std::thread::{self, JoinHandle};
use std::time::Instant;

use weather_demo::Update;

use crate::process::{DEMO, Place, Process, SUBSCRIBER, command};
use crate::shared::in_terminal;

const UPDATES: usize = 100_000;

#[test]
fn a_terminal_gets_many_updates_in_few_pieces() {
    let Place { endpoint, .. } = &Place::tcp();
    let _server = Process::publisher(endpoint, &["--zipcode", "10002"]);
    let started = Instant::now();
    let terminal =
        Terminal::start(SUBSCRIBER, &["--connect", endpoint, "--updates", &UPDATES.to_string()]);
    let (status, output) = terminal.end();
    let elapsed = started.elapsed();
    assert_eq!(status.code(), Some(0), "{}", tail(&output));

    // Each update has a line of its own; where the bar was, it was cleared before.
    let shown = output.lines().map(|line| line.rsplit("\r\x1b[2K").next().unwrap());
    let shown: Vec<_> = shown.filter(|line| line.starts_with("10002 ")).collect();
    assert_eq!(shown.len(), UPDATES, "{}", tail(&output));
    let is_update = |line: &&str| line.parse::<Update>().is_ok();
    assert_eq!(shown.iter().find(|line| !is_update(line)), None);
    let average = output.lines().last().unwrap();
    assert!(average.contains("Average temperature for zipcode '10002' was "), "{average}");

    // At most 20 times a second, the bar is drawn with a new number, cleared, and drawn below the lines.
    let drawn = output.matches("/100,000 updates").count();
    let most = 10 + 2 * elapsed.as_millis() as usize / 50;
    assert!((1..most).contains(&drawn), "the bar was drawn {drawn} times in {elapsed:?}");
}

#[test]
fn a_slow_client_shows_what_it_has() {
    let Place { endpoint, .. } = &Place::tcp();
    let _server = Process::publisher(endpoint, &["--zipcode", "10002", "--rate", "1000"]);
    let mut client = Process::subscriber(endpoint, &["--delay", "1h"]);
    client.stdout.wait_for("10002 ");
}

#[test]
fn a_terminal_is_told_the_whole_story_and_given_back() {
    let (status, output) = Terminal::start(DEMO, &[]).end();
    assert_eq!(status.code(), Some(0), "{}", tail(&output));
    for scene in ["1/4", "2/4", "3/4", "4/4", "\x1b[31mkilled\x1b[0m", "2 subscribers"] {
        assert!(output.contains(scene), "no {scene}: {}", tail(&output));
    }
    let (_, lost) = output.rsplit_once("; the slow one got ").expect("the end of the story");
    assert!(lost.contains(" and lost ") && !lost.contains(" and lost 0."), "{lost}");
    assert!(output.ends_with("\x1b[?25h"), "the cursor is hidden: {}", tail(&output));
}

/// A program in a terminal of its own, of which all that it shows is kept.
struct Terminal {
    child: Child,
    output: JoinHandle<Vec<u8>>,
}

impl Terminal {
    fn start(program: &str, arguments: &[&str]) -> Self {
        let (child, mut screen) = in_terminal(command(program, arguments), 80);
        let output = thread::spawn(move || {
            let mut output = Vec::new();
            // The end of a terminal that nobody has open any longer is an error.
            let _ = screen.read_to_end(&mut output);
            output
        });
        Self { child, output }
    }

    /// Waits until it ends.
    fn end(mut self) -> (ExitStatus, String) {
        let status = self.child.wait().unwrap();
        (status, String::from_utf8(self.output.join().unwrap()).unwrap())
    }
}

fn tail(output: &str) -> String {
    let lines: Vec<_> = output.lines().collect();
    format!("{:#?}", &lines[lines.len().saturating_sub(10)..])
}
