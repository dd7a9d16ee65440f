//! Peers that send too little: those that never send, and those that stop in the middle.

use std::time::Duration;

use zmtp_socket::{PubOptions, PubSocket, Reconnect, SubOptions, SubSocket};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{
    ANY_PORT, GREETING, READY_PUB, READY_SUB, RawListener, RawPeer, end_of, eventually, in_time,
};

#[tokio::test]
async fn a_peer_that_is_not_done_with_its_handshake_in_time_is_closed_wherever_it_stopped() {
    let timeout = Duration::from_millis(300);
    let publisher = PubSocket::with_options(PubOptions::new().handshake_timeout(timeout));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let mut monitor = publisher.monitor();
    let conversation = [&GREETING[..], READY_SUB].concat();
    // Nothing, half a signature, all but the last octet of the greeting, the greeting, half of
    // READY, all but its last octet.
    let mut silent = Vec::new();
    for octets in [0, 5, 63, 64, 80, conversation.len() - 1] {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(&conversation[..octets]).await;
        silent.push(peer);
    }
    neighbour.send().await;
    for mut peer in silent {
        let heard = peer.heard_to_end().await;
        assert!([&GREETING[..], READY_PUB].concat().starts_with(&heard));
        neighbour.send().await;
        let address = peer.address();
        drop(peer);
        let end = end_of(&mut monitor, &address).await;
        end.expect(false, "the handshake did not finish in time");
    }
    neighbour.receive_all(&mut subscriber).await;
    assert_eq!(publisher.stats().peers.len(), 1);
}

#[tokio::test]
async fn a_publisher_that_never_speaks_is_given_up_and_dialled_again() {
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
    let options = SubOptions::new()
        .handshake_timeout(Duration::from_millis(100))
        .reconnect(Reconnect::new(initial, max));
    let subscriber = SubSocket::with_options(options);
    let listener = RawListener::bind().await;
    let mut monitor = subscriber.monitor();
    subscriber.connect(listener.endpoint()).unwrap();
    for _ in 0..2 {
        let mut peer = listener.accept().await;
        peer.expect(GREETING).await;
        peer.expect_closed().await;
        drop(peer);
        let end = end_of(&mut monitor, &listener.address()).await;
        end.expect(false, "the handshake did not finish in time");
    }
}

#[tokio::test]
async fn a_peer_that_stops_in_the_middle_of_a_frame_holds_up_nobody_and_may_go_on() {
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let whole: &[u8] = b"\x06\0\0\0\0\0\0\0\x0B\x09SUBSCRIBEA";
    for stop in 1..whole.len() {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        peer.send(&whole[..stop]).await;
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
        peer.send(&whole[stop..]).await;
        in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
        assert_eq!(peer.finish().await, b"");
        eventually("the peer is forgotten", || publisher.subscriber_count() == 1).await;
    }
}

#[tokio::test]
async fn among_a_thousand_idle_connections_a_real_subscriber_is_served() {
    let count = idle_connections();
    let publisher = PubSocket::new();
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let conversation = [&GREETING[..], READY_SUB].concat();
    let mut idle = Vec::new();
    for number in 0..count {
        let mut peer = RawPeer::dial(&endpoint).await;
        // A third each sends nothing, stops in READY, and completes its handshake.
        peer.send(&conversation[..[0, 70, conversation.len()][number % 3]]).await;
        idle.push(peer);
    }
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    for _ in 0..100 {
        neighbour.send().await;
    }
    neighbour.receive_all(&mut subscriber).await;
    // All of them are still there: none was refused for it.
    let established = 1 + count / 3;
    eventually("all are connected", || publisher.stats().peers.len() == established).await;
    for peer in &mut idle {
        peer.expect(GREETING).await;
    }
}

/// A thousand, or as many as the descriptors of this process allow: a connection takes two.
fn idle_connections() -> usize {
    let limits = std::fs::read_to_string("/proc/self/limits").unwrap();
    let open_files = limits.lines().find_map(|line| line.strip_prefix("Max open files")).unwrap();
    let soft = open_files.split_whitespace().next().unwrap();
    let allowed = soft.parse().map_or(1000, |soft: usize| soft.saturating_sub(150) / 2);
    assert!(allowed >= 400, "ulimit -n is {soft}: too low for this test");
    allowed.min(1000)
}
