//! What one `send` and one `recv` cost the task that calls them. The drivers of the connections, which
//! are pipes in memory, run between the samples and are not measured.

use std::cell::RefCell;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use tokio::runtime::{Builder, Runtime};
use zmtp_socket::{Context, PubOptions, PubSocket, SubOptions, SubSocket};

/// Messages of a sample: below the high-water mark, and few enough for `send` to give no turns.
const BATCH: usize = 256;
const BODY: [u8; 64] = [b'd'; 64];

fn main() {
    divan::main();
}

#[divan::bench(args = [0, 1, 32, 1000], sample_size = 1)]
fn send(bencher: Bencher, subscribers: usize) {
    let scene = RefCell::new(Scene::new(subscribers));
    let publisher = scene.borrow().publisher.clone();
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| scene.borrow_mut().drain())
        .bench_local_values(|()| {
            for _ in 0..BATCH {
                publisher.try_send(black_box(&BODY)).expect("the socket is open");
            }
        });
    let lost = publisher.stats().dropped;
    assert_eq!(lost, 0, "what is dropped costs less than what is queued");
}

#[divan::bench(sample_size = 1)]
fn recv(bencher: Bencher) {
    let scene = RefCell::new(Scene::new(1));
    bencher
        .counter(ItemsCount::new(BATCH))
        .with_inputs(|| scene.borrow_mut().fill())
        .bench_local_values(|()| {
            let subscriber = &mut scene.borrow_mut().subscribers[0];
            for _ in 0..BATCH {
                black_box(subscriber.try_recv()).expect("a message has arrived");
            }
        });
}

/// A publisher and its subscribers on one current-thread runtime, which runs only when told to.
struct Scene {
    runtime: Runtime,
    publisher: PubSocket,
    subscribers: Vec<SubSocket>,
    sent: u64,
}

impl Scene {
    fn new(count: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let context = Context::new();
        let publisher = context.pub_socket(PubOptions::new());
        let subscribers = runtime.block_on(async {
            publisher.bind("inproc://bench").await.expect("the name is free");
            (0..count).map(|_| subscriber(&context)).collect()
        });
        runtime.block_on(async {
            while publisher.subscriber_count() < count {
                tokio::task::yield_now().await;
            }
        });
        Self { runtime, publisher, subscribers, sent: 0 }
    }

    /// Delivers and takes out all that has been sent.
    fn drain(&mut self) {
        self.deliver();
        for subscriber in &mut self.subscribers {
            while subscriber.try_recv().is_ok() {}
        }
    }

    /// Has a batch ready to be received.
    fn fill(&mut self) {
        for _ in 0..BATCH {
            self.publisher.try_send(&BODY).expect("the socket is open");
        }
        self.sent += BATCH as u64;
        self.deliver();
        let (runtime, subscriber, sent) = (&self.runtime, &self.subscribers[0], self.sent);
        runtime.block_on(async {
            while subscriber.stats().received < sent {
                tokio::task::yield_now().await;
            }
        });
    }

    fn deliver(&self) {
        self.runtime.block_on(async {
            while self.publisher.stats().queued > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
}

fn subscriber(context: &Context) -> SubSocket {
    let socket = context.sub_socket(SubOptions::new());
    socket.subscribe("");
    socket.connect("inproc://bench").expect("a valid endpoint");
    socket
}
