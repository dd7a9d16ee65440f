//! The publisher, with readers that take messages only when they are told to.

mod full;
mod large;
mod leaving;
mod model;
mod sink;
mod together;

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Wake};

use bytes::{Bytes, BytesMut};
use zmtp_codec::{Config, Connection, Message, SocketType, Version};

use super::state::LOOK;
use super::*;
use crate::endpoint::Endpoint;
use crate::engine::admission::Killed;
use crate::engine::burst::{Burst, SLICES};
use crate::engine::driver::Session;
use crate::engine::transport::Outlet;
use crate::error::{Overrun, Reason};
use crate::monitor::Event;
use crate::options::{HighWaterMark, Mark, Matching, Sending};
use crate::peer::PeerId;
use crate::send::SendCore as _;
use crate::send::journal::BLOCK;
use crate::send::outbox::{LARGE, SHORT, TAKE};
use crate::send::turn::{OCTETS_PER_COST, SENT, TURN};
use crate::stats::{PeerState, PeerStats};
use crate::sync::Woken;

fn publisher(limit: usize) -> Arc<PubCore> {
    publisher_with(limit, Publishing::default())
}

fn publisher_that_waits(limit: usize) -> Arc<PubCore> {
    publisher_with(limit, Publishing { when_full: WhenFull::Wait, ..Publishing::default() })
}

fn publisher_with(limit: usize, options: Publishing) -> Arc<PubCore> {
    let options = Publishing {
        sending: Sending { hwm: HighWaterMark::messages(limit), ..options.sending },
        ..options
    };
    Arc::new(PubCore::new(options, None, Arc::default()))
}

impl PublishSession {
    /// Applies a single change of a subscription.
    fn subscription(&mut self, subscription: Subscription) -> Result<(), Reason> {
        self.subscriptions(&mut vec![subscription])
    }
}

/// A peer that takes messages only when it is told to.
struct Reader {
    session: PublishSession,
    connection: Connection,
    burst: Burst,
    woken: Arc<Woken>,
    received: Vec<u8>,
}

impl Reader {
    fn new(core: &Arc<PubCore>, topic: &'static str) -> Self {
        Self::expellable(core, 0, topic).0
    }

    fn with_id(core: &Arc<PubCore>, id: u64, topic: &'static str) -> Self {
        Self::expellable(core, id, topic).0
    }

    /// A reader with the signal that expels it.
    fn expellable(core: &Arc<PubCore>, id: u64, topic: &'static str) -> (Self, Killed) {
        Self::open(core, id, topic, None)
    }

    /// Senders may write to `outlet` by themselves.
    fn open(
        core: &Arc<PubCore>,
        id: u64,
        topic: &'static str,
        outlet: Option<&Outlet>,
    ) -> (Self, Killed) {
        let endpoint = Endpoint::Inproc("test".into());
        let peer = Peer::new(PeerId(id), endpoint, "test");
        let info = PeerInfo::new(Version::V3_1);
        let (kill, expelled) = Kill::new();
        let ways = Ways { outlet, direct: None };
        let mut session = core.open(&peer, &info, ways, kill).expect("anybody may come");
        session.subscription(Subscription::Subscribe(Bytes::from(topic))).expect("within limits");
        let reader = Self {
            session,
            connection: Connection::new(Arc::new(Config::new(SocketType::Pub))),
            burst: Burst::default(),
            woken: Arc::default(),
            received: Vec::new(),
        };
        (reader, expelled)
    }

    /// Returns whether there were messages.
    fn take(&mut self) -> bool {
        let waker = Waker::from(self.woken.clone());
        let cx = &mut Context::from_waker(&waker);
        self.session.poll_outgoing(cx, &mut self.connection, &mut self.burst).is_ready()
    }

    /// The transport takes up to `octets`. Returns the number of messages that ended among them.
    fn write(&mut self, mut octets: usize) -> usize {
        let mut done = 0;
        while octets > 0 {
            if self.burst.is_empty() && !self.take() {
                break;
            }
            let mut slices = [IoSlice::new(&[]); SLICES];
            let count = self.burst.slices(&mut slices);
            let mut written = 0;
            for slice in &slices[..count] {
                let part = slice.len().min(octets - written);
                self.received.extend_from_slice(&slice[..part]);
                written += part;
            }
            octets -= written;
            let messages = self.burst.advance(written);
            self.session.written(messages, written);
            done += messages;
        }
        done
    }
}

fn send(core: &PubCore, body: &[u8]) {
    core.try_send(&Outgoing::from(body)).expect("the socket is open");
}

#[test]
fn a_driver_is_woken_when_its_peer_has_something_again_and_only_then() {
    let core = publisher(10);
    let mut reader = Reader::new(&core, "a");
    assert!(!reader.take());
    send(&core, b"b");
    assert_eq!(reader.woken.0.load(Ordering::Relaxed), 0, "nobody wants this");
    send(&core, b"a1");
    send(&core, b"a2");
    assert_eq!(reader.woken.0.load(Ordering::Relaxed), 1);
    reader.write(usize::MAX);
    assert_eq!(reader.received, b"\x00\x02a1\x00\x02a2");
    assert!(!reader.take());
    send(&core, b"a3");
    assert_eq!(reader.woken.0.load(Ordering::Relaxed), 2);
}

/// Addresses and lengths of the pieces that a reader's driver has taken.
fn pieces(reader: &Reader) -> Vec<(*const u8, usize)> {
    let mut slices = [IoSlice::new(&[]); SLICES];
    let count = reader.burst.slices(&mut slices);
    slices[..count].iter().map(|slice| (slice.as_ptr(), slice.len())).collect()
}

fn runs(core: &PubCore, reader: &Reader) -> usize {
    core.settled().peers[reader.session.key()].outbox.runs()
}

#[test]
fn messages_that_follow_one_another_are_one_run_and_one_piece() {
    let core = publisher(1000);
    let mut reader = Reader::new(&core, "");
    (0..100).for_each(|_| send(&core, b"x"));
    assert_eq!(runs(&core, &reader), 1);
    assert!(reader.take());
    assert_eq!(pieces(&reader).len(), 1);
}

#[test]
fn short_runs_are_taken_together_and_long_ones_as_they_lie() {
    let core = publisher(1000);
    let mut readers = [Reader::new(&core, "a"), Reader::new(&core, "a")];
    let _other = Reader::new(&core, "b");
    for length in [10, SHORT - 10, SHORT - 9, 10, 10] {
        let mut body = vec![b'a'; length];
        send(&core, &body);
        body.fill(b'b');
        send(&core, &body);
    }
    assert_eq!(runs(&core, &readers[0]), 5);
    assert!(readers.iter_mut().all(Reader::take));
    let [one, other] = readers.each_ref().map(pieces);
    let lengths: Vec<usize> = one.iter().map(|(_, length)| *length).collect();
    // 2 or 9 octets of header each.
    assert_eq!(lengths, [12 + SHORT - 1, SHORT, 24]);
    let shared: Vec<bool> = one.iter().zip(&other).map(|(one, other)| one == other).collect();
    assert_eq!(shared, [false, true, false], "the long one is the same memory for both");
}

#[test]
fn a_driver_takes_no_more_than_a_burst() {
    let core = publisher(1000);
    let mut reader = Reader::new(&core, "");
    (0..100).for_each(|_| send(&core, &[0; 10_000]));
    assert!(reader.take());
    let octets: usize = pieces(&reader).iter().map(|(_, length)| length).sum();
    assert!((TAKE..TAKE + BLOCK).contains(&octets), "{octets}");
    assert_eq!(reader.write(usize::MAX), 100);
}

#[test]
fn a_peer_is_noted_once_as_a_reader_of_a_block() {
    let core = publisher(1000);
    let mut reader = Reader::new(&core, "");
    for _ in 0..50 {
        send(&core, b"x");
        reader.write(usize::MAX);
    }
    assert_eq!(core.settled().journal.readers(), [reader.session.key()]);
}

#[test]
fn who_wants_a_good_part_of_a_block_keeps_it_and_who_wants_little_a_copy() {
    for (part, pinned) in [(BLOCK / 4 - 9, 1), (BLOCK / 4 - 8, 3)] {
        let core = publisher(1000);
        let reader = Reader::new(&core, "a");
        let mut drained = Reader::new(&core, "");
        for _ in 0..3 {
            send(&core, &vec![b'a'; part]);
            send(&core, &vec![b'b'; BLOCK - part - 18]);
            drained.write(usize::MAX);
            // Octets that have been written do not count when the block ends.
            assert!(!drained.take());
        }
        let outbox = &core.settled().peers[reader.session.key()].outbox;
        assert_eq!(outbox.pinned_blocks(), pinned, "{part} octets of each block");
    }
}

#[test]
fn a_slow_peer_does_not_keep_whole_blocks_for_one_small_message_of_each() {
    let core = publisher(1000);
    let mut slow = Reader::new(&core, "small");
    let mut fast = Reader::new(&core, "");
    let large = vec![b'L'; 20_000];
    for _ in 0..200 {
        send(&core, b"small");
        send(&core, &large);
        fast.write(usize::MAX);
    }
    let state = core.settled();
    let pinned = state.peers[slow.session.key()].outbox.pinned_blocks();
    assert!(pinned <= 1, "{pinned} blocks for 200 messages of 5 octets");
    drop(state);
    assert_eq!(slow.write(usize::MAX), 200);
    assert_eq!(slow.received, b"\x00\x05small".repeat(200));
}

#[test]
fn a_message_larger_than_a_block_goes_whole_and_in_its_place() {
    let core = publisher(10);
    let mut reader = Reader::new(&core, "");
    let mut expected = BytesMut::new();
    for length in [1, 70_000, 2, 300_000, 3] {
        let body = vec![7; length];
        send(&core, &body);
        zmtp_codec::encode_message([&body[..]], &mut expected);
    }
    reader.write(usize::MAX);
    assert!(reader.received == expected);
}

#[test]
fn messages_for_the_same_peers_are_booked_once() {
    let core = publisher(1000);
    let _readers = [Reader::new(&core, "a"), Reader::new(&core, "a")];
    (0..100).for_each(|_| send(&core, b"a"));
    let state = lock(&core.state);
    assert_eq!((state.booking.messages, &state.booking.receivers[..]), (100, &[0, 1][..]));
    assert!(state.peers.iter().all(|(_, peer)| peer.outbox.is_empty()));
    drop(state);
    assert_eq!(core.stats().queued, 200);
}

#[test]
fn of_ten_thousand_peers_only_the_one_that_wants_a_message_is_touched() {
    let core = publisher(1000);
    let mut readers: Vec<Reader> = Vec::new();
    for number in 0..10_000 {
        let mut reader = Reader::new(&core, "");
        let topic = Bytes::from(format!("{number:05}"));
        reader.session.subscription(Subscription::Subscribe(topic)).expect("within limits");
        reader.session.subscription(Subscription::Cancel(Bytes::new())).expect("it is held");
        assert!(!reader.take());
        readers.push(reader);
    }
    send(&core, b"07531 27 33");
    assert_eq!(lock(&core.state).booking.receivers, [7531]);
    let woken = readers.iter().map(|reader| reader.woken.0.load(Ordering::Relaxed));
    assert_eq!(woken.enumerate().filter(|(_, times)| *times > 0).collect::<Vec<_>>(), [(7531, 1)]);
    assert_eq!(readers[7531].write(usize::MAX), 1);
}

#[test]
fn all_peers_are_listed_however_many_and_the_totals_list_none() {
    let core = publisher(1000);
    let readers: Vec<Reader> = (0..2 * LOOK + 1).map(|_| Reader::new(&core, "")).collect();
    send(&core, b"x");
    let stats = core.stats();
    assert_eq!(stats.peers.len(), readers.len());
    assert!(stats.peers.iter().all(|peer| (peer.queued, peer.subscriptions) == (1, 1)));
    let totals = core.totals();
    assert_eq!(totals, Stats { peers: Vec::new(), ..stats });
    assert_eq!((totals.queued, totals.subscriptions), (readers.len() as u64, readers.len() as u64));
}

#[test]
fn what_a_departed_peer_was_owed_is_counted() {
    let core = publisher(10);
    let mut reader = Reader::new(&core, "");
    (0..12).for_each(|_| send(&core, b"x"));
    assert_eq!(reader.write(4), 1);
    drop(reader);
    let stats = core.stats();
    assert_eq!((stats.sent, stats.dropped, stats.undelivered, stats.queued), (1, 2, 9, 0));
    assert_eq!(core.subscriber_count(), 0);
}

#[test]
fn a_peer_past_its_limit_of_subscriptions_is_told_apart() {
    let options = Publishing { max_topics: 2, max_topic_octets: 10, ..Publishing::default() };
    let core = Arc::new(PubCore::new(options, None, Arc::default()));
    let subscribe = |reader: &mut Reader, topic: &'static str| {
        reader.session.subscription(Subscription::Subscribe(Bytes::from(topic)))
    };
    let mut many = Reader::new(&core, "1");
    assert!(subscribe(&mut many, "2").is_ok());
    assert!(subscribe(&mut many, "2").is_ok(), "a repetition holds nothing new");
    assert!(matches!(
        subscribe(&mut many, "3"),
        Err(Reason::Overrun(Overrun::Subscriptions { .. }))
    ));
    let mut long = Reader::new(&core, "12345");
    assert!(matches!(
        subscribe(&mut long, "123456"),
        Err(Reason::Overrun(Overrun::Subscriptions { .. }))
    ));
    assert!(subscribe(&mut Reader::new(&core, "12345"), "54321").is_ok());
}

#[test]
fn a_sender_that_has_had_its_turn_lets_others_run() {
    let core = publisher(10_000);
    assert!(!core.take_turn());
    (0..TURN).for_each(|_| send(&core, b"nobody wants this"));
    assert!(core.take_turn());
    assert!(!core.take_turn(), "once");
    let _reader = Reader::new(&core, "");
    (0..TURN / SENT).for_each(|_| send(&core, b"x"));
    assert!(core.take_turn(), "what is sent costs more than what nobody wants");
    send(&core, &vec![0; TURN * OCTETS_PER_COST]);
    assert!(core.take_turn(), "and large messages cost more than small ones");
}

#[test]
fn a_sender_that_has_filled_a_queue_lets_its_driver_run() {
    let core = publisher(3);
    let _reader = Reader::new(&core, "");
    send(&core, b"1");
    send(&core, b"2");
    assert!(!core.take_turn());
    send(&core, b"3");
    assert!(core.take_turn());
    send(&core, b"lost, and no reason to wait again");
    assert!(!core.take_turn());
}
