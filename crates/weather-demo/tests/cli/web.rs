//! The page that `weather-demo web` serves, and its feed, without a browser.

use std::io::{Read, Write};
use std::net::TcpStream;

use crate::process::{DEMO, Process};
use crate::shared::DEADLINE;

/// The word that follows `mark` in a line, up to the next blank.
fn behind(line: &str, mark: &str) -> String {
    let (_, rest) = line.split_once(mark).expect(line);
    rest.split_whitespace().next().unwrap_or_default().to_owned()
}

/// A server with ports of its own; where its feed is, and its page.
fn server() -> (Process, String, String) {
    let ports = ["--page", "127.0.0.1:0", "--feed", "ws://127.0.0.1:*/a&b", "--rate", "50000"];
    let mut server = Process::start(DEMO, &[&["web"], &ports[..]].concat());
    let feed = behind(&server.stderr.wait_for("publishing at"), "publishing at ");
    let page = behind(&server.stderr.wait_for("the page:"), "http://");
    (server, feed, page.trim_end_matches('/').to_owned())
}

/// The header and the body of an answer.
fn ask(address: &str, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(format!("{request}\r\nHost: {address}\r\n\r\n").as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (header, body) = answer.split_once("\r\n\r\n").expect("an answer");
    (header.to_owned(), body.to_owned())
}

#[test]
fn the_page_and_its_parts_are_served_and_nothing_else() {
    let (server, feed, page) = server();
    let (header, body) = ask(&page, "GET / HTTP/1.1");
    assert!(header.starts_with("HTTP/1.1 200 OK"), "{header}");
    let port = behind(&feed, "ws://127.0.0.1:").split('/').next().unwrap().to_owned();
    assert!(body.contains(&format!("content=\":{port}/a&amp;b\"")), "{body}");
    let policy = format!(
        "content-security-policy: default-src 'none'; script-src 'self'; style-src \
        'self'; img-src data:; connect-src ws://*:{port}; "
    );
    assert!(header.contains(&policy) && header.contains("nosniff"), "{header}");
    for (part, kind) in [
        ("weather.css", "text/css"),
        ("weather.js", "text/javascript"),
        ("zmq.js", "text/javascript"),
    ] {
        assert!(body.contains(part), "the page names {part}");
        let (header, _) = ask(&page, &format!("GET /{part} HTTP/1.1"));
        assert!(header.contains(&format!("content-type: {kind}")), "{header}");
    }
    for (request, status) in [
        ("GET /weather.html HTTP/1.1", "404"),
        ("GET /../Cargo.toml HTTP/1.1", "404"),
        ("POST / HTTP/1.1", "405"),
        ("nonsense", "400"),
    ] {
        let (header, _) = ask(&page, request);
        assert!(header.starts_with(&format!("HTTP/1.1 {status} ")), "{request}: {header}");
    }
    server.interrupt();
    assert_eq!(server.end().status.code(), Some(0));
}

#[test]
fn the_feed_is_for_all_subscribers_with_five_digits_for_each_zipcode() {
    let (_server, feed, _page) = server();
    let ended = Process::subscriber(&feed, &["0004", "--updates", "5"]).end();
    assert_eq!(ended.status.code(), Some(0), "{ended:#?}");
    assert!(ended.stdout.iter().any(|line| line.contains("'0004'")), "{ended:#?}");
}

#[test]
fn only_ws_is_a_feed_and_a_port_that_is_taken_is_named() {
    let ended = Process::start(DEMO, &["web", "--feed", "tcp://127.0.0.1:*"]).end();
    assert_eq!(ended.status.code(), Some(2), "{ended:#?}");
    assert!(ended.stderr[0].contains("ws endpoints only"), "{ended:#?}");
    let (_server, _feed, page) = server();
    let ended = Process::start(DEMO, &["web", "--page", &page, "--feed", "ws://127.0.0.1:*"]).end();
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    assert!(ended.stderr[0].contains(&format!("cannot be served at {page}")), "{ended:#?}");
}

#[test]
fn a_browser_that_does_not_end_its_request_does_not_keep_its_place() {
    let (_server, _feed, page) = server();
    for begun in ["", "GET / HTTP/1.1\r\nHost: "] {
        let mut stream = TcpStream::connect(&page).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        stream.write_all(begun.as_bytes()).unwrap();
        stream.read_to_end(&mut Vec::new()).expect("the server ends the connection");
    }
}
