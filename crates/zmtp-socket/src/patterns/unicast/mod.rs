//! Sockets that send each message to one peer: PUSH, PAIR, DEALER and REQ send to the peers in turn,
//! ROUTER and REP to a named peer. PULL, which sends nothing, is here too.
//!
//! ```text
//! send ── which lane? in turn, or by identity ── its outbox ── driver ── stream
//! recv ── batch ── inbox, a queue for each peer ── driver ── stream
//! ```
//!
//! A *lane* is the queue to one peer. The lane of a connected endpoint exists from `connect` to
//! `disconnect`, and keeps its messages while the peer cannot be reached. That of an accepted peer goes
//! with the peer.

mod lanes;
mod requests;
mod sending;
mod session;
#[cfg(test)]
mod tests;

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use bytes::Bytes;
use lanes::State;
pub(crate) use requests::Answer;
pub(crate) use sending::To;
use session::{UnicastHolder, UnicastIntake, UnicastSession};
use tokio::sync::Notify;
use zmtp_codec::{Message, PeerInfo};

use crate::endpoint::Endpoint;
use crate::engine::driver::{Core, Ways};
use crate::engine::signal::Kill;
use crate::engine::transport::Direct;
use crate::error::{Closed, Reason};
use crate::monitor::Events;
use crate::options::{InTurn, Marks, Receiving, Replying, Requesting, Sending, WhenFull};
use crate::patterns::peer_stats::peer_stats;
use crate::peer::{Peer, PeerId};
use crate::receive::{Inbox, Source};
use crate::send::guard::Guard;
use crate::send::turn::TurnIsOver;
use crate::stats::{PeerStats, Stats, Unfinished};
use crate::sync::{lock, lock_to_wake, wait_until};

/// The number of peers whose counters [`stats`](UnicastCore::stats) reads before it releases the locks.
const LOOK: usize = 256;

/// The settings that make the core that of one socket type.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    pub(crate) sends: Sends,
    /// Whether arriving messages are received; otherwise they are discarded.
    pub(crate) receives: bool,
    /// Whether there is one peer only.
    pub(crate) exclusive: bool,
    /// The marks of a queue whose peer is connected, and of one whose peer is not.
    pub(crate) present: Marks,
    pub(crate) absent: Marks,
    /// The handling of a message for a named peer without room. A sender to the peers in turn waits.
    pub(crate) when_full: WhenFull,
    /// Whether no message is queued for a peer that is not connected.
    pub(crate) immediate: bool,
    /// Whether a message for an unknown peer is an error; otherwise it is dropped.
    pub(crate) mandatory: bool,
    /// Whether a newcomer takes over an identity from the peer that has it.
    pub(crate) handover: bool,
    /// The way of making requests, if the answer to each message is awaited before the next one is sent.
    pub(crate) request: Option<Requesting>,
    /// Whether each peer is sent an empty message first.
    pub(crate) probe: bool,
    pub(crate) receiving: Receiving,
}

impl Config {
    /// The settings of a socket that only receives.
    pub(crate) fn receiving_only(receiving: &Receiving) -> Self {
        Self {
            sends: Sends::Nothing,
            receives: true,
            exclusive: false,
            present: Sending::default().marks(usize::MAX),
            absent: Sending::default().marks(usize::MAX),
            when_full: WhenFull::Wait,
            immediate: false,
            mandatory: false,
            handover: false,
            request: None,
            probe: false,
            receiving: *receiving,
        }
    }

    /// The settings of a socket that sends to its peers in turn, and receives.
    pub(crate) fn in_turn(in_turn: &InTurn, receiving: &Receiving) -> Self {
        Self {
            sends: Sends::InTurn,
            present: in_turn.present(),
            absent: in_turn.absent(),
            when_full: in_turn.when_full(),
            immediate: in_turn.immediate,
            ..Self::receiving_only(receiving)
        }
    }

    /// The settings of a socket that sends to named peers, and receives.
    pub(crate) fn replying(sends: Sends, replying: &Replying) -> Self {
        Self {
            sends,
            present: replying.marks(),
            absent: replying.marks(),
            when_full: replying.when_full,
            ..Self::receiving_only(&replying.receiving)
        }
    }
}

/// The rule that chooses the peer of a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sends {
    Nothing,
    /// The peers with room, in turn (RFC 28 and 30, round-robin).
    InTurn,
    /// The peer that the sender names, by its identity too (RFC 28, The ROUTER Socket Type).
    ByIdentity,
    /// The peer that a request came from.
    ByPeer,
}

/// The core of these sockets.
pub(crate) struct UnicastCore {
    state: Mutex<State>,
    /// When both locks are needed, this is taken after that of the state.
    inbox: Mutex<Inbox>,
    config: Config,
    turn_is_over: TurnIsOver,
    /// Whether senders of this process may hold messages for this socket.
    is_held_for: AtomicBool,
    /// The number of malformed messages.
    filtered: AtomicU64,
    /// Notified at every new peer, and at the end.
    changed: Notify,
    events: Arc<Events>,
}

impl UnicastCore {
    pub(crate) fn new(config: Config, events: Arc<Events>) -> Self {
        Self {
            state: Mutex::new(State::new(&config)),
            inbox: Mutex::new(Inbox::new(&config.receiving)),
            config,
            turn_is_over: TurnIsOver::default(),
            is_held_for: AtomicBool::new(false),
            filtered: AtomicU64::new(0),
            changed: Notify::new(),
            events,
        }
    }

    /// The way in which a REQ makes requests.
    pub(crate) fn requesting(&self) -> &Requesting {
        self.config.request.as_ref().expect("only a REQ makes requests")
    }

    pub(crate) fn set_handover(&self, handover: bool) {
        lock(&self.state).handover = handover;
    }

    pub(crate) fn set_immediate(&self, immediate: bool) {
        lock(&self.state).immediate = immediate;
    }

    pub(crate) fn set_probe(&self, probe: bool) {
        lock(&self.state).probe = probe;
    }

    /// Counts a received message that breaks the rules of the socket type.
    pub(crate) fn count_filtered(&self) {
        self.filtered.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns once there is a peer.
    pub(crate) async fn wait_for_peer(&self) -> Result<(), Closed> {
        wait_until(&self.changed, || {
            let state = lock(&self.state);
            match state.closed {
                true => Some(Err(Closed)),
                false => (!state.peers.is_empty()).then_some(Ok(())),
            }
        })
        .await
    }

    /// Returns once the socket has been closed.
    pub(crate) async fn wait_for_close(&self) {
        wait_until(&self.changed, || lock(&self.state).closed.then_some(())).await;
    }

    /// The number of peers whose handshakes are done.
    pub(crate) fn peer_count(&self) -> usize {
        lock(&self.state).peers.len()
    }

    /// The peer that has an identity, if it is connected.
    pub(crate) fn peer_with(&self, identity: &[u8]) -> Option<Peer> {
        let state = lock(&self.state);
        let key = *state.identities.get(identity)?;
        state.lanes[key].peer.clone()
    }

    /// Ends the connection of one peer. Returns whether it was connected.
    pub(crate) fn expel(&self, peer: &Peer, reason: Reason) -> bool {
        let mut state = Guard::lock(&self.state);
        state.expel(peer.id(), reason)
    }
}

impl Source for UnicastCore {
    fn inbox(&self) -> &Mutex<Inbox> {
        &self.inbox
    }

    fn fetch(&self) -> bool {
        let is_held_for = self.is_held_for.swap(false, Ordering::Acquire);
        if is_held_for {
            let lanes = lock(&self.state);
            let ways = lanes.lanes.iter().filter_map(|(_, lane)| lane.outbox.direct().cloned());
            let ways: Vec<_> = ways.collect();
            drop(lanes);
            ways.iter().for_each(Direct::fetch);
        }
        is_held_for
    }
}

impl Core for UnicastCore {
    type Session = UnicastSession;

    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        info: &PeerInfo,
        ways: Ways<'_>,
        kill: Kill,
    ) -> Result<UnicastSession, Reason> {
        let mut state = Guard::lock(&self.state);
        let lane = state.attach(peer, info, ways, kill, &self.config)?;
        let mut inbox = lock(&self.inbox);
        let queue = inbox.open(peer.clone(), lane);
        let room = inbox.room(queue);
        drop(inbox);
        state.lanes[lane].queue = Some(queue);
        let direct = ways.direct.filter(|_| self.config.receives);
        if let Some((direct, limits)) = direct {
            let intake = UnicastIntake { core: self.clone(), peer: peer.id(), queue };
            direct.accept(limits, Arc::new(intake));
        }
        if let Some((direct, _limits)) = ways.direct {
            direct.offer(Arc::new(UnicastHolder { core: self.clone(), peer: peer.id(), lane }));
        }
        if state.probe {
            // An empty message (libzmq's ROUTER_PROBE): the peer learns our identity before our first
            // message.
            state.push_first(lane, &Message::from(Bytes::new()));
        }
        drop(state);
        self.changed.notify_waiters();
        Ok(UnicastSession::new(self.clone(), peer.id(), lane, queue, room, direct.is_some()))
    }

    fn connected(&self, endpoint: &Endpoint, identity: Option<&Bytes>) -> bool {
        let mut state = Guard::lock(&self.state);
        if self.config.sends == Sends::Nothing || state.immediate {
            return true;
        }
        state.add_endpoint(endpoint, identity, &self.config)
    }

    fn disconnected(&self, endpoint: &Endpoint) {
        let mut state = Guard::lock(&self.state);
        state.remove_endpoint(endpoint);
        let is_lost = state.has_lost_answer();
        drop(state);
        if is_lost {
            self.wake_receiver();
        }
    }

    fn has_unsent(&self, endpoint: &Endpoint) -> bool {
        let state = lock(&self.state);
        let lane = state.endpoints.get(endpoint).map(|key| &state.lanes[*key]);
        lane.is_some_and(|lane| lane.outbox.queued() > 0)
    }

    fn totals(&self) -> Stats {
        let (state, inbox) = (lock(&self.state), lock(&self.inbox));
        let mut totals = state.totals.clone();
        totals.filtered = self.filtered.load(Ordering::Relaxed);
        totals.received += inbox.received.messages;
        totals.received_octets += inbox.received.octets;
        totals.dropped += inbox.dropped.messages;
        totals.dropped_octets += inbox.dropped.octets;
        totals.queued += inbox.queued().messages;
        totals.queued_octets += inbox.queued().octets;
        totals
    }

    fn look_at(&self, from: usize, peers: &mut Vec<PeerStats>) -> Option<usize> {
        let (state, inbox) = (lock(&self.state), lock(&self.inbox));
        let to = from + LOOK;
        let lanes = (from..to).filter_map(|key| state.lanes.get(key));
        peers.extend(lanes.filter_map(|lane| {
            let (peer, queue) = (lane.peer.as_ref()?, inbox.present(lane.queue?)?);
            Some(peer_stats(peer, &lane.outbox, queue, lane.is_full(), 0))
        }));
        Some(to).filter(|to| *to < state.lanes.capacity())
    }

    fn close(&self) {
        Guard::lock(&self.state).close();
        let mut inbox = lock_to_wake(&self.inbox);
        let receiver = inbox.close();
        inbox.wake(receiver);
        drop(inbox);
        self.changed.notify_waiters();
    }

    fn interrupt(&self) {
        self.turn_is_over.set();
        Guard::lock(&self.state).wake_all();
        self.wake_receiver();
    }

    fn unfinished(&self) -> Unfinished {
        let unsent = Guard::lock(&self.state).abandon();
        Unfinished { unsent, unread: lock(&self.inbox).queued().messages as usize }
    }
}

impl UnicastCore {
    fn wake_receiver(&self) {
        let receiver = lock(&self.inbox).take_receiver();
        receiver.into_iter().for_each(Waker::wake);
    }
}

/// Whether the peer is the one with this number.
fn is_peer(peer: Option<&Peer>, id: PeerId) -> bool {
    peer.is_some_and(|peer| peer.id() == id)
}
