//! The socket, for programs without async.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use zmtp_codec::Message;

use super::Context;
use super::handle::Handle;
use super::thread::IoThread;
use crate::error::{RecvError, RequestError, TryRecvError};
use crate::options::Options;
use crate::peer::Peer;
use crate::send::Outgoing;
use crate::sockets::kind::{Kind, Receives, ReceivesMessages, Req};
use crate::stats::Unfinished;

/// A socket of one [kind](crate::kind) for programs without async, such as a
/// [`PubSocket`](super::PubSocket) or a [`SubSocket`](super::SubSocket).
///
/// Only the socket itself receives, if its kind does; it then is an iterator too, which ends when the socket
/// has been closed. Everything else is done by a [`Handle`]; the socket dereferences to its own, so all
/// calls of a handle can be made on the socket as well. Other threads get [theirs](Self::handle).
///
/// When the socket is dropped, it closes in the background. A program should [`close`](Self::close) it
/// before it ends, or what is queued is lost with the process. Handles do not keep the socket open.
#[derive(Debug)]
pub struct Socket<T: Kind> {
    socket: crate::Socket<T>,
    home: Home<T>,
}

/// The thread of a socket, kept until the socket has delivered what it still may.
#[derive(Debug)]
pub(super) struct Home<T: Kind>(Handle<T>);

impl<T: Kind> Socket<T> {
    /// A socket in the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_options(Options::new())
    }

    /// A socket in the process-wide context.
    pub fn with_options(options: Options<T>) -> Self {
        Context::global().socket(options)
    }

    pub(super) fn of(socket: crate::Socket<T>, thread: Arc<IoThread>) -> Self {
        Self { home: Home(Handle::of(socket.handle(), thread)), socket }
    }

    pub(super) fn into_parts(self) -> (crate::Socket<T>, Home<T>) {
        (self.socket, self.home)
    }

    /// A handle, for other threads. It does not keep the socket open.
    pub fn handle(&self) -> Handle<T> {
        self.home.0.clone()
    }

    /// Closes the socket, after it has delivered what is queued, for as long as
    /// [`linger`](Options::linger) says. Returns the number of messages that could not be delivered, and
    /// of those that had arrived and were not received.
    pub fn close(self) -> Unfinished {
        let (socket, home) = self.into_parts();
        home.0.thread.block_on(socket.close()).unwrap_or_default()
    }

    /// Does as [`close`](Self::close), but delivers for no longer than `time`, whatever
    /// [`linger`](Options::linger) says.
    pub fn close_within(self, time: Duration) -> Unfinished {
        let (socket, home) = self.into_parts();
        home.0.thread.block_on(socket.close_within(time)).unwrap_or_default()
    }
}

impl<T: Receives> Socket<T> {
    /// Receives the next item: a message, or what else sockets of this kind [receive](crate::kind).
    /// Waits for it.
    ///
    /// # Errors
    /// [`RecvError::Closed`] once the socket has been closed through a [handle](Self::handle) and
    /// everything that had arrived has been received.
    #[inline]
    pub fn recv(&mut self) -> Result<T::Received, RecvError> {
        match self.socket.try_recv() {
            Ok(received) => Ok(received),
            Err(_none_yet) => self.home.0.thread.wait(self.socket.recv()),
        }
    }

    /// Receives the next item; waits for it no longer than `time`.
    ///
    /// # Errors
    /// [`TryRecvError::Empty`] if nothing has come in that time; [`TryRecvError::Closed`] as for
    /// [`recv`](Self::recv).
    pub fn recv_timeout(&mut self, time: Duration) -> Result<T::Received, TryRecvError> {
        match self.socket.try_recv() {
            Err(TryRecvError::Empty) => self.home.0.thread.receive_for(time, self.socket.recv()),
            done => done,
        }
    }

    /// Receives the next item if it has arrived.
    ///
    /// # Errors
    /// As [`Socket::try_recv`](crate::Socket::try_recv).
    #[inline]
    pub fn try_recv(&mut self) -> Result<T::Received, TryRecvError> {
        self.socket.try_recv().inspect_err(|_none_yet| self.home.0.thread.looked_in_vain())
    }

    /// Waits for the next item, and appends it to `received` with those that have arrived after it,
    /// `limit` in all at most. Returns how many were appended: at least one, unless `limit` is 0.
    ///
    /// # Errors
    /// As [`recv`](Self::recv); then nothing has been appended.
    pub fn recv_many(
        &mut self,
        received: &mut Vec<T::Received>,
        limit: usize,
    ) -> Result<usize, RecvError> {
        if limit == 0 {
            return Ok(0);
        }
        received.push(self.recv()?);
        let others = self.socket.take_arrived(received, limit - 1);
        Ok(1 + others)
    }
}

impl<T: ReceivesMessages> Socket<T> {
    /// Receives the next message and the peer that it came from, which may have gone by now. Waits for
    /// it.
    ///
    /// # Errors
    /// As [`recv`](Self::recv).
    pub fn recv_from(&mut self) -> Result<(Peer, Message), RecvError> {
        let message = self.recv()?;
        let sender = self.sender().expect("a message has been received");
        Ok((sender.clone(), message))
    }

    /// The peer that the last received message came from; see [`recv_from`](Self::recv_from). `None`
    /// before the first message.
    pub fn sender(&self) -> Option<&Peer> {
        self.socket.sender()
    }
}

impl Socket<Req> {
    /// Sends a request to the peer whose turn it is, and waits for its reply, for as long as
    /// [`request_timeout`](crate::ReqOptions::request_timeout) says. See
    /// [`ReqSocket::request`](crate::ReqSocket::request).
    ///
    /// # Errors
    /// As [`ReqSocket::request`](crate::ReqSocket::request).
    pub fn request<'a>(
        &mut self,
        message: impl Into<Outgoing<'a>>,
    ) -> Result<Message, RequestError> {
        self.home.0.thread.block_on(self.socket.request(message))?
    }
}

impl<T: Receives> Iterator for Socket<T> {
    type Item = T::Received;

    fn next(&mut self) -> Option<T::Received> {
        self.recv().ok()
    }
}

/// A socket dereferences to its own handle.
impl<T: Kind> Deref for Socket<T> {
    type Target = Handle<T>;

    fn deref(&self) -> &Handle<T> {
        &self.home.0
    }
}

impl<T: Kind> Default for Socket<T> {
    fn default() -> Self {
        Self::new()
    }
}

impl<T: Kind> Home<T> {
    pub(super) fn thread(&self) -> &IoThread {
        &self.0.thread
    }
}

impl<T: Kind> Drop for Home<T> {
    fn drop(&mut self) {
        let handle = self.0.handle.clone();
        self.0.thread.finish(async move {
            handle.close().await;
        });
    }
}
