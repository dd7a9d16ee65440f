//! Peers that misbehave: their neighbours are served.

use zmtp_socket::{
    DealerOptions, DealerSocket, HighWaterMark, RepSocket, ReqSocket, RouterOptions, RouterSocket,
};
use zmtp_tests::raw::{ANY_PORT, GREETING, RawPeer, end_of, eventually, in_time};

const REP: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP";
const DEALER: &[u8] = b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06DEALER";
const ROUTER: &[u8] = b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06ROUTER";
const DEALER_SLOW: &[u8] =
    b"\x04\x2D\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x04slow";

#[tokio::test]
async fn an_identity_that_is_none_ends_the_handshake() {
    let too_long = [
        &b"\x06\0\0\0\0\0\0\x01\x29\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\x01\0"
            [..],
        &[b'A'; 256],
    ]
    .concat();
    let zero = b"\x04\x2C\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x03\0nn";
    let mut router = RouterSocket::new();
    let endpoint = router.bind(ANY_PORT).await.unwrap();
    let mut neighbour = DealerSocket::with_options(DealerOptions::new().identity("neighbour"));
    neighbour.connect(&endpoint).unwrap();
    for ready in [&too_long[..], &zero[..]] {
        let mut monitor = router.monitor();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(GREETING).await;
        peer.expect(GREETING).await;
        peer.send(ready).await;
        end_of(&mut monitor, &peer.address()).await.expect(false, "dentity");
        peer.heard_to_end().await;
        neighbour.send("hi").await.unwrap();
        let (peer, message) = in_time("a message", router.recv()).await.unwrap();
        assert_eq!(message.parts(), ["hi"]);
        router.send_to(&peer, "yo").await.unwrap();
        assert_eq!(in_time("a reply", neighbour.recv()).await.unwrap().parts(), ["yo"]);
    }
    assert_eq!(router.peer_count(), 1);
}

#[tokio::test]
async fn an_identity_of_255_octets_is_one() {
    let ready = [
        &b"\x06\0\0\0\0\0\0\x01\x28\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\xFF"
            [..],
        &[b'A'; 255],
    ]
    .concat();
    let router = RouterSocket::new();
    let endpoint = router.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(&ready, ROUTER).await;
    in_time("a peer", router.wait_for_peer()).await.unwrap();
    router.send_to(&[b'A'; 255][..], "hi").await.unwrap();
    peer.expect(b"\0\x02hi").await;
}

#[tokio::test]
async fn a_flood_of_what_is_no_request_leaves_a_neighbour_served() {
    const FLOOD: usize = 100_000;
    let mut rep = RepSocket::new();
    let endpoint = rep.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(DEALER, REP).await;
    let stats = rep.handle();
    let serving = tokio::spawn(async move {
        while let Ok((_, reply)) = rep.recv().await {
            let _gone = reply.send("yo").await;
        }
    });
    let flooding = tokio::spawn(async move {
        for _ in 0..FLOOD / 1000 {
            peer.send(b"\0\x01x".repeat(1000)).await;
        }
        peer
    });
    let mut req = ReqSocket::new();
    req.connect(&endpoint).unwrap();
    for _ in 0..100 {
        let reply = in_time("a reply", req.request("hi")).await.unwrap();
        assert_eq!(reply.parts(), ["yo"]);
    }
    let _peer = in_time("the flood", flooding).await.unwrap();
    eventually("all to be passed over", || stats.stats().filtered == FLOOD as u64).await;
    serving.abort();
}

#[tokio::test]
async fn a_dealer_that_reads_nothing_stops_no_other_peer_of_a_router() {
    let options = RouterOptions::new().send_hwm(HighWaterMark::messages(2));
    let router = RouterSocket::with_options(options);
    let endpoint = router.bind(ANY_PORT).await.unwrap();
    let mut slow = RawPeer::dial_narrow(&endpoint).await;
    slow.open(DEALER_SLOW, ROUTER).await;
    let mut quick = DealerSocket::with_options(DealerOptions::new().identity("quick"));
    quick.connect(&endpoint).unwrap();
    in_time("the quick one", quick.wait_for_peer()).await.unwrap();
    eventually("both", || router.peer_count() == 2).await;
    let mut sent = 0;
    while router.stats().dropped < 10 {
        assert!(sent < 1000, "it is never full");
        sent += 1;
        router.send_to("slow", vec![7; 256 << 10]).await.unwrap();
        router.send_to("quick", "served").await.unwrap();
        assert_eq!(in_time("a message", quick.recv()).await.unwrap().parts(), ["served"]);
    }
    let stats = router.stats();
    let of_slow = stats.peers.iter().find(|peer| peer.peer.address() == slow.address()).unwrap();
    assert_eq!((of_slow.dropped, stats.dropped), (10, 10));
    assert!(of_slow.queued <= 2);
    // The peer is served again once it reads.
    slow.expect(b"\x02\0\0\0\0\0\x04\0\0\x07").await;
}
