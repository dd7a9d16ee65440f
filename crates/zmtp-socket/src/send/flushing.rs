//! Waiting until the transports have taken the accepted messages.

use std::task::{Poll, Waker};

use super::Outbox;
use super::waiters::{Ticket, Tickets, Waiters};

/// The waiting tasks, and the number of queues that they wait for.
#[derive(Debug, Default)]
pub(crate) struct Flushing {
    /// The queues whose transports have not taken all messages that are waited for, and the tasks that
    /// wait.
    queues: usize,
    waiters: Waiters,
    /// The last task that began to wait, and the last one whose wait is over.
    begun: Option<Ticket>,
    done: Option<Ticket>,
}

/// One task's wait, once it has begun.
#[derive(Debug, Default)]
pub(crate) struct Wait(pub(crate) Option<Ticket>);

impl Flushing {
    /// Begins to wait until the transports have taken, or lost, all messages in these queues, unless
    /// this wait has begun. Returns the wakers of the tasks whose wait is over.
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

    /// Ready when the wait is over. The next wait then begins anew.
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

    /// Ends a wait.
    pub(crate) fn stop(&mut self, flush: &mut Wait) {
        // All are woken at once, so there is no turn to pass on.
        let _next = flush.0.take().and_then(|ticket| self.waiters.leave(ticket));
    }

    /// Notes that the transports have taken, or lost, all messages of so many queues that were waited
    /// for. Returns the wakers of the tasks whose wait is over.
    pub(crate) fn has_flushed(&mut self, queues: usize) -> impl Iterator<Item = Waker> + use<> {
        self.queues -= queues;
        let is_done = self.queues == 0 && self.done < self.begun;
        if is_done {
            self.done = self.begun;
        }
        is_done.then(|| self.waiters.take_all()).into_iter().flatten()
    }
}
