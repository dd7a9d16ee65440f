//! Requests for an upgrade that are granted, and the answers to the others.

use std::time::Duration;

use zmtp_socket::{PubOptions, PubSocket};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{RawPeer, end_of, in_time};

use crate::{ANSWER, ANY_PORT, IDENTITY, MASKED_IDENTITY, REQUEST, publisher, subscriber};

/// The request with one line in the place of another.
fn with(line: &str, other: &str) -> String {
    assert!(REQUEST.contains(line), "{line:?}");
    format!("{}\r\n", REQUEST.replace(line, other))
}

#[tokio::test]
async fn each_other_request_is_refused_with_a_reason_and_the_event_names_it() {
    let host = "Host: 127.0.0.1\r\n";
    let origin = |origin: &str| with(host, &format!("{host}Origin: {origin}\r\n"));
    let protocol = "Sec-WebSocket-Protocol: ZWS2.0\r\n";
    let protocols = |names: &str| with(protocol, &format!("Sec-WebSocket-Protocol: {names}\r\n"));
    let long = format!("{host}X: {}\r\n", "x".repeat(9000));
    let rows: Vec<(String, &str, &str)> = vec![
        (with("GET", "POST"), "400 Bad Request", "not an HTTP upgrade: "),
        (with("HTTP/1.1", "HTTP/1.0"), "400 Bad Request", "not an HTTP upgrade: "),
        ("hello\r\n\r\n".to_owned(), "400 Bad Request", "not an HTTP upgrade: "),
        ("\u{7f}\0\0\0\r\n".to_owned(), "400 Bad Request", "not an HTTP upgrade: "),
        (with("Upgrade: websocket\r\n", ""), "426 Upgrade Required", "not an HTTP upgrade: "),
        (with("keep-alive, Upgrade", "close"), "426 Upgrade Required", "not an HTTP upgrade: "),
        (with("Version: 13", "Version: 12"), "400 Bad Request", "not an HTTP upgrade: "),
        (with("dGhlIHNhbXBsZSBub25jZQ==", "dGhl"), "400 Bad Request", "not an HTTP upgrade: "),
        (with("/feed", "/other"), "404 Not Found", "the path \"/other\", where \"/feed\""),
        (with("/feed", "/"), "404 Not Found", "the path \"/\""),
        (with(protocol, ""), "400 Bad Request", "the sub-protocols []"),
        (protocols("ZWS1.0"), "400 Bad Request", "the sub-protocols [\"ZWS1.0\"]"),
        (protocols("ZWS2.0/PLAIN, zws2.0"), "400 Bad Request", "where one of [\"ZWS2.0\", "),
        (with(host, &long), "400 Bad Request", "more than 8192 octets"),
        (origin("http://example.org"), "403 Forbidden", "\"http://example.org\""),
        (origin("http://127.0.0.1.example.org"), "403 Forbidden", "not in ws_origins"),
        (origin("null"), "403 Forbidden", "a page of \"null\""),
        (origin("http://127.0.0.1\r\nOrigin: null"), "403 Forbidden", "an Origin that cannot"),
    ];
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    for (request, status, rule) in rows {
        println!("{request}");
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.try_send(&request).await.expect("so much is taken");
        neighbour.send().await;
        let heard = String::from_utf8(peer.heard_to_end().await).expect("it is text");
        assert!(heard.starts_with(&format!("HTTP/1.1 {status}\r\n")), "{request}\n{heard}");
        let address = peer.address();
        end_of(&mut monitor, &address).await.expect(false, rule);
        neighbour.receive_all(&mut subscriber).await;
    }
}

#[tokio::test]
async fn a_request_may_come_octet_by_octet_and_with_what_follows_it() {
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.drip(format!("{REQUEST}\r\n")).await;
    peer.drip(MASKED_IDENTITY).await;
    peer.drip(b"\x82\x83\xA0\x0B\xC0\x0D\xA0\x0A\x81").await;
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    peer.expect(ANSWER).await;
    peer.expect(IDENTITY).await;

    let mut peer = RawPeer::dial(&endpoint).await;
    let all = [REQUEST.as_bytes(), b"\r\n", MASKED_IDENTITY, b"\x82\x83\0\0\0\0\x00\x01B"];
    peer.send(all.concat()).await;
    in_time("a subscription", publisher.wait_for_subscriber("B")).await.unwrap();
}

#[tokio::test]
async fn a_client_that_never_ends_its_request_is_given_up_in_time() {
    let timeout = Duration::from_millis(200);
    let (publisher, endpoint) = publisher(PubOptions::new().handshake_timeout(timeout)).await;
    for said in ["", "GET /feed HTTP/1.1\r\nX: ", REQUEST, &format!("{REQUEST}\r\n")] {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(said).await;
        let address = peer.address();
        end_of(&mut monitor, &address).await.expect(false, "handshake");
        let _answer = peer.heard_to_end().await;
    }
}

#[tokio::test]
async fn pages_come_in_from_the_same_host_or_where_the_option_says() {
    let rows: [(&[&str], &str, bool); 8] = [
        (&[], "http://127.0.0.1", true),
        (&[], "https://127.0.0.1:8080", true),
        (&[], "http://[::1]:8080", false),
        (&["http://a.example:81"], "http://a.example:81", true),
        (&["http://a.example:81"], "http://a.example", false),
        (&["http://a.example:81"], "http://127.0.0.1", false),
        (&["http://a.example:81", "null"], "null", true),
        (&["*"], "http://b.example", true),
    ];
    for (origins, origin, is_let_in) in rows {
        let options = PubOptions::new().ws_origins(origins.iter().copied());
        let (_publisher, endpoint) = publisher(options).await;
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(format!("{REQUEST}Origin: {origin}\r\n\r\n")).await;
        match is_let_in {
            true => peer.expect(ANSWER).await,
            false => peer.expect("HTTP/1.1 403 Forbidden\r\n").await,
        }
    }
}

#[tokio::test]
async fn an_endpoint_can_have_origins_of_its_own() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind_with(ANY_PORT, |it| it.ws_origins(["http://a.example"])).await;
    let endpoint = endpoint.unwrap();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send(format!("{REQUEST}Origin: http://a.example\r\n\r\n")).await;
    peer.expect(ANSWER).await;
    let _peer = in_time("no origin at all", subscriber(&publisher, &endpoint)).await;
}
