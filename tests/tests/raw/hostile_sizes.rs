//! Peers whose frames have every size: the largest that can be announced, and all that make a decoder
//! move the octets in its buffer.

use zmtp_socket::{Configured, Options, PubOptions, PubSocket, SubOptions, SubSocket};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{
    ANY_PORT, READY_PUB, READY_SUB, RawListener, RawPeer, end_of, eventually, in_time,
};

/// Everything that can be announced is allowed.
fn widest<T: Configured>(options: Options<T>) -> Options<T> {
    options.max_message_size(u64::MAX).max_message_parts(usize::MAX).max_command_size(u64::MAX)
}

/// Headers whose size, with their own octets or with earlier ones, exceeds 2^63, though it may be
/// announced.
const LARGEST: [&[u8]; 6] = [
    b"\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x02\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xF7",
    b"\x03\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x06\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x01\x01A\x03\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x04\x04\x03HEY\x06\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xF8",
];

/// Headers that must not be announced, whatever the limits.
const TOO_LARGE: [&[u8]; 5] = [
    b"\x02\x80\0\0\0\0\0\0\0",
    b"\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xF7",
    b"\x03\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x06\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
    b"\x01\x01A\x02\xFF\xFF\xFF\xFF\xFF\xFF\xFF\xFF",
];

/// Each of these headers, and part of the reason for the connection's end.
fn headers() -> impl Iterator<Item = (&'static [u8], &'static str)> {
    let largest = LARGEST.into_iter().map(|header| (header, "the peer closed the connection"));
    let too_large =
        TOO_LARGE.into_iter().map(|header| (header, "the protocol allows at most 2^63-1"));
    largest.chain(too_large)
}

/// A SUB to "A" that allows everything and comes back within milliseconds, and its publisher.
async fn subscriber() -> (SubSocket, RawListener) {
    let listener = RawListener::bind().await;
    (listener.quick_subscriber(widest(SubOptions::new())), listener)
}

#[tokio::test]
async fn a_publisher_waits_for_the_largest_frame_there_is_and_serves_its_neighbour() {
    let publisher = PubSocket::with_options(widest(PubOptions::new()));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    for (header, rule) in headers() {
        let mut monitor = publisher.monitor();
        let mut peer = RawPeer::subscriber(&endpoint, "B").await;
        in_time("a subscription", publisher.wait_for_subscriber("B")).await.unwrap();
        peer.send(header).await;
        // And some octets of the body.
        let _closed = peer.try_send([b'x'; 10_000]).await;
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
        if LARGEST.contains(&header) {
            publisher.send("B").await.unwrap();
            peer.expect(b"\x00\x01B").await;
        }
        peer.finish().await;
        let address = peer.address();
        drop(peer);
        end_of(&mut monitor, &address).await.expect(true, rule);
    }
}

#[tokio::test]
async fn a_subscriber_waits_for_the_largest_frame_there_is_and_hears_its_neighbour() {
    let (mut subscriber, listener) = subscriber().await;
    let mut neighbour = Neighbour::publisher(&subscriber).await;
    for (header, rule) in headers() {
        let mut monitor = subscriber.monitor();
        let mut peer = listener.publisher().await;
        peer.send([b"\x00\x02A1", header].concat()).await;
        let message = in_time("what came before", subscriber.recv()).await.unwrap();
        assert_eq!(message.first(), "A1");
        let _closed = peer.try_send([b'x'; 10_000]).await;
        neighbour.send().await;
        peer.finish().await;
        drop(peer);
        end_of(&mut monitor, &listener.address()).await.expect(true, rule);
        neighbour.receive_all(&mut subscriber).await;
    }
}

/// A message frame in its short form, where there is one, or in its long form.
fn frame(long: bool, more: bool, body: &[u8]) -> Vec<u8> {
    let flags = u8::from(more);
    match u8::try_from(body.len()) {
        Ok(size) if !long => [&[flags, size], body].concat(),
        _ => [&[flags | 2][..], &(body.len() as u64).to_be_bytes(), body].concat(),
    }
}

/// A body of so many octets that begins with an A, and no two of its neighbours are alike.
fn body(size: usize) -> Vec<u8> {
    (0..size).map(|at| if at == 0 { b'A' } else { (at % 251) as u8 }).collect()
}

/// Sizes on both sides of each power of two that a buffer may have, of its header, and small ones.
fn sizes() -> Vec<usize> {
    let powers = (4..=18).map(|power| 1_usize << power);
    let around = powers.flat_map(|size| [size - 9, size - 2, size - 1, size, size + 1, size + 9]);
    around.filter(|size| (1..300_000).contains(size)).collect()
}

#[tokio::test]
async fn a_frame_whose_octets_stand_in_the_buffer_when_it_must_grow_arrives_whole() {
    let (mut subscriber, listener) = subscriber().await;
    let mut neighbour = Neighbour::publisher(&subscriber).await;
    let mut peer = listener.publisher().await;
    let mut chance = fastrand::Rng::with_seed(1);
    for size in sizes() {
        let whole = frame(chance.bool(), false, &body(size));
        let cut = chance.usize(1..whole.len());
        // When the first has been received, so has the beginning of the second, more or less.
        peer.send([&frame(chance.bool(), false, b"A"), &whole[..cut]].concat()).await;
        assert_eq!(in_time("a message", subscriber.recv()).await.unwrap().first(), "A");
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
        peer.send(&whole[cut..]).await;
        let message = in_time("the rest", subscriber.recv()).await.unwrap();
        assert!(message.parts() == [body(size)], "of {size} octets, cut after {cut}");
    }
}

#[tokio::test]
async fn a_giant_behind_a_flood_of_tiny_frames_arrives_whole_and_so_do_they() {
    const TINY: usize = 20_000;
    let (mut subscriber, listener) = subscriber().await;
    let mut neighbour = Neighbour::publisher(&subscriber).await;
    let mut peer = listener.publisher().await;
    let tiny =
        [frame(false, false, b"A"), frame(true, true, b"A"), frame(true, false, b"")].concat();
    let giant = frame(true, false, &body(8 << 20));
    let flood = [&tiny.repeat(TINY)[..], &giant, &tiny].concat();
    let sending = tokio::spawn(async move {
        peer.send(flood).await;
        peer
    });
    for number in 0..=TINY {
        if number == TINY {
            let message = in_time("the giant", subscriber.recv()).await.unwrap();
            assert!(message.parts() == [body(8 << 20)], "the giant is torn");
        }
        let message = in_time("a tiny one", subscriber.recv()).await.unwrap();
        assert_eq!(message.parts(), ["A"], "number {number}");
        let message = in_time("one of two parts", subscriber.recv()).await.unwrap();
        assert_eq!(message.parts(), ["A", ""], "number {number}");
    }
    neighbour.send().await;
    neighbour.receive_all(&mut subscriber).await;
    drop(sending.await.unwrap());
}

#[tokio::test]
async fn a_giant_subscription_behind_a_flood_of_tiny_frames_is_taken_whole() {
    let publisher = PubSocket::with_options(widest(PubOptions::new()));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    let topic = body(2 << 20);
    let flood = b"\x00\x00\x04\x04\x03HEY\x01\x00\x00\x01x".repeat(20_000);
    let subscription = frame(true, false, &[b"\x01", &topic[..]].concat());
    let (begin, rest) = subscription.split_at(100);
    peer.send([&flood, begin].concat()).await;
    neighbour.send().await;
    peer.send(rest).await;
    neighbour.send().await;
    neighbour.receive_all(&mut subscriber).await;
    in_time("the subscription", publisher.wait_for_subscriber(&topic)).await.unwrap();
    publisher.send(&topic[..topic.len() - 1]).await.unwrap();
    publisher.send(&topic).await.unwrap();
    peer.expect(frame(true, false, &topic)).await;
    eventually("one subscription", || publisher.subscriber_count() == 2).await;
}
