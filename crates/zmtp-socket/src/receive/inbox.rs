//! Received messages: a queue of batches for each publisher, taken in turn.

use std::collections::VecDeque;
use std::task::{Context, Poll, Waker};

use slab::Slab;
use zmtp_codec::{Batch, Message, MessageRef};

use super::newest::Newest;
use crate::endpoint::Endpoint;
use crate::options::{HighWaterMark, Marks, Receiving};
use crate::peer::{Peer, PeerId};
use crate::stats::Count;

/// The largest number of messages of a turn that are gathered in the inbox.
const BATCH: usize = 256;

/// The queues of one socket.
#[derive(Debug)]
pub(crate) struct Inbox {
    queues: Slab<Queue>,
    /// The queues that hold messages, the next one first.
    turns: VecDeque<usize>,
    marks: Marks,
    /// Whether only the newest message of each new publisher is kept.
    conflate: bool,
    /// Whether only the newest message of each topic is kept.
    conflates_topics: bool,
    /// Whether a turn is one message, when several publishers have some.
    by_message: bool,
    /// Messages in the queues of publishers that have gone.
    departed: Count,
    /// Messages in all queues.
    waiting: Count,
    /// Messages that were received and dropped, of all present and past publishers.
    pub(crate) received: Count,
    pub(crate) dropped: Count,
    receiver: Option<Waker>,
    closed: bool,
}

/// The messages that have arrived from one publisher.
#[derive(Debug)]
pub(crate) struct Queue {
    pub(crate) peer: Peer,
    /// The number of the upstream to the same publisher.
    pub(crate) upstream: usize,
    pub(crate) received: Count,
    pub(crate) dropped: Count,
    batches: VecDeque<Batch>,
    /// Whether only the newest message is kept.
    conflate: bool,
    /// Used instead of batches when only the newest message of each topic is kept.
    newest: Newest,
    /// The messages in these.
    pub(crate) waiting: Count,
    /// The messages here and in the batch that the receiver has taken: all of them count for the
    /// high-water mark.
    held: Count,
    /// The waker of the publisher's driver, if it waits for room.
    driver: Option<Waker>,
    /// The driver at the other end, if a sender of the same process has queued a message there for want of room
    /// here.
    far_driver: Option<Waker>,
    gone: bool,
}

/// A batch that the receiver has taken out.
#[derive(Debug, Default)]
pub(crate) struct Taken {
    pub(crate) batch: Batch,
    /// The queue that it comes from.
    queue: usize,
    /// The messages that were in it.
    taken: Count,
}

impl Inbox {
    pub(crate) fn new(options: &Receiving) -> Self {
        Self {
            queues: Slab::new(),
            turns: VecDeque::new(),
            marks: options.marks(),
            conflate: options.conflate,
            conflates_topics: options.conflate_topics,
            by_message: options.by_message,
            departed: Count::default(),
            waiting: Count::default(),
            received: Count::default(),
            dropped: Count::default(),
            receiver: None,
            closed: false,
        }
    }

    /// Opens a queue for a new publisher.
    pub(crate) fn open(&mut self, peer: Peer, upstream: usize) -> usize {
        self.queues.insert(Queue {
            peer,
            upstream,
            received: Count::default(),
            dropped: Count::default(),
            batches: VecDeque::new(),
            conflate: self.conflate,
            newest: Newest::default(),
            waiting: Count::default(),
            held: Count::default(),
            driver: None,
            far_driver: None,
            gone: false,
        })
    }

    /// Notes that the publisher has gone; its messages stay. Returns the waker of its driver, if that
    /// waited, to be dropped without the lock.
    pub(crate) fn depart(&mut self, key: usize) -> Option<Waker> {
        let queue = &mut self.queues[key];
        queue.gone = true;
        let driver = queue.driver.take();
        self.departed += queue.held;
        if queue.held.messages == 0 {
            self.queues.remove(key);
        }
        driver
    }

    /// The number of further messages that this publisher may have here: none once the socket is closed.
    ///
    /// The messages of departed publishers count against every publisher. Otherwise one that comes back
    /// again and again would fill another queue each time.
    pub(crate) fn room(&self, key: usize) -> usize {
        let room = |held: Count| match held.octets < self.marks.octets as u64 {
            true => self.marks.messages.get().saturating_sub(held.messages as usize),
            false => 0,
        };
        if self.closed {
            return 0;
        }
        // There is always room when a message replaces another.
        let queue = &self.queues[key];
        let own = if queue.conflate { usize::MAX } else { room(queue.held) };
        own.min(room(self.departed))
    }

    /// Changes the number of messages that each publisher may have here. Returns the wakers of the
    /// drivers that wait for room.
    pub(crate) fn set_mark(&mut self, mark: HighWaterMark) -> Vec<Waker> {
        self.marks.messages = mark;
        self.queues.iter_mut().flat_map(|(_, queue)| queue.take_drivers()).collect()
    }

    /// Changes whether only the newest message of each publisher that comes from now on is kept.
    pub(crate) fn set_conflate(&mut self, conflate: bool) {
        self.conflate = conflate;
    }

    /// Whether a message of this publisher may replace another.
    pub(crate) fn conflates(&self, key: usize) -> bool {
        self.queues[key].conflate || self.conflates_topics
    }

    /// Waits for room in a publisher's queue.
    pub(crate) fn poll_room(&mut self, key: usize, cx: &Context<'_>) -> Poll<usize> {
        match self.room(key) {
            0 => {
                self.queues[key].driver = Some(cx.waker().clone());
                Poll::Pending
            }
            room => Poll::Ready(room),
        }
    }

    /// Counts messages that have arrived from one publisher.
    pub(crate) fn arrived(&mut self, key: usize, arrived: Count) {
        self.queues[key].received += arrived;
        self.received += arrived;
    }

    /// Adds messages of one publisher, at least one. Returns the waker of the receiver, if it waits.
    pub(crate) fn deliver(&mut self, key: usize, mut batch: Batch) -> Option<Waker> {
        let queue = &mut self.queues[key];
        if !queue.holds_messages() {
            self.turns.push_back(key);
        }
        if self.conflates_topics {
            self.conflate_topics(key, batch);
            return self.receiver.take();
        }
        let mut kept = Count::of_batch(&batch);
        if queue.conflate {
            let mut dropped = std::mem::take(&mut queue.waiting);
            queue.held -= dropped;
            self.waiting -= dropped;
            queue.batches.clear();
            dropped += kept;
            batch.keep_last();
            kept = Count::of_batch(&batch);
            dropped -= kept;
            queue.dropped += dropped;
            self.dropped += dropped;
        }
        queue.batches.push_back(batch);
        self.hold(key, kept);
        self.receiver.take()
    }

    /// Counts messages that were added to a queue.
    fn hold(&mut self, key: usize, added: Count) {
        let queue = &mut self.queues[key];
        queue.held += added;
        queue.waiting += added;
        self.waiting += added;
    }

    /// Adds a message that a sender of this process brings, if its socket is there and there is room. Returns
    /// the receiver to be woken, if it waits.
    pub(crate) fn take_in(
        &mut self,
        key: usize,
        peer: PeerId,
        message: Message,
    ) -> Option<Option<Waker>> {
        if !self.is_open(key, peer) || self.room(key) == 0 {
            return None;
        }
        self.arrived(key, Count::of(&message));
        Some(self.deliver_one(key, message))
    }

    /// Adds one message. Returns the waker of the receiver, if it waits.
    fn deliver_one(&mut self, key: usize, message: Message) -> Option<Waker> {
        let queue = &mut self.queues[key];
        match queue.batches.back_mut() {
            // One lock, and one wake-up, for all that come while the receiver is busy.
            Some(batch) if batch.len() < BATCH && !queue.conflate => {
                let count = Count::of(&message);
                batch.push(message);
                self.hold(key, count);
                self.receiver.take()
            }
            _ => self.deliver(key, message.into()),
        }
    }

    /// Adds messages from the front of a batch that a sender of this process brings, as far as there is room and
    /// they are allowed, if its socket is there. Returns the receiver to be woken, if it waits.
    pub(crate) fn take_in_front(
        &mut self,
        key: usize,
        peer: PeerId,
        batch: &mut Batch,
        is_allowed: impl Fn(&MessageRef<'_>) -> bool,
    ) -> Option<Waker> {
        let mut receiver = None;
        while self.is_open(key, peer) {
            // The others are not looked at: they may be many, and come here again.
            let room = self.room(key).min(BATCH);
            let allowed = batch.iter().take(room).take_while(&is_allowed).count();
            if allowed == 0 {
                break;
            }
            let mut front = batch.split_to(allowed);
            self.arrived(key, Count::of_batch(&front));
            let woken = match allowed {
                1 => front.next().and_then(|message| self.deliver_one(key, message)),
                _ => self.deliver(key, front),
            };
            receiver = woken.or(receiver);
        }
        receiver
    }

    /// Takes the driver of a sender of this process, to be woken when there is room, if there is none now.
    pub(crate) fn await_room(&mut self, key: usize, peer: PeerId, driver: &mut Option<Waker>) {
        if self.is_open(key, peer) && self.room(key) == 0 && !self.closed {
            self.queues[key].far_driver = driver.take();
        }
    }

    /// Whether the queue with this key is that of a peer that is there.
    fn is_open(&self, key: usize, peer: PeerId) -> bool {
        self.present(key).is_some_and(|queue| queue.peer.id() == peer)
    }

    /// Whether anything has come from a publisher.
    pub(crate) fn has_received(&self, key: usize) -> bool {
        self.queues[key].received.messages > 0
    }

    fn conflate_topics(&mut self, key: usize, batch: Batch) {
        let queue = &mut self.queues[key];
        let (mut kept, mut dropped) = (Count::default(), Count::default());
        for message in batch {
            kept += Count::of(&message);
            if let Some(older) = queue.newest.put(message) {
                dropped += Count::of(&older);
            }
        }
        for count in [&mut queue.held, &mut queue.waiting, &mut self.waiting] {
            *count += kept;
            *count -= dropped;
        }
        queue.dropped += dropped;
        self.dropped += dropped;
    }

    /// Takes the next batch in place of the present one, which is empty. Adds the wakers of the drivers
    /// that now have room to `wake`. Returns the batch's publisher, if there was a batch.
    ///
    /// A batch is the length of a publisher's turn.
    pub(crate) fn exchange(&mut self, current: &mut Taken, wake: &mut Vec<Waker>) -> Option<Peer> {
        self.release(current, wake);
        let key = self.turns.pop_front()?;
        let queue = &mut self.queues[key];
        let takes_one = self.by_message && !self.turns.is_empty();
        current.batch = match queue.batches.front_mut() {
            _ if self.conflates_topics => queue.newest.take(BATCH),
            Some(batch) if takes_one && batch.len() > 1 => {
                batch.next().map(Batch::from).unwrap_or_default()
            }
            _ => queue.batches.pop_front().unwrap_or_default(),
        };
        let peer = queue.peer.clone();
        current.queue = key;
        current.taken = Count::of_batch(&current.batch);
        queue.waiting -= current.taken;
        self.waiting -= current.taken;
        // The messages that a publisher sent before its connection was lost come before those that it
        // sends afterwards.
        match (queue.holds_messages(), queue.gone) {
            (false, _) => {}
            (true, true) => self.turns.push_front(key),
            (true, false) => self.turns.push_back(key),
        }
        if self.by_message {
            // This option is exact: a received message is no longer in the queue.
            self.release(current, wake);
        }
        Some(peer)
    }

    /// Drops the messages that have arrived through a connected endpoint. Returns their memory, and the
    /// wakers of the drivers that now have room.
    pub(crate) fn discard(&mut self, endpoint: &Endpoint) -> (Vec<Batch>, Vec<Waker>) {
        let (mut batches, mut wake) = (Vec::new(), Vec::new());
        let keys = self.queues.iter().filter(|(_, queue)| queue.peer.is_through(endpoint));
        for key in keys.map(|(key, _)| key).collect::<Vec<_>>() {
            self.turns.retain(|turn| *turn != key);
            let queue = &mut self.queues[key];
            batches.extend(queue.batches.drain(..));
            queue.newest = Newest::default();
            let mut taken = Taken { queue: key, ..Taken::default() };
            taken.taken = std::mem::take(&mut queue.waiting);
            queue.dropped += taken.taken;
            self.waiting -= taken.taken;
            self.dropped += taken.taken;
            self.release(&mut taken, &mut wake);
        }
        (batches, wake)
    }

    /// Waits for something to arrive.
    pub(crate) fn wait(&mut self, cx: &Context<'_>) {
        self.receiver = Some(cx.waker().clone());
    }

    /// Ends the counting of the messages in the receiver's batch, which the user has now received.
    fn release(&mut self, current: &mut Taken, wake: &mut Vec<Waker>) {
        let taken = std::mem::take(&mut current.taken);
        if taken.messages == 0 {
            return;
        }
        let queue = &mut self.queues[current.queue];
        queue.held -= taken;
        if queue.gone {
            if queue.held.messages == 0 {
                self.queues.remove(current.queue);
            }
            self.departed -= taken;
            wake.extend(self.queues.iter_mut().flat_map(|(_, queue)| queue.take_drivers()));
        } else if queue.held.messages <= self.marks.messages.get() as u64 / 2
            && queue.held.octets <= self.marks.octets as u64 / 2
        {
            // Not after each message, so that a driver that is woken finds room for several.
            wake.extend(queue.take_drivers());
        }
    }

    pub(crate) fn close(&mut self) -> Option<Waker> {
        self.closed = true;
        self.receiver.take()
    }

    /// The waker of the receiver, if it waits.
    pub(crate) fn take_receiver(&mut self) -> Option<Waker> {
        self.receiver.take()
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.closed
    }

    /// The messages that have not been taken out.
    pub(crate) fn queued(&self) -> Count {
        self.waiting
    }

    /// The queue with this key, if its publisher is connected.
    pub(crate) fn present(&self, key: usize) -> Option<&Queue> {
        self.queues.get(key).filter(|queue| !queue.gone)
    }

    /// A bound that is larger than every key.
    pub(crate) fn slots(&self) -> usize {
        self.queues.capacity()
    }
}

impl Queue {
    /// The drivers that wait for room.
    fn take_drivers(&mut self) -> impl Iterator<Item = Waker> + use<> {
        self.driver.take().into_iter().chain(self.far_driver.take())
    }

    fn holds_messages(&self) -> bool {
        !self.batches.is_empty() || !self.newest.is_empty()
    }

    /// Whether nothing is read from the publisher until some of its messages have been received.
    pub(crate) fn is_congested(&self) -> bool {
        self.driver.is_some()
    }
}

#[cfg(test)]
mod tests {
    use std::mem;
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use zmtp_codec::Message;

    use super::*;

    use crate::peer::PeerId;
    use crate::sync::Woken;

    fn inbox(limit: usize) -> Inbox {
        let hwm = HighWaterMark::messages(limit);
        Inbox::new(&Receiving { hwm, ..Receiving::default() })
    }

    fn publisher(inbox: &mut Inbox) -> usize {
        inbox.open(Peer::new(PeerId(0), Endpoint::Inproc("test".into()), "test"), 0)
    }

    /// Delivers a batch of this many messages, numbered from `first`.
    fn deliver(inbox: &mut Inbox, key: usize, first: usize, count: usize) {
        let batch = batch(key, first..first + count);
        inbox.arrived(key, Count::of_batch(&batch));
        assert!(inbox.deliver(key, batch).is_none());
    }

    fn batch(key: usize, numbers: std::ops::Range<usize>) -> Batch {
        numbers.map(|number| Message::from(format!("{key}/{number}"))).collect()
    }

    /// The next batch, as text.
    fn exchange(inbox: &mut Inbox, current: &mut Taken) -> Vec<String> {
        inbox.exchange(current, &mut Vec::new());
        let messages = std::mem::take(&mut current.batch);
        messages.map(|message| String::from_utf8_lossy(message.first()).into()).collect()
    }

    /// Lets a publisher wait for room. Returns the counter of its wake-ups.
    fn wait_for_room(inbox: &mut Inbox, key: usize) -> Arc<Woken> {
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        assert!(inbox.poll_room(key, &Context::from_waker(&waker)).is_pending());
        woken
    }

    /// Takes the next batch. Returns the number of drivers to wake.
    fn wake(inbox: &mut Inbox, current: &mut Taken) -> usize {
        let mut wake = Vec::new();
        inbox.exchange(current, &mut wake);
        wake.len()
    }

    #[test]
    fn publishers_take_turns_of_a_batch() {
        let mut inbox = inbox(10_000);
        let (flood, other) = (publisher(&mut inbox), publisher(&mut inbox));
        for first in [0, 3, 6] {
            deliver(&mut inbox, flood, first, 3);
        }
        deliver(&mut inbox, other, 0, 1);
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current), ["0/0", "0/1", "0/2"]);
        assert_eq!(exchange(&mut inbox, &mut current), ["1/0"]);
        assert_eq!(exchange(&mut inbox, &mut current), ["0/3", "0/4", "0/5"]);
        assert_eq!(exchange(&mut inbox, &mut current), ["0/6", "0/7", "0/8"]);
        assert!(exchange(&mut inbox, &mut current).is_empty());
    }

    #[test]
    fn what_a_publisher_sent_before_a_cut_comes_before_what_it_sends_after() {
        let mut inbox = inbox(10);
        let before = publisher(&mut inbox);
        deliver(&mut inbox, before, 0, 1);
        deliver(&mut inbox, before, 1, 1);
        inbox.depart(before);
        let after = publisher(&mut inbox);
        deliver(&mut inbox, after, 0, 1);
        let mut current = Taken::default();
        for expected in ["0/0", "0/1", "1/0"] {
            assert_eq!(exchange(&mut inbox, &mut current), [expected]);
        }
    }

    #[test]
    fn of_many_messages_that_a_sender_brings_those_are_taken_that_there_is_room_for() {
        let mut inbox = inbox(BATCH + 2);
        let (key, id) = (publisher(&mut inbox), PeerId(0));
        inbox.wait(&Context::from_waker(Waker::noop()));
        let mut brought = batch(key, 0..BATCH + 5);
        assert!(
            inbox.take_in_front(key, id, &mut brought, |_| true).is_some(),
            "the receiver waits"
        );
        assert_eq!((brought.len(), inbox.room(key)), (3, 0));
        assert_eq!(inbox.received.messages as usize, BATCH + 2);
        assert!(
            inbox.take_in_front(key, id, &mut brought, |_| true).is_none() && brought.len() == 3
        );
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current).len(), BATCH, "a turn is not longer");
        assert_eq!(exchange(&mut inbox, &mut current).len(), 2);
        let _none = exchange(&mut inbox, &mut current);
        inbox.take_in_front(key, PeerId(1), &mut brought, |_| true);
        assert_eq!(brought.len(), 3, "that peer is not here");
        inbox.take_in_front(key, id, &mut brought, |_| true);
        assert_eq!((brought.len(), exchange(&mut inbox, &mut current).len()), (0, 3));
    }

    #[test]
    fn a_sender_that_brings_many_messages_has_only_those_looked_at_that_there_is_room_for() {
        let mut inbox = inbox(2);
        let (key, looked) = (publisher(&mut inbox), std::cell::Cell::new(0));
        let mut brought = batch(key, 0..100);
        let mut take = |inbox: &mut Inbox, allowed: usize| {
            inbox.take_in_front(key, PeerId(0), &mut brought, |_| {
                looked.set(looked.get() + 1);
                looked.get() <= allowed
            });
            (looked.replace(0), brought.len())
        };
        assert_eq!(
            take(&mut inbox, 1),
            (3, 99),
            "the second is not allowed, nor when it is the first"
        );
        assert_eq!(take(&mut inbox, 9), (1, 98));
        assert_eq!(take(&mut inbox, 9), (0, 98), "it is full");
    }

    #[test]
    fn messages_that_a_sender_brings_while_the_receiver_is_busy_are_one_batch() {
        let mut inbox = inbox(3);
        let (key, id) = (publisher(&mut inbox), PeerId(0));
        deliver(&mut inbox, key, 0, 1);
        let take_in = |inbox: &mut Inbox, number| {
            inbox.take_in(key, id, Message::from(format!("{key}/{number}"))).is_some()
        };
        assert!(take_in(&mut inbox, 1) && take_in(&mut inbox, 2));
        assert!(!take_in(&mut inbox, 3), "there is no room");
        assert_eq!(inbox.queued().messages, 3);
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current), ["0/0", "0/1", "0/2"]);
        assert!(exchange(&mut inbox, &mut current).is_empty());
        assert!(take_in(&mut inbox, 3));
        assert!(inbox.take_in(key, PeerId(1), "of another".into()).is_none());
        inbox.depart(key);
        assert!(!take_in(&mut inbox, 4), "the peer has left");
        inbox.close();
    }

    #[test]
    fn messages_that_a_sender_brings_one_by_one_are_gathered_for_one_turn_or_replaced() {
        for (conflate, turns) in [(false, [BATCH, 1]), (true, [1, 0])] {
            let hwm = HighWaterMark::messages(2 * BATCH);
            let mut inbox = Inbox::new(&Receiving { hwm, conflate, ..Receiving::default() });
            let (key, id) = (publisher(&mut inbox), PeerId(0));
            assert!(!inbox.has_received(key));
            for number in 0..=BATCH {
                let message = Message::from(format!("{key}/{number}"));
                assert!(inbox.take_in(key, id, message).is_some());
                assert!(inbox.has_received(key));
            }
            let mut current = Taken::default();
            let taken = [(); 2].map(|()| exchange(&mut inbox, &mut current));
            assert_eq!([taken[0].len(), taken[1].len()], turns);
            let newest = taken.iter().flatten().last();
            assert_eq!(newest, Some(&format!("{key}/{BATCH}")), "in order");
        }
    }

    #[test]
    fn messages_that_are_handed_over_one_by_one_are_gathered_too() {
        let mut inbox = inbox(10);
        let key = publisher(&mut inbox);
        for number in 0..3 {
            let mut one = batch(key, number..number + 1);
            inbox.take_in_front(key, PeerId(0), &mut one, |_| true);
            assert!(one.is_empty());
        }
        inbox.take_in_front(key, PeerId(0), &mut batch(key, 3..5), |_| true);
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current), ["0/0", "0/1", "0/2"]);
        assert_eq!(inbox.queued().messages, 2);
        assert_eq!(exchange(&mut inbox, &mut current), ["0/3", "0/4"]);
        assert_eq!(inbox.queued().messages, 0);
    }

    #[test]
    fn the_driver_of_a_sender_that_brings_messages_is_woken_when_there_is_room() {
        let mut inbox = inbox(2);
        let (key, id) = (publisher(&mut inbox), PeerId(0));
        let woken = Arc::new(Woken::default());
        let mut driver = Some(Waker::from(woken.clone()));
        inbox.await_room(key, id, &mut driver);
        assert!(driver.is_some(), "there is room: it has work to do");
        deliver(&mut inbox, key, 0, 2);
        inbox.await_room(key, id, &mut driver);
        assert!(driver.is_none());
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current).len(), 2);
        assert_eq!(wake(&mut inbox, &mut current), 1, "what was in hand is received");
        deliver(&mut inbox, key, 2, 2);
        inbox.close();
        driver = Some(Waker::from(woken));
        inbox.await_room(key, id, &mut driver);
        assert!(driver.is_some(), "a closed socket receives nothing more");
    }

    #[test]
    fn what_is_in_hand_still_counts_for_the_mark() {
        let mut inbox = inbox(4);
        let key = publisher(&mut inbox);
        assert_eq!(inbox.room(key), 4);
        deliver(&mut inbox, key, 0, 4);
        assert_eq!((inbox.room(key), inbox.queued().messages), (0, 4));
        let peer = inbox.present(key).expect("it is there");
        assert_eq!((peer.received.messages, peer.waiting.messages), (4, 4));
        let mut current = Taken::default();
        exchange(&mut inbox, &mut current);
        assert_eq!((inbox.room(key), inbox.queued().messages), (0, 0));
        exchange(&mut inbox, &mut current);
        assert_eq!(inbox.room(key), 4);
    }

    #[test]
    fn a_publisher_waits_until_half_of_its_queue_is_free() {
        let mut inbox = inbox(8);
        let key = publisher(&mut inbox);
        for first in [0, 2, 4, 6] {
            deliver(&mut inbox, key, first, 2);
        }
        let is_congested = |inbox: &Inbox| inbox.present(key).unwrap().is_congested();
        assert!(!is_congested(&inbox));
        wait_for_room(&mut inbox, key);
        assert!(is_congested(&inbox));
        let mut current = Taken::default();
        assert_eq!(wake(&mut inbox, &mut current), 0, "nothing has been given back");
        assert_eq!(wake(&mut inbox, &mut current), 0, "a quarter");
        assert_eq!(wake(&mut inbox, &mut current), 1, "half");
        assert_eq!(wake(&mut inbox, &mut current), 0, "it does not wait any more");
    }

    #[test]
    fn it_waits_until_half_of_the_octets_are_free_too() {
        let octets = 8 * Count::of(&Message::from("0/0")).octets as usize;
        let mut inbox = Inbox::new(&Receiving { hwm_octets: Some(octets), ..Receiving::default() });
        let key = publisher(&mut inbox);
        for first in 0..8 {
            deliver(&mut inbox, key, first, 1);
        }
        wait_for_room(&mut inbox, key);
        let mut current = Taken::default();
        let woken: Vec<_> = (0..6).map(|_| wake(&mut inbox, &mut current)).collect();
        assert_eq!(woken, [0, 0, 0, 0, 1, 0], "each counts until the next is taken");
    }

    #[test]
    fn what_came_through_an_endpoint_can_be_dropped_alone() {
        let mut inbox = inbox(4);
        let endpoint: Endpoint = "inproc://dialled".parse().unwrap();
        let dialled = inbox.open(Peer::dialled(PeerId(9), endpoint.clone(), "x"), 0);
        let accepted = inbox.open(Peer::new(PeerId(8), endpoint.clone(), "x"), 0);
        let elsewhere = Endpoint::Inproc("elsewhere".into());
        let elsewhere = inbox.open(Peer::dialled(PeerId(7), elsewhere, "x"), 0);
        deliver(&mut inbox, dialled, 0, 4);
        deliver(&mut inbox, accepted, 0, 1);
        deliver(&mut inbox, elsewhere, 0, 1);
        let woken = wait_for_room(&mut inbox, dialled);
        let (batches, wake) = inbox.discard(&endpoint);
        wake.into_iter().for_each(Waker::wake);
        assert_eq!((batches.len(), woken.0.load(Ordering::Relaxed)), (1, 1));
        assert_eq!(
            (inbox.queued().messages, inbox.dropped.messages, inbox.room(dialled)),
            (2, 4, 4)
        );
        let mut current = Taken::default();
        for left in [accepted, elsewhere] {
            assert_eq!(exchange(&mut inbox, &mut current), [format!("{left}/0")]);
        }
        assert!(exchange(&mut inbox, &mut current).is_empty());
    }

    #[test]
    fn a_turn_may_be_one_message_where_several_publishers_have_some() {
        let options = Receiving { by_message: true, ..Receiving::default() };
        let mut inbox = Inbox::new(&options);
        let (one, other) = (publisher(&mut inbox), publisher(&mut inbox));
        deliver(&mut inbox, one, 0, 3);
        deliver(&mut inbox, other, 0, 1);
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current), ["0/0"]);
        assert_eq!(exchange(&mut inbox, &mut current), ["1/0"]);
        assert_eq!(exchange(&mut inbox, &mut current), ["0/1", "0/2"], "it is alone");
    }

    #[test]
    fn another_mark_holds_at_once() {
        let mut inbox = inbox(2);
        let key = publisher(&mut inbox);
        deliver(&mut inbox, key, 0, 2);
        let woken = wait_for_room(&mut inbox, key);
        inbox.set_mark(HighWaterMark::messages(5)).into_iter().for_each(Waker::wake);
        assert_eq!((woken.0.load(Ordering::Relaxed), inbox.room(key)), (1, 3));
    }

    #[test]
    fn a_mark_of_one_message_works() {
        let mut inbox = inbox(1);
        let key = publisher(&mut inbox);
        deliver(&mut inbox, key, 0, 1);
        wait_for_room(&mut inbox, key);
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current), ["0/0"]);
        assert_eq!(wake(&mut inbox, &mut current), 1);
        assert_eq!(inbox.room(key), 1);
    }

    #[test]
    fn what_a_departed_publisher_sent_is_still_given() {
        let mut inbox = inbox(10);
        let key = publisher(&mut inbox);
        deliver(&mut inbox, key, 0, 2);
        inbox.depart(key);
        assert!(inbox.present(key).is_none());
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current), ["0/0", "0/1"]);
        assert!(exchange(&mut inbox, &mut current).is_empty());
        assert!(inbox.queues.is_empty());
    }

    #[test]
    fn a_publisher_that_departs_while_its_messages_are_in_hand_is_forgotten_with_them() {
        let mut inbox = inbox(10);
        let key = publisher(&mut inbox);
        deliver(&mut inbox, key, 0, 2);
        let mut current = Taken::default();
        exchange(&mut inbox, &mut current);
        inbox.depart(key);
        assert_eq!(inbox.queues.len(), 1);
        exchange(&mut inbox, &mut current);
        assert_eq!((inbox.queues.len(), inbox.departed.messages), (0, 0));
    }

    #[test]
    fn publishers_that_come_back_again_and_again_fill_no_more_than_one_queue() {
        let mut inbox = inbox(10);
        for _ in 0..2 {
            let key = publisher(&mut inbox);
            assert_eq!(inbox.room(key), 10 - inbox.departed.messages as usize);
            deliver(&mut inbox, key, 0, 5);
            inbox.depart(key);
        }
        let key = publisher(&mut inbox);
        wait_for_room(&mut inbox, key);
        let mut current = Taken::default();
        assert_eq!(wake(&mut inbox, &mut current), 0);
        assert_eq!(wake(&mut inbox, &mut current), 1, "there is room again");
        assert_eq!(inbox.room(key), 5);
    }

    #[test]
    fn the_receiver_is_woken_by_what_arrives_and_by_the_end() {
        let mut inbox = inbox(10);
        let key = publisher(&mut inbox);
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        inbox.wait(&Context::from_waker(&waker));
        let receiver = inbox.deliver(key, Batch::from(Message::from("x")));
        receiver.expect("it waits").wake();
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        inbox.wait(&Context::from_waker(&waker));
        assert!(inbox.close().is_some() && inbox.is_closed());
    }

    #[test]
    fn of_each_publisher_the_newest_message_is_kept_and_the_others_count_as_dropped() {
        let mut inbox = Inbox::new(&Receiving { conflate: true, ..Receiving::default() });
        let (key, other) = (publisher(&mut inbox), publisher(&mut inbox));
        deliver(&mut inbox, other, 7, 1);
        deliver(&mut inbox, key, 0, 3);
        deliver(&mut inbox, key, 3, 2);
        let count = |messages| Count { messages, octets: 5 * messages };
        let queue = inbox.present(key).expect("it is there");
        assert_eq!((queue.received, queue.dropped), (count(5), count(4)));
        assert_eq!((queue.waiting, queue.held), (count(1), count(1)));
        assert_eq!((inbox.queued(), inbox.dropped, inbox.received), (count(2), count(4), count(6)));
        let mut current = Taken::default();
        assert_eq!(exchange(&mut inbox, &mut current), ["1/7"]);
        assert_eq!(exchange(&mut inbox, &mut current), ["0/4"]);
    }

    #[test]
    fn there_is_no_room_at_the_mark_in_octets() {
        let three = 3 * Count::of(&Message::from("0/0")).octets as usize;
        let options = Receiving { hwm_octets: Some(three), ..Receiving::default() };
        let mut inbox = Inbox::new(&options);
        let key = publisher(&mut inbox);
        deliver(&mut inbox, key, 0, 2);
        assert_eq!(inbox.room(key), 998);
        deliver(&mut inbox, key, 2, 1);
        assert_eq!(inbox.room(key), 0);
    }

    #[test]
    fn the_newest_of_each_topic_is_kept_and_each_topic_has_its_turn() {
        let hwm = HighWaterMark::messages(3);
        let options = Receiving { hwm, conflate_topics: true, ..Receiving::default() };
        let mut inbox = Inbox::new(&options);
        let key = publisher(&mut inbox);
        let message = |text: &'static str| Message::from((&text[..1], text));
        for text in ["a1", "b1", "a2", "a3", "b2", "a4"] {
            let batch = Batch::from(message(text));
            inbox.arrived(key, Count::of_batch(&batch));
            inbox.deliver(key, batch);
        }
        assert_eq!((inbox.queued().messages, inbox.dropped.messages, inbox.room(key)), (2, 4, 1));
        let mut current = Taken::default();
        inbox.exchange(&mut current, &mut Vec::new());
        let taken: Vec<_> = mem::take(&mut current.batch).collect();
        assert_eq!(taken, [message("a4"), message("b2")]);
        // Once the message has been taken out, the next one of its topic is new.
        inbox.deliver(key, Batch::from(message("b3")));
        inbox.exchange(&mut current, &mut Vec::new());
        assert_eq!(mem::take(&mut current.batch).next(), Some(message("b3")));
        inbox.exchange(&mut current, &mut Vec::new());
        assert_eq!((inbox.queued(), inbox.room(key)), (Count::default(), 3));
        assert_eq!(inbox.dropped.messages, 4);
    }
}
