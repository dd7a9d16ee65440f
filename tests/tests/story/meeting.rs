//! Publishers and subscribers that come, leave and come back in any order.

use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::sync::mpsc;
use zmtp_socket::{Context, Event, PubOptions, PubSocket, Reconnect, SubOptions};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{
    Place, event, eventually, gone, receive, receive_text, subscribers, wanted, within,
};

over_each_transport! {
    async fn a_client_may_come_before_its_server(place: Place) {
        let mut client = place.subscriber("10002");
        let mut monitor = client.monitor();
        client.connect(&*place.endpoint).unwrap();
        if !place.endpoint.starts_with("inproc") {
            event(&mut monitor, "a first attempt", |event| {
                matches!(event, Event::RetryingIn { .. }).then_some(())
            })
            .await;
        }
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        wanted(&server, "10002").await;
        server.send("10002 27 33").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "10002 27 33");
    }

    async fn a_client_that_leaves_does_not_disturb_the_other(place: Place) {
        let server = place.publisher();
        let mut monitor = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let (leaving, mut staying) = (place.subscriber(""), place.subscriber(""));
        leaving.connect(&*place.endpoint).unwrap();
        staying.connect(&*place.endpoint).unwrap();
        subscribers(&server, 2).await;

        for number in 0..500 {
            server.send(format!("{number}")).await.unwrap();
        }
        drop(leaving);
        gone(&mut monitor).await;
        assert_eq!(server.subscriber_count(), 1);
        for number in 500..900 {
            server.send(format!("{number}")).await.unwrap();
        }
        for number in 0..900 {
            assert_eq!(receive_text(&mut staying).await, number.to_string());
        }
        assert_eq!(server.stats().dropped, 0);
    }

    async fn a_server_that_closes_and_comes_back_finds_its_client_waiting(place: Place) {
        let mut client = place.subscriber("10002");
        client.subscribe("10003");
        client.connect(&*place.endpoint).unwrap();
        let (sender, mut received) = mpsc::unbounded_channel();
        let waiting = tokio::spawn(async move {
            while let Ok(message) = client.recv().await {
                if sender.send(message).is_err() {
                    break;
                }
            }
        });
        for round in 0..3 {
            let server = place.publisher();
            server.bind(&*place.endpoint).await.unwrap();
            wanted(&server, "10002").await;
            wanted(&server, "10003").await;
            let text = format!("10003 {round}");
            server.send(&text).await.unwrap();
            let message = within("the message", received.recv()).await.unwrap();
            assert_eq!(message.first(), text.as_bytes());
            assert_eq!(within("the server's end", server.close()).await.unsent, 0);
        }
        waiting.abort();
    }

    async fn a_server_that_is_killed_and_comes_back_finds_its_client_waiting(place: Place) {
        let mut client = place.subscriber("10002");
        client.connect(&*place.endpoint).unwrap();
        for round in 0..3 {
            // Everything that belongs to the server ends with its runtime, whatever it was doing.
            let machine = Builder::new_multi_thread().worker_threads(1).enable_all().build();
            let machine = machine.unwrap();
            let server = place.publisher();
            let there = server.handle();
            let endpoint = place.endpoint.clone();
            let serving = machine.spawn(async move {
                // The last server may still be ending.
                while there.bind(&*endpoint).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
                wanted(&there, "10002").await;
                loop {
                    there.send(format!("10002 {round}")).await.unwrap();
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            });
            let mut last = receive_text(&mut client).await;
            while last != format!("10002 {round}") {
                last = receive_text(&mut client).await;
            }
            machine.shutdown_background();
            assert!(within("the kill", serving).await.unwrap_err().is_cancelled());
            drop(server);
        }
    }

    async fn a_publisher_connects_to_a_subscriber_that_binds(place: Place) {
        let mut client = place.subscriber("10002");
        client.bind(&*place.endpoint).await.unwrap();
        let (one, other) = (place.publisher(), place.publisher());
        for server in [&one, &other] {
            server.connect(&*place.endpoint).unwrap();
            wanted(server, "10002").await;
        }
        one.send("10002 from one").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "10002 from one");
        other.send("10002 from the other").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "10002 from the other");
    }

    async fn a_connecting_publisher_forgets_what_a_cut_peer_wanted(place: Place) {
        let options = PubOptions::new().reconnect(Reconnect::new(Duration::from_millis(5), Duration::from_millis(20)));
        let server = place.context.pub_socket(options);
        server.connect(&*place.endpoint).unwrap();
        // A subscriber that reads nothing, so that messages are queued for it.
        let stuck = place.context.sub_socket(SubOptions::new().receive_hwm("1".parse().unwrap()));
        stuck.subscribe("old");
        stuck.bind(&*place.endpoint).await.unwrap();
        wanted(&server, "old").await;
        let mut monitor = server.monitor();
        let large = [&b"old"[..], &[0; 1 << 20]].concat();
        for _ in 0..40 {
            server.send(&large).await.unwrap();
        }
        assert!(server.stats().queued > 0);
        stuck.close().await;
        gone(&mut monitor).await;
        let stats = server.stats();
        assert_eq!((server.subscriber_count(), stats.queued, stats.peers.len()), (0, 0, 0));
        assert_eq!(stats.sent + stats.undelivered, 40, "{stats:?}");

        let mut client = place.subscriber("new");
        client.bind(&*place.endpoint).await.unwrap();
        wanted(&server, "new").await;
        server.send("old 1").await.unwrap();
        server.send("new 2").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "new 2");
        assert_eq!(client.stats().filtered, 0, "nothing but what is wanted was sent");
    }
}

#[tokio::test]
async fn several_sockets_live_in_one_context() {
    let context = Context::new();
    let mut pairs = Vec::new();
    for number in 0..4 {
        let server = context.pub_socket(PubOptions::new());
        server.bind(format!("inproc://{number}")).await.unwrap();
        let mut clients = Vec::new();
        for _ in 0..3 {
            let client = context.sub_socket(SubOptions::new());
            client.subscribe("");
            client.connect(format!("inproc://{number}")).unwrap();
            clients.push(client);
        }
        subscribers(&server, 3).await;
        pairs.push((number, server, clients));
    }
    drop(context);
    for (number, server, _) in &pairs {
        server.send(format!("from {number}")).await.unwrap();
    }
    for (number, server, clients) in &mut pairs {
        for client in clients {
            assert_eq!(receive_text(client).await, format!("from {number}"));
            assert!(client.try_recv().is_err());
        }
        assert_eq!(server.stats().sent, 3);
    }
}

#[tokio::test]
async fn one_publisher_serves_three_transports_at_once() {
    let (tcp, ipc) = (Place::tcp(), Place::ipc());
    let context = Context::new();
    let server = context.pub_socket(PubOptions::new());
    let endpoints = [&*tcp.endpoint, &*ipc.endpoint, "inproc://place"];
    let mut clients = Vec::new();
    for endpoint in endpoints {
        server.bind(endpoint).await.unwrap();
        let client = context.sub_socket(SubOptions::new());
        client.subscribe("");
        client.connect(endpoint).unwrap();
        clients.push(client);
    }
    subscribers(&server, 3).await;
    for number in 0..300 {
        server.send(format!("{number}")).await.unwrap();
    }
    for client in &mut clients {
        for number in 0..300 {
            assert_eq!(receive_text(client).await, number.to_string());
        }
    }
    let reached: Vec<_> = server.stats().peers.iter().map(|p| p.peer.endpoint().clone()).collect();
    for endpoint in endpoints {
        assert!(reached.contains(&endpoint.parse().unwrap()), "{endpoint} in {reached:?}");
    }
}

#[test]
fn a_fast_server_and_a_slow_client_meet_between_threads() {
    const COUNT: u32 = 20_000;
    let context = Context::new();
    let (there, here) = (context.clone(), context);
    let serving = thread::spawn(move || {
        runtime().block_on(async {
            let server = there.pub_socket(PubOptions::new().send_hwm("unlimited".parse().unwrap()));
            server.bind("inproc://threads").await.unwrap();
            wanted(&server, "").await;
            for number in 0..COUNT {
                server.send(&number.to_be_bytes()).await.unwrap();
            }
            within("the server's end", server.close()).await
        })
    });
    runtime().block_on(async {
        let mut client = here.sub_socket(SubOptions::new().receive_hwm("10".parse().unwrap()));
        client.subscribe("");
        client.connect("inproc://threads").unwrap();
        for number in 0..COUNT {
            assert_eq!(receive(&mut client).await.first(), &number.to_be_bytes()[..]);
            if number % 64 == 0 {
                tokio::task::yield_now().await;
            }
        }
    });
    assert_eq!(serving.join().unwrap().unsent, 0);
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// A slow publisher and several that flood, each with `waiting` messages in the client's queues.
async fn crowd(
    client: &zmtp_socket::SubSocket,
    floods: usize,
    context: &Context,
) -> Vec<PubSocket> {
    let mut servers = Vec::new();
    for number in 0..=floods {
        let server = context.pub_socket(PubOptions::new());
        let endpoint = server.bind(format!("inproc://crowd-{number}")).await.unwrap();
        client.connect(&endpoint).unwrap();
        wanted(&server, "").await;
        servers.push(server);
    }
    servers
}

#[tokio::test]
async fn what_a_slow_publisher_sent_waits_behind_one_turn_of_each_flood() {
    const FLOODS: usize = 3;
    let context = Context::new();
    let mut client = context.sub_socket(SubOptions::new());
    client.subscribe("");
    let servers = crowd(&client, FLOODS, &context).await;
    for flood in &servers[1..] {
        for _ in 0..900 {
            flood.send("flood").await.unwrap();
        }
    }
    eventually("the floods", || client.stats().received == FLOODS as u64 * 900).await;
    servers[0].send("slow").await.unwrap();
    eventually("the slow one", || client.stats().received == FLOODS as u64 * 900 + 1).await;
    let mut before = 0;
    while receive_text(&mut client).await != "slow" {
        before += 1;
    }
    assert!(before <= FLOODS * 256, "{before} flood messages came first");
}

#[tokio::test]
async fn a_flooding_publisher_does_not_starve_a_slow_one() {
    const ROUNDS: usize = 20;
    let context = Context::new();
    let mut client = context.sub_socket(SubOptions::new());
    client.subscribe("");
    let servers = crowd(&client, 1, &context).await;
    let flood = servers[1].clone();
    let flooding = tokio::spawn(async move {
        loop {
            flood.send("flood").await.unwrap();
        }
    });
    while receive_text(&mut client).await != "flood" {}
    for _ in 0..ROUNDS {
        servers[0].send("slow").await.unwrap();
        let mut between = 0;
        while receive_text(&mut client).await != "slow" {
            between += 1;
        }
        // The messages that may be on their way when it is sent: a queue of the flood, and its turn.
        assert!(between <= 4000, "{between} flood messages between two of the slow publisher");
    }
    flooding.abort();
}
