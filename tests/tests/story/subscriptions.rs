//! The rules of subscriptions: prefixes, counts, any octets, at any time.

use zmtp_socket::{Event, HighWaterMark, Message, PubOptions, SubOptions, Version};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, event, eventually, receive, receive_text, subscribers, wanted};

over_each_transport! {
    async fn a_subscription_is_a_prefix_of_what_comes(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("10002");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "10002").await;
        for text in ["10001 a", "10002", "1000", "", "10002 b", "010002", "100020 c", "10003"] {
            server.send(text).await.unwrap();
        }
        server.send("10002 end").await.unwrap();
        for expected in ["10002", "10002 b", "100020 c", "10002 end"] {
            assert_eq!(receive_text(&mut client).await, expected);
        }
        assert_eq!(client.stats().filtered, 0, "the publisher does the filtering");
    }

    async fn the_empty_subscription_is_everything_and_none_is_nothing(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut deaf = place.context.sub_socket(SubOptions::new());
        let mut all = place.subscriber("");
        deaf.connect(&*place.endpoint).unwrap();
        eventually("the first peer", || server.stats().peers.len() == 1).await;
        all.connect(&*place.endpoint).unwrap();
        wanted(&server, "").await;
        eventually("both peers", || server.stats().peers.len() == 2).await;
        assert_eq!(server.subscriber_count(), 1);

        for text in ["a", "", "\u{ff}", "b"] {
            server.send(text).await.unwrap();
        }
        for expected in ["a", "", "\u{ff}", "b"] {
            assert_eq!(receive_text(&mut all).await, expected);
        }
        let sent: Vec<_> = server.stats().peers.iter().map(|peer| peer.sent).collect();
        assert_eq!(sent, [0, 4], "nothing was even sent to the one without a subscription");
        assert!(deaf.try_recv().is_err());
    }

    async fn topics_come_and_go_while_messages_flow(place: Place) {
        let server = place.publisher();
        let mut monitor = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("always");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "always").await;
        for round in 0..20 {
            let topic = format!("{round}:");
            client.subscribe(&topic);
            wanted(&server, &topic).await;
            server.send(format!("{topic} yes")).await.unwrap();
            assert_eq!(receive_text(&mut client).await, format!("{topic} yes"));
            assert!(client.unsubscribe(&topic));
            let ended = event(&mut monitor, "the end of a subscription", |event| match event {
                Event::Unsubscribed { topic, .. } => Some(topic),
                _ => None,
            });
            assert_eq!(ended.await, topic.as_bytes());
            server.send(format!("{topic} no")).await.unwrap();
            server.send("always").await.unwrap();
            assert_eq!(receive_text(&mut client).await, "always");
        }
        assert_eq!(client.stats().filtered, 0);
    }

    async fn nothing_unsubscribed_comes_out_even_if_it_has_arrived(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("a");
        client.subscribe("b");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "a").await;
        wanted(&server, "b").await;
        for text in ["a1", "b1", "a2", "b2", "a3", "b3"] {
            server.send(text).await.unwrap();
        }
        eventually("all six", || client.stats().received == 6).await;
        assert_eq!(receive_text(&mut client).await, "a1");
        // The receiver has taken the rest by now.
        assert!(client.unsubscribe("a"));
        assert_eq!(receive_text(&mut client).await, "b1");
        assert_eq!(receive_text(&mut client).await, "b2");
        client.unsubscribe("b");
        assert!(client.try_recv().is_err());
        assert_eq!(client.stats().filtered, 3);

        // And messages that are still in the queue.
        client.subscribe("a");
        client.subscribe("c");
        wanted(&server, "a").await;
        wanted(&server, "c").await;
        server.send("a4").await.unwrap();
        server.send("c4").await.unwrap();
        eventually("two more", || client.stats().received == 8).await;
        client.unsubscribe("a");
        assert_eq!(receive_text(&mut client).await, "c4");
    }

    async fn topics_may_be_any_octets_of_any_length(place: Place) {
        for version in [Version::V3_0, Version::V3_1] {
            let server = place.context.pub_socket(PubOptions::new().version(version));
            server.bind(&*place.endpoint).await.unwrap();
            let mut client = place.context.sub_socket(SubOptions::new());
            client.connect(&*place.endpoint).unwrap();
            let topics = [
                vec![0],
                vec![0, 0],
                vec![255; 3],
                vec![1, 0, 254, b'\n'],
                vec![b'x'; 245],
                vec![b'y'; 246],
                vec![b'z'; 255],
                vec![b'u'; 256],
                vec![b'v'; 70_000],
            ];
            for topic in &topics {
                client.subscribe(topic);
            }
            for topic in &topics {
                wanted(&server, topic).await;
            }
            for topic in &topics {
                let short = &topic[..topic.len() - 1];
                if !topics.iter().any(|other| short.starts_with(other)) {
                    server.send(short).await.unwrap();
                }
                server.send(topic).await.unwrap();
            }
            for topic in &topics {
                assert_eq!(receive(&mut client).await.first(), topic, "{version}");
            }
            for topic in &topics {
                assert!(client.unsubscribe(topic));
            }
            subscribers(&server, 0).await;
            server.close().await;
        }
    }

    async fn a_multipart_message_is_matched_on_its_first_part_alone(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("10002");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "10002").await;
        let no = Message::multipart(["1", "10002", "10002"]).unwrap();
        let large = "x".repeat(100_000);
        let yes = Message::multipart(["10002", "", &large, "10001"].map(str::to_owned)).unwrap();
        for message in [&no, &yes, &no] {
            server.send(message).await.unwrap();
        }
        server.send("10002").await.unwrap();
        assert_eq!(receive(&mut client).await, yes);
        assert_eq!(receive(&mut client).await, Message::from("10002"));
    }

    async fn thousands_of_topics_survive_a_server_that_comes_back(place: Place) {
        const TOPICS: usize = 5000;
        let mut client = place.context.sub_socket(SubOptions::new());
        let topics: Vec<_> = (0..TOPICS).map(|number| format!("{number:05}")).collect();
        topics.iter().for_each(|topic| client.subscribe(topic));
        client.connect(&*place.endpoint).unwrap();
        for _ in 0..2 {
            let options = PubOptions::new().send_hwm(HighWaterMark::Unlimited);
            let server = place.context.pub_socket(options);
            server.bind(&*place.endpoint).await.unwrap();
            wanted(&server, topics.last().unwrap()).await;
            assert_eq!(server.stats().peers[0].subscriptions, TOPICS as u64);
            for topic in &topics {
                server.send(topic).await.unwrap();
            }
            for topic in &topics {
                assert_eq!(&receive_text(&mut client).await, topic);
            }
            server.close().await;
        }
    }
}

#[tokio::test]
async fn two_subscriptions_to_a_topic_take_two_to_end() {
    let place = Place::inproc();
    let server = place.publisher();
    let mut monitor = server.monitor();
    server.bind(&*place.endpoint).await.unwrap();
    let mut client = place.subscriber("a");
    client.subscribe("a");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "a").await;

    assert!(client.unsubscribe("a"));
    server.send("a1").await.unwrap();
    assert_eq!(receive_text(&mut client).await, "a1");
    assert!(client.unsubscribe("a"));
    event(&mut monitor, "the end of it", |event| {
        matches!(event, Event::Unsubscribed { .. }).then_some(())
    })
    .await;
    assert!(!client.unsubscribe("a"), "it was the last");
    assert_eq!(server.subscriber_count(), 0);
}

#[tokio::test]
async fn a_topic_given_up_and_taken_back_at_once_can_still_be_given_up() {
    let place = Place::inproc();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let client = place.subscriber("a");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "a").await;
    // Nothing is awaited in between: the publisher gets neither change, or both.
    client.unsubscribe("a");
    client.subscribe("a");
    client.subscribe("told");
    wanted(&server, "told").await;
    assert_eq!(server.stats().peers[0].subscriptions, 2);
    client.unsubscribe("a");
    eventually("the end of it", || server.stats().peers[0].subscriptions == 1).await;
}

#[tokio::test]
async fn a_handle_subscribes_while_the_socket_is_in_recv() {
    let place = Place::inproc();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let mut client = place.context.sub_socket(SubOptions::new());
    let handle = client.handle();
    handle.connect(&*place.endpoint).unwrap();
    let waiting = tokio::spawn(async move { receive_text(&mut client).await });
    handle.subscribe("10002");
    wanted(&server, "10002").await;
    server.send("10002 27 33").await.unwrap();
    assert_eq!(waiting.await.unwrap(), "10002 27 33");
}
