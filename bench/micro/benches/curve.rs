//! The cost of CURVE: sealing bursts, opening them, and a handshake.

use std::cell::RefCell;
use std::time::Duration;

use bytes::BytesMut;
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use micro::wire::sealed;
use zmtp_codec::Message;

const SIZES: [usize; 6] = [16, 64, 256, 1024, 16 << 10, 64 << 10];

/// Octets of a burst.
const BURST: usize = 256 << 10;

fn main() {
    divan::main();
}

/// A burst of messages, and how many.
fn burst(size: usize) -> (BytesMut, usize) {
    let (message, count) = (Message::from(vec![b'd'; size]), BURST / size);
    let mut frames = BytesMut::new();
    (0..count).for_each(|_| message.encode(&mut frames));
    (frames, count)
}

#[divan::bench(args = SIZES)]
fn seal(bencher: Bencher, size: usize) {
    let (frames, count) = burst(size);
    let (mut publisher, _) = sealed();
    let mut out = BytesMut::new();
    bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(count * size)).bench_local(
        || {
            out.clear();
            publisher.seal([black_box(&frames[..])], &mut out).expect("in traffic");
        },
    );
}

#[divan::bench(args = SIZES)]
fn open(bencher: Bencher, size: usize) {
    let (frames, count) = burst(size);
    let (publisher, mut subscriber) = sealed();
    let publisher = RefCell::new(publisher);
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(count * size))
        .with_inputs(|| {
            let mut out = BytesMut::new();
            publisher.borrow_mut().seal([&frames[..]], &mut out).expect("in traffic");
            out
        })
        .bench_local_values(|octets| {
            let arrived = octets.len();
            *subscriber.input() = octets;
            subscriber.handle_input(Duration::ZERO, arrived);
            let batch = subscriber.poll_batch(usize::MAX).expect("all of them");
            assert_eq!(batch.len(), count);
            batch
        });
}

#[divan::bench]
fn handshake() {
    black_box(sealed());
}
