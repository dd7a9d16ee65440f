//! The XPUB socket.

use std::sync::Arc;
use std::time::Duration;

use super::pub_socket::{Inner, publisher_methods};
use super::thread::IoThread;
use super::{Context, PubSocket};
use crate::error::{RecvError, SendError, TryRecvError};
use crate::options::XPubOptions;
use crate::patterns::publish::Request;
use crate::peer::Peer;
use crate::send::Outgoing;

/// A PUB that also hears what its subscribers want: [`XPubSocket`](crate::XPubSocket) for programs without
/// async.
///
/// It does all that a [`PubSocket`] does; [one](Self::publisher) sends from other threads while this one
/// receives.
#[derive(Debug)]
pub struct XPubSocket {
    publisher: PubSocket,
    socket: crate::XPubSocket,
}

impl XPubSocket {
    /// In the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_options(XPubOptions::new())
    }

    /// In the process-wide context.
    pub fn with_options(options: XPubOptions) -> Self {
        Context::global().xpub_socket(options)
    }

    pub(super) fn of(socket: crate::XPubSocket, thread: Arc<IoThread>) -> Self {
        Self { publisher: PubSocket::of(socket.publisher().clone(), thread), socket }
    }

    pub(super) fn into_parts(self) -> (PubSocket, crate::XPubSocket) {
        (self.publisher, self.socket)
    }

    /// The same socket as a publisher, to be cloned for other threads.
    pub fn publisher(&self) -> &PubSocket {
        &self.publisher
    }

    /// What a subscriber wants next; waits for it.
    ///
    /// # Errors
    /// [`RecvError::Closed`] once the socket has been closed and everything has been received.
    pub fn recv(&mut self) -> Result<Request, RecvError> {
        match self.socket.try_recv() {
            Ok(request) => Ok(request),
            Err(_none_yet) => self.publisher.thread().wait(self.socket.recv()),
        }
    }

    /// What a subscriber wants next; waits for it no longer than `time`.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if nobody has wanted anything in that time; [`TryRecvError::Closed`] as for
    /// [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, time: Duration) -> Result<Request, TryRecvError> {
        match self.socket.try_recv() {
            Err(TryRecvError::Empty) => {
                self.publisher.thread().receive_for(time, self.socket.recv())
            }
            done => done,
        }
    }

    /// What a subscriber wants next, if it has said so already.
    ///
    /// # Errors
    /// As [`XPubSocket::try_recv`](crate::XPubSocket::try_recv).
    pub fn try_recv(&mut self) -> Result<Request, TryRecvError> {
        self.socket.try_recv()
    }

    /// As [`XPubSocket::send_to`](crate::XPubSocket::send_to), which waits for nobody.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    pub fn send_to<'a>(
        &self,
        peer: &Peer,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<bool, SendError> {
        self.socket.send_to(peer, message)
    }

    /// As [`XPubSocket::subscribe`](crate::XPubSocket::subscribe).
    pub fn subscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        self.socket.subscribe(peer, topic)
    }

    /// As [`XPubSocket::unsubscribe`](crate::XPubSocket::unsubscribe).
    pub fn unsubscribe(&self, peer: &Peer, topic: impl AsRef<[u8]>) -> bool {
        self.socket.unsubscribe(peer, topic)
    }
}

publisher_methods!(XPubSocket, this => this.publisher);

impl Default for XPubSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl Iterator for XPubSocket {
    type Item = Request;

    fn next(&mut self) -> Option<Request> {
        self.recv().ok()
    }
}
