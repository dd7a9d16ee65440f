//! The PUB socket.

use std::sync::Arc;
use std::time::Duration;

use super::thread::IoThread;
use super::{Context, endpoint_methods};
use crate::publish::Outgoing;
use crate::{Closed, PubOptions, SendError};

/// Publishes messages to every subscriber that asked for them: [`PubSocket`](crate::PubSocket) for programs
/// without async.
///
/// Handles are cheap to clone, and are all the same socket. When the last one is dropped, the socket closes
/// in the background; a program that ends should [`close`](Self::close) it, or what is queued is lost with
/// the process.
#[derive(Clone, Debug)]
pub struct PubSocket {
    inner: Arc<Inner>,
}

#[derive(Debug)]
struct Inner {
    socket: crate::PubSocket,
    thread: Arc<IoThread>,
}

impl PubSocket {
    /// A publisher in the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_options(PubOptions::new())
    }

    /// A publisher in the process-wide context.
    pub fn with_options(options: PubOptions) -> Self {
        Context::global().pub_socket(options)
    }

    pub(super) fn of(socket: crate::PubSocket, thread: Arc<IoThread>) -> Self {
        Self { inner: Arc::new(Inner { socket, thread }) }
    }

    pub(super) fn socket(&self) -> &crate::PubSocket {
        &self.inner.socket
    }

    pub(super) fn thread(&self) -> &IoThread {
        &self.inner.thread
    }

    /// Sends `message` to every peer whose subscriptions match its first part.
    ///
    /// Waits for nobody, but where the socket is told to [wait](crate::WhenFull::Wait) for room.
    ///
    /// # Errors
    /// As [`PubSocket::send`](crate::PubSocket::send).
    #[inline]
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let message = message.into();
        let core = self.inner.socket.core();
        loop {
            match core.send_now(&message) {
                Some(sent) => return sent,
                // Much has been sent, or a queue is full, and who does not wait would lose the next: the
                // other threads' turn. Who waits gives them theirs when it has to.
                None if core.take_turn() => {
                    if !core.waits_for_room() {
                        std::thread::yield_now();
                    }
                }
                None => return self.inner.thread.block_on(core.send_later(&message)),
            }
        }
    }

    /// Does as [`send`](Self::send), but waits no longer than `time` for room.
    ///
    /// # Errors
    /// As [`send`](Self::send); [`SendError::Full`] when the time is over, and then the message has reached
    /// nobody.
    pub fn send_timeout<'a>(
        &self,
        message: impl Into<Outgoing<'a>>,
        time: Duration,
    ) -> Result<(), SendError> {
        let message = message.into();
        let core = self.inner.socket.core();
        core.take_turn();
        match core.send_now(&message) {
            Some(sent) => sent,
            None => {
                let sent = self.inner.thread.block_for(time, core.send_later(&message));
                sent.unwrap_or(Err(SendError::Full))
            }
        }
    }

    /// Does as [`send`](Self::send), but never waits.
    ///
    /// # Errors
    /// As [`PubSocket::try_send`](crate::PubSocket::try_send).
    #[inline]
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.inner.socket.try_send(message)
    }

    /// How many connected peers have subscribed to something.
    pub fn subscriber_count(&self) -> usize {
        self.inner.socket.subscriber_count()
    }

    /// Waits until some peer would be sent a message whose first part is `topic`.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_subscriber(&self, topic: impl AsRef<[u8]>) -> Result<(), Closed> {
        self.inner.thread.block_on(self.inner.socket.wait_for_subscriber(topic))
    }

    /// Does as [`wait_for_subscriber`](Self::wait_for_subscriber), but no longer than `time`. Returns
    /// whether there is one.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_subscriber_timeout(
        &self,
        topic: impl AsRef<[u8]>,
        time: Duration,
    ) -> Result<bool, Closed> {
        self.inner.thread.wait_for(time, self.inner.socket.wait_for_subscriber(topic))
    }

    /// Closes the socket, after it has delivered what is queued, for as long as
    /// [`linger`](PubOptions::linger) says. Returns how many messages could not be.
    pub fn close(&self) -> usize {
        self.inner.thread.block_on(self.inner.socket.close())
    }
}

endpoint_methods!(PubSocket, this => this.inner.socket, this.inner.thread);

impl Default for PubSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        let socket = self.socket.clone();
        self.thread.finish(async move {
            socket.close().await;
        });
    }
}
