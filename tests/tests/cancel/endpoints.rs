//! `bind`, `unbind` and `disconnect`, dropped: an address is bound or free, and an end that has begun is
//! completed.

use std::io::ErrorKind;
use std::sync::mpsc;
use std::time::Duration;

use zmtp_socket::{BindError, PubSocket, Reconnect, SubOptions, SubSocket};
use zmtp_tests::cancel::{at, everywhere};
use zmtp_tests::story::{Place, eventually, receive_text, subscribers, wanted, within};

/// A subscriber to everything that comes back within milliseconds.
fn eager(place: &Place) -> SubSocket {
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
    let options = SubOptions::new().reconnect(Reconnect::new(initial, max));
    let subscriber = place.context.sub_socket(options);
    subscriber.subscribe("");
    subscriber
}

/// Binds an address that is about to become free.
async fn bind_soon(server: &PubSocket, endpoint: &str) {
    within("the address to be free", async {
        while let Err(error) = server.bind(endpoint).await {
            let BindError::Refused { source, .. } = error else { panic!("{error}") };
            assert_eq!(source.kind(), ErrorKind::AddrInUse);
            tokio::task::yield_now().await;
        }
    })
    .await;
}

/// The same place under a name that must be looked up, which is a wait.
fn by_name(place: &Place) -> String {
    let address = place.endpoint.strip_prefix("tcp://127.").unwrap();
    let (host, port) = address.split_once(':').unwrap();
    let [a, b, c] = [0, 1, 2].map(|at| host.split('.').nth(at).unwrap().parse::<u8>().unwrap());
    // The endpoint has this host as a name; every resolver takes it for the address that it is.
    format!("tcp://0x7f.{a}.{b}.{c:#x}:{port}")
}

/// Blocks the look-up of names until the sender is dropped.
fn hold_resolver() -> mpsc::Sender<()> {
    let (release, released) = mpsc::channel();
    // The runtime has one thread for look-ups.
    drop(tokio::task::spawn_blocking(move || released.recv()));
    release
}

#[test]
fn bind_while_it_looks_up_a_name() {
    at(Place::tcp, 1, async |place, cut| {
        let server = place.publisher();
        let mut held = Some(hold_resolver());
        let bound = cut.call(server.bind(by_name(place)), async || held = None).await;
        drop(held);
        let successor = place.publisher();
        if let Some(bound) = &bound {
            assert_eq!(bound.as_ref().unwrap().to_string(), by_name(place));
            assert!(successor.bind(&*place.endpoint).await.is_err(), "it is bound");
        } else {
            // The address is free at once, not only some time later.
            successor.bind(&*place.endpoint).await.unwrap();
        }
        let client = eager(place);
        client.connect(&*place.endpoint).unwrap();
        wanted(if bound.is_some() { &server } else { &successor }, "").await;
        bound.is_some()
    });
}

#[test]
fn bind_while_it_looks_whether_anybody_listens_behind_a_file() {
    at(Place::ipc, 1, async |place, cut| {
        let (server, mut client) = place.pair().await;
        let second = place.publisher();
        let bound = cut.call(second.bind(&*place.endpoint), async || {}).await;
        assert!(bound.as_ref().is_none_or(|bound| bound.is_err()), "{bound:?}");
        server.send("still here").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "still here");
        server.close().await;
        second.bind(&*place.endpoint).await.unwrap();
        wanted(&second, "").await;
        bound.is_some()
    });
}

#[test]
fn bind_where_nothing_is_waited_for() {
    everywhere(0, async |place, cut| {
        let server = place.publisher();
        let bound = cut.call(server.bind(&*place.endpoint), async || {}).await;
        assert_eq!(bound.is_none(), cut.is_before_all());
        let successor = place.publisher();
        assert_eq!(successor.bind(&*place.endpoint).await.is_ok(), bound.is_none());
        bound.is_some()
    });
}

#[test]
fn unbind_while_its_connections_end() {
    everywhere(1, async |place, cut| {
        let server = place.publisher();
        let endpoint = server.bind(&*place.endpoint).await.unwrap();
        let mut clients = [eager(place), eager(place)];
        for client in &clients {
            client.connect(&endpoint).unwrap();
        }
        subscribers(&server, 2).await;
        let done = cut.call(server.unbind(&endpoint), async || {}).await.map(Result::unwrap);
        if cut.is_before_all() {
            server.send("as before").await.unwrap();
        } else {
            assert!(server.unbind(&endpoint).await.is_err(), "it has ended, or soon will");
            eventually("all peers to be gone", || server.stats().peers.is_empty()).await;
            let successor = place.publisher();
            bind_soon(&successor, &place.endpoint).await;
            subscribers(&successor, 2).await;
            successor.send("as before").await.unwrap();
            assert_eq!(server.subscriber_count(), 0);
        }
        for client in &mut clients {
            assert_eq!(receive_text(client).await, "as before");
        }
        done.is_some()
    });
}

#[test]
fn disconnect_while_its_connection_ends() {
    everywhere(1, async |place, cut| {
        let (server, mut client) = place.pair().await;
        let endpoint = server.bind("inproc://other-door").await.unwrap();
        // `connect` is always done when it returns.
        let endpoint = client.connect(&endpoint).unwrap();
        eventually("two connections", || server.stats().peers.len() == 2).await;
        let done = cut.call(client.disconnect(&endpoint), async || {}).await.map(Result::unwrap);
        assert_eq!(client.disconnect(&endpoint).await.is_ok(), cut.is_before_all());
        eventually("one connection", || server.stats().peers.len() == 1).await;
        server.send("by the other way").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "by the other way");
        client.connect(&endpoint).unwrap();
        eventually("two connections", || server.stats().peers.len() == 2).await;
        done.is_some()
    });
}

#[test]
fn disconnect_while_it_dials() {
    at(Place::tcp, 1, async |place, cut| {
        let held = hold_resolver();
        let client = eager(place);
        let endpoint = client.connect(by_name(place)).unwrap();
        tokio::task::yield_now().await;
        let done = cut.call(client.disconnect(&endpoint), async || {}).await.map(Result::unwrap);
        drop(held);
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        if cut.is_before_all() {
            wanted(&server, "").await;
        } else {
            // A subscriber that dialled later has arrived, and this one has not.
            let other = eager(place);
            other.connect(by_name(place)).unwrap();
            wanted(&server, "").await;
            assert_eq!(server.stats().peers.len(), 1);
        }
        done.is_some()
    });
}
