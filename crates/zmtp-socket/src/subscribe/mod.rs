//! The subscribing half: what we asked for, and what has come.
//!
//! ```text
//! subscribe ── filter ── each publisher's upstream ── driver ── stream
//! recv ── filter ── batch ── inbox, a queue for each publisher ── driver ── stream
//! ```

mod filter;
mod inbox;
mod receiver;
mod upstream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use bytes::Bytes;
use slab::Slab;
use tokio::sync::Notify;
use zmtp_codec::{Batch, Connection, PeerInfo, Subscription};

use crate::admission::Expel;
use crate::burst::Burst;
use crate::driver::{Core, Session};
use crate::options::Subscribing;
use crate::stats::Count;
use crate::sync::{lock, lock_to_wake};
use crate::transport::Outlet;
use crate::{Closed, Message, Peer, PeerState, PeerStats, Reason, Stats, Unfinished};
use filter::Filter;
use inbox::Inbox;
pub(crate) use receiver::Receiver;
use upstream::Upstream;

/// The core of a SUB socket.
pub(crate) struct Subscriber {
    wishes: Mutex<Wishes>,
    /// Counts the changes of the filter that shut something out.
    narrowed: AtomicU64,
    inbox: Mutex<Inbox>,
    options: Subscribing,
    /// Whether what comes is held against what was asked for. Who hands it on leaves that to others.
    filters: bool,
    filtered: AtomicU64,
    /// Told of every new publisher, and of the end.
    changed: Notify,
}

/// What this socket subscribed to, and who has yet to be told.
#[derive(Default)]
struct Wishes {
    filter: Filter,
    upstreams: Slab<Upstream>,
    /// What was sent to publishers that have gone, and lost.
    sent: Count,
    dropped: Count,
}

impl Subscriber {
    pub(crate) fn new(options: Subscribing, filters: bool) -> Self {
        Self {
            wishes: Mutex::default(),
            narrowed: AtomicU64::new(0),
            inbox: Mutex::new(Inbox::new(&options)),
            options,
            filters,
            changed: Notify::new(),
            filtered: AtomicU64::new(0),
        }
    }

    pub(crate) fn subscribe(&self, topic: &[u8]) {
        let topic = Bytes::copy_from_slice(topic);
        let mut wishes = lock(&self.wishes);
        if wishes.filter.subscribe(&topic) {
            wishes.tell_all(&Subscription::Subscribe(topic));
        }
    }

    /// Returns whether there was such a subscription.
    pub(crate) fn unsubscribe(&self, topic: &[u8]) -> bool {
        let mut wishes = lock(&self.wishes);
        let left = wishes.filter.unsubscribe(topic);
        if left == Some(0) {
            self.narrowed.fetch_add(1, Ordering::Release);
            wishes.tell_all(&Subscription::Cancel(Bytes::copy_from_slice(topic)));
        }
        left.is_some()
    }

    /// Publishers whose handshakes are done.
    pub(crate) fn publisher_count(&self) -> usize {
        lock(&self.wishes).upstreams.len()
    }

    /// Returns once there is a publisher.
    pub(crate) async fn wait_for_publisher(&self) -> Result<(), Closed> {
        loop {
            let changed = self.changed.notified();
            if lock(&self.inbox).is_closed() {
                return Err(Closed);
            }
            if !lock(&self.wishes).upstreams.is_empty() {
                return Ok(());
            }
            changed.await;
        }
    }

    /// Sends a message to every publisher; one with `limit` of them waiting loses it.
    pub(crate) fn send(&self, message: &Message, limit: usize) -> Result<(), Closed> {
        if lock(&self.inbox).is_closed() {
            return Err(Closed);
        }
        lock(&self.wishes).for_each_upstream(|upstream| upstream.push_message(message, limit));
        Ok(())
    }

    /// Throws out what nothing subscribed to matches, or, with inverted matching, what something does.
    /// Returns the state of the filter that was asked.
    fn filter(&self, batch: &mut Batch) -> u64 {
        let wishes = lock(&self.wishes);
        let narrowed = self.narrowed.load(Ordering::Acquire);
        let inverted = self.options.inverted;
        // Who subscribed to everything need not be asked about each.
        let filtered = match !self.filters || (wishes.filter.lets_in(b"") && !inverted) {
            true => 0,
            false => batch.retain(|topic| wishes.filter.lets_in(topic) != inverted),
        };
        self.filtered.fetch_add(filtered as u64, Ordering::Relaxed);
        narrowed
    }
}

impl Wishes {
    /// Queues a change for every publisher.
    fn tell_all(&mut self, change: &Subscription) {
        self.for_each_upstream(|upstream| upstream.push(change.clone()));
    }

    /// Queues something for every publisher.
    fn for_each_upstream(&mut self, mut queue: impl FnMut(&mut Upstream)) {
        for (_, upstream) in &mut self.upstreams {
            queue(upstream);
            if let Some(waker) = upstream.waker.take() {
                waker.wake();
            }
        }
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
        let mut upstream = Upstream::default();
        let mut wishes = lock(&self.wishes);
        // Each distinct topic, once, all of them, before anything else.
        for topic in wishes.filter.topics() {
            upstream.push(Subscription::Subscribe(topic.clone()));
        }
        let upstream = wishes.upstreams.insert(upstream);
        drop(wishes);
        let mut inbox = lock(&self.inbox);
        let queue = inbox.open(peer.clone(), upstream);
        let room = inbox.room(queue);
        drop(inbox);
        self.changed.notify_waiters();
        SubscribeSession { core: self.clone(), upstream, queue, room }
    }

    fn stats(&self) -> Stats {
        let (wishes, inbox) = (lock(&self.wishes), lock(&self.inbox));
        let subscriptions = wishes.filter.len() as u64;
        let peers = inbox.present().map(|queue| {
            let upstream = &wishes.upstreams[queue.upstream];
            PeerStats {
                peer: queue.peer.clone(),
                age: queue.peer.age(),
                state: PeerState::of(queue.is_congested()),
                sent: upstream.sent.messages,
                sent_octets: upstream.sent.octets,
                received: queue.received.messages,
                received_octets: queue.received.octets,
                dropped: queue.dropped.messages + upstream.dropped.messages,
                dropped_octets: queue.dropped.octets + upstream.dropped.octets,
                queued: queue.waiting.messages + upstream.queued.messages,
                queued_octets: queue.waiting.octets + upstream.queued.octets,
                subscriptions,
            }
        });
        let mut stats = Stats { peers: peers.collect(), ..Stats::default() };
        // The sums also know of publishers that have gone.
        stats.received = inbox.received.messages;
        stats.received_octets = inbox.received.octets;
        stats.filtered = self.filtered.load(Ordering::Relaxed);
        stats.subscriptions = subscriptions;
        let (mut sent, mut dropped, mut queued) = (wishes.sent, inbox.dropped, inbox.queued());
        dropped += wishes.dropped;
        for (_, upstream) in &wishes.upstreams {
            sent += upstream.sent;
            dropped += upstream.dropped;
            queued += upstream.queued;
        }
        (stats.queued, stats.queued_octets) = (queued.messages, queued.octets);
        (stats.sent, stats.sent_octets) = (sent.messages, sent.octets);
        (stats.dropped, stats.dropped_octets) = (dropped.messages, dropped.octets);
        stats
    }

    fn close(&self) {
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
        let unread = lock(&self.inbox).queued().messages as usize;
        Unfinished { unread, ..Unfinished::default() }
    }
}

/// A subscriber's side of one connection.
pub(crate) struct SubscribeSession {
    core: Arc<Subscriber>,
    upstream: usize,
    queue: usize,
    /// How many more messages the inbox would take.
    room: usize,
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

    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        _burst: &mut Burst,
    ) -> Poll<()> {
        let upstream = &mut lock(&self.core.wishes).upstreams[self.upstream];
        if upstream.write(connection) {
            return Poll::Ready(());
        }
        upstream.waker = Some(cx.waker().clone());
        Poll::Pending
    }

    fn written(&mut self, _messages: usize, _octets: usize) {}
}

impl Drop for SubscribeSession {
    fn drop(&mut self) {
        let wishes = &mut *lock(&self.core.wishes);
        // Both at once: the counters of either name the other.
        lock(&self.core.inbox).depart(self.queue);
        let Upstream { sent, dropped, .. } = wishes.upstreams.remove(self.upstream);
        wishes.sent += sent;
        wishes.dropped += dropped;
    }
}
