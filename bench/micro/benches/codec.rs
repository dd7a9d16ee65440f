//! Messages to octets and back, without any I/O.

use std::time::Duration;

use bytes::{Bytes, BytesMut};
use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use micro::wire::in_traffic;
use zmtp_codec::{Connection, Event, Message};

const SIZES: [usize; 5] = [16, 64, 1024, 16_384, 1 << 20];

/// Octets that one iteration decodes or encodes, so that what is done once for each read is shared as
/// it is in use.
const BATCH: usize = 64 << 10;

fn main() {
    divan::main();
}

#[divan::bench(args = SIZES)]
fn encode(bencher: Bencher, size: usize) {
    let message = Message::from(vec![b'd'; size]);
    let count = (BATCH / size).max(1);
    let mut out = BytesMut::with_capacity(count * message.encoded_len());
    bencher.counter(ItemsCount::new(count)).counter(BytesCount::new(count * size)).bench_local(
        || {
            out.clear();
            for _ in 0..count {
                black_box(&message).encode(&mut out);
            }
        },
    );
}

#[divan::bench(args = SIZES)]
fn decode(bencher: Bencher, size: usize) {
    let message = Message::from(vec![b'd'; size]);
    let count = (BATCH / size).max(1);
    let mut wire = BytesMut::new();
    for _ in 0..count {
        message.encode(&mut wire);
    }
    let wire = wire.freeze();
    let mut subscriber = in_traffic();
    bencher
        .counter(ItemsCount::new(count))
        .counter(BytesCount::new(count * size))
        .bench_local(|| assert_eq!(messages(&mut subscriber, &wire), count));
}

/// Feeds `wire` as reads of 64 KiB would, and counts what comes of it.
fn messages(subscriber: &mut Connection, wire: &Bytes) -> usize {
    let mut count = 0;
    for read in wire.chunks(64 << 10) {
        subscriber.receive(Duration::ZERO, read);
        while let Some(event) = subscriber.poll_event(Duration::ZERO).expect("a message") {
            assert!(matches!(black_box(event), Event::Message(_)));
            count += 1;
        }
    }
    count
}
