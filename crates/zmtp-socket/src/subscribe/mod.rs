//! The subscribing half: what we asked for, and what has come.
//!
//! ```text
//! subscribe ── filter ── each publisher's upstream ── driver ── stream
//! XSUB's send ── each publisher's outbox ── driver ── stream
//! recv ── filter ── batch ── inbox, a queue for each publisher ── driver ── stream
//! ```

mod filter;
mod inbox;
mod receiver;
mod session;
#[cfg(test)]
mod tests;
mod upstream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::Waker;

use bytes::Bytes;
use slab::Slab;
use tokio::sync::Notify;
use zmtp_codec::{Batch, PeerInfo};

use crate::admission::Expel;
use crate::driver::Core;
use crate::monitor::Events;
use crate::options::{Marks, Subscribing};
use crate::publish::{Outbox, Run};
use crate::stats::Count;
use crate::sync::{lock, lock_to_wake};
use crate::transport::Outlet;
use crate::{Closed, Message, Peer, PeerState, PeerStats, Stats, Unfinished};
use filter::Filter;
use inbox::Inbox;
pub(crate) use receiver::Receiver;
use session::SubscribeSession;
use upstream::Upstream;

/// Peers that [`stats`](Subscriber::stats) looks at before it lets others have the locks.
const LOOK: usize = 256;

/// The core of a SUB socket.
pub(crate) struct Subscriber {
    subscriptions: Mutex<Subscriptions>,
    /// Counts the changes of the filter that shut something out.
    narrowed: AtomicU64,
    /// Where both are needed, this is locked after the subscriptions.
    inbox: Mutex<Inbox>,
    options: Subscribing,
    /// Of an XSUB: the marks of the queues of what it sends.
    sending: Option<Marks>,
    filtered: AtomicU64,
    /// Told of every new publisher, and of the end.
    changed: Notify,
    events: Arc<Events>,
}

/// What this socket subscribed to, and what each publisher has yet to be told and to be sent.
#[derive(Default)]
struct Subscriptions {
    filter: Filter,
    upstreams: Slab<Upstream>,
    /// What was sent, to publishers that are there or have gone.
    sent: Count,
    dropped: Count,
    /// What waits in the outboxes.
    queued: Count,
    /// Messages that waited for publishers when their connections ended, and how many of these were
    /// left when the socket was closed.
    undelivered: u64,
    undelivered_at_close: u64,
    closed: bool,
}

impl Subscriber {
    /// With `sending`, it is that of an XSUB.
    pub(crate) fn new(options: Subscribing, sending: Option<Marks>, events: Arc<Events>) -> Self {
        Self {
            subscriptions: Mutex::default(),
            narrowed: AtomicU64::new(0),
            inbox: Mutex::new(Inbox::new(&options)),
            options,
            sending,
            changed: Notify::new(),
            filtered: AtomicU64::new(0),
            events,
        }
    }

    pub(crate) fn subscribe(&self, topic: &[u8]) {
        let topic = Bytes::copy_from_slice(topic);
        let mut subscriptions = lock_to_wake(&self.subscriptions);
        if let Some(place) = subscriptions.filter.subscribe(&topic) {
            let drivers = subscriptions.note(|upstream| upstream.subscribed(&topic, place));
            subscriptions.wake(drivers);
        }
    }

    /// Returns whether there was such a subscription.
    pub(crate) fn unsubscribe(&self, topic: &[u8]) -> bool {
        let mut subscriptions = lock_to_wake(&self.subscriptions);
        let (was_there, ended) = subscriptions.filter.unsubscribe(topic);
        if let Some(ended) = ended {
            self.narrowed.fetch_add(1, Ordering::Release);
            let drivers = subscriptions.note(|upstream| upstream.ended(&ended));
            subscriptions.wake(drivers);
        }
        was_there
    }

    /// Publishers whose handshakes are done.
    pub(crate) fn publisher_count(&self) -> usize {
        lock(&self.subscriptions).upstreams.len()
    }

    /// Returns once there is a publisher.
    pub(crate) async fn wait_for_publisher(&self) -> Result<(), Closed> {
        loop {
            let changed = self.changed.notified();
            {
                let subscriptions = lock(&self.subscriptions);
                if subscriptions.closed {
                    return Err(Closed);
                }
                if !subscriptions.upstreams.is_empty() {
                    return Ok(());
                }
            }
            changed.await;
        }
    }

    /// Queues a message for every publisher that has room for it.
    pub(crate) fn send(&self, message: &Message) -> Result<(), Closed> {
        // Encoded once for all, and before the lock is taken.
        let (runs, octets) = (Run::of_large(message), message.encoded_len());
        let one = Count { messages: 1, octets: octets as u64 };
        // Told when the lock is released.
        let mut losses = Vec::new();
        let mut subscriptions = lock_to_wake(&self.subscriptions);
        if subscriptions.closed {
            return Err(Closed);
        }
        let (mut queued, mut dropped) = (Count::default(), Count::default());
        let drivers = subscriptions.note(|Upstream { outbox, peer, .. }| {
            if outbox.is_full() {
                losses.extend(outbox.lose(octets, peer, &self.events));
                dropped += one;
            } else {
                for run in &runs {
                    outbox.push(run);
                }
                queued += one;
            }
        });
        subscriptions.queued += queued;
        subscriptions.dropped += dropped;
        subscriptions.wake(drivers);
        Ok(())
    }

    /// Throws out what nothing subscribed to matches, or, with inverted matching, what something does.
    /// Returns the state of the filter that was asked.
    fn filter(&self, batch: &mut Batch) -> u64 {
        // What an XSUB hands on is held against what was asked for by its last receiver.
        if self.sending.is_some() {
            return self.narrowed.load(Ordering::Acquire);
        }
        let subscriptions = lock(&self.subscriptions);
        let narrowed = self.narrowed.load(Ordering::Acquire);
        let (filter, inverted) = (&subscriptions.filter, self.options.inverted);
        // A subscriber to everything need not be asked about each.
        if inverted || !filter.lets_in(b"") {
            let filtered = batch.retain(|topic| filter.lets_in(topic) != inverted);
            self.filtered.fetch_add(filtered as u64, Ordering::Relaxed);
        }
        narrowed
    }

    /// What has passed between the socket and the next peers, from the queue `from` on. Returns where
    /// to go on, if there are more.
    fn look_at(&self, from: usize, peers: &mut Vec<PeerStats>) -> Option<usize> {
        let (subscriptions, inbox) = (lock(&self.subscriptions), lock(&self.inbox));
        let subscribed = subscriptions.filter.len() as u64;
        let to = from + LOOK;
        peers.extend((from..to).filter_map(|key| inbox.present(key)).map(|queue| {
            let Upstream { outbox, .. } = &subscriptions.upstreams[queue.upstream];
            PeerStats {
                peer: queue.peer.clone(),
                age: queue.peer.age(),
                state: PeerState::of(queue.is_congested() || outbox.is_congested()),
                sent: outbox.sent.messages,
                sent_octets: outbox.sent.octets,
                received: queue.received.messages,
                received_octets: queue.received.octets,
                dropped: queue.dropped.messages + outbox.dropped.messages,
                dropped_octets: queue.dropped.octets + outbox.dropped.octets,
                queued: queue.waiting.messages + outbox.queued() as u64,
                queued_octets: queue.waiting.octets + outbox.queued_octets() as u64,
                subscriptions: subscribed,
            }
        }));
        Some(to).filter(|to| *to < inbox.slots())
    }
}

impl Subscriptions {
    /// Lets each upstream take note of something. Gives back the drivers that waited for it.
    fn note(&mut self, mut note: impl FnMut(&mut Upstream)) -> Vec<Waker> {
        let mut drivers = Vec::new();
        for (_, upstream) in &mut self.upstreams {
            note(upstream);
            drivers.extend(upstream.outbox.waker.take());
        }
        drivers
    }

    /// Forgets a publisher, but not what was counted. What was left for it is given back, to be freed
    /// when the lock is released.
    fn remove(&mut self, key: usize) -> Upstream {
        let upstream = self.upstreams.remove(key);
        let left = upstream.outbox.queued() as u64;
        self.queued -= Count { messages: left, octets: upstream.outbox.queued_octets() as u64 };
        self.undelivered += left;
        if self.closed {
            self.undelivered_at_close += left;
        }
        upstream
    }
}

impl Core for Subscriber {
    type Session = SubscribeSession;

    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        _info: &PeerInfo,
        _outlet: Option<&Outlet>,
        _expel: Expel,
    ) -> SubscribeSession {
        let marks = self.sending.unwrap_or(self.options.marks());
        let outbox = Outbox::new(marks, None, None);
        let upstream = Upstream::new(peer.clone(), outbox);
        let mut subscriptions = lock(&self.subscriptions);
        let upstream = subscriptions.upstreams.insert(upstream);
        // Both at once: the counters of either name the other.
        let mut inbox = lock(&self.inbox);
        let queue = inbox.open(peer.clone(), upstream);
        let room = inbox.room(queue);
        drop((inbox, subscriptions));
        self.changed.notify_waiters();
        SubscribeSession { core: self.clone(), upstream, queue, room }
    }

    fn totals(&self) -> Stats {
        let (subscriptions, inbox) = (lock(&self.subscriptions), lock(&self.inbox));
        let Subscriptions { sent, mut dropped, mut queued, undelivered, .. } = *subscriptions;
        dropped += inbox.dropped;
        queued += inbox.queued();
        Stats {
            sent: sent.messages,
            sent_octets: sent.octets,
            received: inbox.received.messages,
            received_octets: inbox.received.octets,
            dropped: dropped.messages,
            dropped_octets: dropped.octets,
            undelivered,
            queued: queued.messages,
            queued_octets: queued.octets,
            filtered: self.filtered.load(Ordering::Relaxed),
            subscriptions: subscriptions.filter.len() as u64,
            ..Stats::default()
        }
    }

    fn stats(&self) -> Stats {
        let mut stats = self.totals();
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.look_at(from, &mut stats.peers);
        }
        stats
    }

    fn close(&self) {
        lock(&self.subscriptions).closed = true;
        let mut inbox = lock_to_wake(&self.inbox);
        let receiver = inbox.close();
        inbox.wake(receiver);
        drop(inbox);
        self.changed.notify_waiters();
    }

    fn interrupt(&self) {
        let receiver = lock(&self.inbox).take_receiver();
        receiver.into_iter().for_each(Waker::wake);
    }

    fn unfinished(&self) -> Unfinished {
        Unfinished {
            unsent: lock(&self.subscriptions).undelivered_at_close as usize,
            unread: lock(&self.inbox).queued().messages as usize,
        }
    }
}
