//! Authorization of peers: the data that a judge gets, and the effect of its verdict.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Semaphore, mpsc};
use zmtp_codec::Error;
use zmtp_socket::{
    Allowed, AuthRequest, BindError, Credentials, Denial, EndpointOptions, Event, Metadata,
    Monitor, Peer, PeerInfo, PlainUsers, PubOptions, Reason, Reconnect, Request, SubOptions,
    Verbosity, XPubOptions, XSubOptions, allow_addresses, allow_keys,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::secured::{Client, Server, USER, keys};
use zmtp_tests::story::{Place, event, eventually, gone, receive_text, wanted, within};

/// A server under each mechanism.
pub(crate) fn servers() -> [Server; 3] {
    [Server::Null, Server::Plain, Server::curve()]
}

pub(crate) const QUICK: Reconnect =
    Reconnect::new(Duration::from_millis(1), Duration::from_millis(2));

async fn established(monitor: &mut Monitor) -> PeerInfo {
    event(monitor, "a handshake", |event| match event {
        Event::HandshakeSucceeded { info, peer, .. } => {
            assert_eq!(peer.info(), Some(&*info), "it stays with the peer");
            Some((*info).clone())
        }
        _ => None,
    })
    .await
}

pub(crate) async fn parked(monitor: &mut Monitor) -> Reason {
    event(monitor, "a refusal", |event| match event {
        Event::Parked { reason, .. } => Some(reason),
        _ => None,
    })
    .await
}

/// The reason why the server has not let in a peer.
pub(crate) async fn denied(monitor: &mut Monitor) -> Denial {
    event(monitor, "a denial", |event| match event {
        Event::HandshakeFailed { reason: Reason::Protocol(Error::Denied(denial)), .. } => {
            Some(denial)
        }
        Event::HandshakeSucceeded { .. } => panic!("somebody has been let in"),
        _ => None,
    })
    .await
}

#[tokio::test]
async fn who_binds_as_a_client_may_have_no_judge_since_it_would_not_be_asked() {
    let server = PubOptions::new().authorize(|_| async { Ok(Allowed::new()) });
    let server = Place::tcp().context.pub_socket(server);
    let own = keys();
    let bound = [
        server.bind_with("tcp://127.0.0.1:*", |it| it.plain_client("a", "b")).await,
        server.bind_with("inproc://here", |it| it.curve_client(own.public(), keys())).await,
    ];
    for bound in bound {
        assert!(matches!(bound, Err(BindError::Refused { .. })), "{bound:?}");
    }
    server.bind("tcp://127.0.0.1:*").await.expect("without a mechanism it is asked");
}

over_each_transport! {
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
                    _ => Err(Denial::refused("no friend")),
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

    async fn credentials_that_come_while_others_are_judged_are_tried_next(place: Place) {
        let (asked, turns) = (Arc::new(AtomicUsize::new(0)), Arc::new(Semaphore::new(0)));
        let (times, verdicts) = (asked.clone(), turns.clone());
        let options = PubOptions::new().plain_server_with(|_| true);
        let options = options.authorize(move |claim| {
            times.fetch_add(1, Ordering::Relaxed);
            let turns = verdicts.clone();
            async move {
                turns.acquire().await.expect("it stays open").forget();
                match claim.credentials {
                    Credentials::Plain { password, .. } if password == "right" => {
                        Ok(Allowed::new())
                    }
                    _ => Err(Denial::refused("wrong")),
                }
            }
        });
        let server = place.context.pub_socket(options);
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.context.sub_socket(SubOptions::new());
        client.subscribe("a");
        let mut monitor = client.monitor();
        client.connect_with(&*place.endpoint, |it| it.plain_client("ann", "wrong")).unwrap();
        eventually("a claim", || asked.load(Ordering::Relaxed) == 1).await;
        client.connect_with(&*place.endpoint, |it| it.plain_client("ann", "right")).unwrap();
        turns.add_permits(2);
        wanted(&server, "a").await;
        while let Some(event) = monitor.try_next() {
            assert!(!matches!(event, Event::Parked { .. }), "{event:?}");
        }
    }

    async fn a_judge_is_told_what_rfc_27_says_and_its_verdict_stays_with_the_peer(place: Place) {
        for secured in servers() {
            let name = secured.to_string();
            let (told, mut claims) = mpsc::unbounded_channel::<AuthRequest>();
            let verdict = Allowed::new().user_id("dora").metadata(
                Metadata::new().with("X-Room", "7").unwrap()
            );
            let allowed = verdict.clone();
            let options = XPubOptions::new().verbosity(Verbosity::All);
            let mut server = place.context.xpub_socket(options);
            let mut monitor = server.monitor();
            let terms = |it: EndpointOptions| {
                secured.apply(it).domain("weather").authorize(move |claim| {
                    told.send(claim).unwrap();
                    std::future::ready(Ok(allowed.clone()))
                })
            };
            server.bind_with(&*place.endpoint, terms).await.unwrap();
            let client = place.context.xsub_socket(XSubOptions::new());
            client.subscribe("a");
            let it_is = secured.client();
            client.connect_with(&*place.endpoint, |it| it_is.apply(it)).unwrap();

            let claim = within("a claim", claims.recv()).await.unwrap();
            let has_address = ["tcp:", "ws:"].iter().any(|it| place.endpoint.starts_with(it));
            assert_eq!(claim.address.map(|it| it.is_loopback()), has_address.then_some(true));
            assert_eq!((&*claim.domain, claim.identity()), ("weather", None));
            assert_eq!(claim.mechanism().to_string(), name);
            let key;
            let frames: Vec<&[u8]> = match &it_is {
                Client::Null => vec![],
                Client::Plain { password } => vec![USER.0.as_bytes(), password.as_bytes()],
                Client::Curve { keys, .. } => {
                    key = keys.public();
                    vec![key.as_octets()]
                }
            };
            assert_eq!(claim.credentials.frames(), frames);
            // Only INITIATE of CURVE arrives before the verdict.
            let expected = (name == "CURVE").then_some(&b"XSUB"[..]);
            assert_eq!(claim.metadata.socket_type(), expected, "{name}");

            // The same data is in every place where the peer appears.
            let is_known = |peer: &Peer| {
                let info = peer.info().expect("the handshake is done");
                assert_eq!(info.allowed, verdict, "{name}");
                assert_eq!(info.metadata.socket_type(), Some(&b"XSUB"[..]));
            };
            assert_eq!(established(&mut monitor).await.allowed, verdict);
            let request = within("a subscription", server.recv()).await.unwrap();
            assert!(matches!(request, Request::Subscribe { .. }), "{request:?}");
            is_known(request.peer());
            is_known(&claim.peer);
            is_known(&server.stats().peers[0].peer);
            client.send("hello").await.unwrap();
            let request = within("a message", server.recv()).await.unwrap();
            assert!(matches!(request, Request::Message { .. }), "{request:?}");
            is_known(request.peer());
            drop(client);
            let request = within("the end of a subscription", server.recv()).await.unwrap();
            assert!(matches!(request, Request::Unsubscribe { .. }), "{request:?}");
            is_known(request.peer());
            let mut seen = 0;
            event(&mut monitor, "its end", |event| match event {
                Event::Subscribed { peer, .. } | Event::Unsubscribed { peer, .. } => {
                    is_known(&peer);
                    seen += 1;
                    None
                }
                Event::Disconnected { peer, .. } => {
                    is_known(&peer);
                    Some(())
                }
                _ => None,
            })
            .await;
            assert!(seen > 0, "no event told of its subscription");
            assert!(claims.try_recv().is_err(), "it was judged more than once");
            server.close().await;
        }
    }
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
    // Under NULL, peers are judged by their addresses.
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

#[tokio::test]
async fn users_and_judges_must_all_agree_and_the_last_word_on_the_name_is_the_judges() {
    // The password, the range of the first judge, the user as the second one names it, and whether the
    // peer is let in.
    let rows = [
        ("secret", "127.0.0.0/8", None, Ok("ann")),
        ("secret", "127.0.0.0/8", Some("dora"), Ok("dora")),
        ("secret", "10.0.0.0/8", Some("dora"), Err("its address is in none of the ranges")),
        ("Secret", "127.0.0.0/8", Some("dora"), Err("name and password were not accepted")),
    ];
    for (password, range, name, expected) in rows {
        let place = Place::tcp();
        let asked = Arc::new(AtomicUsize::new(0));
        let times = asked.clone();
        let addresses = allow_addresses([range.parse().unwrap()]);
        let options = PubOptions::new().plain_server(PlainUsers::new().user("ann", "secret"));
        let options = options.authorize(move |claim| {
            times.fetch_add(1, Ordering::Relaxed);
            let address = addresses(claim);
            async move {
                address.await?;
                Ok(name.map_or(Allowed::new(), |name| Allowed::new().user_id(name)))
            }
        });
        let server = place.context.pub_socket(options);
        let mut monitor = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.context.sub_socket(SubOptions::new().plain_client("ann", password));
        client.connect(&*place.endpoint).unwrap();
        match expected {
            Ok(user) => {
                let info = established(&mut monitor).await;
                assert_eq!(info.username.as_deref(), Some(&b"ann"[..]));
                assert_eq!(info.allowed.user_id.as_deref(), Some(user.as_bytes()));
            }
            Err(text) => assert_eq!(denied(&mut monitor).await, Denial::refused(text)),
        }
        let is_password_right = password == "secret";
        assert_eq!(asked.load(Ordering::Relaxed), usize::from(is_password_right));
    }
}
