//! The subscribing half: our subscriptions, and the messages that have arrived.
//!
//! ```text
//! subscribe ── filter ── each publisher's upstream ── driver ── stream
//! XSUB's send ── each publisher's outbox ── driver ── stream
//! recv ── filter ── batch ── inbox, a queue for each publisher ── driver ── stream
//! ```

mod filter;
mod session;
#[cfg(test)]
mod tests;
mod upstream;

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};

use bytes::Bytes;
pub(crate) use filter::Back;
use filter::Filter;
use session::SubscribeSession;
use slab::Slab;
use tokio::sync::Notify;
use tokio::task::coop;
use upstream::Upstream;
use zmtp_codec::{Batch, Message, PeerInfo, Subscription};

use crate::engine::admission::Kill;
use crate::engine::driver::{Core, Ways};
use crate::error::{Closed, Reason, SendError};
use crate::monitor::Events;
use crate::options::{HighWaterMark, Subscribing, UpstreamOptions, WhenFull};
use crate::patterns::peer_stats::peer_stats;
use crate::peer::Peer;
use crate::receive::{Inbox, LateWake, Source};
use crate::send::outbox::LARGE;
use crate::send::{Outbox, Outgoing, Run, SendCore};
use crate::stats::{Count, PeerStats, Stats, Unfinished};
use crate::sync::{lock, lock_to_wake, wait_until};

/// The number of peers whose counters [`stats`](SubCore::stats) reads before it releases the locks.
const LOOK: usize = 256;

/// The number of changes of subscriptions under one lock, and of notes that these may leave at
/// publishers: about a hundred microseconds.
const CHANGES: usize = 64;
const NOTES: usize = 1 << 10;

/// The core of a SUB socket.
pub(crate) struct SubCore {
    subscriptions: Mutex<Subscriptions>,
    /// The number of changes of the filter after which messages may have to be filtered again.
    generation: AtomicU64,
    /// When both locks are needed, this is taken after that of the subscriptions.
    inbox: Mutex<Inbox>,
    /// The sending options of an XSUB; `None` for a SUB.
    sending: Option<UpstreamOptions>,
    filtered: AtomicU64,
    /// Notified at every new publisher, and at the end.
    changed: Notify,
    events: Arc<Events>,
}

/// The subscriptions of this socket, and the changes and messages that each publisher has yet to be
/// sent.
#[derive(Default)]
struct Subscriptions {
    filter: Filter,
    upstreams: Slab<Upstream>,
    /// The high-water mark of each outbox, if it was changed.
    send_hwm: Option<HighWaterMark>,
    inverted: bool,
    tells_repeats: bool,
    /// Messages that were sent, to present and departed publishers.
    sent: Count,
    dropped: Count,
    /// Messages in the outboxes.
    queued: Count,
    /// Messages that were queued for publishers when their connections ended, and how many of these
    /// since the socket was closed.
    undelivered: u64,
    undelivered_at_close: u64,
    closed: bool,
}

impl SubCore {
    /// With `sending`, the core is that of an XSUB.
    pub(crate) fn new(
        options: Subscribing,
        sending: Option<UpstreamOptions>,
        events: Arc<Events>,
    ) -> Self {
        Self {
            subscriptions: Mutex::new(Subscriptions {
                inverted: options.matching.inverted,
                tells_repeats: options.tells_repeats,
                ..Subscriptions::default()
            }),
            generation: AtomicU64::new(0),
            inbox: Mutex::new(Inbox::new(&options.receiving)),
            sending,
            changed: Notify::new(),
            filtered: AtomicU64::new(0),
            events,
        }
    }

    pub(crate) fn set_inverted(&self, inverted: bool) {
        lock(&self.subscriptions).inverted = inverted;
        // The receiver filters its present batch again.
        self.generation.fetch_add(1, Ordering::Release);
    }

    pub(crate) fn subscribe(&self, topic: &[u8]) {
        let topic = Bytes::copy_from_slice(topic);
        let mut subscriptions = lock_to_wake(&self.subscriptions);
        if subscriptions.subscribe(&topic) {
            let drivers = subscriptions.drivers();
            subscriptions.wake(drivers);
        }
    }

    /// Returns whether there was such a subscription.
    pub(crate) fn unsubscribe(&self, topic: &[u8]) -> bool {
        let mut subscriptions = lock_to_wake(&self.subscriptions);
        let (was_there, has_ended) = subscriptions.unsubscribe(topic, Back::One);
        if has_ended {
            self.generation.fetch_add(1, Ordering::Release);
            let drivers = subscriptions.drivers();
            subscriptions.wake(drivers);
        }
        was_there
    }

    /// Makes many changes, in groups that hold the lock briefly, each with one wake-up of each
    /// publisher's driver. A cancelled topic loses one subscription or all, as `back` says.
    pub(crate) fn change(&self, changes: &[Subscription], back: Back) {
        let mut rest = changes;
        while !rest.is_empty() {
            let mut subscriptions = lock_to_wake(&self.subscriptions);
            let at_once = subscriptions.changes_at_once().min(rest.len());
            let (now, later) = rest.split_at(at_once);
            let (mut has_changed, mut has_ended) = (false, false);
            for change in now {
                match change {
                    Subscription::Subscribe(topic) => has_changed |= subscriptions.subscribe(topic),
                    Subscription::Cancel(topic) => {
                        has_ended |= subscriptions.unsubscribe(topic, back).1;
                    }
                }
            }
            if has_ended {
                self.generation.fetch_add(1, Ordering::Release);
            }
            if has_changed || has_ended {
                let drivers = subscriptions.drivers();
                subscriptions.wake(drivers);
            }
            rest = later;
        }
    }

    /// The number of publishers whose handshakes are done.
    pub(crate) fn publisher_count(&self) -> usize {
        lock(&self.subscriptions).upstreams.len()
    }

    /// Returns once there is a publisher.
    pub(crate) async fn wait_for_publisher(&self) -> Result<(), Closed> {
        wait_until(&self.changed, || {
            let subscriptions = lock(&self.subscriptions);
            match subscriptions.closed {
                true => Some(Err(Closed)),
                false => (!subscriptions.upstreams.is_empty()).then_some(Ok(())),
            }
        })
        .await
    }

    /// Queues a message for every publisher that has room for it.
    fn send(&self, message: &Message) -> Result<(), Closed> {
        // Encoded once for all publishers, before the lock is taken.
        let (runs, octets) = (Run::of_large(message, LARGE), message.encoded_len());
        let one = Count { messages: 1, octets: octets as u64 };
        // These events are emitted when the lock is released.
        let mut losses = Vec::new();
        let mut subscriptions = lock_to_wake(&self.subscriptions);
        if subscriptions.closed {
            return Err(Closed);
        }
        let (mut queued, mut dropped) = (Count::default(), Count::default());
        for (_, Upstream { outbox, peer, .. }) in &mut subscriptions.upstreams {
            if outbox.is_full() {
                losses.extend(outbox.lose(octets, peer, &self.events));
                dropped += one;
            } else {
                for run in &runs {
                    outbox.push(run);
                }
                queued += one;
            }
        }
        subscriptions.queued += queued;
        subscriptions.dropped += dropped;
        let drivers = subscriptions.drivers();
        subscriptions.wake(drivers);
        Ok(())
    }
}

impl Subscriptions {
    /// Returns whether the publishers are to be sent the subscription: if the topic is new, or with the
    /// option for repeated ones.
    fn subscribe(&mut self, topic: &Bytes) -> bool {
        let place = self.filter.subscribe(topic);
        if let Some(place) = place {
            self.upstreams.iter_mut().for_each(|(_, it)| it.subscribed(topic, place));
        } else if self.tells_repeats {
            self.upstreams.iter_mut().for_each(|(_, it)| it.repeated(topic));
        }
        place.is_some() || self.tells_repeats
    }

    /// Returns whether there was such a subscription, and whether it was the last one. Then each
    /// publisher is to be sent the change.
    fn unsubscribe(&mut self, topic: &[u8], back: Back) -> (bool, bool) {
        let (was_there, ended) = self.filter.unsubscribe(topic, back);
        if let Some(ended) = &ended {
            self.upstreams.iter_mut().for_each(|(_, it)| it.ended(ended));
        }
        (was_there, ended.is_some())
    }

    /// The number of changes that may be made under one lock: each of them leaves a note at each
    /// publisher.
    fn changes_at_once(&self) -> usize {
        (NOTES / self.upstreams.len().max(1)).clamp(1, CHANGES)
    }

    /// The drivers that wait for something to send.
    fn drivers(&mut self) -> Vec<Waker> {
        self.upstreams.iter_mut().filter_map(|(_, it)| it.outbox.waker.take()).collect()
    }

    /// Forgets a publisher, but keeps its counts. Returns its unsent changes and messages, to be freed
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

/// The sending of an XSUB, which waits for no publisher.
impl SendCore for SubCore {
    fn when_full(&self) -> WhenFull {
        WhenFull::DropNew
    }

    fn set_send_hwm(&self, mark: HighWaterMark) {
        let mut subscriptions = lock(&self.subscriptions);
        subscriptions.send_hwm = Some(mark);
        for (_, upstream) in &mut subscriptions.upstreams {
            upstream.outbox.set_mark(mark);
        }
    }

    /// Never: the task's own budget decides when a sender yields.
    fn take_turn(&self) -> bool {
        false
    }

    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let message = message.clone().into_message();
        let only_first = self.sending.is_some_and(|sending| sending.only_first);
        let (subscriptions, message) = Subscription::take_from(message, only_first);
        self.change(&subscriptions, Back::One);
        if let Some(message) = message {
            self.send(&message)?;
        }
        Ok(())
    }

    fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>> {
        match coop::poll_proceed(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(turn) => {
                turn.made_progress();
                Some(self.try_send(message))
            }
            Poll::Pending => None,
        }
    }

    async fn send_when_room(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        self.try_send(message)
    }

    async fn send_later(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        coop::consume_budget().await;
        self.try_send(message)
    }
}

impl Source for SubCore {
    fn inbox(&self) -> &Mutex<Inbox> {
        &self.inbox
    }

    #[inline]
    fn generation(&self) -> u64 {
        self.generation.load(Ordering::Acquire)
    }

    /// Removes the messages that no subscription matches or, with inverted matching, those that one
    /// does.
    fn filter(&self, batch: &mut Batch) -> u64 {
        // An XSUB receives for subscribers behind it, which filter the messages themselves.
        if self.sending.is_some() {
            return self.generation();
        }
        let subscriptions = lock(&self.subscriptions);
        let generation = self.generation();
        let (filter, inverted) = (&subscriptions.filter, subscriptions.inverted);
        // With a subscription to everything, the messages need not be checked.
        if inverted || !filter.lets_in(b"") {
            let filtered = batch.retain(|topic| filter.lets_in(topic) != inverted);
            self.filtered.fetch_add(filtered as u64, Ordering::Relaxed);
        }
        generation
    }
}

impl Core for SubCore {
    type Session = SubscribeSession;

    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        _info: &PeerInfo,
        _ways: Ways<'_>,
        _kill: Kill,
    ) -> Result<SubscribeSession, Reason> {
        let mut subscriptions = lock(&self.subscriptions);
        let mut marks = self.sending.unwrap_or_default().marks();
        marks.messages = subscriptions.send_hwm.unwrap_or(marks.messages);
        let outbox = Outbox::new(marks, None, None);
        let upstream = Upstream::new(peer.clone(), outbox);
        let upstream = subscriptions.upstreams.insert(upstream);
        // Both under both locks, since each counter names the other.
        let mut inbox = lock(&self.inbox);
        let queue = inbox.open(peer.clone(), upstream);
        let (room, conflates) = (inbox.room(queue), inbox.conflates(queue));
        drop((inbox, subscriptions));
        self.changed.notify_waiters();
        let receiver = LateWake::default();
        Ok(SubscribeSession { core: self.clone(), upstream, queue, room, conflates, receiver })
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

    fn look_at(&self, from: usize, peers: &mut Vec<PeerStats>) -> Option<usize> {
        let (subscriptions, inbox) = (lock(&self.subscriptions), lock(&self.inbox));
        let subscribed = subscriptions.filter.len() as u64;
        let to = from + LOOK;
        peers.extend((from..to).filter_map(|key| inbox.present(key)).map(|queue| {
            let Upstream { outbox, .. } = &subscriptions.upstreams[queue.upstream];
            peer_stats(&queue.peer, outbox, queue, outbox.is_congested(), subscribed)
        }));
        Some(to).filter(|to| *to < inbox.slots())
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
