//! The publishing half: who wants what, and what each peer still has to be sent.
//!
//! ```text
//! send ── topics: who wants it ── journal: encode once ── booking: for whom ── each peer's outbox ── driver ── stream
//! ```

mod audience;
mod booking;
mod journal;
mod outbox;
mod outgoing;
#[cfg(test)]
mod tests;
mod topics;

use std::io::IoSlice;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Poll, Waker};
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use slab::Slab;
use tokio::sync::Notify;
use zmtp_codec::{Batch, Connection, FrameHeader, PeerInfo, Subscription};

pub use outgoing::Outgoing;

use crate::burst::Burst;
use crate::driver::{Core, Session};
use crate::monitor::Events;
use crate::options::Publishing;
use crate::prefix_map::EntryId;
use crate::sync::lock;
use crate::transport::Outlet;
use crate::{
    Closed, Event, Message, Peer, PeerStats, Reason, SendError, Stats, TooManySubscriptions,
    WhenFull,
};
use booking::{Booking, Room};
use journal::Journal;
use outbox::{LARGE, Marks, Outbox, Run, has_large_part};
use outgoing::{encode, encoded_len};
use topics::Topics;

/// What a sender may spend before the other tasks of its runtime get a turn. A message nobody
/// wants costs 1, any other [`SENT`] and a little for its size; one that fills a peer's queue ends
/// the turn.
const TURN: usize = 8192;
const SENT: usize = 8;
const OCTETS_PER_COST: usize = 16;

/// A driver that was woken will spend about so much in its own turn. That the system calls of many
/// do not outweigh what they write, the sender's turn grows with each, up to [`LONGEST_TURN`].
const WOKEN: usize = 512;
const LONGEST_TURN: usize = 8 * TURN;

/// A socket on which a message follows another within this time is busy.
const BUSY: Duration = Duration::from_micros(50);

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
    /// What has been appended to the journal and stands in no outbox yet.
    booking: Booking,
    /// When a driver was last given something to do, or spared it.
    busy: Option<Instant>,
    closed: bool,
    /// What the sender has spent of its turn, and may spend.
    spent: usize,
    turn: usize,
    /// The topics that one message matches, and the peers that want them; kept for their memory.
    matching: Vec<EntryId>,
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
            booking: Booking::default(),
            busy: None,
            closed: false,
            spent: 0,
            turn: TURN,
            matching: Vec::new(),
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

    /// Does as [`try_send`](Self::try_send) does, unless the sender has first to wait: for the
    /// runtime's other tasks, which get their turn now and then, or, if the socket is to, for room.
    #[inline]
    pub(crate) fn send_at_once(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>> {
        if self.turn_is_over.load(Ordering::Relaxed) {
            return None;
        }
        match self.try_send(message) {
            Err(SendError::Full) => None,
            done => Some(done),
        }
    }

    /// Waits for what [`send_at_once`](Self::send_at_once) did not, then sends.
    pub(crate) async fn send_later(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        if self.take_turn() {
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
    #[inline]
    pub(crate) fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let (first, rest) = message.parts();
        self.publish(first, rest, message)
    }

    /// The parts are those of the message. By themselves they come in registers.
    #[inline(never)]
    fn publish(
        &self,
        first: &[u8],
        rest: &[Bytes],
        message: &Outgoing<'_>,
    ) -> Result<(), SendError> {
        let mut guard = lock(&self.state);
        let state = &mut *guard;
        if state.closed {
            return Err(Closed.into());
        }
        state.topics.matching(first, &mut state.matching);
        if state.matching.is_empty() {
            state.spent += 1;
        } else {
            let length = encoded_len(first, rest);
            if !state.goes_on(length) {
                return self.publish_anew(guard, message, length);
            }
            state.book(first, rest, length);
        }
        self.end_turn(state);
        Ok(())
    }

    /// Publishes a message that is for other peers than the one before it, or in another block.
    #[inline(never)]
    fn publish_anew(
        &self,
        mut guard: MutexGuard<'_, State>,
        message: &Outgoing<'_>,
        length: usize,
    ) -> Result<(), SendError> {
        let state = &mut *guard;
        state.topics.peers_of(&state.matching, &mut state.wanted_by);
        if let Some(begun) = state.write_at_once(message, length) {
            state.spent += SENT + length / OCTETS_PER_COST;
            self.end_turn(state);
            drop(guard);
            begun.into_iter().for_each(Waker::wake);
            return Ok(());
        }
        let all = self.options.when_full != WhenFull::DropNew;
        let apart = message.shared().filter(|message| has_large_part(message));
        let wakers = match apart {
            Some(message) => {
                state.settle();
                let wakers = state.book_anew(0, all, &self.events)?;
                state.book_apart(message, length);
                wakers
            }
            None => {
                let wakers = state.book_anew(length, all, &self.events)?;
                let (first, rest) = message.parts();
                state.book(first, rest, length);
                wakers
            }
        };
        state.turn = LONGEST_TURN.min(state.turn + wakers.len() * WOKEN);
        self.end_turn(state);
        drop(guard);
        // Outside the lock, which the woken want.
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    #[inline]
    fn end_turn(&self, state: &mut State) {
        if state.spent >= state.turn {
            (state.spent, state.turn) = (0, TURN);
            self.turn_is_over.store(true, Ordering::Relaxed);
        }
    }

    /// The state, with nothing left that stands in no outbox yet.
    fn settled(&self) -> MutexGuard<'_, State> {
        let mut state = lock(&self.state);
        state.settle();
        state
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
        let state = self.settled();
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
    /// Whether the next message, of so many octets, which the topics in `matching` match, is for the
    /// peers that the one before it was for, and they and the block have room for it.
    #[inline]
    fn goes_on(&self, length: usize) -> bool {
        // A large part may be shared in place of being copied.
        length < LARGE && self.booking.takes(&self.matching) && self.journal.has_room(length)
    }

    /// Encodes and books a message that [goes on](Self::goes_on).
    #[inline]
    fn book(&mut self, first: &[u8], rest: &[Bytes], length: usize) {
        // Encoded once, and only if somebody takes it.
        if !self.booking.takers.is_empty() {
            self.journal.append(first, rest);
        }
        if self.booking.add(length) {
            self.settle();
            // The next message would be lost: the drivers should have a chance before.
            self.spent = self.turn;
        }
        self.spent += SENT + length / OCTETS_PER_COST;
    }

    /// Books a message whose large parts are shared in place of being copied.
    fn book_apart(&mut self, message: &Message, length: usize) {
        if self.booking.add(length) {
            self.spent = self.turn;
        }
        self.spent += SENT + length / OCTETS_PER_COST;
        self.give(&Run::of_large(message));
        self.booking.clear();
    }

    /// Writes a message that one idle peer alone wants, and so spares it the way through that peer's
    /// driver; a large one also the copy. Gives back the driver's waker if it must write the rest. A
    /// small message of many that follow one another closely is left to the driver, which writes many
    /// at once.
    fn write_at_once(&mut self, message: &Outgoing<'_>, length: usize) -> Option<Option<Waker>> {
        let ([key], 0) = (&self.wanted_by[..], self.booking.messages) else { return None };
        let outbox = &mut self.peers[*key].outbox;
        let outlet = outbox.idle_outlet()?;
        let (first, rest) = message.parts();
        if length < LARGE {
            let now = Instant::now();
            let before = self.busy.replace(now);
            if before.is_some_and(|before| now - before < BUSY) {
                return None;
            }
        } else if !rest.is_empty() {
            return None;
        }
        let mut head = BytesMut::new();
        let body = match rest {
            [] => {
                FrameHeader { more: false, command: false, size: first.len() as u64 }
                    .encode(&mut head);
                first
            }
            _ => {
                encode(first, rest, &mut head);
                &[]
            }
        };
        // If the system takes nothing, or has an error to tell, it is the driver that deals with it.
        let written = outlet.try_write(&[IoSlice::new(&head), IoSlice::new(body)]).ok()?;
        if written == length {
            outbox.begin(Burst::default(), 0);
            return Some(None);
        }
        let begun = match written.checked_sub(head.len()) {
            Some(taken) if !body.is_empty() => {
                Burst::of_torn(Bytes::copy_from_slice(&body[taken..]))
            }
            _ => {
                head.extend_from_slice(body);
                let mut begun = Burst::default();
                begun.push(head.freeze(), 1, 0);
                begun.advance(written);
                begun
            }
        };
        outbox.begin(begun, length - written);
        Some(outbox.waker.take())
    }

    /// Goes on with the booking for other topics, if the same peers want them, or begins another.
    /// Gives back the wakers of drivers that had nothing to do until now. With `all`, a peer without
    /// room keeps the message from everybody.
    fn book_anew(
        &mut self,
        length: usize,
        all: bool,
        events: &Events,
    ) -> Result<Vec<Waker>, SendError> {
        if self.journal.has_room(length) && self.booking.is_for(&self.wanted_by) {
            self.booking.set_topics(&self.matching);
            return Ok(Vec::new());
        }
        self.settle();
        let (wanted_by, peers) = (&mut self.wanted_by, &mut self.peers);
        let is_full = |key: &mut usize| peers[*key].outbox.room().is_none();
        self.booking.losers.extend(wanted_by.extract_if(.., is_full));
        if all && !self.booking.losers.is_empty() {
            self.booking.losers.drain(..).for_each(|key| peers[key].outbox.await_room());
            return Err(SendError::Full);
        }
        for &key in &self.booking.losers {
            let Subscriber { outbox, peer } = &mut peers[key];
            if outbox.begin_dropping() {
                events.emit(|| Event::Dropping { peer: peer.clone() });
            }
        }
        let (mut wakers, mut room) = (Vec::new(), Room::UNLIMITED);
        for &key in &*wanted_by {
            let outbox = &mut peers[key].outbox;
            room = room.min(outbox.room());
            wakers.extend(outbox.waker.take());
        }
        if !wakers.is_empty() {
            self.busy = Some(Instant::now());
        }
        std::mem::swap(&mut self.booking.takers, wanted_by);
        if !self.booking.takers.is_empty() {
            self.begin_block_for(length);
        }
        self.booking.set_topics(&self.matching);
        self.booking.begin(self.journal.end(), room);
        Ok(wakers)
    }

    /// Makes room in the journal. If this ends a block, peers that want little of it get a copy.
    fn begin_block_for(&mut self, length: usize) {
        if let Some((block, keys)) = self.journal.make_room(length) {
            for key in keys {
                if let Some(subscriber) = self.peers.get_mut(key) {
                    subscriber.outbox.unpin(block);
                }
            }
        }
    }

    /// Gives each peer its part of the booking, and ends it.
    fn settle(&mut self) {
        if self.booking.messages > 0 {
            let (segment, range) = (self.journal.open().clone(), self.booking.range.clone());
            let messages = self.booking.messages;
            self.give(&[Run { segment, range, messages, continued: 0 }]);
        }
        self.booking.clear();
    }

    /// Gives `runs`, which are what is booked, to those who get it.
    fn give(&mut self, runs: &[Run]) {
        let Booking { takers, losers, messages, .. } = &self.booking;
        for &key in takers {
            for run in runs {
                if self.peers[key].outbox.push(run) {
                    self.journal.note_reader(key);
                }
            }
        }
        for &key in losers {
            self.peers[key].outbox.dropped += *messages as u64;
        }
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

    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        _info: &PeerInfo,
        outlet: Option<&Outlet>,
    ) -> PublishSession {
        let outbox = Outbox::new(self.options.marks(), outlet.cloned());
        let mut state = self.settled();
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
        let mut state = self.core.settled();
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
        let state = &mut *self.core.settled();
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
        if self.core.settled().peers[self.key].outbox.written(messages, octets) {
            self.core.room.notify_waiters();
        }
    }

    fn claim(&mut self, burst: &mut Burst) {
        self.core.settled().peers[self.key].outbox.claim(burst);
    }

    fn has_written(&self) -> bool {
        lock(&self.core.state).peers[self.key].outbox.sent > 0
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
        let awaited = self.core.settled().remove(self.key);
        if awaited {
            self.core.room.notify_waiters();
        }
    }
}
