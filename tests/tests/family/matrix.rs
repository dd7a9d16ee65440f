//! Every pair of PUB or XPUB and SUB or XSUB, ours with ours and with libzmq's, under every mechanism
//! and over every transport that both have, with either side binding: peers that are to be refused are
//! refused, and the others get all messages that they subscribed to, and nothing else.

use zmtp_socket::SocketType::{Pub, Sub, XPub, XSub};
use zmtp_tests::libzmq::Parts;
use zmtp_tests::matrix::{Party as _, Row, Side, every_row};
use zmtp_tests::over_each_transport;
use zmtp_tests::secured::Server;
use zmtp_tests::story::{Place, eventually};
use zmtp_tests::theirs::Theirs;

use crate::party::Party;

/// How often everything is sent.
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
    let pairs = [(Pub, Sub), (Pub, XSub), (XPub, Sub), (XPub, XSub)];
    every_row(place, &server, &pairs, |_, _| true, play).await;
}

async fn play(
    row: Row,
    place: Place,
    server: Server,
    mut theirs: Option<Theirs>,
) -> Option<Theirs> {
    let mut party = |kind, side| match row.theirs {
        Some(whose) if whose == side => Party::Theirs(kind, theirs.take().expect("there is one")),
        _ => Party::ours(&place.context, kind),
    };
    let mut publisher = party(row.first, Side::First);
    let mut subscriber = party(row.second, Side::Second);
    row.meet(&place, &server, &mut publisher, &mut subscriber).await;
    exchange(&mut publisher, &mut subscriber).await;
    publisher.into_theirs().or(subscriber.into_theirs())
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
            // Not with assert_eq, which would print kilobytes.
            let came = subscriber.receive().await;
            assert!(came == message, "{} came, not {}", shape(&came), shape(&message));
        }
    }
    // The publisher sends no other message, although a SUB would have filtered it.
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

/// Four wanted messages and four unwanted ones: of one part and of several, with empty and large ones
/// among them.
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

/// The counts of messages that each of our sockets has sent or received.
fn counted(publisher: &Party, subscriber: &Party) -> Vec<u64> {
    let sent = publisher.stats().map(|stats| stats.sent);
    sent.into_iter().chain(subscriber.stats().map(|stats| stats.received)).collect()
}
