//! One connection's side of a socket that sends each message to one peer.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::task::{Context, Poll, Waker, ready};

use zmtp_codec::{Batch, Connection, Limits, Message, Subscription};

use super::{Sends, UnicastCore};
use crate::engine::burst::Burst;
use crate::engine::driver::Session;
use crate::engine::transport::{Holder, Intake, NoRoom, is_allowed};
use crate::error::Reason;
use crate::peer::PeerId;
use crate::receive::LateWake;
use crate::send::gathering::Gathering;
use crate::send::guard::Guard;
use crate::stats::Count;
use crate::sync::{lock, lock_to_wake};

pub(crate) struct UnicastSession {
    core: Arc<UnicastCore>,
    peer: PeerId,
    lane: usize,
    queue: usize,
    /// How many more messages the inbox accepts.
    room: usize,
    /// The peer's senders may add to the inbox, too.
    is_direct: bool,
    receiver: LateWake,
    gathering: Gathering,
    has_left: bool,
}

impl UnicastSession {
    pub(super) fn new(
        core: Arc<UnicastCore>,
        peer: PeerId,
        lane: usize,
        queue: usize,
        room: usize,
        is_direct: bool,
    ) -> Self {
        let (receiver, gathering) = Default::default();
        let has_left = false;
        Self { core, peer, lane, queue, room, is_direct, receiver, gathering, has_left }
    }
}

impl Session for UnicastSession {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if !self.core.config.receives {
            return Poll::Ready(usize::MAX);
        }
        if self.room == 0 || self.is_direct {
            self.room = ready!(lock(&self.core.inbox).poll_room(self.queue, cx));
        }
        Poll::Ready(self.room)
    }

    fn messages(&mut self, batch: Batch) -> Result<(), Reason> {
        let arrived = Count::of_batch(&batch);
        let mut inbox = lock_to_wake(&self.core.inbox);
        inbox.arrived(self.queue, arrived);
        // RFC 30, The PUSH Socket Type: it receives nothing.
        if self.core.config.receives {
            self.receiver.add(inbox.deliver(self.queue, batch));
            self.room = inbox.room(self.queue);
        }
        drop(inbox);
        if self.core.config.sends != Sends::Nothing {
            lock(&self.core.state).expect_answers(self.lane, arrived.messages);
        }
        Ok(())
    }

    fn subscriptions(&mut self, changes: &mut Vec<Subscription>) -> Result<(), Reason> {
        // These sockets accept no subscriptions.
        changes.clear();
        Ok(())
    }

    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        _connection: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<usize> {
        let state = &mut *Guard::lock(&self.core.state);
        loop {
            let lane = &mut state.lanes[self.lane];
            if lane.is_dying() {
                return Poll::Pending;
            }
            if lane.outbox.is_empty() {
                lane.rest();
            }
            ready!(self.gathering.poll(cx, &mut lane.outbox));
            let is_handed_over = state.hand_over(self.lane, &self.core.events);
            let outbox = &mut state.lanes[self.lane].outbox;
            // Of a socket that closes, nothing may be left when this is pending.
            let is_closing = self.gathering.is_over();
            match is_handed_over {
                true if is_closing || outbox.is_empty() => continue,
                true => {
                    // Others may have the lock before the rest goes.
                    cx.waker().wake_by_ref();
                    return Poll::Pending;
                }
                false if !is_closing && outbox.awaits_room_there(cx.waker()) => {
                    return Poll::Pending;
                }
                // There may be room since.
                false if outbox.is_direct() && state.hand_over(self.lane, &self.core.events) => {
                    continue;
                }
                false => {}
            }
            state.lanes[self.lane].outbox.take(burst);
            return Poll::Ready(0);
        }
    }

    fn drain(&mut self) {
        self.gathering.end();
    }

    fn end_turn(&mut self) {
        self.receiver.wake();
    }

    fn written(&mut self, messages: usize, octets: usize) {
        let mut state = Guard::lock(&self.core.state);
        state.written(self.lane, messages, octets, &self.core.events);
    }

    fn claim(&mut self, burst: &mut Burst) {
        lock(&self.core.state).lanes[self.lane].outbox.claim(burst);
    }

    fn has_traffic(&self) -> bool {
        let has_sent = lock(&self.core.state).lanes[self.lane].outbox.sent.messages > 0;
        has_sent || self.is_direct && lock(&self.core.inbox).has_received(self.queue)
    }

    fn give_back(&mut self, unsent: Burst) {
        let mut state = Guard::lock(&self.core.state);
        let lane = &mut state.lanes[self.lane];
        if !lane.is_dying() {
            let (_torn, pieces) = unsent.into_whole();
            lane.outbox.give_back(pieces);
        }
    }

    fn leave(&mut self) -> bool {
        if !std::mem::replace(&mut self.has_left, true) {
            let mut state = Guard::lock(&self.core.state);
            let mut inbox = lock_to_wake(&self.core.inbox);
            let driver = inbox.depart(self.queue);
            state.detach(self.lane, self.peer);
            if state.has_lost_answer() {
                let receiver = inbox.take_receiver();
                inbox.wake(receiver);
            }
            drop(inbox);
            drop(state);
            drop(driver);
        }
        false
    }
}

/// Where senders of the same process leave messages of one peer.
pub(super) struct UnicastIntake {
    pub(super) core: Arc<UnicastCore>,
    pub(super) peer: PeerId,
    pub(super) queue: usize,
}

impl Intake for UnicastIntake {
    fn take(&self, message: Message) -> Result<Option<Waker>, NoRoom> {
        lock(&self.core.inbox).take_in(self.queue, self.peer, message).ok_or(NoRoom)
    }

    fn take_front(&self, batch: &mut Batch, limits: &Limits) -> Option<Waker> {
        let mut inbox = lock(&self.core.inbox);
        inbox.take_in_front(self.queue, self.peer, batch, |message| is_allowed(message, limits))
    }

    fn note_held(&self) {
        self.core.is_held_for.store(true, Ordering::Release);
    }

    fn await_room(&self, driver: &mut Option<Waker>) {
        lock(&self.core.inbox).await_room(self.queue, self.peer, driver);
    }
}

/// Where the messages for one peer of the same process wait.
pub(super) struct UnicastHolder {
    pub(super) core: Arc<UnicastCore>,
    pub(super) peer: PeerId,
    pub(super) lane: usize,
}

impl Holder for UnicastHolder {
    fn hand_over(&self) {
        let mut state = Guard::lock(&self.core.state);
        if state.peers.get(&self.peer) == Some(&self.lane) {
            state.hand_over(self.lane, &self.core.events);
        }
    }
}

impl Drop for UnicastSession {
    fn drop(&mut self) {
        self.leave();
    }
}
