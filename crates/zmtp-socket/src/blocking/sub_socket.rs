//! The SUB socket.

use std::ops::Deref;
use std::sync::Arc;

use super::thread::IoThread;
use super::{Context, endpoint_methods};
use crate::SubOptions;

/// The methods of every socket that receives, for a type with a `socket` and its `thread`: they are written,
/// and documented, here alone.
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
                    Err(_none_yet) => self.thread.block_on(self.socket.recv()),
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

            /// A handle with which other threads subscribe, connect, look on and close while this one
            /// receives.
            pub fn handle(&self) -> crate::blocking::SubHandle {
                crate::blocking::SubHandle::of(self.socket.handle(), Arc::clone(&self.thread))
            }

            /// Subscribes to every message whose first part begins with `topic`, any octets.
            /// Subscriptions count: two to the same topic take two calls of
            /// [`unsubscribe`](Self::unsubscribe).
            pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
                self.socket.subscribe(topic);
            }

            /// Takes one subscription back. Returns whether there was such a subscription.
            pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
                self.socket.unsubscribe(topic)
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
    handle: crate::SubHandle,
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

    /// Closes the socket. Returns how many messages had arrived and were not received.
    pub fn close(self) -> usize {
        let Self { socket, thread } = self;
        thread.block_on(socket.close())
    }
}

impl SubHandle {
    pub(super) fn of(handle: crate::SubHandle, thread: Arc<IoThread>) -> Self {
        Self { handle, thread }
    }

    /// As [`SubSocket::subscribe`].
    pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
        self.handle.subscribe(topic);
    }

    /// As [`SubSocket::unsubscribe`].
    pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
        self.handle.unsubscribe(topic)
    }

    /// Closes the socket from another thread: its [`recv`](SubSocket::recv) gives what has arrived and then
    /// [`RecvError::Closed`](crate::RecvError::Closed), also to who waits in it. Returns how many messages
    /// had arrived and were not received.
    pub fn close(&self) -> usize {
        self.thread.block_on(self.handle.close())
    }
}

receiver_methods!(SubSocket);
endpoint_methods!(SubSocket, this => this.socket, this.thread);
endpoint_methods!(SubHandle, this => this.handle, this.thread);

impl Default for SubSocket {
    fn default() -> Self {
        Self::new()
    }
}
