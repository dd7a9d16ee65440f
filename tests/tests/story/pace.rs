//! Fast and slow peers: the messages that wait, those that are lost, and those that are never lost.

use std::sync::mpsc;

use tokio::runtime::Builder;
use zmtp_socket::{Event, HighWaterMark, PubOptions, PubSocket, SubOptions, SubSocket};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{
    LARGE, Place, event, eventually, gone, receive, receive_text, settled, subscribers, wanted,
    within,
};

over_each_transport! {
    async fn a_client_reads_on_from_its_buffer_after_the_server_is_gone(place: Place) {
        const COUNT: u64 = 3000;
        let server = place.context.pub_socket(PubOptions::new().send_hwm(HighWaterMark::Unlimited));
        server.bind(&*place.endpoint).await.unwrap();
        let options = SubOptions::new().receive_hwm(HighWaterMark::Unlimited);
        let mut client = place.context.sub_socket(options);
        client.subscribe("");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "").await;
        let mut monitor = client.monitor();
        for number in 0..COUNT {
            server.send(&number.to_be_bytes()).await.unwrap();
        }
        drop(server);
        gone(&mut monitor).await;
        assert_eq!(client.stats().received, COUNT, "dropping the last handle lingers");
        expect_numbers(&mut client, 0..COUNT).await;
        assert!(client.try_recv().is_err());
    }

    async fn what_was_received_before_a_cut_comes_before_what_comes_after_it(place: Place) {
        // More than one turn of a publisher, so that its messages are taken in several.
        const COUNT: u64 = 900;
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.context.sub_socket(SubOptions::new().receive_hwm(HighWaterMark::messages(2000)));
        client.subscribe("");
        let endpoint = client.connect(&*place.endpoint).unwrap();
        let mut number = 0u64;
        for round in 1..=2 {
            subscribers(&server, 1).await;
            for _ in 0..COUNT {
                server.send(&number.to_be_bytes()).await.unwrap();
                number += 1;
            }
            eventually("all of it", || client.stats().received == round * COUNT).await;
            within("a cut", client.disconnect(&endpoint)).await.unwrap();
            subscribers(&server, 0).await;
            client.connect(&endpoint).unwrap();
        }
        expect_numbers(&mut client, 0..2 * COUNT).await;
    }

    async fn a_fast_client_waits_for_a_slow_server(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "").await;
        let (sender, mut received) = tokio::sync::mpsc::unbounded_channel();
        let receiving = tokio::spawn(async move {
            while let Ok(message) = client.recv().await {
                sender.send(message).unwrap();
            }
        });
        for number in 0..200u64 {
            server.send(&number.to_be_bytes()).await.unwrap();
            let message = within("the message", received.recv()).await.unwrap();
            assert_eq!(message.first(), &number.to_be_bytes()[..]);
        }
        receiving.abort();
    }

    async fn a_stuck_subscriber_loses_alone_and_exactly_past_its_mark(place: Place) {
        const MARK: u64 = 10;
        const COUNT: u64 = 100;
        let server = place.context.pub_socket(PubOptions::new().send_hwm(HighWaterMark::messages(10)));
        server.bind(&*place.endpoint).await.unwrap();
        let stuck = place.context.sub_socket(SubOptions::new().receive_hwm(HighWaterMark::messages(1)));
        stuck.subscribe("");
        stuck.connect(&*place.endpoint).unwrap();
        subscribers(&server, 1).await;
        let mut good = place.subscriber("");
        good.connect(&*place.endpoint).unwrap();
        subscribers(&server, 2).await;
        let mut monitor = server.monitor();

        for number in 0..COUNT {
            let body = [&number.to_be_bytes()[..], &[7; LARGE]].concat();
            server.send(&body).await.unwrap();
            let message = receive(&mut good).await;
            assert_eq!(message.first(), &body[..], "the good neighbour loses nothing");
        }
        let stats = server.stats();
        let [slow, fast] = &stats.peers[..] else { panic!("two peers: {stats:?}") };
        assert_eq!((fast.sent, fast.dropped, fast.queued), (COUNT, 0, 0));
        assert_eq!(slow.queued, MARK, "{slow:?}");
        assert!(slow.dropped > 0);
        assert_eq!(slow.sent + slow.dropped + slow.queued, COUNT, "{slow:?}");
        assert_eq!(stats.sent, slow.sent + fast.sent);
        assert_eq!((stats.dropped, stats.queued), (slow.dropped, MARK));
        let named = event(&mut monitor, "word of the loss", |event| match event {
            Event::Dropping { peer, .. } => Some(peer),
            _ => None,
        });
        assert_eq!(named.await, slow.peer);
        assert!(monitor.try_next().is_none(), "it is said once");

        // The peer reads again: the kept messages arrive in order, and the next one is not lost.
        let (dropped, kept) = (slow.dropped, slow.sent + slow.queued);
        let mut stuck = stuck;
        let mut last = None;
        for _ in 0..kept {
            let message = receive(&mut stuck).await;
            let number = u64::from_be_bytes(message.first()[..8].try_into().unwrap());
            assert!(last < Some(number), "{number} after {last:?}");
            last = Some(number);
        }
        server.send("welcome back").await.unwrap();
        assert_eq!(receive_text(&mut stuck).await, "welcome back");
        assert_eq!(server.stats().dropped, dropped);
    }

    async fn a_subscriber_at_its_mark_stops_reading_and_loses_nothing(place: Place) {
        for mark in [1, 5] {
            const COUNT: u64 = 120;
            let server = place.context.pub_socket(PubOptions::new());
            server.bind(&*place.endpoint).await.unwrap();
            let options = SubOptions::new().receive_hwm(HighWaterMark::messages(mark));
            let mut client = place.context.sub_socket(options);
            client.subscribe("");
            client.connect(&*place.endpoint).unwrap();
            wanted(&server, "").await;
            for number in 0..COUNT {
                server.send([&number.to_be_bytes()[..], &[7; LARGE]].concat()).await.unwrap();
            }
            let mark = mark as u64;
            eventually("the mark to be reached", || client.stats().received == mark).await;
            settled(&server).await;
            let (here, there) = (client.stats(), server.stats());
            assert_eq!((here.received, here.queued), (mark, mark));
            assert!(there.queued > 0, "the publisher feels it: {there:?}");
            for number in 0..COUNT {
                let message = receive(&mut client).await;
                assert_eq!(&message.first()[..8], &number.to_be_bytes());
                assert!(client.stats().queued <= mark);
            }
            assert_eq!(server.stats().dropped, 0);
            server.close().await;
        }
    }

    async fn a_tight_loop_feeds_a_subscriber_in_the_same_runtime(place: Place) {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber("10002");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "10002").await;
        let handle = client.handle();
        let receiving = tokio::spawn(async move {
            for _ in 0..5000 {
                client.recv().await.unwrap();
            }
            client
        });
        // Nothing else is awaited here, and hardly any message is wanted.
        let mut sent = 0u64;
        while !receiving.is_finished() {
            let topic = if sent.is_multiple_of(8) { "10002 27 33" } else { "10001 27 33" };
            server.send(topic).await.unwrap();
            sent += 1;
            assert!(sent < 4_000_000, "starved: {:?} {:?}", server.stats(), handle.stats());
        }
        receiving.await.unwrap();
    }
}

#[tokio::test]
async fn an_unlimited_subscriber_takes_all_without_being_read() {
    const COUNT: u64 = 5000;
    let place = Place::tcp();
    let server = place.publisher();
    server.bind(&*place.endpoint).await.unwrap();
    let options = SubOptions::new().receive_hwm(HighWaterMark::Unlimited);
    let mut client = place.context.sub_socket(options);
    client.subscribe("");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "").await;
    for chunk in 0..10 {
        for number in chunk * 500..(chunk + 1) * 500 {
            server.send(&u64::to_be_bytes(number)).await.unwrap();
        }
        eventually("a chunk", || client.stats().received == (chunk + 1) * 500).await;
    }
    assert_eq!(client.stats().queued, COUNT);
    expect_numbers(&mut client, 0..COUNT).await;
}

#[tokio::test]
async fn a_peer_below_its_mark_loses_none() {
    const MARK: u64 = 50;
    let place = Place::inproc();
    let options = PubOptions::new().send_hwm(HighWaterMark::messages(MARK as usize));
    let server = place.context.pub_socket(options);
    server.bind(&*place.endpoint).await.unwrap();
    let mut client = place.subscriber("");
    client.connect(&*place.endpoint).unwrap();
    wanted(&server, "").await;
    for round in 0..20 {
        // No other task runs while these are sent, so all of them wait in the queue.
        for number in 0..MARK {
            server.try_send(&(round * MARK + number).to_be_bytes()).unwrap();
        }
        assert_eq!(server.stats().queued, MARK);
        if round == 19 {
            server.try_send("one too many").unwrap();
            assert_eq!(server.stats().dropped, 1);
        }
        eventually("the queue to drain", || server.stats().queued == 0).await;
    }
    expect_numbers(&mut client, 0..20 * MARK).await;
}

async fn expect_numbers(client: &mut SubSocket, numbers: std::ops::Range<u64>) {
    for number in numbers {
        assert_eq!(receive(client).await.first(), &number.to_be_bytes()[..], "number {number}");
    }
}

/// The system has two megabytes for a client that was not running: its driver must not take all of them
/// before a task can receive.
#[test]
fn who_receives_gets_a_turn_while_a_flood_arrives() {
    const BODY: usize = 32 << 10;
    const COUNT: usize = 64;
    let runtime = || Builder::new_current_thread().enable_all().build().unwrap();
    let (here, there) = (runtime(), runtime());
    let server = PubSocket::new();
    let endpoint = there.block_on(server.bind("tcp://127.0.0.1:*")).unwrap();
    let mut client = SubSocket::with_options(SubOptions::new().receive_buffer(4 << 20));
    client.subscribe("");
    here.block_on(async { client.connect(&endpoint) }).unwrap();
    let ((is_wanted, wants), (stopped, stops)) = (mpsc::channel(), mpsc::channel());
    std::thread::scope(|scope| {
        let server = &server;
        let publishing = scope.spawn(move || {
            there.block_on(async {
                wanted(server, "").await;
                is_wanted.send(()).unwrap();
                stops.recv().unwrap();
                for _ in 0..COUNT {
                    server.send(&vec![0; BODY]).await.unwrap();
                }
                eventually("all in the system", || server.stats().queued == 0).await;
            });
        });
        here.block_on(eventually("the subscription", || wants.try_recv().is_ok()));
        stopped.send(()).unwrap();
        publishing.join().unwrap();
    });
    here.block_on(async {
        let (mut received, mut most) = (0, 0);
        while received < COUNT {
            tokio::task::yield_now().await;
            most = most.max(client.stats().queued);
            received += std::iter::from_fn(|| client.try_recv().ok()).count();
        }
        assert!(most as usize <= COUNT / 3, "{most} of {COUNT} at once");
    });
}
