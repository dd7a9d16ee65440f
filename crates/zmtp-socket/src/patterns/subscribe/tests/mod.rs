//! The subscriber, with publishers that take changes and messages only when they are asked to.

mod sending;
mod telling;

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp_codec::{Batch, Config, Connection, Message, PeerInfo, SocketType, Subscription, Version};

use super::session::SubscribeSession;
use super::{Back, CHANGES, NOTES, SubCore};
use crate::endpoint::Endpoint;
use crate::engine::admission::Kill;
use crate::engine::burst::{Burst, SLICES};
use crate::engine::driver::{Core, Session, Ways};
use crate::options::{Subscribing, UpstreamOptions};
use crate::peer::{Peer, PeerId};
use crate::receive::Receiver;
use crate::sync::lock;

fn peer() -> Peer {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let id = NEXT.fetch_add(1, Ordering::Relaxed);
    Peer::new(PeerId(id), Endpoint::Inproc("test".into()), "test")
}

fn subscriber() -> Arc<SubCore> {
    Arc::new(SubCore::new(Subscribing::default(), None, Arc::default()))
}

/// A publisher that does nothing by itself.
struct PubCore {
    session: SubscribeSession,
    connection: Connection,
    burst: Burst,
}

impl PubCore {
    fn new(core: &Arc<SubCore>) -> Self {
        let info = PeerInfo::new(Version::V3_1);
        let session =
            core.open(&peer(), &info, Ways::default(), Kill::new().0).expect("anybody may");
        let mut connection = Connection::new(Arc::new(Config::new(SocketType::Sub)));
        connection.output().clear();
        Self { session, connection, burst: Burst::default() }
    }

    /// Asks for octets to write. Returns whether there were any.
    fn take(&mut self, waker: &Waker) -> bool {
        let cx = &mut Context::from_waker(waker);
        self.session.poll_outgoing(cx, &mut self.connection, &mut self.burst).is_ready()
    }

    /// The transport takes up to so many octets.
    fn write(&mut self, octets: usize) {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.burst.slices(&mut slices);
        let octets = octets.min(slices[..count].iter().map(|slice| slice.len()).sum());
        let messages = self.burst.advance(octets);
        self.session.written(messages, octets);
    }

    fn send(&mut self, message: &'static str) {
        self.session.messages(Batch::from(Message::from(message))).expect("there is room");
    }
}

#[test]
fn to_meet_a_publisher_takes_the_same_time_however_many_topics_there_are() {
    let core = subscriber();
    for topic in 0..20_000_u32 {
        core.subscribe(&topic.to_be_bytes());
    }
    let begun = Instant::now();
    let publishers: Vec<PubCore> = (0..2000).map(|_| PubCore::new(&core)).collect();
    // Copying the topics for each publisher would take half a minute, and gigabytes.
    assert!(begun.elapsed() < Duration::from_secs(2), "it took {:?}", begun.elapsed());
    assert_eq!(core.stats().peers.len(), publishers.len());
}

/// A waker that calls the subscriber.
struct Looks(Arc<SubCore>, AtomicUsize);

impl Wake for Looks {
    fn wake(self: Arc<Self>) {
        let _subscriptions = self.0.subscriptions.try_lock().expect("released before wakers run");
        let _inbox = self.0.inbox.try_lock().expect("released before wakers run");
        self.1.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn wakers_run_when_no_lock_is_held() {
    let sending = Some(UpstreamOptions::default());
    let core = Arc::new(SubCore::new(Subscribing::default(), sending, Arc::default()));
    let looks = Arc::new(Looks(core.clone(), AtomicUsize::new(0)));
    let waker = Waker::from(looks.clone());
    let mut publisher = PubCore::new(&core);
    let mut woken = 0;
    let mut expect_wake = |what: &str| {
        woken += 1;
        assert_eq!(looks.1.load(Ordering::Relaxed), woken, "{what}");
    };
    assert!(!publisher.take(&waker));
    core.send(&"hello".into()).expect("it is open");
    expect_wake("a message to be sent");
    assert!(publisher.take(&waker));
    publisher.write(7);
    assert!(!publisher.take(&waker));
    core.subscribe(b"a");
    expect_wake("a subscription");
    lock(&core.subscriptions).upstreams[0].outbox.waker = Some(waker.clone());
    core.unsubscribe(b"a");
    expect_wake("its end");
    let mut receiver = Receiver::default();
    let cx = &mut Context::from_waker(&waker);
    assert!(receiver.poll_next(&*core, cx).is_pending());
    publisher.send("a");
    assert_eq!(looks.1.load(Ordering::Relaxed), 3, "the driver's turn is not over");
    publisher.session.end_turn();
    expect_wake("a message that has arrived");
    assert!(matches!(receiver.poll_next(&*core, cx), Poll::Ready(Ok(_))));
    assert!(receiver.poll_next(&*core, cx).is_pending());
    core.close();
    expect_wake("the end");
}

/// A driver that waits again as soon as it has been woken.
struct WaitsAgain(Arc<SubCore>, AtomicUsize);

impl Wake for WaitsAgain {
    fn wake(self: Arc<Self>) {
        self.1.fetch_add(1, Ordering::Relaxed);
        let waker = Waker::from(self.clone());
        lock(&self.0.subscriptions).upstreams[0].outbox.waker = Some(waker);
    }
}

#[test]
fn many_changes_take_one_wake_up_for_each_lock() {
    let core = subscriber();
    let _publisher = PubCore::new(&core);
    let driver = Arc::new(WaitsAgain(core.clone(), AtomicUsize::new(0)));
    driver.clone().wake();
    let expect_wakes = |wakes: usize, what: &str| {
        assert_eq!(driver.1.swap(0, Ordering::Relaxed), wakes, "{what}");
    };
    expect_wakes(1, "that was us");
    let topics = || (0..4 * CHANGES - 1).map(|number| Bytes::from(number.to_string()));
    let begins: Vec<_> = topics().map(Subscription::Subscribe).collect();
    let ends: Vec<_> = topics().map(Subscription::Cancel).collect();
    core.change(&begins, Back::One);
    expect_wakes(4, "new topics");
    core.change(&begins, Back::One);
    expect_wakes(0, "topics that are known");
    core.change(&ends, Back::One);
    expect_wakes(0, "topics that remain");
    core.change(&begins, Back::One);
    core.change(&ends, Back::All);
    expect_wakes(4, "the ends of all");
    assert_eq!(core.totals().subscriptions, 0);
}

#[test]
fn the_more_publishers_take_note_of_a_change_the_fewer_are_made_under_one_lock() {
    let core = subscriber();
    let mut publishers = Vec::new();
    for (count, at_once) in [(0, CHANGES), (1, CHANGES), (100, NOTES / 100), (2 * NOTES, 1)] {
        publishers.resize_with(count, || PubCore::new(&core));
        assert_eq!(lock(&core.subscriptions).changes_at_once(), at_once, "of {count}");
    }
}

#[test]
fn the_sender_is_that_of_the_last_message_whatever_was_thrown_out_since() {
    let core = subscriber();
    core.subscribe(b"a");
    let (mut first, mut second) = (PubCore::new(&core), PubCore::new(&core));
    let mut receiver = Receiver::default();
    assert!(receiver.sender().is_none());
    second.send("not asked for");
    assert!(receiver.try_next(&*core).expect("it is open").is_none());
    assert!(receiver.sender().is_none());
    first.send("a");
    second.send("not asked for");
    assert!(receiver.try_next(&*core).expect("it is open").is_some());
    let sender = receiver.sender().expect("a message has come").clone();
    assert!(receiver.try_next(&*core).expect("it is open").is_none());
    assert_eq!(receiver.sender(), Some(&sender));
}
