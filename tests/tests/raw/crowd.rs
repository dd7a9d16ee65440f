//! More connections than a socket may have: those that stay, those that end, and those that are let in.

use zmtp_socket::{Endpoint, Event, Monitor, Overrun, PubOptions, PubSocket, Reason};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{ANY_PORT, GREETING, RawPeer, end_of, in_time};

async fn publisher(options: PubOptions) -> (PubSocket, Endpoint, Monitor) {
    let publisher = PubSocket::with_options(options);
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let monitor = publisher.monitor();
    (publisher, endpoint, monitor)
}

/// The next peer that is refused, and the reason.
async fn refused(monitor: &mut Monitor) -> (String, Reason) {
    in_time("an event that tells of the refusal", async {
        loop {
            if let Event::Refused { peer, reason, .. } = monitor.next().await.unwrap() {
                return (peer.address().to_owned(), reason);
            }
        }
    })
    .await
}

#[tokio::test]
async fn a_crowd_that_says_nothing_keeps_nobody_out_and_its_oldest_goes() {
    const LIMIT: usize = 8;
    let (publisher, endpoint, mut monitor) =
        publisher(PubOptions::new().max_handshakes(LIMIT)).await;
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let mut crowd = Vec::new();
    for number in 0..100 {
        let mut stranger = RawPeer::dial(&endpoint).await;
        // The stranger is connected once it has got a greeting; half of them even answer.
        stranger.expect(GREETING).await;
        if number % 2 == 0 {
            stranger.send(GREETING).await;
        }
        crowd.push(stranger);
        neighbour.send().await;
        if number >= LIMIT {
            let oldest = &mut crowd[number - LIMIT];
            oldest.heard_to_end().await;
            let end = end_of(&mut monitor, &oldest.address()).await;
            end.expect(false, "more than 8 handshakes were half-done");
            assert!(matches!(
                end.reason,
                Reason::Overrun(Overrun::Handshakes { limit: LIMIT, .. })
            ));
        }
        let stats = publisher.stats();
        assert_eq!(stats.handshakes, LIMIT.min(number + 1) as u64);
        assert_eq!(stats.refused, (number + 1).saturating_sub(LIMIT) as u64);
    }
    let mut newcomer = RawPeer::subscriber(&endpoint, "newcomer").await;
    in_time("it is served", publisher.wait_for_subscriber("newcomer")).await.unwrap();
    publisher.send("newcomer").await.unwrap();
    newcomer.expect(b"\x00\x08newcomer").await;
    neighbour.receive_all(&mut subscriber).await;
}

#[tokio::test]
async fn a_socket_has_no_more_connections_than_it_may_and_takes_another_for_each_that_leaves() {
    let (publisher, endpoint, mut monitor) = publisher(PubOptions::new().max_connections(3)).await;
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let mut others = Vec::new();
    for topic in ["1", "2"] {
        others.push(RawPeer::subscriber(&endpoint, topic).await);
        in_time("it is there", publisher.wait_for_subscriber(topic)).await.unwrap();
    }
    for turned_away in 1..=3 {
        let mut late = RawPeer::dial(&endpoint).await;
        late.expect_closed().await;
        let (address, reason) = refused(&mut monitor).await;
        assert_eq!(address, late.address());
        assert!(
            matches!(reason, Reason::Overrun(Overrun::Connections { limit: 3, .. })),
            "{reason}"
        );
        assert_eq!(publisher.stats().refused, turned_away);
        neighbour.send().await;
    }
    let mut gone = others.swap_remove(0);
    gone.finish().await;
    end_of(&mut monitor, &gone.address()).await.expect(true, "the peer closed");
    let mut late = RawPeer::subscriber(&endpoint, "late").await;
    in_time("it is there", publisher.wait_for_subscriber("late")).await.unwrap();
    publisher.send("late").await.unwrap();
    late.expect(b"\x00\x04late").await;
    neighbour.receive_all(&mut subscriber).await;
}

#[tokio::test]
async fn at_the_limit_of_connections_who_says_nothing_makes_room() {
    let (publisher, endpoint, mut monitor) = publisher(PubOptions::new().max_connections(2)).await;
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let mut silent = RawPeer::dial(&endpoint).await;
    silent.expect(GREETING).await;
    let mut newcomer = RawPeer::subscriber(&endpoint, "newcomer").await;
    in_time("it is served", publisher.wait_for_subscriber("newcomer")).await.unwrap();
    silent.expect_closed().await;
    let end = end_of(&mut monitor, &silent.address()).await;
    end.expect(false, "all 2 connections that the socket may have are in use");
    publisher.send("newcomer").await.unwrap();
    newcomer.expect(b"\x00\x08newcomer").await;
    neighbour.send().await;
    neighbour.receive_all(&mut subscriber).await;
}
