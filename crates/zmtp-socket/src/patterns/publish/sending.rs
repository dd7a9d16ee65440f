//! Sending with a wait: for the runtime's other tasks, and for room.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::task::{Poll, Waker};

use zmtp_codec::Batch;

use super::PubCore;
use crate::error::{Closed, SendError};
use crate::options::{HighWaterMark, WhenFull};
use crate::send::flushing::Wait;
use crate::send::guard::Guard;
use crate::send::outbox::LARGE;
use crate::send::outgoing::encoded_len;
use crate::send::waiters::Ticket;
use crate::send::{Outgoing, Place, SendCore, SinkCore};
use crate::sync::lock;

/// A sender's place in the queues of the peers that it waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(super) ticket: Option<Ticket>,
    pub(super) peers: BTreeSet<usize>,
}

impl SendCore for PubCore {
    fn when_full(&self) -> WhenFull {
        lock(&self.state).when_full
    }

    fn set_send_hwm(&self, mark: HighWaterMark) {
        let mut state = self.settled();
        state.marks.messages = mark;
        for (_, peer) in &mut state.peers {
            peer.outbox.set_mark(mark);
        }
        state.look_again();
    }

    fn take_turn(&self) -> bool {
        self.turn_is_over.take()
    }

    #[inline]
    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let (first, rest) = message.parts();
        self.publish(first, rest, message)
    }

    #[inline]
    fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>> {
        if self.turn_is_over.get() {
            return None;
        }
        match self.try_send(message) {
            Err(SendError::Full) => None,
            done => Some(done),
        }
    }

    fn send_going_on(&self, messages: &[Outgoing<'_>]) -> usize {
        if self.turn_is_over.get() {
            return 0;
        }
        let state = &mut *lock(&self.state);
        if state.closed {
            return 0;
        }
        let mut sent = 0;
        for message in messages {
            let (first, rest) = message.parts();
            if state.go_on(first, rest).is_err() {
                break;
            }
            sent += 1;
            if state.turn.end() {
                self.turn_is_over.set();
                break;
            }
        }
        sent
    }

    async fn send_when_room(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let mut place = Place::new(self);
        poll_fn(|cx| self.poll_send(message, &mut place.waiting, cx.waker())).await
    }
}

impl PubCore {
    /// Returns once each peer that wants a message whose first part is `topic` has room for it.
    pub(crate) async fn wait_for_room(&self, topic: &[u8]) -> Result<(), Closed> {
        let mut place = Place::new(self);
        poll_fn(|cx| {
            let waiting = &mut place.waiting;
            let mut state = self.settled();
            let is_closed = state.closed;
            if !is_closed && state.is_wanted(topic) {
                state.part_full(waiting.ticket);
                if !state.booking.full.is_empty() {
                    state.await_room(waiting, cx.waker());
                    return Poll::Pending;
                }
            }
            state.leave(waiting);
            Poll::Ready(if is_closed { Err(Closed) } else { Ok(()) })
        })
        .await
    }

    /// Publishes all messages of `batch`, each as if it were sent by itself, and removes it once it is
    /// sent. A message that fails stays in front.
    pub(crate) async fn send_batch(&self, batch: &mut Batch) -> Result<(), SendError> {
        loop {
            let sent = match batch.peek_body() {
                // A small body is copied in any case.
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
            batch.skip_next();
        }
    }
}

impl SinkCore for PubCore {
    type Waiting = Waiting;

    fn poll_room(&self, _watch: &mut Wait, _waker: &Waker) -> Poll<Result<(), Closed>> {
        // Room depends on the message, which is not known yet.
        Poll::Ready(if self.is_closed() { Err(Closed) } else { Ok(()) })
    }

    fn stop_watching(&self, _watch: &mut Wait) {}

    fn poll_send(
        &self,
        message: &Outgoing<'_>,
        waiting: &mut Waiting,
        waker: &Waker,
    ) -> Poll<Result<(), SendError>> {
        let mut state = Guard::lock(&self.state);
        let (first, rest) = message.parts();
        let (mut state, sent) = if state.closed {
            (state, Err(Closed.into()))
        } else if state.find_topics_slowly(first) {
            self.publish_anew(state, message, encoded_len(first, rest), waiting.ticket)
        } else {
            (state, Ok(()))
        };
        if sent == Err(SendError::Full) {
            state.await_room(waiting, waker);
            return Poll::Pending;
        }
        state.leave(waiting);
        Poll::Ready(sent)
    }

    fn give_up(&self, waiting: &mut Waiting) {
        if waiting.ticket.is_some() {
            Guard::lock(&self.state).leave(waiting);
        }
    }

    fn poll_flush(&self, flush: &mut Wait, waker: &Waker) -> Poll<()> {
        self.settled().poll_flush(flush, waker)
    }

    fn stop_flushing(&self, flush: &mut Wait) {
        if flush.0.is_some() {
            Guard::lock(&self.state).flushing.stop(flush);
        }
    }
}
