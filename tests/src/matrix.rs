//! Tables of compatible pairs of sockets: each pair ours with ours and with libzmq's, with either side
//! binding, at one place, under one mechanism.

use std::fmt;

use tokio::task::{LocalSet, spawn_local};
use zmtp_socket::{Event, Monitor, SocketType, Stats};

use crate::pyzmq::python;
use crate::secured::{Client, Server};
use crate::story::{Place, event};
use crate::theirs::Theirs;

/// One socket of a pair.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Side {
    /// The one that sends first.
    First,
    /// The other one.
    Second,
}

/// A row of the table: a pair of sockets, and their roles.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The type of the socket that sends first.
    pub first: SocketType,
    /// The type of the other one.
    pub second: SocketType,
    /// Which one binds, and is the server of the mechanism.
    pub binds: Side,
    /// Which one is libzmq's, if any.
    pub theirs: Option<Side>,
}

/// A socket in a row, ours or libzmq's. Functions that only ours has return `None` for the other.
#[expect(async_fn_in_trait, reason = "for tests, which run on one thread")]
pub trait Party {
    /// Binds as a server.
    async fn bind(&mut self, endpoint: &str, server: &Server);
    /// Connects as a client.
    async fn connect(&mut self, endpoint: &str, client: &Client);
    /// Disconnects from an endpoint.
    async fn disconnect(&mut self, endpoint: &str);
    /// The events of its connections.
    fn monitor(&self) -> Option<Monitor>;
    /// Its counters.
    fn stats(&self) -> Option<Stats>;
}

/// Plays every row of these pairs that is possible. `play` is given libzmq's library for its socket, and
/// returns it.
pub async fn every_row(
    place: &Place,
    server: &Server,
    pairs: &[(SocketType, SocketType)],
    is_possible: impl Fn(&Row, &Server) -> bool,
    play: impl AsyncFn(Row, Place, Server, Option<Theirs>) -> Option<Theirs> + Copy + 'static,
) {
    for row in rows(pairs, None) {
        checked(row, place, server, None, play).await;
    }
    // The libzmq here has no ws.
    if ["inproc:", "ws:"].iter().any(|transport| place.endpoint.starts_with(transport)) {
        return;
    }
    let built = (!matches!(server, Server::Curve { .. })).then(Theirs::of_the_crate);
    let installed = python().as_ref().map(Theirs::of_pyzmq);
    for mut theirs in [built, installed].into_iter().flatten() {
        let rows = [Side::First, Side::Second].into_iter().flat_map(|side| rows(pairs, Some(side)));
        for row in rows.filter(|row| is_possible(row, server)) {
            theirs = checked(row, place, server, Some(theirs), play).await.expect("it took part");
        }
    }
}

fn rows(pairs: &[(SocketType, SocketType)], theirs: Option<Side>) -> impl Iterator<Item = Row> {
    pairs.iter().flat_map(move |&(first, second)| {
        let row = move |binds| Row { first, second, binds, theirs };
        [Side::First, Side::Second].map(row)
    })
}

/// Plays one row. A failure names the row.
async fn checked(
    row: Row,
    place: &Place,
    server: &Server,
    theirs: Option<Theirs>,
    play: impl AsyncFn(Row, Place, Server, Option<Theirs>) -> Option<Theirs> + 'static,
) -> Option<Theirs> {
    let place = place.another();
    let library = theirs.as_ref().map_or("both ours", Theirs::name);
    let name = format!("{server}, {row} ({library}), at {}", place.endpoint);
    let server = server.clone();
    let row = async move { play(row, place, server, theirs).await };
    let played = LocalSet::new().run_until(async { spawn_local(row).await }).await;
    played.unwrap_or_else(|error| {
        let panic = error.into_panic();
        let said = panic.downcast_ref::<String>().map(String::as_str);
        panic!("{name}: {}", said.or(panic.downcast_ref::<&str>().copied()).unwrap_or_default())
    })
}

impl Row {
    /// Connects the two: one binds, and the other is refused as each stranger, and let in as itself.
    pub async fn meet<P: Party>(
        &self,
        place: &Place,
        server: &Server,
        first: &mut P,
        second: &mut P,
    ) {
        let (binding, dialling) = match self.binds {
            Side::First => (first, second),
            Side::Second => (second, first),
        };
        binding.bind(&place.endpoint, server).await;
        for (what, stranger) in server.strangers() {
            turned_away(what, &stranger, &place.endpoint, binding, dialling).await;
        }
        dialling.connect(&place.endpoint, &server.client()).await;
    }
}

/// Checks that `dialling` is refused as a stranger.
async fn turned_away<P: Party>(
    what: &str,
    stranger: &Client,
    endpoint: &str,
    binding: &P,
    dialling: &mut P,
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

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |kind: SocketType, side| {
            let whose = if self.theirs == Some(side) { "libzmq's" } else { "our" };
            let bound = if self.binds == side { ", bound," } else { "" };
            format!("{whose} {kind}{bound}")
        };
        write!(f, "{} and {}", name(self.first, Side::First), name(self.second, Side::Second))
    }
}
