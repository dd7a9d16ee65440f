//! A socket whose first runtime has ended, used from a second one: each call fails or does what it
//! promises. None succeeds without effect, and none waits for ever.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use tokio::time::{sleep, timeout};
use zmtp_socket::{
    Context, Endpoint, HighWaterMark, PubOptions, PubSocket, SubOptions, SubSocket, WhenFull,
};
use zmtp_tests::network::FaultyNetwork;

use crate::steps::SECOND;

/// Longer than any event takes, on virtual time.
const PATIENCE: Duration = Duration::from_secs(3600);

/// The use of a socket on its first runtime.
#[derive(Clone, Copy, Debug)]
enum First {
    Bound,
    Connected,
}

const FIRST: [First; 2] = [First::Bound, First::Connected];

#[test]
fn a_publisher_that_binds_on_a_second_runtime_serves_there_or_says_that_it_cannot() {
    for first in FIRST {
        let (context, server) = publisher_left_behind(first);
        runtime().block_on(async {
            if said("bind", server.bind("mem://second")).await.is_err() {
                return;
            }
            let mut client = subscriber(&context);
            client.connect("mem://second").unwrap();
            expect_delivery(&server, &mut client, first).await;
        });
    }
}

#[test]
fn a_publisher_that_connects_on_a_second_runtime_serves_there_or_says_that_it_cannot() {
    for first in FIRST {
        let (context, server) = publisher_left_behind(first);
        runtime().block_on(async {
            let mut client = subscriber(&context);
            client.bind("mem://second").await.unwrap();
            if server.connect("mem://second").is_err() {
                return;
            }
            expect_delivery(&server, &mut client, first).await;
        });
    }
}

#[test]
fn a_subscriber_that_binds_on_a_second_runtime_receives_there_or_says_that_it_cannot() {
    for first in FIRST {
        let (context, mut client) = subscriber_left_behind(first);
        runtime().block_on(async {
            if said("bind", client.bind("mem://second")).await.is_err() {
                return;
            }
            let server = context.pub_socket(PubOptions::new());
            server.connect("mem://second").unwrap();
            expect_delivery(&server, &mut client, first).await;
        });
    }
}

#[test]
fn a_subscriber_that_connects_on_a_second_runtime_receives_there_or_says_that_it_cannot() {
    for first in FIRST {
        let (context, mut client) = subscriber_left_behind(first);
        runtime().block_on(async {
            let server = context.pub_socket(PubOptions::new());
            server.bind("mem://second").await.unwrap();
            if client.connect("mem://second").is_err() {
                return;
            }
            expect_delivery(&server, &mut client, first).await;
        });
    }
}

/// Calling `connect` again dials an endpoint at once.
#[test]
fn an_endpoint_that_is_connected_again_on_a_second_runtime_is_dialled_there_or_the_call_fails() {
    let (context, mut client) = subscriber_left_behind(First::Connected);
    runtime().block_on(async {
        let server = context.pub_socket(PubOptions::new());
        server.bind("mem://first").await.unwrap();
        if client.connect("mem://first").is_err() {
            return;
        }
        expect_delivery(&server, &mut client, First::Connected).await;
    });
}

#[test]
fn a_receiver_whose_runtime_has_ended_does_not_wait_for_ever() {
    for first in FIRST {
        let (context, mut client) = subscriber_left_behind(first);
        runtime().block_on(async {
            let server = context.pub_socket(PubOptions::new());
            match first {
                First::Bound => drop(server.connect("mem://first").unwrap()),
                First::Connected => drop(server.bind("mem://first").await.unwrap()),
            }
            let serving = async {
                server.wait_for_subscriber("").await.unwrap();
                server.send("hello").await.unwrap();
                std::future::pending::<()>().await;
            };
            tokio::select! {
                received = said("recv", client.recv()) => drop(received),
                () = serving => {}
            }
        });
    }
}

#[test]
fn endpoints_and_sockets_end_on_a_second_runtime() {
    for first in FIRST {
        let (_context, server) = publisher_left_behind(first);
        let (_context, client) = subscriber_left_behind(first);
        runtime().block_on(async {
            let endpoint: Endpoint = "mem://first".parse().unwrap();
            match first {
                First::Bound => drop(said("unbind", server.unbind(&endpoint)).await),
                First::Connected => drop(said("disconnect", server.disconnect(&endpoint)).await),
            }
            said("close of a publisher", server.close()).await;
            said("close of a subscriber", client.close()).await;
        });
    }
}

#[test]
fn a_sender_whose_runtime_has_ended_does_not_wait_for_ever() {
    for first in FIRST {
        let (context, server) = publisher_left_behind_full(first);
        runtime().block_on(async {
            drop(said("send", server.send("hello")).await);
        });
        drop(context);
    }
}

/// The same over tcp and in real time, as if tests with a runtime each shared a publisher.
#[test]
fn a_publisher_that_is_bound_over_tcp_on_one_runtime_after_the_other_serves_or_says_that_it_cannot()
{
    let server = PubSocket::new();
    for topic in ["first", "second", "third"] {
        let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let serving = async {
            let Ok(endpoint) = server.bind("tcp://127.0.0.1:*").await else { return };
            let mut client = SubSocket::new();
            client.subscribe(topic);
            client.connect(endpoint).unwrap();
            server.wait_for_subscriber(topic).await.unwrap();
            server.send(topic).await.unwrap();
            assert_eq!(client.recv().await.unwrap().first(), topic);
        };
        let served = runtime.block_on(async { timeout(SECOND * 20, serving).await });
        served.unwrap_or_else(|_| panic!("the {topic} runtime: nobody is served"));
    }
}

/// The result of a call, which must not wait for ever.
async fn said<T>(name: &str, call: impl Future<Output = T>) -> T {
    timeout(PATIENCE, call).await.unwrap_or_else(|_| panic!("{name} says nothing"))
}

/// Checks that the publisher's messages reach the subscriber.
async fn expect_delivery(server: &PubSocket, client: &mut SubSocket, first: First) {
    let wanted = timeout(PATIENCE, server.wait_for_subscriber("")).await;
    wanted.unwrap_or_else(|_| panic!("nobody is served, first {first:?}")).unwrap();
    server.send("hello").await.unwrap();
    assert_eq!(said("recv", client.recv()).await.unwrap().first(), "hello");
}

/// A publisher whose runtime has ended.
fn publisher_left_behind(first: First) -> (Context, PubSocket) {
    let context = context();
    let server = context.pub_socket(PubOptions::new());
    runtime().block_on(async {
        match first {
            First::Bound => server.bind("mem://first").await.unwrap(),
            First::Connected => server.connect("mem://first").unwrap(),
        };
        sleep(SECOND).await;
    });
    (context, server)
}

/// The same with a subscriber that had no room, so that a sender waits for it.
fn publisher_left_behind_full(first: First) -> (Context, PubSocket) {
    let context = context();
    let options = PubOptions::new().when_full(WhenFull::Wait);
    let server = context.pub_socket(options.send_hwm(HighWaterMark::messages(1)));
    runtime().block_on(async {
        let options = SubOptions::new().receive_hwm(HighWaterMark::messages(1));
        let client = context.sub_socket(options);
        client.subscribe("");
        match first {
            First::Bound => {
                server.bind("mem://first").await.unwrap();
                client.connect("mem://first").unwrap();
            }
            First::Connected => {
                client.bind("mem://first").await.unwrap();
                server.connect("mem://first").unwrap();
            }
        }
        server.wait_for_subscriber("").await.unwrap();
        while timeout(SECOND, server.send(vec![0; 64 << 10])).await.is_ok() {}
    });
    (context, server)
}

/// A subscriber of everything whose runtime has ended.
fn subscriber_left_behind(first: First) -> (Context, SubSocket) {
    let context = context();
    let client = subscriber(&context);
    runtime().block_on(async {
        match first {
            First::Bound => client.bind("mem://first").await.unwrap(),
            First::Connected => client.connect("mem://first").unwrap(),
        };
        sleep(SECOND).await;
    });
    (context, client)
}

fn subscriber(context: &Context) -> SubSocket {
    let client = context.sub_socket(SubOptions::new());
    client.subscribe("");
    client
}

fn context() -> Context {
    Context::simulated(FaultyNetwork::healthy(1), 7)
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().start_paused(true).build().unwrap()
}
