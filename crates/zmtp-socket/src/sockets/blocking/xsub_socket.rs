//! The XSUB socket.

use std::sync::Arc;

use super::Context;
use super::sub_socket::{Home, receiver_methods, subscriber_methods};
use super::thread::IoThread;
use crate::error::SendError;
use crate::options::XSubOptions;
use crate::send::Outgoing;

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

    /// Sends a message to every publisher that is connected, and waits for none of them: see
    /// [`XSubSocket::send`](crate::XSubSocket::send).
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    pub fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        self.socket.try_send(message)
    }
}

subscriber_methods!(XSubSocket);
receiver_methods!(XSubSocket);

impl Default for XSubSocket {
    fn default() -> Self {
        Self::new()
    }
}
