//! The traits of cores that send.

use std::future::Future;
use std::task::{Poll, Waker};

use tokio::task::yield_now;
use tokio::time::timeout;

use super::Outgoing;
use super::flushing::Wait;
use crate::engine::driver::Core;
use crate::error::{Closed, SendError};
use crate::options::{HighWaterMark, WhenFull};

/// A core that messages are sent with.
pub(crate) trait SendCore: Core {
    /// What becomes of a message for a peer without room.
    fn when_full(&self) -> WhenFull;

    /// Another number of messages may wait for each peer from now on.
    fn set_send_hwm(&self, mark: HighWaterMark);

    /// Whether the sender should let others run first. The next one need not.
    fn take_turn(&self) -> bool;

    /// Queues `message` for all that are to get it, as far as there is room and, if the socket is to wait
    /// for room, for all or nobody.
    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError>;

    /// Does as [`try_send`](Self::try_send) does, unless the sender has first to wait: for the
    /// runtime's other tasks, which get their turn now and then, or, if the socket is to, for room.
    fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>>;

    /// Sends of these messages, in order, as many as need not wait: each as [`send_now`](Self::send_now)
    /// does. Returns how many, and the error of the next one, if it has one.
    fn send_run(&self, messages: &[Outgoing<'_>]) -> (usize, Option<SendError>) {
        let mut sent = 0;
        while sent < messages.len() {
            sent += self.send_going_on(&messages[sent..]);
            let Some(next) = messages.get(sent) else { break };
            match self.send_now(next) {
                Some(Ok(())) => sent += 1,
                Some(Err(error)) => return (sent, Some(error)),
                None => return (sent, None),
            }
        }
        (sent, None)
    }

    /// Sends of these messages, in order, those that need nothing but to be queued: under one lock. Returns how
    /// many, which may be none.
    fn send_going_on(&self, messages: &[Outgoing<'_>]) -> usize {
        let _ = messages;
        0
    }

    /// Waits for room as long as it takes, then sends.
    fn send_when_room(
        &self,
        message: &Outgoing<'_>,
    ) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Waits for what [`send_now`](Self::send_now) did not, then sends.
    fn send_later(
        &self,
        message: &Outgoing<'_>,
    ) -> impl Future<Output = Result<(), SendError>> + Send {
        async move {
            if self.take_turn() {
                yield_now().await;
            }
            match self.when_full() {
                WhenFull::DropNew | WhenFull::DropOldest | WhenFull::Disconnect => {
                    self.try_send(message)
                }
                WhenFull::Wait => self.send_when_room(message).await,
                WhenFull::WaitFor(time) => {
                    let sent = timeout(time, self.send_when_room(message)).await;
                    sent.unwrap_or(Err(SendError::Full))
                }
            }
        }
    }
}

/// A core whose handles are sinks.
pub(crate) trait SinkCore: SendCore {
    /// A sender's place in the queues that it waits in.
    type Waiting: Default + Send + Sync + Unpin;

    /// Waits until there is room for some message, if that does not depend on the message. Another sender may
    /// take it.
    fn poll_room(&self, watch: &mut Wait, waker: &Waker) -> Poll<Result<(), Closed>>;

    /// Nobody waits for room any more.
    fn stop_watching(&self, watch: &mut Wait);

    /// Sends a message when its turn has come: when there is room for it, and nobody who came earlier waits
    /// for that. Until then, `waiting` keeps the sender's place, which is to be [given up](Self::give_up) if
    /// it does not wait any longer.
    fn poll_send(
        &self,
        message: &Outgoing<'_>,
        waiting: &mut Self::Waiting,
        waker: &Waker,
    ) -> Poll<Result<(), SendError>>;

    /// The sender does not wait any longer: it is the next one's turn.
    fn give_up(&self, waiting: &mut Self::Waiting);

    /// Waits until all messages that were accepted before the first call have been taken by the transports,
    /// or lost. Once it is ready, the next call begins anew.
    fn poll_flush(&self, flush: &mut Wait, waker: &Waker) -> Poll<()>;

    /// Nobody waits for it any more.
    fn stop_flushing(&self, flush: &mut Wait);
}

/// A sender's place in the queues that it waits in. It is given up when this is dropped.
pub(crate) struct Place<'a, C: SinkCore> {
    core: &'a C,
    pub(crate) waiting: C::Waiting,
}

impl<'a, C: SinkCore> Place<'a, C> {
    pub(crate) fn new(core: &'a C) -> Self {
        Self { core, waiting: C::Waiting::default() }
    }
}

impl<C: SinkCore> Drop for Place<'_, C> {
    fn drop(&mut self) {
        self.core.give_up(&mut self.waiting);
    }
}
