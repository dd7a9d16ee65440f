//! A peer whose verdict is awaited: hardly anything more is read from it, its deadline runs, and its end
//! is noticed.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::mpsc;
use zmtp_codec::{Config, Connection, Error, Mechanism, Timeout};
use zmtp_socket::{
    Allowed, CurveKeyPair, Endpoint, Event, Monitor, PubOptions, PubSocket, Reason, SocketType,
    Verdict,
};
use zmtp_tests::raw::{ANY_PORT, GREETING, READY_PUB, RawPeer, in_time};

/// A server with a judge, the requests to that judge, and a client that has asked to be let in.
struct Scene {
    server: PubSocket,
    monitor: Monitor,
    client: RawPeer,
}

impl Scene {
    /// Sends all octets that the mechanism needs, until the judge has been asked.
    async fn new<F: Future<Output = Verdict> + Send + 'static>(
        options: PubOptions,
        mechanism: Mechanism,
        verdict: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self {
        let (ask, mut asked) = mpsc::unbounded_channel();
        let options = options.authorize(move |_| {
            ask.send(()).expect("the test goes on");
            verdict()
        });
        let server = PubSocket::with_options(options);
        let monitor = server.monitor();
        let endpoint = server.bind(ANY_PORT).await.unwrap();
        let client = introduce(&endpoint, mechanism).await;
        in_time("the judge was asked", asked.recv()).await.unwrap();
        Self { server, monitor, client }
    }
}

/// The reason why a peer was not let in.
async fn failure(monitor: &mut Monitor) -> Reason {
    in_time("the end of the handshake", async {
        loop {
            match monitor.next().await.expect("the socket is open") {
                Event::HandshakeFailed { reason, .. } => return reason,
                Event::HandshakeSucceeded { .. } => panic!("it was let in"),
                _ => {}
            }
        }
    })
    .await
}

/// Dials, and goes as far into the handshake as possible without a verdict.
async fn introduce(endpoint: &Endpoint, mechanism: Mechanism) -> RawPeer {
    let sealed = matches!(mechanism, Mechanism::CurveClient { .. });
    let config = Config { mechanism, ..Config::new(SocketType::Sub) };
    let mut client = Connection::new(Arc::new(config));
    let mut peer = RawPeer::dial(endpoint).await;
    peer.send(client.output().split()).await;
    // The greeting and, with CURVE, WELCOME.
    for length in [Some(GREETING.len()), sealed.then_some(2 + 168)].into_iter().flatten() {
        client.receive(Duration::ZERO, &peer.take(length).await);
        assert_eq!(client.poll_event(Duration::ZERO), Ok(None));
        peer.send(client.output().split()).await;
    }
    peer
}

/// The options of a server, and the client that it expects, under each mechanism.
fn mechanisms() -> [(PubOptions, Mechanism); 3] {
    let keys = || CurveKeyPair::generate().unwrap();
    let server = keys();
    let options = PubOptions::new;
    let plain = Mechanism::PlainClient { username: "ann".into(), password: "x".into() };
    let curve = Mechanism::CurveClient { server_key: server.public(), keys: keys() };
    [
        (options(), Mechanism::Null),
        (options().plain_server_with(|_| true), plain),
        (options().curve_server(server), curve),
    ]
}

#[tokio::test]
async fn a_stranger_that_is_judged_cannot_get_rid_of_more_than_the_system_takes() {
    // More than the system may hold on both sides.
    const SYSTEM: usize = 24 << 20;
    for (options, mechanism) in mechanisms() {
        let options = options.receive_buffer(64 << 10).handshake_timeout(Duration::from_secs(2));
        let mut scene = Scene::new(options, mechanism.clone(), pending).await;
        let mut sent = 0;
        let piece = [b'x'; 64 << 10];
        let flooding = async {
            while scene.client.try_send(&piece).await.is_ok() {
                sent += piece.len();
                assert!(sent < SYSTEM, "{mechanism:?}: nothing holds the flood up");
            }
        };
        // Until its deadline, which ends the connection.
        in_time("the end of the flood", flooding).await;
        let reason = failure(&mut scene.monitor).await;
        assert!(
            matches!(reason, Reason::Protocol(Error::Timeout(Timeout::Handshake))),
            "{mechanism:?}: {reason}"
        );
    }
}

#[tokio::test]
async fn a_stranger_that_hangs_up_while_it_is_judged_is_forgotten_at_once() {
    for (options, mechanism) in mechanisms() {
        let Scene { server, mut monitor, client } = Scene::new(options, mechanism, pending).await;
        assert_eq!(server.stats().handshakes, 1);
        drop(client);
        let reason = failure(&mut monitor).await;
        assert!(matches!(reason, Reason::PeerClosed), "{reason}");
    }
}

#[tokio::test]
async fn what_a_peer_says_before_it_is_let_in_is_heard_once_it_is() {
    let (verdict, verdicts) = tokio::sync::watch::channel(false);
    let open = move || {
        let mut verdicts = verdicts.clone();
        async move {
            verdicts.wait_for(|open| *open).await.expect("the test goes on");
            Ok(Allowed::new())
        }
    };
    let mut scene = Scene::new(PubOptions::new(), Mechanism::Null, open).await;
    // More than is read ahead.
    for number in 0..1000 {
        scene.client.subscribe(&format!("topic {number:03}")).await;
    }
    assert_eq!(scene.server.subscriber_count(), 0);
    verdict.send(true).unwrap();
    in_time("the last topic", scene.server.wait_for_subscriber("topic 999")).await.unwrap();
    assert_eq!(scene.server.stats().peers[0].subscriptions, 1000);
    scene.client.expect(READY_PUB).await;
}
