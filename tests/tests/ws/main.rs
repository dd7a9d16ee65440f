//! The WebSocket transport, with other implementations and with peers made of octets. Its common
//! behaviour with the other transports is tested by the stories over each of them.

mod client;
mod frames;
mod hostile;
mod node;
mod tls;
mod upgrade;

use zmtp_socket::{Endpoint, PubOptions, PubSocket};
use zmtp_tests::raw::RawPeer;

/// The endpoint that our sockets bind here.
const ANY_PORT: &str = "ws://127.0.0.1:*/feed";

/// A request that is granted, up to its last line.
const REQUEST: &str = "GET /feed HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\n\
    Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
    Sec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: ZWS2.0\r\n";

/// The answer to it.
const ANSWER: &str = "HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: ZWS2.0\r\n\r\n";

/// An empty identity, of a server and of a client. The masks here are zeros, except in tests of the
/// mask.
const IDENTITY: &[u8] = b"\x82\x01\x00";
const MASKED_IDENTITY: &[u8] = b"\x82\x81\0\0\0\0\x00";

async fn publisher(options: PubOptions) -> (PubSocket, Endpoint) {
    let publisher = PubSocket::with_options(options);
    let endpoint = publisher.bind(ANY_PORT).await.expect("a port is free");
    (publisher, endpoint)
}

/// A client whose request has been granted, and that has sent nothing since.
async fn upgraded(endpoint: &Endpoint) -> RawPeer {
    let mut peer = RawPeer::dial(endpoint).await;
    peer.send(format!("{REQUEST}\r\n")).await;
    peer.expect(ANSWER).await;
    peer.expect(IDENTITY).await;
    peer
}

/// A client that is a subscriber to "A".
async fn subscriber(publisher: &PubSocket, endpoint: &Endpoint) -> RawPeer {
    let mut peer = upgraded(endpoint).await;
    peer.send(MASKED_IDENTITY).await;
    peer.send(b"\x82\x83\0\0\0\0\x00\x01A").await;
    publisher.wait_for_subscriber("A").await.expect("it is open");
    peer
}
