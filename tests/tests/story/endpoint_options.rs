//! Endpoints of one socket, each with options of its own.

use std::time::Duration;

use zmtp_socket::{Event, PlainUsers, PubOptions, Reconnect, SubOptions};
use zmtp_tests::over;
use zmtp_tests::story::{Place, event, receive_text, wanted};

fn users(name: &'static str, password: &'static str) -> PlainUsers {
    PlainUsers::new().user(name, password)
}

over! {
    [tcp, ipc]
    async fn one_socket_is_open_on_one_endpoint_and_locked_on_another(place: Place) {
        let server = place.publisher();
        server.bind_with(&*place.endpoint, |it| it.plain_server(users("ann", "secret"))).await.unwrap();
        let open = server.bind("inproc://open").await.unwrap();
        let mut stranger = place.subscriber("open");
        stranger.connect(&open).unwrap();
        let options = SubOptions::new().plain_client("ann", "secret");
        let mut known = place.context.sub_socket(options);
        known.subscribe("locked");
        known.connect(&*place.endpoint).unwrap();
        for (client, topic) in [(&mut stranger, "open"), (&mut known, "locked")] {
            wanted(&server, topic).await;
            server.send(topic).await.unwrap();
            assert_eq!(receive_text(client).await, topic);
        }
    }

    async fn who_was_refused_comes_back_with_other_credentials(place: Place) {
        let options = PubOptions::new().plain_server(users("ann", "new"));
        let server = place.context.pub_socket(options);
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.context.sub_socket(SubOptions::new().plain_client("ann", "old"));
        client.subscribe("a");
        let mut monitor = client.monitor();
        client.connect(&*place.endpoint).unwrap();
        let parked = |event| matches!(event, Event::Parked { .. }).then_some(());
        event(&mut monitor, "the refusal", parked).await;
        client.connect(&*place.endpoint).unwrap();
        event(&mut monitor, "the refusal of the same again", parked).await;
        client.connect_with(&*place.endpoint, |it| it.plain_client("ann", "new")).unwrap();
        wanted(&server, "a").await;
        server.send("a").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "a");
    }

    async fn an_endpoint_is_dialled_at_its_own_pace_and_at_another_when_told(place: Place) {
        let client = place.subscriber("a");
        let mut monitor = client.monitor();
        for pace in [Duration::from_millis(9), Duration::from_millis(2)] {
            let reconnect = Reconnect::new(pace, pace);
            client.connect_with(&*place.endpoint, |it| it.reconnect(reconnect)).unwrap();
            let mut delays = Vec::new();
            // The delay that is running at the call may still be the old one.
            while delays.len() < 5 {
                let delay = event(&mut monitor, "another attempt", |event| match event {
                    Event::RetryingIn { delay, .. } => Some(delay),
                    _ => None,
                });
                delays.push(delay.await);
            }
            let expected = |delay: &Duration| *delay >= pace / 2 && *delay <= pace;
            assert!(delays[2..].iter().all(expected), "{delays:?} of {pace:?}");
        }
    }
}
