//! The events that a monitor reports of a socket's life.

use std::time::Duration;

use zmtp_socket::{
    Event, EventClass, HighWaterMark, Monitor, PubOptions, Reason, Reconnect, SocketType,
    SubOptions, Version,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, event, eventually, gone, receive, wanted, within};

over_each_transport! {
    async fn the_end_of_a_disconnected_or_unbound_endpoint_is_told(place: Place) {
        let (server, client) = place.pair().await;
        let (mut here, mut there) = (server.monitor(), client.monitor());
        let stopped = |event| match event {
            Event::Disconnected { reason, .. } => Some(reason.to_string()),
            _ => None,
        };
        let endpoint = client.connect(&*place.endpoint).unwrap();
        client.disconnect(&endpoint).await.unwrap();
        let reason = event(&mut there, "its own end", stopped).await;
        assert_eq!(reason, "closed from this side");
        event(&mut here, "the end of the other", stopped).await;
        client.connect(&endpoint).unwrap();
        wanted(&server, "").await;
        server.unbind(&endpoint).await.unwrap();
        let reason = event(&mut here, "its own end", stopped).await;
        assert_eq!(reason, "closed from this side");
    }

    async fn the_events_of_a_publishers_life_come_in_order(place: Place) {
        let server = place.context.pub_socket(PubOptions::new().send_hwm(HighWaterMark::messages(2)));
        let mut monitor = server.monitor();
        let endpoint = server.bind(&*place.endpoint).await.unwrap();
        let options = SubOptions::new().receive_hwm(HighWaterMark::messages(1));
        let client = place.context.sub_socket(options);
        client.subscribe("a");
        client.subscribe("b");
        client.connect(&endpoint).unwrap();
        wanted(&server, "b").await;
        client.unsubscribe("b");
        within("the end of b", async {
            while server.stats().peers[0].subscriptions > 1 {
                tokio::time::sleep(Duration::from_millis(2)).await;
            }
        })
        .await;
        for _ in 0..100 {
            server.send([&b"a"[..], &[0; 256 << 10]].concat()).await.unwrap();
            tokio::task::yield_now().await;
        }
        client.close().await;
        let mut names = Vec::new();
        let mut peers = Vec::new();
        while names.last().is_none_or(|name| name != "disconnected") {
            names.push(match next(&mut monitor).await {
                Event::Listening { endpoint: on , .. } => {
                    assert_eq!(on, endpoint);
                    "listening".to_owned()
                }
                Event::Connected { peer , .. } => {
                    assert_eq!(peer.endpoint(), &endpoint);
                    peers.push(peer);
                    "connected".to_owned()
                }
                Event::HandshakeSucceeded { peer, info , .. } => {
                    assert_eq!(info.socket_type, Some(SocketType::Sub));
                    assert_eq!(info.version, Version::V3_1);
                    peers.push(peer);
                    "handshake".to_owned()
                }
                Event::Subscribed { peer, topic , .. } => {
                    peers.push(peer);
                    format!("subscribed {topic:?}")
                }
                Event::Unsubscribed { peer, topic , .. } => {
                    peers.push(peer);
                    format!("unsubscribed {topic:?}")
                }
                Event::Dropping { peer, .. } => {
                    peers.push(peer);
                    "dropping".to_owned()
                }
                Event::Disconnected { peer, .. } => {
                    peers.push(peer);
                    "disconnected".to_owned()
                }
                other => panic!("{other:?}"),
            });
        }
        // It may catch up and fall behind again.
        names.dedup();
        assert_eq!(
            names,
            [
                "listening", "connected", "handshake", "subscribed b\"a\"", "subscribed b\"b\"",
                "unsubscribed b\"b\"", "dropping", "disconnected"
            ]
        );
        assert!(peers.iter().all(|peer| *peer == peers[0]), "all of one peer: {peers:?}");
        assert_eq!(monitor.missed(), 0);
    }

    async fn the_events_of_a_subscribers_life_come_in_order(place: Place) {
        let client = place.subscriber("a");
        let mut monitor = client.monitor();
        let endpoint = client.connect(&*place.endpoint).unwrap();
        let mut last_peer = None;
        for _ in 0..2 {
            let server = place.publisher();
            server.bind(&*place.endpoint).await.unwrap();
            // Until there is a peer to dial.
            let peer = event(&mut monitor, "the connection", |event| match event {
                Event::Connected { peer , .. } => Some(peer),
                Event::RetryingIn { .. } => None,
                other => panic!("{other:?}"),
            })
            .await;
            assert_eq!(peer.endpoint(), &endpoint);
            assert_ne!(last_peer, Some(peer.id()), "every connection has its own number");
            match next(&mut monitor).await {
                Event::HandshakeSucceeded { peer: same, info , .. } => {
                    assert_eq!(same, peer);
                    assert_eq!(info.socket_type, Some(SocketType::Pub));
                }
                other => panic!("{other:?}"),
            }
            wanted(&server, "a").await;
            server.close().await;
            match next(&mut monitor).await {
                Event::Disconnected { peer: same, reason: Reason::PeerClosed , .. } => {
                    assert_eq!(same, peer);
                }
                other => panic!("{other:?}"),
            }
            match next(&mut monitor).await {
                Event::RetryingIn { endpoint: again, reason: Reason::PeerClosed, .. } => {
                    assert_eq!(again, endpoint);
                }
                other => panic!("{other:?}"),
            }
            last_peer = Some(peer.id());
        }
    }
}

#[tokio::test]
async fn retries_are_told_with_delays_that_double_within_their_bounds() {
    let place = Place::tcp();
    let reconnect = Reconnect::new(Duration::from_millis(4), Duration::from_millis(30));
    let client = place.context.sub_socket(SubOptions::new().reconnect(reconnect));
    let mut monitor = client.monitor();
    let endpoint = client.connect(&*place.endpoint).unwrap();
    for full in [4, 8, 16, 30, 30, 30].map(Duration::from_millis) {
        match next(&mut monitor).await {
            Event::RetryingIn { endpoint: of, delay, reason: Reason::Transport(error), .. } => {
                assert_eq!(of, endpoint);
                assert_eq!(error.kind(), std::io::ErrorKind::ConnectionRefused);
                assert!(delay >= full / 2 && delay <= full, "{delay:?} of {full:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn a_monitor_that_is_not_read_misses_events_and_counts_them() {
    const UNREAD: u64 = 4096;
    const MORE: u64 = 100;
    let place = Place::inproc();
    let server = place.publisher();
    let mut monitor = server.monitor();
    server.bind(&*place.endpoint).await.unwrap();
    let client = place.context.sub_socket(SubOptions::new());
    client.connect(&*place.endpoint).unwrap();
    // Listening, Connected and HandshakeSucceeded have room of their own, beside so many subscriptions.
    for number in 0..UNREAD + MORE {
        client.subscribe(number.to_be_bytes());
    }
    client.subscribe("last");
    wanted(&server, "last").await;
    eventually("all events", || monitor.missed() == MORE + 1).await;
    let mut late = server.monitor();
    for _ in 0..UNREAD + 3 {
        assert!(monitor.try_next().is_some());
    }
    assert!(monitor.try_next().is_none());

    // It continues from here, and a monitor that was made late has missed nothing.
    client.unsubscribe("last");
    for monitor in [&mut monitor, &mut late] {
        let Event::Unsubscribed { topic, .. } = next(monitor).await else {
            panic!("another event")
        };
        assert_eq!(topic, "last");
    }
    assert_eq!((monitor.missed(), late.missed()), (MORE + 1, 0));

    // However many topics are missed, the end of the connection is not.
    for number in 0..UNREAD + MORE {
        client.unsubscribe(number.to_be_bytes());
    }
    let (topics, others) = (EventClass::Subscription, EventClass::Connection);
    eventually("all events", || late.missed_of(topics) == MORE).await;
    drop(client);
    eventually("the end", || server.stats().peers.is_empty()).await;
    assert_eq!(late.missed_of(others), 0);
    for _ in 0..UNREAD {
        assert!(late.try_next().is_some());
    }
    assert!(matches!(next(&mut late).await, Event::Disconnected { .. }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_peer_that_is_told_of_has_been_counted_and_one_that_is_gone_has_not() {
    const ROUNDS: u64 = 300;
    let place = Place::inproc();
    let server = place.publisher();
    let mut monitor = server.monitor();
    server.bind(&*place.endpoint).await.unwrap();
    for _ in 0..ROUNDS {
        let mut client = place.subscriber("a");
        client.connect(&*place.endpoint).unwrap();
        event(&mut monitor, "the subscription", |event| {
            matches!(event, Event::Subscribed { .. }).then_some(())
        })
        .await;
        assert_eq!((server.subscriber_count(), server.stats().peers.len()), (1, 1));
        server.send("a").await.unwrap();
        receive(&mut client).await;
        drop(client);
        gone(&mut monitor).await;
        assert_eq!((server.subscriber_count(), server.stats().peers.len()), (0, 0));
    }
    assert_eq!(server.stats().sent, ROUNDS, "the sum remembers");
}

async fn next(monitor: &mut Monitor) -> Event {
    within("an event", monitor.next()).await.expect("the socket is open")
}
