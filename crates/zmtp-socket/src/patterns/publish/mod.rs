//! The publishing half: the topics that the peers want, and the messages that each peer is still to be
//! sent.
//!
//! ```text
//! send ── topics: which peers ── journal: encode once ── booking: which peers ── each peer's outbox
//!                                                                                      │
//!                                                                          stream ── driver
//! ```

mod booking;
mod recipients;
mod requests;
mod sending;
mod session;
mod state;
#[cfg(test)]
mod tests;
mod together;
mod topics;

use std::future::poll_fn;
use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Poll, Waker};

use bytes::Bytes;
pub use requests::Request;
use requests::{Requests, Unread};
use session::PublishSession;
use state::{PeerEntry, State};
use topics::Change;
use zmtp_codec::{Message, PeerInfo, Subscription};

use crate::engine::admission::Kill;
use crate::engine::driver::{Core, Ways};
use crate::error::{Closed, Reason, SendError};
use crate::monitor::Events;
use crate::options::{Publishing, RequestOptions, Verbosity, WhenFull};
use crate::peer::Peer;
use crate::send::guard::Guard;
use crate::send::outbox::{COPY, LARGE};
use crate::send::turn::TurnIsOver;
use crate::send::waiters::Ticket;
use crate::send::{Outbox, Outgoing, Run};
use crate::stats::{Count, PeerStats, Stats, Unfinished};
use crate::sync::lock;

/// The core of a PUB socket.
pub(crate) struct PubCore {
    state: Mutex<State>,
    options: Publishing,
    /// The request options of an XPUB; `None` for a PUB.
    hearing: Option<RequestOptions>,
    turn_is_over: TurnIsOver,
}

impl PubCore {
    /// With `hearing`, the core is that of an XPUB, whose user reads the requests of subscribers.
    pub(crate) fn new(
        options: Publishing,
        hearing: Option<RequestOptions>,
        events: Arc<Events>,
    ) -> Self {
        let limit = Unread { requests: options.max_topics, octets: options.max_topic_octets };
        let requests = hearing.as_ref().map(|it| {
            // A user that subscribes peers itself needs the requests of each peer.
            let verbosity = if it.manual { Verbosity::All } else { it.verbosity };
            Requests::new(verbosity, limit)
        });
        let mut state = State::new(&options, requests, events);
        state.manual = hearing.as_ref().is_some_and(|hearing| hearing.manual);
        state.welcome = hearing.as_ref().and_then(|hearing| hearing.welcome.clone());
        Self { state: Mutex::new(state), options, hearing, turn_is_over: TurnIsOver::default() }
    }

    pub(crate) fn is_closed(&self) -> bool {
        lock(&self.state).closed
    }

    /// `first` and `rest` are the parts of `message`. As arguments of their own they are passed in
    /// registers.
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
        if let Err(length) = state.go_on(first, rest) {
            return self.publish_slowly(guard, message, length);
        }
        self.end_turn(state);
        Ok(())
    }

    /// Publishes a message that does not go on with the one before it. It is a function of its own so
    /// that it costs the other messages nothing.
    #[inline(never)]
    fn publish_slowly(
        &self,
        state: MutexGuard<'_, State>,
        message: &Outgoing<'_>,
        length: usize,
    ) -> Result<(), SendError> {
        let (_state, sent) = self.publish_anew(state.into(), message, length, None);
        sent
    }

    /// Publishes a message that is for other peers than the one before it, or in another block. A sender
    /// that has waited for its turn has a ticket. Returns the locked state.
    fn publish_anew<'a>(
        &'a self,
        mut state: Guard<'a, State>,
        message: &Outgoing<'_>,
        length: usize,
        ticket: Option<Ticket>,
    ) -> (Guard<'a, State>, Result<(), SendError>) {
        let when_full = state.when_full;
        state.find_peers();
        let sent = if message.copied_len() <= COPY {
            state.publish(message, length, when_full, ticket)
        } else if state.finds_room(when_full, ticket) {
            // Some peer will take the message, so it is copied now, without the lock.
            drop(state);
            let runs = message.to_runs(LARGE);
            state = Guard::lock(&self.state);
            // The state may have changed meanwhile.
            if state.closed {
                Err(Closed.into())
            } else if state.find_topics_slowly(message.parts().0) {
                state.find_peers();
                state.publish_runs(&runs, length, when_full, ticket)
            } else {
                Ok(())
            }
        } else {
            state.publish_runs(&[], length, when_full, ticket)
        };
        self.end_turn(&mut state);
        (state, sent)
    }

    #[inline]
    fn end_turn(&self, state: &mut State) {
        if state.turn.end() {
            self.turn_is_over.set();
        }
    }

    /// The locked state, with its booking settled.
    fn settled(&self) -> Guard<'_, State> {
        let mut state = Guard::lock(&self.state);
        state.settle();
        state
    }

    /// The number of connected peers with at least one subscription.
    pub(crate) fn subscriber_count(&self) -> usize {
        lock(&self.state).topics.subscribed_peers()
    }

    /// Returns once a message whose first part is `topic` would be sent to some peer.
    pub(crate) async fn wait_for_subscriber(&self, topic: &[u8]) -> Result<(), Closed> {
        let mut watch = Watch { core: self, ticket: None };
        poll_fn(|cx| {
            let mut state = Guard::lock(&self.state);
            if state.closed {
                return Poll::Ready(Err(Closed));
            }
            if state.is_wanted(topic) {
                return Poll::Ready(Ok(()));
            }
            watch.ticket = Some(state.watch(watch.ticket, cx.waker()));
            Poll::Pending
        })
        .await
    }
}

/// A task's wait for a change of subscriptions, which ends when this is dropped.
struct Watch<'a> {
    core: &'a PubCore,
    ticket: Option<Ticket>,
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket {
            Guard::lock(&self.core.state).stop_watching(ticket);
        }
    }
}

/// The additional functions of an XPUB.
impl PubCore {
    /// The next request. With a waker, waits for it.
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

    /// The next requests, at least one and up to `count`. Waits for them.
    pub(crate) fn poll_requests(
        &self,
        count: usize,
        waker: &Waker,
    ) -> Poll<Result<Vec<Request>, Closed>> {
        let state = &mut *lock(&self.state);
        let requests = state.requests.as_mut().expect("who hears has not stopped");
        let next: Vec<_> = std::iter::from_fn(|| requests.pop()).take(count).collect();
        match next.is_empty() {
            false => Poll::Ready(Ok(next)),
            true if state.closed => Poll::Ready(Err(Closed)),
            true => {
                requests.wait(waker.clone());
                Poll::Pending
            }
        }
    }

    /// How new requests are reported.
    pub(crate) fn verbosity(&self) -> Verbosity {
        let state = lock(&self.state);
        state.requests.as_ref().map_or_else(Verbosity::default, Requests::verbosity)
    }

    pub(crate) fn set_verbosity(&self, verbosity: Verbosity) {
        let mut state = Guard::lock(&self.state);
        let verbosity = if state.manual { Verbosity::All } else { verbosity };
        if let Some(requests) = &mut state.requests {
            requests.set_verbosity(verbosity);
        }
    }

    pub(crate) fn set_manual(&self, manual: bool, verbosity: Verbosity) {
        lock(&self.state).manual = manual;
        self.set_verbosity(verbosity);
    }

    pub(crate) fn set_welcome(&self, message: Option<Message>) {
        lock(&self.state).welcome = message;
    }

    pub(crate) fn set_when_full(&self, when_full: WhenFull) {
        let mut state = self.settled();
        state.when_full = when_full;
        state.look_again();
    }

    pub(crate) fn set_inverted(&self, inverted: bool) {
        let mut state = self.settled();
        state.inverted = inverted;
        state.look_again();
    }

    /// Stops collecting requests, since no reader is left.
    pub(crate) fn stop_hearing(&self) {
        // There may be many unread requests: they are freed after the lock is released.
        let _requests = lock(&self.state).requests.take();
    }

    /// Sends `message` to one peer. Returns whether the peer is connected.
    pub(crate) fn send_to(&self, peer: &Peer, message: &Message) -> Result<bool, Closed> {
        // Any copies are made without the lock.
        let runs = Run::of_large(message, LARGE);
        let mut state = Guard::lock(&self.state);
        if state.closed {
            return Err(Closed);
        }
        let Some(&key) = state.keys.get(&peer.id()) else { return Ok(false) };
        state.send_to(key, &runs, message.encoded_len());
        Ok(true)
    }

    /// Subscribes a peer on its behalf, or ends a subscription of it. Returns whether the peer is
    /// connected and that changed something.
    pub(crate) fn change_for(&self, peer: &Peer, subscription: Subscription) -> bool {
        let mut state = self.settled();
        let Some(&key) = state.keys.get(&peer.id()) else { return false };
        let change = state.topics.change(key, &subscription);
        if change < Change::OfPeer {
            return false;
        }
        state.has_changed(key);
        state.tell_of(peer, subscription);
        true
    }
}

impl Core for PubCore {
    type Session = PublishSession;

    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        _info: &PeerInfo,
        ways: Ways<'_>,
        kill: Kill,
    ) -> Result<PublishSession, Reason> {
        // Any copies are made without the lock.
        let welcome = lock(&self.state).welcome.clone();
        let welcome =
            welcome.map(|message| (Run::of_large(&message, LARGE), message.encoded_len()));
        let mut state = self.settled();
        let outbox = Outbox::new(state.marks, ways.outlet.cloned(), Some(kill));
        let received = Count::default();
        let key = state.peers.insert(PeerEntry { peer: peer.clone(), received, outbox });
        state.topics.add_peer(key);
        if state.requests.is_some() {
            state.keys.insert(peer.id(), key);
        }
        if let Some((runs, length)) = welcome {
            state.send_to(key, &runs, length);
        }
        if state.inverted {
            state.has_changed(key);
        }
        drop(state);
        self.wake_together();
        Ok(PublishSession::new(self.clone(), peer.clone(), key))
    }

    fn totals(&self) -> Stats {
        self.settled().totals()
    }

    fn look_at(&self, from: usize, peers: &mut Vec<PeerStats>) -> Option<usize> {
        self.settled().look_at(from, peers)
    }

    fn close(&self) {
        Guard::lock(&self.state).close();
    }

    fn interrupt(&self) {
        self.turn_is_over.set();
        let reader = lock(&self.state).requests.as_mut().and_then(Requests::end);
        reader.into_iter().for_each(Waker::wake);
    }

    fn unfinished(&self) -> Unfinished {
        let unsent = lock(&self.state).undelivered_at_close;
        Unfinished { unsent, ..Unfinished::default() }
    }
}
