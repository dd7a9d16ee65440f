//! The octets that these sockets send.

use std::time::Duration;

use zmtp_socket::kind::Kind;
use zmtp_socket::{
    DealerOptions, Options, PairOptions, PullOptions, PushOptions, PushSocket, Reconnect,
    RepOptions, RepSocket, ReqOptions, ReqSocket, RouterOptions, Socket,
};
use zmtp_tests::raw::{ANY_PORT, RawListener, RawPeer, eventually, in_time};

const REQ: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REQ";
const REP: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03REP";
const DEALER: &[u8] = b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06DEALER";
const ROUTER: &[u8] = b"\x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06ROUTER";
const PUSH: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PUSH";
const PULL: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PULL";
const PAIR: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04PAIR";

/// Checks that a socket with these options answers a peer's `ready` with `ours`.
async fn greets<T: Kind>(options: Options<T>, ready: &[u8], ours: &[u8]) -> (Socket<T>, RawPeer) {
    let socket = Socket::with_options(options);
    let endpoint = socket.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(ready, ours).await;
    (socket, peer)
}

/// A REQ that has connected to a peer, which is a REP.
async fn asks(options: ReqOptions) -> (ReqSocket, RawPeer) {
    let listener = RawListener::bind().await;
    let socket = ReqSocket::with_options(options);
    socket.connect(listener.endpoint()).unwrap();
    let mut peer = listener.accept().await;
    peer.open(REP, REQ).await;
    (socket, peer)
}

#[tokio::test]
async fn each_says_what_it_is() {
    greets(PushOptions::new(), PULL, PUSH).await;
    greets(PullOptions::new(), PUSH, PULL).await;
    greets(PairOptions::new(), PAIR, PAIR).await;
    greets(DealerOptions::new(), ROUTER, DEALER).await;
    greets(RouterOptions::new(), DEALER, ROUTER).await;
    greets(ReqOptions::new(), REP, REQ).await;
    greets(RepOptions::new(), REQ, REP).await;
}

#[tokio::test]
async fn those_that_have_an_identity_say_it() {
    let dealer = b"\x04\x2C\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\x03ann";
    let router = b"\x04\x2C\x05READY\x0BSocket-Type\0\0\0\x06ROUTER\x08Identity\0\0\0\x03ann";
    let req = b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x03REQ\x08Identity\0\0\0\x03ann";
    greets(DealerOptions::new().identity("ann"), ROUTER, dealer).await;
    greets(RouterOptions::new().identity("ann"), DEALER, router).await;
    greets(ReqOptions::new().identity("ann"), REP, req).await;
}

#[tokio::test]
async fn a_peer_of_a_router_may_announce_an_empty_identity() {
    let dealer = b"\x04\x29\x05READY\x0BSocket-Type\0\0\0\x06DEALER\x08Identity\0\0\0\0";
    let (mut router, mut peer) = greets(RouterOptions::new(), dealer, ROUTER).await;
    peer.send(b"\0\x02hi").await;
    let (peer, message) = in_time("a message", router.recv()).await.unwrap();
    assert_eq!(message.parts(), ["hi"]);
    assert_eq!(peer.identity().unwrap().len(), 5);
}

#[tokio::test]
async fn a_request_has_an_empty_part_before_it_and_so_has_its_reply() {
    let (mut req, mut peer) = asks(ReqOptions::new()).await;
    let (reply, ()) = tokio::join!(in_time("a reply", req.request("hi")), async {
        peer.expect(b"\x01\0\0\x02hi").await;
        peer.send(b"\x01\0\x01\x03and\0\x02yo").await;
    });
    assert_eq!(reply.unwrap().parts(), ["and", "yo"]);
}

#[tokio::test]
async fn a_numbered_request_has_its_number_before_that() {
    let (mut req, mut peer) = asks(ReqOptions::new().correlate(true)).await;
    let mut last = None;
    for _ in 0..2 {
        let (reply, ()) = tokio::join!(in_time("a reply", req.request("hi")), async {
            let (flags, number) = peer.frame().await;
            assert_eq!((flags, number.len()), (1, 4));
            peer.expect(b"\x01\0\0\x02hi").await;
            let wrong: Vec<u8> = number.iter().map(|octet| !octet).collect();
            peer.send([b"\x01\x04", &wrong[..], b"\x01\0\0\x03bad"].concat()).await;
            peer.send([b"\x01\x04", &number[..], b"\x01\0\0\x02yo"].concat()).await;
            let number = u32::from_be_bytes(number.try_into().unwrap());
            assert!(last.is_none_or(|last: u32| number == last.wrapping_add(1)));
            last = Some(number);
        });
        assert_eq!(reply.unwrap().parts(), ["yo"]);
    }
}

#[tokio::test]
async fn a_reply_goes_back_in_the_envelope_of_its_request() {
    let (mut rep, mut peer) = greets(RepOptions::new(), DEALER, REP).await;
    let rows: [(&[u8], &[u8]); 3] = [
        (b"\x01\0\0\x02hi", b"\x01\0\0\x02yo"),
        (b"\x01\x01A\x01\0\0\x02hi", b"\x01\x01A\x01\0\0\x02yo"),
        (b"\x01\x01A\x01\x02BC\x01\0\x01\x02hi\0\0", b"\x01\x01A\x01\x02BC\x01\0\0\x02yo"),
    ];
    for (request, reply) in rows {
        peer.send(request).await;
        let (message, back) = in_time("a request", rep.recv()).await.unwrap();
        assert_eq!(message.first(), "hi");
        back.send("yo").await.unwrap();
        peer.expect(reply).await;
    }
}

#[tokio::test]
async fn a_probe_is_an_empty_message_before_all_others() {
    let listener = RawListener::bind().await;
    let dealer = Socket::with_options(DealerOptions::new().probe(true));
    dealer.connect(listener.endpoint()).unwrap();
    dealer.send("waits").await.unwrap();
    let mut peer = listener.accept().await;
    peer.open(ROUTER, DEALER).await;
    peer.expect(b"\0\0\0\x05waits").await;
}

#[tokio::test]
async fn what_a_push_is_sent_is_discarded() {
    let (push, mut peer) = greets(PushOptions::new(), PULL, PUSH).await;
    let message = [&b"\x02\0\0\0\0\0\0\x03\xE8"[..], &[7; 1000]].concat();
    for _ in 0..100 {
        peer.send(message.repeat(100)).await;
    }
    eventually("all to be counted", || push.stats().received == 10_000).await;
    assert_eq!((push.stats().queued, push.stats().queued_octets), (0, 0));
    push.send("still of use").await.unwrap();
    peer.expect(b"\0\x0Cstill of use").await;
}

#[tokio::test]
async fn a_push_that_is_dialled_by_another_push_goes_on() {
    let push = PushSocket::new();
    let endpoint = push.bind(ANY_PORT).await.unwrap();
    let mut wrong = RawPeer::dial(&endpoint).await;
    wrong.open(PUSH, PUSH).await;
    wrong.heard_to_end().await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(PULL, PUSH).await;
    push.send("hi").await.unwrap();
    peer.expect(b"\0\x02hi").await;
}

#[tokio::test]
async fn a_connecting_socket_comes_back_after_a_malformed_frame() {
    let listener = RawListener::bind().await;
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
    let req = ReqOptions::new().reconnect(Reconnect::new(initial, max)).retries(1);
    let mut req = ReqSocket::with_options(req);
    req.connect(listener.endpoint()).unwrap();
    let (reply, ()) = tokio::join!(in_time("a reply", req.request("hi")), async {
        let mut peer = listener.accept().await;
        peer.open(REP, REQ).await;
        peer.expect(b"\x01\0\0\x02hi").await;
        peer.send(b"\xFF\xFF").await;
        peer.expect_closed().await;
        let mut peer = listener.accept().await;
        peer.open(REP, REQ).await;
        peer.expect(b"\x01\0\0\x02hi").await;
        peer.send(b"\x01\0\0\x02yo").await;
    });
    assert_eq!(reply.unwrap().parts(), ["yo"]);
}

#[tokio::test]
async fn what_is_no_request_is_passed_over() {
    let rows: [&[u8]; 6] = [
        b"\0\0",
        b"\0\x01A",
        b"\x01\x01A\0\x01B",
        b"\x01\x01A\0\0",
        b"\x01\x01A\x01\x01B\0\0",
        b"\x02\0\0\0\0\0\0\0\0",
    ];
    let mut rep = RepSocket::new();
    let endpoint = rep.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(DEALER, REP).await;
    for octets in rows {
        peer.send(octets).await;
        peer.send(b"\x01\0\0\x02hi").await;
        let (request, reply) = in_time("a request", rep.recv()).await.unwrap();
        assert_eq!(request.parts(), ["hi"]);
        reply.send("yo").await.unwrap();
        peer.expect(b"\x01\0\0\x02yo").await;
    }
    assert_eq!(rep.stats().filtered, 6);
}

#[tokio::test]
async fn the_answer_to_a_ping_comes_after_the_message_that_was_begun() {
    let (push, mut peer) = greets(PushOptions::new(), PULL, PUSH).await;
    push.send("first").await.unwrap();
    peer.expect(b"\x00\x05first").await;
    peer.send(b"\x04\x07\x04PING\0\0").await;
    // The runtime wakes the driver, which runs after this task has begun to write the message.
    tokio::task::yield_now().await;
    // More than the system takes at once.
    push.send(vec![b'x'; 16 << 20]).await.unwrap();
    let mut message = b"\x02\0\0\0\0\x01\0\0\0".to_vec();
    message.resize(9 + (16 << 20), b'x');
    peer.expect(&message).await;
    peer.expect(b"\x04\x05\x04PONG").await;
}
