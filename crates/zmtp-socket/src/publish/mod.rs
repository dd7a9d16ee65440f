//! The publishing half: who wants what, and what each peer still has to be sent.
//!
//! ```text
//! send ── topics: who wants it ── journal: encode once ── booking: for whom ── each peer's outbox
//!                                                                                      │
//!                                                                          stream ── driver
//! ```

mod audience;
mod booking;
mod journal;
mod outbox;
mod outgoing;
mod requests;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod topics;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use bytes::Bytes;
use tokio::sync::Notify;
use zmtp_codec::{Batch, PeerInfo, Subscription};

pub use outgoing::Outgoing;
pub use requests::{Request, Verbosity};

use crate::admission::Expel;
use crate::driver::Core;
use crate::monitor::Events;
use crate::options::{Publishing, RequestOptions};
use crate::stats::Count;
use crate::sync::lock;
use crate::transport::Outlet;
use crate::{
    Closed, Event, Message, Peer, PeerState, PeerStats, SendError, Stats, Unfinished, WhenFull,
};
use outbox::{LARGE, Outbox, has_large_part};
use outgoing::encoded_len;
use requests::{Requests, Unread};
use session::PublishSession;
use state::{State, Subscriber};
use topics::Change;

/// The core of a PUB socket.
pub(crate) struct Publisher {
    state: Mutex<State>,
    options: Publishing,
    /// Of an XPUB.
    hearing: Option<RequestOptions>,
    /// A sender has used up its turn.
    turn_is_over: AtomicBool,
    /// Told of every new subscription, and of the end.
    changed: Notify,
    /// Told when a queue that a sender waits for has room, and of the end.
    room: Notify,
    events: Arc<Events>,
}

impl Publisher {
    /// With `hearing`, the user is told what subscribers want.
    pub(crate) fn new(
        options: Publishing,
        hearing: Option<RequestOptions>,
        events: Arc<Events>,
    ) -> Self {
        let limit = Unread { requests: options.max_topics, octets: options.max_topic_octets };
        let requests = hearing.as_ref().map(|it| {
            // Who subscribes peers itself has to know of each.
            let verbosity = if it.manual { Verbosity::All } else { it.verbosity };
            Requests::new(verbosity, limit)
        });
        Self {
            state: Mutex::new(State::new(&options, requests)),
            options,
            hearing,
            turn_is_over: AtomicBool::new(false),
            changed: Notify::new(),
            room: Notify::new(),
            events,
        }
    }

    /// Does as [`try_send`](Self::try_send) does, unless the sender has first to wait: for the
    /// runtime's other tasks, which get their turn now and then, or, if the socket is to, for room.
    #[inline]
    pub(crate) fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>> {
        if self.turn_is_over.load(Ordering::Relaxed) {
            return None;
        }
        match self.try_send(message) {
            Err(SendError::Full) => None,
            done => Some(done),
        }
    }

    /// Waits for what [`send_now`](Self::send_now) did not, then sends.
    pub(crate) async fn send_later(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        if self.take_turn() {
            tokio::task::yield_now().await;
        }
        match self.options.when_full {
            WhenFull::DropNew | WhenFull::DropOldest | WhenFull::Disconnect => {
                self.try_send(message)
            }
            WhenFull::Wait => self.send_when_room(message).await,
            WhenFull::WaitFor(time) => {
                let sent = tokio::time::timeout(time, self.send_when_room(message)).await;
                sent.unwrap_or(Err(SendError::Full))
            }
        }
    }

    /// Publishes all of `batch`, each message as if it were sent by itself, and takes it out once it is. What
    /// fails is left in front.
    pub(crate) async fn send_batch(&self, batch: &mut Batch) -> Result<(), SendError> {
        loop {
            let sent = match batch.peek_body() {
                // It is copied in any case.
                Some(body) if body.len() < LARGE => self.send_now(&body.into()),
                _ => {
                    let Some(message) = batch.peek() else { return Ok(()) };
                    self.send_now(&message.into())
                }
            };
            match sent {
                Some(sent) => sent?,
                None => {
                    let message = batch.peek().expect("it has not been sent");
                    self.send_later(&message.into()).await?;
                }
            }
            batch.drop_next();
        }
    }

    /// Waits for room as long as it takes, then sends.
    pub(crate) async fn send_when_room(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        loop {
            let room = self.room.notified();
            match self.try_send(message) {
                Err(SendError::Full) => room.await,
                done => return done,
            }
        }
    }

    /// What becomes of a message for which there is no room.
    #[cfg(feature = "blocking")]
    pub(crate) fn when_full(&self) -> WhenFull {
        self.options.when_full
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
        if state.find_topics(first) {
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
        state.find_peers();
        if let Some(begun) = state.write_at_once(message, length) {
            self.end_turn(state);
            drop(guard);
            begun.into_iter().for_each(Waker::wake);
            return Ok(());
        }
        let when_full = self.options.when_full;
        let apart = message.shared().filter(|message| has_large_part(message));
        let wakers = match apart {
            Some(message) => {
                // It is no part of the open segment, and so of no booking that goes on.
                state.settle();
                let wakers = state.book_anew(0, when_full, &self.events)?;
                state.book_apart(message, length);
                wakers
            }
            None => {
                let wakers = state.book_anew(length, when_full, &self.events)?;
                let (first, rest) = message.parts();
                state.book(first, rest, length);
                wakers
            }
        };
        state.prolong_turn(wakers.len());
        self.end_turn(state);
        drop(guard);
        // Outside the lock, which the woken want.
        wakers.into_iter().for_each(Waker::wake);
        Ok(())
    }

    #[inline]
    fn end_turn(&self, state: &mut State) {
        if state.end_turn() {
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
                let mut state = lock(&self.state);
                if state.closed {
                    return Err(Closed);
                }
                if state.is_wanted(topic) {
                    return Ok(());
                }
            }
            changed.await;
        }
    }
}

/// What an XPUB does besides.
impl Publisher {
    /// The next request; waits for it with a waker.
    pub(crate) fn poll_request(&self, waker: Option<&Waker>) -> Poll<Result<Request, Closed>> {
        let state = &mut *lock(&self.state);
        let requests = state.requests.as_mut().expect("who hears has not stopped");
        match (requests.pop(), waker) {
            (Some(request), _) => Poll::Ready(Ok(request)),
            (None, _) if state.closed => Poll::Ready(Err(Closed)),
            (None, waker) => {
                waker.into_iter().for_each(|waker| requests.wait(waker.clone()));
                Poll::Pending
            }
        }
    }

    pub(crate) fn verbosity(&self) -> Verbosity {
        self.hearing.as_ref().map_or_else(Verbosity::default, |hearing| hearing.verbosity)
    }

    /// Nobody reads requests any more.
    pub(crate) fn stop_hearing(&self) {
        lock(&self.state).requests = None;
    }

    /// Sends `message` to one peer. Returns whether it is there.
    pub(crate) fn send_to(&self, peer: &Peer, message: &Message) -> Result<bool, Closed> {
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Closed);
        }
        let Some(&key) = state.keys.get(&peer.id()) else { return Ok(false) };
        let waker = state.send_to(key, message, &self.events);
        drop(state);
        waker.into_iter().for_each(Waker::wake);
        Ok(true)
    }

    /// Subscribes a peer, or ends a subscription of it, in its place. Returns whether it is there and
    /// that changed something.
    pub(crate) fn change_for(&self, peer: &Peer, subscription: Subscription) -> bool {
        let mut state = self.settled();
        let Some(&key) = state.keys.get(&peer.id()) else { return false };
        let change = state.topics.change(key, &subscription);
        drop(state);
        self.tell(peer, subscription, change);
        change >= Change::OfPeer
    }

    fn tell(&self, peer: &Peer, subscription: Subscription, change: Change) {
        if change < Change::OfPeer {
            return;
        }
        let peer = peer.clone();
        // With inverted matching, either may make a topic wanted.
        self.changed.notify_waiters();
        self.events.emit(|| match subscription {
            Subscription::Subscribe(topic) => Event::Subscribed { peer, topic },
            Subscription::Cancel(topic) => Event::Unsubscribed { peer, topic },
        });
    }
}

impl Core for Publisher {
    type Session = PublishSession;

    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        _info: &PeerInfo,
        outlet: Option<&Outlet>,
        expel: Expel,
    ) -> PublishSession {
        let expel = Some(expel).filter(|_| self.options.when_full == WhenFull::Disconnect);
        let outbox = Outbox::new(self.options.marks(), outlet.cloned(), expel);
        let mut state = self.settled();
        let received = Count::default();
        let key = state.peers.insert(Subscriber { peer: peer.clone(), received, outbox });
        state.topics.add_peer(key);
        if state.requests.is_some() {
            state.keys.insert(peer.id(), key);
        }
        if let Some(welcome) = self.hearing.as_ref().and_then(|hearing| hearing.welcome.as_ref()) {
            state.send_to(key, welcome, &self.events);
        }
        drop(state);
        if self.options.inverted {
            self.changed.notify_waiters();
        }
        PublishSession { core: self.clone(), peer: peer.clone(), key }
    }

    fn stats(&self) -> Stats {
        let state = self.settled();
        let mut stats = state.gone.clone();
        for (key, Subscriber { peer, received, outbox }) in &state.peers {
            let peer = PeerStats {
                peer: peer.clone(),
                age: peer.age(),
                state: PeerState::of(outbox.is_congested()),
                sent: outbox.sent.messages,
                sent_octets: outbox.sent.octets,
                received: received.messages,
                received_octets: received.octets,
                dropped: outbox.dropped.messages,
                dropped_octets: outbox.dropped.octets,
                queued: outbox.queued() as u64,
                queued_octets: outbox.queued_octets() as u64,
                subscriptions: state.topics.held_by(key).0 as u64,
            };
            stats.add(peer);
        }
        stats
    }

    fn close(&self) {
        let mut state = lock(&self.state);
        state.closed = true;
        let reader = state.requests.as_mut().and_then(Requests::end);
        drop(state);
        reader.into_iter().for_each(Waker::wake);
        self.changed.notify_waiters();
        self.room.notify_waiters();
    }

    fn unfinished(&self) -> Unfinished {
        let unsent = lock(&self.state).undelivered_at_close;
        Unfinished { unsent, ..Unfinished::default() }
    }
}
