//! The program and libzmq.

use crate::process::{Folder, Process, zmtp};

/// A socket of libzmq, bound; nothing blocks it for ever.
pub(crate) fn bound(kind: zmq::SocketType) -> (zmq::Socket, String) {
    let socket = zmq::Context::new().socket(kind).unwrap();
    socket.set_linger(0).unwrap();
    socket.set_rcvtimeo(60_000).unwrap();
    socket.set_sndtimeo(60_000).unwrap();
    socket.bind("tcp://127.0.0.1:*").unwrap();
    let endpoint = socket.get_last_endpoint().unwrap().unwrap();
    (socket, endpoint)
}

#[test]
fn a_libzmq_publisher_of_several_parts_is_read() {
    // An XPUB is a PUB that tells when it may begin.
    let (publisher, endpoint) = bound(zmq::XPUB);
    let arguments =
        ["sub", &endpoint, "-t", "weather", "-n", "2", "-F", "{topic}: {1}, {parts} parts"];
    let sub = Process::start(&arguments);
    assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01weather");
    publisher.send_multipart(["other", "x"], 0).unwrap();
    publisher.send_multipart(["weather.oslo", "-3", "snow"], 0).unwrap();
    publisher.send("weather", 0).unwrap();
    sub.end().expect(0, &["weather.oslo: -3, 3 parts", "weather: , 1 parts"]);
}

#[test]
fn a_libzmq_subscriber_gets_what_is_published() {
    let (subscriber, endpoint) = bound(zmq::SUB);
    subscriber.set_subscribe(b"a").unwrap();
    let publisher = Process::fed(&["pub", &endpoint, "-t", "a1", "-p"], b"x\ny\n");
    assert_eq!(subscriber.recv_multipart(0).unwrap(), [b"a1", &b"x"[..]]);
    assert_eq!(subscriber.recv_multipart(0).unwrap(), [b"a1", &b"y"[..]]);
    publisher.end().expect(0, &[]);
}

#[test]
fn libzmq_asks_and_is_answered_and_answers_when_it_is_asked() {
    let folder = Folder::new();
    let endpoint = folder.ipc("rep");
    let rep = Process::start(&["rep", &endpoint, "--exec", "rev", "-n", "1"]);
    let req = zmq::Context::new().socket(zmq::REQ).unwrap();
    req.set_rcvtimeo(60_000).unwrap();
    req.connect(&endpoint).unwrap();
    req.send("abc", 0).unwrap();
    assert_eq!(req.recv_bytes(0).unwrap(), b"cba");
    rep.end().expect(0, &[]);

    let (rep, endpoint) = bound(zmq::REP);
    let asking = std::thread::spawn(move || zmtp(&["req", &endpoint, "-m", "hello"]));
    assert_eq!(rep.recv_bytes(0).unwrap(), b"hello");
    rep.send("world", 0).unwrap();
    asking.join().unwrap().expect(0, &["world"]);
}

#[test]
fn libzmq_pulls_what_is_pushed_and_pushes_what_is_pulled() {
    let (pull, endpoint) = bound(zmq::PULL);
    zmtp(&["push", &endpoint, "-m", "a b", "--split", " "]).expect(0, &[]);
    assert_eq!(pull.recv_multipart(0).unwrap(), [b"a", b"b"]);
    let (push, endpoint) = bound(zmq::PUSH);
    let pull = Process::start(&["pull", "--connect", &endpoint, "-n", "1"]);
    push.send("work", 0).unwrap();
    pull.end().expect(0, &["work"]);
}

#[test]
fn libzmq_is_inspected_and_answers_ping() {
    let rows = [
        (zmq::PUB, "PUB", "we came as SUB"),
        (zmq::XSUB, "XSUB", "we came as PUB"),
        (zmq::REP, "REP", "we came as REQ"),
        (zmq::ROUTER, "ROUTER", "we came as REQ"),
        (zmq::PULL, "PULL", "we came as PUSH"),
    ];
    for (kind, name, came) in rows {
        let (_socket, endpoint) = bound(kind);
        let ended = zmtp(&["inspect", &endpoint]);
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        let has = |parts: &[&str]| {
            assert!(
                ended.stdout.iter().any(|line| parts.iter().all(|part| line.contains(part))),
                "no {parts:?} in {ended:#?}"
            );
        };
        has(&["greeting", "ZMTP 3.1, NULL"]);
        has(&["socket type", name]);
        has(&["handshake", came]);
        has(&["heartbeat", "answers PING in"]);
        let ended = zmtp(&["ping", &endpoint, "-n", "2", "-i", "1ms"]);
        assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
        let pongs = ended.stdout.iter().filter(|line| line.starts_with("PONG"));
        assert_eq!(pongs.count(), 2, "{ended:#?}");
    }
}

#[test]
fn a_libzmq_pusher_is_left_before_it_gives_us_what_is_for_others() {
    let (push, endpoint) = bound(zmq::PUSH);
    let inspect = Process::start(&["inspect", &endpoint]);
    let ended = inspect.end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.stdout.iter().any(|line| line.contains("PUSH; we left")), "{ended:#?}");
    let pull = Process::start(&["pull", "--connect", &endpoint, "-n", "2"]);
    push.send("1", 0).unwrap();
    push.send("2", 0).unwrap();
    pull.end().expect(0, &["1", "2"]);
}

#[test]
fn what_libzmq_tolerates_is_found_out() {
    let (_pull, endpoint) = bound(zmq::PULL);
    let ended = zmtp(&["inspect", &endpoint, "--tolerates", "--json"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    let tolerates = &report["tolerates"];
    assert_eq!(tolerates["a peer of ZMTP 3.0"], "tolerated", "{report:#}");
    assert_eq!(tolerates["a frame with a reserved flag"], "tolerated", "{report:#}");
    assert_eq!(tolerates["greeting, READY and PING at once"], "hangs up", "{report:#}");
}

#[test]
fn a_tap_between_two_of_libzmq_prints_what_they_say() {
    let (publisher, target) = bound(zmq::XPUB);
    let (mut tap, endpoint) =
        Process::bound(&["tap", "tcp://127.0.0.1:*", &target, "--octets", "4"]);
    let subscriber = zmq::Context::new().socket(zmq::SUB).unwrap();
    subscriber.set_rcvtimeo(60_000).unwrap();
    subscriber.set_subscribe(b"weather").unwrap();
    subscriber.connect(&endpoint).unwrap();
    assert_eq!(publisher.recv_bytes(0).unwrap(), b"\x01weather");
    publisher.send_multipart(["weather", "\x1b"], 0).unwrap();
    assert_eq!(subscriber.recv_multipart(0).unwrap(), [&b"weather"[..], b"\x1b"]);
    for part in [
        "→ greeting: ZMTP 3.1, NULL",
        "→ SUBSCRIBE \"weat\"…",
        "← message [7] \"weat\"… +",
        "← message [1] \"\\u{1b}\"",
    ] {
        tap.stdout.wait_for(part);
    }
    drop(subscriber);
    tap.stdout.wait_for("→ closes");
    tap.stdout.wait_for("← closes");
    tap.interrupt();
    tap.end().expect(0, &[]);
}
