//! Endpoints: a bound address becomes free again, a taken one is reported, and names stay in their
//! context.

use std::io::ErrorKind;
use std::os::unix::fs::PermissionsExt as _;
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::Arc;

use tokio::sync::Barrier;
use zmtp_socket::{
    BindError, Context, Endpoint, Event, IpcAddress, Linger, PlainUsers, PubOptions, Reason,
    Reconnect, SubOptions,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{
    Place, event, eventually, gone, receive_text, subscribers, wanted, within,
};

over_each_transport! {
    async fn unbind_ends_its_peers_and_frees_the_address(place: Place) {
        let server = place.publisher();
        let endpoint = server.bind(&*place.endpoint).await.unwrap();
        server.bind("inproc://second-door").await.unwrap();
        let client = place.subscriber("a");
        let mut monitor = client.monitor();
        client.connect(&endpoint).unwrap();
        let mut other = place.subscriber("a");
        other.connect("inproc://second-door").unwrap();
        subscribers(&server, 2).await;

        within("the end of the endpoint", server.unbind(&endpoint)).await.unwrap();
        assert_eq!(server.subscriber_count(), 1);
        gone(&mut monitor).await;
        server.send("a 1").await.unwrap();
        assert_eq!(receive_text(&mut other).await, "a 1", "the other endpoint stays");
        let unknown = server.unbind(&endpoint).await.unwrap_err();
        assert!(unknown.to_string().contains(&place.endpoint), "{unknown}");

        // Another socket may have the address now, and the client finds it there.
        let successor = place.publisher();
        successor.bind(&endpoint).await.unwrap();
        wanted(&successor, "a").await;
    }

    async fn an_address_in_use_is_refused_by_name(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let second = place.context.sub_socket(SubOptions::new());
        for _ in 0..2 {
            match second.bind(&*place.endpoint).await {
                Err(error @ BindError::Refused { .. }) => {
                    assert!(error.to_string().contains(&place.endpoint), "{error}");
                    let BindError::Refused { source, .. } = error else { unreachable!() };
                    assert_eq!(source.kind(), ErrorKind::AddrInUse);
                }
                other => panic!("{other:?}"),
            }
        }
        // The owner of the address is not affected.
        let client = place.subscriber("a");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "a").await;
    }

    async fn disconnect_ends_one_connection_and_is_not_undone(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("a");
        let endpoint = client.connect(&*place.endpoint).unwrap();
        wanted(&server, "a").await;
        server.send("a 1").await.unwrap();
        eventually("its arrival", || client.stats().received == 1).await;
        within("the disconnection", client.disconnect(&endpoint)).await.unwrap();
        subscribers(&server, 0).await;
        assert!(client.stats().peers.is_empty());
        assert_eq!(receive_text(&mut client).await, "a 1", "what had arrived stays");
        let unknown = client.disconnect(&endpoint).await.unwrap_err();
        assert!(unknown.to_string().contains(&place.endpoint), "{unknown}");

        client.connect(&endpoint).unwrap();
        wanted(&server, "a").await;
        // Repeating it changes nothing.
        client.connect(&endpoint).unwrap();
        server.send("a 2").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "a 2");
        assert_eq!(server.stats().peers.len(), 1);
    }

    async fn closing_frees_the_address(place: Place) {
        for _ in 0..3 {
            let server = place.publisher();
            server.bind(&*place.endpoint).await.unwrap();
            let client = place.subscriber("");
            client.connect(&*place.endpoint).unwrap();
            wanted(&server, "").await;
            within("the end", server.close()).await;
        }
    }

    // The runtime has one thread, so no task runs between the drop and the next bind.
    async fn a_dropped_socket_has_freed_its_address(place: Place) {
        for _ in 0..3 {
            let server = place.publisher();
            server.bind(&*place.endpoint).await.unwrap();
            drop(server);
            let server = place.publisher();
            server.bind(&*place.endpoint).await.unwrap();
            let client = place.subscriber("");
            client.connect(&*place.endpoint).unwrap();
            wanted(&server, "").await;
            drop(server);
            let client = place.subscriber("");
            client.bind(&*place.endpoint).await.unwrap();
            drop(client);
        }
    }

    async fn plain_lets_in_who_is_known_and_parks_who_is_not(place: Place) {
        let users = PlainUsers::new().user("weather", "10002").user("admin", "secret");
        let server = place.context.pub_socket(PubOptions::new().plain_server(users));
        let mut monitor = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let mut known = place.context.sub_socket(SubOptions::new().plain_client("weather", "10002"));
        known.subscribe("");
        known.connect(&*place.endpoint).unwrap();
        let username = event(&mut monitor, "the handshake", |event| match event {
            Event::HandshakeSucceeded { info, .. } => Some(info.username.clone()),
            _ => None,
        });
        assert_eq!(username.await.as_deref(), Some(&b"weather"[..]));
        wanted(&server, "").await;

        for (name, password) in [("weather", "secret"), ("weather", ""), ("", ""), ("x", "10002")] {
            let options = SubOptions::new().plain_client(name, password);
            let unknown = place.context.sub_socket(options);
            unknown.subscribe("");
            let mut events = unknown.monitor();
            unknown.connect(&*place.endpoint).unwrap();
            let reason = event(&mut events, "to be parked", |event| match event {
                Event::Parked { reason, .. } => Some(reason),
                Event::RetryingIn { reason, .. } => panic!("dialled again: {reason}"),
                _ => None,
            });
            let reason = reason.await;
            assert!(
                matches!(&reason, Reason::Protocol(error) if error.is_refusal()),
                "{name}: {reason}"
            );
            event(&mut monitor, "word of it", |event| {
                matches!(event, Event::HandshakeFailed { .. }).then_some(())
            })
            .await;
        }
        server.send("for the known").await.unwrap();
        assert_eq!(receive_text(&mut known).await, "for the known");
        assert_eq!(server.stats().sent, 1);
    }

    async fn who_names_no_user_does_not_get_in_where_one_is_asked_for(place: Place) {
        let users = PlainUsers::new().user("weather", "10002");
        let server = place.context.pub_socket(PubOptions::new().plain_server(users));
        server.bind(&*place.endpoint).await.unwrap();
        let stranger = place.subscriber("");
        let mut events = stranger.monitor();
        stranger.connect(&*place.endpoint).unwrap();
        event(&mut events, "the failure", |event| {
            matches!(event, Event::HandshakeFailed { .. }).then_some(())
        })
        .await;
        assert_eq!(server.stats().peers, []);
    }
}

#[tokio::test]
async fn a_port_is_chosen_and_told() {
    let place = Place::tcp();
    let server = place.publisher();
    let one = server.bind("tcp://127.0.0.1:*").await.unwrap();
    let other = server.bind("tcp://127.0.0.1:0").await.unwrap();
    assert_ne!(one, other);
    for (topic, endpoint) in [("one", one), ("other", other)] {
        let client = place.subscriber(topic);
        client.connect(&endpoint).unwrap();
        wanted(&server, topic).await;
        server.unbind(&endpoint).await.expect("it is known by this name");
    }
}

#[tokio::test]
async fn a_name_belongs_to_its_context() {
    let (here, there) = (Context::new(), Context::new());
    let ours = here.pub_socket(PubOptions::new());
    let theirs = there.pub_socket(PubOptions::new());
    ours.bind("inproc://name").await.unwrap();
    theirs.bind("inproc://name").await.unwrap();
    let mut client = there.clone().sub_socket(SubOptions::new());
    client.subscribe("");
    client.connect("inproc://name").unwrap();
    wanted(&theirs, "").await;
    ours.send("ours").await.unwrap();
    theirs.send("theirs").await.unwrap();
    assert_eq!(receive_text(&mut client).await, "theirs");
    assert_eq!(ours.stats().peers, []);
}

#[tokio::test]
async fn a_refused_client_is_let_in_when_it_asks_again_and_is_known_by_then() {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};

    let place = Place::inproc();
    let open = Arc::new(AtomicBool::new(false));
    let asked = open.clone();
    let options = PubOptions::new().plain_server_with(move |_| asked.load(Ordering::Relaxed));
    let server = place.context.pub_socket(options);
    server.bind(&*place.endpoint).await.unwrap();
    let client = place.context.sub_socket(SubOptions::new().plain_client("a", "b"));
    client.subscribe("");
    let mut events = client.monitor();
    client.connect(&*place.endpoint).unwrap();
    event(&mut events, "to be parked", |event| matches!(event, Event::Parked { .. }).then_some(()))
        .await;
    open.store(true, Ordering::Relaxed);
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "").await;

    // With this option it dials again by itself.
    open.store(false, Ordering::Relaxed);
    let fast =
        Reconnect::new(std::time::Duration::from_millis(2), std::time::Duration::from_millis(10));
    let stubborn = SubOptions::new().plain_client("a", "b").retry_refused(true).reconnect(fast);
    let stubborn = place.context.sub_socket(stubborn);
    stubborn.subscribe("stubborn");
    let mut events = stubborn.monitor();
    stubborn.connect(&*place.endpoint).unwrap();
    event(&mut events, "a retry", |event| matches!(event, Event::RetryingIn { .. }).then_some(()))
        .await;
    open.store(true, Ordering::Relaxed);
    subscribers(&server, 2).await;
}

#[tokio::test]
async fn a_socket_file_left_by_a_dead_server_is_replaced_and_ours_is_removed() {
    let place = Place::ipc();
    let path = place.endpoint.strip_prefix("ipc://").unwrap();
    drop(UnixListener::bind(path).unwrap());
    assert!(Path::new(path).exists(), "std leaves the file");

    let server = place.publisher();
    let endpoint = server.bind(&*place.endpoint).await.unwrap();
    let client = place.subscriber("a");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "a").await;
    server.unbind(&endpoint).await.unwrap();
    assert!(!Path::new(path).exists(), "unbind removes it");

    server.bind(&*place.endpoint).await.unwrap();
    assert!(Path::new(path).exists());
    server.close().await;
    assert!(!Path::new(path).exists(), "close removes it");

    let server = place.context.pub_socket(PubOptions::new().linger(Linger::NONE));
    server.bind(&*place.endpoint).await.unwrap();
    drop(server);
    eventually("a drop to remove it", || !Path::new(path).exists()).await;
}

#[tokio::test]
async fn a_live_socket_file_is_in_use_and_any_other_file_is_not_touched() {
    let place = Place::ipc();
    let path = place.endpoint.strip_prefix("ipc://").unwrap();
    let refused = |error: BindError| match error {
        BindError::Refused { source, .. } => source.kind(),
        other => panic!("{other}"),
    };
    let foreign = UnixListener::bind(path).unwrap();
    let server = place.publisher();
    let error = server.bind(&*place.endpoint).await.unwrap_err();
    assert_eq!(refused(error), ErrorKind::AddrInUse);
    drop(foreign);

    std::fs::remove_file(path).unwrap();
    std::fs::write(path, "not a socket").unwrap();
    let error = server.bind(&*place.endpoint).await.unwrap_err();
    assert_eq!(refused(error), ErrorKind::AddrInUse);
    assert_eq!(std::fs::read(path).unwrap(), b"not a socket");
}

#[tokio::test]
async fn a_socket_file_has_the_mode_that_was_asked_for_whatever_the_umask() {
    let server = Place::ipc().publisher();
    // The first mode has bits that every usual umask removes, the last has bits that each of them keeps.
    for mode in [0o777, 0o660, 0o600] {
        let place = Place::ipc();
        let endpoint = server.bind_with(&*place.endpoint, |it| it.ipc_mode(mode)).await.unwrap();
        let path = place.endpoint.strip_prefix("ipc://").unwrap();
        let permissions = std::fs::metadata(path).unwrap().permissions();
        assert_eq!(permissions.mode() & 0o7777, mode);
        let client = place.subscriber("a");
        client.connect(&endpoint).unwrap();
        wanted(&server, "a").await;
        server.unbind(&endpoint).await.unwrap();
        assert!(!Path::new(path).exists());
    }
    let own_path = server.bind_with("ipc://*", |it| it.ipc_mode(0o606)).await.unwrap();
    let permissions = std::fs::metadata(path_of(&own_path)).unwrap().permissions();
    assert_eq!(permissions.mode() & 0o7777, 0o606);
}

#[tokio::test]
async fn a_path_is_chosen_and_told_and_removed() {
    let place = Place::ipc();
    let server = place.publisher();
    let one = server.bind("ipc://*").await.unwrap();
    let other = server.bind("ipc://*").await.unwrap();
    assert_ne!(one, other);
    for (topic, endpoint) in [("one", &one), ("other", &other)] {
        let client = place.subscriber(topic);
        client.connect(endpoint).unwrap();
        wanted(&server, topic).await;
    }
    assert!(path_of(&other).starts_with(std::env::temp_dir()));
    server.unbind(&one).await.expect("it is known by this name");
    assert!(!path_of(&one).exists() && path_of(&other).exists());
    server.close().await;
    assert!(!path_of(&other).exists());
}

fn path_of(endpoint: &Endpoint) -> &Path {
    match endpoint {
        Endpoint::Ipc(IpcAddress::Path(path)) => path,
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn an_endpoint_whose_file_was_removed_stays_bound_until_it_is_unbound() {
    let place = Place::ipc();
    let path = place.endpoint.strip_prefix("ipc://").unwrap();
    let server = place.publisher();
    let endpoint = server.bind(&*place.endpoint).await.unwrap();
    std::fs::remove_file(path).unwrap();
    let error = server.bind(&*place.endpoint).await.unwrap_err();
    assert!(error.to_string().ends_with("unbind it first"), "{error}");
    assert!(!Path::new(path).exists(), "nothing is left of the attempt");

    within("the end of the first", server.unbind(&endpoint)).await.unwrap();
    server.bind(&*place.endpoint).await.unwrap();
    let client = place.subscriber("a");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "a").await;
    server.unbind(&endpoint).await.unwrap();
    server.unbind(&endpoint).await.unwrap_err();
}

#[tokio::test]
async fn a_socket_file_that_another_server_has_put_in_place_of_ours_stays() {
    let place = Place::ipc();
    let path = place.endpoint.strip_prefix("ipc://").unwrap();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    std::fs::remove_file(path).unwrap();
    let _foreign = UnixListener::bind(path).unwrap();
    server.close().await;
    assert!(Path::new(path).exists());
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_server_that_ends_leaves_its_successor_the_socket_file() {
    let place = Place::ipc();
    let path = Path::new(place.endpoint.strip_prefix("ipc://").unwrap());
    let mut server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    // The fault needs a moment that comes about once in a hundred rounds.
    for round in 0..2000 {
        let ending = tokio::spawn(async move { server.close().await });
        server = place.publisher();
        within("the address to be free", async {
            while server.bind(&*place.endpoint).await.is_err() {}
        })
        .await;
        within("the end of the one before", ending).await.unwrap();
        assert!(path.exists(), "lost in round {round}");
    }
    server.close().await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn of_servers_that_find_a_dead_ones_file_at_once_one_is_reached_and_no_other_binds() {
    for round in 0..200 {
        let place = Place::ipc();
        drop(UnixListener::bind(place.endpoint.strip_prefix("ipc://").unwrap()).unwrap());
        let all = Arc::new(Barrier::new(4));
        let servers: Vec<_> = (0..4)
            .map(|_| {
                let (server, endpoint, all) =
                    (place.publisher(), place.endpoint.clone(), all.clone());
                tokio::spawn(async move {
                    all.wait().await;
                    server.bind(&*endpoint).await.is_ok().then_some(server)
                })
            })
            .collect();
        let mut bound = Vec::new();
        for server in servers {
            bound.extend(within("it to bind or not", server).await.unwrap());
        }
        assert_eq!(bound.len(), 1, "in round {round}");
        let client = place.subscriber("a");
        client.connect(&*place.endpoint).unwrap();
        wanted(&bound[0], "a").await;
    }
}
