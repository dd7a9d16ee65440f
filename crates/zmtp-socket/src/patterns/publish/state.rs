//! Publishing under the lock: from the topics that match a message to the outboxes of the peers that
//! want it.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::sync::Arc;
use std::task::{Poll, Waker};

use bytes::Bytes;
use slab::Slab;
use zmtp_codec::{Message, Subscription};

use super::booking::Booking;
use super::requests::Requests;
use super::sending::Waiting;
use super::together::Together;
use super::topics::{SLICE, Topics};
use crate::error::SendError;
use crate::monitor::{Event, Events};
use crate::options::{Marks, Publishing, WhenFull};
use crate::peer::{Peer, PeerId};
use crate::prefix_map::EntryId;
use crate::send::flushing::{Flushing, Wait};
use crate::send::gathering::MUCH;
use crate::send::guard::{Effectful, Effects};
use crate::send::journal::Journal;
use crate::send::outbox::{LARGE, Outbox, Run};
use crate::send::outgoing::encoded_len;
use crate::send::pace::Pace;
use crate::send::room::Room;
use crate::send::turn::Turn;
use crate::send::waiters::{Ticket, Tickets, Waiters};
use crate::send::{Outgoing, at_once};
use crate::stats::{Count, PeerState, PeerStats, Stats};

/// The number of peers whose counters are read under one lock.
pub(super) const LOOK: usize = 256;

/// The state that the tasks of a publisher share, under its lock.
pub(super) struct State {
    pub(super) peers: Slab<PeerEntry>,
    pub(super) topics: Topics,
    /// Whether peers are sent the messages that they are *not* subscribed to.
    pub(super) inverted: bool,
    pub(super) when_full: WhenFull,
    /// Whether the user of an XPUB subscribes peers itself.
    pub(super) manual: bool,
    /// The topics that each peer then asks for, by its key.
    asked: HashMap<usize, Asked>,
    /// The marks of each peer's queue.
    pub(super) marks: Marks,
    /// The message that every peer of an XPUB is sent first.
    pub(super) welcome: Option<Message>,
    /// The requests for the user of an XPUB, if it reads them.
    pub(super) requests: Option<Requests>,
    /// The keys of the peers, for a user that names one.
    pub(super) keys: HashMap<PeerId, usize>,
    pub(super) journal: Journal,
    /// The messages that were appended to the journal and stand in no outbox yet.
    pub(super) booking: Booking,
    /// The pace of the messages that woke a driver or were written without one.
    pub(super) pace: Pace,
    pub(super) closed: bool,
    pub(super) turn: Turn,
    /// The topics that match one message, and the peers that want it; kept for their memory.
    matching: Vec<EntryId>,
    wanted_by: Vec<usize>,
    tickets: Tickets,
    /// The tasks that wait for a change of subscriptions.
    watchers: Waiters,
    /// The tasks that wait until the transports have taken all messages.
    pub(super) flushing: Flushing,
    /// The counters of all peers together, including those that have gone. It lists no peers.
    pub(super) totals: Stats,
    pub(super) undelivered_at_close: usize,
    /// The effects that are due when the lock is released.
    pub(super) effects: Effects,
    pub(super) events: Arc<Events>,
    /// The peer whose driver has rested until its outbox holds enough to write.
    due: Option<usize>,
    pub(super) together: Together,
}

/// The topics that a peer has asked for, and the sum of their octets.
#[derive(Debug, Default)]
struct Asked {
    topics: BTreeSet<Bytes>,
    octets: usize,
}

/// A peer as its publisher sees it.
pub(super) struct PeerEntry {
    pub(super) peer: Peer,
    /// The messages that it has sent to the user of an XPUB.
    pub(super) received: Count,
    pub(super) outbox: Outbox,
}

impl State {
    pub(super) fn new(
        options: &Publishing,
        requests: Option<Requests>,
        events: Arc<Events>,
    ) -> Self {
        Self {
            peers: Slab::new(),
            topics: Topics::new(options.duplicates),
            inverted: options.matching.inverted,
            when_full: options.when_full,
            manual: false,
            asked: HashMap::new(),
            marks: options.marks(),
            welcome: None,
            requests,
            keys: HashMap::new(),
            journal: Journal::default(),
            booking: Booking::default(),
            pace: Pace::default(),
            closed: false,
            turn: Turn::default(),
            matching: Vec::new(),
            wanted_by: Vec::new(),
            tickets: Tickets::default(),
            watchers: Waiters::default(),
            flushing: Flushing::default(),
            totals: Stats::default(),
            undelivered_at_close: 0,
            effects: Effects::default(),
            events,
            due: None,
            together: Together::default(),
        }
    }

    /// Books a message that no peer wants, or that [goes on](Self::goes_on). Otherwise finds its topics
    /// and returns its length.
    #[inline(always)]
    pub(super) fn go_on(&mut self, first: &[u8], rest: &[Bytes]) -> Result<(), usize> {
        if self.find_topics(first) {
            let length = encoded_len(first, rest);
            if !self.goes_on(length) {
                return Err(length);
            }
            self.book(first, rest, length);
        }
        Ok(())
    }

    /// Finds the topics that match a message with this first part. Returns whether any peer may want it.
    /// Inlined into the one call that has to be fast; the others use
    /// [`find_topics_slowly`](Self::find_topics_slowly).
    #[inline(always)]
    pub(super) fn find_topics(&mut self, first: &[u8]) -> bool {
        self.topics.matching(first, &mut self.matching);
        let is_wanted = !self.matching.is_empty() || self.inverted;
        if !is_wanted {
            self.turn.pass();
        }
        is_wanted
    }

    /// Does as [`find_topics`](Self::find_topics).
    #[inline(never)]
    pub(super) fn find_topics_slowly(&mut self, first: &[u8]) -> bool {
        self.find_topics(first)
    }

    /// Finds the peers that want a message with these topics.
    pub(super) fn find_peers(&mut self) {
        self.topics.peers_of(&self.matching, &mut self.wanted_by);
        if self.inverted {
            let matched: HashSet<usize> = self.wanted_by.drain(..).collect();
            let present = self.present().map(|(key, _)| key);
            let others: Vec<_> = present.filter(|key| !matched.contains(key)).collect();
            self.wanted_by.extend(others);
        }
    }

    /// The peers that have not left.
    pub(super) fn present(&self) -> impl Iterator<Item = (usize, &PeerEntry)> {
        self.peers.iter().filter(|(key, _)| !self.topics.is_leaving(*key))
    }

    /// Whether a message with this first part would be sent to any peer.
    pub(super) fn is_wanted(&mut self, first: &[u8]) -> bool {
        self.find_topics_slowly(first) && {
            self.find_peers();
            !self.wanted_by.is_empty()
        }
    }

    /// Whether the next message, of so many octets and with the topics in `matching`, is for the same
    /// peers as the one before it, and these peers and the block have room for it.
    #[inline]
    pub(super) fn goes_on(&self, length: usize) -> bool {
        // A message with a large part does not go on, since that may be shared instead of copied.
        length < LARGE && self.booking.takes(&self.matching) && self.journal.has_room(length)
    }

    /// Encodes and books a message that [goes on](Self::goes_on).
    #[inline]
    pub(super) fn book(&mut self, first: &[u8], rest: &[Bytes], length: usize) {
        // Encoded once, and only if some peer takes it.
        if !self.booking.receivers.is_empty() {
            self.journal.append(first, rest);
        }
        let filled = self.booking.add(length);
        let filled = filled && !self.settle_and_write();
        self.turn.spend(length, filled);
    }

    /// Publishes a message that does not [go on](Self::goes_on) to the peers that want it.
    pub(super) fn publish(
        &mut self,
        message: &Outgoing<'_>,
        length: usize,
        when_full: WhenFull,
        ticket: Option<Ticket>,
    ) -> Result<(), SendError> {
        if self.write_at_once(message, length) {
            return Ok(());
        }
        if message.has_large_part(LARGE) {
            return self.publish_runs(&message.to_runs(LARGE), length, when_full, ticket);
        }
        self.book_anew(length, when_full, ticket)?;
        let (first, rest) = message.parts();
        self.book(first, rest, length);
        Ok(())
    }

    /// Publishes a message of so many octets that lies in `runs`. These are empty if no peer will take
    /// it.
    pub(super) fn publish_runs(
        &mut self,
        runs: &[Run],
        length: usize,
        when_full: WhenFull,
        ticket: Option<Ticket>,
    ) -> Result<(), SendError> {
        // The message is no part of the open segment, and so of no booking that goes on.
        self.settle();
        self.book_anew(0, when_full, ticket)?;
        debug_assert!(
            !runs.is_empty() || self.booking.receivers.is_empty(),
            "nobody was to take it"
        );
        let filled = self.booking.add(length);
        self.give(runs);
        self.booking.clear();
        let filled = filled && !self.write_due();
        self.turn.spend(length, filled);
        Ok(())
    }

    /// Whether any of the peers that want a message would take it now.
    pub(super) fn finds_room(&self, when_full: WhenFull, ticket: Option<Ticket>) -> bool {
        let mut has_room = self.wanted_by.iter().map(|&key| self.peers[key].outbox.accepts(ticket));
        match when_full {
            WhenFull::DropOldest => !self.wanted_by.is_empty(),
            WhenFull::Wait | WhenFull::WaitFor(_) => {
                !self.wanted_by.is_empty() && has_room.all(|has_room| has_room)
            }
            WhenFull::DropNew | WhenFull::Disconnect => has_room.any(|has_room| has_room),
        }
    }

    /// Writes a message that only one peer wants, if that peer is idle. That saves a wake-up of its
    /// driver and, for a large message, the copy. Returns whether it has done so; the driver writes the
    /// rest. A small message that follows another closely is left to the driver, which writes many at
    /// once.
    pub(super) fn write_at_once(&mut self, message: &Outgoing<'_>, length: usize) -> bool {
        self.try_write_at_once(message, length).is_some()
    }

    fn try_write_at_once(&mut self, message: &Outgoing<'_>, length: usize) -> Option<()> {
        let ([key], 0) = (&self.wanted_by[..], self.booking.messages) else { return None };
        let outbox = &mut self.peers[*key].outbox;
        let (written, waker) = at_once::write(outbox, &mut self.pace, message, length)?;
        self.effects.wake(waker);
        at_once::count(&mut self.totals, written, length);
        self.turn.spend(length, false);
        Some(())
    }

    /// Continues the booking for other topics, if the same peers want them, or begins another. Wakes the
    /// drivers that had nothing to do. A peer without room is handled as `when_full` says. A peer counts
    /// as full if a sender [waits](Self::await_room) for it that came before `ticket`.
    pub(super) fn book_anew(
        &mut self,
        length: usize,
        when_full: WhenFull,
        ticket: Option<Ticket>,
    ) -> Result<(), SendError> {
        if self.journal.has_room(length) && self.booking.is_for(&self.wanted_by) {
            self.booking.set_topics(&self.matching);
            return Ok(());
        }
        self.settle();
        let wakes_together = self.wakes_together();
        self.part_full(ticket);
        let (wanted_by, peers) = (&mut self.wanted_by, &mut self.peers);
        if when_full.waits() && !self.booking.full.is_empty() {
            return Err(SendError::Full);
        }
        let mut flushed = 0;
        for &key in &self.booking.full {
            let PeerEntry { outbox, peer, .. } = &mut peers[key];
            self.effects.tell(outbox.announce_loss(peer, &self.events));
            match when_full {
                WhenFull::Disconnect => outbox.kill(),
                WhenFull::DropOldest => {
                    let open = self.journal.open();
                    if outbox.oldest_segment().is_some_and(|oldest| Arc::ptr_eq(oldest, open)) {
                        self.journal.seal();
                    }
                    let was_flushing = outbox.is_flushing();
                    let lost = outbox.drop_oldest(&mut self.effects.dropped);
                    flushed += usize::from(was_flushing && !outbox.is_flushing());
                    self.totals.queued -= lost.messages;
                    self.totals.queued_octets -= lost.octets;
                    self.totals.dropped += lost.messages;
                    self.totals.dropped_octets += lost.octets;
                }
                WhenFull::DropNew | WhenFull::Wait | WhenFull::WaitFor(_) => {}
            }
        }
        if when_full == WhenFull::DropOldest {
            wanted_by.append(&mut self.booking.full);
        }
        let (mut woken, mut room) = (0, Room::UNLIMITED);
        for &key in &*wanted_by {
            let outbox = &mut peers[key].outbox;
            let waker = match wakes_together && outbox.wakes_late(MUCH) {
                true => self.together.add(key),
                false => outbox.take_idle(),
            };
            woken += usize::from(waker.is_some());
            self.effects.wake(waker);
            room = room.min(outbox.room().or_one());
            room.octets = room.octets.min(outbox.until_due());
        }
        if woken > 0 || wakes_together {
            self.pace.note();
            self.turn.woke(woken);
        }
        std::mem::swap(&mut self.booking.receivers, wanted_by);
        if !self.booking.receivers.is_empty() {
            self.begin_block_for(length);
        }
        self.booking.set_topics(&self.matching);
        self.booking.begin(self.journal.end(), room);
        self.effects.wake(self.flushing.has_flushed(flushed));
        Ok(())
    }

    /// Moves the peers without room from those that want a message to those that are full.
    pub(super) fn part_full(&mut self, ticket: Option<Ticket>) {
        let has_no_room = |key: &mut usize| !self.peers[*key].outbox.accepts(ticket);
        self.booking.full.extend(self.wanted_by.extract_if(.., has_no_room));
    }

    /// Makes room in the journal. If this ends a block, its messages are copied for peers that need
    /// little of it.
    fn begin_block_for(&mut self, length: usize) {
        if let Some((block, keys)) = self.journal.make_room(length) {
            for key in keys {
                if let Some(subscriber) = self.peers.get_mut(key) {
                    subscriber.outbox.unpin(block);
                }
            }
        }
    }

    /// Gives each peer its part of the booking, and ends the booking.
    pub(super) fn settle(&mut self) {
        self.settle_and_write();
    }

    /// Does the same. Returns whether the one peer that was filled has room again.
    fn settle_and_write(&mut self) -> bool {
        if self.booking.messages > 0 {
            let (segment, range) = (self.journal.open().clone(), self.booking.range.clone());
            let messages = self.booking.messages;
            self.give(&[Run { segment, range, messages, continued: 0 }]);
        }
        self.booking.clear();
        self.write_due()
    }

    /// Writes the queued messages of the one peer whose driver has rested until they were many. Returns
    /// whether there is such a peer, and it has room.
    fn write_due(&mut self) -> bool {
        let Some(key) = self.due.take() else { return false };
        self.journal.seal();
        let outbox = &mut self.peers[key].outbox;
        let (messages, octets, driver) = at_once::write_queued(outbox);
        let has_room = !outbox.is_full();
        self.effects.wake(driver);
        self.written(key, messages, octets);
        has_room
    }

    /// Queues `runs`, which contain the booked messages, for the peers that get them.
    fn give(&mut self, runs: &[Run]) {
        let Booking { receivers, full, messages, range, .. } = &self.booking;
        for &key in receivers {
            for run in runs {
                if self.peers[key].outbox.push(run) {
                    self.journal.note_reader(key);
                }
            }
            let outbox = &mut self.peers[key].outbox;
            match outbox.is_due() {
                true if receivers.len() == 1 => self.due = Some(key),
                true => self.effects.wake(outbox.waker.take()),
                false => {}
            }
        }
        for &key in full {
            self.peers[key].outbox.dropped.add(*messages, range.len());
        }
        let (messages, octets) = (*messages as u64, range.len() as u64);
        let (receivers, full) = (receivers.len() as u64, full.len() as u64);
        self.totals.queued += receivers * messages;
        self.totals.queued_octets += receivers * octets;
        self.totals.dropped += full * messages;
        self.totals.dropped_octets += full * octets;
    }

    /// Queues a message of so many octets, which lies in `runs`, for one peer, whatever it is subscribed to.
    pub(super) fn send_to(&mut self, key: usize, runs: &[Run], length: usize) {
        self.settle();
        let PeerEntry { outbox, peer, .. } = &mut self.peers[key];
        if outbox.room().is_none() {
            self.effects.tell(outbox.lose(length, peer, &self.events));
            self.totals.dropped += 1;
            self.totals.dropped_octets += length as u64;
            return;
        }
        for run in runs {
            outbox.push(run);
        }
        self.totals.queued += 1;
        self.totals.queued_octets += length as u64;
        self.effects.wake(outbox.waker.take());
    }

    /// Lets all that wait, for room or for a subscriber, look again: an option has changed.
    pub(super) fn look_again(&mut self) {
        let waiting = self.peers.iter().flat_map(|(_, peer)| peer.outbox.waiters.all());
        self.effects.wake(waiting);
        self.effects.wake(self.watchers.take_all());
    }

    /// Lets a sender that has found no room wait for it, behind those that came before.
    pub(super) fn await_room(&mut self, waiting: &mut Waiting, waker: &Waker) {
        let ticket = *waiting.ticket.get_or_insert_with(|| self.tickets.next());
        let full = &self.booking.full;
        // The sender keeps its places with peers that have room by now, but not with peers that no
        // longer want the message.
        let wanted: HashSet<usize> = self.wanted_by.iter().chain(full).copied().collect();
        let (peers, effects) = (&mut self.peers, &mut self.effects);
        waiting.peers.retain(|key| {
            let is_wanted = wanted.contains(key);
            if !is_wanted && let Some(peer) = peers.get_mut(*key) {
                effects.wake(peer.outbox.waiters.leave(ticket));
            }
            is_wanted
        });
        waiting.peers.extend(full);
        for &key in &waiting.peers {
            peers[key].outbox.await_room(ticket, waker);
        }
    }

    /// Ends a sender's wait for room. The next sender gets its turn.
    pub(super) fn leave(&mut self, waiting: &mut Waiting) {
        let Some(ticket) = waiting.ticket.take() else { return };
        for key in std::mem::take(&mut waiting.peers) {
            if let Some(peer) = self.peers.get_mut(key) {
                self.effects.wake(peer.outbox.waiters.leave(ticket));
            }
        }
        // A booking for a peer that other senders still wait for must not go on: it would overtake them.
        self.settle();
    }

    /// Lets a task wait for a change of subscriptions.
    pub(super) fn watch(&mut self, ticket: Option<Ticket>, waker: &Waker) -> Ticket {
        let ticket = ticket.unwrap_or_else(|| self.tickets.next());
        self.watchers.join(ticket, waker);
        ticket
    }

    pub(super) fn stop_watching(&mut self, ticket: Ticket) {
        // A change wakes all of them, so there is no turn to pass on.
        let _next = self.watchers.leave(ticket);
    }

    /// Notes that a peer wants other messages than before: the senders that wait for it, and the tasks
    /// that wait for any such change, check again.
    pub(super) fn has_changed(&mut self, key: usize) {
        self.effects.wake(self.peers[key].outbox.waiters.all());
        self.effects.wake(self.watchers.take_all());
    }

    /// Records a subscription, or its end, for the monitors.
    pub(super) fn tell_of(&mut self, peer: &Peer, subscription: Subscription) {
        self.effects.tell(self.events.record(|| {
            let peer = peer.clone();
            match subscription {
                Subscription::Subscribe(topic) => Event::Subscribed { peer, topic },
                Subscription::Cancel(topic) => Event::Unsubscribed { peer, topic },
            }
        }));
    }

    /// Counts octets that a peer's transport has taken, and the messages whose last octets are among
    /// them.
    pub(super) fn written(&mut self, key: usize, messages: usize, octets: usize) {
        let PeerEntry { outbox, peer, .. } = &mut self.peers[key];
        let was_flushing = outbox.is_flushing();
        self.effects.wake(outbox.written(messages, octets));
        let has_flushed = was_flushing && !outbox.is_flushing();
        if outbox.catch_up() {
            let dropped = outbox.dropped.messages;
            self.effects
                .tell(self.events.record(|| Event::CaughtUp { peer: peer.clone(), dropped }));
        }
        let (messages, octets) = (messages as u64, octets as u64);
        self.totals.queued -= messages;
        self.totals.queued_octets -= octets;
        self.totals.sent += messages;
        self.totals.sent_octets += octets;
        self.effects.wake(self.flushing.has_flushed(usize::from(has_flushed)));
    }

    /// Counts a message that a peer has sent to the user of an XPUB.
    pub(super) fn received(&mut self, key: usize, message: Count) {
        self.peers[key].received += message;
        self.totals.received += message.messages;
        self.totals.received_octets += message.octets;
    }

    /// The counters of all peers together.
    pub(super) fn totals(&self) -> Stats {
        Stats { subscriptions: self.topics.held_by_all(), ..self.totals.clone() }
    }

    /// Adds the counters of some peers, beginning with the key `from`: so few that the lock is held
    /// briefly. Returns where to continue, if there are more.
    pub(super) fn look_at(&self, from: usize, peers: &mut Vec<PeerStats>) -> Option<usize> {
        let end = self.topics.keys().min(from + LOOK);
        for key in (from..end).filter(|key| !self.topics.is_leaving(*key)) {
            let Some(PeerEntry { peer, received, outbox }) = self.peers.get(key) else { continue };
            peers.push(PeerStats {
                peer: peer.clone(),
                age: peer.age(),
                state: PeerState::of(outbox.is_congested()),
                sent: outbox.sent.messages,
                sent_octets: outbox.sent.octets,
                received: received.messages,
                received_octets: received.octets,
                dropped: outbox.dropped.messages,
                dropped_octets: outbox.dropped.octets,
                queued: outbox.queued() as u64,
                queued_octets: outbox.queued_octets() as u64,
                subscriptions: self.topics.held_by(key).0 as u64,
            });
        }
        (end < self.topics.keys()).then_some(end)
    }

    /// Wakes the reader of requests, if it waits and there are some.
    pub(super) fn wake_reader(&mut self) {
        self.effects.wake(self.requests.as_mut().and_then(Requests::wake));
    }

    /// Closes the socket for new messages, and wakes every waiting task.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.effects.wake(self.together.end());
        self.effects.wake(self.requests.as_mut().and_then(Requests::end));
        self.effects.wake(self.watchers.take_all());
        for (_, peer) in &self.peers {
            self.effects.wake(peer.outbox.waiters.all());
        }
    }

    /// Ends the sending to a peer that leaves, and keeps its counts. Its topics are
    /// [forgotten](Self::forget) later. Returns its queue, to be freed without the lock.
    pub(super) fn depart(&mut self, key: usize) -> Outbox {
        self.effects.wake(self.peers[key].outbox.waiters.all());
        self.topics.leave(key);
        let PeerEntry { outbox, peer, .. } = &mut self.peers[key];
        let outbox = outbox.leave();
        self.keys.remove(&peer.id());
        self.totals.queued -= outbox.queued() as u64;
        self.totals.queued_octets -= outbox.queued_octets() as u64;
        self.totals.undelivered += outbox.queued() as u64;
        if self.closed {
            self.undelivered_at_close += outbox.queued();
        }
        self.effects.wake(self.flushing.has_flushed(usize::from(outbox.is_flushing())));
        outbox
    }

    /// Notes that a peer asks for a topic, or takes that back, where the user subscribes peers itself.
    /// Returns the number of topics that it asks for, and the sum of their octets.
    pub(super) fn ask(&mut self, key: usize, subscription: &Subscription) -> (usize, usize) {
        let Asked { topics, octets } = self.asked.entry(key).or_default();
        match subscription {
            Subscription::Subscribe(topic) if topics.insert(topic.clone()) => {
                *octets += topic.len();
            }
            Subscription::Cancel(topic) if topics.remove(topic) => *octets -= topic.len(),
            _ => {}
        }
        (topics.len(), *octets)
    }

    /// Reports to the user that a peer which has left no longer asks for some topics. Returns whether
    /// there were any.
    fn tell_asked(&mut self, key: usize, peer: &Peer) -> bool {
        let Some(Asked { topics, .. }) = self.asked.get_mut(&key) else { return false };
        for _ in 0..SLICE {
            let Some(topic) = topics.pop_first() else {
                self.asked.remove(&key);
                break;
            };
            if let Some(requests) = &mut self.requests {
                // The peer is gone already, and the ends of its topics are no more than it asked for.
                let _past_limit = requests.add_change(peer, Subscription::Cancel(topic));
            }
        }
        self.wake_reader();
        true
    }

    /// Waits until the transports have taken, or lost, all accepted messages.
    pub(super) fn poll_flush(&mut self, flush: &mut Wait, waker: &Waker) -> Poll<()> {
        let outboxes = self.peers.iter_mut().map(|(_, peer)| &mut peer.outbox);
        self.effects.wake(self.flushing.begin(flush, &mut self.tickets, outboxes));
        self.flushing.poll(flush, waker)
    }

    /// Removes some topics of a peer that has left: so few that the lock is held briefly. Once none is
    /// left, returns the memory of the peer, to be freed without the lock. From then on its key may be
    /// given to another peer.
    pub(super) fn forget(&mut self, key: usize) -> Option<impl Sized + use<>> {
        let peer = self.peers[key].peer.clone();
        if self.tell_asked(key, &peer) {
            return None;
        }
        if let Some(left) = self.topics.forget(key, self.requests.is_some() && !self.manual) {
            for (topic, change) in left {
                // The peer is gone already, and the ends of its topics are no more than it held.
                let cancel = Subscription::Cancel(topic);
                let requests = self.requests.as_mut();
                let _past_limit = requests.map(|it| it.tell(&peer, cancel, change));
            }
            self.wake_reader();
            return None;
        }
        if let Some(requests) = &mut self.requests {
            let (lost, has_more) = requests.depart(&peer, SLICE);
            self.totals.dropped += lost.messages;
            self.totals.dropped_octets += lost.octets;
            if has_more {
                return None;
            }
        }
        let memory = (self.topics.remove_peer(key), self.peers.remove(key));
        if self.peers.is_empty() {
            self.effects.wake(self.together.end());
        }
        Some(memory)
    }
}

impl Effectful for State {
    fn effects(&mut self) -> &mut Effects {
        if let Some(spent) = self.topics.take_spent() {
            self.effects.spent = Some(spent);
        }
        &mut self.effects
    }
}
