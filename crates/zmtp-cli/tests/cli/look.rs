//! `ping`, `inspect` and `tap`, with peers of our own and with some that are none.

use std::io::{Read, Write};
use std::net::TcpListener;
use std::thread;

use crate::process::{Ended, Folder, Process, zmtp};

/// Some line of the report has all of these.
#[track_caller]
fn reports(ended: &Ended, parts: &[&str]) {
    let has_all = |line: &&String| parts.iter().all(|part| line.contains(part));
    assert!(ended.stdout.iter().any(|line| has_all(&line)), "no {parts:?} in {ended:#?}");
}

/// Accepts connections, and says these octets to each.
fn saying(octets: &'static [u8]) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let _ = stream.write_all(octets);
            thread::spawn(move || stream.read_to_end(&mut Vec::new()));
        }
    });
    endpoint
}

#[test]
fn a_wrong_key_is_told_from_one_that_is_not_let_in_and_from_none() {
    let folder = Folder::new();
    let [server, client, stranger] = ["server", "client", "stranger"].map(|name| {
        zmtp(&["keygen", &folder.path(name)]);
        folder.path(name)
    });
    let [server_key, client_key] = [&server, &client].map(|file| format!("{file}.pub"));
    let (_pull, endpoint) = Process::bound(&[
        "pull",
        "tcp://127.0.0.1:*",
        "--curve-secret",
        &server,
        "--curve-allow",
        &client_key,
    ]);
    let rows: [(&[&str], i32, &[&str]); 4] = [
        (&[], 1, &["trouble", "it requires CURVE", "--curve-server"]),
        (&["--curve-server", &client_key], 1, &["trouble", "at our HELLO: its key is not the one"]),
        (
            &["--curve-server", &server_key, "--curve-secret", &stranger],
            1,
            &["trouble", "refused us", "does not know our key"],
        ),
        (&["--curve-server", &server_key, "--curve-secret", &client], 0, &["socket type", "PULL"]),
    ];
    for (options, status, parts) in rows {
        let ended = zmtp(&[&["inspect", &endpoint], options].concat());
        assert_eq!(ended.status.code(), Some(status), "{ended:#?}");
        reports(&ended, &["greeting", "ZMTP 3.1, CURVE"]);
        reports(&ended, parts);
    }
    let ended = zmtp(&["ping", &endpoint, "--curve-server", &client_key]);
    ended.expect(1, &[]);
    ended.says("at our HELLO");
}

/// Over WebSocket the upgrade decides on the mechanism, and a server may refuse it.
#[test]
fn a_peer_over_websocket_is_looked_at_as_any_other() {
    let folder = Folder::new();
    let [server, client] = ["server", "client"].map(|name| {
        zmtp(&["keygen", &folder.path(name)]);
        folder.path(name)
    });
    let server_key = format!("{server}.pub");
    let (_sub, endpoint) = Process::bound(&["sub", "ws://127.0.0.1:*/peer", "--topic", "weather."]);
    let ended = zmtp(&["inspect", &endpoint, "--tolerates"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    reports(&ended, &["sub-protocol", "ZWS2.0/NULL"]);
    reports(&ended, &["socket type", "SUB"]);
    reports(&ended, &["subscriptions", "\"weather.\""]);
    reports(&ended, &["heartbeat", "answers PING"]);
    reports(&ended, &["tolerance", "not tested"]);
    assert!(!ended.stdout.iter().any(|line| line.contains("greeting")), "{ended:#?}");
    let ended = zmtp(&["ping", &endpoint, "--count", "2"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    reports(&ended, &["PONG 2"]);

    let elsewhere = endpoint.replace("/peer", "/elsewhere");
    let ended = zmtp(&["ping", &elsewhere]);
    ended.expect(1, &[]);
    ended.says("404");

    let (_pull, endpoint) =
        Process::bound(&["pull", "ws://127.0.0.1:*", "--curve-secret", &server]);
    let ended = zmtp(&["ping", &endpoint]);
    ended.expect(1, &[]);
    ended.says("it requires CURVE");
    let keys = ["--curve-server", &server_key, "--curve-secret", &client];
    let ended = zmtp(&[&["inspect", &endpoint], &keys[..]].concat());
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    reports(&ended, &["sub-protocol", "ZWS2.0/CURVE"]);
    reports(&ended, &["socket type", "PULL"]);
}

/// Greets only those that announce CURVE, as libzmq does: it hangs up on others within its greeting.
#[test]
fn a_peer_that_hangs_up_within_its_greeting_is_asked_for_what_it_wants() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        while let Ok((mut stream, _)) = listener.accept() {
            let mut greeting = [0; 64];
            greeting[..10].copy_from_slice(b"\xFF\0\0\0\0\0\0\0\x01\x7F");
            greeting[10..17].copy_from_slice(b"\x03\x01CURVE");
            let _ = stream.write_all(&greeting[..11]);
            let mut theirs = [0; 64];
            if stream.read_exact(&mut theirs).is_ok() && theirs[12..17] == *b"CURVE" {
                let _ = stream.write_all(&greeting[11..]);
            }
        }
    });
    let ended = zmtp(&["inspect", &endpoint]);
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    reports(&ended, &["greeting", "ZMTP 3.1, CURVE"]);
    reports(&ended, &["trouble", "it requires CURVE: give its public key with --curve-server"]);
}

#[test]
fn a_wrong_password_is_told() {
    let folder = Folder::new();
    let users = folder.file("users", b"ann:secret\n");
    let login = folder.file("login", b"ann:guess\n");
    let (_rep, endpoint) =
        Process::bound(&["rep", "tcp://127.0.0.1:*", "--echo", "--plain-users", &users]);
    reports(&zmtp(&["inspect", &endpoint]), &["it requires PLAIN", "--plain-login"]);
    let ended = zmtp(&["inspect", &endpoint, "--plain-login", &login]);
    reports(&ended, &["refused us", "the name or the password is wrong"]);
}

#[test]
fn what_is_no_peer_is_told() {
    let http = saying(b"HTTP/1.1 400 Bad Request\r\n\r\n");
    let ended = zmtp(&["inspect", &http]);
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    reports(&ended, &["trouble", "ZMTP"]);
    let silent = saying(b"");
    let ended = zmtp(&["inspect", &silent, "-w", "50ms"]);
    reports(&ended, &["stopped sending before its greeting", "is it a ZeroMQ peer"]);
    let ended = zmtp(&["ping", &Folder::new().ipc("nobody")]);
    ended.expect(1, &[]);
    ended.says("No such file");
}

#[test]
fn what_a_subscriber_wants_is_listed() {
    let (_sub, endpoint) =
        Process::bound(&["sub", "--bind", "tcp://127.0.0.1:*", "-t", "a", "-t", "\\xff"]);
    let ended = zmtp(&["inspect", &endpoint, "--json", "--listen", "2s"]);
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    let report: serde_json::Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    assert_eq!(report["socket_type"], "SUB");
    assert_eq!(report["subscriptions"], serde_json::json!(["a", {"base64": "/w=="}]));
    assert!(report["ping_ms"].is_f64(), "{report:#}");
}

#[test]
fn what_we_tolerate_is_found_out() {
    let (_pull, endpoint) = Process::bound(&["pull", "tcp://127.0.0.1:*"]);
    let ended = zmtp(&["inspect", &endpoint, "--tolerates", "--json"]);
    let report: serde_json::Value = serde_json::from_str(&ended.stdout[0]).unwrap();
    let rows = [
        ("a peer of ZMTP 3.0", "tolerated"),
        ("an unknown command", "tolerated"),
        ("a short frame in the long form", "tolerated"),
        ("a frame with a reserved flag", "hangs up"),
        ("READY after the handshake", "hangs up"),
        ("greeting, READY and PING at once", "tolerated"),
    ];
    for (what, verdict) in rows {
        assert_eq!(report["tolerates"][what], verdict, "{what}: {report:#}");
    }
}

#[test]
fn a_peer_that_knows_no_ping_is_told_with_a_status_of_its_own() {
    // Of ZMTP 3.0, and silent after its READY.
    let peer = saying(
        b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x00NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
          \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
          \x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB",
    );
    let ended = zmtp(&["ping", &peer, "-n", "1", "-w", "1s"]);
    assert_eq!(ended.status.code(), Some(124), "{ended:#?}");
    ended.says("does not answer PING");
    reports(&zmtp(&["inspect", &peer, "-w", "1s"]), &["greeting", "ZMTP 3.0"]);
}

#[test]
fn a_tap_shows_no_password_and_what_is_sealed_only_by_its_size() {
    let folder = Folder::new();
    let users = folder.file("users", b"ann:secret\n");
    let forms: [(&[&str], &str); 2] = [
        (&["--json"], "\"name\":\"HELLO\",\"position\":64,\"said\":\"command\""),
        (&[], "→ HELLO username=\"ann\" password=***"),
    ];
    for (form, hello) in forms {
        let (rep, target) = Process::bound(&[
            "rep",
            "tcp://127.0.0.1:*",
            "--echo",
            "--plain-users",
            &users,
            "-n",
            "1",
        ]);
        let (tap, endpoint) =
            Process::bound(&[&["tap", "tcp://127.0.0.1:*", &target], form].concat());
        zmtp(&["req", &endpoint, "-m", "hi", "--plain-login", &users]).expect(0, &["hi"]);
        rep.end().expect(0, &["hi"]);
        tap.interrupt();
        let said = tap.end().stdout.join("\n");
        assert!(said.contains(hello) && said.contains("\"ann\""), "{said}");
        assert!(said.contains("\"hi\"") && !said.contains("secret"), "{said}");
    }

    let key = folder.path("key");
    zmtp(&["keygen", &key]);
    let (pull, target) =
        Process::bound(&["pull", "tcp://127.0.0.1:*", "--curve-secret", &key, "-n", "1"]);
    let (mut tap, endpoint) = Process::bound(&["tap", "tcp://127.0.0.1:*", &target]);
    let server = format!("{key}.pub");
    zmtp(&["push", &endpoint, "-m", "psst", "--curve-server", &server]);
    pull.end().expect(0, &["psst"]);
    tap.stdout.wait_for("→ INITIATE [");
    tap.stdout.wait_for("→ sealed frame [37]");
}

#[test]
fn a_tap_of_websocket_is_refused() {
    let ended = zmtp(&["tap", "tcp://127.0.0.1:*", "ws://127.0.0.1:5556"]);
    ended.expect(2, &[]);
    ended.says("tcp and ipc only");
}

#[test]
fn a_tap_says_that_nobody_is_behind_it() {
    let folder = Folder::new();
    let (mut tap, endpoint) = Process::bound(&["tap", &folder.ipc("tap"), &folder.ipc("nobody")]);
    let ended = zmtp(&["ping", &endpoint]);
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    tap.stdout.wait_for("cannot reach ipc://");
    tap.terminate();
    tap.end().expect(0, &[]);
    assert!(!std::fs::exists(folder.path("tap")).unwrap());
}
