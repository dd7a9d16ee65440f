//! Requests of many clients for many servers.

use bytes::Bytes;
use tokio::task::{JoinHandle, JoinSet};
use zmtp_socket::kind::{Dealer, Router};
use zmtp_socket::{
    Context, DealerOptions, DealerSocket, HighWaterMark, Message, PubOptions, RepOptions,
    ReqOptions, ReqSocket, RouterOptions, RouterSocket, SubOptions, relay,
};
use zmtp_tests::libzmq::Libzmq;
use zmtp_tests::story::{eventually, receive_text, wanted, within};

use crate::{Running, start};

const ANY_PORT: &str = "tcp://127.0.0.1:*";

/// The two sockets of a queue, and the endpoints for clients and servers.
async fn sockets(context: &Context) -> (RouterSocket, DealerSocket, [String; 2]) {
    let frontend = context.socket(RouterOptions::new());
    let backend = context.socket(DealerOptions::new());
    let endpoints = [
        frontend.bind(ANY_PORT).await.unwrap().to_string(),
        backend.bind(ANY_PORT).await.unwrap().to_string(),
    ];
    (frontend, backend, endpoints)
}

async fn queue(context: &Context) -> (Running<Router, Dealer>, [String; 2]) {
    let (frontend, backend, endpoints) = sockets(context).await;
    (start(relay(frontend, backend)), endpoints)
}

/// A server that answers each request with itself.
fn serve(context: &Context, endpoint: &str) -> JoinHandle<u64> {
    let mut server = context.socket(RepOptions::new());
    server.connect(endpoint).unwrap();
    tokio::spawn(async move {
        let mut served = 0;
        while let Ok((request, reply)) = server.recv().await {
            if request.first() == "end" {
                break;
            }
            reply.send(request).await.unwrap();
            served += 1;
        }
        served
    })
}

fn client(context: &Context, endpoint: &str) -> ReqSocket {
    let client = context.socket(ReqOptions::new());
    client.connect(endpoint).unwrap();
    client
}

async fn ask(client: &mut ReqSocket, text: &str) {
    let reply = within("a reply", client.request(text)).await.unwrap();
    assert_eq!(reply.parts(), [text]);
}

#[tokio::test]
async fn twenty_clients_are_served_by_five_servers() {
    const REQUESTS: u64 = 20;
    let context = Context::new();
    let (running, [for_clients, for_servers]) = queue(&context).await;
    for _ in 0..5 {
        serve(&context, &for_servers);
    }
    let mut clients = JoinSet::new();
    for name in 0..20 {
        let mut client = client(&context, &for_clients);
        clients.spawn(async move {
            for number in 0..REQUESTS {
                ask(&mut client, &format!("{name}/{number}")).await;
            }
        });
    }
    while let Some(done) = clients.join_next().await {
        done.unwrap();
    }
    let stats = running.handle.stats();
    assert_eq!((stats.messages, stats.upstream, stats.dropped), (400, 400, 0));
    running.handle.stop();
    within("its end", running.task).await.unwrap();
}

#[tokio::test]
async fn two_in_a_row_lengthen_the_envelope_and_shorten_it_again() {
    let context = Context::new();
    let (_upper, [for_lower, for_servers]) = queue(&context).await;
    let (frontend, backend) =
        (context.socket(RouterOptions::new()), context.socket(DealerOptions::new()));
    let for_clients = frontend.bind(ANY_PORT).await.unwrap().to_string();
    backend.connect(&*for_lower).unwrap();
    let _lower = start(relay(frontend, backend));
    let mut server = context.socket(DealerOptions::new());
    server.connect(&*for_servers).unwrap();
    let mut client = context.socket(DealerOptions::new().identity("client"));
    client.connect(&*for_clients).unwrap();
    let message = Message::multipart(["deep", "er", "", "body", ""]).unwrap();
    client.send(message.clone()).await.unwrap();
    let request = within("a request", server.recv()).await.unwrap();
    let parts = request.parts();
    // The lower queue has a generated identity at the upper one.
    assert_eq!((parts[0].len(), parts[0][0]), (5, 0));
    assert_eq!(parts[1..], ["client", "deep", "er", "", "body", ""]);
    server.send(request).await.unwrap();
    let reply = within("a reply", client.recv()).await.unwrap();
    assert_eq!(reply.parts(), message.parts());
}

#[tokio::test]
async fn malformed_replies_are_dropped_and_counted() {
    let context = Context::new();
    let (running, [for_clients, for_servers]) = queue(&context).await;
    let server = context.socket(DealerOptions::new());
    server.connect(&*for_servers).unwrap();
    let mut client = context.socket(DealerOptions::new().identity("client"));
    client.connect(&*for_clients).unwrap();
    client.send("hello").await.unwrap();
    eventually("it is known", || running.handle.stats().messages == 1).await;
    for parts in [&["client"][..], &["nobody", "x"], &["", "x"], &["client", "good"]] {
        server.send(Message::multipart(parts.iter().copied()).unwrap()).await.unwrap();
    }
    assert_eq!(receive_text(&mut client).await, "good");
    let stats = running.handle.stats();
    assert_eq!((stats.upstream, stats.dropped), (4, 3));
}

#[tokio::test]
async fn a_client_that_does_not_read_does_not_stop_the_others() {
    let context = Context::new();
    let few = HighWaterMark::messages(2);
    let frontend = context.socket(RouterOptions::new().send_hwm(few));
    let backend = context.socket(DealerOptions::new());
    let for_clients = frontend.bind(ANY_PORT).await.unwrap().to_string();
    serve(&context, &backend.bind(ANY_PORT).await.unwrap().to_string());
    let clients = frontend.handle();
    let running = start(relay(frontend, backend));
    let stuck = context.socket(DealerOptions::new().receive_hwm(few));
    stuck.connect(&*for_clients).unwrap();
    let large = Bytes::from(vec![b'x'; 100_000]);
    for _ in 0..300 {
        let request = Message::multipart([Bytes::new(), large.clone()]).unwrap();
        within("room", stuck.send(request)).await.unwrap();
    }
    let mut client = client(&context, &for_clients);
    ask(&mut client, "still there?").await;
    eventually("all is answered", || running.handle.stats().upstream == 301).await;
    assert!(clients.totals().dropped > 0, "it has no room");
}

#[tokio::test]
async fn a_queue_that_is_paused_loses_nothing_and_its_tap_gets_copies() {
    let context = Context::new();
    let (frontend, backend, [for_clients, for_servers]) = sockets(&context).await;
    let tap = context.pub_socket(PubOptions::new());
    let mut spy = context.sub_socket(SubOptions::new());
    spy.subscribe_all();
    spy.connect(tap.bind("inproc://tap").await.unwrap()).unwrap();
    wanted(&tap, "").await;
    let running = start(relay(frontend, backend).capture(tap));
    serve(&context, &for_servers);
    let mut client = context.socket(DealerOptions::new().identity("client"));
    client.connect(&*for_clients).unwrap();
    let request = |text| Message::multipart(["", text]).unwrap();
    client.send(request("1")).await.unwrap();
    assert_eq!(within("a reply", client.recv()).await.unwrap().parts(), ["", "1"]);
    running.handle.pause();
    tokio::task::yield_now().await;
    client.send(request("2")).await.unwrap();
    eventually("it is sent", || client.stats().sent == 2).await;
    assert_eq!(running.handle.stats().messages, 1);
    running.handle.resume();
    assert_eq!(within("a reply", client.recv()).await.unwrap().parts(), ["", "2"]);
    for text in ["1", "1", "2", "2"] {
        let copy = within("a copy", spy.recv()).await.unwrap();
        assert_eq!(copy.parts(), ["client", "", text]);
    }
    running.handle.stop();
    running.handle.resume();
    let mut relay = within("its end", running.task).await.unwrap();
    within("it stays stopped", relay.run()).await;
}

#[tokio::test]
async fn a_queue_ends_with_one_of_its_sockets() {
    for which in 0..2 {
        let context = Context::new();
        let (frontend, backend, _) = sockets(&context).await;
        let (router, dealer) = (frontend.handle(), backend.handle());
        let running = start(relay(frontend, backend));
        match which {
            0 => within("the end", router.close()).await,
            _ => within("the end", dealer.close()).await,
        };
        within("its end", running.task).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_and_a_server_of_libzmq_talk_through_it() {
    let context = Context::new();
    let (_running, [for_clients, for_servers]) = queue(&context).await;
    let (client, server) = (Libzmq::new(zmq::REQ), Libzmq::new(zmq::REP));
    client.connect(&for_clients).await;
    server.connect(&for_servers).await;
    for number in 0..10 {
        let (question, answer) = (format!("question {number}"), format!("answer {number}"));
        client.send(&question).await;
        assert_eq!(server.receive().await, question.as_bytes());
        server.send(&answer).await;
        assert_eq!(client.receive().await, answer.as_bytes());
    }
    client.close().await;
    server.close().await;
}
