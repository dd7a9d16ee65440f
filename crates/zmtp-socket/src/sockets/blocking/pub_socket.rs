//! The PUB socket.

use std::sync::Arc;
use std::thread;
use std::time::Duration;

use super::Context;
use super::thread::IoThread;
use crate::error::SendError;
use crate::options::{PubOptions, WhenFull};
use crate::send::Outgoing;

/// Publishes messages to every subscriber that asked for them: [`PubSocket`](crate::PubSocket) for programs
/// without async.
///
/// Handles are cheap to clone, and are all the same socket. When the last one is dropped, the socket closes
/// in the background; a program that ends should [`close`](Self::close) it, or what is queued is lost with
/// the process.
#[derive(Clone, Debug)]
pub struct PubSocket {
    pub(super) inner: Arc<Inner>,
}

#[derive(Debug)]
pub(super) struct Inner {
    pub(super) socket: crate::PubSocket,
    pub(super) thread: Arc<IoThread>,
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
}

/// The methods of every socket that publishes, for a type `$face` that is, or has in it, the [`PubSocket`]
/// `$publisher`. They are written, and documented, here alone.
macro_rules! publisher_methods {
    ($face:ty, $this:ident => $publisher:expr) => {
        impl $face {
            /// Sends `message` to every peer whose subscriptions match its first part.
            ///
            /// Waits for nobody, but where the socket is told to [wait](crate::WhenFull::Wait) for room.
            ///
            /// # Errors
            /// As [`PubSocket::send`](crate::PubSocket::send).
            #[inline]
            pub fn send<'a>(
                &self,
                message: impl Into<crate::Outgoing<'a>>,
            ) -> Result<(), crate::SendError> {
                let $this = self;
                $publisher.inner.send(&message.into())
            }

            /// Does as [`send`](Self::send), but waits no longer than `time` for room.
            ///
            /// # Errors
            /// As [`send`](Self::send); [`Full`](crate::SendError::Full) when the time is over, and then
            /// the message has reached nobody.
            pub fn send_timeout<'a>(
                &self,
                message: impl Into<crate::Outgoing<'a>>,
                time: std::time::Duration,
            ) -> Result<(), crate::SendError> {
                let $this = self;
                $publisher.inner.send_timeout(&message.into(), time)
            }

            /// Does as [`send`](Self::send), but never waits.
            ///
            /// # Errors
            /// As [`PubSocket::try_send`](crate::PubSocket::try_send).
            #[inline]
            pub fn try_send<'a>(
                &self,
                message: impl Into<crate::Outgoing<'a>>,
            ) -> Result<(), crate::SendError> {
                let $this = self;
                $publisher.inner.socket.try_send(message)
            }

            /// How many connected peers have subscribed to something.
            pub fn subscriber_count(&self) -> usize {
                let $this = self;
                $publisher.inner.socket.subscriber_count()
            }

            /// Waits until some peer would be sent a message whose first part is `topic`.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) once the socket has been closed.
            pub fn wait_for_subscriber(
                &self,
                topic: impl AsRef<[u8]>,
            ) -> Result<(), crate::Closed> {
                let $this = self;
                let Inner { socket, thread } = &*$publisher.inner;
                thread.wait(socket.wait_for_subscriber(topic))
            }

            /// Does as [`wait_for_subscriber`](Self::wait_for_subscriber), but no longer than `time`.
            /// Returns whether there is one.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) once the socket has been closed.
            pub fn wait_for_subscriber_timeout(
                &self,
                topic: impl AsRef<[u8]>,
                time: std::time::Duration,
            ) -> Result<bool, crate::Closed> {
                let $this = self;
                let Inner { socket, thread } = &*$publisher.inner;
                Ok(thread.wait_for(time, socket.wait_for_subscriber(topic))?.is_some())
            }

            /// Closes the socket, after it has delivered what is queued, for as long as
            /// [`linger`](crate::PubOptions::linger) says. Returns what could not be delivered.
            pub fn close(&self) -> crate::Unfinished {
                let $this = self;
                let Inner { socket, thread } = &*$publisher.inner;
                thread.block_on(socket.close()).unwrap_or_default()
            }

            /// Does as [`close`](Self::close), but delivers for no longer than `time`, whatever
            /// [`linger`](crate::PubOptions::linger) says.
            pub fn close_within(&self, time: std::time::Duration) -> crate::Unfinished {
                let $this = self;
                let Inner { socket, thread } = &*$publisher.inner;
                thread.block_on(socket.close_within(time)).unwrap_or_default()
            }
        }

        crate::blocking::endpoint_methods!(
            $face,
            $this => $publisher.inner.socket,
            $publisher.inner.thread
        );
    };
}

pub(super) use publisher_methods;

publisher_methods!(PubSocket, this => this);

impl Inner {
    #[inline]
    pub(super) fn send(&self, message: &Outgoing<'_>) -> Result<(), SendError> {
        let core = self.socket.core();
        loop {
            match core.send_now(message) {
                Some(sent) => return sent,
                // Much has been sent, or a queue is full, and a sender that does not wait would lose the
                // next message: the other threads' turn. A sender that waits gives them theirs when it
                // has to.
                None if core.take_turn() => {
                    if !core.when_full().waits() {
                        thread::yield_now();
                    }
                }
                None => return self.send_when_room(message, None),
            }
        }
    }

    pub(super) fn send_timeout(
        &self,
        message: &Outgoing<'_>,
        time: Duration,
    ) -> Result<(), SendError> {
        let core = self.socket.core();
        core.take_turn();
        core.send_now(message).unwrap_or_else(|| self.send_when_room(message, Some(time)))
    }

    /// Waits for room, no longer than `time` and than the socket's options say.
    fn send_when_room(
        &self,
        message: &Outgoing<'_>,
        time: Option<Duration>,
    ) -> Result<(), SendError> {
        let core = self.socket.core();
        let patience = match core.when_full() {
            WhenFull::Wait => None,
            WhenFull::WaitFor(patience) => Some(patience),
            // It was another sender's turn that was over.
            _ => return core.try_send(message),
        };
        let sending = core.send_when_room(message);
        match [time, patience].into_iter().flatten().min() {
            Some(time) => self.thread.wait_for(time, sending)?.ok_or(SendError::Full),
            None => self.thread.wait(sending),
        }
    }
}

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
