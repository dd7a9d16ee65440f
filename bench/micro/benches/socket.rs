//! The cost of one `send` and one `recv` for the task that calls them. The drivers of the connections, which
//! are pipes in memory, run between the samples and are not measured.

use std::cell::RefCell;

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use micro::scene::{BATCH, BODY, Scene};

fn main() {
    divan::main();
}

#[divan::bench(args = [0, 1, 32, 1000], sample_size = 1)]
fn send(bencher: Bencher, subscribers: usize) {
    let scene = RefCell::new(Scene::new(subscribers));
    let publisher = scene.borrow().publisher.handle();
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
