//! One connection's side of a socket that sends each message to one peer.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use zmtp_codec::{Batch, Connection, Subscription};

use super::{Sends, UnicastCore};
use crate::engine::burst::Burst;
use crate::engine::driver::Session;
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
    ) -> Self {
        let (receiver, gathering) = Default::default();
        Self { core, peer, lane, queue, room, receiver, gathering, has_left: false }
    }
}

impl Session for UnicastSession {
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize> {
        if !self.core.config.receives {
            return Poll::Ready(usize::MAX);
        }
        if self.room == 0 {
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
            lock(&self.core.state).lanes[self.lane].expect_answers(arrived.messages);
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
        let state = &mut *lock(&self.core.state);
        let lane = &mut state.lanes[self.lane];
        if lane.is_dying() {
            return Poll::Pending;
        }
        if lane.outbox.is_empty() {
            lane.rest();
        }
        ready!(self.gathering.poll(cx, &mut lane.outbox));
        lane.seal();
        lane.outbox.take(burst);
        Poll::Ready(0)
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

    fn has_written(&self) -> bool {
        lock(&self.core.state).lanes[self.lane].outbox.sent.messages > 0
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

impl Drop for UnicastSession {
    fn drop(&mut self) {
        self.leave();
    }
}
