//! Command lines, good and bad, and what ends a program before its time.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpListener};
use std::time::{Duration, Instant};

use crate::process::{DEMO, PROXY, PUBLISHER, Place, Process, SUBSCRIBER};

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
        (&["--rate", "0"], &["--rate", "at least 1"]),
        (&["--rate", "4294967296"], &["--rate", "too large"]),
        (&["--send-hwm", "many"], &["--send-hwm", "unlimited"]),
        (&["--snow"], &["--snow"]),
        (&["--zipcod", "1"], &["'--zipcod'", "'--zipcode'"]),
        (&["--seed", "x\ny"], &["--seed"]),
    ] {
        fails(PUBLISHER, arguments, 2, said);
    }
    for (arguments, said) in [
        (&["--updates", "0x"][..], &["--updates", "0x", "not a whole number"][..]),
        (&["--updates", "0"], &["--updates", "at least 1"]),
        (&["--updates", "-1"], &["-1"]),
        (&["--updtes", "5"], &["'--updtes'", "a similar argument exists: '--updates'"]),
        (&["--user", "foo"], &["--user", "expected name:password, and there is no colon"]),
        (&["--delay", "soon"], &["--delay", "soon"]),
        (&["10002", "--all"], &["ZIPCODE", "--all"]),
        (&["10002", "10003"], &["10003"]),
        (&["--connect", "localhost:5556"], &["localhost:5556", "transport"]),
    ] {
        fails(SUBSCRIBER, arguments, 2, said);
    }
    fails(PROXY, &[], 2, &["--connect", "--listen"]);
    fails(PROXY, &["--bind", "tcp://127.0.0.1:*"], 2, &["--connect", "--listen"]);
    fails(DEMO, &["weather"], 2, &["weather"]);
    fails(DEMO, &["interop", "--messages", "0"], 2, &["--messages", "at least 1"]);
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
    for program in [PUBLISHER, SUBSCRIBER, PROXY, DEMO] {
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
    let is_full = |rates: &str| {
        rates.contains(" 1 subscriber, 0 sent/s, ") && !rates.contains(" 0 dropped/s")
    };
    server.stderr.find(is_full).expect("rates of a full queue");
    let interrupted = Instant::now();
    server.interrupt();
    let ended = server.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(interrupted.elapsed() < Duration::from_secs(20), "it lingered");
    assert!(!ended.stderr.last().unwrap().contains(" 0 still undelivered"), "{ended:#?}");
}

#[test]
fn a_server_that_waits_loses_nothing_of_a_client_that_does_not_read() {
    let Place { endpoint, .. } = &Place::tcp();
    let mut server = Process::publisher(endpoint, &["--stats", "--wait", "--send-hwm", "10"]);
    let _client = Process::subscriber(endpoint, &["--all", "--delay", "1h", "--receive-hwm", "1"]);
    server.stderr.wait_for(" 0 updates/s, 1 subscriber, 0 sent/s, 0 dropped/s, 0 dropped in all");
    server.interrupt();
    assert_eq!(server.end().status.code(), Some(0));
}

#[test]
fn a_proxy_that_waits_loses_nothing_of_a_client_that_does_not_read() {
    let (front, back) = (&Place::tcp().endpoint, &Place::tcp().endpoint);
    let arguments = ["--listen", front, "--bind", back, "--stats", "--wait", "--send-hwm", "10"];
    let mut proxy = Process::start(PROXY, &arguments);
    proxy.stderr.wait_for("serving subscribers");
    let _client = Process::subscriber(back, &["--all", "--delay", "1h", "--receive-hwm", "1"]);
    let _server = Process::start(PUBLISHER, &["--connect", front]);
    let idle = " 0 updates/s to 1 subscriber, 1 topic wanted, ";
    let is_busy = |line: &str| line.contains(" to 1 subscriber, ") && !line.contains(idle);
    proxy.stderr.find(is_busy).expect("rates of a subscriber that is served");
    let rates = proxy.stderr.wait_for(idle);
    assert!(rates.ends_with(" 0 dropped"), "{rates}");
    proxy.interrupt();
    assert_eq!(proxy.end().status.code(), Some(0));
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
    let [server, client, units, start, updates @ .., average, empty, made, others, needed] =
        &ended.stdout[..]
    else {
        panic!("{ended:#?}")
    };
    assert!(server.starts_with("A server at tcp://127.0.0.1:"), "{ended:#?}");
    assert!(
        client.ends_with("subscribes to zipcode '10002' and collects 5 updates of it: zipcode,")
    );
    assert_eq!(units, "temperature (F) and relative humidity (%).");
    assert_eq!(start, "Collecting updates from weather server...");
    assert_eq!(updates.len(), 5, "{ended:#?}");
    assert!(updates.iter().all(|update| update.starts_with("10002 ")), "{ended:#?}");
    assert!(average.starts_with("Average temperature for zipcode '10002' was "), "{ended:#?}");
    assert_eq!(empty, "");
    // The sums are right: what was made went to the client or to nobody, and it needed five.
    let made = number_after("the server made ", made);
    let sent = number_after("It sent ", &ended.stdout[ended.stdout.len() - 3]);
    let unsent = number_after("and the other ", others);
    assert_eq!(made, sent + unsent, "{ended:#?}");
    let late = sent - 5;
    let (rest, all) =
        (format!("The client needed 5 of those; {late} more"), "The client needed all of those.");
    assert!(if late == 0 { needed == all } else { needed.starts_with(&rest) }, "{ended:#?}");
}

#[test]
fn sigterm_ends_a_server_like_ctrl_c_and_leaves_no_file() {
    let place = Place::ipc();
    let path = place.endpoint.strip_prefix("ipc://").unwrap();
    let server = Process::publisher(&place.endpoint, &["--zipcode", "10002", "--rate", "1000"]);
    let mut client =
        Process::subscriber(&place.endpoint, &["--updates", "1000000", "--delay", "5ms"]);
    client.stdout.wait_for("10002 ");
    assert!(std::fs::exists(path).unwrap());
    server.terminate();
    let ended = server.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.stderr.last().unwrap().contains(" still undelivered at the end"), "{ended:#?}");
    assert!(!std::fs::exists(path).unwrap());
}

#[test]
fn sigterm_ends_a_client_like_ctrl_c_and_leaves_no_file() {
    let place = Place::ipc();
    let path = place.endpoint.strip_prefix("ipc://").unwrap();
    let mut client = Process::start(
        SUBSCRIBER,
        &["--bind", &place.endpoint, "--updates", "2000", "--delay", "1ms"],
    );
    client.stderr.wait_for("listening at");
    let arguments = ["--connect", &place.endpoint, "--zipcode", "10002"];
    let _server = Process::start(PUBLISHER, &arguments);
    client.stdout.wait_for("10002 ");
    client.terminate();
    let ended = client.end();
    assert_eq!(ended.status.code(), Some(143), "{ended:#?}");
    let average = "Average temperature for zipcode '10002' was ";
    assert!(ended.stdout.last().unwrap().starts_with(average), "{ended:#?}");
    let interrupted = ended.stderr.last().unwrap();
    assert!(interrupted.contains("interrupted after "), "{ended:#?}");
    assert!(interrupted.ends_with(" of 2,000 updates"), "{ended:#?}");
    assert!(!std::fs::exists(path).unwrap());
}

#[test]
fn sigterm_ends_a_proxy_like_ctrl_c_and_leaves_no_file() {
    let (front, back) = (Place::ipc(), Place::ipc());
    let paths = [&front, &back].map(|place| place.endpoint.strip_prefix("ipc://").unwrap());
    let arguments = ["--listen", &front.endpoint, "--bind", &back.endpoint, "--stats"];
    let mut proxy = Process::start(PROXY, &arguments);
    proxy.stderr.wait_for("serving subscribers");
    let _client = Process::subscriber(&back.endpoint, &["--delay", "1h"]);
    proxy.stderr.wait_for(" updates/s to 1 subscriber, 1 topic wanted, 0 dropped");
    let server = ["--connect", &front.endpoint, "--zipcode", "10002", "--count", "1"];
    let ended = Process::start(PUBLISHER, &server).end();
    assert!(ended.stderr.last().unwrap().contains("published 1 update, 0 "), "{ended:#?}");
    assert!(paths.iter().all(|path| std::fs::exists(path).unwrap()));
    proxy.terminate();
    let ended = proxy.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let summary = ended.stderr.last().unwrap();
    assert!(summary.starts_with("weather-proxy: forwarded "), "{ended:#?}");
    assert!(summary.ends_with(", 0 still undelivered at the end"), "{ended:#?}");
    assert!(!paths.iter().any(|path| std::fs::exists(path).unwrap()));
}

#[test]
fn rust_log_writes_the_log_to_standard_error() {
    let Place { endpoint, .. } = &Place::tcp();
    let _server = Process::publisher(endpoint, &["--zipcode", "10002", "--rate", "1000"]);
    let log = ("RUST_LOG", "zmtp_socket=debug");
    let ended = Process::start_with(log, SUBSCRIBER, &["--connect", endpoint]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let logged = |part| ended.stderr.iter().any(|line| line.contains(part));
    assert!(logged("DEBUG") && logged("handshake succeeded"), "{ended:#?}");
    assert_eq!(ended.stdout.len(), 1 + 5 + 1, "{ended:#?}");

    let nonsense = ("RUST_LOG", "zmtp_socket=loudly");
    let ended = Process::start_with(nonsense, SUBSCRIBER, &["--connect", endpoint]).end();
    assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
    let [line] = &ended.stderr[..] else { panic!("{ended:#?}") };
    assert!(line.starts_with("weather-subscriber: RUST_LOG: "), "{line}");
}

#[test]
fn each_reason_of_an_endpoint_is_told_once() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let mut client = Process::subscriber(&endpoint, &[]);
    // One that hangs up, and one that is no ZeroMQ peer; the same again; then nobody.
    let http = &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..];
    for said in [b"", http, b"", http] {
        let (mut stream, _) = listener.accept().unwrap();
        stream.write_all(said).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        let _ = stream.read_to_end(&mut Vec::new());
    }
    drop(listener);
    let [hung_up, not_zmq, nobody] =
        std::array::from_fn(|_| client.stderr.wait_for("trying again"));
    assert!(hung_up.contains("closed the connection"), "{hung_up}");
    assert!(not_zmq.contains("ZMTP"), "{not_zmq}");
    assert!(nobody.contains("refused"), "{nobody}");
}

/// The number that stands after `words`.
fn number_after(words: &str, line: &str) -> u64 {
    let (_, after) = line.split_once(words).unwrap_or_else(|| panic!("no '{words}' in {line}"));
    let number = after.split(' ').next().unwrap();
    number.replace(',', "").parse().unwrap()
}
