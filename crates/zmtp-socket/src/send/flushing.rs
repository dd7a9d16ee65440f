//! Waiting until the transports have taken what had been accepted.

use std::task::{Poll, Waker};

use super::Outbox;
use super::waiters::{Ticket, Tickets, Waiters};

/// Those who wait, and for how many queues.
#[derive(Debug, Default)]
pub(crate) struct Flushing {
    /// Queues whose transports have not taken all that is waited for, and those who wait for it.
    queues: usize,
    waiters: Waiters,
    /// The last two who began to wait: at all, and of those that need not any longer.
    begun: Option<Ticket>,
    done: Option<Ticket>,
}

/// One task's wait, once it has begun.
#[derive(Debug, Default)]
pub(crate) struct Wait(pub(crate) Option<Ticket>);

impl Flushing {
    /// Begins to wait until all messages in these queues are taken by the transports, or lost, unless that
    /// has begun. Gives back those who are to be woken.
    pub(crate) fn begin<'a>(
        &mut self,
        flush: &mut Wait,
        tickets: &mut Tickets,
        outboxes: impl Iterator<Item = &'a mut Outbox>,
    ) -> Vec<Waker> {
        if flush.0.is_none() {
            let ticket = tickets.next();
            (flush.0, self.begun) = (Some(ticket), Some(ticket));
            self.queues = outboxes.map(Outbox::begin_flush).filter(|it| *it).count();
        }
        self.has_flushed(0).collect()
    }

    /// Whether what has begun has come about. Once it has, the next wait begins anew.
    pub(crate) fn poll(&mut self, flush: &mut Wait, waker: &Waker) -> Poll<()> {
        if self.done >= flush.0 {
            flush.0 = None;
            return Poll::Ready(());
        }
        if let Some(ticket) = flush.0 {
            self.waiters.join(ticket, waker);
        }
        Poll::Pending
    }

    /// Nobody waits for it any more.
    pub(crate) fn stop(&mut self, flush: &mut Wait) {
        // All are woken at once, so there is no turn to pass on.
        let _next = flush.0.take().and_then(|ticket| self.waiters.leave(ticket));
    }

    /// So many queues have been sent, or have lost, all that was waited for. Gives back those who are to be
    /// woken.
    pub(crate) fn has_flushed(&mut self, queues: usize) -> impl Iterator<Item = Waker> + use<> {
        self.queues -= queues;
        let is_done = self.queues == 0 && self.done < self.begun;
        if is_done {
            self.done = self.begun;
        }
        is_done.then(|| self.waiters.take_all()).into_iter().flatten()
    }
}
