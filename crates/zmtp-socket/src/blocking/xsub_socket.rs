//! The XSUB socket.

use std::sync::Arc;
use std::time::Duration;

use super::sub_socket::{Home, receiver_methods};
use super::thread::IoThread;
use super::{Context, endpoint_methods};
use crate::{Closed, Message, SendError, XSubOptions};

/// A SUB that also sends messages to its publishers: [`XSubSocket`](crate::XSubSocket) for programs without
/// async.
#[derive(Debug)]
pub struct XSubSocket {
    socket: crate::XSubSocket,
    thread: Home,
}

impl XSubSocket {
    /// In the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_options(XSubOptions::new())
    }

    /// In the process-wide context.
    pub fn with_options(options: XSubOptions) -> Self {
        Context::global().xsub_socket(options)
    }

    pub(super) fn of(socket: crate::XSubSocket, thread: Arc<IoThread>) -> Self {
        Self { thread: Home::of(socket.handle(), thread), socket }
    }

    pub(super) fn into_parts(self) -> (crate::XSubSocket, Home) {
        (self.socket, self.thread)
    }

    /// As [`XSubSocket::send`](crate::XSubSocket::send), which waits for nobody.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        self.socket.send(message)
    }

    /// Waits until some publisher is connected, so that what is sent next reaches one.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_publisher(&self) -> Result<(), Closed> {
        self.thread.block_on(self.socket.wait_for_publisher())
    }

    /// Does as [`wait_for_publisher`](Self::wait_for_publisher), but no longer than `time`. Returns whether
    /// there is one.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    pub fn wait_for_publisher_timeout(&self, time: Duration) -> Result<bool, Closed> {
        self.thread.wait_for(time, self.socket.wait_for_publisher())
    }

    /// Closes the socket. Returns how many messages had arrived and were not received.
    pub fn close(self) -> usize {
        let Self { socket, thread } = self;
        thread.block_on(socket.close())
    }
}

receiver_methods!(XSubSocket);
endpoint_methods!(XSubSocket, this => this.socket, this.thread);

impl Default for XSubSocket {
    fn default() -> Self {
        Self::new()
    }
}
