use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::task::JoinHandle;
use zmtp_codec::SocketType;

use super::turn::{CHANGES_WITHOUT_PAUSE, SUBSCRIPTION_OF_MANY, TOPIC, TURN, TURNS_FOR_A_STEP};
use super::*;
use crate::endpoint::Endpoint;
use crate::engine::signal::Signals;
use crate::options::{Linger, LinkOptions, SocketOptions};
use crate::patterns::publish::PubCore;
use crate::sockets::context::Context as Sockets;

/// The size of what a function returns, without calling it.
fn size_of_output<A, B, C, D, E, F, G, T>(_: impl FnOnce(A, B, C, D, E, F, G) -> T) -> usize {
    size_of::<T>()
}

#[test]
fn a_connection_costs_a_publisher_little() {
    let size = size_of_output(run::<PubCore>);
    assert!(size <= 912, "{size} octets for each connection's future");
}

/// A core that counts what it is given.
#[derive(Default)]
struct Counter {
    changes: AtomicUsize,
    messages: AtomicUsize,
    /// Topics that have been examined, and those that are still to be.
    topics: AtomicUsize,
    left: AtomicUsize,
    /// The number of steps that it takes to forget the peer.
    steps: AtomicUsize,
    /// How often unsent messages have been given back.
    given_back: AtomicUsize,
    /// Whether topics wait until the session is told to drain.
    rests: AtomicBool,
}

struct Counting(Arc<Counter>);

impl Core for Counter {
    type Session = Counting;

    fn open(
        self: &Arc<Self>,
        _: &Peer,
        _: &PeerInfo,
        _: Ways<'_>,
        _: Kill,
    ) -> Result<Counting, Reason> {
        Ok(Counting(self.clone()))
    }

    fn look_at(&self, _: usize, _: &mut Vec<PeerStats>) -> Option<usize> {
        None
    }

    fn totals(&self) -> Stats {
        Stats::default()
    }

    fn close(&self) {}

    fn interrupt(&self) {}

    fn unfinished(&self) -> Unfinished {
        Unfinished::default()
    }
}

impl Session for Counting {
    fn poll_room(&mut self, _: &mut Context<'_>) -> Poll<usize> {
        Poll::Ready(usize::MAX)
    }

    fn messages(&mut self, batch: Batch) -> Result<(), Reason> {
        self.0.messages.fetch_add(batch.len(), Ordering::Relaxed);
        Ok(())
    }

    fn subscriptions(&mut self, changes: &mut Vec<Subscription>) -> Result<(), Reason> {
        self.0.changes.fetch_add(changes.drain(..).count(), Ordering::Relaxed);
        Ok(())
    }

    fn poll_outgoing(
        &mut self,
        _: &mut Context<'_>,
        _: &mut Connection,
        _: &mut Burst,
    ) -> Poll<usize> {
        if self.0.rests.load(Ordering::Relaxed) {
            return Poll::Pending;
        }
        let left = self.0.left.load(Ordering::Relaxed);
        let topics = left.min(100);
        self.0.topics.fetch_add(topics, Ordering::Relaxed);
        self.0.left.store(left - topics, Ordering::Relaxed);
        if topics > 0 { Poll::Ready(topics) } else { Poll::Pending }
    }

    fn drain(&mut self) {
        self.0.rests.store(false, Ordering::Relaxed);
    }

    fn written(&mut self, _: usize, _: usize) {}

    fn give_back(&mut self, _: Burst) {
        self.0.given_back.fetch_add(1, Ordering::Relaxed);
    }

    fn leave(&mut self) -> bool {
        assert_eq!(self.0.given_back.load(Ordering::Relaxed), 1, "before the first step");
        let left = self.0.steps.load(Ordering::Relaxed).saturating_sub(1);
        self.0.steps.store(left, Ordering::Relaxed);
        left > 0
    }
}

/// The greeting and READY of a peer.
fn opening(ready: &[u8]) -> Vec<u8> {
    let greeting = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL";
    [&greeting[..], &[0; 48], ready].concat()
}

/// A driver with a peer at the other end of the pipe.
fn drive(socket_type: SocketType) -> (Arc<Counter>, DuplexStream) {
    let (core, far, _kill, _task) = drive_to_an_end(socket_type);
    (core, far)
}

/// The same, with two handles that end it.
fn drive_to_an_end(socket_type: SocketType) -> (Arc<Counter>, DuplexStream, Kill, JoinHandle<End>) {
    let (kill, expelled) = Kill::new();
    let (core, far, task) = drive_until(socket_type, expelled);
    (core, far, kill, task)
}

/// The same, until the signal says so.
fn drive_until(
    socket_type: SocketType,
    expelled: Killed,
) -> (Arc<Counter>, DuplexStream, JoinHandle<End>) {
    let terms = LinkConfig::new(LinkOptions::default(), socket_type);
    let networks = Sockets::new().networks;
    let limits =
        SocketOptions { max_connections: 1, max_handshakes: 1, ..SocketOptions::default() };
    let socket =
        Arc::new(Shared::new(networks, terms.clone(), limits, Linger::NONE, Arc::default()));
    let core = Arc::new(Counter::default());
    let (near, far) = tokio::io::duplex(8 << 20);
    let peer = socket.new_peer(&Endpoint::Inproc("test".into()), "test");
    let permit = Permit::dialled(expelled.kill());
    let stream = Stream::Pipe(Box::new(near), None);
    let task = tokio::spawn(run(stream, peer, permit, expelled, core.clone(), socket, terms));
    (core, far, task)
}

/// Feeds `flood` to the driver, and returns the most that it has counted between two turns of ours.
async fn longest_turn(
    socket_type: SocketType,
    ready: &[u8],
    flood: &[u8],
    count: impl Fn(&Counter) -> usize,
    all: usize,
) -> usize {
    let (core, mut peer) = drive(socket_type);
    peer.write_all(&[&opening(ready), flood].concat()).await.expect("there is room");
    longest_between_turns(&core, count, all).await
}

/// The most that is counted between two turns of ours.
async fn longest_between_turns(
    core: &Counter,
    count: impl Fn(&Counter) -> usize,
    all: usize,
) -> usize {
    let (mut before, mut longest) = (0, 0);
    while before < all {
        tokio::task::yield_now().await;
        let now = count(core);
        longest = longest.max(now - before);
        before = now;
    }
    assert_eq!(before, all);
    longest
}

const READY_SUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB";
const READY_PUB: &[u8] = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB";
const CHANGES: usize = 20_000;

#[tokio::test]
async fn changes_of_subscriptions_are_charged_to_the_turn() {
    let change = b"\x04\x0B\x09SUBSCRIBEA\x04\x08\x06CANCELA".repeat(CHANGES / 2);
    let changes = |core: &Counter| core.changes.load(Ordering::Relaxed);
    let longest = longest_turn(SocketType::Pub, READY_SUB, &change, changes, CHANGES).await;
    assert!(longest <= TURN.div_ceil(SUBSCRIPTION), "{longest} changes in one turn");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_changes_its_mind_too_often_pauses_and_a_newcomer_with_many_topics_does_not() {
    const MANY: usize = CHANGES_WITHOUT_PAUSE as usize;
    let (core, mut peer) = drive(SocketType::Pub);
    let change = b"\x04\x0B\x09SUBSCRIBEA\x04\x08\x06CANCELA".repeat(MANY / 2);
    peer.write_all(&[&opening(READY_SUB)[..], &change, &change].concat()).await.unwrap();
    let begun = Instant::now();
    for (all, least) in [(MANY, 0), (2 * MANY, MANY / (TURN / SUBSCRIPTION_OF_MANY))] {
        while core.changes.load(Ordering::Relaxed) < all {
            tokio::time::sleep(Duration::from_micros(1)).await;
        }
        let pauses = begun.elapsed().as_millis() as usize;
        assert!(pauses >= least && pauses <= 3 * least + 20, "{pauses} ms for {all} changes");
    }
}

#[tokio::test]
async fn topics_that_are_looked_at_are_charged_to_the_turn_though_nothing_is_written() {
    let (core, mut peer) = drive(SocketType::Sub);
    core.left.store(CHANGES, Ordering::Relaxed);
    peer.write_all(&opening(READY_PUB)).await.expect("there is room");
    let topics = |core: &Counter| core.topics.load(Ordering::Relaxed);
    let longest = longest_between_turns(&core, topics, CHANGES).await;
    assert!(longest <= TURN / TOPIC + 100, "{longest} topics in one turn");
}

#[tokio::test]
async fn others_get_turns_for_each_step_in_which_a_peer_is_forgotten() {
    const STEPS: usize = 100;
    let (core, mut peer) = drive(SocketType::Pub);
    core.steps.store(STEPS, Ordering::Relaxed);
    peer.write_all(&opening(READY_SUB)).await.expect("there is room");
    peer.shutdown().await.expect("a pipe can be shut");
    let mut turns = 0;
    loop {
        let left = core.steps.load(Ordering::Relaxed);
        if left == 0 {
            break;
        }
        turns += usize::from(left < STEPS);
        tokio::task::yield_now().await;
    }
    let least = (STEPS - 2) * TURNS_FOR_A_STEP;
    assert!(turns >= least, "{turns} turns while it was forgotten, of {least}");
}

#[tokio::test]
async fn however_a_connection_ends_what_is_unsent_is_given_back_once() {
    for end in ["hung up", "broke the protocol", "killed", "killed while it parts", "dropped"] {
        let (core, mut peer, kill, task) = drive_to_an_end(SocketType::Pub);
        core.left.store(1, Ordering::Relaxed);
        peer.write_all(&opening(READY_SUB)).await.expect("there is room");
        while core.left.load(Ordering::Relaxed) > 0 {
            tokio::task::yield_now().await;
        }
        assert_eq!(core.given_back.load(Ordering::Relaxed), 0);
        match end {
            "hung up" => peer.shutdown().await.expect("a pipe can be shut"),
            "broke the protocol" => {
                peer.write_all(b"\xFF").await.expect("there is room");
                peer.shutdown().await.expect("a pipe can be shut");
            }
            "killed" => kill.because(Reason::Stopped),
            "killed while it parts" => {
                peer.write_all(b"\xFF").await.expect("there is room");
                while core.given_back.load(Ordering::Relaxed) == 0 {
                    tokio::task::yield_now().await;
                }
                kill.because(Reason::Stopped);
            }
            _ => task.abort(),
        }
        assert_eq!(task.await.is_err(), end == "dropped", "{end}");
        assert_eq!(core.given_back.load(Ordering::Relaxed), 1, "{end}");
    }
}

#[tokio::test]
async fn a_socket_that_closes_sends_all_to_a_peer_whose_handshake_is_done_only_then() {
    let signals = Signals::default();
    signals.drain();
    let (core, mut peer, task) = drive_until(SocketType::Pub, signals.add());
    core.rests.store(true, Ordering::Relaxed);
    core.left.store(1, Ordering::Relaxed);
    peer.write_all(&opening(READY_SUB)).await.expect("there is room");
    peer.read_to_end(&mut Vec::new()).await.expect("the driver hangs up");
    drop(peer);
    let end = task.await.expect("it does not panic");
    assert!(matches!(end.reason, Reason::Stopped), "{:?}", end.reason);
    assert_eq!(core.topics.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn messages_are_charged_to_the_turn() {
    let flood = b"\x00\x00".repeat(20 * CHANGES);
    let messages = |core: &Counter| core.messages.load(Ordering::Relaxed);
    let to_sub = longest_turn(SocketType::Sub, READY_PUB, &flood, messages, 20 * CHANGES).await;
    assert!(to_sub <= TURN / IN_BATCH, "{to_sub} messages in one turn");
    // An XPUB gets each message by itself; a PUB gets none.
    let to_pub = longest_turn(SocketType::XPub, READY_SUB, &flood, messages, 20 * CHANGES).await;
    assert!(to_pub <= TURN / EVENT, "{to_pub} messages in one turn");
}

#[tokio::test]
async fn what_is_left_at_the_end_of_a_turn_is_dealt_with_before_the_end_of_the_stream() {
    let (core, mut peer) = drive(SocketType::Pub);
    let flood = b"\x04\x0B\x09SUBSCRIBEA".repeat(CHANGES);
    peer.write_all(&[&opening(READY_SUB), &flood[..]].concat()).await.expect("there is room");
    peer.shutdown().await.expect("a pipe can be shut");
    let mut heard = Vec::new();
    peer.read_to_end(&mut heard).await.expect("the driver hangs up");
    assert_eq!(core.changes.load(Ordering::Relaxed), CHANGES);
}
