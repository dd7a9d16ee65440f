//! Sockets that are dropped in the middle of an operation.

use std::any::Any;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::net::{TcpSocket, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use zmtp_socket::{
    Event, HighWaterMark, Linger, PubOptions, PubSocket, Reconnect, SendError, SubOptions,
    SubSocket, WhenFull,
};
use zmtp_tests::census::{Census, alone};
use zmtp_tests::raw::{
    ANY_PORT, GREETING, READY_PUB, READY_SUB, RawListener, RawPeer, eventually, in_time,
};
use zmtp_tests::story::{LARGE, event, settled};

/// A socket in the middle of an operation, and the number of descriptors that the test holds.
struct Scene {
    socket: Box<dyn Any>,
    held: Box<dyn Any>,
    descriptors: usize,
}

impl Scene {
    fn new(socket: impl Any, held: impl Any, descriptors: usize) -> Self {
        Self { socket: Box::new(socket), held: Box::new(held), descriptors }
    }
}

/// Drops the socket, and closes the other side only once nothing is left open on this one.
fn leaves_nothing_open(scene: impl AsyncFnOnce() -> Scene) {
    alone(async {
        let before = Census::now();
        let Scene { socket, held, descriptors } = scene().await;
        assert!(Census::now().tasks > before.tasks, "nothing was going on");
        drop(socket);
        before.and(descriptors, 0).expect("the drop").await;
        drop(held);
        before.expect("the other side's end").await;
    });
}

#[test]
fn while_it_dials() {
    leaves_nothing_open(async || {
        let listener = TcpSocket::new_v4().unwrap();
        listener.bind((Ipv4Addr::LOCALHOST, 0).into()).unwrap();
        let listener = listener.listen(1).unwrap();
        let address = listener.local_addr().unwrap();
        // Once the system holds enough connections, further ones are not answered.
        let mut waiting = Vec::new();
        let patience = Duration::from_millis(100);
        while let Ok(stream) = timeout(patience, TcpStream::connect(address)).await {
            waiting.push(stream.unwrap());
        }
        let before = Census::now();
        let subscriber = SubSocket::new();
        let mut monitor = subscriber.monitor();
        subscriber.connect(format!("tcp://{address}")).unwrap();
        eventually("a socket that dials", || Census::now() == before.and(1, 1)).await;
        assert!(monitor.try_next().is_none(), "it was neither accepted nor refused");
        let held = 1 + waiting.len();
        Scene::new(subscriber, (listener, waiting), held)
    });
}

#[test]
fn while_it_dials_a_name_that_nobody_has_bound() {
    leaves_nothing_open(async || {
        let subscriber = SubSocket::new();
        subscriber.connect("inproc://nobody").unwrap();
        tokio::task::yield_now().await;
        Scene::new(subscriber, (), 0)
    });
}

#[test]
fn while_it_waits_to_dial_again() {
    leaves_nothing_open(async || {
        let never = Duration::from_secs(3600);
        let options = SubOptions::new().reconnect(Reconnect::new(never, never));
        let subscriber = SubSocket::with_options(options);
        let mut monitor = subscriber.monitor();
        let listener = RawListener::bind().await;
        subscriber.connect(listener.endpoint()).unwrap();
        drop(listener.accept().await);
        event(&mut monitor, "its announcement", |event| match event {
            Event::RetryingIn { .. } => Some(()),
            _ => None,
        })
        .await;
        Scene::new(subscriber, listener, 1)
    });
}

#[test]
fn while_it_is_parked() {
    leaves_nothing_open(async || {
        let subscriber = SubSocket::new();
        let mut monitor = subscriber.monitor();
        let listener = RawListener::bind().await;
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.accept().await;
        peer.open(b"\x04\x0A\x05ERROR\x03400", READY_SUB).await;
        peer.expect_closed().await;
        drop(peer);
        event(&mut monitor, "its announcement", |event| match event {
            Event::Parked { .. } => Some(()),
            _ => None,
        })
        .await;
        Scene::new(subscriber, listener, 1)
    });
}

#[test]
fn in_a_handshake_with_who_has_dialled() {
    leaves_nothing_open(async || {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(&READY_SUB[..10], READY_PUB).await;
        Scene::new(publisher, peer, 1)
    });
}

#[test]
fn in_a_handshake_with_whom_it_has_dialled() {
    leaves_nothing_open(async || {
        let subscriber = SubSocket::new();
        let listener = RawListener::bind().await;
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.accept().await;
        peer.send(&GREETING[..20]).await;
        peer.expect(GREETING).await;
        Scene::new(subscriber, (listener, peer), 2)
    });
}

#[test]
fn in_the_middle_of_a_message_that_comes() {
    leaves_nothing_open(async || {
        let mut subscriber = SubSocket::new();
        subscriber.subscribe("");
        let listener = RawListener::bind().await;
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.publisher().await;
        peer.send(b"\x00\x05whole\x01\x04half\x02\0\0\0\0\0\x01\0\0and so o").await;
        in_time("what came before", subscriber.recv()).await.unwrap();
        Scene::new(subscriber, (listener, peer), 2)
    });
}

#[test]
fn in_the_middle_of_a_subscription_that_comes() {
    leaves_nothing_open(async || {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        peer.send(b"\x04\x0B\x09SUBSCRIBEA\x04\xFF\x09SUBSCRIBEB").await;
        in_time("what came before", publisher.wait_for_subscriber("A")).await.unwrap();
        Scene::new(publisher, peer, 1)
    });
}

/// A publisher that has written half a message to a peer that reads nothing, and can write no more.
async fn half_written(options: PubOptions) -> (PubSocket, RawPeer) {
    let publisher = PubSocket::with_options(options.send_hwm(HighWaterMark::messages(1)));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::dial_narrow(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    peer.subscribe("").await;
    in_time("a subscription", publisher.wait_for_subscriber("")).await.unwrap();
    while publisher.stats().queued == 0 {
        publisher.try_send(vec![7; 64 * LARGE]).unwrap();
        settled(&publisher).await;
    }
    (publisher, peer)
}

#[test]
fn in_the_middle_of_a_message_that_goes() {
    leaves_nothing_open(async || {
        let (publisher, peer) = half_written(PubOptions::new().linger(Linger::NONE)).await;
        Scene::new(publisher, peer, 1)
    });
}

#[test]
fn and_while_it_then_lingers() {
    leaves_nothing_open(async || {
        let linger = Linger::For(Duration::from_millis(50));
        let (publisher, peer) = half_written(PubOptions::new().linger(linger)).await;
        Scene::new(publisher, peer, 1)
    });
}

#[test]
fn and_while_it_lingers_until_the_peer_has_left() {
    leaves_nothing_open(async || {
        let (publisher, peer) = half_written(PubOptions::new().linger(Linger::Forever)).await;
        drop(publisher);
        tokio::task::yield_now().await;
        Scene::new(peer, (), 0)
    });
}

#[test]
fn while_a_sender_waits_for_room() {
    leaves_nothing_open(async || {
        let options = PubOptions::new().when_full(WhenFull::Wait).linger(Linger::NONE);
        let (publisher, peer) = half_written(options).await;
        assert_eq!(publisher.try_send("A"), Err(SendError::Full));
        let mut sender = JoinSet::new();
        sender.spawn(async move { publisher.send("A").await });
        tokio::task::yield_now().await;
        assert!(sender.try_join_next().is_none(), "it did not wait");
        // The last handle is dropped with the task.
        Scene::new(sender, peer, 1)
    });
}

#[test]
fn while_it_reads_no_more_for_want_of_room() {
    leaves_nothing_open(async || {
        let options = SubOptions::new().receive_hwm(HighWaterMark::messages(1));
        let subscriber = SubSocket::with_options(options);
        subscriber.subscribe("");
        let listener = RawListener::bind().await;
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.publisher().await;
        peer.send(b"\x00\x01A".repeat(1000)).await;
        eventually("a full queue", || subscriber.stats().queued == 1).await;
        Scene::new(subscriber, (listener, peer), 2)
    });
}

#[test]
fn while_it_waits_for_a_peer_that_broke_a_rule_to_hang_up() {
    leaves_nothing_open(async || {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let mut peer = RawPeer::subscriber(&endpoint, "A").await;
        peer.send(b"\x08\x00").await;
        peer.expect_closed().await;
        Scene::new(publisher, peer, 1)
    });
}
