//! `proxy`, its tap and its counters.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::process::{Folder, Process, zmtp};
use crate::with_libzmq::bound;

/// A proxy of this pattern at two free ports; where its front is, and its back.
fn proxy(pattern: &str, options: &[&str]) -> (Process, String, String) {
    let any = "tcp://127.0.0.1:*";
    let (mut process, front) = Process::bound(&[&["proxy", pattern, any, any], options].concat());
    let back = process.endpoint();
    (process, front, back)
}

/// The response to a request over HTTP.
fn get(address: &str, request: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    write!(stream, "{request} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n").unwrap();
    let mut response = String::new();
    stream.read_to_string(&mut response).unwrap();
    response
}

#[test]
fn publishers_and_subscribers_meet() {
    let (proxy, front, back) = proxy("pubsub", &[]);
    let sub = Process::start(&["sub", &back, "-t", "b", "-n", "1"]);
    Process::fed(&["pub", &front, "-p"], b"b1\nc1\n").end().expect(0, &[]);
    sub.end().expect(0, &["b1"]);
    proxy.terminate();
    let ended = proxy.end();
    ended.expect(0, &[]);
    ended.says("forwarded 1 message (");
}

#[test]
fn a_libzmq_feed_is_subscribed_to_once_for_all() {
    let (publisher, feed) = bound(zmq::XPUB);
    let folder = Folder::new();
    let (_proxy, back) = Process::bound(&["proxy", "pubsub", &feed, &folder.ipc("back")]);
    let subs = [(); 2].map(|()| Process::start(&["sub", &back, "-t", "b", "-n", "1"]));
    assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01b");
    // The second one's subscription is told to nobody.
    let mut subs = subs.map(Some);
    while subs.iter().any(Option::is_some) {
        publisher.send("b2", 0).unwrap();
        for sub in &mut subs {
            if sub.as_mut().is_some_and(Process::has_ended) {
                sub.take().unwrap().end().expect(0, &["b2"]);
            }
        }
    }
}

#[test]
fn clients_and_workers_meet_and_a_tap_sees_both() {
    let folder = Folder::new();
    let tap = folder.ipc("tap");
    let (mut proxy, front, back) = proxy("queue", &["--tap", &tap]);
    proxy.endpoint();
    // Of REQ and REP: an identity, a number, an empty part, and the body.
    let mut watcher = Process::start(&["sub", &tap, "-F", "{parts} {3}", "-n", "2"]);
    let _rep = Process::start(&["rep", "--connect", &back, "--exec", "rev"]);
    // Until the watcher has subscribed, nobody sees what passes.
    while !watcher.has_ended() {
        zmtp(&["req", &front, "-m", "abc"]).expect(0, &["cba"]);
    }
    let mut seen = watcher.end().stdout;
    seen.sort();
    assert_eq!(seen, ["4 abc", "4 cba"]);
}

#[test]
fn work_goes_through_a_pipeline_and_talk_between_pairs_and_dealers() {
    let (_proxy, front, back) = proxy("pipeline", &[]);
    let pull = Process::start(&["pull", &back, "-n", "2"]);
    Process::fed(&["push", &front], b"1\n2\n").end().expect(0, &[]);
    pull.end().expect(0, &["1", "2"]);
    for (pattern, kind) in [("pair", "pair"), ("dealer", "dealer")] {
        let (_proxy, front, back) = proxy(pattern, &[]);
        let mut one = Process::open(&[kind, &front]);
        let mut other = Process::open(&[kind, &back]);
        one.write(b"hello\n");
        assert_eq!(other.stdout.next(), "hello");
        other.write(b"good day\n");
        assert_eq!(one.stdout.next(), "good day");
    }
}

#[test]
fn counters_are_served_in_the_open_metrics_format_and_as_json() {
    let (mut proxy, front, back) =
        proxy("pipeline", &["--metrics", "127.0.0.1:0", "--stats", "--json", "--interval", "20ms"]);
    let line = proxy.stderr.wait_for("statistics at http://");
    let address = line.split('/').nth(2).unwrap();
    let pull = Process::start(&["pull", &back, "-n", "2"]);
    Process::fed(&["push", &front], b"1\n2\n").end().expect(0, &[]);
    pull.end().expect(0, &["1", "2"]);
    let metrics = get(address, "GET /metrics");
    assert!(metrics.starts_with("HTTP/1.1 200 OK\r\n"), "{metrics}");
    assert!(metrics.contains("content-type: application/openmetrics-text; version=1.0.0"));
    let sample = "zmtp_received_total{socket=\"front\",type=\"PULL\"} 2\n";
    assert!(metrics.contains(sample) && metrics.ends_with("# EOF\n"), "{metrics}");
    let stats = get(address, "GET /stats.json");
    let stats: serde_json::Value =
        serde_json::from_str(stats.split("\r\n\r\n").nth(1).unwrap()).unwrap();
    assert_eq!(stats[0]["stats"]["received"], 2, "{stats:#}");
    assert_eq!(stats[1]["kind"], "PUSH");
    assert!(get(address, "GET /").starts_with("HTTP/1.1 404 "));
    assert!(get(address, "POST /metrics").starts_with("HTTP/1.1 405 "));
    let line = proxy.stdout.wait_for("\"messages\":2,");
    let line: serde_json::Value = serde_json::from_str(&line).unwrap();
    assert_eq!(line["dropped"], 0);
    // One that says nothing keeps nobody from the counters.
    let _silent: Vec<_> = (0..8).map(|_| TcpStream::connect(address).unwrap()).collect();
    assert!(get(address, "GET /metrics").contains("# EOF"));
    proxy.interrupt();
    assert_eq!(proxy.end().status.code(), Some(0));
}

#[test]
fn any_socket_serves_its_counters() {
    let (mut sub, _) =
        Process::bound(&["sub", "tcp://127.0.0.1:*", "-t", "a", "--metrics", "127.0.0.1:0"]);
    let line = sub.stderr.wait_for("statistics at http://");
    let metrics = get(line.split('/').nth(2).unwrap(), "GET /metrics");
    assert!(metrics.contains("zmtp_subscriptions{socket=\"zmtp\",type=\"SUB\"} 1"), "{metrics}");
    let ended = zmtp(&["sub", "tcp://127.0.0.1:*", "--metrics", "192.0.2.1:1"]);
    ended.expect(1, &[]);
    ended.says("--metrics 192.0.2.1:1");
}
