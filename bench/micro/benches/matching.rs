//! Who wants this message: one walk down the index of all subscriptions, from one of them to a
//! million. Before the times, the memory that each subscription takes is printed.

use divan::counter::ItemsCount;
use divan::{Bencher, black_box};
use micro::topics::{drawn, long_topic, zipcode};
use zmtp_socket::fuzzing::PrefixMap;

const COUNTS: [u32; 5] = [1, 100, 10_000, 100_000, 1_000_000];

/// Messages looked up in one iteration, other ones in the next.
const BATCH: usize = 1024;

fn main() {
    println!("octets of memory for each subscription:");
    for count in COUNTS {
        let [zipcodes, long] = [zipcode, long_topic].map(|topic| memory(count, topic));
        println!("{count:>9}: {zipcodes:6.1} as zipcodes, {long:6.1} as long topics");
    }
    divan::main();
}

/// Topics of 5 to 7 digits; an update of one that is subscribed to.
#[divan::bench(args = COUNTS)]
fn zipcodes(bencher: Bencher, count: u32) {
    walk(bencher, count, zipcode);
}

/// Topics of 20 to 40 octets that share long beginnings.
#[divan::bench(args = COUNTS)]
fn long_topics(bencher: Bencher, count: u32) {
    walk(bencher, count, long_topic);
}

/// Messages that nobody wants, the commonest case of the weather.
#[divan::bench(args = COUNTS)]
fn unwanted(bencher: Bencher, count: u32) {
    let index = index(count, zipcode);
    // Like one that is subscribed to, up to the fourth octet.
    let messages = messages(count, |number| format!("{}x", &zipcode(number)[..4]));
    look_up(bencher, &index, &messages, |wanting| wanting == 0);
}

fn walk(bencher: Bencher, count: u32, topic: fn(u32) -> String) {
    let index = index(count, topic);
    let messages = messages(count, topic);
    look_up(bencher, &index, &messages, |wanting| wanting > 0);
}

fn look_up(
    bencher: Bencher,
    index: &PrefixMap,
    messages: &[Vec<u8>],
    is_right: impl Fn(usize) -> bool,
) {
    let mut batches = messages.chunks_exact(BATCH).cycle();
    bencher.counter(ItemsCount::new(BATCH)).bench_local(|| {
        for message in batches.next().expect("a cycle") {
            assert!(is_right(index.prefixes_of(black_box(message)).count()));
        }
    });
}

/// Messages about topics drawn at random: no cache and no branch predictor is to know what comes.
fn messages(count: u32, topic: impl Fn(u32) -> String) -> Vec<Vec<u8>> {
    let message = |number| format!("{} 27 33", topic(number)).into_bytes();
    drawn(count).map(message).take(64 * BATCH).collect()
}

fn index(count: u32, topic: fn(u32) -> String) -> PrefixMap {
    let mut index = PrefixMap::default();
    for number in 0..count {
        index.insert(topic(number).as_bytes(), number);
    }
    index
}

fn memory(count: u32, topic: fn(u32) -> String) -> f64 {
    index(count, topic).memory() as f64 / f64::from(count)
}
