//! libzmq and jszmq, and us, with either side binding.

use zmtp_socket::{
    DealerSocket, Event, Message, PubSocket, PullSocket, PushSocket, RepSocket, ReqSocket,
    RouterSocket, SubSocket,
};
use zmtp_tests::node::Library;
use zmtp_tests::pyzmq::Pyzmq;
use zmtp_tests::secured::{Client, Server};
use zmtp_tests::story::{Place, event, receive, within};

/// The side that binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Binds {
    We,
    They,
}

/// Each row, with each implementation: a test for each.
macro_rules! with_each {
    ($(async fn $name:ident($place:ident, $peer:ident, $binds:ident) $row:block)+) => {$(
        mod $name {
            use super::*;

            async fn row($place: &Place, $peer: &mut Pyzmq, $binds: Binds) $row

            async fn each(library: Library) {
                for binds in [Binds::We, Binds::They] {
                    let Some(mut peer) = library.start() else { return };
                    row(&Place::ws(), &mut peer, binds).await;
                }
            }

            #[tokio::test]
            async fn with_libzmq() {
                each(Library::Zeromq).await;
            }

            #[tokio::test]
            async fn with_jszmq() {
                each(Library::Jszmq).await;
            }
        }
    )+};
}

/// Joins the two, and returns the endpoint.
macro_rules! join {
    ($ours:expr, $kind:literal, $place:expr, $peer:expr, $binds:expr) => {{
        let endpoint = &*$place.endpoint;
        match $binds {
            Binds::We => {
                $ours.bind(endpoint).await.expect("nobody else is here");
                $peer.open($kind, "connect", endpoint, &[]).await;
            }
            Binds::They => {
                $peer.open($kind, "bind", endpoint, &[]).await;
                $ours.connect(endpoint).expect("it can be dialled");
            }
        }
    }};
}

/// Parts of many lengths: each of WebSocket's forms of a length is among them.
fn parts() -> [Vec<u8>; 6] {
    [b"10001".to_vec(), Vec::new(), vec![1; 124], vec![0; 255], vec![b'-'; 256], vec![255; 70_000]]
}

fn slices(parts: &[Vec<u8>]) -> Vec<&[u8]> {
    parts.iter().map(Vec::as_slice).collect()
}

fn message(parts: &[Vec<u8>]) -> Message {
    Message::multipart(parts.to_vec()).expect("there are parts")
}

with_each! {
    async fn pub_to_sub(place, peer, binds) {
        let publisher = PubSocket::new();
        join!(publisher, "SUB", place, peer, binds);
        peer.subscribe(b"1").await;
        within("a subscriber", publisher.wait_for_subscriber("1")).await.unwrap();
        publisher.send("20001 not wanted").await.unwrap();
        publisher.send(message(&parts())).await.unwrap();
        assert_eq!(peer.receive().await, parts());
        peer.unsubscribe(b"1").await;
        peer.subscribe(b"2").await;
        within("a subscriber", publisher.wait_for_subscriber("2")).await.unwrap();
        publisher.send("10001 not any more").await.unwrap();
        publisher.send("20001").await.unwrap();
        assert_eq!(peer.receive().await, [b"20001"]);
    }

    async fn sub_to_pub(place, peer, binds) {
        let mut subscriber = SubSocket::new();
        subscriber.subscribe("1");
        join!(subscriber, "XPUB", place, peer, binds);
        assert_eq!(peer.receive().await, [b"\x011"]);
        peer.send(&[b"20001 not wanted"]).await;
        peer.send(&slices(&parts())).await;
        assert_eq!(receive(&mut subscriber).await, message(&parts()));
        subscriber.subscribe("2");
        assert_eq!(peer.receive().await, [b"\x012"]);
        assert!(subscriber.unsubscribe("1"));
        assert_eq!(peer.receive().await, [b"\x001"]);
        peer.send(&[b"20001"]).await;
        assert_eq!(receive(&mut subscriber).await.first(), "20001");
        assert_eq!(subscriber.stats().filtered, 0);
    }

    async fn push_to_pull(place, peer, binds) {
        let push = PushSocket::new();
        join!(push, "PULL", place, peer, binds);
        for number in 0..100_u8 {
            push.send(&[number]).await.unwrap();
        }
        push.send(message(&parts())).await.unwrap();
        for number in 0..100_u8 {
            assert_eq!(peer.receive().await, [[number]]);
        }
        assert_eq!(peer.receive().await, parts());
    }

    async fn pull_from_push(place, peer, binds) {
        let mut pull = PullSocket::new();
        join!(pull, "PUSH", place, peer, binds);
        for number in 0..100_u8 {
            peer.send(&[&[number]]).await;
        }
        peer.send(&slices(&parts())).await;
        for number in 0..100_u8 {
            assert_eq!(receive(&mut pull).await.first(), &[number][..]);
        }
        assert_eq!(receive(&mut pull).await, message(&parts()));
    }

    async fn req_to_rep(place, peer, binds) {
        let mut req = ReqSocket::new();
        join!(req, "REP", place, peer, binds);
        for _ in 0..3 {
            let asking = tokio::spawn(async move {
                let reply = within("a reply", req.request(message(&parts()))).await.unwrap();
                (req, reply)
            });
            assert_eq!(peer.receive().await, parts());
            peer.send(&[b"yes"]).await;
            let reply;
            (req, reply) = asking.await.unwrap();
            assert_eq!(reply.first(), "yes");
        }
    }

    async fn rep_to_req(place, peer, binds) {
        let mut rep = RepSocket::new();
        join!(rep, "REQ", place, peer, binds);
        for _ in 0..3 {
            peer.send(&slices(&parts())).await;
            let (request, reply) = within("a request", rep.recv()).await.unwrap();
            assert_eq!(request, message(&parts()));
            reply.send("yes").await.unwrap();
            assert_eq!(peer.receive().await, [b"yes"]);
        }
    }

    async fn dealer_to_router(place, peer, binds) {
        let mut dealer = DealerSocket::new();
        join!(dealer, "ROUTER", place, peer, binds);
        dealer.send(message(&parts())).await.unwrap();
        let [identity, request @ ..] = &peer.receive().await[..] else { panic!("no parts") };
        assert_eq!(request, parts());
        peer.send(&[identity, b"yes"]).await;
        assert_eq!(receive(&mut dealer).await.first(), "yes");
    }

    async fn router_to_dealer(place, peer, binds) {
        let mut router = RouterSocket::new();
        join!(router, "DEALER", place, peer, binds);
        peer.send(&slices(&parts())).await;
        let (from, request) = within("a request", router.recv()).await.unwrap();
        assert_eq!(request, message(&parts()));
        router.send_to(&from, "yes").await.unwrap();
        assert_eq!(peer.receive().await, [b"yes"]);
    }
}

/// The options that make libzmq's socket this server, or this client.
fn for_server(server: &Server) -> Vec<String> {
    match server {
        Server::Curve { keys, .. } => with_public(server.for_pyzmq(), keys.public()),
        _ => server.for_pyzmq(),
    }
}

fn for_client(client: &Client) -> Vec<String> {
    match client {
        Client::Curve { keys, .. } => with_public(client.for_pyzmq(), keys.public()),
        _ => client.for_pyzmq(),
    }
}

fn with_public(mut options: Vec<String>, key: impl std::fmt::Display) -> Vec<String> {
    options.push(format!("public={key}"));
    options
}

fn words(options: &[String]) -> Vec<&str> {
    options.iter().map(String::as_str).collect()
}

#[tokio::test]
async fn libzmq_is_let_in_by_its_mechanism_and_a_stranger_is_not() {
    for server in [Server::Plain, Server::curve()] {
        let Some(mut peer) = Library::Zeromq.start() else { return };
        let place = Place::ws();
        let mut pull = PullSocket::new();
        let mut monitor = pull.monitor();
        pull.bind_with(&*place.endpoint, |it| server.apply(it)).await.unwrap();
        for (who, stranger) in server.strangers() {
            peer.open("PUSH", "connect", &place.endpoint, &words(&for_client(&stranger))).await;
            let refused = event(&mut monitor, who, |event| match event {
                Event::HandshakeFailed { reason, .. } => Some(reason.to_string()),
                Event::HandshakeSucceeded { .. } => panic!("{server}: {who} is let in"),
                _ => None,
            });
            println!("{server}: {who}: {}", refused.await);
        }
        peer.open("PUSH", "connect", &place.endpoint, &words(&for_client(&server.client()))).await;
        for _ in 0..3 {
            peer.send(&slices(&parts())).await;
            assert_eq!(receive(&mut pull).await, message(&parts()), "{server}");
        }
    }
}

#[tokio::test]
async fn we_are_let_in_by_libzmq_under_each_mechanism() {
    for server in [Server::Plain, Server::curve()] {
        let Some(mut peer) = Library::Zeromq.start() else { return };
        let place = Place::ws();
        peer.open("PULL", "bind", &place.endpoint, &words(&for_server(&server))).await;
        let push = PushSocket::new();
        push.connect_with(&*place.endpoint, |it| server.client().apply(it)).unwrap();
        for _ in 0..3 {
            push.send(message(&parts())).await.unwrap();
            assert_eq!(peer.receive().await, parts(), "{server}");
        }
        let stranger = PushSocket::new();
        let mut monitor = stranger.monitor();
        stranger.connect(&*place.endpoint).unwrap();
        let refused = event(&mut monitor, "a refusal", |event| match event {
            Event::RetryingIn { reason, .. } | Event::Parked { reason, .. } => {
                Some(reason.to_string())
            }
            Event::HandshakeSucceeded { .. } => panic!("{server} lets a stranger in"),
            _ => None,
        });
        println!("{server}: {}", refused.await);
    }
}
