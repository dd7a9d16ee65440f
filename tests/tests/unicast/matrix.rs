//! Every pair of these sockets that may talk, ours with ours and with libzmq's, under every mechanism and over
//! every transport that both have, whoever binds: who is not to come in does not, and who comes in hears all
//! that is said, in order, and nothing else.

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

/// How often everything is said.
const ROUNDS: u64 = 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Side {
    First,
    Second,
}

/// Who meets whom.
#[derive(Clone, Copy, Debug)]
struct Row {
    /// Speaks first.
    first: SocketType,
    second: SocketType,
    /// Who binds, and is the server of the mechanism.
    binds: Side,
    /// Which one is libzmq's, if any.
    theirs: Option<Side>,
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
        let rows = [Side::First, Side::Second].into_iter().flat_map(|side| rows(Some(side)));
        for row in rows.filter(|row| row.is_possible(&server)) {
            theirs = checked(row, place, &server, Some(theirs)).await.expect("it took part");
        }
    }
}

fn rows(theirs: Option<Side>) -> impl Iterator<Item = Row> {
    use SocketType::{Dealer, Pair, Pull, Push, Rep, Req, Router};

    let pairs = [
        (Push, Pull),
        (Pair, Pair),
        (Dealer, Router),
        (Req, Rep),
        (Req, Router),
        (Dealer, Rep),
        (Dealer, Dealer),
        (Router, Router),
    ];
    pairs.into_iter().flat_map(move |(first, second)| {
        let row = move |binds| Row { first, second, binds, theirs };
        [Side::First, Side::Second].map(row)
    })
}

impl Row {
    /// libzmq lets its REQ hear nobody whom it has asked for credentials: it puts these before the first
    /// message, and then takes that for a malformed reply.
    fn is_possible(&self, server: &Server) -> bool {
        let judges = matches!(server, Server::Plain | Server::Curve { .. });
        let by_their_req = (self.first, self.binds, self.theirs)
            == (SocketType::Req, Side::First, Some(Side::First));
        !(judges && by_their_req)
    }
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
    let (one, other) = ((row.first, "first"), (row.second, "second"));
    let mut party = |side, this, that| {
        let theirs = if row.theirs == Some(side) { theirs.take() } else { None };
        Party::new(&place.context, this, that, theirs)
    };
    let mut first = party(Side::First, one, other);
    let mut second = party(Side::Second, other, one);
    let (binding, dialling) = match row.binds {
        Side::First => (&mut first, &mut second),
        Side::Second => (&mut second, &mut first),
    };
    binding.bind(&place.endpoint, &server).await;
    for (what, stranger) in server.strangers() {
        turned_away(what, &stranger, &place.endpoint, binding, dialling).await;
    }
    dialling.connect(&place.endpoint, &server.client()).await;
    converse(row, &mut first, &mut second).await;
    first.into_theirs().or(second.into_theirs())
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

async fn converse(row: Row, first: &mut Party, second: &mut Party) {
    use SocketType::{Push, Rep, Req, Router};

    let meets_by_probe = row.first == Router;
    if meets_by_probe {
        assert_eq!(first.hear().await, [b""]);
        assert_eq!(second.hear().await, [b""]);
    }
    let messages: Vec<Parts> = (0..ROUNDS).flat_map(repertoire).collect();
    // A REQ asks, and a REP answers, one thing after another; others say all that they have to say.
    let at_once = if row.first == Req || row.second == Rep { 1 } else { messages.len() };
    for messages in messages.chunks(at_once) {
        said(messages, first, second).await;
        if row.first != Push {
            said(messages, second, first).await;
        }
    }
    let count = messages.len() as u64 + u64::from(meets_by_probe);
    let answers = if row.first == Push { 0 } else { count };
    for (party, sent, received) in [(first, count, answers), (second, answers, count)] {
        let Some(_) = party.stats() else { continue };
        let stats = || party.stats().expect("it is ours");
        eventually("everything to be counted", || stats().sent == sent).await;
        let stats = stats();
        assert_eq!((stats.received, stats.dropped), (received, 0), "{stats:?}");
        assert_eq!((stats.filtered, stats.undelivered, stats.queued), (0, 0, 0), "{stats:?}");
    }
}

async fn said(messages: &[Parts], speaker: &mut Party, listener: &mut Party) {
    for message in messages {
        speaker.say(message.clone()).await;
    }
    for message in messages {
        // Not by assert_eq: it would print kilobytes.
        let came = listener.hear().await;
        assert!(came == *message, "{} came, not {}", shape(&came), shape(message));
    }
}

/// Messages of one part and of several, empty ones and large ones among them, and those between which the
/// encoding of sizes changes.
fn repertoire(number: u64) -> [Parts; 7] {
    let number = number.to_be_bytes().to_vec();
    let large = || number.repeat(70_000 / 8);
    [
        vec![number.clone()],
        vec![b"two".to_vec(), number.clone()],
        vec![vec![], b"between".to_vec(), vec![], vec![]],
        vec![vec![]],
        vec![vec![0; 255], vec![1; 256]],
        vec![b"large".to_vec(), vec![], large(), number.clone()],
        vec![large()],
    ]
}

fn shape(parts: &Parts) -> String {
    let sizes: Vec<_> = parts.iter().map(Vec::len).collect();
    format!("{sizes:?} octets")
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind: SocketType, side| {
            let whose = if self.theirs == Some(side) { "libzmq's" } else { "our" };
            let bound = if self.binds == side { ", bound," } else { "" };
            format!("{whose} {kind}{bound}")
        };
        let first = name(self.first, Side::First);
        write!(f, "{first} and {}", name(self.second, Side::Second))
    }
}
