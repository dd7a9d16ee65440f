//! Sockets and their runtimes: one after the other, none, and runtimes that lack timers or I/O.

use std::sync::Arc;
use std::task::{Context, Poll, Wake, Waker};
use std::thread;
use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use zmtp_socket::{
    BindError, ConnectError, Event, HighWaterMark, Linger, NoRuntime, PubOptions, PubSocket,
    PullOptions, PushOptions, Reason, Reconnect, Request, SubOptions, SubSocket, XPubOptions,
};
use zmtp_tests::story::{Place, event, receive_text, wanted, within};

const QUICK: Reconnect = Reconnect::new(Duration::from_millis(1), Duration::from_millis(2));

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

fn multi_thread() -> Runtime {
    Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap()
}

const PLACES: [fn() -> Place; 3] = [Place::tcp, Place::ipc, Place::inproc];
const RUNTIMES: [fn() -> Runtime; 2] = [current_thread, multi_thread];

fn subscriber(place: &Place) -> SubSocket {
    let subscriber = place.context.sub_socket(SubOptions::new().reconnect(QUICK));
    subscriber.subscribe("");
    subscriber.connect(&*place.endpoint).unwrap();
    subscriber
}

/// Waits for a subscriber, then sends `text`.
async fn say(server: &PubSocket, text: &str) {
    wanted(server, "").await;
    server.send(text).await.unwrap();
}

/// As in tests that have a runtime each and share a socket.
#[test]
fn a_socket_is_used_on_one_runtime_after_the_other() {
    for runtime in RUNTIMES {
        let (server, mut client) = (PubSocket::new(), SubSocket::new());
        client.subscribe("");
        for round in 0..3 {
            runtime().block_on(async {
                let endpoint = server.bind("tcp://127.0.0.1:*").await.unwrap();
                client.connect(&endpoint).unwrap();
                let text = format!("round {round}");
                say(&server, &text).await;
                // Endpoints of earlier rounds may have reconnected, too.
                while receive_text(&mut client).await != text {}
            });
        }
    }
}

#[test]
fn a_subscriber_that_receives_on_another_runtime_takes_its_endpoints_there() {
    for place in PLACES {
        for first in RUNTIMES {
            let (place, first, second) = (place(), first(), current_thread());
            let theirs = multi_thread();
            let server = place.publisher();
            theirs.block_on(server.bind(&*place.endpoint)).unwrap();
            let mut client = first.block_on(async {
                let client = subscriber(&place);
                wanted(&server, "").await;
                client
            });
            let mut monitor = client.monitor();
            drop(first);
            second.block_on(async {
                let ended = event(&mut monitor, "the end of the connection", |event| match event {
                    Event::Disconnected { reason, .. } => Some(reason),
                    _ => None,
                });
                assert!(matches!(ended.await, Reason::RuntimeEnded));
                let receiving = receive_text(&mut client);
                let (text, ()) = tokio::join!(receiving, async {
                    // Not before it has reconnected.
                    while server.stats().peers.iter().all(|peer| peer.peer.id().to_string() == "#1")
                    {
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                    say(&server, "again").await;
                });
                assert_eq!(text, "again");
            });
        }
    }
}

#[test]
fn a_subscriber_that_waits_while_the_runtime_of_its_endpoints_ends_takes_them_over() {
    for first in RUNTIMES {
        let (place, first, second) = (Place::tcp(), first(), multi_thread());
        let server = place.publisher();
        second.block_on(server.bind(&*place.endpoint)).unwrap();
        let mut client = first.block_on(async {
            let client = subscriber(&place);
            wanted(&server, "").await;
            client
        });
        let receiving = second.spawn(async move { receive_text(&mut client).await });
        drop(first);
        second.block_on(async {
            within("the message", async {
                while !receiving.is_finished() {
                    server.send("again").await.unwrap();
                    tokio::time::sleep(Duration::from_millis(2)).await;
                }
            })
            .await;
            assert_eq!(receiving.await.unwrap(), "again");
        });
    }
}

#[test]
fn a_publisher_that_sends_or_listens_on_another_runtime_is_bound_again_there() {
    for place in PLACES {
        for first in RUNTIMES {
            let (place, first, second) = (place(), first(), current_thread());
            let server = place.publisher();
            first.block_on(server.bind(&*place.endpoint)).unwrap();
            drop(first);
            second.block_on(async {
                let mut client = subscriber(&place);
                within("the message", async {
                    while client.try_recv().is_err() {
                        server.send("again").await.unwrap();
                        tokio::time::sleep(Duration::from_millis(2)).await;
                    }
                })
                .await;
            });
            let (place, first) = (place.another(), current_thread());
            let mut server = place.context.xpub_socket(XPubOptions::new());
            first.block_on(server.bind(&*place.endpoint)).unwrap();
            drop(first);
            second.block_on(async {
                let _client = subscriber(&place);
                let request = within("a request", server.recv()).await.unwrap();
                assert!(matches!(request, Request::Subscribe { .. }), "{request:?}");
            });
        }
    }
}

/// While the first runtime runs, it stays the socket's, whichever runtime the calls come from.
#[test]
fn a_socket_stays_on_its_first_runtime_while_that_lives() {
    for place in PLACES {
        let (place, home, guest) = (place(), multi_thread(), current_thread());
        let (server, client) = home.block_on(async { (place.publisher(), subscriber(&place)) });
        let other = home.block_on(server.bind("inproc://home")).unwrap();
        guest.block_on(server.bind(&*place.endpoint)).unwrap();
        drop(guest);
        let mut client = client;
        home.block_on(async {
            say(&server, "here").await;
            assert_eq!(receive_text(&mut client).await, "here");
            server.unbind(&other).await.unwrap();
        });
    }
}

#[test]
fn a_runtime_that_cannot_do_what_is_needed_is_named_so() {
    let timeless = Builder::new_current_thread().enable_io().build().unwrap();
    let offline = Builder::new_current_thread().enable_time().build().unwrap();
    let rows = [
        (&timeless, "inproc://x", Some(NoRuntime::WithoutTime)),
        (&timeless, "tcp://127.0.0.1:*", Some(NoRuntime::WithoutTime)),
        (&offline, "tcp://127.0.0.1:*", Some(NoRuntime::WithoutIo)),
        (&offline, "ipc://@zmtp-runtimes", Some(NoRuntime::WithoutIo)),
        (&offline, "inproc://x", None),
    ];
    for (runtime, endpoint, expected) in rows {
        let server = PubSocket::new();
        let bound = runtime.block_on(server.bind(endpoint)).err().map(|error| match error {
            BindError::NoRuntime(error) => error,
            other => panic!("{other}"),
        });
        assert_eq!(bound, expected, "bind {endpoint}");
        let endpoint = endpoint.replace('*', "1");
        let client = SubSocket::new();
        let connected = runtime.block_on(async { client.connect(&*endpoint) });
        let connected = connected.err().map(|error| match error {
            ConnectError::NoRuntime(error) => error,
            other => panic!("{other}"),
        });
        assert_eq!(connected, expected, "connect {endpoint}");
    }
}

/// Wakes a thread.
struct Unpark(thread::Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

/// As a simulation or a test may have it.
#[test]
fn messages_pass_within_a_process_whose_runtime_does_no_io_however_many_they_are() {
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
    runtime.block_on(async {
        let context = zmtp_socket::Context::new();
        let hwm = HighWaterMark::messages(100);
        let mut pull = context.socket(PullOptions::new().receive_hwm(hwm));
        let push = context.socket(PushOptions::new().send_hwm(hwm));
        let mut monitor = push.monitor();
        pull.bind("inproc://busy").await.unwrap();
        push.connect("inproc://busy").unwrap();
        push.wait_for_peer().await.unwrap();
        for _ in 0..20 {
            let sent = (0..).take_while(|_| push.try_send(vec![0; 1 << 10]).is_ok()).count();
            for _ in 0..sent {
                within("a message", pull.recv()).await.unwrap();
            }
        }
        push.close().await;
        let is_met = |event: &Event| matches!(event, Event::HandshakeSucceeded { .. });
        while !is_met(&monitor.next().await.expect("there is a peer")) {}
        let end = event(&mut monitor, "an end", |event| match event {
            Event::Disconnected { reason, .. } => Some(reason.to_string()),
            _ => None,
        });
        assert_eq!(end.await, "closed from this side");
    });
}

/// Waits without a runtime.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut future = std::pin::pin!(future);
    loop {
        match future.as_mut().poll(&mut Context::from_waker(&waker)) {
            Poll::Ready(value) => return value,
            Poll::Pending => thread::park(),
        }
    }
}

#[test]
fn a_socket_can_be_closed_outside_of_any_runtime() {
    for linger in [Linger::NONE, Linger::For(Duration::from_secs(3600)), Linger::Forever] {
        // A socket that was never used, one whose runtime runs, and one whose runtime has ended.
        let server = PubSocket::with_options(PubOptions::new().linger(linger));
        let _left = block_on(server.close());

        let server = PubSocket::with_options(PubOptions::new().linger(linger));
        let runtime = multi_thread();
        runtime.block_on(server.bind("tcp://127.0.0.1:*")).unwrap();
        let _left = block_on(server.close());

        let server = PubSocket::with_options(PubOptions::new().linger(linger));
        runtime.block_on(server.bind("tcp://127.0.0.1:*")).unwrap();
        drop(runtime);
        let _left = block_on(server.handle().close());
        assert!(block_on(server.monitor().next()).is_none(), "the socket is closed");
    }
}
