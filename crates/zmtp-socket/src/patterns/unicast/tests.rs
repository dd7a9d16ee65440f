//! The core by itself: the turns of the peers, the queues, and the counters of all messages.

use std::num::NonZeroUsize;
use std::pin::Pin;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Poll, Waker};
use std::time::Duration;

use futures_sink::Sink;
use proptest::prelude::*;
use zmtp_codec::{Batch, Config as Wire, Connection, SocketType, Version};

use super::sending::Waiting;
use super::*;
use crate::engine::burst::{Burst, SLICES};
use crate::engine::driver::Session;
use crate::error::SendError;
use crate::options::HighWaterMark;
use crate::send::flushing::Wait;
use crate::send::pace::Pace;
use crate::send::{Outgoing, SendCore as _, SinkCore as _};
use crate::stats::PeerState;
use crate::sync::Woken;

mod inside;
mod requests;
mod turns;

fn config(sends: Sends, hwm: usize) -> Config {
    let mark = HighWaterMark::Messages(NonZeroUsize::new(hwm).expect("a mark is positive"));
    let marks = Marks::new(mark, Some(usize::MAX), 0);
    Config {
        sends,
        receives: true,
        exclusive: false,
        present: marks,
        absent: marks,
        when_full: WhenFull::DropNew,
        immediate: false,
        mandatory: true,
        handover: false,
        request: None,
        probe: false,
        receiving: crate::options::Receiving::default(),
    }
}

fn core(config: Config) -> Arc<UnicastCore> {
    Arc::new(UnicastCore::new(config, Arc::default()))
}

fn endpoint(name: &str) -> Endpoint {
    Endpoint::Inproc(name.into())
}

/// A peer without a stream: it keeps the octets that its driver would write.
struct Other {
    peer: Peer,
    session: UnicastSession,
    connection: Connection,
    burst: Burst,
    killed: crate::engine::signal::Killed,
}

impl Other {
    fn accepted(core: &Arc<UnicastCore>) -> Self {
        Self::open(core, Peer::new(next_id(), endpoint("bound"), "test"), None).expect("it may")
    }

    fn dialled(core: &Arc<UnicastCore>, name: &str) -> Self {
        Self::open(core, Peer::dialled(next_id(), endpoint(name), "test"), None).expect("it may")
    }

    fn named(core: &Arc<UnicastCore>, identity: &'static str) -> Result<Self, Reason> {
        Self::open(core, Peer::new(next_id(), endpoint("bound"), "test"), Some(identity))
    }

    fn open(
        core: &Arc<UnicastCore>,
        peer: Peer,
        identity: Option<&'static str>,
    ) -> Result<Self, Reason> {
        let mut info = PeerInfo::new(Version::V3_1);
        if let Some(identity) = identity {
            let metadata = zmtp_codec::Metadata::new().with("Identity", identity);
            info.metadata = metadata.expect("a valid property");
        }
        Self::with_ways(core, peer, &info, Ways::default())
    }

    fn with_ways(
        core: &Arc<UnicastCore>,
        peer: Peer,
        info: &PeerInfo,
        ways: Ways<'_>,
    ) -> Result<Self, Reason> {
        let (kill, killed) = Kill::new();
        let session = core.open(&peer, info, ways, kill)?;
        let connection = Connection::new(Arc::new(Wire::new(SocketType::Dealer)));
        Ok(Self { peer, session, connection, burst: Burst::default(), killed })
    }

    /// Takes the messages that wait for this peer, without writing them.
    fn take(&mut self) -> bool {
        let woken = std::task::Waker::from(Arc::new(Woken::default()));
        let mut cx = std::task::Context::from_waker(&woken);
        self.session.poll_outgoing(&mut cx, &mut self.connection, &mut self.burst).is_ready()
    }

    /// Writes up to so many octets of the taken messages. Returns them.
    fn write(&mut self, most: usize) -> Vec<u8> {
        let mut slices = [std::io::IoSlice::new(&[]); SLICES];
        let count = self.burst.slices(&mut slices);
        let octets: Vec<u8> =
            slices[..count].iter().flat_map(|it| it.iter().copied()).take(most).collect();
        let messages = self.burst.advance(octets.len());
        self.session.written(messages, octets.len());
        octets
    }

    /// All messages that wait for this peer, as text.
    fn read(&mut self) -> Vec<String> {
        let mut octets = Vec::new();
        while !self.burst.is_empty() || self.take() {
            octets.extend(self.write(usize::MAX));
        }
        messages_of(&octets)
    }

    /// Ends the connection.
    fn cut(mut self) {
        self.session.claim(&mut self.burst);
        self.session.give_back(std::mem::take(&mut self.burst));
        while self.session.leave() {}
    }

    fn say(&mut self, text: &'static str) {
        self.session.messages(Batch::from(Message::from(text))).expect("it may speak");
    }
}

fn next_id() -> PeerId {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    PeerId(NEXT.fetch_add(1, Ordering::Relaxed))
}

/// The messages of one short frame each.
fn messages_of(mut octets: &[u8]) -> Vec<String> {
    let mut messages = Vec::new();
    while let [0, length, rest @ ..] = octets {
        let (body, behind) = rest.split_at(usize::from(*length));
        messages.push(String::from_utf8_lossy(body).into_owned());
        octets = behind;
    }
    assert!(octets.is_empty(), "only whole messages: {octets:?}");
    messages
}

fn send(core: &UnicastCore, text: &str) -> Result<(), SendError> {
    core.try_send(&text.into())
}

/// The messages that were dropped, and their octets.
fn losses(core: &UnicastCore) -> (u64, u64) {
    let totals = core.totals();
    (totals.dropped, totals.dropped_octets)
}

fn states(core: &UnicastCore) -> Vec<PeerState> {
    let mut peers = Vec::new();
    assert_eq!(core.look_at(0, &mut peers), None, "there are no more");
    peers.iter().map(|peer| peer.state).collect()
}

#[test]
fn peers_with_room_have_their_turns_in_order_and_a_newcomer_is_last() {
    let core = core(config(Sends::InTurn, 2));
    let mut peers = [(); 3].map(|()| Other::accepted(&core));
    for number in 0..4 {
        send(&core, &number.to_string()).expect("there is room");
    }
    let mut late = Other::accepted(&core);
    // The full peer is passed over, and the order of the others stays.
    for number in 4..8 {
        send(&core, &number.to_string()).expect("there is room");
    }
    assert_eq!(send(&core, "8"), Err(SendError::Full));
    assert_eq!(peers.each_mut().map(Other::read), [["0", "3"], ["1", "4"], ["2", "5"]]);
    assert_eq!(late.read(), ["6", "7"]);
}

#[test]
fn what_is_changed_while_a_socket_is_used_concerns_what_comes_later() {
    let core = core(config(Sends::InTurn, 1));
    assert!(core.connected(&endpoint("a"), None));
    core.set_immediate(true);
    core.set_probe(true);
    core.set_conflate(true);
    assert!(core.connected(&endpoint("b"), None));
    send(&core, "1").expect("the first endpoint has room");
    assert_eq!(send(&core, "2"), Err(SendError::Full), "the second one is not there");
    let mut peer = Other::accepted(&core);
    assert_eq!(peer.read(), [""], "it is probed");
    peer.say("old");
    peer.say("new");
    assert_eq!(core.totals().dropped, 1);
    core.set_probe(false);
    core.set_conflate(false);
    let mut other = Other::accepted(&core);
    assert!(!other.take());
    other.say("1");
    other.say("2");
    assert_eq!(core.totals().dropped, 1);
}

#[test]
fn without_a_peer_nothing_is_accepted() {
    let core = core(config(Sends::InTurn, 2));
    assert_eq!(send(&core, "x"), Err(SendError::Full));
    let peer = Other::accepted(&core);
    send(&core, "x").expect("there is room");
    peer.cut();
    assert_eq!(send(&core, "y"), Err(SendError::Full));
    assert_eq!((core.totals().undelivered, core.totals().queued), (1, 0));
}

#[test]
fn messages_wait_for_a_connected_endpoint_whose_peer_is_away() {
    let core = core(config(Sends::InTurn, 4));
    assert!(core.connected(&endpoint("a"), None));
    for text in ["1", "2"] {
        send(&core, text).expect("the endpoint has room");
    }
    let mut peer = Other::dialled(&core, "a");
    send(&core, "3").expect("there is room");
    assert!(peer.take());
    // The first message is written, and a part of the second; the third was taken, too.
    assert_eq!(peer.write(5).len(), 5);
    peer.cut();
    send(&core, "4").expect("there is room");
    let mut again = Other::dialled(&core, "a");
    assert_eq!(again.read(), ["3", "4"]);
    let totals = core.totals();
    assert_eq!((totals.sent, totals.undelivered, totals.queued), (3, 1, 0));
    again.cut();
    send(&core, "5").expect("there is room");
    core.disconnected(&endpoint("a"));
    assert_eq!((core.totals().undelivered, core.totals().queued), (2, 0));
    assert_eq!(send(&core, "6"), Err(SendError::Full));
}

#[test]
fn an_immediate_socket_queues_only_for_peers_that_are_there() {
    let core = core(Config { immediate: true, ..config(Sends::InTurn, 4) });
    assert!(core.connected(&endpoint("a"), None));
    assert_eq!(send(&core, "1"), Err(SendError::Full));
    let mut peer = Other::dialled(&core, "a");
    send(&core, "2").expect("it is there");
    assert_eq!(peer.read(), ["2"]);
}

#[test]
fn a_second_peer_of_a_pair_is_refused_until_the_first_has_gone() {
    let core = core(Config { exclusive: true, ..config(Sends::InTurn, 4) });
    let first = Other::accepted(&core);
    assert!(matches!(Other::named(&core, "x"), Err(Reason::Occupied)));
    first.cut();
    let mut second = Other::accepted(&core);
    send(&core, "hello").expect("there is room");
    assert_eq!(second.read(), ["hello"]);
}

fn send_to(core: &UnicastCore, identity: &str, text: &str) -> Result<(), SendError> {
    core.send(To::Identity(identity.as_bytes()), &text.into(), None).map(|_lane| ())
}

#[test]
fn a_router_sends_to_the_peer_that_is_named() {
    let core = core(config(Sends::ByIdentity, 2));
    let mut ann = Other::named(&core, "ann").expect("the name is free");
    let mut unnamed = Other::named(&core, "").expect("it gets a name");
    send_to(&core, "ann", "1").expect("she is there");
    core.send(To::Peer(unnamed.peer.id()), &"2".into(), None).expect("it is there");
    let identity = unnamed.peer.identity().expect("it has a name").clone();
    assert!(identity.len() == 5 && identity[0] == 0, "{identity:?}");
    core.send(To::Identity(&identity), &"3".into(), None).expect("it is there");
    assert_eq!(send_to(&core, "bob", "4"), Err(SendError::Unroutable));
    assert_eq!(ann.read(), ["1"]);
    assert_eq!(unnamed.read(), ["2", "3"]);
    // The queue is full: this peer alone loses the third message, and that is counted.
    assert!(core.has_room_for(To::Identity(b"ann")).expect("she is there"));
    for text in ["a", "b", "c"] {
        send_to(&core, "ann", text).expect("it is dropped, not refused");
    }
    assert!(!core.has_room_for(To::Identity(b"ann")).expect("she is there"));
    assert_eq!(core.has_room_for(To::Identity(b"bob")), Err(SendError::Unroutable));
    assert!(!ann.killed.is_ended());
    assert_eq!(states(&core), [PeerState::Congested, PeerState::Flowing]);
    assert_eq!(ann.read(), ["a", "b"]);
    assert_eq!(states(&core), [PeerState::Flowing, PeerState::Flowing]);
    assert_eq!(losses(&core), (1, 3));
    ann.cut();
    assert_eq!(send_to(&core, "ann", "5"), Err(SendError::Unroutable));
    let mut back = Other::named(&core, "ann").expect("the name is free again");
    send_to(&core, "ann", "6").expect("she is back");
    assert_eq!(back.read(), ["6"]);
}

#[tokio::test(start_paused = true)]
async fn a_named_peer_is_waited_for_as_long_as_the_socket_is_told_to() {
    let time = Duration::from_secs(7);
    let when_full = WhenFull::WaitFor(time);
    let core = core(Config { when_full, ..config(Sends::ByPeer, 1) });
    let mut peer = Other::accepted(&core);
    let to = To::Peer(peer.peer.id());
    core.send_later_to(to, &"1".into()).await.expect("there is room");
    let (begun, second) = (tokio::time::Instant::now(), "2".into());
    let sending = core.send_later_to(to, &second);
    assert_eq!(tokio::time::timeout(2 * time, sending).await, Ok(Err(SendError::Full)));
    assert_eq!(begun.elapsed(), time);
    assert_eq!(peer.read(), ["1"]);
    core.send_later_to(to, &"3".into()).await.expect("there is room again");
    assert_eq!(peer.read(), ["3"]);
}

#[test]
fn senders_that_wait_for_any_peer_have_their_turns_in_order() {
    let core = core(config(Sends::InTurn, 1));
    let mut peer = Other::accepted(&core);
    let messages = ["2".into(), "3".into()];
    let mut waits = [(); 2].map(|()| Waiting::default());
    let poll = |waits: &mut [Waiting; 2], number: usize| {
        let waiting = &mut waits[number];
        core.poll_send_to(To::Next, &messages[number], waiting, Waker::noop()).is_ready()
    };
    for _ in 0..2 {
        send(&core, "1").expect("there is room");
        assert!(!poll(&mut waits, 0) && !poll(&mut waits, 1));
        assert_eq!(peer.read(), ["1"]);
        assert!(!poll(&mut waits, 1), "the other has come first");
        assert_eq!(send(&core, "4"), Err(SendError::Full), "both have");
        assert!(poll(&mut waits, 0) && !poll(&mut waits, 1));
        assert_eq!(peer.read(), ["2"]);
        assert!(poll(&mut waits, 1));
        assert_eq!(peer.read(), ["3"]);
    }
    send(&core, "1").expect("there is room");
    assert!(!poll(&mut waits, 0) && !poll(&mut waits, 1));
    core.give_up(&mut waits[0]);
    assert_eq!(peer.read(), ["1"]);
    assert!(poll(&mut waits, 1), "the other has left");
    assert_eq!(peer.read(), ["3"]);
}

#[test]
fn a_connection_has_traffic_once_a_message_has_gone_out() {
    let core = core(config(Sends::InTurn, 10));
    let mut peer = Other::accepted(&core);
    send(&core, "1").expect("there is room");
    peer.say("2");
    assert!(
        peer.take() && !peer.session.has_traffic(),
        "a peer that only receives may be a stranger"
    );
    peer.write(usize::MAX);
    assert!(peer.session.has_traffic());
}

#[test]
fn an_identity_is_refused_while_another_has_it_or_is_handed_over() {
    let strict = core(config(Sends::ByIdentity, 2));
    let _first = Other::named(&strict, "x").expect("the name is free");
    assert!(matches!(Other::named(&strict, "x"), Err(Reason::IdentityTaken)));
    let core = core(Config { handover: true, ..config(Sends::ByIdentity, 2) });
    let first = Other::named(&core, "x").expect("the name is free");
    let mut second = Other::named(&core, "x").expect("it takes the name over");
    assert!(first.killed.is_ended());
    send_to(&core, "x", "1").expect("the newcomer gets it");
    first.cut();
    send_to(&core, "x", "2").expect("the newcomer still has the name");
    assert_eq!(second.read(), ["1", "2"]);
}

#[test]
fn a_named_endpoint_can_be_sent_to_before_it_is_there() {
    let core = core(config(Sends::ByIdentity, 2));
    assert!(core.connected(&endpoint("a"), Some(&Bytes::from_static(b"server"))));
    send_to(&core, "server", "1").expect("it waits");
    let taken = Some(&Bytes::from_static(b"server"));
    assert!(!core.connected(&endpoint("b"), taken), "another has the name");
    let mut server = Other::dialled(&core, "a");
    assert_eq!(server.read(), ["1"]);
    server.cut();
    send_to(&core, "server", "2").expect("it waits");
    assert_eq!(Other::dialled(&core, "a").read(), ["2"]);
    // Without a name nobody can send to it before it is there. Then it has the one that it is given.
    assert!(core.connected(&endpoint("c"), None));
    assert_eq!(send_to(&core, "", "3"), Err(SendError::Unroutable));
    assert_eq!(Other::dialled(&core, "c").peer.identity().map(Bytes::len), Some(5));
}

#[test]
fn a_probe_comes_before_all_else() {
    let core = core(Config { probe: true, ..config(Sends::InTurn, 4) });
    assert!(core.connected(&endpoint("a"), None));
    send(&core, "1").expect("the endpoint has room");
    assert_eq!(Other::dialled(&core, "a").read(), ["", "1"]);
    let totals = core.totals();
    assert_eq!((totals.sent, totals.queued, totals.queued_octets), (2, 0, 0));
}

#[test]
fn a_socket_that_does_not_receive_discards_what_comes() {
    let core = core(Config { receives: false, ..config(Sends::InTurn, 4) });
    let mut peer = Other::accepted(&core);
    for _ in 0..100 {
        peer.say("noise");
    }
    assert_eq!((core.totals().received, core.totals().queued), (100, 0));
}

proptest! {
    /// Whatever is sent, written, cut and connected: each message that was accepted is sent, undelivered or
    /// queued, and each peer reads messages in the order in which they were accepted.
    #[test]
    fn accepted_is_sent_undelivered_or_queued(
        steps in proptest::collection::vec((0u8..6, 0usize..3, 1usize..9), 1..120),
    ) {
        let core = core(config(Sends::InTurn, 3));
        let (mut accepted, mut peers) = (0u64, [const { None::<Other> }; 3]);
        let mut read: Vec<u8> = Vec::new();
        assert!(core.connected(&endpoint("0"), None));
        for (step, which, count) in steps {
            let name = which.to_string();
            match (step, &mut peers[which]) {
                (0 | 1, _) => {
                    let sent = send(&core, &(accepted % 100).to_string());
                    accepted += u64::from(sent.is_ok());
                }
                (2, empty @ None) if which == 0 => *empty = Some(Other::dialled(&core, &name)),
                (2, empty @ None) => *empty = Some(Other::accepted(&core)),
                (3, Some(peer)) if peer.burst.is_empty() => { peer.take(); }
                (3 | 4, Some(peer)) => read.extend(peer.write(count)),
                (5, peer @ Some(_)) => peer.take().into_iter().for_each(Other::cut),
                _ => {}
            }
            let totals = core.totals();
            prop_assert_eq!(accepted, totals.sent + totals.undelivered + totals.queued);
            prop_assert_eq!(totals.sent_octets, read.len() as u64);
        }
        core.close();
        peers.into_iter().flatten().for_each(Other::cut);
        let queued = core.totals().queued;
        let unsent = core.unfinished().unsent as u64;
        prop_assert!(unsent >= queued);
        let totals = core.totals();
        prop_assert_eq!(accepted, totals.sent + totals.undelivered);
        prop_assert_eq!(totals.queued_octets, 0);
    }
}

#[test]
fn a_full_queue_loses_its_oldest_messages_if_it_is_told_to() {
    let core = core(Config { when_full: WhenFull::DropOldest, ..config(Sends::ByIdentity, 2) });
    let mut ann = Other::named(&core, "ann").expect("the name is free");
    for text in ["1", "2", "3", "4"] {
        send_to(&core, "ann", text).expect("there is always room");
    }
    assert_eq!(ann.read(), ["3", "4"]);
    let totals = core.totals();
    assert_eq!((totals.sent, totals.queued, totals.queued_octets), (2, 0, 0));
    assert_eq!(losses(&core), (2, 6));
}

#[test]
fn a_peer_that_is_too_slow_is_disconnected_if_the_socket_is_told_to() {
    let core = core(Config { when_full: WhenFull::Disconnect, ..config(Sends::ByIdentity, 1) });
    let ann = Other::named(&core, "ann").expect("the name is free");
    send_to(&core, "ann", "1").expect("there is room");
    assert!(!ann.killed.is_ended());
    send_to(&core, "ann", "2").expect("it is dropped, not refused");
    assert!(ann.killed.is_ended());
    assert_eq!(losses(&core), (1, 3));
}

#[test]
fn of_many_messages_those_are_queued_together_for_which_there_is_room() {
    let core = core(config(Sends::InTurn, 2));
    let mut peers = [(); 2].map(|()| Other::accepted(&core));
    let texts = ["1", "2", "3", "4", "5"].map(Outgoing::from);
    // The first message opens a buffer for those that follow it.
    assert_eq!(core.send_going_on(&texts), 0);
    core.try_send(&texts[0]).expect("there is room");
    assert_eq!(core.send_going_on(&texts[1..2]), 0);
    core.try_send(&texts[1]).expect("there is room");
    assert_eq!(core.send_going_on(&texts[2..]), 2);
    assert_eq!(peers.each_mut().map(Other::read), [["1", "3"], ["2", "4"]]);
}

#[test]
fn another_mark_holds_at_once() {
    let core = core(config(Sends::InTurn, 1));
    let mut peer = Other::accepted(&core);
    send(&core, "1").expect("there is room");
    assert_eq!(send(&core, "2"), Err(SendError::Full));
    core.set_send_hwm(HighWaterMark::messages(3));
    for text in ["2", "3"] {
        send(&core, text).expect("there is room");
    }
    assert_eq!(send(&core, "4"), Err(SendError::Full));
    assert_eq!(peer.read(), ["1", "2", "3"]);
    send(&core, "4").expect("there is room");
    core.set_send_hwm(HighWaterMark::messages(1));
    assert_eq!(send(&core, "5"), Err(SendError::Full));
    assert_eq!(peer.read(), ["4"]);
}

#[test]
fn a_large_message_is_queued_whole_or_waits() {
    let core = core(config(Sends::InTurn, 1));
    let mut peer = Other::accepted(&core);
    let large = vec![7; 300 << 10];
    core.try_send(&(&large).into()).expect("there is room");
    assert_eq!(core.try_send(&(&large).into()), Err(SendError::Full));
    assert!(peer.take());
    let octets = peer.write(usize::MAX);
    assert!(octets[9..] == large && octets[..2] == [2, 0]);
    assert_eq!(core.totals().sent, 1);
}

/// A sink that is polled on demand.
struct Fed<T: crate::sockets::kind::Sinks> {
    sink: crate::Handle<T>,
    woken: Arc<Woken>,
    _socket: crate::Socket<T>,
}

impl<T: crate::sockets::kind::Sinks<Core = UnicastCore>> Fed<T> {
    fn new(options: crate::Options<T>) -> Self {
        let socket = crate::Socket::with_options(options);
        Self { sink: socket.handle(), woken: Arc::default(), _socket: socket }
    }

    fn poll<R>(
        &mut self,
        poll: impl FnOnce(Pin<&mut crate::Handle<T>>, &mut std::task::Context<'_>) -> R,
    ) -> R {
        let waker = Waker::from(self.woken.clone());
        poll(Pin::new(&mut self.sink), &mut std::task::Context::from_waker(&waker))
    }

    fn is_ready(&mut self) -> bool {
        self.sink.engine.core.take_turn();
        self.poll(Sink::poll_ready) == Poll::Ready(Ok(()))
    }

    fn feed(&mut self, text: &'static str) {
        assert!(self.is_ready());
        Pin::new(&mut self.sink).start_send(text.into()).expect("it is ready");
    }

    fn is_flushed(&mut self) -> bool {
        self.poll(Sink::poll_flush) == Poll::Ready(Ok(()))
    }

    fn has_been_woken(&self) -> bool {
        self.woken.0.swap(0, Ordering::Relaxed) > 0
    }
}

#[test]
fn a_sink_is_ready_while_a_peer_has_room() {
    let two = crate::HighWaterMark::messages(2);
    let mut fed = Fed::new(crate::PushOptions::new().send_hwm(two));
    assert!(!fed.is_ready() && fed.is_flushed());
    let mut peer = Other::accepted(&fed.sink.engine.core);
    assert!(fed.has_been_woken());
    fed.feed("1");
    fed.feed("2");
    assert!(!fed.is_ready(), "the queue is full");
    // A task that only watches keeps no place, so others do not wait for it.
    assert_eq!(peer.read(), ["1", "2"]);
    assert!(fed.has_been_woken());
    send(&fed.sink.engine.core, "3").expect("there is room");
    fed.feed("4");
    assert!(!fed.is_ready());
    fed.sink.engine.core.close();
    assert!(fed.has_been_woken());
    assert!(matches!(fed.poll(Sink::poll_ready), Poll::Ready(Err(SendError::Closed(_)))));
}

#[test]
fn a_sink_that_is_dropped_while_it_waits_leaves_nothing_behind() {
    for is_flushed in [false, true] {
        let mut fed = Fed::new(crate::PushOptions::new());
        let _peer = is_flushed.then(|| {
            let peer = Other::accepted(&fed.sink.engine.core);
            fed.feed("1");
            peer
        });
        let is_done = if is_flushed { fed.is_flushed() } else { fed.is_ready() };
        assert!(!is_done);
        let Fed { sink, woken, _socket } = fed;
        assert_eq!(Arc::strong_count(&woken), 2);
        drop(sink);
        assert_eq!(Arc::strong_count(&woken), 1, "its waker is still there");
    }
}

#[test]
fn a_flush_waits_for_a_slow_peer_until_it_has_written_or_leaves() {
    let mut fed = Fed::new(crate::PushOptions::new());
    let core = fed.sink.engine.core.clone();
    let (mut one, mut other) = (Other::accepted(&core), Other::accepted(&core));
    for text in ["1", "2"] {
        fed.feed(text);
    }
    assert!(!fed.is_flushed());
    // The flush does not wait for later messages.
    send(&core, "3").expect("there is room");
    assert!(one.take());
    assert_eq!(one.write(3).len(), 3);
    assert!(!fed.has_been_woken() && !fed.is_flushed(), "the other has not written");
    other.take();
    other.cut();
    assert!(fed.has_been_woken() && fed.is_flushed());
    assert!(!fed.is_flushed(), "but the next time");
    one.cut();
    assert!(fed.has_been_woken() && fed.is_flushed());
}

#[test]
fn a_flush_waits_while_a_connected_peer_is_away() {
    for is_probed in [false, true] {
        let mut fed = Fed::new(crate::DealerOptions::new().probe(is_probed));
        let core = fed.sink.engine.core.clone();
        assert!(core.connected(&endpoint("a"), None));
        fed.feed("1");
        assert!(!fed.is_flushed());
        Other::dialled(&core, "a").cut();
        assert!(!fed.has_been_woken() && !fed.is_flushed(), "it is away again");
        let mut peer = Other::dialled(&core, "a");
        if is_probed {
            peer.take();
            assert_eq!(peer.write(2), [0, 0]);
            assert!(!fed.has_been_woken() && !fed.is_flushed(), "that was the probe");
        }
        assert_eq!(peer.read().last().map(String::as_str), Some("1"));
        assert!(fed.has_been_woken() && fed.is_flushed());
        peer.cut();
        fed.feed("2");
        assert!(!fed.is_flushed());
        core.disconnected(&endpoint("a"));
        assert!(fed.has_been_woken() && fed.is_flushed());
    }
}

#[test]
fn all_endpoints_of_a_pair_share_what_waits_for_its_peer() {
    let core = core(Config { exclusive: true, ..config(Sends::InTurn, 4) });
    assert!(core.connected(&endpoint("a"), None) && core.connected(&endpoint("b"), None));
    for text in ["1", "2"] {
        send(&core, text).expect("there is room");
    }
    let mut peer = Other::dialled(&core, "b");
    assert_eq!(peer.read(), ["1", "2"]);
    peer.cut();
    send(&core, "3").expect("there is room");
    core.disconnected(&endpoint("b"));
    let mut other = Other::dialled(&core, "a");
    assert_eq!(other.read(), ["3"]);
    other.cut();
    send(&core, "4").expect("there is room");
    assert_eq!(Other::accepted(&core).read(), ["4"]);
    core.disconnected(&endpoint("a"));
    assert_eq!(send(&core, "5"), Err(SendError::Full));
}

/// A peer that messages may be written to at once, and what would read them.
#[cfg(target_os = "linux")]
async fn over_tcp(core: &Arc<UnicastCore>) -> (Other, tokio::net::TcpStream) {
    peer_over_tcp(core, Peer::new(next_id(), endpoint("bound"), "test")).await
}

#[cfg(target_os = "linux")]
async fn peer_over_tcp(core: &Arc<UnicastCore>, peer: Peer) -> (Other, tokio::net::TcpStream) {
    let (outlet, far) = crate::engine::transport::Outlet::connected().await;
    let ways = Ways { outlet: Some(&outlet), direct: None };
    let info = PeerInfo::new(Version::V3_1);
    (Other::with_ways(core, peer, &info, ways).unwrap(), far)
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_answer_to_one_message_is_written_at_once_and_the_first_of_several_waits_for_the_others()
 {
    let core = core(config(Sends::InTurn, 10));
    let (mut peer, _far) = over_tcp(&core).await;
    for (said, queued) in [(1, 0), (3, 3), (1, 0), (1, 0), (2, 2)] {
        assert!(!peer.take(), "the driver waits");
        let batch: Batch = (0..said).map(|_| Message::from("?")).collect();
        peer.session.messages(batch).unwrap();
        (0..said).for_each(|_| core.try_send(&"!".into()).unwrap());
        assert_eq!(peer.read().len(), queued, "after {said} messages");
    }
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_messages_of_a_busy_sender_to_peers_in_turn_wait_for_each_other() {
    let core = core(config(Sends::InTurn, 10));
    let mut peers = [over_tcp(&core).await, over_tcp(&core).await];
    assert!(peers.iter_mut().all(|(peer, _)| !peer.take()), "the drivers wait");
    for text in ["1", "2", "3", "4"] {
        // However late the next one comes on a loaded machine.
        lock(&core.state).pace = Pace::busy();
        core.try_send(&text.into()).unwrap();
    }
    assert_eq!(peers.each_mut().map(|(peer, _)| peer.read().len()), [2, 2]);
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn the_messages_to_several_named_peers_are_written_at_once_however_close_they_come() {
    let core = core(config(Sends::ByPeer, 10));
    lock(&core.state).pace = Pace::busy();
    for (mut peer, _far) in [over_tcp(&core).await, over_tcp(&core).await] {
        assert!(!peer.take(), "the driver waits");
        core.send(To::from(&peer.peer), &"1".into(), None).unwrap();
        assert_eq!(peer.read().len(), 0);
    }
}
