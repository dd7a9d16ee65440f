//! `request`, dropped at each of its waits: a late reply is never taken for that to another request, and
//! an unsent request is not sent any more.

use std::time::Duration;

use zmtp_socket::{Reconnect, RepSocket, ReqOptions, ReqSocket};
use zmtp_tests::cancel::{Cut, everywhere};
use zmtp_tests::story::{Place, eventually, within};

fn client(place: &Place, correlate: bool) -> ReqSocket {
    let soon = Reconnect::new(Duration::from_millis(1), Duration::from_millis(2));
    place.context.socket(ReqOptions::new().correlate(correlate).reconnect(soon))
}

/// Answers every request with itself, and returns the requests.
async fn serve(mut server: RepSocket, most: usize) -> (RepSocket, Vec<String>) {
    let mut heard = Vec::new();
    while heard.len() < most {
        let (request, reply) = within("a request", server.recv()).await.unwrap();
        let text = String::from_utf8_lossy(request.first()).into_owned();
        reply.send(&text).await.unwrap();
        let is_last = text == "last";
        heard.push(text);
        if is_last {
            break;
        }
    }
    (server, heard)
}

/// Drops a request while the other side does what the request waits for; then another one gets its own
/// reply.
async fn next_gets_its_own(place: &Place, cut: Cut, correlate: bool, dials: bool) -> bool {
    let mut client = client(place, correlate);
    let server = place.context.socket(
        zmtp_socket::RepOptions::new()
            .reconnect(Reconnect::new(Duration::from_millis(1), Duration::from_millis(2))),
    );
    if dials {
        server.bind(&*place.endpoint).await.unwrap();
        client.connect(&*place.endpoint).unwrap();
    } else {
        client.bind(&*place.endpoint).await.unwrap();
        server.connect(&*place.endpoint).unwrap();
    }
    within("the server", client.wait_for_peer()).await.unwrap();
    let handle = client.handle();
    let answered = tokio::spawn(serve(server, 2));
    let mut received = 0;
    let come = async || {
        received += 1;
        eventually("its reply", || handle.stats().received == received).await;
    };
    let reply = cut.call(client.request("cut"), come).await.map(Result::unwrap);
    if let Some(reply) = &reply {
        assert_eq!(reply.first(), "cut");
    }
    let last = within("the next reply", client.request("last")).await.unwrap();
    assert_eq!(last.first(), "last", "the reply to another request");
    let (server, heard) = within("the server", answered).await.unwrap();
    assert!(heard == ["last"] || heard == ["cut", "last"], "{heard:?}");
    let handle = client.handle();
    within("the client's end", client.close()).await;
    within("the server's end", server.close()).await;
    let stats = handle.stats();
    let accepted = 1 + u64::from(!cut.is_before_all());
    let counted = stats.sent + stats.dropped + stats.undelivered;
    assert_eq!((counted, stats.queued), (accepted, 0), "{stats:?}");
    reply.is_some()
}

#[test]
fn while_it_waits_for_its_reply() {
    everywhere(1, async |place, cut| next_gets_its_own(place, cut, false, true).await);
}

#[test]
fn while_it_waits_for_its_reply_from_a_peer_that_dialled() {
    everywhere(1, async |place, cut| next_gets_its_own(place, cut, false, false).await);
}

#[test]
fn while_it_waits_for_its_reply_by_number() {
    everywhere(1, async |place, cut| next_gets_its_own(place, cut, true, true).await);
}

#[test]
fn while_it_waits_for_anybody() {
    // One wait for a peer, and one for its reply.
    everywhere(2, async |place, cut| {
        let mut client = client(place, true);
        client.bind(&*place.endpoint).await.unwrap();
        let server = place.context.socket(zmtp_socket::RepOptions::new());
        let server_handle = server.handle();
        let answered = tokio::spawn(serve(server, 2));
        let come = async || drop(server_handle.connect(&*place.endpoint).unwrap());
        let reply = cut.call(client.request("cut"), come).await.map(Result::unwrap);
        server_handle.connect(&*place.endpoint).unwrap();
        let last = within("the next reply", client.request("last")).await.unwrap();
        assert_eq!(last.first(), "last");
        let (server, heard) = within("the server", answered).await.unwrap();
        assert!(heard == ["last"] || heard == ["cut", "last"], "{heard:?}");
        within("the client's end", client.close()).await;
        within("the server's end", server.close()).await;
        reply.is_some()
    });
}

#[test]
fn while_it_waits_for_an_endpoint_where_nobody_is_yet() {
    everywhere(1, async |place, cut| {
        let mut client = client(place, false);
        client.connect(&*place.endpoint).unwrap();
        let server = place.context.socket(zmtp_socket::RepOptions::new());
        let handle = server.handle();
        let answered = tokio::spawn(serve(server, 2));
        let come = async || drop(handle.bind(&*place.endpoint).await);
        let reply = cut.call(client.request("cut"), come).await.map(Result::unwrap);
        if reply.is_none() && handle.endpoints().bound.is_empty() {
            // The request was given up before any peer could receive it.
            assert_eq!(client.stats().queued, 0);
            handle.bind(&*place.endpoint).await.unwrap();
        }
        let last = within("the next reply", client.request("last")).await.unwrap();
        assert_eq!(last.first(), "last");
        let (server, _heard) = within("the server", answered).await.unwrap();
        within("the client's end", client.close()).await;
        within("the server's end", server.close()).await;
        reply.is_some()
    });
}
