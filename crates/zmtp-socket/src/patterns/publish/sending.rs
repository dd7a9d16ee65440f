//! Sending that waits: for the runtime's other tasks, and for room.

use std::collections::BTreeSet;
use std::future::poll_fn;
use std::sync::atomic::Ordering;
use std::task::{Poll, Waker};

use zmtp_codec::Batch;

use super::PubCore;
use super::guard::Guard;
use crate::error::{Closed, SendError};
use crate::options::WhenFull;
use crate::send::outbox::LARGE;
use crate::send::outgoing::encoded_len;
use crate::send::waiters::Ticket;
use crate::send::{Outgoing, SendCore};

/// A sender's place in the queues of the peers that it waits for.
#[derive(Debug, Default)]
pub(crate) struct Waiting {
    pub(super) ticket: Option<Ticket>,
    pub(super) peers: BTreeSet<usize>,
}

impl SendCore for PubCore {
    fn when_full(&self) -> WhenFull {
        self.options.when_full
    }

    fn take_turn(&self) -> bool {
        self.turn_is_over.load(Ordering::Relaxed)
            && self.turn_is_over.swap(false, Ordering::Relaxed)
    }

    #[inline]
    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let (first, rest) = message.parts();
        self.publish(first, rest, message)
    }

    #[inline]
    fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>> {
        if self.turn_is_over.load(Ordering::Relaxed) {
            return None;
        }
        match self.try_send(message) {
            Err(SendError::Full) => None,
            done => Some(done),
        }
    }

    async fn send_when_room(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let mut place = Place { core: self, waiting: Waiting::default() };
        poll_fn(|cx| self.poll_send(message, &mut place.waiting, cx.waker())).await
    }
}

impl PubCore {
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
            batch.skip_next();
        }
    }

    /// Sends a message when its turn has come: when every peer that wants it has room, and nobody who
    /// came earlier waits for one of them. Until then, `waiting` keeps the sender's place, which is to be
    /// [given up](Self::give_up) if it does not wait any longer.
    pub(crate) fn poll_send(
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

    /// The sender does not wait any longer: it is the next one's turn.
    pub(crate) fn give_up(&self, waiting: &mut Waiting) {
        if waiting.ticket.is_some() {
            Guard::lock(&self.state).leave(waiting);
        }
    }
}

/// Waits until the transports have taken what had been accepted when it began.
#[derive(Debug, Default)]
pub(crate) struct Flush(Option<Ticket>);

impl PubCore {
    /// Waits until all messages that were accepted before the first call have been taken by the transports,
    /// or lost. Once it is ready, the next call begins anew.
    pub(crate) fn poll_flush(&self, flush: &mut Flush, waker: &Waker) -> Poll<()> {
        let mut state = self.settled();
        let ticket = *flush.0.get_or_insert_with(|| state.begin_flush());
        if state.has_flushed(ticket) {
            flush.0 = None;
            return Poll::Ready(());
        }
        state.await_flush(ticket, waker);
        Poll::Pending
    }

    /// Nobody waits for it any more.
    pub(crate) fn stop_flushing(&self, flush: &mut Flush) {
        if let Some(ticket) = flush.0.take() {
            Guard::lock(&self.state).stop_flushing(ticket);
        }
    }
}

/// Gives its place up when it is dropped.
struct Place<'a> {
    core: &'a PubCore,
    waiting: Waiting,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.core.give_up(&mut self.waiting);
    }
}
