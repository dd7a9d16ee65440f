//! PLAIN and CURVE under every socket, ours with ours and with libzmq's.

use std::time::Duration;

use zmtp_socket::{
    CurveKeyPair, EndpointOptions, Event, Heartbeat, HighWaterMark, PlainUsers, PubOptions,
    PubSocket, SubOptions, SubSocket, WhenFull, XPubOptions, XSubOptions,
};
use zmtp_tests::pyzmq::{Pyzmq, python};
use zmtp_tests::story::{Place, eventually, receive, wanted};
use zmtp_tests::{over, over_each_transport};

fn keys() -> CurveKeyPair {
    CurveKeyPair::generate().expect("there is randomness")
}

/// What both sides of an endpoint are told.
struct Secured {
    server: Box<dyn Fn(EndpointOptions) -> EndpointOptions>,
    client: Box<dyn Fn(EndpointOptions) -> EndpointOptions>,
}

fn plain() -> Secured {
    let users = || PlainUsers::new().user("ann", "secret");
    Secured {
        server: Box::new(move |it| it.plain_server(users())),
        client: Box::new(|it| it.plain_client("ann", "secret")),
    }
}

fn curve() -> Secured {
    let (server, client) = (keys(), keys());
    let public = server.public();
    Secured {
        server: Box::new(move |it| it.curve_server(server.clone())),
        client: Box::new(move |it| it.curve_client(public, client.clone())),
    }
}

/// Sends what is wanted and what is not, large and small, and expects the one whole and in order.
async fn exchange(publisher: &PubSocket, subscriber: &mut SubSocket) {
    subscriber.subscribe("10001");
    wanted(publisher, "10001").await;
    for number in 0..50_u8 {
        let large = [&b"10001"[..], &[number; 70_000]].concat();
        for body in [&large[..], b"20000", b"10001 small", &large[..300]] {
            publisher.send(body).await.unwrap();
        }
        for expected in [&large[..], b"10001 small", &large[..300]] {
            assert!(receive(subscriber).await.first() == expected, "round {number}");
        }
    }
    assert_eq!(subscriber.stats().filtered, 0);
}

over_each_transport! {
    async fn every_socket_talks_to_every_other_under_plain_and_curve(place: Place) {
        for secured in [plain(), curve()] {
            for is_xpub in [false, true] {
                let xpub = place.context.xpub_socket(XPubOptions::new());
                let publisher = if is_xpub { xpub.publisher().clone() } else { place.publisher() };
                publisher.bind_with(&*place.endpoint, &secured.server).await.unwrap();
                let mut sub = place.context.sub_socket(SubOptions::new());
                sub.connect_with(&*place.endpoint, &secured.client).unwrap();
                exchange(&publisher, &mut sub).await;
                drop(sub);
                eventually("it is gone", || publisher.subscriber_count() == 0).await;
                let mut xsub = place.context.xsub_socket(XSubOptions::new());
                xsub.connect_with(&*place.endpoint, &secured.client).unwrap();
                exchange(&publisher, &mut xsub).await;
                publisher.close().await;
            }
        }
    }

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
}

over! { [tcp, ipc]
    async fn libzmq_and_we_are_either_side_of_curve(place: Place) {
        let Some(python) = python() else { return };
        let (server_keys, client_keys) = (keys(), keys());
        let server_secret = format!("curve={}", *server_keys.secret().to_z85());
        let client_secret = format!("curve={}", *client_keys.secret().to_z85());
        let server_public = format!("server_key={}", server_keys.public());
        // Ours publish, libzmq's subscribe.
        for is_xpub in [false, true] {
            let options = || XPubOptions::new().curve_server(server_keys.clone());
            let xpub = place.context.xpub_socket(options());
            let publisher = match is_xpub {
                true => xpub.publisher().clone(),
                false => place.context.pub_socket(PubOptions::new().curve_server(server_keys.clone())),
            };
            publisher.bind(&*place.endpoint).await.unwrap();
            for kind in ["SUB", "XSUB"] {
                let options = [client_secret.as_str(), &server_public, "heartbeat=20"];
                let mut peer = Pyzmq::start(&python, kind, "connect", &place.endpoint, &options).await;
                match kind {
                    "SUB" => peer.subscribe(b"10001").await,
                    _ => peer.send(&[b"\x0110001"]).await,
                }
                wanted(&publisher, "10001").await;
                for number in 0..30_u8 {
                    let large = [&b"10001"[..], &[number; 70_000]].concat();
                    for body in [&large[..], b"20000", b"10001 small"] {
                        publisher.send(body).await.unwrap();
                    }
                    for expected in [&large[..], b"10001 small"] {
                        assert!(peer.receive().await == [expected]);
                    }
                }
                peer.kill().await;
                eventually("it is gone", || publisher.subscriber_count() == 0).await;
            }
            publisher.close().await;
        }
        // libzmq's publish, ours subscribe. (It tells when it knows the subscription as an XPUB only; as a
        // PUB it sends until it is heard.)
        for kind in ["PUB", "XPUB"] {
            for is_xsub in [false, true] {
                let options = [server_secret.as_str(), "heartbeat=20"];
                let mut peer = Pyzmq::start(&python, kind, "bind", &place.endpoint, &options).await;
                let secured = |it: EndpointOptions| it.curve_client(server_keys.public(), client_keys.clone());
                let mut sub = place.context.sub_socket(SubOptions::new());
                let mut xsub = place.context.xsub_socket(XSubOptions::new());
                let subscriber = if is_xsub { &mut *xsub } else { &mut sub };
                subscriber.subscribe("10001");
                subscriber.connect_with(&*place.endpoint, secured).unwrap();
                if kind == "XPUB" {
                    assert_eq!(peer.receive().await, [b"\x0110001"]);
                } else {
                    while tokio::time::timeout(Duration::from_millis(20), subscriber.recv()).await.is_err() {
                        peer.send(&[b"10001 probe"]).await;
                    }
                }
                let large = [&b"10001"[..], &[7; 70_000]].concat();
                peer.send(&[&large, b"", b"rest"]).await;
                let message = loop {
                    let message = receive(subscriber).await;
                    if message.first() != "10001 probe" {
                        break message;
                    }
                };
                assert!(message.parts() == [&large[..], b"", b"rest"]);
                peer.kill().await;
            }
        }
    }
}
