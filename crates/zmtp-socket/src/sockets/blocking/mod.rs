//! The sockets for programs without async: each call blocks its thread until it is done.
//!
//! A [`Context`] has one thread of its own, which does the network's work for all of its sockets, as
//! libzmq's I/O thread does. To send or receive costs no hop to it: the caller's thread puts messages into
//! the queues and takes them out by itself.
//!
//! ```
//! use zmtp_socket::blocking::{PubSocket, SubSocket};
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = PubSocket::new();
//! let endpoint = publisher.bind("tcp://127.0.0.1:*")?;
//!
//! let mut subscriber = SubSocket::new();
//! subscriber.connect(&endpoint)?;
//! subscriber.subscribe("10002");
//!
//! publisher.wait_for_subscriber("10002")?;
//! publisher.send("10002 27 33")?;
//! assert_eq!(subscriber.recv()?.first(), "10002 27 33");
//! # Ok(())
//! # }
//! ```
//!
//! A call that waits parks its thread, and measures its time by that thread's clock. It does the same
//! wherever it is made, also within an async task: it then blocks the runtime's thread, and with it that
//! runtime's other tasks. A program with async should use the sockets of [the crate's root](crate) there.
//!
//! # Processes that fork
//!
//! A fork copies the sockets, but not the thread that serves them. The child may go on with sockets of its
//! own: [`Context::global`] is a new one there. A socket, handle or context that was made before the fork
//! belongs to the parent; in the child its calls that wait, bind or connect say
//! [`Closed`](crate::Closed) or the like at once, and to drop it ends nothing of the parent's. Do not send
//! with it: what is queued there stays there.

mod monitor;
mod park;
mod proxy;
mod pub_socket;
mod sub_socket;
mod thread;
mod xpub_socket;
mod xsub_socket;

use std::fmt;
use std::sync::Arc;

pub use monitor::Monitor;
pub use proxy::{Proxy, proxy};
pub use pub_socket::PubSocket;
pub use sub_socket::{SubHandle, SubSocket};
use thread::IoThread;
pub use xpub_socket::XPubSocket;
pub use xsub_socket::XSubSocket;

use crate::options::{PubOptions, SubOptions, XPubOptions, XSubOptions};
use crate::sync::PerProcess;

/// Makes sockets, whose network's work is done by one thread. Cheap to clone: clones are the same context.
///
/// The thread ends when the context and all its sockets, handles and monitors have been dropped, and the
/// sockets have delivered what they still may.
#[derive(Clone)]
pub struct Context {
    context: crate::Context,
    thread: Arc<IoThread>,
}

impl Context {
    /// A context of its own: its `inproc` names are seen by no other.
    ///
    /// # Panics
    /// If the system has no thread, or no descriptors, for it.
    pub fn new() -> Self {
        Self::of(crate::Context::new())
    }

    /// The context of the whole process, used by [`PubSocket::new`] and [`SubSocket::new`]. It shares its
    /// `inproc` names with [that of async sockets](crate::Context::global).
    ///
    /// # Panics
    /// As [`new`](Self::new), in the first call.
    pub fn global() -> Self {
        static GLOBAL: PerProcess<Context> = PerProcess::new();
        GLOBAL.get(|| Self::of(crate::Context::global()))
    }

    fn of(context: crate::Context) -> Self {
        Self { context, thread: IoThread::start() }
    }

    /// A new PUB socket.
    pub fn pub_socket(&self, options: PubOptions) -> PubSocket {
        PubSocket::of(self.context.pub_socket(options), self.thread.clone())
    }

    /// A new XPUB socket.
    pub fn xpub_socket(&self, options: XPubOptions) -> XPubSocket {
        XPubSocket::of(self.context.xpub_socket(options), self.thread.clone())
    }

    /// A new XSUB socket.
    pub fn xsub_socket(&self, options: XSubOptions) -> XSubSocket {
        XSubSocket::of(self.context.xsub_socket(options), self.thread.clone())
    }

    /// A new SUB socket.
    pub fn sub_socket(&self, options: SubOptions) -> SubSocket {
        SubSocket::of(self.context.sub_socket(options), self.thread.clone())
    }
}

impl Default for Context {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}

/// The methods that every blocking face of a socket has, for a type `$face` whose async socket is
/// `$socket` and whose thread is `$thread`.
macro_rules! endpoint_methods {
    ($face:ty, $this:ident => $socket:expr, $thread:expr) => {
        impl $face {
            /// Opens an endpoint for peers, and returns it with its real port. A socket may bind and
            /// connect to many endpoints at once.
            ///
            /// # Errors
            /// [`BindError`](crate::BindError) if the endpoint cannot be read or bound, or the socket is
            /// closed.
            pub fn bind(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<crate::Endpoint, crate::BindError> {
                let $this = self;
                $thread.block_on($socket.bind(endpoint))?
            }

            /// Does as [`bind`](Self::bind), with other options than the socket's own, which `change`
            /// is given, for this endpoint and the connections through it.
            ///
            /// # Errors
            /// As [`bind`](Self::bind).
            pub fn bind_with(
                &self,
                endpoint: impl crate::IntoEndpoint,
                change: impl FnOnce(crate::EndpointOptions) -> crate::EndpointOptions,
            ) -> Result<crate::Endpoint, crate::BindError> {
                let $this = self;
                $thread.block_on($socket.bind_with(endpoint, change))?
            }

            /// Connects to a peer's endpoint in the background, again after every cut. Returns at once;
            /// that nobody is there yet is no error.
            ///
            /// # Errors
            /// [`ConnectError`](crate::ConnectError) if the endpoint cannot be read, or the socket is
            /// closed.
            pub fn connect(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<crate::Endpoint, crate::ConnectError> {
                let $this = self;
                let _within = $thread.enter()?;
                $socket.connect(endpoint)
            }

            /// Does as [`connect`](Self::connect), with other options than the socket's own, which
            /// `change` is given, for this endpoint; if it is connected already, from its next
            /// connection on.
            ///
            /// # Errors
            /// As [`connect`](Self::connect).
            pub fn connect_with(
                &self,
                endpoint: impl crate::IntoEndpoint,
                change: impl FnOnce(crate::EndpointOptions) -> crate::EndpointOptions,
            ) -> Result<crate::Endpoint, crate::ConnectError> {
                let $this = self;
                let _within = $thread.enter()?;
                $socket.connect_with(endpoint, change)
            }

            /// Ends an endpoint that was bound, with all its connections; its address is free again when
            /// this returns.
            ///
            /// # Errors
            /// [`UnknownEndpoint`](crate::UnknownEndpoint) if it cannot be read or is not bound.
            pub fn unbind(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<(), crate::UnknownEndpoint> {
                let $this = self;
                let endpoint = endpoint.into_endpoint()?;
                let ended = $thread.block_on($socket.unbind(&endpoint));
                ended.unwrap_or(Err(crate::UnknownEndpoint::NotBound(endpoint)))
            }

            /// Ends an endpoint that was connected, with its connection.
            ///
            /// # Errors
            /// [`UnknownEndpoint`](crate::UnknownEndpoint) if it cannot be read or is not connected.
            pub fn disconnect(
                &self,
                endpoint: impl crate::IntoEndpoint,
            ) -> Result<(), crate::UnknownEndpoint> {
                let $this = self;
                let endpoint = endpoint.into_endpoint()?;
                let ended = $thread.block_on($socket.disconnect(&endpoint));
                ended.unwrap_or(Err(crate::UnknownEndpoint::NotConnected(endpoint)))
            }

            /// The endpoints that the socket has bound, with their real addresses, and those that it is
            /// to be connected to, whether or not somebody is there now.
            pub fn endpoints(&self) -> crate::OpenEndpoints {
                let $this = self;
                $socket.endpoints()
            }

            /// As [`PubSocket::totals`](crate::PubSocket::totals).
            pub fn totals(&self) -> crate::Stats {
                let $this = self;
                $socket.totals()
            }

            /// What was sent, received, lost and is queued, in all and for each peer.
            pub fn stats(&self) -> crate::Stats {
                let $this = self;
                $socket.stats()
            }

            /// What happens to this socket's endpoints and peers from now on.
            pub fn monitor(&self) -> crate::blocking::Monitor {
                let $this = self;
                crate::blocking::Monitor::of($socket.monitor(), std::sync::Arc::clone(&$thread))
            }
        }
    };
}

use endpoint_methods;
