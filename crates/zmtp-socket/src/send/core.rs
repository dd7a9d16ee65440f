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
    /// The handling of a message for a peer without room.
    fn when_full(&self) -> WhenFull;

    /// Changes the number of messages that may wait for each peer.
    fn set_send_hwm(&self, mark: HighWaterMark);

    /// Whether the sender should yield to other tasks first. The next sender need not.
    fn take_turn(&self) -> bool;

    /// Queues `message` for all peers that are to get it and have room. If the socket waits for room,
    /// queues it for all of them or none.
    fn try_send(&self, message: &Outgoing<'_>) -> Result<(), SendError>;

    /// Does as [`try_send`](Self::try_send), unless the sender has to wait first: for the runtime's
    /// other tasks, which get their turn now and then, or for room, if the socket waits for that.
    fn send_now(&self, message: &Outgoing<'_>) -> Option<Result<(), SendError>>;

    /// Sends these messages in order, each as [`send_now`](Self::send_now) does, up to the first that
    /// has to wait or fails. Returns the number of sent messages, and the error of the next one, if it
    /// failed.
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

    /// Sends these messages in order under one lock, up to the first that needs more than to be queued.
    /// Returns their number, which may be zero.
    fn send_going_on(&self, messages: &[Outgoing<'_>]) -> usize {
        let _ = messages;
        0
    }

    /// Waits for room as long as it takes, then sends.
    fn send_when_room(
        &self,
        message: &Outgoing<'_>,
    ) -> impl Future<Output = Result<(), SendError>> + Send;

    /// Waits as [`send_now`](Self::send_now) would not, then sends.
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

    /// Waits until there is room for some message, if that does not depend on the message. Another
    /// sender may take the room.
    fn poll_room(&self, watch: &mut Wait, waker: &Waker) -> Poll<Result<(), Closed>>;

    /// Ends a wait for room.
    fn stop_watching(&self, watch: &mut Wait);

    /// Sends a message when its turn has come: when there is room for it, and no sender that came
    /// earlier waits for that room. Until then, `waiting` keeps the sender's place. A sender that stops
    /// waiting has to [give it up](Self::give_up).
    fn poll_send(
        &self,
        message: &Outgoing<'_>,
        waiting: &mut Self::Waiting,
        waker: &Waker,
    ) -> Poll<Result<(), SendError>>;

    /// Gives up the sender's place: the next sender gets its turn.
    fn give_up(&self, waiting: &mut Self::Waiting);

    /// Waits until the transports have taken, or lost, all messages that were accepted before the first
    /// call. Once it is ready, the next call begins anew.
    fn poll_flush(&self, flush: &mut Wait, waker: &Waker) -> Poll<()>;

    /// Ends a wait for a flush.
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
