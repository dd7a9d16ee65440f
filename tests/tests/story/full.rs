//! The effect of a full queue, with options other than dropping the new message.

use zmtp_socket::{
    Event, HighWaterMark, Mark, Message, Overrun, PeerState, PubOptions, Reason, SubOptions,
    SubSocket, WhenFull, XSubOptions,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{
    Place, event, eventually, receive, receive_text, subscribers, wanted, within,
};

/// A body so large that the system's buffers do not hold many of them.
const LARGE: usize = 256 << 10;

/// A message with its number, and so large that few of them fit the transport.
fn numbered(number: u64) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[7; LARGE]].concat()
}

fn number_of(message: &Message) -> u64 {
    u64::from_be_bytes(message.first()[..8].try_into().unwrap())
}

/// A subscriber to everything that stops reading after one message, until it is received.
fn slow_subscriber(place: &Place) -> SubSocket {
    let options = SubOptions::new().receive_hwm(HighWaterMark::messages(1));
    let slow = place.context.sub_socket(options);
    slow.subscribe("");
    slow.connect(&*place.endpoint).unwrap();
    slow
}

over_each_transport! {
    async fn what_a_pub_is_sent_and_ignores_takes_no_room(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let options = XSubOptions::new().send_hwm(HighWaterMark::messages(10));
        let client = place.context.xsub_socket(options);
        client.connect(&*place.endpoint).unwrap();
        client.wait_for_publisher().await.unwrap();
        for number in 1..=100 {
            client.send("ignored").await.unwrap();
            eventually("it is sent", || client.stats().sent == number).await;
        }
        assert_eq!(client.stats().dropped, 0);
    }

    async fn a_slow_subscriber_gets_the_newest_messages_where_the_oldest_are_dropped(place: Place) {
        const COUNT: u64 = 100;
        const MARK: usize = 4;
        let options = PubOptions::new().when_full(WhenFull::DropOldest);
        let server = place.context.pub_socket(options.send_hwm(HighWaterMark::messages(MARK)));
        server.bind(&*place.endpoint).await.unwrap();
        let mut slow = slow_subscriber(&place);
        subscribers(&server, 1).await;
        let mut good = place.subscriber("");
        good.connect(&*place.endpoint).unwrap();
        subscribers(&server, 2).await;
        for number in 0..COUNT {
            server.send(numbered(number)).await.unwrap();
            assert_eq!(number_of(&receive(&mut good).await), number, "its neighbour loses nothing");
        }
        let stats = server.stats();
        let counts = &stats.peers[0];
        assert!(counts.dropped > 0 && counts.queued <= MARK as u64 + 1, "{counts:?}");
        assert_eq!(counts.dropped_octets, counts.dropped * (LARGE as u64 + 8 + 9));
        assert_eq!(counts.sent + counts.dropped + counts.queued, COUNT);
        assert_eq!(counts.state, PeerState::Congested);
        let mut numbers = Vec::new();
        while numbers.last() != Some(&(COUNT - 1)) {
            numbers.push(number_of(&receive(&mut slow).await));
        }
        assert!(numbers.is_sorted_by(|one, next| one < next), "{numbers:?}");
        assert_eq!(numbers.len() as u64, COUNT - counts.dropped);
        let newest: Vec<u64> = (COUNT - MARK as u64 + 1..COUNT).collect();
        assert!(numbers.ends_with(&newest), "{numbers:?}");
    }

    async fn a_slow_subscriber_is_disconnected_where_it_is_to_be_and_comes_back(place: Place) {
        let options = PubOptions::new().when_full(WhenFull::Disconnect);
        let server = place.context.pub_socket(options.send_hwm(HighWaterMark::messages(4)));
        server.bind(&*place.endpoint).await.unwrap();
        let mut slow = slow_subscriber(&place);
        subscribers(&server, 1).await;
        let slow_peer = server.stats().peers[0].peer.clone();
        let mut good = place.subscriber("");
        good.connect(&*place.endpoint).unwrap();
        subscribers(&server, 2).await;
        let mut monitor = server.monitor();
        for number in 0..100 {
            server.send(numbered(number)).await.unwrap();
            assert_eq!(number_of(&receive(&mut good).await), number, "its neighbour loses nothing");
        }
        let (peer, reason) = event(&mut monitor, "the end of the slow one", |event| match event {
            Event::Disconnected { peer, reason , .. } => Some((peer, reason)),
            _ => None,
        })
        .await;
        assert_eq!(peer, slow_peer);
        let Reason::Overrun(Overrun::Queue { mark , .. }) = reason else { panic!("{reason}") };
        assert_eq!(mark, Mark::Messages(4));
        // It still has the messages that it had got, without a gap; then it is served again.
        let mut expected = 0;
        let back = async {
            loop {
                let message = receive(&mut slow).await;
                if message.first() == "again" {
                    break;
                }
                assert_eq!(number_of(&message), expected);
                expected += 1;
            }
        };
        let again = async {
            loop {
                server.send("again").await.unwrap();
                tokio::time::sleep(std::time::Duration::from_millis(5)).await;
            }
        };
        tokio::select! {
            () = within("its return", back) => {}
            () = again => {}
        }
    }

    async fn a_conflating_subscriber_has_the_newest_message_of_each_publisher_whole(place: Place) {
        let first = place.publisher();
        first.bind(&*place.endpoint).await.unwrap();
        let second = place.context.pub_socket(PubOptions::new());
        let mut client = place.context.sub_socket(SubOptions::new().conflate(true));
        client.subscribe("a");
        second.connect(client.bind("inproc://client").await.unwrap()).unwrap();
        client.connect(&*place.endpoint).unwrap();
        for (server, name) in [(&first, "first"), (&second, "second")] {
            wanted(server, "a").await;
            for number in 0..100 {
                let parts = [format!("a {name}"), number.to_string()];
                server.send(Message::multipart(parts).unwrap()).await.unwrap();
            }
        }
        eventually("all of it", || client.stats().received == 200).await;
        let stats = client.stats();
        assert_eq!((stats.queued, stats.dropped), (2, 198));
        assert_eq!(stats.peers.iter().map(|peer| peer.dropped).collect::<Vec<_>>(), [99, 99]);
        let mut names: Vec<_> = [receive(&mut client).await, receive(&mut client).await]
            .map(|message| {
                assert_eq!(message.parts()[1], "99");
                String::from_utf8(message.first().to_vec()).unwrap()
            })
            .into();
        names.sort();
        assert_eq!(names, ["a first", "a second"]);
        assert!(client.try_recv().is_err());
        first.send("a once more").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "a once more");
    }

    async fn a_subscriber_that_conflates_topics_has_the_newest_message_of_each(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.context.sub_socket(SubOptions::new().conflate_topics(true));
        client.subscribe("a");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "a").await;
        for number in 0..100 {
            for topic in ["a1", "a2", "b"] {
                server.send((topic, number.to_string())).await.unwrap();
            }
        }
        eventually("all of it", || client.stats().received == 200).await;
        let stats = client.stats();
        assert_eq!((stats.queued, stats.dropped, stats.filtered), (2, 198, 0));
        for topic in ["a1", "a2"] {
            assert_eq!(receive(&mut client).await.parts(), [topic, "99"]);
        }
        assert!(client.try_recv().is_err());
        server.send(("a2", "once more")).await.unwrap();
        assert_eq!(receive(&mut client).await.parts(), ["a2", "once more"]);
    }

    async fn a_conflating_publisher_keeps_the_newest_message_for_each_subscriber(place: Place) {
        let server = place.context.pub_socket(PubOptions::new().conflate(true));
        server.bind(&*place.endpoint).await.unwrap();
        let mut slow = slow_subscriber(&place);
        wanted(&server, "").await;
        for number in 0..100 {
            let parts = [numbered(number), b"end".to_vec()];
            server.send(Message::multipart(parts).unwrap()).await.unwrap();
            tokio::task::yield_now().await;
        }
        let counts = server.stats().peers.swap_remove(0);
        assert!(counts.queued <= 2 && counts.dropped > 0, "{counts:?}");
        let mut last = None;
        while last != Some(99) {
            let message = receive(&mut slow).await;
            assert_eq!(message.parts()[1], "end");
            assert!(last < Some(number_of(&message)), "the order is kept");
            last = Some(number_of(&message));
        }
    }

    async fn a_subscriber_stops_reading_at_its_mark_in_octets(place: Place) {
        let server = place.context.pub_socket(PubOptions::new().send_hwm(HighWaterMark::Unlimited));
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.context.sub_socket(SubOptions::new().receive_hwm_octets(4 * LARGE));
        client.subscribe("");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "").await;
        for number in 0..60 {
            server.send(numbered(number)).await.unwrap();
        }
        eventually("it waits", || client.stats().peers[0].state == PeerState::Congested).await;
        let stats = client.stats();
        assert_eq!((stats.queued, stats.queued_octets), (4, 4 * (LARGE as u64 + 8 + 9)));
        for number in 0..60 {
            assert_eq!(number_of(&receive(&mut client).await), number);
        }
        assert_eq!(client.stats().peers[0].state, PeerState::Flowing);
    }
}
