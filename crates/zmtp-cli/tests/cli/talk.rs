//! The eleven kinds, each with its partner.

use std::fs;
use std::time::{Duration, Instant};

use crate::process::{Folder, Process, zmtp};

#[test]
fn what_is_published_line_by_line_is_printed_line_by_line() {
    let (sub, endpoint) = Process::bound(&["sub", "--bind", "tcp://127.0.0.1:*", "-n", "3", "-s"]);
    let ended = Process::fed(&["pub", &endpoint, "--wait-for-peer", "-s"], b"one\n\nthree").end();
    ended.expect(0, &[]);
    ended.says("3 sent");
    let ended = sub.end();
    ended.expect(0, &["one", "", "three"]);
    ended.says("3 received");
}

#[test]
fn websocket_endpoints_are_bound_or_connected_by_their_form() {
    let (sub, endpoint) = Process::bound(&["sub", "ws://127.0.0.1:*/feed", "-n", "1"]);
    assert!(endpoint.starts_with("ws://127.0.0.1:") && endpoint.ends_with("/feed"), "{endpoint}");
    zmtp(&["pub", &endpoint, "-p", "-m", "over HTTP"]).expect(0, &[]);
    sub.end().expect(0, &["over HTTP"]);
}

#[test]
fn a_topic_is_the_first_part_and_subscribers_choose_by_it() {
    let bind = ["sub", "--bind", "tcp://127.0.0.1:*", "-t", "b", "-t", "c", "-n", "2"];
    let (sub, endpoint) = Process::bound(&bind);
    let publish = |topic: &str| {
        let arguments = ["pub", &endpoint, "-t", topic, "-m", "x|y", "--split", "|"];
        zmtp(&arguments).expect(0, &[]);
    };
    // Nobody subscribes to "a".
    let ended = zmtp(&["pub", &endpoint, "-t", "a", "-m", "x", "-p", "-w", "100ms"]);
    ended.expect(124, &[]);
    let ended = zmtp(&["pub", &endpoint, "-t", "b1", "-m", "x|y", "--split", "|", "-p"]);
    ended.expect(0, &[]);
    publish("a");
    zmtp(&["pub", &endpoint, "-t", "c", "-m", "z", "-p"]).expect(0, &[]);
    sub.end().expect(0, &["b1\tx\ty", "c\tz"]);
}

#[test]
fn a_message_survives_json_and_octets_behind_their_length() {
    let written: &[&str] =
        &["{\"parts\":[\"a\",\"\",{\"base64\":\"AP+A\"}]}", "{\"parts\":[\"b\\n\"]}"];
    let rows: [(&[&str], &[u8]); 2] = [
        (&["--json"], b"[\"a\",\"\",{\"base64\":\"AP+A\"}]\n\n\"b\\n\"\n"),
        (
            &["--input", "sized"],
            b"\0\0\0\x03\0\0\0\x01a\0\0\0\0\0\0\0\x03\0\xff\x80\0\0\0\x01\0\0\0\x02b\n",
        ),
    ];
    for (form, input) in rows {
        let (pull, endpoint) = Process::bound(&["pull", "tcp://127.0.0.1:*", "-n", "2", "--json"]);
        Process::fed(&[&["push", &endpoint], form].concat(), input).end().expect(0, &[]);
        pull.end().expect(0, written);
    }
}

#[test]
fn octets_behind_their_length_are_written_as_documented() {
    let folder = Folder::new();
    let out = folder.path("out");
    let endpoint = folder.ipc("socket");
    let mut pull = crate::process::command(&["pull", &endpoint, "-n", "1", "-o", "sized"]);
    let mut pull = pull.stdout(fs::File::create(&out).unwrap()).spawn().unwrap();
    zmtp(&["push", &endpoint, "-m", "a,", "--split", ","]).expect(0, &[]);
    assert!(pull.wait().unwrap().success());
    assert_eq!(fs::read(out).unwrap(), b"\0\0\0\x02\0\0\0\x01a\0\0\0\0");
}

#[test]
fn a_message_is_printed_as_the_format_says() {
    let rows: [(&[&str], &str); 5] = [
        (&["-F", "{number}: {topic} ({parts}, {size}) {2}{9}"], "1: weather (3, 9) -3"),
        (&["-F", "{body}", "--join", "|"], "|-3"),
        (&["-F", "{{{}}}", "--join", "\\x2c"], "{weather,,-3}"),
        (&["-o", "hex"], "77656174686572  2d33"),
        (&["--json"], "{\"parts\":[\"weather\",\"\",\"-3\"]}"),
    ];
    for (form, expected) in rows {
        let mut arguments = vec!["pull", "tcp://127.0.0.1:*", "-n", "1"];
        arguments.extend(form);
        let (pull, endpoint) = Process::bound(&arguments);
        zmtp(&["push", &endpoint, "-m", "weather//-3", "--split", "/"]).expect(0, &[]);
        pull.end().expect(0, &[expected]);
    }
}

#[test]
fn messages_have_the_time_when_they_came_and_how_long_it_was() {
    let began = Instant::now();
    let form = ["--json", "--timestamp", "--delta-time"];
    let (mut pull, endpoint) =
        Process::bound(&[&["pull", "tcp://127.0.0.1:*", "-n", "2"], &form[..]].concat());
    let mut push = Process::open(&["push", &endpoint]);
    push.write(b"x\n");
    let first = pull.stdout.next();
    push.write(b"x\n");
    let second = pull.stdout.next();
    assert!(
        first.starts_with("{\"time\":\"20") && first.contains("\"delta\":0.000000,"),
        "{first}"
    );
    let delta = second.split("\"delta\":").nth(1).unwrap().split(',').next().unwrap();
    let delta: f64 = delta.parse().unwrap();
    assert!(delta > 0.0 && delta < began.elapsed().as_secs_f64(), "{second}");
}

#[test]
fn a_file_is_one_message() {
    let folder = Folder::new();
    let file = folder.file("picture", b"a\nb\n");
    let (pull, endpoint) = Process::bound(&["pull", "tcp://127.0.0.1:*", "-n", "2", "--json"]);
    Process::fed(&["push", &endpoint, "-f", &file, "-f", "-"], b"1\n2").end().expect(0, &[]);
    pull.end().expect(0, &["{\"parts\":[\"a\\nb\\n\"]}", "{\"parts\":[\"1\\n2\"]}"]);
}

#[test]
fn requests_are_answered_by_a_command_by_an_echo_or_always_alike() {
    let rows: [(&[&str], &[&str]); 3] = [
        (&["--exec", "tr a-z A-Z; echo $ZMTP_TOPIC", "--jobs", "2"], &["HELLO", "hello"]),
        (&["--echo"], &["hello"]),
        (&["-m", "ok"], &["ok"]),
    ];
    for (how, expected) in rows {
        let folder = Folder::new();
        let endpoint = folder.ipc("rep");
        let rep = Process::start(&[&["rep", &endpoint][..], how].concat());
        let twice = [expected, expected].concat();
        zmtp(&["req", &endpoint, "-m", "hello", "-n", "2", "-w", "60s"]).expect(0, &twice);
        rep.terminate();
        let ended = rep.end();
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    }
}

#[test]
fn a_command_that_fails_answers_nonetheless_and_is_told() {
    let (rep, endpoint) =
        Process::bound(&["rep", "tcp://127.0.0.1:*", "-n", "1", "--exec", "echo no; exit 3"]);
    zmtp(&["req", &endpoint, "-m", "hello"]).expect(0, &["no"]);
    let ended = rep.end();
    ended.expect(1, &[]);
    ended.says("exit status: 3");
}

#[test]
fn requests_are_answered_with_what_is_typed() {
    let mut rep = Process::open(&["rep", "tcp://127.0.0.1:*"]);
    let endpoint = rep.endpoint();
    let req = Process::fed(&["req", &endpoint], b"1+1?\n2+2?\n");
    for (asked, answer) in [("1+1?", "2\n"), ("2+2?", "4\n")] {
        assert_eq!(rep.stdout.next(), asked);
        rep.write(answer.as_bytes());
    }
    req.end().expect(0, &["2", "4"]);
}

#[test]
fn a_subscriber_runs_a_command_for_each_message() {
    let folder = Folder::new();
    let out = folder.path("out");
    let run = format!("cat >> {out}");
    let arguments = ["sub", "--bind", "tcp://127.0.0.1:*", "-n", "2", "--exec", &run];
    let (sub, endpoint) = Process::bound(&arguments);
    Process::fed(&["pub", &endpoint, "-p"], b"a\nb\n").end().expect(0, &[]);
    sub.end().expect(0, &[]);
    assert_eq!(fs::read_to_string(out).unwrap(), "a\nb\n");
}

#[test]
fn a_router_sends_to_the_peer_that_the_first_part_names() {
    let mut router = Process::open(&["router", "tcp://127.0.0.1:*", "--split", " "]);
    let endpoint = router.endpoint();
    let dealer = Process::start(&["dealer", &endpoint, "--identity", "bob", "-m", "hi", "-n", "1"]);
    assert_eq!(router.stdout.next(), "bob\thi");
    router.write(b"ann hello\n");
    router.stderr.wait_for("is not the identity of a connected peer");
    router.write(b"bob hello\n");
    dealer.end().expect(0, &["hello"]);
}

#[test]
fn a_router_answers_whoever_asked() {
    let (_router, endpoint) =
        Process::bound(&["router", "tcp://127.0.0.1:*", "--exec", "tr a-z A-Z; echo $ZMTP_TOPIC"]);
    let arguments = ["dealer", &endpoint, "-m", "hi,you", "--split", ",", "-n", "1"];
    zmtp(&arguments).expect(0, &["HI\tYOU", "hi"]);
}

#[test]
fn two_of_a_pair_talk() {
    let mut one = Process::open(&["pair", "--bind", "tcp://127.0.0.1:*"]);
    let endpoint = one.endpoint();
    let mut other = Process::open(&["pair", &endpoint, "-n", "1"]);
    other.write(b"hello\n");
    assert_eq!(one.stdout.next(), "hello");
    one.write(b"good day\n");
    other.end().expect(0, &["good day"]);
    one.interrupt();
    one.end().expect(0, &[]);
}

#[test]
fn an_xpub_prints_what_is_wanted_and_an_xsub_speaks_to_it() {
    let mut xpub = Process::open(&["xpub", "tcp://127.0.0.1:*", "--json"]);
    let endpoint = xpub.endpoint();
    let mut xsub = Process::open(&["xsub", &endpoint, "-t", "a", "-p"]);
    assert_eq!(xpub.stdout.next(), "{\"subscribe\":\"a\"}");
    xsub.write(b"more\n");
    assert_eq!(xpub.stdout.next(), "{\"parts\":[\"more\"]}");
    xpub.write(b"\"abc\"\n");
    assert_eq!(xsub.stdout.next(), "abc");
    xsub.terminate();
    xsub.end().expect(0, &[]);
    assert_eq!(xpub.stdout.next(), "{\"unsubscribe\":\"a\"}");
}

#[test]
fn a_signal_ends_it_with_the_summary_and_leaves_no_file() {
    let folder = Folder::new();
    let endpoint = folder.ipc("socket");
    let mut sub = Process::start(&["sub", "--bind", &endpoint, "--stats", "--json"]);
    sub.endpoint();
    let publisher = Process::open(&[
        "pub",
        "--connect",
        &endpoint,
        "-p",
        "-m",
        "x",
        "--repeat",
        "--rate",
        "100",
    ]);
    sub.stdout.wait_for("x");
    assert!(fs::exists(folder.path("socket")).unwrap());
    sub.terminate();
    let ended = sub.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    ended.says("{\"sent\":0,\"received\":");
    assert!(!fs::exists(folder.path("socket")).unwrap());
    publisher.interrupt();
    assert_eq!(publisher.end().status.code(), Some(130));
    // One that was to do more has not done its work.
    let mut sub = Process::start(&["sub", &endpoint, "-n", "5"]);
    sub.stderr.wait_for("trying again");
    sub.interrupt();
    assert_eq!(sub.end().status.code(), Some(130));
}

#[test]
fn what_nobody_gets_is_told() {
    let ended = zmtp(&["pub", "tcp://127.0.0.1:*", "-m", "x"]);
    ended.expect(0, &[]);
    ended.says("nobody had subscribed");
    let ended = zmtp(&["push", "--bind", "tcp://127.0.0.1:*", "-m", "x", "-w", "10ms"]);
    ended.expect(124, &[]);
    let folder = Folder::new();
    let ended = zmtp(&["push", &folder.ipc("nobody"), "-m", "x", "--linger", "10ms"]);
    ended.expect(1, &[]);
    ended.says("1 message was not delivered");
}

#[test]
fn a_peer_that_does_not_read_keeps_nobody_beyond_the_time_limit() {
    let socket = zmq::Context::new().socket(zmq::PULL).unwrap();
    socket.set_rcvhwm(1).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = socket.get_last_endpoint().unwrap().unwrap();
    let text = "x".repeat(10_000);
    let began = Instant::now();
    let ended = zmtp(&["push", &endpoint, "-m", &text, "--repeat", "-w", "200ms"]);
    ended.expect(124, &[]);
    ended.says("no peer took the next message within 200ms");
    ended.says("not delivered");
    assert!(began.elapsed() < Duration::from_secs(25), "it does not linger for 30 s");
}

#[test]
fn input_that_cannot_be_read_is_told_with_its_line() {
    let (_pull, endpoint) = Process::bound(&["pull", "tcp://127.0.0.1:*"]);
    let ended = Process::fed(&["push", &endpoint, "--json"], b"\"a\"\n[1]\n").end();
    ended.expect(1, &[]);
    ended.says("standard input: line 2: ");
}
