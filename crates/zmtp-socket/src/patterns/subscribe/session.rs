//! A subscriber's side of one connection.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use zmtp_codec::{Batch, Connection, Subscription};

use super::upstream::Upstream;
use super::{SubCore, Subscriptions};
use crate::engine::burst::Burst;
use crate::engine::driver::Session;
use crate::error::Reason;
use crate::monitor::Event;
use crate::receive::{LateWake, Source};
use crate::stats::Count;
use crate::sync::{lock, lock_to_wake};

/// The number of topics that are examined under one lock, and about how many octets these may have: a
/// few dozen microseconds. A topic that need not be sent takes time too.
const STEPS: usize = 256;
const OCTETS: usize = 64 << 10;

/// A subscriber's side of one connection.
pub(crate) struct SubscribeSession {
    pub(super) core: Arc<SubCore>,
    pub(super) upstream: usize,
    pub(super) queue: usize,
    /// How many more messages the inbox accepts.
    pub(super) room: usize,
    /// Whether a message may replace another.
    pub(super) conflates: bool,
    pub(super) receiver: LateWake,
}

impl Session for SubscribeSession {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if self.room == 0 {
            self.room = ready!(lock(&self.core.inbox).poll_room(self.queue, cx));
        }
        Poll::Ready(self.room)
    }

    fn messages(&mut self, mut batch: Batch) -> Result<(), Reason> {
        let arrived = Count::of_batch(&batch);
        if self.conflates {
            // An unwanted message must not replace a wanted one.
            self.core.filter(&mut batch);
        }
        let mut inbox = lock_to_wake(&self.core.inbox);
        inbox.arrived(self.queue, arrived);
        if !batch.is_empty() {
            self.receiver.add(inbox.deliver(self.queue, batch));
        }
        self.room = inbox.room(self.queue);
        Ok(())
    }

    fn subscriptions(&mut self, changes: &mut Vec<Subscription>) -> Result<(), Reason> {
        // A subscriber accepts no subscriptions.
        changes.clear();
        Ok(())
    }

    /// Takes changes of subscriptions and, when all have been taken, messages.
    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<usize> {
        let mut guard = lock(&self.core.subscriptions);
        let Subscriptions { filter, upstreams, closed, .. } = &mut *guard;
        let upstream = &mut upstreams[self.upstream];
        let mut changes = Vec::new();
        // A closed socket sends only its messages.
        let is_over = *closed && upstream.outbox.is_empty();
        let looked_at = match is_over {
            true => 0,
            false => upstream.take_changes(filter, STEPS, OCTETS, &mut changes),
        };
        let outbox = &mut upstream.outbox;
        if looked_at == 0 && connection.output().is_empty() {
            if !outbox.is_empty() {
                outbox.take(burst);
                return Poll::Ready(0);
            }
            outbox.wait(cx.waker());
            return Poll::Pending;
        }
        drop(guard);
        // Encoded, and perhaps encrypted, without the lock.
        for change in changes {
            connection.subscribe(&change).expect("a session lives in traffic alone");
        }
        Poll::Ready(looked_at)
    }

    fn end_turn(&mut self) {
        self.receiver.wake();
    }

    fn written(&mut self, messages: usize, octets: usize) {
        // Within the process, the last octets of a message are written before its receipt comes and it
        // counts as sent.
        if (messages, octets) == (0, 0) {
            return;
        }
        let mut guard = lock_to_wake(&self.core.subscriptions);
        let subscriptions = &mut *guard;
        let written = Count { messages: messages as u64, octets: octets as u64 };
        subscriptions.queued -= written;
        subscriptions.sent += written;
        let Upstream { outbox, peer, .. } = &mut subscriptions.upstreams[self.upstream];
        let sender = outbox.written(messages, octets);
        let caught_up = outbox.catch_up().then(|| (peer.clone(), outbox.dropped.messages));
        guard.wake(sender);
        drop(guard);
        if let Some((peer, dropped)) = caught_up {
            self.core.events.emit(|| Event::CaughtUp { peer, dropped });
        }
    }
}

impl Drop for SubscribeSession {
    fn drop(&mut self) {
        let mut subscriptions = lock(&self.core.subscriptions);
        // Both under both locks, since each counter names the other.
        let left = lock(&self.core.inbox).depart(self.queue);
        let upstream = subscriptions.remove(self.upstream);
        drop(subscriptions);
        // The remaining messages are freed without the locks.
        drop((left, upstream));
    }
}
