//! The end of a socket, and of a connection in the middle of a message: lost messages are counted.

use std::time::Duration;

use zmtp_socket::{HighWaterMark, Linger, PullOptions, PullSocket, PushOptions, Unfinished};
use zmtp_tests::over_each_transport;
use zmtp_tests::raw::{ANY_PORT, RawListener, RawPeer};
use zmtp_tests::story::{LARGE, Place, eventually, receive, within};

use crate::meeting::{bound, connected, peers};

const READY_PUSH: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PUSH";
const READY_PULL: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL";

over_each_transport! {
    async fn what_waits_for_an_absent_peer_is_delivered_if_it_comes_in_time(place: Place) {
        for linger in [Linger::Forever, Linger::For(Duration::from_secs(60))] {
            let place = place.another();
            let push = connected(&place, PushOptions::new().linger(linger));
            for number in 0..3u8 {
                push.send(&[number]).await.unwrap();
            }
            let closing = tokio::spawn(push.close());
            tokio::task::yield_now().await;
            let mut pull = bound(&place, PullOptions::new()).await;
            for number in 0..3u8 {
                assert_eq!(receive(&mut pull).await.first(), &[number][..]);
            }
            assert!(within("the close", closing).await.unwrap().is_empty());
        }
    }

    async fn what_waits_for_an_absent_peer_is_counted_if_it_does_not_come(place: Place) {
        for time in [Duration::from_millis(30), Duration::ZERO] {
            let push = connected(&place, PushOptions::new().linger(Linger::For(time)));
            let handle = push.handle();
            for _ in 0..3 {
                push.send("lost").await.unwrap();
            }
            let closed = within("the close", push.close()).await;
            assert_eq!((closed.unsent, closed.unread), (3, 0));
            let stats = handle.stats();
            assert_eq!((stats.undelivered, stats.queued, stats.sent), (3, 0, 0));
        }
    }

    async fn a_closed_socket_says_what_was_never_received(place: Place) {
        let mut pull = bound(&place, PullOptions::new()).await;
        let push = connected(&place, PushOptions::new());
        for _ in 0..3 {
            push.send("unread").await.unwrap();
        }
        eventually("all to arrive", || pull.stats().received == 3).await;
        receive(&mut pull).await;
        let Unfinished { unsent, unread, .. } = within("the close", pull.close()).await;
        assert_eq!((unsent, unread), (0, 2));
    }

    async fn what_waits_for_a_disconnected_endpoint_is_counted(place: Place) {
        let push = connected(&place, PushOptions::new());
        push.send("lost").await.unwrap();
        push.disconnect(&*place.endpoint).await.unwrap();
        let stats = push.stats();
        assert_eq!((stats.undelivered, stats.queued), (1, 0));
        assert!(push.try_send("nobody is there").is_err());
    }

    async fn a_socket_delivers_to_a_slow_reader_before_it_is_closed(place: Place) {
        let push = connected(&place, PushOptions::new().send_hwm(HighWaterMark::Unlimited));
        let options = PullOptions::new().receive_hwm(HighWaterMark::messages(1));
        let mut pull = bound(&place, options).await;
        for number in 0..50u8 {
            push.send(vec![number; LARGE]).await.unwrap();
        }
        let closing = tokio::spawn(push.close());
        for number in 0..50u8 {
            assert_eq!(receive(&mut pull).await.first()[..2], [number; 2]);
        }
        assert!(within("the close", closing).await.unwrap().is_empty());
    }
}

#[tokio::test]
async fn a_cut_in_the_middle_of_a_message_loses_this_one_alone() {
    let listener = RawListener::bind().await;
    let mut place = Place::tcp();
    place.endpoint = listener.endpoint();
    let push = connected(&place, PushOptions::new().send_hwm(HighWaterMark::Unlimited));
    let mut peer = listener.accept().await;
    peer.open(READY_PULL, READY_PUSH).await;
    push.send("whole").await.unwrap();
    peer.expect(b"\0\x05whole").await;
    push.send(vec![7; 64 << 20]).await.unwrap();
    push.send("behind").await.unwrap();
    peer.expect(b"\x02\0\0\0\0\x04\0\0\0\x07\x07").await;
    peer.reset();
    let mut peer = listener.accept().await;
    peer.open(READY_PULL, READY_PUSH).await;
    peer.expect(b"\0\x06behind").await;
    eventually("it to be counted", || push.stats().sent == 2).await;
    let stats = push.stats();
    assert_eq!((stats.undelivered, stats.queued, stats.dropped), (1, 0, 0), "{stats:?}");
}

#[tokio::test]
async fn what_had_not_begun_before_a_cut_is_sent_after_it_in_order() {
    let listener = RawListener::bind().await;
    let mut place = Place::tcp();
    place.endpoint = listener.endpoint();
    let push = connected(&place, PushOptions::new().send_hwm(HighWaterMark::Unlimited));
    let mut peer = listener.accept().await;
    peer.open(READY_PULL, READY_PUSH).await;
    push.send(vec![7; 64 << 20]).await.unwrap();
    for number in 0..100u8 {
        push.send(&[number]).await.unwrap();
    }
    peer.expect(b"\x02\0\0\0\0\x04\0\0\0\x07\x07").await;
    peer.reset();
    let mut peer = listener.accept().await;
    peer.open(READY_PULL, READY_PUSH).await;
    for number in 0..100u8 {
        peer.expect([0, 1, number]).await;
    }
}

#[tokio::test]
async fn half_a_message_is_not_received() {
    let mut pull = PullSocket::new();
    let endpoint = pull.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_PUSH, READY_PULL).await;
    peer.send(b"\0\x05whole\x01\x04half\x00\x09of one").await;
    assert_eq!(receive(&mut pull).await.first(), "whole");
    peer.finish().await;
    peers(&pull, 0).await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_PUSH, READY_PULL).await;
    peer.send(b"\0\x04next").await;
    assert_eq!(receive(&mut pull).await.parts(), ["next"]);
    assert_eq!(pull.stats().received, 2);
}
