//! Who takes messages out of the inbox.

use std::mem;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use tokio::task::coop;
use zmtp_codec::Batch;

use super::Subscriber;
use super::inbox::InHand;
use crate::sync::lock;
use crate::{Closed, Message, Peer, Unfinished};

/// The one who receives: has a batch of one publisher in hand, so that most of them cost no lock.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    hand: InHand,
    /// Whose the last message was that was received.
    sender: Option<Peer>,
    /// The state of the filter that the batch has been held against.
    narrowed: u64,
}

impl Receiver {
    /// The next message, if one has arrived.
    pub(crate) fn try_next(&mut self, core: &Subscriber) -> Result<Option<Message>, Closed> {
        match self.next_in_hand(core) {
            Some(message) => Ok(Some(message)),
            None => self.fill(core, None).map(|_| self.hand.batch.next()),
        }
    }

    /// Waits for the next message.
    #[inline]
    pub(crate) fn poll_next(
        &mut self,
        core: &Subscriber,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Message, Closed>> {
        if let Some(message) = self.next_in_hand(core) {
            return Poll::Ready(Ok(message));
        }
        self.poll_next_in_inbox(core, cx)
    }

    #[inline(never)]
    fn poll_next_in_inbox(
        &mut self,
        core: &Subscriber,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Message, Closed>> {
        ready!(self.poll_fill(core, cx))?;
        let next = self.hand.batch.next().expect("it has been filled");
        Poll::Ready(Ok(next))
    }

    /// Waits for messages, and takes all that are in hand. They count for the high-water mark until it is
    /// asked again.
    pub(crate) fn poll_batch(
        &mut self,
        core: &Subscriber,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Batch, Closed>> {
        self.filter_anew(core);
        if self.hand.batch.is_empty() {
            ready!(self.poll_fill(core, cx))?;
        }
        Poll::Ready(Ok(mem::take(&mut self.hand.batch)))
    }

    /// Whose message the last one was.
    pub(crate) fn sender(&self) -> Option<&Peer> {
        self.sender.as_ref()
    }

    /// What has been taken out of the inbox and not received is unread, too.
    pub(crate) fn left_unread(&self, closed: Unfinished) -> Unfinished {
        Unfinished { unread: closed.unread + self.hand.batch.len(), ..closed }
    }

    /// The way of most messages, without a lock.
    #[inline]
    fn next_in_hand(&mut self, core: &Subscriber) -> Option<Message> {
        self.filter_anew(core);
        self.hand.batch.next()
    }

    /// Waits until there is something in hand.
    fn poll_fill(&mut self, core: &Subscriber, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        // A flood must not keep the task's others from running: each batch is paid for.
        let turn = ready!(coop::poll_proceed(cx));
        let filled = match self.fill(core, Some(cx)) {
            Ok(true) => Ok(()),
            Ok(false) => return Poll::Pending,
            Err(closed) => Err(closed),
        };
        turn.made_progress();
        Poll::Ready(filled)
    }

    /// Takes something out of the inbox in place of what was in hand. Returns whether there was anything;
    /// if not, waits for it.
    fn fill(&mut self, core: &Subscriber, cx: Option<&mut Context<'_>>) -> Result<bool, Closed> {
        loop {
            let mut wake = Vec::new();
            let sender = {
                let mut inbox = lock(&core.inbox);
                let sender = inbox.exchange(&mut self.hand, &mut wake);
                if sender.is_none() {
                    if inbox.is_closed() {
                        return Err(Closed);
                    }
                    if let Some(cx) = &cx {
                        inbox.wait(cx);
                    }
                }
                sender
            };
            wake.into_iter().for_each(Waker::wake);
            if sender.is_none() {
                return Ok(false);
            }
            self.filter(core);
            if !self.hand.batch.is_empty() {
                self.sender = sender;
                return Ok(true);
            }
        }
    }

    /// Nothing comes out that has been unsubscribed from before it was asked for.
    #[inline]
    fn filter_anew(&mut self, core: &Subscriber) {
        if self.narrowed != core.narrowed.load(Ordering::Acquire) {
            self.filter(core);
        }
    }

    /// A publisher may send more than it was asked for, and what was asked for may have changed since
    /// it came.
    fn filter(&mut self, core: &Subscriber) {
        self.narrowed = core.filter(&mut self.hand.batch);
    }
}
