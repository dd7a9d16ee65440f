//! A publisher's side of one connection.

use std::sync::Arc;
use std::task::{Context, Poll, ready};

use zmtp_codec::{Batch, Connection, Subscription};

use super::PubCore;
use super::state::State;
use super::topics::Change;
use crate::engine::burst::Burst;
use crate::engine::driver::Session;
use crate::error::{Overrun, Reason};
use crate::peer::Peer;
use crate::send::gathering::Gathering;
use crate::send::guard::Guard;
use crate::stats::Count;
use crate::sync::lock;

/// The number of changes of subscriptions under one lock: each takes some microseconds.
pub(super) const SUBSCRIPTIONS: usize = 64;

/// A publisher's side of one connection.
pub(crate) struct PublishSession {
    pub(super) core: Arc<PubCore>,
    pub(super) peer: Peer,
    /// In four octets: there is one session for each connection.
    key: u32,
    gathering: Gathering,
    stage: Stage,
}

/// The progress in forgetting a peer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Present,
    /// The peer is sent nothing more. Its topics are being removed, and its key is still in use.
    Leaving,
    Gone,
}

impl PublishSession {
    pub(super) fn new(core: Arc<PubCore>, peer: Peer, key: usize) -> Self {
        let key = u32::try_from(key).expect("no more peers than can be coded");
        Self { core, peer, key, gathering: Gathering::default(), stage: Stage::Present }
    }

    /// The peer's key in the state.
    pub(super) fn key(&self) -> usize {
        self.key as usize
    }

    /// Applies a change of a subscription. Returns whether the peer then wants other messages than
    /// before.
    fn change(&self, state: &mut State, subscription: Subscription) -> Result<bool, Reason> {
        let options = &self.core.options;
        // Without a reader of requests, the peer is subscribed as with a PUB.
        if state.requests.is_some() && state.manual {
            let (topics, octets) = state.ask(self.key(), &subscription);
            if topics > options.max_topics || octets > options.max_topic_octets {
                let (topics, octets) = (options.max_topics, options.max_topic_octets);
                return Err(Overrun::Subscriptions { topics, octets }.into());
            }
            let requests = state.requests.as_mut().expect("it was there");
            requests.add_change(&self.peer, subscription)?;
            return Ok(false);
        }
        let change = state.topics.change(self.key(), &subscription);
        let (topics, octets) = state.topics.held_by(self.key());
        let begins = matches!(subscription, Subscription::Subscribe(_));
        if begins && (topics > options.max_topics || octets > options.max_topic_octets) {
            // The subscription was not reported, and its end must not be reported when the peer leaves.
            state.topics.change(self.key(), &Subscription::Cancel(subscription.topic().clone()));
            let (topics, octets) = (options.max_topics, options.max_topic_octets);
            return Err(Overrun::Subscriptions { topics, octets }.into());
        }
        if let Some(requests) = &mut state.requests {
            requests.tell(&self.peer, subscription.clone(), change)?;
        }
        let has_changed = change >= Change::OfPeer;
        if has_changed {
            state.tell_of(&self.peer, subscription);
        }
        Ok(has_changed)
    }
}

impl Session for PublishSession {
    fn poll_room(&mut self, _cx: &mut Context<'_>) -> Poll<usize> {
        Poll::Ready(usize::MAX)
    }

    fn messages(&mut self, batch: Batch) -> Result<(), Reason> {
        // RFC 29, The PUB Socket Type: it takes subscriptions; other messages are discarded. For the
        // XPUB Socket Type, they are passed to the user.
        let Some(hearing) = &self.core.hearing else { return Ok(()) };
        let only_first = hearing.only_first;
        let mut changes = Vec::new();
        for message in batch {
            let (subscriptions, message) = Subscription::take_from(message, only_first);
            changes.extend(subscriptions);
            let Some(message) = message else { continue };
            self.subscriptions(&mut changes)?;
            let mut guard = Guard::lock(&self.core.state);
            let state = &mut *guard;
            if state.requests.is_some() {
                state.received(self.key(), Count::of(&message));
            }
            let Some(requests) = &mut state.requests else { continue };
            let added = requests.add_message(&self.peer, message);
            state.wake_reader();
            added?;
        }
        self.subscriptions(&mut changes)
    }

    fn subscriptions(&mut self, changes: &mut Vec<Subscription>) -> Result<(), Reason> {
        let mut changes = changes.drain(..);
        while !changes.as_slice().is_empty() {
            // One lock and one wake-up for as many changes as other tasks may have to wait for.
            let mut state = self.core.settled();
            let mut has_changed = false;
            let changed = changes.by_ref().take(SUBSCRIPTIONS).try_for_each(|subscription| {
                has_changed |= self.change(&mut state, subscription)?;
                Ok::<(), Reason>(())
            });
            state.wake_reader();
            if has_changed {
                state.has_changed(self.key());
            }
            changed?;
        }
        Ok(())
    }

    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        _connection: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<usize> {
        let state = &mut *self.core.settled();
        let outbox = &mut state.peers[self.key()].outbox;
        ready!(self.gathering.poll(cx, outbox));
        state.journal.seal();
        outbox.take(burst);
        Poll::Ready(0)
    }

    fn drain(&mut self) {
        self.gathering.end();
    }

    fn written(&mut self, messages: usize, octets: usize) {
        self.core.settled().written(self.key(), messages, octets);
    }

    fn claim(&mut self, burst: &mut Burst) {
        self.core.settled().peers[self.key()].outbox.claim(burst);
    }

    fn has_traffic(&self) -> bool {
        lock(&self.core.state).peers[self.key()].outbox.sent.messages > 0
    }

    fn leave(&mut self) -> bool {
        match self.stage {
            Stage::Present => {
                self.stage = Stage::Leaving;
                let queue = self.core.settled().depart(self.key());
                // Freed without the lock, since the queue may be large.
                drop(queue);
            }
            Stage::Leaving => {
                let memory = self.core.settled().forget(self.key());
                if memory.is_some() {
                    self.stage = Stage::Gone;
                }
                drop(memory);
            }
            Stage::Gone => {}
        }
        self.stage != Stage::Gone
    }
}

impl Drop for PublishSession {
    fn drop(&mut self) {
        // The steps that the driver has not made.
        while self.leave() {}
    }
}
