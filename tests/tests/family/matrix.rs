//! Every pair of PUB or XPUB and SUB or XSUB, ours with ours and with libzmq's, under every mechanism and over
//! every transport that both have, whoever binds: who is not to come in does not, and who comes in hears
//! all that it asked for, and nothing else.

use std::fmt;

use tokio::task::{LocalSet, spawn_local};
use zmtp_socket::{Event, SocketType};
use zmtp_tests::libzmq::Parts;
use zmtp_tests::over_each_transport;
use zmtp_tests::pyzmq::python;
use zmtp_tests::secured::{Client, Server};
use zmtp_tests::story::{Place, event, eventually};
use zmtp_tests::theirs::Theirs;

use crate::party::Party;

/// How often everything is sent.
const ROUNDS: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Publisher,
    Subscriber,
}

/// Who meets whom.
#[derive(Clone, Copy, Debug)]
struct Row {
    publisher: SocketType,
    subscriber: SocketType,
    /// Who binds, and is the server of the mechanism.
    binds: Role,
    /// Which one is libzmq's, if any.
    theirs: Option<Role>,
}

over_each_transport! {
    async fn null(place: Place) {
        every_row(&place, Server::Null).await;
    }

    async fn plain(place: Place) {
        every_row(&place, Server::Plain).await;
    }

    async fn curve(place: Place) {
        every_row(&place, Server::curve()).await;
    }
}

async fn every_row(place: &Place, server: Server) {
    for row in rows(None) {
        checked(row, place, &server, None).await;
    }
    // No libzmq here has ws.
    if ["inproc:", "ws:"].iter().any(|transport| place.endpoint.starts_with(transport)) {
        return;
    }
    let built = (!matches!(server, Server::Curve { .. })).then(Theirs::of_the_crate);
    let installed = python().as_ref().map(Theirs::of_pyzmq);
    for mut theirs in [built, installed].into_iter().flatten() {
        for row in [Role::Publisher, Role::Subscriber].into_iter().flat_map(|role| rows(Some(role)))
        {
            theirs = checked(row, place, &server, Some(theirs)).await.expect("it took part");
        }
    }
}

fn rows(theirs: Option<Role>) -> impl Iterator<Item = Row> {
    use SocketType::{Pub, Sub, XPub, XSub};

    let kinds = [(Pub, Sub), (Pub, XSub), (XPub, Sub), (XPub, XSub)];
    kinds.into_iter().flat_map(move |(publisher, subscriber)| {
        let row = move |binds| Row { publisher, subscriber, binds, theirs };
        [Role::Publisher, Role::Subscriber].map(row)
    })
}

/// Plays one row, and fails with its name.
async fn checked(
    row: Row,
    place: &Place,
    server: &Server,
    theirs: Option<Theirs>,
) -> Option<Theirs> {
    let place = place.another();
    let library = theirs.as_ref().map_or("both ours", Theirs::name);
    let name = format!("{server}, {row} ({library}), at {}", place.endpoint);
    let row = play(row, place, server.clone(), theirs);
    let played = LocalSet::new().run_until(async { spawn_local(row).await }).await;
    played.unwrap_or_else(|error| {
        let panic = error.into_panic();
        let said = panic.downcast_ref::<String>().map(String::as_str);
        panic!("{name}: {}", said.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default())
    })
}

async fn play(
    row: Row,
    place: Place,
    server: Server,
    mut theirs: Option<Theirs>,
) -> Option<Theirs> {
    let mut party = |kind, role| match row.theirs {
        Some(whose) if whose == role => Party::Theirs(kind, theirs.take().expect("there is one")),
        _ => Party::ours(&place.context, kind),
    };
    let mut publisher = party(row.publisher, Role::Publisher);
    let mut subscriber = party(row.subscriber, Role::Subscriber);
    let (binding, dialling) = match row.binds {
        Role::Publisher => (&mut publisher, &mut subscriber),
        Role::Subscriber => (&mut subscriber, &mut publisher),
    };
    binding.bind(&place.endpoint, &server).await;
    for (what, stranger) in server.strangers() {
        turned_away(what, &stranger, &place.endpoint, binding, dialling).await;
    }
    dialling.connect(&place.endpoint, &server.client()).await;
    exchange(&mut publisher, &mut subscriber).await;
    publisher.into_theirs().or(subscriber.into_theirs())
}

/// `dialling` is not let in as a stranger.
async fn turned_away(
    what: &str,
    stranger: &Client,
    endpoint: &str,
    binding: &Party,
    dialling: &mut Party,
) {
    let ours = [binding.monitor(), dialling.monitor()];
    dialling.connect(endpoint, stranger).await;
    for mut monitor in ours.into_iter().flatten() {
        event(&mut monitor, what, |event| match event {
            Event::HandshakeFailed { .. } => Some(()),
            Event::HandshakeSucceeded { .. } => panic!("{what} is let in"),
            _ => None,
        })
        .await;
    }
    for stats in [binding.stats(), dialling.stats()].into_iter().flatten() {
        assert_eq!(stats.peers, [], "{what}");
    }
    dialling.disconnect(endpoint).await;
}

async fn exchange(publisher: &mut Party, subscriber: &mut Party) {
    subscriber.subscribe("10001").await;
    publisher.hears_of("10001", subscriber).await;
    let before = counted(publisher, subscriber);
    for number in 0..ROUNDS {
        for message in repertoire(number) {
            publisher.send(message).await;
        }
        for message in repertoire(number).into_iter().filter(|parts| parts[0].starts_with(b"10001"))
        {
            // Not by assert_eq: it would print kilobytes.
            let came = subscriber.receive().await;
            assert!(came == message, "{} came, not {}", shape(&came), shape(&message));
        }
    }
    // Who publishes sends nothing else, though a SUB would have filtered it.
    let matching = ROUNDS * 4;
    eventually("exactly what is wanted to be sent", || {
        counted(publisher, subscriber)
            .iter()
            .zip(&before)
            .all(|(now, before)| now - before == matching)
    })
    .await;

    subscriber.subscribe("20000").await;
    publisher.hears_of("20000", subscriber).await;
    subscriber.unsubscribe("10001").await;
    publisher.hears_the_end_of("10001", "20000", subscriber).await;
    let before = counted(publisher, subscriber);
    for message in ["10001 is not wanted any more", "20000 still is"] {
        publisher.send(vec![message.into()]).await;
    }
    assert_eq!(subscriber.receive().await, [b"20000 still is"]);
    eventually("the last message alone to be sent", || {
        counted(publisher, subscriber).iter().zip(&before).all(|(now, before)| now - before == 1)
    })
    .await;
}

/// What is wanted, four of them, and what is not: of one part and of several, empty ones and large ones among
/// them.
fn repertoire(number: u64) -> [Parts; 8] {
    let number = number.to_be_bytes().to_vec();
    let large = || number.repeat(70_000 / 8);
    [
        vec![b"10001".to_vec()],
        vec![b"1000".to_vec(), number.clone()],
        vec![b"10001 -3 50".to_vec(), vec![], large(), number.clone(), vec![]],
        vec![vec![], b"10001".to_vec()],
        vec![b"20000".to_vec(), large()],
        vec![b"10001\0\xFF".to_vec(), vec![0; 255], vec![1; 256]],
        vec![[&b"10001"[..], &large()].concat()],
        vec![b" 10001".to_vec()],
    ]
}

fn shape(parts: &Parts) -> String {
    let sizes: Vec<_> = parts.iter().map(Vec::len).collect();
    format!(
        "{:?}.. of {sizes:?} octets",
        parts[0][..parts[0].len().min(12)].escape_ascii().to_string()
    )
}

/// What each of ours has sent or received.
fn counted(publisher: &Party, subscriber: &Party) -> Vec<u64> {
    let sent = publisher.stats().map(|stats| stats.sent);
    sent.into_iter().chain(subscriber.stats().map(|stats| stats.received)).collect()
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind: SocketType, role| {
            let whose = if self.theirs == Some(role) { "libzmq's" } else { "our" };
            let bound = if self.binds == role { ", bound," } else { "" };
            format!("{whose} {kind}{bound}")
        };
        let publisher = name(self.publisher, Role::Publisher);
        write!(f, "{publisher} and {}", name(self.subscriber, Role::Subscriber))
    }
}
