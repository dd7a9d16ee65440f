//! Raw peers of a ROUTER: connections that speak no ZMTP.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use zmtp_socket::{
    BindError, Endpoint, Event, Heartbeat, HighWaterMark, Message, Peer, Reason, RouterOptions,
    RouterSocket,
};
use zmtp_tests::story::{eventually, within};

async fn next(router: &mut RouterSocket) -> (Peer, Message) {
    within("a message", router.recv()).await.expect("the socket is open")
}

fn port_of(endpoint: &Endpoint) -> u16 {
    match endpoint {
        Endpoint::Tcp { port, .. } => *port,
        other => panic!("{other} is no tcp endpoint"),
    }
}

/// A raw peer that has dialled the socket, and what the socket calls it.
async fn connection(router: &mut RouterSocket) -> (TcpStream, Peer) {
    let bound = router.bind_with("tcp://127.0.0.1:0", |options| options.raw(true)).await;
    let port = port_of(&bound.expect("the port is free"));
    let peer = TcpStream::connect(("127.0.0.1", port)).await.expect("it listens");
    let (came, message) = next(router).await;
    assert_eq!(message.parts(), [""]);
    (peer, came)
}

#[tokio::test]
async fn a_raw_peer_that_connects_is_a_dealer_of_octets() {
    let mut router = RouterSocket::with_options(RouterOptions::new().mandatory(true));
    let (mut peer, came) = connection(&mut router).await;
    peer.write_all(b"GET /").await.unwrap();
    let (from, message) = next(&mut router).await;
    assert_eq!(from.id(), came.id());
    assert_eq!(message.parts(), ["GET /"]);
    // More than any queue on the way holds: all of it is written before the end.
    let large = vec![b'x'; 8 << 20];
    let read = tokio::spawn(async move {
        let mut octets = Vec::new();
        peer.read_to_end(&mut octets).await.map(|_| octets)
    });
    router.send_to(&from, large.clone()).await.unwrap();
    router.send_to(&from, "end").await.unwrap();
    router.send_to(&from, "").await.unwrap();
    let octets = within("the end", read).await.unwrap().expect("it ends in order");
    assert_eq!((octets.len(), &octets[large.len()..]), (large.len() + 3, &b"end"[..]));
}

#[tokio::test]
async fn all_that_a_slow_raw_peer_reads_before_its_end_counts_as_sent() {
    let mut router = RouterSocket::new();
    let (mut peer, came) = connection(&mut router).await;
    let mut messages = 0;
    // Until the system takes no more.
    while router.stats().sent == messages {
        router.send_to(&came, vec![b'x'; 4 << 10]).await.unwrap();
        messages += 1;
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
    }
    router.send_to(&came, "").await.unwrap();
    let mut octets = Vec::new();
    within("the end", peer.read_to_end(&mut octets)).await.unwrap();
    assert_eq!(octets.len() as u64, messages * (4 << 10));
    drop(peer);
    eventually("the peer is forgotten", || router.stats().peers.is_empty()).await;
    let stats = router.stats();
    assert_eq!((stats.sent, stats.undelivered), (messages + 1, 0));
}

#[tokio::test]
async fn a_raw_peer_is_sent_its_end_though_nobody_receives_what_it_sends() {
    let options = RouterOptions::new().receive_hwm(HighWaterMark::messages(1));
    let mut router = RouterSocket::with_options(options);
    let (mut peer, came) = connection(&mut router).await;
    peer.write_all(b"unread").await.unwrap();
    router.send_to(&came, "bye").await.unwrap();
    router.send_to(&came, "").await.unwrap();
    let mut octets = Vec::new();
    within("the end", peer.read_to_end(&mut octets)).await.unwrap();
    assert_eq!(octets, b"bye");
}

#[tokio::test]
async fn a_raw_peer_that_goes_is_told_of_and_one_that_is_sent_its_end_is_dialled_no_more() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let endpoint = format!("tcp://{}", listener.local_addr().unwrap());
    let mut router = RouterSocket::with_options(RouterOptions::new().mandatory(true));
    let mut monitor = router.monitor();
    router.connect_with(&*endpoint, |options| options.raw(true).peer_identity("it")).unwrap();
    // Before the peer is connected.
    router.send_to("it", "first").await.unwrap();
    let mut octets = [0; 5];
    let (mut peer, _) = within("a peer", listener.accept()).await.unwrap();
    within("octets", peer.read_exact(&mut octets)).await.unwrap();
    assert_eq!(&octets, b"first");
    assert_eq!(next(&mut router).await.1.parts(), [""]);
    drop(peer);
    assert_eq!(next(&mut router).await.1.parts(), [""]);
    // The peer is dialled again, and has the same name.
    let (mut peer, _) = within("a peer", listener.accept()).await.unwrap();
    assert_eq!(next(&mut router).await.1.parts(), [""]);
    router.send_to("it", "").await.unwrap();
    assert_eq!(within("the end", peer.read(&mut octets)).await.unwrap(), 0);
    drop(peer);
    let is_parked = |event: &Event| matches!(event, Event::Parked { reason: Reason::Stopped, .. });
    while !is_parked(&within("an event", monitor.next()).await.expect("the socket is open")) {}
    router.connect(&*endpoint).unwrap();
    let again = within("a peer", listener.accept()).await;
    again.expect("connected anew, it is dialled");
}

#[tokio::test]
async fn what_raw_peers_know_nothing_of_is_refused() {
    let router = RouterSocket::new();
    let heartbeat = Heartbeat::every(Duration::from_secs(1));
    let refused = [
        router.bind_with("inproc://raw", |options| options.raw(true)).await,
        router.bind_with("tcp://127.0.0.1:0", |it| it.raw(true).heartbeat(heartbeat)).await,
        router.bind_with("tcp://127.0.0.1:0", |it| it.raw(true).plain_client("a", "b")).await,
    ];
    for refused in refused {
        assert!(matches!(refused, Err(BindError::Refused { .. })), "{refused:?}");
    }
}
