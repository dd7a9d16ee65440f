//! The observation of a socket: counters that add up, counters as JSON, and the log.

use std::time::Duration;

use serde_json::{Value, json};
use zmtp_socket::{Heartbeat, Message, PeerState, PubOptions, Stats, SubOptions, Version};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, eventually, receive, wanted, within};

use crate::log::Lines;

over_each_transport! {
    async fn both_sides_count_the_same_messages_and_octets(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("a");
        client.subscribe("b");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "b").await;
        // An unwanted message, a frame with a short header, one with a long one, and two parts.
        server.send("c").await.unwrap();
        server.send("a").await.unwrap();
        server.send(&[b'b'; 1000]).await.unwrap();
        server.send(Message::multipart(["a", "rest"]).unwrap()).await.unwrap();
        let octets = (2 + 1) + (9 + 1000) + (2 + 1 + 2 + 4);
        eventually("all of it", || server.stats().sent == 3 && client.stats().received == 3).await;
        let (here, there) = (server.stats(), client.stats());
        assert_eq!((here.sent_octets, there.received_octets), (octets, octets));
        assert_eq!((here.subscriptions, there.subscriptions), (2, 2));
        assert_eq!((there.queued, there.queued_octets), (3, octets));
        assert_eq!((here.peers[0].sent_octets, there.peers[0].received_octets), (octets, octets));
        assert_eq!((here.peers[0].state, there.peers[0].state), (PeerState::Flowing, PeerState::Flowing));
        for _ in 0..3 {
            receive(&mut client).await;
        }
        assert_eq!(client.stats().queued_octets, 0);
        let before = server.stats().peers[0].age;
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
        assert!(server.stats().peers[0].age > before);
        // The sums outlive the peers.
        within("the end", client.close()).await;
        eventually("it is gone", || server.stats().peers.is_empty()).await;
        assert_eq!((server.stats().sent, server.stats().sent_octets), (3, octets));
    }
}

#[tokio::test]
async fn counters_can_be_serialised() {
    let place = Place::inproc();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let client = place.subscriber("a");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "a").await;
    let mut value = serde_json::to_value(server.stats()).unwrap();
    let age = value["peers"][0].as_object_mut().unwrap().remove("age").unwrap();
    assert!(age.as_f64().is_some_and(|seconds| seconds > 0.0 && seconds < 60.0), "{age}");
    let counters = json!({
        "sent": 0, "sent_octets": 0, "received": 0, "received_octets": 0,
        "dropped": 0, "dropped_octets": 0, "queued": 0, "queued_octets": 0, "subscriptions": 1,
    });
    let with = |more: Value| {
        let mut all = counters.as_object().unwrap().clone();
        all.extend(more.as_object().unwrap().clone());
        Value::Object(all)
    };
    let peer = json!({ "id": 1, "endpoint": "inproc://place", "address": "place" });
    let peer = with(json!({ "peer": peer, "state": "flowing" }));
    let socket =
        json!({ "undelivered": 0, "filtered": 0, "handshakes": 0, "refused": 0, "peers": [peer] });
    assert_eq!(value, with(socket));
    assert_eq!(serde_json::to_value(Stats::default()).unwrap()["peers"], json!([]));
}

#[tokio::test]
async fn the_life_of_a_connection_can_be_read_in_the_log() {
    let (lines, _log) = Lines::of_this_thread();
    let place = Place::inproc();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let mut client = place.subscriber("a");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "a").await;
    for _ in 0..100 {
        server.send("a").await.unwrap();
        receive(&mut client).await;
    }
    within("the end", client.close()).await;
    within("the end", server.close()).await;

    let text = lines.text();
    let ours: Vec<&str> = text.lines().filter(|line| line.contains("zmtp_socket")).collect();
    let span = "peer{id=1 endpoint=inproc://place address=\"place\"}";
    let peer = "peer=peer #1 at place (inproc://place)";
    let who = format!("DEBUG {span}: zmtp_socket::log: ");
    let server_lines = [
        "INFO zmtp_socket::log: listening endpoint=inproc://place".to_owned(),
        format!("{who}connected {peer}"),
        format!("{who}handshake succeeded {peer} version=3.1 socket_type=\"SUB\""),
        format!("TRACE {span}: zmtp_socket::log: subscribed {peer} topic=b\"a\""),
        format!("{who}disconnected {peer} reason=the peer closed the connection"),
    ];
    for expected in &server_lines {
        assert!(ours.iter().any(|line| line.trim() == expected), "{expected}\nin\n{text}");
    }
    // The other side has its own connection and handshake, and that is all: no message is logged.
    assert_eq!(ours.len(), server_lines.len() + 3, "{text}");
}

#[tokio::test]
async fn a_peer_that_no_heartbeats_can_watch_is_named_in_the_log() {
    for (version, is_named) in [(Version::V3_0, true), (Version::V3_1, false)] {
        let (lines, _log) = Lines::of_this_thread();
        let place = Place::inproc();
        let heartbeat = Heartbeat::every(Duration::from_secs(60));
        let server = place.context.pub_socket(PubOptions::new().heartbeat(heartbeat));
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.context.sub_socket(SubOptions::new().version(version));
        client.subscribe("a");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "a").await;
        let text = lines.text();
        assert_eq!(text.contains("no heartbeats are sent"), is_named, "{version}:\n{text}");
    }
}
