//! Scenarios whose instructions `count.py` counts. `instructions` lists them; `instructions NAME` runs
//! one, and prints how many operations [`measured`] has done.
//!
//! Nothing here depends on the time. Maps seeded at random do take another number of steps in each
//! run, but not in what is measured.

use std::hint::black_box;
use std::pin::pin;
use std::process::exit;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use micro::scene::{BATCH, BODY, Scene};
use micro::topics::{drawn, zipcode};
use micro::wire::{in_traffic, sealed};
use zmtp_codec::{Batch, Connection, Event, Message};
use zmtp_socket::fuzzing::PrefixMap;

/// Rounds before any is counted: queues and buffers grow to their size in them.
const WARM_UP: usize = 4;
const ROUNDS: usize = 4;

const ZIPCODES: u32 = 10_000;

/// The name of a scenario, and what runs it and returns the number of operations.
type Scenario = (&'static str, fn() -> usize);

const SCENARIOS: [Scenario; 19] = [
    ("encode, 64 B", || encode(64)),
    ("encode, 16 KiB", || encode(16 << 10)),
    ("decode one by one, 64 B", || decode(one_by_one)),
    ("decode in batches, 64 B", || decode(in_batches)),
    ("decode borrowed, 64 B", || decode(borrowed)),
    ("seal, 64 B", || seal(64, BATCH)),
    ("seal, 16 KiB", || seal(16 << 10, 16)),
    ("open, 64 B", || open(64, BATCH)),
    ("open, 16 KiB", || open(16 << 10, 16)),
    ("look up, 10,000 zipcodes, wanted", || look_up(zipcode)),
    ("look up, 10,000 zipcodes, unwanted", || look_up(unwanted)),
    ("try_send, 64 B, no subscriber", || try_send(0, BATCH)),
    ("try_send, 64 B, 1 subscriber", || try_send(1, BATCH)),
    ("try_send, 64 B, 32 subscribers", || try_send(32, BATCH)),
    // Valgrind takes its time: fewer messages will do.
    ("try_send, 64 B, 1000 subscribers", || try_send(1000, BATCH / 8)),
    ("send_many, 64 B, 1 subscriber", send_many),
    ("try_recv, 64 B", try_recv),
    ("recv_batch, 64 B", recv_batch),
    ("subscribe and cancel, 10,000 zipcodes", change),
];

fn main() {
    let Some(name) = std::env::args().nth(1) else {
        SCENARIOS.iter().for_each(|(name, _)| println!("{name}"));
        return;
    };
    let Some((_, run)) = SCENARIOS.iter().find(|(it, _)| *it == name) else {
        eprintln!("there is no scenario {name}");
        exit(2);
    };
    println!("{}", run());
}

/// Only instructions within this function are counted: `count.py` names this function to callgrind.
#[inline(never)]
fn measured(work: &mut dyn FnMut()) {
    work();
    // So that the call before is no jump, which would leave this function before its work is done.
    black_box(());
}

/// Measures rounds of so many operations each, and gives back the number of all of them.
fn rounds<S>(
    operations: usize,
    state: &mut S,
    prepare: impl Fn(&mut S),
    work: impl Fn(&mut S),
) -> usize {
    for _ in 0..WARM_UP {
        prepare(state);
        work(state);
    }
    for _ in 0..ROUNDS {
        prepare(state);
        measured(&mut || work(state));
    }
    ROUNDS * operations
}

fn encode(size: usize) -> usize {
    let message = Message::from(vec![b'd'; size]);
    let mut out = BytesMut::with_capacity(BATCH * message.encoded_len());
    rounds(BATCH, &mut out, BytesMut::clear, |out| {
        for _ in 0..BATCH {
            black_box(&message).encode(out);
        }
    })
}

/// Messages that have come with one read.
fn decode(take_out: fn(&mut Connection) -> usize) -> usize {
    let message = Message::from(&BODY[..]);
    let mut wire = BytesMut::new();
    (0..BATCH).for_each(|_| message.encode(&mut wire));
    let wire: Bytes = wire.freeze();
    rounds(
        BATCH,
        &mut in_traffic(),
        |_| (),
        |connection| {
            connection.receive(Duration::ZERO, &wire);
            assert_eq!(take_out(connection), BATCH);
        },
    )
}

fn one_by_one(connection: &mut Connection) -> usize {
    let mut count = 0;
    while let Some(event) = connection.poll_event(Duration::ZERO).expect("a message") {
        assert!(matches!(black_box(event), Event::Message(_)));
        count += 1;
    }
    count
}

fn in_batches(connection: &mut Connection) -> usize {
    let mut count = 0;
    while let Some(batch) = connection.poll_batch(BATCH) {
        for message in batch {
            black_box(message);
            count += 1;
        }
    }
    count
}

fn borrowed(connection: &mut Connection) -> usize {
    let mut count = 0;
    while let Some(batch) = connection.poll_batch(BATCH) {
        count += batch.len();
        looked_at(&batch);
    }
    count
}

fn looked_at(batch: &Batch) {
    for message in batch {
        black_box(message.first());
    }
}

/// Under CURVE, in bursts of so many messages. How many instructions that takes depends on the vectors that
/// the processor has: valgrind knows those of AVX2.
fn seal(size: usize, messages: usize) -> usize {
    let frames = frames(size, messages);
    let mut state = (sealed().0, BytesMut::new());
    rounds(
        messages,
        &mut state,
        |(_, out)| out.clear(),
        |(publisher, out)| publisher.seal([&frames[..]], out).expect("in traffic"),
    )
}

fn open(size: usize, messages: usize) -> usize {
    let frames = frames(size, messages);
    let (publisher, subscriber) = sealed();
    let mut state = (publisher, subscriber, BytesMut::new());
    rounds(
        messages,
        &mut state,
        |(publisher, _, wire)| {
            *wire = BytesMut::new();
            publisher.seal([&frames[..]], wire).expect("in traffic");
        },
        |(_, subscriber, wire)| {
            let arrived = wire.len();
            std::mem::swap(subscriber.input(), wire);
            subscriber.handle_input(Duration::ZERO, arrived);
            let batch = subscriber.poll_batch(messages).expect("all of them");
            assert_eq!(black_box(batch).len(), messages);
        },
    )
}

/// Messages, encoded one after the other.
fn frames(size: usize, messages: usize) -> BytesMut {
    let message = Message::from(vec![b'd'; size]);
    let mut frames = BytesMut::new();
    (0..messages).for_each(|_| message.encode(&mut frames));
    frames
}

fn look_up(topic: fn(u32) -> String) -> usize {
    let messages: Vec<_> =
        drawn(ZIPCODES).map(|number| format!("{} 27 33", topic(number))).take(16 * BATCH).collect();
    rounds(
        messages.len(),
        &mut zipcodes(),
        |_| (),
        |index| {
            for message in &messages {
                black_box(index.prefixes_of(message.as_bytes()).count());
            }
        },
    )
}

/// Like one that is subscribed to, up to the fourth octet.
fn unwanted(number: u32) -> String {
    format!("{}x", &zipcode(number)[..4])
}

fn change() -> usize {
    let topics: Vec<_> = drawn(ZIPCODES).map(zipcode).take(4 * BATCH).collect();
    rounds(
        topics.len(),
        &mut zipcodes(),
        |_| (),
        |index| {
            for topic in &topics {
                let id = index.find(topic.as_bytes()).expect("it was subscribed to");
                index.remove(id);
                index.insert(topic.as_bytes(), 1);
            }
        },
    )
}

fn zipcodes() -> PrefixMap {
    let mut index = PrefixMap::default();
    for number in 0..ZIPCODES {
        index.insert(zipcode(number).as_bytes(), number);
    }
    index
}

/// The cost of `send` for its caller: drivers run between the rounds only.
fn try_send(subscribers: usize, messages: usize) -> usize {
    let mut scene = Scene::new(subscribers);
    let operations = rounds(messages, &mut scene, Scene::drain, |scene| {
        for _ in 0..messages {
            scene.publisher.try_send(black_box(&BODY)).expect("the socket is open");
        }
    });
    let lost = scene.publisher.stats().dropped;
    assert_eq!(lost, 0, "what is dropped costs less than what is queued");
    operations
}

/// A call for each round: those of all rounds are one turn of the sender.
fn send_many() -> usize {
    let messages = [BODY; BATCH / 4];
    rounds(messages.len(), &mut Scene::new(1), Scene::drain, |scene| {
        let sent = at_once(scene.publisher.send_many(black_box(&messages)));
        assert_eq!(sent, Ok(messages.len()));
    })
}

/// Messages that are only looked at.
fn recv_batch() -> usize {
    rounds(BATCH, &mut Scene::new(1), Scene::fill, |scene| {
        let mut received = 0;
        while received < BATCH {
            let batch = at_once(scene.subscribers[0].recv_batch()).expect("the socket is open");
            received += batch.len();
            looked_at(&batch);
        }
    })
}

/// The result of a call that need not wait.
fn at_once<T>(call: impl Future<Output = T>) -> T {
    match pin!(call).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(result) => result,
        Poll::Pending => panic!("the call waits"),
    }
}

fn try_recv() -> usize {
    rounds(BATCH, &mut Scene::new(1), Scene::fill, |scene| {
        for _ in 0..BATCH {
            black_box(scene.subscribers[0].try_recv()).expect("a message has arrived");
        }
    })
}
