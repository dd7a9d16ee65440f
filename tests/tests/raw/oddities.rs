//! Octets that a peer has no reason to send, and may send: they are ignored, and the peer is served on.

use zmtp_socket::{PubSocket, SubSocket};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{ANY_PORT, READY_PUB, READY_SUB, RawListener, RawPeer, in_time};

const PING: &[u8] = b"\x04\x07\x04PING\0\0";
const PONG: &[u8] = b"\x04\x05\x04PONG";

#[tokio::test]
async fn whatever_else_a_subscriber_sends_is_passed_over() {
    // The last figure is the number of subscriptions that it then has.
    let rows: [(&str, &[u8], u64); 17] = [
        ("an empty message", b"\x00\x00", 0),
        ("an empty message in the long form", b"\x02\0\0\0\0\0\0\0\0", 0),
        ("no subscription", b"\x00\x05hello", 0),
        ("neither 0 nor 1", b"\x00\x02\x02A", 0),
        ("a subscription of two parts", b"\x01\x02\x01A\x00\x01B", 0),
        ("a subscription with an empty part behind it", b"\x01\x02\x01A\x00\x00", 0),
        ("a subscription behind an empty part", b"\x01\x00\x00\x02\x01A", 0),
        ("a cancellation of two parts", b"\x00\x02\x01A\x01\x02\x00A\x00\x00", 1),
        ("a cancellation of what was never there", b"\x00\x02\x00A", 0),
        ("CANCEL of what was never there", b"\x04\x08\x06CANCELA\x04\x07\x06CANCEL", 0),
        (
            "CANCEL once too often",
            b"\x04\x0B\x09SUBSCRIBEA\x04\x08\x06CANCELA\x04\x08\x06CANCELA",
            0,
        ),
        ("CANCEL of less than there is", b"\x04\x0C\x09SUBSCRIBEAB\x04\x08\x06CANCELA", 1),
        (
            "commands between parts",
            b"\x01\x02\x01A\x04\x0B\x09SUBSCRIBEB\x04\x05\x04PONG\x00\x00",
            1,
        ),
        ("an unknown command", b"\x04\x04\x03HEY", 0),
        ("an answer to nothing", b"\x04\x05\x04PONG\x04\x09\x04PONGwhat", 0),
        ("a command by another case", b"\x04\x0B\x09subscribeA", 0),
        ("a command in the long form", b"\x06\0\0\0\0\0\0\0\x0B\x09SUBSCRIBEA", 1),
    ];
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    for (name, octets, subscriptions) in rows {
        println!("{name}");
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        peer.send(octets).await;
        neighbour.send().await;
        peer.send(PING).await;
        peer.expect(PONG).await;
        let stats = publisher.stats();
        let of_peer = stats.peers.iter().find(|stats| stats.peer.address() == peer.address());
        assert_eq!(of_peer.unwrap().subscriptions, subscriptions, "{name}");
        peer.subscribe("served").await;
        in_time("a subscription", publisher.wait_for_subscriber("served")).await.unwrap();
        publisher.send("served").await.unwrap();
        peer.expect(b"\x00\x06served").await;
        neighbour.receive_all(&mut subscriber).await;
        peer.reset();
    }
}

#[tokio::test]
async fn whatever_else_a_publisher_sends_is_passed_over() {
    let rows: [(&str, &[u8]); 8] = [
        ("SUBSCRIBE and CANCEL", b"\x04\x0B\x09SUBSCRIBEA\x04\x08\x06CANCELA"),
        ("a subscription as a message", b"\x00\x02\x01A\x00\x02\x00A"),
        ("an unknown command", b"\x04\x04\x03HEY"),
        ("an answer to nothing", b"\x04\x05\x04PONG\x04\x09\x04PONGwhat"),
        ("an empty message", b"\x00\x00"),
        ("an empty message in the long form", b"\x02\0\0\0\0\0\0\0\0"),
        ("a message of empty parts", b"\x01\x00\x01\x00\x00\x00"),
        ("what was not asked for", b"\x00\x01B\x01\x01B\x00\x01A"),
    ];
    let listener = RawListener::bind().await;
    let mut subscriber = SubSocket::new();
    subscriber.subscribe("A");
    subscriber.connect(listener.endpoint()).unwrap();
    let mut neighbour = Neighbour::publisher(&subscriber).await;
    let mut peer = listener.publisher().await;
    peer.expect(b"\x04\x0B\x09SUBSCRIBEA\x04\x13\x09SUBSCRIBEneighbour").await;
    for (name, octets) in rows {
        println!("{name}");
        peer.send(octets).await;
        peer.send(PING).await;
        peer.expect(PONG).await;
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
        // Commands between the parts of a message do not belong to it.
        peer.send([b"\x01\x01A", PING, b"\x04\x04\x03HEY\x00\x00"].concat()).await;
        peer.expect(PONG).await;
        let message = in_time("a message", subscriber.recv()).await.unwrap();
        assert_eq!(message.parts(), ["A", ""], "{name}");
    }
}
