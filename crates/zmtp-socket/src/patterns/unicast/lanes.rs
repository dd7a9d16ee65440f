//! The lanes of one socket: the queue to each peer, and their turns.

use std::collections::{HashMap, VecDeque};

use bytes::Bytes;
use slab::Slab;
use zmtp_codec::{Message, PeerInfo};

use super::{Config, Sends, is_peer};
use crate::endpoint::Endpoint;
use crate::engine::driver::Ways;
use crate::engine::signal::Kill;
use crate::error::{Overrun, Reason};
use crate::monitor::{Event, Events};
use crate::options::{HighWaterMark, Marks};
use crate::peer::{Peer, PeerId};
use crate::send::flushing::Flushing;
use crate::send::guard::{Effectful, Effects};
use crate::send::journal::{Journal, SMALL};
use crate::send::outbox::LARGE;
use crate::send::pace::Pace;
use crate::send::turn::Turn;
use crate::send::waiters::{Tickets, Waiters};
use crate::send::{Outbox, Outgoing, Run, at_once};
use crate::stats::{Count, Stats};

/// The state that the tasks of a socket share, under its lock.
pub(super) struct State {
    pub(super) lanes: Slab<Lane>,
    /// The lanes that have room, the next one first. Empty if senders name the peer.
    pub(super) ready: VecDeque<usize>,
    /// The lanes of the connected peers.
    pub(super) peers: HashMap<PeerId, usize>,
    /// The lanes by the identity that senders name.
    pub(super) identities: HashMap<Bytes, usize>,
    /// The lanes of connected endpoints.
    pub(super) endpoints: HashMap<Endpoint, usize>,
    /// The number in the next generated identity.
    next_identity: u32,
    pub(super) tickets: Tickets,
    /// The senders that wait for any lane with room.
    pub(super) waiters: Waiters,
    /// The tasks that wait until there is room but keep no place among the senders.
    pub(super) watchers: Waiters,
    /// The tasks that wait until the transports have taken all messages.
    pub(super) flushing: Flushing,
    /// The request of a REQ whose reply is awaited.
    pub(super) awaited: Option<Awaited>,
    pub(super) turn: Turn,
    /// The pace of all messages, if they go to the peers in turn.
    pub(super) pace: Pace,
    /// The counters of all peers together, including those that have gone. It lists no peers.
    pub(super) totals: Stats,
    undelivered_at_close: usize,
    pub(super) closed: bool,
    pub(super) sends: Sends,
    /// The marks of a queue whose peer is connected, and of one whose peer is not.
    present: Marks,
    absent: Marks,
    /// Whether a newcomer takes over an identity from the peer that has it.
    pub(super) handover: bool,
    /// Whether no message is queued for an endpoint that is connected from now on and is not there.
    pub(super) immediate: bool,
    /// Whether each new peer is sent an empty message first.
    pub(super) probe: bool,
    /// The effects that are due when the lock is released.
    pub(super) effects: Effects,
}

/// The queue to one peer.
pub(super) struct Lane {
    /// The peer, while it is connected.
    pub(super) peer: Option<Peer>,
    kill: Option<Kill>,
    /// The endpoint that the lane belongs to, and stays with; one of them, if it has several.
    endpoint: Option<Endpoint>,
    /// The name that senders use; empty if they use none.
    pub(super) identity: Bytes,
    pub(super) outbox: Outbox,
    journal: Journal,
    /// The peer's queue in the inbox.
    pub(super) queue: Option<usize>,
    /// Whether it is among the lanes that are [ready](State::ready).
    is_ready: bool,
    /// Whether the connection is about to end: the peer is sent nothing more, and unsent messages are
    /// not given back.
    is_dying: bool,
    /// The pace of its own messages, if senders name the peer.
    pace: Pace,
}

/// A request that was sent, and has not been answered.
#[derive(Clone, Copy, Debug)]
pub(super) struct Awaited {
    pub(super) lane: usize,
    /// The peer that it was sent to, or will be sent to.
    pub(super) peer: Option<PeerId>,
    /// Whether the connection that it was sent on has ended.
    pub(super) is_lost: bool,
}

/// The pace that counts: of the whole socket, if its messages go to the peers in turn, or of one peer.
fn pace<'a>(sends: Sends, of_all: &'a mut Pace, of_one: &'a mut Pace) -> &'a mut Pace {
    match sends {
        Sends::InTurn => of_all,
        Sends::ByPeer | Sends::ByIdentity | Sends::Nothing => of_one,
    }
}

impl Lane {
    fn new(endpoint: Option<Endpoint>, identity: Bytes, marks: Marks) -> Self {
        Self {
            peer: None,
            kill: None,
            endpoint,
            identity,
            outbox: Outbox::new(marks, None, None),
            journal: Journal::default(),
            queue: None,
            is_ready: false,
            is_dying: false,
            pace: Pace::default(),
        }
    }

    /// Whether it has been full, and is not half empty yet.
    pub(super) fn is_full(&self) -> bool {
        self.outbox.is_full() || self.outbox.is_congested()
    }

    /// Whether a message would find room.
    pub(super) fn accepts(&self) -> bool {
        !self.outbox.is_full() && (self.stays() || !self.is_dying)
    }

    /// Whether the lane outlives its peer's connection.
    pub(super) fn stays(&self) -> bool {
        self.endpoint.is_some()
    }

    /// Whether its connection is about to end; new messages are for the next one.
    pub(super) fn is_dying(&self) -> bool {
        self.is_dying
    }

    /// Makes the queued messages readable for the driver, which takes them.
    pub(super) fn seal(&mut self) {
        self.journal.seal();
    }

    /// Frees the memory for new messages, since none is queued.
    pub(super) fn rest(&mut self) {
        self.journal.rest();
    }
}

impl State {
    pub(super) fn new(config: &Config) -> Self {
        Self {
            lanes: Slab::new(),
            ready: VecDeque::new(),
            peers: HashMap::new(),
            identities: HashMap::new(),
            endpoints: HashMap::new(),
            // Random at each start, so that a peer's identity does not name another peer by chance.
            next_identity: fastrand::u32(..),
            tickets: Tickets::default(),
            waiters: Waiters::default(),
            watchers: Waiters::default(),
            flushing: Flushing::default(),
            awaited: None,
            turn: Turn::default(),
            pace: Pace::default(),
            totals: Stats::default(),
            undelivered_at_close: 0,
            closed: false,
            sends: config.sends,
            present: config.present,
            absent: config.absent,
            handover: config.handover,
            immediate: config.immediate,
            probe: config.probe,
            effects: Effects::default(),
        }
    }

    /// Makes the lane of an endpoint that will be dialled. Messages may be queued at once. Returns
    /// whether its identity is free.
    pub(super) fn add_endpoint(
        &mut self,
        endpoint: &Endpoint,
        identity: Option<&Bytes>,
        config: &Config,
    ) -> bool {
        match (self.sends, identity) {
            (Sends::ByIdentity, Some(name)) if self.identities.contains_key(name) => return false,
            // Without a name, no sender can address the peer before its handshake.
            (Sends::ByIdentity, None) | (Sends::ByPeer, _) => return true,
            _ => {}
        }
        if let Some(key) = self.only_lane(config) {
            self.lanes[key].endpoint = Some(endpoint.clone());
            self.endpoints.insert(endpoint.clone(), key);
            return true;
        }
        let identity = identity.cloned().unwrap_or_default();
        let lane = Lane::new(Some(endpoint.clone()), identity.clone(), self.absent);
        let key = self.lanes.insert(lane);
        self.endpoints.insert(endpoint.clone(), key);
        self.name(identity, key);
        self.make_ready(key);
        true
    }

    /// The lane of a socket with one peer, which all its endpoints share.
    fn only_lane(&self, config: &Config) -> Option<usize> {
        self.lanes.iter().next().map(|(key, _)| key).filter(|_| config.exclusive)
    }

    fn name(&mut self, identity: Bytes, key: usize) {
        if self.sends == Sends::ByIdentity {
            self.identities.insert(identity, key);
        }
    }

    /// Removes an endpoint that is no longer dialled. Its queued messages are lost, and counted.
    pub(super) fn remove_endpoint(&mut self, endpoint: &Endpoint) {
        let Some(key) = self.endpoints.remove(endpoint) else { return };
        // Only the endpoints of a PAIR share a lane, and that is the only one.
        let other = match self.lanes.len() {
            1 => self.endpoints.iter().find(|(_, its_key)| **its_key == key),
            _ => None,
        };
        self.lanes[key].endpoint = other.map(|(endpoint, _)| endpoint.clone());
        if self.lanes[key].stays() {
            return;
        }
        if self.lanes[key].peer.is_none() {
            self.remove(key);
        }
    }

    /// Attaches a peer whose handshake is done. Returns its lane.
    pub(super) fn attach(
        &mut self,
        peer: &Peer,
        info: &PeerInfo,
        ways: Ways<'_>,
        kill: Kill,
        config: &Config,
    ) -> Result<usize, Reason> {
        // RFC 31, The PAIR Socket Type: one peer at a time.
        if config.exclusive && !self.peers.is_empty() {
            return Err(Reason::Occupied);
        }
        let own = self.endpoints.get(peer.endpoint()).copied().filter(|_| peer.is_dialled());
        let own = self.only_lane(config).or(own);
        let key = match own {
            Some(key) => key,
            None => {
                let identity = self.identify(info)?;
                let key = self.lanes.insert(Lane::new(None, identity.clone(), self.present));
                self.name(identity, key);
                key
            }
        };
        self.peers.insert(peer.id(), key);
        if self.sends == Sends::ByIdentity {
            peer.set_identity(self.lanes[key].identity.clone());
        }
        let lane = &mut self.lanes[key];
        (lane.peer, lane.kill, lane.is_dying) = (Some(peer.clone()), Some(kill), false);
        lane.outbox.attach(self.present, ways);
        self.make_ready(key);
        self.ask_newcomer(key, peer.id());
        // The lane's marks have changed, so the senders that wait for it check it again.
        self.effects.wake(self.lanes[key].outbox.waiters.all());
        Ok(key)
    }

    /// The identity of a newcomer: the one that it announces, or a generated one.
    fn identify(&mut self, info: &PeerInfo) -> Result<Bytes, Reason> {
        if self.sends != Sends::ByIdentity {
            return Ok(Bytes::new());
        }
        // RFC 28, The ROUTER Socket Type: without an identity of its own, a peer gets a unique one.
        // Identities that begin with a zero octet are reserved for these.
        let announced = info.metadata.identity().filter(|it| !it.is_empty() && it[0] != 0);
        let Some(identity) = announced else { return Ok(self.new_identity()) };
        let identity = Bytes::copy_from_slice(identity);
        let Some(&key) = self.identities.get(&identity) else { return Ok(identity) };
        if !self.handover || self.lanes[key].endpoint.is_some() {
            return Err(Reason::IdentityTaken);
        }
        // The peer that had the identity is sent nothing more under it, and is disconnected.
        self.identities.remove(&identity);
        let old = &mut self.lanes[key];
        old.identity = Bytes::new();
        if let Some(kill) = old.kill.take() {
            self.effects.wake(kill.advance(Reason::IdentityTaken));
        }
        Ok(identity)
    }

    /// A zero octet and a number, in the form of libzmq's.
    fn new_identity(&mut self) -> Bytes {
        loop {
            let mut identity = [0; 5];
            identity[1..].copy_from_slice(&self.next_identity.to_be_bytes());
            self.next_identity = self.next_identity.wrapping_add(1);
            if !self.identities.contains_key(&identity[..]) {
                return Bytes::copy_from_slice(&identity);
            }
        }
    }

    /// Changes the number of messages that may wait in each lane.
    pub(super) fn set_mark(&mut self, mark: HighWaterMark) {
        (self.present.messages, self.absent.messages) = (mark, mark);
        for (_, lane) in &mut self.lanes {
            lane.outbox.set_mark(mark);
        }
        let lanes = &mut self.lanes;
        self.ready.retain(|key| {
            let lane = &mut lanes[*key];
            lane.is_ready = !lane.outbox.is_full();
            lane.is_ready
        });
        let keys: Vec<_> = self.lanes.iter().map(|(key, _)| key).collect();
        for key in keys {
            self.make_ready(key);
            self.effects.wake(self.lanes[key].outbox.waiters.first());
        }
    }

    /// Notes that the lane has room: its turn comes after the others.
    pub(super) fn make_ready(&mut self, key: usize) {
        let lane = &mut self.lanes[key];
        if lane.is_ready || !lane.accepts() || self.closed {
            return;
        }
        if self.sends == Sends::InTurn {
            lane.is_ready = true;
            self.ready.push_back(key);
            self.effects.wake(self.waiters.first());
        }
        self.effects.wake(self.watchers.take_all());
    }

    /// Notes that so many messages of a peer have arrived together.
    pub(super) fn expect_answers(&mut self, key: usize, messages: u64) {
        let lane = &mut self.lanes[key];
        pace(self.sends, &mut self.pace, &mut lane.pace).expect_answers(messages);
    }

    /// Queues a message of so many octets, in `runs` if it has been prepared, or writes it at once.
    /// Returns whether that filled the queue.
    pub(super) fn queue(
        &mut self,
        key: usize,
        message: &Outgoing<'_>,
        runs: Option<&[Run]>,
        length: usize,
        events: &Events,
    ) -> bool {
        let lane = &mut self.lanes[key];
        let pace = pace(self.sends, &mut self.pace, &mut lane.pace);
        if runs.is_none()
            && let Some(receiver) = at_once::deliver(&mut lane.outbox, pace, message, length)
        {
            self.effects.wake(receiver);
            at_once::count(&mut self.totals, length, length);
            return false;
        }
        if runs.is_none()
            && let Some((written, waker)) = at_once::write(&mut lane.outbox, pace, message, length)
        {
            self.effects.wake(waker);
            at_once::count(&mut self.totals, written, length);
            return false;
        }
        self.totals.queued += 1;
        self.totals.queued_octets += length as u64;
        let large = lane.outbox.large();
        match runs {
            Some(runs) => lane.push(runs),
            None if message.has_large_part(large) => lane.push(&message.to_runs(large)),
            None => {
                let (first, rest) = message.parts();
                lane.append(first, rest, length);
            }
        }
        lane.outbox.await_room_there();
        let is_due = lane.outbox.is_due();
        let may_hand_over = is_due || lane.outbox.is_full() && lane.outbox.is_direct();
        if may_hand_over && self.hand_over(key, events) {
            // The sender can go on, and does not wait for the driver.
        } else if let Some(waker) = self.lanes[key].outbox.take_idle() {
            self.turn.woke_sharer();
            self.effects.wake([waker]);
        } else if is_due {
            self.write_queued(key, events);
        }
        self.lanes[key].outbox.is_full()
    }

    /// Leaves the queued messages of a peer of this process in its own queue, as far as there is room.
    /// Returns whether there was room for any.
    pub(super) fn hand_over(&mut self, key: usize, events: &Events) -> bool {
        let lane = &mut self.lanes[key];
        lane.seal();
        let (messages, octets, receiver) = lane.outbox.hand_over();
        self.effects.wake(receiver);
        if messages > 0 {
            self.written(key, messages, octets, events);
            // The marks of both queues are exact: they leave room at once.
            self.make_ready(key);
        }
        messages > 0
    }

    /// Writes the queued messages of a peer whose driver has rested until they were many.
    fn write_queued(&mut self, key: usize, events: &Events) {
        let lane = &mut self.lanes[key];
        lane.seal();
        let (messages, octets, driver) = at_once::write_queued(&mut lane.outbox);
        self.effects.wake(driver);
        self.written(key, messages, octets, events);
    }

    /// Queues the first message of a connection, before those that wait for it.
    pub(super) fn push_first(&mut self, key: usize, message: &Message) {
        let runs = Run::of_large(message, LARGE);
        let octets: usize = runs.iter().map(Run::len).sum();
        self.totals.queued += 1;
        self.totals.queued_octets += octets as u64;
        self.lanes[key].outbox.push_first(runs);
    }

    /// Counts a dropped message for a peer.
    pub(super) fn drop_one(&mut self, key: Option<usize>, octets: usize, events: &Events) {
        self.totals.dropped += 1;
        self.totals.dropped_octets += octets as u64;
        let lane = key.map(|key| &mut self.lanes[key]);
        if let Some(Lane { outbox, peer: Some(peer), .. }) = lane {
            self.effects.tell(outbox.lose(octets, peer, events));
        }
    }

    /// Makes room in a full queue: drops the oldest messages that its driver has not taken.
    pub(super) fn drop_oldest(&mut self, key: usize, events: &Events) {
        let Lane { outbox, journal, peer, .. } = &mut self.lanes[key];
        if let Some(peer) = peer {
            self.effects.tell(outbox.announce_loss(peer, events));
        }
        journal.seal();
        let lost = outbox.drop_oldest(&mut self.effects.dropped);
        self.totals.queued -= lost.messages;
        self.totals.queued_octets -= lost.octets;
        self.totals.dropped += lost.messages;
        self.totals.dropped_octets += lost.octets;
    }

    /// Disconnects a peer that is too slow for [`WhenFull::Disconnect`](crate::WhenFull::Disconnect).
    pub(super) fn expel_slow(&mut self, key: usize) {
        let lane = &mut self.lanes[key];
        let mark = lane.outbox.mark();
        if let Some(kill) = lane.kill.take() {
            self.effects.wake(kill.advance(Overrun::Queue { mark }.into()));
        }
    }

    /// Ends one peer's connection. Returns whether it was connected.
    pub(super) fn expel(&mut self, id: PeerId, reason: Reason) -> bool {
        let Some(&key) = self.peers.get(&id) else { return false };
        let kill = self.lanes[key].kill.take();
        self.effects.wake(kill.and_then(|kill| kill.advance(reason)));
        true
    }

    /// Ends the connection of a lane, whose peer is sent nothing more. New messages wait for the next
    /// connection, if there can be one: then the lane can be made [ready](Self::make_ready) again.
    pub(super) fn end_connection(&mut self, key: usize, reason: Reason) {
        let lane = &mut self.lanes[key];
        if lane.peer.is_none() {
            return;
        }
        lane.is_dying = true;
        lane.outbox.hang_up();
        if std::mem::take(&mut lane.is_ready) {
            self.ready.retain(|ready| *ready != key);
        }
        let kill = self.lanes[key].kill.take();
        self.effects.wake(kill.and_then(|kill| kill.advance(reason)));
    }

    /// Counts octets that a peer's transport has taken, and the messages whose last octets are among
    /// them.
    pub(super) fn written(&mut self, key: usize, messages: usize, octets: usize, events: &Events) {
        let Lane { outbox, peer, is_ready, .. } = &mut self.lanes[key];
        let was_flushing = outbox.is_flushing();
        self.effects.wake(outbox.written(messages, octets));
        let has_flushed = was_flushing && !outbox.is_flushing();
        self.effects.wake(self.flushing.has_flushed(usize::from(has_flushed)));
        if let (true, Some(peer)) = (outbox.catch_up(), peer) {
            let dropped = outbox.dropped.messages;
            self.effects.tell(events.record(|| Event::CaughtUp { peer: peer.clone(), dropped }));
        }
        // A message whose receipt has come through a pipe leaves room at once.
        let is_receipt = octets == 0 && !outbox.is_full();
        let comes_back = !*is_ready && (outbox.is_half_free() || is_receipt);
        let (messages, octets) = (messages as u64, octets as u64);
        self.totals.queued -= messages;
        self.totals.queued_octets -= octets;
        self.totals.sent += messages;
        self.totals.sent_octets += octets;
        if comes_back {
            self.make_ready(key);
        }
    }

    /// Notes that a peer's connection has ended. Its lane is removed, or waits for the next connection
    /// of its endpoint.
    pub(super) fn detach(&mut self, key: usize, id: PeerId) {
        self.peers.remove(&id);
        let lane = &mut self.lanes[key];
        debug_assert!(is_peer(lane.peer.as_ref(), id), "a lane has one peer at a time");
        (lane.peer, lane.kill, lane.queue) = (None, None, None);
        let was_flushing = lane.outbox.is_flushing();
        let lost = lane.outbox.detach(self.absent);
        let has_flushed = was_flushing && !lane.outbox.is_flushing();
        self.effects.wake(self.flushing.has_flushed(usize::from(has_flushed)));
        self.count_undelivered(lost);
        if self.lanes[key].outbox.queued() == 0 {
            self.lose_answer(key);
        }
        if self.lanes[key].endpoint.is_none() {
            self.remove(key);
        } else {
            self.make_ready(key);
            self.effects.wake(self.lanes[key].outbox.waiters.all());
        }
    }

    /// Drops the messages that no driver has taken.
    pub(super) fn discard(&mut self, key: usize) {
        let outbox = &mut self.lanes[key].outbox;
        let was_flushing = outbox.is_flushing();
        let (dropped, runs) = outbox.discard();
        let has_flushed = was_flushing && !outbox.is_flushing();
        self.effects.wake(self.flushing.has_flushed(usize::from(has_flushed)));
        self.totals.queued -= dropped.messages;
        self.totals.queued_octets -= dropped.octets;
        self.totals.dropped += dropped.messages;
        self.totals.dropped_octets += dropped.octets;
        self.effects.dropped.extend(runs);
    }

    fn remove(&mut self, key: usize) {
        self.lose_answer(key);
        let mut lane = self.lanes.remove(key);
        if lane.is_ready {
            self.ready.retain(|ready| *ready != key);
        }
        if self.identities.get(&lane.identity) == Some(&key) {
            self.identities.remove(&lane.identity);
        }
        let left = Count {
            messages: lane.outbox.queued() as u64,
            octets: lane.outbox.queued_octets() as u64,
        };
        self.count_undelivered(left);
        // The senders that wait for this lane check again, and find that it is gone.
        self.effects.wake(lane.outbox.waiters.take_all());
        let was_flushing = lane.outbox.is_flushing();
        self.effects.wake(self.flushing.has_flushed(usize::from(was_flushing)));
        self.effects.dropped.extend(lane.outbox.into_runs());
    }

    fn count_undelivered(&mut self, lost: Count) {
        self.totals.queued -= lost.messages;
        self.totals.queued_octets -= lost.octets;
        self.totals.undelivered += lost.messages;
        if self.closed {
            self.undelivered_at_close += lost.messages as usize;
        }
    }

    /// Closes the socket for new messages.
    pub(super) fn close(&mut self) {
        self.closed = true;
        self.ready.clear();
        for (_, lane) in &mut self.lanes {
            lane.is_ready = false;
        }
        self.wake_all();
    }

    /// Wakes every waiting task, to check again.
    pub(super) fn wake_all(&mut self) {
        self.effects.wake(self.waiters.all());
        self.effects.wake(self.watchers.take_all());
        for (_, lane) in &mut self.lanes {
            self.effects.wake(lane.outbox.waiters.all());
        }
    }

    /// Gives up the remaining messages of a closed socket that has lingered. Returns the number of
    /// undelivered ones.
    pub(super) fn abandon(&mut self) -> usize {
        let endpoints: Vec<_> = self.endpoints.keys().cloned().collect();
        endpoints.iter().for_each(|endpoint| self.remove_endpoint(endpoint));
        self.undelivered_at_close
    }
}

impl Lane {
    /// Encodes a message behind the queued ones.
    #[inline]
    pub(super) fn append(&mut self, first: &[u8], rest: &[Bytes], length: usize) {
        debug_assert!(length < LARGE || !rest.is_empty() || !first.is_empty(), "it has octets");
        let begins_block = self.journal.make_room(length).is_some();
        if begins_block && length <= SMALL && self.outbox.direct().is_some() {
            self.journal.warm();
        }
        let start = self.journal.end();
        self.journal.append(first, rest);
        self.outbox.append(self.journal.open(), start..start + length);
        self.hold();
    }

    /// Passes the turn to the next of the lanes that are `ready`, of which this is the first, after a message has
    /// been queued here.
    #[inline]
    pub(super) fn pass_turn(&mut self, ready: &mut VecDeque<usize>) {
        if self.outbox.is_full() {
            self.is_ready = false;
            ready.pop_front();
        } else if ready.len() > 1 {
            ready.rotate_left(1);
        }
    }

    /// Whether a message can be [appended](Self::append) without any wake-up.
    #[inline]
    pub(super) fn goes_on(&self, length: usize) -> bool {
        (self.outbox.waker.is_none() || self.outbox.rests(length))
            && length < self.outbox.large()
            && self.journal.has_room(length)
    }

    fn push(&mut self, runs: &[Run]) {
        // Messages that were appended come before.
        self.journal.seal();
        for run in runs {
            self.outbox.push(run);
        }
        self.hold();
    }

    /// Lets a receiver of this process fetch the messages as soon as it finds no other.
    #[inline]
    fn hold(&self) {
        if let Some(direct) = self.outbox.direct() {
            direct.hold();
        }
    }
}

impl Effectful for State {
    fn effects(&mut self) -> &mut Effects {
        &mut self.effects
    }
}
