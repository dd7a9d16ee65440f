//! Every compatible pair of these sockets, ours with ours and with libzmq's, under every mechanism and
//! over every transport that both have, with either side binding: peers that are to be refused are
//! refused, and the others receive every message, in order, and nothing else.

use zmtp_socket::SocketType;
use zmtp_tests::libzmq::Parts;
use zmtp_tests::matrix::{Party as _, Row, Side, every_row};
use zmtp_tests::over_each_transport;
use zmtp_tests::secured::Server;
use zmtp_tests::story::{Place, eventually};
use zmtp_tests::theirs::Theirs;

use crate::party::Party;

/// How often every message is sent.
const ROUNDS: u64 = 2;

over_each_transport! {
    async fn null(place: Place) {
        each(&place, Server::Null).await;
    }

    async fn plain(place: Place) {
        each(&place, Server::Plain).await;
    }

    async fn curve(place: Place) {
        each(&place, Server::curve()).await;
    }
}

async fn each(place: &Place, server: Server) {
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
    every_row(place, &server, &pairs, is_possible, play).await;
}

/// libzmq's REQ cannot receive from a peer that it has asked for credentials: libzmq puts these before
/// the first message, and then takes that for a malformed reply.
fn is_possible(row: &Row, server: &Server) -> bool {
    let judges = matches!(server, Server::Plain | Server::Curve { .. });
    let by_their_req =
        (row.first, row.binds, row.theirs) == (SocketType::Req, Side::First, Some(Side::First));
    !(judges && by_their_req)
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
    row.meet(&place, &server, &mut first, &mut second).await;
    converse(row, &mut first, &mut second).await;
    first.into_theirs().or(second.into_theirs())
}

async fn converse(row: Row, first: &mut Party, second: &mut Party) {
    use SocketType::{Push, Rep, Req, Router};

    let meets_by_probe = row.first == Router;
    if meets_by_probe {
        assert_eq!(first.hear().await, [b""]);
        assert_eq!(second.hear().await, [b""]);
    }
    let messages: Vec<Parts> = (0..ROUNDS).flat_map(repertoire).collect();
    // A REQ asks, and a REP answers, one message at a time; the others send all their messages at once.
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
        // Not with assert_eq, which would print kilobytes.
        let came = listener.hear().await;
        assert!(came == *message, "{} came, not {}", shape(&came), shape(message));
    }
}

/// Messages of one part and of several, with empty and large ones among them, and with sizes around the
/// change of their encoding.
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
