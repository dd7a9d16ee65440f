//! The requests of our sockets that dial, and the answers that they refuse.

use zmtp_socket::{Event, Monitor, SubOptions, SubSocket};
use zmtp_tests::raw::{RawListener, RawPeer, in_time};
use zmtp_tests::story::{event, receive};

/// Our subscriber to "A", and the listener that it dials.
async fn dialling() -> (SubSocket, Monitor, RawListener) {
    let listener = RawListener::bind().await;
    let subscriber = SubSocket::with_options(SubOptions::new());
    subscriber.subscribe("A");
    let monitor = subscriber.monitor();
    subscriber.connect(format!("ws://{}/feed", listener.address())).unwrap();
    (subscriber, monitor, listener)
}

/// Reads a request, and returns its key.
async fn request(peer: &mut RawPeer, host: &str) -> String {
    peer.expect("GET /feed HTTP/1.1\r\nHost: ").await;
    peer.expect(host).await;
    peer.expect("\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: ").await;
    let key = String::from_utf8(peer.take(24).await).unwrap();
    peer.expect("\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ").await;
    peer.expect("ZWS2.0, ZWS2.0/NULL\r\n\r\n").await;
    key
}

fn answer(key: &str, protocol: &str) -> String {
    let accept = tungstenite::handshake::derive_accept_key(key.as_bytes());
    format!(
        "HTTP/1.1 101 Whatever\r\nUPGRADE: WebSocket\r\nConnection: upgrade\r\n\
         Sec-WebSocket-Accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
    )
}

/// Reads the next masked frame: its first octet, and its payload.
async fn masked(peer: &mut RawPeer) -> (u8, Vec<u8>) {
    let [first, size] = peer.take(2).await[..] else { panic!("two octets") };
    assert_eq!(size & 0x80, 0x80, "a client masks");
    let key = peer.take(4).await;
    let mut payload = peer.take(usize::from(size & 0x7F)).await;
    payload.iter_mut().zip(key.iter().cycle()).for_each(|(octet, key)| *octet ^= key);
    (first, payload)
}

#[tokio::test]
async fn a_client_masks_what_it_says_in_either_profile() {
    let (mut subscriber, _monitor, listener) = dialling().await;
    let mut peer = listener.accept().await;
    let key = request(&mut peer, &listener.address()).await;
    peer.send(answer(&key, "ZWS2.0")).await;
    assert_eq!(masked(&mut peer).await, (0x82, vec![0]));
    peer.send(b"\x82\x01\x00").await;
    assert_eq!(masked(&mut peer).await, (0x82, b"\x00\x01A".to_vec()));
    peer.send(b"\x82\x03\x00A1\x89\x02hi").await;
    assert_eq!(receive(&mut subscriber).await.first(), "A1");
    assert_eq!(masked(&mut peer).await, (0x8A, b"hi".to_vec()));
    drop(peer);

    let mut peer = listener.accept().await;
    let key = request(&mut peer, &listener.address()).await;
    peer.send(answer(&key, "ZWS2.0/NULL")).await;
    let ready = b"\x02\x05READY\x0BSocket-Type\0\0\0\x03SUB".to_vec();
    assert_eq!(masked(&mut peer).await, (0x82, ready));
    peer.send(b"\x82\x1A\x02\x05READY\x0BSocket-Type\0\0\0\x03PUB").await;
    assert_eq!(masked(&mut peer).await, (0x82, b"\x00\x01A".to_vec()));
    peer.send(b"\x82\x03\x00A2").await;
    assert_eq!(receive(&mut subscriber).await.first(), "A2");
}

#[tokio::test]
async fn each_other_answer_is_refused_and_dialled_again() {
    let (_subscriber, mut monitor, listener) = dialling().await;
    let good = |key: &str| answer(key, "ZWS2.0");
    type Row = (fn(&str, &dyn Fn(&str) -> String) -> String, &'static str);
    let rows: [Row; 9] = [
        (|_, _| "HTTP/1.1 403 Forbidden\r\n\r\n".to_owned(), "the server answers 403 Forbidden"),
        (|_, _| "HTTP/1.1 200 OK\r\n\r\n".to_owned(), "the server answers 200 OK"),
        (|_, _| "SSH-2.0-OpenSSH\r\n\r\n".to_owned(), "not an HTTP upgrade"),
        (|_, _| format!("HTTP/1.1 101 OK\r\nX: {}", "x".repeat(9000)), "more than 8192 octets"),
        (|key, good| good(key).replace("Connection: upgrade\r\n", ""), "upgrades nothing"),
        (|key, good| good(key).replace("WebSocket\r\n", "h2c\r\n"), "upgrades nothing"),
        (|_, good| good("dGhlIHNhbXBsZSBub25jZQ=="), "not that of our key"),
        (
            |key, good| good(key).replace("ZWS2.0", "ZWS2.0/PLAIN"),
            "sub-protocol Some(\"ZWS2.0/PLAIN\")",
        ),
        (|key, good| good(key) + "\u{2}\u{0}", "continues nothing"),
    ];
    for (number, (says, rule)) in rows.into_iter().enumerate() {
        println!("{rule}");
        let mut peer = listener.accept().await;
        let key = request(&mut peer, &listener.address()).await;
        let says = says(&key, &good);
        match number {
            // A frame with a mask.
            8 => peer.send([good(&key).as_bytes(), b"\x82\x81\0\0\0\0\0"].concat()).await,
            _ => peer.send(says).await,
        }
        let rule = if number == 8 { "with a mask" } else { rule };
        let reason = in_time("the end", end(&mut monitor)).await;
        assert!(reason.contains(rule), "expected {rule:?}, got {reason:?}");
    }
}

async fn end(monitor: &mut Monitor) -> String {
    event(monitor, "the end of an attempt", |event| match event {
        Event::RetryingIn { reason, .. } => Some(reason.to_string()),
        _ => None,
    })
    .await
}
