//! The XSUB socket.

use std::sync::Arc;

use super::sub_socket::receiver_methods;
use super::thread::IoThread;
use super::{Context, endpoint_methods};
use crate::{Closed, Message, SendError, XSubOptions};

/// A SUB that also sends messages to its publishers: [`XSubSocket`](crate::XSubSocket) for programs without
/// async.
#[derive(Debug)]
pub struct XSubSocket {
    socket: crate::XSubSocket,
    thread: Arc<IoThread>,
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
        Self { socket, thread }
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

    /// Closes the socket. Returns how many messages had arrived and were not received.
    pub fn close(self) -> usize {
        let Self { socket, thread } = self;
        thread.block_on(socket.handle().close())
    }
}

receiver_methods!(XSubSocket);
endpoint_methods!(XSubSocket, this => this.socket, this.thread);

impl Default for XSubSocket {
    fn default() -> Self {
        Self::new()
    }
}
