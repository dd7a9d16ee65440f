//! Traffic under CURVE, and judges of who may come in.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::Semaphore;
use zmtp_socket::{
    Allowed, Credentials, Denial, Event, Heartbeat, HighWaterMark, Monitor, PeerInfo, PlainUsers,
    PubOptions, Reason, SubOptions, WhenFull, allow_addresses, allow_keys,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::secured::keys;
use zmtp_tests::story::{Place, event, eventually, gone, receive, receive_text, wanted};

over_each_transport! {
    async fn whatever_is_said_in_between_boxes_stay_in_order(place: Place) {
        const COUNT: u32 = 4000;
        let (server_keys, client_keys) = (keys(), keys());
        let often = Heartbeat { timeout: Duration::from_secs(10), ..Heartbeat::every(Duration::from_millis(1)) };
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

    async fn a_judge_takes_its_time_and_says_who_it_is_or_why_not(place: Place) {
        let (server_keys, known, unknown) = (keys(), keys(), keys());
        let friend = known.public();
        let turns = Arc::new(Semaphore::new(0));
        let options = PubOptions::new().curve_server(server_keys.clone());
        let verdicts = turns.clone();
        let options = options.authorize(move |claim| {
            let turns = verdicts.clone();
            async move {
                drop(turns.acquire().await);
                match claim.credentials {
                    Credentials::Curve { public_key } if public_key == friend => {
                        Ok(Allowed::new().user_id(format!("friend at {}", claim.peer.endpoint())))
                    }
                    _ => Err(Denial::new("400")),
                }
            }
        });
        let server = place.context.pub_socket(options);
        let mut monitor = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let client = |keys| {
            let options = SubOptions::new().curve_client(server_keys.public(), keys);
            let client = place.context.sub_socket(options);
            client.subscribe("a");
            let monitor = client.monitor();
            client.connect(&*place.endpoint).unwrap();
            (client, monitor)
        };
        let (_denied, mut its_monitor) = client(unknown);
        let (mut allowed, _) = client(known);
        eventually("both are there", || server.stats().handshakes == 2).await;
        assert_eq!(server.stats().peers, [], "nobody is in before the verdict");
        turns.add_permits(2);
        let info = established(&mut monitor).await;
        assert_eq!(info.public_key, Some(friend));
        let user = Bytes::from(format!("friend at {}", place.endpoint));
        assert_eq!(info.allowed.user_id, Some(user));
        let reason = parked(&mut its_monitor).await;
        assert!(reason.to_string().contains("400"), "{reason}");
        wanted(&server, "a").await;
        server.send("a").await.unwrap();
        assert_eq!(receive_text(&mut allowed).await, "a");
    }
}

async fn established(monitor: &mut Monitor) -> PeerInfo {
    event(monitor, "a handshake", |event| match event {
        Event::HandshakeSucceeded { info, peer } => {
            assert_eq!(peer.info(), Some(&*info), "it stays with the peer");
            Some((*info).clone())
        }
        _ => None,
    })
    .await
}

async fn parked(monitor: &mut Monitor) -> Reason {
    event(monitor, "a refusal", |event| match event {
        Event::Parked { reason, .. } => Some(reason),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn ready_made_judges_let_in_whom_they_know() {
    let place = Place::tcp();
    let (server_keys, known, unknown) = (keys(), keys(), keys());
    let options = PubOptions::new().curve_server(server_keys.clone());
    let server = place.context.pub_socket(options.authorize(allow_keys([known.public()])));
    server.bind(&*place.endpoint).await.unwrap();
    let mut monitor = server.monitor();
    for (keys, name) in [(known.clone(), Some(known.public().to_string())), (unknown, None)] {
        let client =
            place.context.sub_socket(SubOptions::new().curve_client(server_keys.public(), keys));
        let mut its_monitor = client.monitor();
        client.connect(&*place.endpoint).unwrap();
        match name {
            Some(name) => {
                assert_eq!(established(&mut monitor).await.allowed.user_id, Some(name.into()));
                drop(client);
                gone(&mut monitor).await;
            }
            None => drop(parked(&mut its_monitor).await),
        }
    }
    // Under NULL, by their addresses.
    for (range, is_allowed) in [("127.0.0.0/8", true), ("10.0.0.0/8", false)] {
        let place = Place::tcp();
        let judge = allow_addresses([range.parse().unwrap()]);
        let server = place.context.pub_socket(PubOptions::new().authorize(judge));
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.subscriber("a");
        let mut its_monitor = client.monitor();
        client.connect(&*place.endpoint).unwrap();
        match is_allowed {
            true => wanted(&server, "a").await,
            false => drop(parked(&mut its_monitor).await),
        }
    }
}

over_each_transport! {
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
