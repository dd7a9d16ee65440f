//! Connections between libzmq and us that are cut and made again, or kept alive by heartbeats.

use std::time::Duration;

use zmtp_codec::Error;
use zmtp_socket::{
    Event, Heartbeat, Monitor, PubOptions, PubSocket, Reason, SubOptions, SubSocket, Version,
};
use zmtp_tests::libzmq::{Libzmq, meet};
use zmtp_tests::over;
use zmtp_tests::story::{Place, event, eventually, gone, receive, receive_text, wanted};
use zmtp_tests::wiretap::Wiretap;

/// The time from one PING to the next, on either side.
const INTERVAL: Duration = Duration::from_millis(50);

/// The number of heartbeats that a quiet connection has to survive.
const BEATS: usize = 10;

/// PING with a time to live of zero, as all sockets here send it: frame, name, tenths of a second.
const PING: &[u8] = b"\x04\x07\x04PING\0\0";

/// PONG with no context.
const PONG: &[u8] = b"\x04\x05\x04PONG";

over! { [tcp, ipc]
    async fn our_subscriber_finds_a_restarted_publisher_of_libzmq(place: Place) {
        let mut subscriber = place.subscriber("10001");
        subscriber.subscribe("10002");
        let mut monitor = subscriber.monitor();
        subscriber.connect(&place.endpoint).expect("it can be dialled");
        for _life in 0..3 {
            let publisher = libzmq_publisher(&place).await;
            meet(&publisher, &mut subscriber, "10001").await;
            publisher.send("10002 27 33").await;
            assert_eq!(receive_text(&mut subscriber).await, "10002 27 33");
            publisher.close().await;
            gone(&mut monitor).await;
        }
    }

    async fn our_publisher_finds_a_restarted_subscriber_of_libzmq(place: Place) {
        let publisher = place.publisher();
        let mut monitor = publisher.monitor();
        publisher.connect(&place.endpoint).expect("it can be dialled");
        for _life in 0..3 {
            let subscriber = Libzmq::new(zmq::SUB);
            subscriber.subscribe("10001").await;
            subscriber.bind(&place.endpoint).await;
            wanted(&publisher, "10001").await;
            publisher.send("10001 -3 50").await.expect("it is open");
            assert_eq!(subscriber.receive().await, b"10001 -3 50");
            subscriber.close().await;
            gone(&mut monitor).await;
            assert_eq!(publisher.subscriber_count(), 0);
        }
    }

    async fn a_subscriber_of_libzmq_finds_our_restarted_publisher(place: Place) {
        let subscriber = Libzmq::new(zmq::SUB);
        subscriber.subscribe("10001").await;
        subscriber.subscribe("10002").await;
        subscriber.connect(&place.endpoint).await;
        for _life in 0..3 {
            let publisher = place.publisher();
            publisher.bind(&place.endpoint).await.expect("it is free again");
            wanted(&publisher, "10001").await;
            wanted(&publisher, "10002").await;
            publisher.send("10002 27 33").await.expect("it is open");
            assert_eq!(subscriber.receive().await, b"10002 27 33");
            assert_eq!(publisher.close().await.unsent, 0);
        }
    }

    async fn a_publisher_of_libzmq_finds_our_restarted_subscriber(place: Place) {
        let publisher = Libzmq::new(zmq::PUB);
        publisher.connect(&place.endpoint).await;
        for life in 0..3 {
            let mut subscriber = place.subscriber("10001");
            subscriber.bind(&place.endpoint).await.expect("it is free again");
            meet(&publisher, &mut subscriber, "10001").await;
            publisher.send(format!("10001 {life}")).await;
            assert_eq!(receive_text(&mut subscriber).await, format!("10001 {life}"));
            assert_eq!(subscriber.close().await.unread, 0);
        }
    }
}

async fn libzmq_publisher(place: &Place) -> Libzmq {
    let publisher = Libzmq::new(zmq::PUB);
    publisher.bind(&place.endpoint).await;
    publisher
}

/// The side that sends heartbeats.
#[derive(Clone, Copy)]
struct Beats {
    ours: bool,
    libzmqs: bool,
}

impl Beats {
    fn ours(self) -> Option<Heartbeat> {
        self.ours.then(|| Heartbeat::every(INTERVAL).with_timeout(BEATS as u32 * INTERVAL))
    }

    fn set(self, libzmq: &Libzmq) {
        if self.libzmqs {
            libzmq.set(|socket| {
                let interval = i32::try_from(INTERVAL.as_millis()).expect("it is short");
                socket.set_heartbeat_ivl(interval)?;
                socket.set_heartbeat_timeout(interval * BEATS as i32)
            });
        }
    }

    /// Waits until only heartbeats have passed for a long time.
    async fn pass(self, our_pings: impl Fn(&[u8]) -> usize, libzmqs: impl Fn(&[u8]) -> usize) {
        // Twice the timeout: by then a side without answers has closed the connection.
        let enough = 2 * BEATS;
        eventually("heartbeats and their answers", || {
            (!self.ours || our_pings(PING) >= enough && libzmqs(PONG) >= enough)
                && (!self.libzmqs || libzmqs(PING) >= enough && our_pings(PONG) >= enough)
        })
        .await;
    }
}

fn assert_undisturbed(monitor: &mut Monitor) {
    while let Some(event) = monitor.try_next() {
        assert!(!matches!(event, Event::Disconnected { .. }), "{event:?}");
    }
}

async fn our_publisher_stays_connected(options: PubOptions, beats: Beats) {
    let options = match beats.ours() {
        Some(heartbeat) => options.heartbeat(heartbeat),
        None => options,
    };
    let publisher = PubSocket::with_options(options);
    let mut monitor = publisher.monitor();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").await.expect("some port is free");
    let tap = Wiretap::before(&endpoint.to_string()).await;
    let subscriber = Libzmq::new(zmq::SUB);
    beats.set(&subscriber);
    subscriber.subscribe("10001").await;
    subscriber.connect(tap.endpoint()).await;
    wanted(&publisher, "10001").await;

    beats
        .pass(|octets| tap.count_from_dialled(octets), |octets| tap.count_from_dialler(octets))
        .await;
    publisher.send("10001 -3 50").await.expect("it is open");
    assert_eq!(subscriber.receive().await, b"10001 -3 50");
    assert_undisturbed(&mut monitor);
}

async fn our_subscriber_stays_connected(options: SubOptions, beats: Beats) {
    let options = match beats.ours() {
        Some(heartbeat) => options.heartbeat(heartbeat),
        None => options,
    };
    let publisher = Libzmq::new(zmq::PUB);
    beats.set(&publisher);
    let endpoint = publisher.bind("tcp://127.0.0.1:*").await;
    let tap = Wiretap::before(&endpoint).await;
    let mut subscriber = SubSocket::with_options(options);
    let mut monitor = subscriber.monitor();
    subscriber.subscribe("10001");
    subscriber.connect(tap.endpoint()).expect("it can be dialled");
    meet(&publisher, &mut subscriber, "10001").await;

    beats
        .pass(|octets| tap.count_from_dialler(octets), |octets| tap.count_from_dialled(octets))
        .await;
    publisher.send("10001 -3 50").await;
    assert_eq!(receive(&mut subscriber).await.first(), "10001 -3 50");
    assert_undisturbed(&mut monitor);
}

#[tokio::test]
async fn libzmq_answers_the_heartbeats_of_our_publisher() {
    let beats = Beats { ours: true, libzmqs: false };
    our_publisher_stays_connected(PubOptions::new(), beats).await;
}

#[tokio::test]
async fn our_publisher_answers_the_heartbeats_of_libzmq() {
    let beats = Beats { ours: false, libzmqs: true };
    our_publisher_stays_connected(PubOptions::new(), beats).await;
}

#[tokio::test]
async fn our_publisher_and_libzmq_keep_each_other_alive() {
    let beats = Beats { ours: true, libzmqs: true };
    our_publisher_stays_connected(PubOptions::new(), beats).await;
}

#[tokio::test]
async fn libzmq_answers_the_heartbeats_of_our_subscriber() {
    let beats = Beats { ours: true, libzmqs: false };
    our_subscriber_stays_connected(SubOptions::new(), beats).await;
}

#[tokio::test]
async fn our_subscriber_answers_the_heartbeats_of_libzmq() {
    let beats = Beats { ours: false, libzmqs: true };
    our_subscriber_stays_connected(SubOptions::new(), beats).await;
}

#[tokio::test]
async fn our_subscriber_and_libzmq_keep_each_other_alive() {
    let beats = Beats { ours: true, libzmqs: true };
    our_subscriber_stays_connected(SubOptions::new(), beats).await;
}

/// libzmq sends PING also to peers that announce 3.0, which do not know that command.
#[tokio::test]
async fn heartbeats_of_libzmq_are_answered_also_by_who_announces_3_0() {
    let beats = Beats { ours: false, libzmqs: true };
    our_publisher_stays_connected(PubOptions::new().version(Version::V3_0), beats).await;
    our_subscriber_stays_connected(SubOptions::new().version(Version::V3_0), beats).await;
}

/// When libzmq falls silent, we close the connection because of the time to live in its PING.
#[tokio::test]
async fn libzmq_that_falls_silent_is_dropped_after_the_time_to_live_it_announced() {
    let publisher = PubSocket::new();
    let mut monitor = publisher.monitor();
    let endpoint = publisher.bind("tcp://127.0.0.1:*").await.expect("some port is free");
    let tap = Wiretap::before(&endpoint.to_string()).await;
    let subscriber = Libzmq::new(zmq::SUB);
    subscriber.set(|socket| {
        socket.set_heartbeat_ivl(100)?;
        // Otherwise libzmq would be the first to close the connection.
        socket.set_heartbeat_timeout(60_000)?;
        socket.set_heartbeat_ttl(500)
    });
    subscriber.subscribe("10001").await;
    subscriber.connect(tap.endpoint()).await;
    let announced = b"\x04\x07\x04PING\0\x05";
    eventually("a PING", || tap.count_from_dialler(announced) > 0).await;
    tap.silence();
    let reason = event(&mut monitor, "the end of who fell silent", |event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    })
    .await;
    assert!(matches!(reason, Reason::Protocol(Error::Timeout(_))), "{reason}");
    assert_eq!(publisher.subscriber_count(), 0);
}
