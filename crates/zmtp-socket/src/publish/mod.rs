//! The publishing half: who wants what, and what each peer still has to be sent.
//!
//! ```text
//! send ── topics: who wants it ── journal: encode once ── each peer's outbox ── driver ── stream
//! ```

mod journal;
mod outbox;
mod outgoing;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use slab::Slab;
use tokio::sync::Notify;
use zmtp_codec::{Batch, Connection, PeerInfo, Subscription};

pub use outgoing::Outgoing;

use crate::burst::Burst;
use crate::driver::{Core, Session};
use crate::monitor::Events;
use crate::options::Publishing;
use crate::sync::lock;
use crate::{
    Closed, Event, Peer, PeerStats, Reason, SendError, Stats, TooManySubscriptions, WhenFull,
};
use journal::Journal;
use outbox::{Marks, Outbox, Room};
use topics::Topics;

/// What a sender may spend before the other tasks of its runtime get a turn. A message nobody
/// wants costs 1, any other [`SENT`] and a little for its size; one that fills a peer's queue ends
/// the turn.
const TURN: usize = 8192;
const SENT: usize = 8;
const OCTETS_PER_COST: usize = 32;

/// The core of a PUB socket.
pub(crate) struct Publisher {
    state: Mutex<State>,
    options: Publishing,
    /// A sender has used up its turn.
    turn_is_over: AtomicBool,
    /// Told of every new subscription, and of the end.
    changed: Notify,
    /// Told when a queue that a sender waits for has room, and of the end.
    room: Notify,
    events: Arc<Events>,
}

struct State {
    peers: Slab<Subscriber>,
    topics: Topics,
    journal: Journal,
    closed: bool,
    spent: usize,
    /// The peers that one message is for; kept for its memory.
    wanted_by: Vec<usize>,
    /// What peers that are gone have left in the counters.
    gone: Stats,
    undelivered_at_close: usize,
}

/// A peer as its publisher sees it.
struct Subscriber {
    peer: Peer,
    outbox: Outbox,
}

impl Publisher {
    pub(crate) fn new(options: Publishing, events: Arc<Events>) -> Self {
        let state = State {
            peers: Slab::new(),
            topics: Topics::new(options.duplicates),
            journal: Journal::default(),
            closed: false,
            spent: 0,
            wanted_by: Vec::new(),
            gone: Stats::default(),
            undelivered_at_close: 0,
        };
        Self {
            state: Mutex::new(state),
            options,
            turn_is_over: AtomicBool::new(false),
            changed: Notify::new(),
            room: Notify::new(),
            events,
        }
    }

    /// Queues `message` for every peer that wants it, as [`try_send`](Self::try_send) does. Before
    /// that, gives the runtime's other tasks their turn now and then and, if the socket is to,
    /// waits for room.
    #[inline]
    pub(crate) async fn send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let turn_is_over = self.take_turn();
        if !turn_is_over {
            match self.try_send(message) {
                Err(SendError::Full) => {}
                done => return done,
            }
        }
        // Few messages come this way: in a box, it does not make the future of all others large.
        Box::pin(self.send_later(message, turn_is_over)).await
    }

    async fn send_later(
        &self,
        message: &Outgoing<'_>,
        turn_is_over: bool,
    ) -> Result<(), SendError> {
        if turn_is_over {
            tokio::task::yield_now().await;
        }
        match self.options.when_full {
            WhenFull::DropNew => self.try_send(message),
            WhenFull::Wait => self.send_when_room(message).await,
            WhenFull::WaitFor(time) => {
                let sent = tokio::time::timeout(time, self.send_when_room(message)).await;
                sent.unwrap_or(Err(SendError::Full))
            }
        }
    }

    async fn send_when_room(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        loop {
            let room = self.room.notified();
            match self.try_send(message) {
                Err(SendError::Full) => room.await,
                done => return done,
            }
        }
    }

    /// Whether the sender should let others run first.
    pub(crate) fn take_turn(&self) -> bool {
        self.turn_is_over.load(Ordering::Relaxed)
            && self.turn_is_over.swap(false, Ordering::Relaxed)
    }

    /// Queues `message` for every peer that wants it and has room or, if the socket is to wait for
    /// room, for all that want it or nobody.
    pub(crate) fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Closed.into());
        }
        let all = self.options.when_full != WhenFull::DropNew;
        let wakers = state.publish(message, all, &self.events)?;
        if state.spent >= TURN {
            state.spent = 0;
            self.turn_is_over.store(true, Ordering::Relaxed);
        }
        drop(state);
        // Outside the lock, which the woken want.
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    /// Connected peers with at least one subscription.
    pub(crate) fn subscriber_count(&self) -> usize {
        lock(&self.state).topics.subscribed_peers()
    }

    /// Returns once some peer would be sent a message whose first part is `topic`.
    pub(crate) async fn wait_for_subscriber(&self, topic: &[u8]) -> Result<(), Closed> {
        loop {
            let changed = self.changed.notified();
            {
                let state = lock(&self.state);
                if state.closed {
                    return Err(Closed);
                }
                if state.topics.is_wanted(topic) {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    pub(crate) fn stats(&self) -> Stats {
        let state = lock(&self.state);
        let mut stats = state.gone.clone();
        for (key, subscriber) in &state.peers {
            let counts = &subscriber.outbox;
            stats.sent += counts.sent;
            stats.dropped += counts.dropped;
            stats.queued += counts.queued() as u64;
            stats.peers.push(PeerStats {
                peer: subscriber.peer.clone(),
                sent: counts.sent,
                received: 0,
                dropped: counts.dropped,
                queued: counts.queued() as u64,
                subscriptions: state.topics.held_by(key).0 as u64,
            });
        }
        stats
    }
}

impl Publishing {
    fn marks(&self) -> Marks {
        let octets = match self.when_full {
            WhenFull::DropNew => 64 << 20,
            WhenFull::Wait | WhenFull::WaitFor(_) => 1 << 20,
        };
        Marks { messages: self.send_hwm, octets: self.send_hwm_octets.unwrap_or(octets) }
    }
}

impl State {
    /// Gives back the wakers of drivers that had nothing to do until now. With `all`, a peer without
    /// room keeps the message from everybody.
    fn publish(
        &mut self,
        message: &Outgoing<'_>,
        all: bool,
        events: &Events,
    ) -> Result<Vec<Waker>, SendError> {
        self.topics.wanted_by(message.topic(), &mut self.wanted_by);
        if self.wanted_by.is_empty() {
            self.spent += 1;
            return Ok(Vec::new());
        }
        if all && self.awaits_room() {
            return Err(SendError::Full);
        }
        let length = message.encoded_len();
        self.spent += SENT + length / OCTETS_PER_COST;
        if let Some((block, keys)) = self.journal.make_room(length) {
            for key in keys {
                if let Some(subscriber) = self.peers.get_mut(key) {
                    subscriber.outbox.unpin(block);
                }
            }
        }
        let mut wakers = Vec::new();
        let mut range = None;
        for &key in &self.wanted_by {
            let Subscriber { outbox, peer } = &mut self.peers[key];
            match outbox.room() {
                Room::Free => {
                    // Encoded once, and only if somebody takes it.
                    let range = range.get_or_insert_with(|| self.journal.append(message));
                    if outbox.push(self.journal.open(), range) {
                        self.journal.note_reader(key);
                    }
                    wakers.extend(outbox.waker.take());
                    if outbox.is_full() {
                        // The next message would be lost: its driver should have a chance before.
                        self.spent = TURN;
                    }
                }
                Room::FirstDropped => events.emit(|| Event::Dropping { peer: peer.clone() }),
                Room::Dropped => {}
            }
        }
        Ok(wakers)
    }

    /// Whether one of the peers in `wanted_by` is full; it is noted that somebody waits for it.
    fn awaits_room(&mut self) -> bool {
        let mut full = false;
        for &key in &self.wanted_by {
            let outbox = &mut self.peers[key].outbox;
            if outbox.is_full() {
                outbox.await_room();
                full = true;
            }
        }
        full
    }

    /// Forgets a peer, but not what it counted. Returns whether a sender waited for it.
    fn remove(&mut self, key: usize) -> bool {
        self.topics.remove_peer(key);
        let outbox = self.peers.remove(key).outbox;
        self.gone.sent += outbox.sent;
        self.gone.dropped += outbox.dropped;
        self.gone.undelivered += outbox.queued() as u64;
        if self.closed {
            self.undelivered_at_close += outbox.queued();
        }
        outbox.is_awaited()
    }
}

impl Core for Publisher {
    type Session = PublishSession;

    fn open(self: &Arc<Self>, peer: &Peer, _info: &PeerInfo) -> PublishSession {
        let outbox = Outbox::new(self.options.marks());
        let mut state = lock(&self.state);
        let key = state.peers.insert(Subscriber { peer: peer.clone(), outbox });
        state.topics.add_peer(key);
        PublishSession { core: self.clone(), peer: peer.clone(), key }
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_waiters();
        self.room.notify_waiters();
    }

    fn undelivered(&self) -> usize {
        lock(&self.state).undelivered_at_close
    }
}

/// A publisher's side of one connection.
pub(crate) struct PublishSession {
    core: Arc<Publisher>,
    peer: Peer,
    key: usize,
}

impl Session for PublishSession {
    fn poll_room(&mut self, _cx: &mut Context<'_>) -> Poll<usize> {
        Poll::Ready(usize::MAX)
    }

    fn messages(&mut self, _batch: Batch) {
        // RFC 29, The PUB Socket Type: it takes subscriptions; whatever else comes is discarded.
    }

    fn subscription(&mut self, subscription: Subscription) -> Result<(), Reason> {
        let options = &self.core.options;
        let mut state = lock(&self.core.state);
        let change = match &subscription {
            Subscription::Subscribe(topic) => {
                let added = state.topics.subscribe(self.key, topic);
                let (topics, octets) = state.topics.held_by(self.key);
                if topics > options.max_topics || octets > options.max_topic_octets {
                    let (topics, octets) = (options.max_topics, options.max_topic_octets);
                    return Err(TooManySubscriptions { topics, octets }.into());
                }
                added
            }
            Subscription::Cancel(topic) => state.topics.cancel(self.key, topic),
        };
        drop(state);
        if change {
            self.tell(subscription);
        }
        Ok(())
    }

    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        _connection: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<()> {
        let state = &mut *lock(&self.core.state);
        let outbox = &mut state.peers[self.key].outbox;
        if outbox.is_empty() {
            if !outbox.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                outbox.waker = Some(cx.waker().clone());
            }
            return Poll::Pending;
        }
        state.journal.seal();
        outbox.take(burst);
        Poll::Ready(())
    }

    fn written(&mut self, messages: usize, octets: usize) {
        if lock(&self.core.state).peers[self.key].outbox.written(messages, octets) {
            self.core.room.notify_waiters();
        }
    }
}

impl PublishSession {
    fn tell(&self, subscription: Subscription) {
        let peer = self.peer.clone();
        match subscription {
            Subscription::Subscribe(topic) => {
                self.core.changed.notify_waiters();
                self.core.events.emit(|| Event::Subscribed { peer, topic });
            }
            Subscription::Cancel(topic) => {
                self.core.events.emit(|| Event::Unsubscribed { peer, topic });
            }
        }
    }
}

impl Drop for PublishSession {
    fn drop(&mut self) {
        let awaited = lock(&self.core.state).remove(self.key);
        if awaited {
            self.core.room.notify_waiters();
        }
    }
}
