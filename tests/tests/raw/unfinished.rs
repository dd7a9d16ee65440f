//! Messages that are never finished: no part of one is received, and none is the beginning of another.

use zmtp_socket::{Closed, RecvError, SubOptions, SubSocket};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{RawListener, end_of, in_time};

/// Beginnings, each behind a whole message "A1".
const BEGINNINGS: [&[u8]; 7] = [
    b"\x00\x02A1\x01\x02A2",
    b"\x00\x02A1\x01\x02A2\x01\x03and\x01\x00",
    b"\x00\x02A1\x01\x02A2\x00\x05half",
    b"\x00\x02A1\x01\x02A2\x04\x07\x04PING\0\0",
    b"\x00\x02A1\x01\x02A2\x02\0\0\0\0",
    b"\x00\x02A1\x02\0\0\0\0\0\x01\0\0A2, a large one",
    b"\x00\x02A1\x00",
];

/// A SUB that comes back within milliseconds, and its publisher.
async fn subscriber() -> (SubSocket, RawListener) {
    let listener = RawListener::bind().await;
    (listener.quick_subscriber(SubOptions::new()), listener)
}

async fn expect(subscriber: &mut SubSocket, message: &str) {
    let received = in_time("a message", subscriber.recv()).await.unwrap();
    assert_eq!(received.parts(), [message]);
}

#[tokio::test]
async fn what_a_publisher_left_unfinished_is_not_received_and_does_not_begin_the_next() {
    let (mut subscriber, listener) = subscriber().await;
    let mut neighbour = Neighbour::publisher(&subscriber).await;
    for beginning in BEGINNINGS {
        for reset in [false, true] {
            let mut monitor = subscriber.monitor();
            let mut peer = listener.publisher().await;
            peer.send(beginning).await;
            expect(&mut subscriber, "A1").await;
            neighbour.send().await;
            let expected = if reset {
                peer.reset();
                "reset by peer"
            } else {
                peer.finish().await;
                "the peer closed the connection"
            };
            end_of(&mut monitor, &listener.address()).await.expect(true, expected);
            neighbour.receive_all(&mut subscriber).await;
            let mut peer = listener.publisher().await;
            peer.send(b"\x00\x02A3").await;
            expect(&mut subscriber, "A3").await;
            peer.finish().await;
        }
    }
    assert_eq!(subscriber.stats().received as usize, 2 * 3 * BEGINNINGS.len());
}

#[tokio::test]
async fn a_socket_that_is_closed_in_the_middle_of_a_message_does_not_receive_it() {
    for beginning in BEGINNINGS {
        let (mut subscriber, listener) = subscriber().await;
        let mut neighbour = Neighbour::publisher(&subscriber).await;
        let mut peer = listener.publisher().await;
        peer.send(beginning).await;
        expect(&mut subscriber, "A1").await;
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
        let handle = subscriber.handle();
        let closing = tokio::spawn(async move { handle.close().await });
        peer.heard_to_end().await;
        // The connection was not open yet when the socket was closed.
        let _closed = peer.try_send(b"\x00\x03end").await;
        drop(peer);
        assert_eq!(in_time("the close", closing).await.unwrap().unsent, 0);
        let end = in_time("the end", subscriber.recv()).await;
        assert_eq!(end, Err(RecvError::Closed(Closed)));
    }
}
