//! Encrypted traffic, and traffic of authenticated peers.

use std::time::Duration;

use zmtp_socket::{Event, Heartbeat, HighWaterMark, PlainUsers, PubOptions, SubOptions, WhenFull};
use zmtp_tests::over_each_transport;
use zmtp_tests::secured::keys;
use zmtp_tests::story::{Place, receive, receive_text, wanted};

over_each_transport! {
    async fn whatever_is_said_in_between_boxes_stay_in_order(place: Place) {
        const COUNT: u32 = 4000;
        let (server_keys, client_keys) = (keys(), keys());
        let often = Heartbeat::every(Duration::from_millis(1)).with_timeout(Duration::from_secs(10));
        let options = PubOptions::new().when_full(WhenFull::Wait).heartbeat(often);
        let server = place.context.pub_socket(options.curve_server(server_keys.clone()));
        let options = SubOptions::new().heartbeat(often).receive_hwm(HighWaterMark::messages(100));
        let options = options.curve_client(server_keys.public(), client_keys);
        let mut client = place.context.sub_socket(options);
        server.bind(&*place.endpoint).await.unwrap();
        let mut monitor = server.monitor();
        client.subscribe("");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "").await;
        let handle = client.handle();
        let sending = tokio::spawn(async move {
            for number in 0..COUNT {
                let body = number.to_be_bytes().repeat(1 + (number % 7 * number % 1001) as usize);
                server.send(&body).await.unwrap();
            }
            server
        });
        for number in 0..COUNT {
            let message = receive(&mut client).await;
            assert_eq!(message.first()[..4], number.to_be_bytes());
            if number % 100 == 0 {
                handle.subscribe(format!("{number}"));
            }
        }
        let server = sending.await.unwrap();
        assert_eq!((server.stats().sent, server.stats().dropped), (u64::from(COUNT), 0));
        while let Some(event) = monitor.try_next() {
            assert!(!matches!(event, Event::Disconnected { .. }), "{event:?}");
        }
    }

    async fn a_subscriber_knows_who_has_sent_each_message(place: Place) {
        let names = ["ann", "bob", "eve"];
        let users = names.into_iter().fold(PlainUsers::new(), |users, name| users.user(name, name));
        let mut server = place.context.sub_socket(SubOptions::new().plain_server(users));
        server.bind(&*place.endpoint).await.unwrap();
        server.subscribe("");
        assert_eq!(server.sender(), None);
        let mut publishers = Vec::new();
        for name in names {
            let publisher = place.context.pub_socket(PubOptions::new().plain_client(name, name));
            publisher.connect(&*place.endpoint).unwrap();
            wanted(&publisher, "").await;
            publishers.push(publisher);
        }
        for _ in 0..10 {
            for (publisher, name) in publishers.iter().zip(names) {
                publisher.send(name).await.unwrap();
            }
            for _ in names {
                let name = receive_text(&mut server).await;
                let info = server.sender().and_then(|peer| peer.info()).expect("it has come in");
                assert_eq!(info.username, Some(name.clone().into()));
                assert_eq!(info.allowed.user_id, Some(name.into()));
            }
        }
    }
}
