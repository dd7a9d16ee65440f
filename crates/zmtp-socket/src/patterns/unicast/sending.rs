//! Sending: at once, or when there is room.

use std::future::poll_fn;
use std::task::{Poll, Waker};

use bytes::Bytes;
use tokio::time::timeout;

use super::lanes::State;
use super::{Sends, UnicastCore};
use crate::error::{Closed, SendError};
use crate::options::{HighWaterMark, WhenFull};
use crate::peer::{Peer, PeerId};
use crate::send::flushing::Wait;
use crate::send::guard::Guard;
use crate::send::outbox::{COPY, LARGE};
use crate::send::outgoing::encoded_len;
use crate::send::waiters::Ticket;
use crate::send::{Outgoing, Place, Run, SendCore, SinkCore};
use crate::sync::lock;

/// The peer that a message is for.
#[derive(Clone, Copy, Debug)]
pub(crate) enum To<'a> {
    /// The peer whose turn it is.
    Next,
    Peer(PeerId),
    Identity(&'a [u8]),
}

impl<'a> From<&'a Peer> for To<'a> {
    fn from(peer: &'a Peer) -> Self {
        Self::Peer(peer.id())
    }
}

/// A sender's place in the queue that it waits in.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    ticket: Option<Ticket>,
    /// The lane that it waits for; none if it waits for any.
    lane: Option<usize>,
}

/// The lane that can take a message now.
enum Found {
    Lane(usize),
    /// No lane has room. If the message is for a named peer, the lane is given.
    Full(Option<usize>),
    Nobody,
}

impl SendCore for UnicastCore {
    fn when_full(&self) -> WhenFull {
        self.config.when_full
    }

    fn set_send_hwm(&self, mark: HighWaterMark) {
        Guard::lock(&self.state).set_mark(mark);
    }

    fn take_turn(&self) -> bool {
        self.turn_is_over.take()
    }

    #[inline]
    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        self.send(To::Next, message, None).map(drop)
    }

    #[inline]
    fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>> {
        self.send_now_to(To::Next, message)
    }

    fn send_going_on(&self, messages: &[Outgoing<'_>]) -> usize {
        if self.turn_is_over.get() || self.config.request.is_some() {
            return 0;
        }
        let state = &mut *lock(&self.state);
        let mut sent = 0;
        for message in messages {
            let (first, rest) = message.parts();
            let length = encoded_len(first, rest);
            if state.append_next(first, rest, length).is_none() {
                break;
            }
            sent += 1;
            self.end_turn(state);
            if self.turn_is_over.get() {
                break;
            }
        }
        sent
    }

    async fn send_when_room(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        self.send_when_room_to(To::Next, message).await.map(drop)
    }
}

impl SinkCore for UnicastCore {
    type Waiting = Waiting;

    fn poll_room(&self, watch: &mut Wait, waker: &Waker) -> Poll<Result<(), Closed>> {
        Guard::lock(&self.state).poll_room(watch, waker)
    }

    fn stop_watching(&self, watch: &mut Wait) {
        if watch.0.is_some() {
            Guard::lock(&self.state).stop_watching(watch);
        }
    }

    fn poll_send(
        &self,
        message: &Outgoing<'_>,
        waiting: &mut Waiting,
        waker: &Waker,
    ) -> Poll<Result<(), SendError>> {
        self.poll_send_to(To::Next, message, waiting, waker).map_ok(drop)
    }

    fn give_up(&self, waiting: &mut Waiting) {
        if waiting.ticket.is_some() {
            Guard::lock(&self.state).stop_waiting(waiting);
        }
    }

    fn poll_flush(&self, flush: &mut Wait, waker: &Waker) -> Poll<()> {
        Guard::lock(&self.state).poll_flush(flush, waker)
    }

    fn stop_flushing(&self, flush: &mut Wait) {
        if flush.0.is_some() {
            Guard::lock(&self.state).flushing.stop(flush);
        }
    }
}

impl UnicastCore {
    /// Does as [`try_send`](Self::try_send), unless the sender has to wait first.
    #[inline]
    pub(crate) fn send_now_to(
        &self,
        to: To<'_>,
        message: &Outgoing<'_>,
    ) -> Option<Result<(), SendError>> {
        if self.turn_is_over.get() {
            return None;
        }
        match self.send(to, message, None) {
            Err(SendError::Full) => None,
            done => Some(done.map(|_lane| ())),
        }
    }

    /// Waits as [`send_now_to`](Self::send_now_to) would not, then sends. Returns the lane.
    pub(crate) async fn send_later_to(
        &self,
        to: To<'_>,
        message: &Outgoing<'_>,
    ) -> Result<usize, SendError> {
        if self.take_turn() {
            tokio::task::yield_now().await;
        }
        let sending = self.send_when_room_to(to, message);
        match self.config.when_full {
            WhenFull::WaitFor(time) => timeout(time, sending).await.unwrap_or(Err(SendError::Full)),
            _ => sending.await,
        }
    }

    /// Waits for room as long as it takes, then sends.
    pub(crate) async fn send_when_room_to(
        &self,
        to: To<'_>,
        message: &Outgoing<'_>,
    ) -> Result<usize, SendError> {
        let mut place = Place::new(self);
        poll_fn(|cx| self.poll_send_to(to, message, &mut place.waiting, cx.waker())).await
    }

    /// Sends a message when its turn has come: when there is room, and no sender that came earlier waits
    /// for it. Until then, `waiting` keeps the sender's place. A sender that stops waiting has to [give
    /// it up](Self::give_up).
    pub(crate) fn poll_send_to(
        &self,
        to: To<'_>,
        message: &Outgoing<'_>,
        waiting: &mut Waiting,
        waker: &Waker,
    ) -> Poll<Result<usize, SendError>> {
        let (first, rest) = message.parts();
        let length = encoded_len(first, rest);
        let runs = self.prepare(to, message, waiting.ticket);
        let mut state = Guard::lock(&self.state);
        let sent =
            self.send_locked(&mut state, to, message, runs.as_deref(), length, waiting.ticket);
        let Err(Refused::Full(lane)) = sent else {
            state.stop_waiting(waiting);
            return Poll::Ready(sent.map_err(SendError::from));
        };
        state.await_room(lane, waiting, waker);
        Poll::Pending
    }

    /// Returns once a message would find room, or has nobody to go to.
    pub(crate) async fn wait_for_room(&self, to: To<'_>) -> Result<(), SendError> {
        let mut place = Place::new(self);
        poll_fn(|cx| {
            let waiting = &mut place.waiting;
            let mut state = Guard::lock(&self.state);
            let found = match state.find(to, waiting.ticket) {
                _ if state.closed => Err(Closed.into()),
                Found::Lane(_) => Ok(()),
                Found::Nobody => Err(SendError::Unroutable),
                Found::Full(lane) => {
                    state.await_room(lane, waiting, cx.waker());
                    return Poll::Pending;
                }
            };
            state.stop_waiting(waiting);
            Poll::Ready(found)
        })
        .await
    }

    /// Whether a message would find room now.
    pub(crate) fn has_room_for(&self, to: To<'_>) -> Result<bool, SendError> {
        let state = lock(&self.state);
        if state.closed {
            return Err(Closed.into());
        }
        match state.find(to, None) {
            Found::Lane(_) => Ok(true),
            Found::Full(_) => Ok(false),
            Found::Nobody => Err(SendError::Unroutable),
        }
    }

    /// Queues a message at once, or returns the reason why not. Returns the lane.
    #[inline]
    pub(crate) fn send(
        &self,
        to: To<'_>,
        message: &Outgoing<'_>,
        ticket: Option<Ticket>,
    ) -> Result<usize, SendError> {
        let (first, rest) = message.parts();
        let length = encoded_len(first, rest);
        if let To::Next = to
            && self.config.request.is_none()
        {
            // The usual case: no task has to be woken.
            let state = &mut *lock(&self.state);
            if let Some(key) = state.append_next(first, rest, length) {
                self.end_turn(state);
                return Ok(key);
            }
        }
        self.send_slowly(to, message, length, ticket)
    }

    #[inline(never)]
    fn send_slowly(
        &self,
        to: To<'_>,
        message: &Outgoing<'_>,
        length: usize,
        ticket: Option<Ticket>,
    ) -> Result<usize, SendError> {
        let runs = self.prepare(to, message, ticket);
        let mut state = Guard::lock(&self.state);
        self.send_locked(&mut state, to, message, runs.as_deref(), length, ticket)
            .map_err(SendError::from)
    }

    /// The message as it will be queued, if there is much to copy and the message seems to have a lane.
    /// The copy is made without the lock.
    fn prepare(
        &self,
        to: To<'_>,
        message: &Outgoing<'_>,
        ticket: Option<Ticket>,
    ) -> Option<Vec<Run>> {
        if message.copied_len() <= COPY {
            return None;
        }
        match lock(&self.state).find(to, ticket) {
            Found::Lane(_) => {}
            Found::Full(_) | Found::Nobody => return None,
        }
        Some(message.to_runs(LARGE))
    }

    fn send_locked(
        &self,
        state: &mut State,
        to: To<'_>,
        message: &Outgoing<'_>,
        runs: Option<&[Run]>,
        length: usize,
        ticket: Option<Ticket>,
    ) -> Result<usize, Refused> {
        if state.closed {
            return Err(Refused::Closed);
        }
        let key = match state.find(to, ticket) {
            Found::Lane(key) => key,
            Found::Full(None) => return Err(Refused::Full(None)),
            Found::Full(Some(key)) => match self.config.when_full {
                WhenFull::Wait | WhenFull::WaitFor(_) => return Err(Refused::Full(Some(key))),
                WhenFull::DropOldest => {
                    state.drop_oldest(key, &self.events);
                    key
                }
                when_full => {
                    if when_full == WhenFull::Disconnect {
                        state.expel_slow(key);
                    }
                    state.drop_one(Some(key), length, &self.events);
                    return Ok(key);
                }
            },
            Found::Nobody if self.config.mandatory => return Err(Refused::Unroutable),
            Found::Nobody => {
                // RFC 28, The ROUTER Socket Type: a message that cannot be routed is dropped.
                state.drop_one(None, length, &self.events);
                return Ok(usize::MAX);
            }
        };
        let filled = state.queue(key, message, runs, length, &self.events);
        if self.config.request.is_some() {
            state.await_answer(key);
        }
        if let To::Next = to {
            state.lanes[key].pass_turn(&mut state.ready);
        }
        let is_over = filled && state.ready.is_empty() && state.lanes.len() == 1;
        state.turn.spend(length, is_over);
        self.end_turn(state);
        Ok(key)
    }

    #[inline]
    fn end_turn(&self, state: &mut State) {
        if state.turn.end() {
            self.turn_is_over.set();
        }
    }
}

/// Why a message was not queued.
enum Refused {
    Closed,
    Full(Option<usize>),
    Unroutable,
}

impl From<Refused> for SendError {
    fn from(refused: Refused) -> Self {
        match refused {
            Refused::Closed => Closed.into(),
            Refused::Full(_) => Self::Full,
            Refused::Unroutable => Self::Unroutable,
        }
    }
}

impl State {
    /// Queues a small message for the next lane, if that is all there is to do. Returns that lane.
    #[inline]
    fn append_next(&mut self, first: &[u8], rest: &[Bytes], length: usize) -> Option<usize> {
        let key = *self.ready.front()?;
        let lane = &mut self.lanes[key];
        if !self.waiters.is_empty() || !lane.goes_on(length) {
            return None;
        }
        lane.append(first, rest, length);
        lane.pass_turn(&mut self.ready);
        self.totals.queued += 1;
        self.totals.queued_octets += length as u64;
        self.turn.spend(length, self.ready.is_empty());
        Some(key)
    }

    fn find(&self, to: To<'_>, ticket: Option<Ticket>) -> Found {
        let key = match to {
            To::Next => {
                return match self.ready.front() {
                    Some(&key) if !self.waiters.has_before(ticket) => Found::Lane(key),
                    _ => Found::Full(None),
                };
            }
            To::Peer(id) => self.peers.get(&id),
            To::Identity(identity) => self.identities.get(identity),
        };
        match key {
            Some(&key) if self.lanes[key].outbox.accepts(ticket) => Found::Lane(key),
            Some(&key) => Found::Full(Some(key)),
            None => Found::Nobody,
        }
    }

    /// Whether some lane has room.
    fn has_room(&self) -> bool {
        match self.sends {
            Sends::InTurn => !self.ready.is_empty(),
            _ => self.lanes.iter().any(|(_, lane)| lane.accepts()),
        }
    }

    /// Waits until some lane has room.
    fn poll_room(&mut self, watch: &mut Wait, waker: &Waker) -> Poll<Result<(), Closed>> {
        if self.closed || self.has_room() {
            self.stop_watching(watch);
            return Poll::Ready(if self.closed { Err(Closed) } else { Ok(()) });
        }
        let ticket = *watch.0.get_or_insert_with(|| self.tickets.next());
        self.watchers.join(ticket, waker);
        Poll::Pending
    }

    fn stop_watching(&mut self, watch: &mut Wait) {
        // All are woken at once, so there is no turn to pass on.
        let _next = watch.0.take().and_then(|ticket| self.watchers.leave(ticket));
    }

    fn poll_flush(&mut self, flush: &mut Wait, waker: &Waker) -> Poll<()> {
        let outboxes = self.lanes.iter_mut().map(|(_, lane)| &mut lane.outbox);
        self.effects.wake(self.flushing.begin(flush, &mut self.tickets, outboxes));
        self.flushing.poll(flush, waker)
    }

    /// Lets a sender wait for room in a lane, or in any.
    fn await_room(&mut self, lane: Option<usize>, waiting: &mut Waiting, waker: &Waker) {
        if waiting.lane != lane {
            self.stop_waiting(waiting);
        }
        waiting.lane = lane;
        let ticket = *waiting.ticket.get_or_insert_with(|| self.tickets.next());
        match lane {
            Some(key) => self.lanes[key].outbox.await_room(ticket, waker),
            None => self.waiters.join(ticket, waker),
        }
    }

    /// Ends a sender's wait. The next sender gets its turn.
    fn stop_waiting(&mut self, waiting: &mut Waiting) {
        let Some(ticket) = waiting.ticket.take() else { return };
        let next = match waiting.lane.take() {
            None => self.waiters.leave(ticket),
            Some(key) => self.lanes.get_mut(key).and_then(|it| it.outbox.waiters.leave(ticket)),
        };
        self.effects.wake(next);
    }
}
