//! Floods on a runtime with workers, where a busy peer's driver rests while its sender writes.

use std::time::Duration;

use tokio::runtime::Builder;
use zmtp_socket::{PubOptions, PullOptions, PushOptions, SubSocket, WhenFull};
use zmtp_tests::story::{Place, Receives, eventually, receive, subscribers, within};

/// Runs `story` on a runtime with two workers.
fn with_workers(story: impl Future<Output = ()>) {
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(story);
}

/// The numbers of messages that are sent without a pause: from few to many more than fit any queue.
fn floods() -> impl Iterator<Item = u64> {
    (0..60).map(|flood| 1 + (flood * flood * 37) % 5000).chain([50_000])
}

fn message(number: u64) -> Vec<u8> {
    // Of several sizes, so that a flood ends at any place in a block.
    [&number.to_be_bytes()[..], &vec![7; (number % 97) as usize]].concat()
}

async fn expect(receiver: &mut (impl Receives + ?Sized), numbers: std::ops::Range<u64>) {
    for number in numbers {
        let message = receive(receiver).await;
        assert_eq!(message.first()[..8], number.to_be_bytes());
    }
}

#[test]
fn a_flood_is_received_to_its_end_though_nothing_follows() {
    with_workers(async {
        for place in [Place::tcp(), Place::ipc(), Place::inproc()] {
            let options = PubOptions::new().when_full(WhenFull::Wait);
            let server = place.context.pub_socket(options);
            server.bind(&*place.endpoint).await.unwrap();
            let mut clients: Vec<SubSocket> = Vec::new();
            let mut next = 0;
            // For one peer the sender writes; for two, their drivers do.
            for count in 1..=2 {
                let client = place.subscriber("");
                client.connect(&*place.endpoint).unwrap();
                clients.push(client);
                subscribers(&server, count).await;
                for flood in floods() {
                    let numbers = next..next + flood;
                    next += flood;
                    let handle = server.handle();
                    let sent = numbers.clone();
                    let sender = tokio::spawn(async move {
                        for number in sent {
                            handle.send(message(number)).await.unwrap();
                        }
                    });
                    match &mut clients[..] {
                        [one, other] => {
                            tokio::join!(expect(one, numbers.clone()), expect(other, numbers));
                        }
                        clients => expect(&mut clients[0], numbers).await,
                    }
                    within("the sender", sender).await.unwrap();
                }
            }
            let sent = |stats: zmtp_socket::Stats| (stats.queued, stats.dropped);
            eventually("the last to be counted", || sent(server.stats()) == (0, 0)).await;
        }
    });
}

#[test]
fn each_of_many_subscribers_gets_the_last_message_for_it() {
    with_workers(async {
        const CLIENTS: u64 = 10;
        let place = Place::tcp();
        let server = place.context.pub_socket(PubOptions::new().when_full(WhenFull::Wait));
        server.bind(&*place.endpoint).await.unwrap();
        let mut clients: Vec<_> =
            (0..CLIENTS).map(|topic| place.subscriber([topic as u8])).collect();
        for client in &mut clients {
            client.connect(&*place.endpoint).unwrap();
        }
        subscribers(&server, CLIENTS as usize).await;
        // Another one wants each message, so each driver is woken for few.
        let topic = |number: u64| (number % CLIENTS) as u8;
        let message = |number: u64| [&[topic(number)][..], &number.to_be_bytes()].concat();
        for flood in (1..100).chain([5000]) {
            for number in 0..flood {
                server.send(message(number)).await.unwrap();
            }
            for number in 0..flood {
                let received = receive(&mut clients[topic(number) as usize]).await;
                assert_eq!(received.first(), &message(number));
            }
        }
        for number in 0..100 {
            server.send(message(number)).await.unwrap();
        }
        assert_eq!(server.close().await.unsent, 0);
        for number in 0..100 {
            let received = receive(&mut clients[topic(number) as usize]).await;
            assert_eq!(received.first(), &message(number));
        }
    });
}

#[test]
fn a_flood_that_the_main_task_pushes_is_pulled_to_its_end() {
    with_workers(async {
        for place in [Place::tcp(), Place::ipc(), Place::inproc()] {
            let mut pull = place.context.socket(PullOptions::new());
            pull.bind(&*place.endpoint).await.unwrap();
            let push = place.context.socket(PushOptions::new());
            push.connect(&*place.endpoint).unwrap();
            let total: u64 = floods().sum();
            let receiver = tokio::spawn(async move { expect(&mut pull, 0..total).await });
            let mut next = 0;
            for flood in floods() {
                for number in next..next + flood {
                    push.send(message(number)).await.unwrap();
                }
                next += flood;
                tokio::time::sleep(Duration::from_micros(50)).await;
            }
            within("the receiver", receiver).await.unwrap();
        }
    });
}

#[test]
fn a_flood_is_delivered_by_a_socket_that_is_closed_at_once() {
    with_workers(async {
        for flood in 50..150_u64 {
            let place = Place::tcp();
            let mut pull = place.context.socket(PullOptions::new());
            pull.bind(&*place.endpoint).await.unwrap();
            let push = place.context.socket(PushOptions::new());
            push.connect(&*place.endpoint).unwrap();
            push.send(message(0)).await.unwrap();
            expect(&mut pull, 0..1).await;
            // The driver is woken for the first of them, and rests before the last.
            for number in 1..flood {
                push.send([&number.to_be_bytes()[..], &[7; 800]].concat()).await.unwrap();
            }
            let closing = tokio::spawn(async move { push.close().await });
            expect(&mut pull, 1..flood).await;
            assert_eq!(within("the close", closing).await.unwrap().unsent, 0);
        }
    });
}
