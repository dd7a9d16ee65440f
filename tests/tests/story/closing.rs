//! The end of a socket: queued messages are delivered for as long as the socket lingers, and counted.

use std::time::{Duration, Instant};

use tokio::runtime::{Builder, Runtime};
use zmtp_socket::{Closed, Linger, SendError};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{
    LOAD, Place, event, eventually, expect_load, receive, subscribers, wanted, within,
};

over_each_transport! {
    async fn close_delivers_what_is_queued_to_a_slow_reader(place: Place) {
        for linger in [Linger::Forever, Linger::For(Duration::from_secs(60))] {
            let (server, mut client) = place.loaded(linger).await;
            let closing = tokio::spawn(async move { server.close().await });
            expect_load(&mut client).await;
            assert_eq!(within("the close", closing).await.unwrap().unsent, 0);
        }
    }

    async fn close_gives_up_on_a_stuck_reader_and_says_how_much_was_left(place: Place) {
        for time in [Duration::from_millis(30), Duration::ZERO] {
            let (server, mut client) = place.loaded(Linger::For(time)).await;
            let begun = Instant::now();
            let left = within("the close", server.handle().close()).await.unsent;
            assert!(begun.elapsed() >= time);
            assert!(left > 0 && left <= LOAD as usize, "{left} left");
            // Messages that count as sent had been given to the system whole.
            let stats = server.stats();
            assert_eq!(stats.sent + left as u64, LOAD, "{stats:?}");
            assert_eq!((stats.undelivered, stats.queued), (left as u64, 0));
            for number in 0..stats.sent {
                let message = receive(&mut client).await;
                assert_eq!(message.first()[..8], number.to_be_bytes());
            }
        }
    }

    async fn dropping_the_socket_lingers_in_the_background_whatever_handles_there_are(place: Place) {
        let (server, mut client) = place.loaded(Linger::Forever).await;
        let handle = server.handle();
        handle.send("the last").await.unwrap();
        drop(server);
        assert_eq!(handle.send("too late").await, Err(SendError::Closed(Closed)));
        expect_load(&mut client).await;
        assert_eq!(receive(&mut client).await.first(), "the last");
    }

    async fn closing_with_no_subscriber_left_takes_no_time(place: Place) {
        let (server, client) = place.loaded(Linger::Forever).await;
        client.close().await;
        subscribers(&server, 0).await;
        assert_eq!(within("the close", server.close()).await.unsent, 0);
    }

    async fn a_closed_subscriber_says_what_was_never_received(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "").await;
        for _ in 0..600 {
            server.send("x").await.unwrap();
        }
        eventually("all of them", || client.stats().received == 600).await;
        // The receiver has taken one batch, and the rest is in the queue.
        receive(&mut client).await;
        assert_eq!(within("the close", client.close()).await.unread, 599);
    }
}

#[tokio::test]
async fn a_subscriber_that_has_left_is_not_lingered_for() {
    let place = Place::tcp();
    let (server, client) = place.loaded(Linger::Forever).await;
    let mut monitor = server.monitor();
    let closing = tokio::spawn(async move { server.close().await });
    tokio::task::yield_now().await;
    drop(client);
    let left = within("the close", closing).await.unwrap().unsent;
    assert!(left > 0, "what was queued for it is left");
    within("the end of the events", async { while monitor.next().await.is_some() {} }).await;
}

#[test]
fn after_close_no_task_is_left() {
    for place in [Place::tcp(), Place::ipc(), Place::inproc()] {
        let runtime = current_thread();
        runtime.block_on(async {
            let (server, mut client) = place.loaded(Linger::Forever).await;
            // A peer in the middle of its handshake, and endpoints that cannot be reached.
            let lost = place.subscriber("");
            lost.connect("tcp://127.0.0.1:1").unwrap();
            lost.connect("inproc://nobody").unwrap();
            server.connect("ipc:///nowhere/to/be/found").unwrap();
            expect_load(&mut client).await;
            assert_eq!(within("the publisher's end", server.close()).await.unsent, 0);
            assert_eq!(within("a subscriber's end", client.close()).await.unread, 0);
            assert_eq!(within("a subscriber's end", lost.close()).await.unread, 0);
            assert_eq!(tokio::runtime::Handle::current().metrics().num_alive_tasks(), 0);
        });
    }
}

#[test]
fn after_a_drop_no_task_is_left_either() {
    let place = Place::tcp();
    let runtime = current_thread();
    runtime.block_on(async {
        let (server, mut client) = place.loaded(Linger::Forever).await;
        let handle = client.handle();
        drop(server);
        expect_load(&mut client).await;
        drop(client);
        let metrics = tokio::runtime::Handle::current().metrics();
        eventually("the last task", || metrics.num_alive_tasks() == 0).await;
        assert!(handle.connect("inproc://x").is_err(), "a handle does not keep the socket open");
    });
}

#[tokio::test]
async fn the_monitor_ends_with_the_socket() {
    let place = Place::inproc();
    let server = place.publisher();
    let mut monitor = server.monitor();
    server.bind(&*place.endpoint).await.unwrap();
    event(&mut monitor, "the endpoint", Some).await;
    server.close().await;
    assert!(within("the end", monitor.next()).await.is_none());
}

fn current_thread() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}
