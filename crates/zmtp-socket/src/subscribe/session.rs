//! A subscriber's side of one connection.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use zmtp_codec::{Batch, Connection, Subscription};

use super::upstream::Upstream;
use super::{Subscriber, Subscriptions};
use crate::burst::Burst;
use crate::driver::Session;
use crate::stats::Count;
use crate::sync::{lock, lock_to_wake};
use crate::{Event, Reason};

/// Octets of subscriptions that are written at once for one publisher, about, and how often the lock
/// is taken for them: to write short ones, and to pass over what need not be told, takes time too.
const BURST: usize = 64 << 10;
const ROUNDS: usize = 16;

/// Topics that are looked at while others wait for the lock: a few dozen microseconds.
const STEPS: usize = 256;

/// A subscriber's side of one connection.
pub(crate) struct SubscribeSession {
    pub(super) core: Arc<Subscriber>,
    pub(super) upstream: usize,
    pub(super) queue: usize,
    /// How many more messages the inbox would take.
    pub(super) room: usize,
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
        if self.core.options.conflate {
            // What nobody wants must not take the place of what somebody does.
            self.core.filter(&mut batch);
        }
        let mut inbox = lock_to_wake(&self.core.inbox);
        inbox.arrived(self.queue, arrived);
        if !batch.is_empty() {
            let receiver = inbox.deliver(self.queue, batch);
            inbox.wake(receiver);
        }
        self.room = inbox.room(self.queue);
        Ok(())
    }

    fn subscriptions(&mut self, changes: &mut Vec<Subscription>) -> Result<(), Reason> {
        // Nobody subscribes to a subscriber.
        changes.clear();
        Ok(())
    }

    /// Gives changes of subscriptions and, when all have been told, messages.
    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<()> {
        let mut changes = Vec::new();
        for _ in 0..ROUNDS {
            let mut guard = lock(&self.core.subscriptions);
            let Subscriptions { filter, upstreams, closed, .. } = &mut *guard;
            let upstream = &mut upstreams[self.upstream];
            // A closed socket has nothing to say but its messages.
            let is_over = *closed && upstream.outbox.is_empty();
            let more = !is_over && upstream.take_changes(filter, STEPS, &mut changes);
            let outbox = &mut upstream.outbox;
            if !more && changes.is_empty() && connection.output().is_empty() {
                if !outbox.is_empty() {
                    outbox.take(burst);
                    return Poll::Ready(());
                }
                if !outbox.waker.as_ref().is_some_and(|waker| waker.will_wake(cx.waker())) {
                    outbox.waker = Some(cx.waker().clone());
                }
                return Poll::Pending;
            }
            drop(guard);
            // Written, and perhaps encrypted, while others have the lock.
            for change in changes.drain(..) {
                connection.subscribe(&change).expect("a session lives in traffic alone");
            }
            if !more || connection.output().len() >= BURST {
                break;
            }
        }
        Poll::Ready(())
    }

    fn written(&mut self, messages: usize, octets: usize) {
        if octets == 0 {
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
        // Both at once: the counters of either name the other.
        let left = lock(&self.core.inbox).depart(self.queue);
        let upstream = subscriptions.remove(self.upstream);
        drop(subscriptions);
        // What nobody will have is freed only now.
        drop((left, upstream));
    }
}
