//! Command lines, good and bad, and what ends a program before its time.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use crate::process::{DEMO, PUBLISHER, Place, Process, SUBSCRIBER};

/// The program ends with this status and one line on standard error that names it and says this.
fn fails(program: &str, arguments: &[&str], status: i32, said: &[&str]) {
    let ended = Process::start(program, arguments).end();
    let context = format!("{program} {arguments:?}: {ended:#?}");
    assert_eq!(ended.status.code(), Some(status), "{context}");
    assert_eq!(ended.stdout, [""; 0], "{context}");
    let [line] = &ended.stderr[..] else { panic!("not one line: {context}") };
    let name = program.rsplit('/').next().unwrap();
    assert!(line.starts_with(&format!("{name}: ")), "{context}");
    assert!(said.iter().all(|said| line.contains(said)), "expected {said:?} in {context}");
}

#[test]
fn a_command_line_that_makes_no_sense_is_one_line_and_status_2() {
    for (arguments, said) in [
        (&["--bind", "tpc://x"][..], &["--bind", "tpc://x"][..]),
        (&["--bind", "tcp://127.0.0.1:99999"], &["--bind", "99999"]),
        (&["--bind", "ipc://"], &["--bind", "ipc://"]),
        (&["--bind"], &["--bind", "required"]),
        (&["--connect", "tcp://*:5556"], &["tcp://*:5556"]),
        (&["--zipcode", "0"], &["--zipcode", "1..=99999"]),
        (&["--zipcode", "100000"], &["--zipcode", "1..=99999"]),
        (&["--interval", "2"], &["--interval", "unit"]),
        (&["--interval", "1s", "--rate", "1"], &["--interval", "--rate"]),
        (&["--rate", "0"], &["--rate", "zero"]),
        (&["--send-hwm", "many"], &["--send-hwm", "unlimited"]),
        (&["--snow"], &["--snow"]),
        (&["--seed", "x\ny"], &["--seed"]),
    ] {
        fails(PUBLISHER, arguments, 2, said);
    }
    for (arguments, said) in [
        (&["--updates", "0x"][..], &["--updates", "0x"][..]),
        (&["--updates", "0"], &["--updates", "zero"]),
        (&["--delay", "soon"], &["--delay", "soon"]),
        (&["10002", "--all"], &["ZIPCODE", "--all"]),
        (&["10002", "10003"], &["10003"]),
        (&["--connect", "localhost:5556"], &["localhost:5556", "transport"]),
    ] {
        fails(SUBSCRIBER, arguments, 2, said);
    }
    fails(DEMO, &["weather"], 2, &["weather"]);
    fails(DEMO, &["interop", "--messages", "0"], 2, &["--messages", "zero"]);
}

#[test]
fn what_goes_wrong_at_run_time_is_one_line_and_status_1() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", taken.local_addr().unwrap());
    let nowhere = "ipc:///there/is/no/such/directory";
    for program in [PUBLISHER, SUBSCRIBER] {
        fails(program, &["--bind", &endpoint], 1, &[&endpoint, "in use"]);
        fails(program, &["--bind", nowhere], 1, &[nowhere, "No such file or directory"]);
    }
}

#[cfg(not(feature = "libzmq"))]
#[test]
fn interop_without_libzmq_says_how_to_get_it() {
    fails(DEMO, &["interop"], 2, &["--features libzmq -- interop"]);
}

#[test]
fn help_is_no_error() {
    for program in [PUBLISHER, SUBSCRIBER, DEMO] {
        let ended = Process::start(program, &["--help"]).end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        assert!(ended.stdout.iter().any(|line| line.starts_with("Usage: weather-")), "{ended:#?}");
        assert_eq!(ended.stderr, [""; 0]);
    }
}

#[test]
fn a_reader_that_goes_away_ends_the_client_quietly() {
    let Place { endpoint, .. } = &Place::tcp();
    let _server = Process::publisher(endpoint, &[]);
    let arguments = ["--all", "--updates", "1000000000", "--connect", endpoint];
    let ended = Process::start_with_reader_of(3, SUBSCRIBER, &arguments).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.stdout.len(), 3);
    assert_eq!(ended.stderr, [""; 0]);
}

#[cfg(target_os = "linux")]
#[test]
fn an_output_that_is_full_is_one_line_and_status_1() {
    let command = format!("exec '{DEMO}' >/dev/full");
    let ended = Process::start("sh", &["-c", &command]).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    let [line] = &ended.stderr[..] else { panic!("{ended:#?}") };
    assert!(line.starts_with("weather-demo: cannot write to standard output: "), "{line}");
}

#[test]
fn a_server_ends_after_its_count() {
    let Place { endpoint, .. } = &Place::tcp();
    let ended = Process::publisher(endpoint, &["--count", "1234"]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(
        ended.stderr,
        ["weather-publisher: published 1,234 updates, 0 still undelivered at the end"]
    );
}

#[test]
fn ctrl_c_ends_a_server() {
    let Place { endpoint, .. } = &Place::tcp();
    let mut server = Process::publisher(endpoint, &["--stats"]);
    server.stderr.wait_for("updates/s, 0 subscribers, 0 sent/s, 0 dropped/s, 0 dropped in all");
    server.interrupt();
    let ended = server.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(
        ended.stderr.last().unwrap().ends_with(" 0 still undelivered at the end"),
        "{ended:#?}"
    );
}

#[test]
fn ctrl_c_ends_a_server_whose_client_does_not_read() {
    let Place { endpoint, .. } = &Place::tcp();
    let mut server = Process::publisher(endpoint, &["--stats"]);
    let _client = Process::subscriber(endpoint, &["--all", "--delay", "1h", "--receive-hwm", "1"]);
    // Its queue is full, and the transport takes nothing more.
    server.stderr.wait_until(|rates| {
        rates.contains(" 1 subscriber, 0 sent/s, ") && !rates.contains(" 0 dropped/s")
    });
    let interrupted = Instant::now();
    server.interrupt();
    let ended = server.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(interrupted.elapsed() < Duration::from_secs(20), "it lingered");
    assert!(!ended.stderr.last().unwrap().contains(" 0 still undelivered"), "{ended:#?}");
}

#[test]
fn ctrl_c_ends_a_client_with_the_average_of_what_came() {
    let Place { endpoint, .. } = &Place::tcp();
    let _server = Process::publisher(endpoint, &["--zipcode", "10002", "--rate", "100"]);
    let mut client = Process::subscriber(endpoint, &["--updates", "1000000"]);
    client.stdout.wait_for("10002 ");
    client.stdout.wait_for("10002 ");
    client.interrupt();
    let ended = client.end();
    assert_eq!(ended.status.code(), Some(130), "{ended:#?}");
    let average = "Average temperature for zipcode '10002' was ";
    assert!(ended.stdout.last().unwrap().starts_with(average), "{ended:#?}");
    assert!(ended.stderr.last().unwrap().contains("interrupted after"), "{ended:#?}");
}

#[test]
fn the_demo_shows_five_updates_and_their_average() {
    let ended = Process::start(DEMO, &[]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert_eq!(ended.stderr, [""; 0]);
    let [server, client, updates @ .., average, empty, shown, and_shown] = &ended.stdout[..] else {
        panic!("{ended:#?}")
    };
    assert!(server.starts_with("Weather server at tcp://127.0.0.1:"), "{ended:#?}");
    assert_eq!(client, "Collecting updates from weather server...");
    assert_eq!(updates.len(), 5, "{ended:#?}");
    assert!(updates.iter().all(|update| update.starts_with("10002 ")), "{ended:#?}");
    assert!(average.starts_with("Average temperature for zipcode '10002' was "), "{ended:#?}");
    assert_eq!(empty, "");
    assert!(shown.starts_with("In "), "{ended:#?}");
    assert!(and_shown.contains("'10002'"), "{ended:#?}");
}
