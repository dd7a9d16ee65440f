//! Clauses of RFC 28 and 30 whose effect only the peer sees: DEALER and ROUTER show every part of a
//! message.

use zmtp_socket::{
    Context, DealerOptions, DealerSocket, Message, PullOptions, PushOptions, RepOptions, RepSocket,
    ReqOptions, ReqSocket, RequestError, RouterOptions, RouterSocket,
};
use zmtp_tests::raw::{eventually, in_time};

fn message(parts: &[&'static str]) -> Message {
    Message::multipart(parts.iter().copied()).expect("there are parts")
}

/// A ROUTER that is asked by a REQ.
async fn router_and_req(context: &Context) -> (RouterSocket, ReqSocket) {
    let server = context.socket(RouterOptions::new());
    server.bind("inproc://server").await.unwrap();
    let client = context.socket(ReqOptions::new());
    client.connect("inproc://server").unwrap();
    (server, client)
}

/// A DEALER that talks to a REP.
async fn dealer_and_rep() -> (DealerSocket, RepSocket) {
    let context = Context::new();
    let server = context.socket(RepOptions::new());
    server.bind("inproc://server").await.unwrap();
    let client = context.socket(DealerOptions::new());
    client.connect("inproc://server").unwrap();
    (client, server)
}

#[tokio::test]
async fn a_request_begins_with_an_empty_part_and_so_does_its_reply() {
    let (mut server, mut client) = router_and_req(&Context::new()).await;
    let serve = async {
        let (peer, request) = server.recv().await.unwrap();
        assert_eq!(request.parts(), ["", "a", "b"]);
        server.send_to(&peer, message(&["", "c", "d"])).await.unwrap();
    };
    let (reply, ()) = in_time("reply", async {
        tokio::join!(client.request(message(&["a", "b"])), serve) //
    })
    .await;
    assert_eq!(reply.unwrap().parts(), ["c", "d"]);
}

#[tokio::test]
async fn a_reply_counts_from_the_peer_that_was_asked_alone() {
    let context = Context::new();
    let (mut one, mut client) = router_and_req(&context).await;
    let mut other = context.socket(RouterOptions::new());
    other.bind("inproc://other").await.unwrap();
    client.connect("inproc://other").unwrap();
    let handle = client.handle();
    let serve = async {
        let (peer, _) = one.recv().await.unwrap();
        one.send_to(&peer, message(&["", "1"])).await.unwrap();
        let (stranger, _) = other.recv().await.unwrap();
        other.send_to(&stranger, message(&["", "2"])).await.unwrap();
        // Requests are sent in turn: the third is for the first peer, and the second one sends unasked.
        let (peer, _) = one.recv().await.unwrap();
        other.send_to(&stranger, message(&["", "forged"])).await.unwrap();
        eventually("the forged reply is there", || handle.totals().received == 3).await;
        one.send_to(&peer, message(&["", "3"])).await.unwrap();
    };
    let ask = async {
        for expected in ["1", "2", "3"] {
            assert_eq!(client.request("?").await.unwrap().first(), expected);
        }
    };
    in_time("replies", async { tokio::join!(serve, ask) }).await;
}

#[tokio::test]
async fn a_request_whose_peer_goes_fails_at_once() {
    let (mut server, mut client) = router_and_req(&Context::new()).await;
    let leave = async {
        let (peer, _) = server.recv().await.unwrap();
        assert!(server.disconnect_peer(&peer));
    };
    let (lost, ()) = in_time("failure", async { tokio::join!(client.request("?"), leave) }).await;
    assert_eq!(lost, Err(RequestError::Lost));
}

#[tokio::test]
async fn an_envelope_comes_back_as_it_went() {
    let (mut client, mut server) = dealer_and_rep().await;
    client.send(message(&["x", "y", "", "a", "", "b"])).await.unwrap();
    let (request, reply) = in_time("a request", server.recv()).await.unwrap();
    assert_eq!(request.parts(), ["a", "", "b"]);
    reply.send(message(&["c", "d"])).await.unwrap();
    let reply = in_time("its reply", client.recv()).await.unwrap();
    assert_eq!(reply.parts(), ["x", "y", "", "c", "d"]);
}

#[tokio::test]
async fn a_message_without_a_body_behind_an_empty_part_is_no_request() {
    let (client, mut server) = dealer_and_rep().await;
    for parts in [&["bare"][..], &["a", "b"], &["a", ""], &[""], &["", "good"]] {
        client.send(message(parts)).await.unwrap();
    }
    let (request, _reply) = in_time("a request", server.recv()).await.unwrap();
    assert_eq!((request.first(), server.totals().filtered), (&"good".into(), 4));
    assert_eq!(server.peer_count(), 1, "the peer is not closed for it");
}

#[tokio::test]
async fn many_requests_are_answered_in_any_order() {
    let (mut client, mut server) = dealer_and_rep().await;
    for name in ["1", "2"] {
        client.send(message(&[name, "", "?"])).await.unwrap();
    }
    let (_, first) = in_time("a request", server.recv()).await.unwrap();
    let (_, second) = in_time("another", server.recv()).await.unwrap();
    second.send("b").await.unwrap();
    first.send("a").await.unwrap();
    for parts in [["2", "", "b"], ["1", "", "a"]] {
        assert_eq!(in_time("a reply", client.recv()).await.unwrap().parts(), parts);
    }
}

#[tokio::test]
async fn requesters_of_one_identity_are_all_answered() {
    let context = Context::new();
    let mut server = context.socket(RepOptions::new());
    server.bind("inproc://server").await.unwrap();
    let serve = async {
        while let Ok((request, reply)) = server.recv().await {
            reply.send(request).await.unwrap();
        }
    };
    let ask = async {
        let clients = [(); 2].map(|()| context.socket(ReqOptions::new().identity("same")));
        for client in &clients {
            client.connect("inproc://server").unwrap();
        }
        let [mut one, mut other] = clients;
        for _ in 0..2 {
            assert_eq!(one.request("1").await.unwrap().first(), "1");
            assert_eq!(other.request("2").await.unwrap().first(), "2");
        }
    };
    in_time("replies", async { tokio::select!(() = serve => {}, () = ask => {}) }).await;
}

#[tokio::test]
async fn connected_twice_an_endpoint_is_one_peer() {
    let context = Context::new();
    let mut sink = context.socket(PullOptions::new());
    sink.bind("inproc://sink").await.unwrap();
    let source = context.socket(PushOptions::new());
    for _ in 0..2 {
        source.connect("inproc://sink").unwrap();
    }
    source.send("1").await.unwrap();
    source.send("2").await.unwrap();
    for expected in ["1", "2"] {
        assert_eq!(in_time("a message", sink.recv()).await.unwrap().first(), expected);
    }
    assert_eq!((source.peer_count(), source.endpoints().connected.len()), (1, 1));
}
