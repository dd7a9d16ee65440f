//! The SUB socket.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use super::Context;
use super::thread::IoThread;
use crate::options::SubOptions;
use crate::stats::Unfinished;

/// The methods of every socket that subscribes and of its handle, for a type `$face` with a `socket` and its
/// `thread`. They are written, and documented, here alone.
macro_rules! subscriber_methods {
    ($face:ty) => {
        impl $face {
            /// Subscribes to every message whose first part begins with `topic`, any octets.
            /// Subscriptions count: two to the same topic take two calls of
            /// [`unsubscribe`](Self::unsubscribe).
            pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
                self.socket.subscribe(topic);
            }

            /// Subscribes to every message: to the empty topic, which
            /// [`unsubscribe`](Self::unsubscribe) takes back.
            pub fn subscribe_all(&self) {
                self.socket.subscribe_all();
            }

            /// Takes one subscription back. Returns whether there was such a subscription.
            pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
                self.socket.unsubscribe(topic)
            }

            /// How many publishers are connected, their handshakes done.
            pub fn publisher_count(&self) -> usize {
                self.socket.publisher_count()
            }

            /// Waits until some publisher is connected, its handshake done.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) once the socket has been closed.
            pub fn wait_for_publisher(&self) -> Result<(), crate::Closed> {
                self.thread.wait(self.socket.wait_for_publisher())
            }

            /// Does as [`wait_for_publisher`](Self::wait_for_publisher), but no longer than `time`. Returns
            /// whether there is one.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) once the socket has been closed.
            pub fn wait_for_publisher_timeout(
                &self,
                time: std::time::Duration,
            ) -> Result<bool, crate::Closed> {
                Ok(self.thread.wait_for(time, self.socket.wait_for_publisher())?.is_some())
            }
        }

        crate::blocking::endpoint_methods!($face, this => this.socket, this.thread);
    };
}

pub(super) use subscriber_methods;

/// The methods of every socket that receives, for a type `$face` with a `socket` and its `thread`. They are
/// written, and documented, here alone.
macro_rules! receiver_methods {
    ($face:ty) => {
        impl $face {
            /// Receives the next message; waits for it.
            ///
            /// # Errors
            /// [`RecvError::Closed`](crate::RecvError::Closed) once the socket has been closed through
            /// a [handle](Self::handle) and everything that had arrived has been received.
            #[inline]
            pub fn recv(&mut self) -> Result<crate::Message, crate::RecvError> {
                match self.socket.try_recv() {
                    Ok(message) => Ok(message),
                    Err(_none_yet) => self.thread.wait(self.socket.recv()),
                }
            }

            /// Receives the next message; waits for it no longer than `time`.
            ///
            /// # Errors
            /// [`TryRecvError::Empty`](crate::TryRecvError::Empty) if none has come in that time;
            /// [`TryRecvError::Closed`](crate::TryRecvError::Closed) as for [`recv`](Self::recv).
            pub fn recv_timeout(
                &mut self,
                time: std::time::Duration,
            ) -> Result<crate::Message, crate::TryRecvError> {
                match self.socket.try_recv() {
                    Err(crate::TryRecvError::Empty) => {
                        self.thread.receive_for(time, self.socket.recv())
                    }
                    done => done,
                }
            }

            /// Receives the next message if one has arrived.
            ///
            /// # Errors
            /// As [`SubSocket::try_recv`](crate::SubSocket::try_recv).
            #[inline]
            pub fn try_recv(&mut self) -> Result<crate::Message, crate::TryRecvError> {
                self.socket.try_recv()
            }

            /// Receives the next message and the publisher that it came from; waits for it. The
            /// publisher may have gone by now.
            ///
            /// # Errors
            /// As [`recv`](Self::recv).
            pub fn recv_from(&mut self) -> Result<(crate::Peer, crate::Message), crate::RecvError> {
                let message = self.recv()?;
                let sender = self.sender().expect("a message has been received");
                Ok((sender.clone(), message))
            }

            /// Waits for a message, and appends it to `messages` with those that have arrived behind it,
            /// `limit` at most. Returns how many they are: at least one, unless `limit` is 0.
            ///
            /// # Errors
            /// As [`recv`](Self::recv); then nothing has been appended.
            pub fn recv_many(
                &mut self,
                messages: &mut Vec<crate::Message>,
                limit: usize,
            ) -> Result<usize, crate::RecvError> {
                if limit == 0 {
                    return Ok(0);
                }
                messages.push(self.recv()?);
                Ok(1 + self.socket.take_arrived(messages, limit - 1))
            }

            /// The publisher that the message came from which was received last; see
            /// [`recv_from`](Self::recv_from). None before the first message.
            pub fn sender(&self) -> Option<&crate::Peer> {
                self.socket.sender()
            }

            /// A handle with which other threads subscribe, connect, look on and close while this one
            /// receives.
            pub fn handle(&self) -> crate::blocking::SubHandle {
                crate::blocking::SubHandle::of(self.socket.handle(), Arc::clone(&self.thread))
            }

            /// Closes the socket. Returns what had arrived and was not received, and what was not sent.
            pub fn close(self) -> crate::Unfinished {
                let Self { socket, thread } = self;
                thread.block_on(socket.close()).unwrap_or_default()
            }

            /// Does as [`close`](Self::close), but delivers what is queued for no longer than `time`,
            /// whatever [`linger`](crate::SubOptions::linger) says.
            pub fn close_within(self, time: std::time::Duration) -> crate::Unfinished {
                let Self { socket, thread } = self;
                thread.block_on(socket.close_within(time)).unwrap_or_default()
            }
        }

        impl Iterator for $face {
            type Item = crate::Message;

            fn next(&mut self) -> Option<crate::Message> {
                self.recv().ok()
            }
        }
    };
}

pub(super) use receiver_methods;

/// Receives the messages it subscribed to: [`SubSocket`](crate::SubSocket) for programs without async.
///
/// It is an iterator too, which ends when the socket has been closed.
#[derive(Debug)]
pub struct SubSocket {
    socket: crate::SubSocket,
    thread: Home,
}

/// The thread of a socket that receives, which stays until the socket has delivered what it still may.
#[derive(Debug)]
pub(super) struct Home {
    handle: crate::SubHandle,
    thread: Arc<IoThread>,
}

impl Home {
    pub(super) fn of(handle: crate::SubHandle, thread: Arc<IoThread>) -> Self {
        Self { handle, thread }
    }
}

impl Deref for Home {
    type Target = Arc<IoThread>;

    fn deref(&self) -> &Arc<IoThread> {
        &self.thread
    }
}

impl Drop for Home {
    fn drop(&mut self) {
        let handle = self.handle.clone();
        self.thread.finish(async move {
            handle.close().await;
        });
    }
}

/// A handle on a [`SubSocket`] or an [`XSubSocket`](super::XSubSocket), for other threads than the one
/// that receives. Cheap to clone. It does not keep the socket open.
#[derive(Clone, Debug)]
pub struct SubHandle {
    socket: crate::SubHandle,
    thread: Arc<IoThread>,
}

impl SubSocket {
    /// A subscriber in the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_options(SubOptions::new())
    }

    /// A subscriber in the process-wide context.
    pub fn with_options(options: SubOptions) -> Self {
        Context::global().sub_socket(options)
    }

    pub(super) fn of(socket: crate::SubSocket, thread: Arc<IoThread>) -> Self {
        Self { thread: Home::of(socket.handle(), thread), socket }
    }
}

impl SubHandle {
    pub(super) fn of(socket: crate::SubHandle, thread: Arc<IoThread>) -> Self {
        Self { socket, thread }
    }

    /// Closes the socket from another thread: its [`recv`](SubSocket::recv) gives what has arrived and then
    /// [`RecvError::Closed`](crate::RecvError::Closed), also to a thread that waits in it. Returns what was
    /// not sent, and what had arrived and was not received: that can still be.
    pub fn close(&self) -> Unfinished {
        self.thread.block_on(self.socket.close()).unwrap_or_default()
    }

    /// Does as [`close`](Self::close), but delivers what is queued for no longer than `time`, whatever
    /// [`linger`](SubOptions::linger) says.
    pub fn close_within(&self, time: Duration) -> Unfinished {
        self.thread.block_on(self.socket.close_within(time)).unwrap_or_default()
    }
}

subscriber_methods!(SubSocket);
receiver_methods!(SubSocket);
subscriber_methods!(SubHandle);

impl Default for SubSocket {
    fn default() -> Self {
        Self::new()
    }
}
