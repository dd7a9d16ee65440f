//! The octets of a conversation, and rare but valid octets of a peer.

use std::time::Duration;

use zmtp_socket::{
    DealerOptions, DealerSocket, Heartbeat, HighWaterMark, Linger, Peer, PubOptions, Reason,
    Reconnect, RouterSocket, SubOptions, SubSocket,
};
use zmtp_tests::raw::{RawPeer, end_of, eventually, in_time};
use zmtp_tests::story::receive;

use crate::{ANSWER, ANY_PORT, MASKED_IDENTITY, REQUEST, publisher, subscriber, upgraded};

#[tokio::test]
async fn each_frame_is_a_message_with_its_flags_in_front() {
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut peer = subscriber(&publisher, &endpoint).await;
    publisher.send("A 1").await.unwrap();
    peer.expect(b"\x82\x04\x00A 1").await;
    publisher.send(("A", "", "3")).await.unwrap();
    peer.expect(b"\x82\x02\x01A\x82\x01\x01\x82\x02\x003").await;
    for (size, header) in [
        (124, &b"\x82\x7D\x00"[..]),
        (125, b"\x82\x7E\x00\x7E\x00"),
        (65_534, b"\x82\x7E\xFF\xFF\x00"),
        (65_535, b"\x82\x7F\0\0\0\0\0\x01\0\0\x00"),
    ] {
        publisher.send(vec![b'A'; size]).await.unwrap();
        peer.expect(header).await;
        assert_eq!(peer.take(size).await, vec![b'A'; size]);
    }
}

#[tokio::test]
async fn a_message_may_come_in_fragments_with_pings_between_them() {
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut peer = upgraded(&endpoint).await;
    peer.send(b"\x02\x80\0\0\0\0\x89\x82\0\0\0\0hi\x80\x81\0\0\0\0\x00").await;
    peer.expect(b"\x8A\x02hi").await;
    peer.send(b"\x02\x82\0\0\0\0\x00\x01\x00\x80\0\0\0\0").await;
    peer.send(b"\x00\x81\0\0\0\0A\x89\x80\0\0\0\0\x80\x82\xFF\xFF\xFF\xFF\xBD\xBC").await;
    peer.expect(b"\x8A\x00").await;
    in_time("a subscription", publisher.wait_for_subscriber("ABC")).await.unwrap();
    publisher.send("AB").await.unwrap();
    publisher.send("ABC").await.unwrap();
    peer.expect(b"\x82\x04\x00ABC").await;
}

#[tokio::test]
async fn who_says_goodbye_is_answered_and_gone() {
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut monitor = publisher.monitor();
    let mut peer = subscriber(&publisher, &endpoint).await;
    peer.send(b"\x88\x82\0\0\0\0\x03\xE9").await;
    peer.expect(b"\x88\x02\x03\xE8").await;
    peer.expect_closed().await;
    let end = end_of(&mut monitor, &peer.address()).await;
    assert!(end.established && matches!(end.reason, Reason::PeerClosed), "{end:?}");
    eventually("it is forgotten", || publisher.subscriber_count() == 0).await;
}

#[tokio::test]
async fn who_says_goodbye_is_sent_nothing_more_though_nobody_receives_what_it_sent() {
    let options = DealerOptions::new().receive_hwm(HighWaterMark::messages(1));
    let dealer = DealerSocket::with_options(options.linger(Linger::Forever));
    let endpoint = dealer.bind(ANY_PORT).await.expect("a port is free");
    let mut peer = upgraded(&endpoint).await;
    peer.send(MASKED_IDENTITY).await;
    in_time("a peer", dealer.wait_for_peer()).await.unwrap();
    peer.send(b"\x82\x82\0\0\0\0\x001\x82\x82\0\0\0\0\x002\x88\x80\0\0\0\0").await;
    peer.expect(b"\x88\x02\x03\xE8").await;
    dealer.send("too late").await.expect("there is room");
    let left = in_time("the end", dealer.close()).await;
    assert_eq!((left.unsent, left.unread), (1, 1));
}

#[tokio::test]
async fn we_say_goodbye_after_all_that_is_queued() {
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut peer = subscriber(&publisher, &endpoint).await;
    publisher.send("A 1").await.unwrap();
    let closing = tokio::spawn(publisher.close());
    peer.expect(b"\x82\x04\x00A 1\x88\x02\x03\xE8").await;
    peer.expect_closed().await;
    drop(peer);
    assert_eq!(in_time("the end", closing).await.unwrap().unsent, 0);
}

#[tokio::test]
async fn a_heartbeat_is_a_ping_that_every_browser_answers() {
    let second = Duration::from_secs(1);
    let heartbeat = Heartbeat::every(Duration::from_millis(50)).with_timeout(second);
    let (publisher, endpoint) = publisher(PubOptions::new().heartbeat(heartbeat)).await;
    let mut monitor = publisher.monitor();
    let mut peer = subscriber(&publisher, &endpoint).await;
    for _ in 0..30 {
        peer.expect(b"\x89\x00").await;
        peer.send(b"\x8A\x80\0\0\0\0").await;
    }
    assert_eq!(publisher.subscriber_count(), 1, "after more than a second it is alive");
    let address = peer.address();
    end_of(&mut monitor, &address).await.expect(true, "the peer sent nothing in time after a PING");
}

#[tokio::test]
async fn two_of_ours_keep_each_other_alive_by_pings() {
    let heartbeat = Heartbeat::every(Duration::from_millis(20));
    let heartbeat = heartbeat.with_timeout(Duration::from_secs(5));
    let (publisher, endpoint) = publisher(PubOptions::new().heartbeat(heartbeat)).await;
    let never = Reconnect::new(Duration::from_secs(3600), Duration::from_secs(3600));
    let options = SubOptions::new().heartbeat(heartbeat).reconnect(never);
    let mut client = SubSocket::with_options(options);
    client.subscribe("A");
    client.connect(&endpoint).unwrap();
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    publisher.send("A").await.unwrap();
    assert_eq!(receive(&mut client).await.first(), "A");
}

#[tokio::test]
async fn an_identity_goes_both_ways() {
    let identity = |peer: &Peer| peer.identity().expect("it has one").to_vec();
    let mut router = RouterSocket::new();
    let endpoint = router.bind(ANY_PORT).await.unwrap();
    let mut peer = upgraded(&endpoint).await;
    peer.send(b"\x82\x83\0\0\0\0\x00me\x82\x82\0\0\0\0\x00?").await;
    let (from, request) = in_time("a request", router.recv()).await.unwrap();
    assert_eq!((identity(&from), &request.first()[..]), (b"me".to_vec(), &b"?"[..]));
    router.send_to("me", "!").await.unwrap();
    peer.expect(b"\x82\x02\x00!").await;

    let dealer = DealerSocket::with_options(DealerOptions::new().identity("you"));
    dealer.connect(&endpoint).unwrap();
    dealer.send("??").await.unwrap();
    let (from, _) = in_time("a request", router.recv()).await.unwrap();
    assert_eq!(identity(&from), b"you");

    let listening = DealerSocket::with_options(DealerOptions::new().identity("you"));
    let endpoint = listening.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send(format!("{}\r\n", REQUEST)).await;
    peer.expect(ANSWER).await;
    peer.expect(b"\x82\x04\x00you").await;
}
