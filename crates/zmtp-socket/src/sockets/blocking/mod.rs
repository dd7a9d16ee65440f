//! The sockets for programs without async: each call blocks its thread until it is done.
//!
//! A [`Context`] has one thread of its own, which does the network I/O of all its sockets, as libzmq's I/O
//! thread does. Sending and receiving need no switch to that thread: the caller's thread puts messages
//! into the queues and takes them out by itself.
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
//! A call that waits parks its thread. It does so also within an async task: it then blocks the runtime's
//! thread, and with it that runtime's other tasks. Async code should use the sockets of [the crate's
//! root](crate).
//!
//! # Processes that fork
//!
//! A fork copies the sockets, but not the thread that serves them. The child may go on with sockets of its
//! own: [`Context::global`] is a new one there. A socket, handle or context that was made before the fork
//! belongs to the parent. In the child, its calls that wait, bind or connect fail at once, with
//! [`Closed`](crate::Closed) or a similar error, and dropping it ends nothing of the parent's. Do not send
//! with it: the messages would stay in the child's queues.

mod handle;
mod measure;
mod monitor;
mod park;
mod proxy;
mod relay;
mod shared_runtime;
mod socket;
mod thread;

use std::fmt;
use std::sync::Arc;

pub use handle::Handle;
pub use monitor::Monitor;
pub use proxy::{Proxy, proxy};
pub use relay::{Relay, relay};
// For libzmq's C interface, whose calls wait in their own way.
#[doc(hidden)]
pub use shared_runtime::{SharedRuntime, Wait};
pub use socket::Socket;
use thread::IoThread;

use crate::options::{Options, PubOptions, SubOptions, XPubOptions, XSubOptions};
use crate::sockets::kind::{
    Dealer, Kind, Pair, Pub, Pull, Push, Rep, Req, Router, Sub, XPub, XSub,
};
use crate::sync::PerProcess;

/// [`PubSocket`](crate::PubSocket) for programs without async.
pub type PubSocket = Socket<Pub>;

/// [`XPubSocket`](crate::XPubSocket) for programs without async.
pub type XPubSocket = Socket<XPub>;

/// [`SubSocket`](crate::SubSocket) for programs without async.
pub type SubSocket = Socket<Sub>;

/// [`XSubSocket`](crate::XSubSocket) for programs without async.
pub type XSubSocket = Socket<XSub>;

/// [`PushSocket`](crate::PushSocket) for programs without async.
pub type PushSocket = Socket<Push>;

/// [`PullSocket`](crate::PullSocket) for programs without async.
pub type PullSocket = Socket<Pull>;

/// [`PairSocket`](crate::PairSocket) for programs without async.
pub type PairSocket = Socket<Pair>;

/// [`DealerSocket`](crate::DealerSocket) for programs without async.
pub type DealerSocket = Socket<Dealer>;

/// [`RouterSocket`](crate::RouterSocket) for programs without async.
pub type RouterSocket = Socket<Router>;

/// [`ReqSocket`](crate::ReqSocket) for programs without async.
pub type ReqSocket = Socket<Req>;

/// [`RepSocket`](crate::RepSocket) for programs without async.
pub type RepSocket = Socket<Rep>;

/// A handle on a [`PubSocket`].
pub type PubHandle = Handle<Pub>;

/// A handle on an [`XPubSocket`].
pub type XPubHandle = Handle<XPub>;

/// A handle on a [`SubSocket`].
pub type SubHandle = Handle<Sub>;

/// A handle on an [`XSubSocket`].
pub type XSubHandle = Handle<XSub>;

/// A handle on a [`PushSocket`].
pub type PushHandle = Handle<Push>;

/// A handle on a [`PullSocket`].
pub type PullHandle = Handle<Pull>;

/// A handle on a [`PairSocket`].
pub type PairHandle = Handle<Pair>;

/// A handle on a [`DealerSocket`].
pub type DealerHandle = Handle<Dealer>;

/// A handle on a [`RouterSocket`].
pub type RouterHandle = Handle<Router>;

/// A handle on a [`ReqSocket`].
pub type ReqHandle = Handle<Req>;

/// A handle on a [`RepSocket`].
pub type RepHandle = Handle<Rep>;

/// Makes sockets, whose network I/O is done by one thread. Cheap to clone: clones are the same context.
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
    /// If the system cannot give it a thread, or the descriptors of a runtime.
    pub fn new() -> Self {
        Self::of(crate::Context::new())
    }

    /// The context of the whole process, used by [`PubSocket::new`] and the like. It shares its `inproc`
    /// names with [that of async sockets](crate::Context::global).
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

    /// A new socket, of the kind that the options are for.
    pub fn socket<T: Kind>(&self, options: Options<T>) -> Socket<T> {
        Socket::of(self.context.socket(options), self.thread.clone())
    }

    /// A new PUB socket.
    pub fn pub_socket(&self, options: PubOptions) -> PubSocket {
        self.socket(options)
    }

    /// A new XPUB socket.
    pub fn xpub_socket(&self, options: XPubOptions) -> XPubSocket {
        self.socket(options)
    }

    /// A new SUB socket.
    pub fn sub_socket(&self, options: SubOptions) -> SubSocket {
        self.socket(options)
    }

    /// A new XSUB socket.
    pub fn xsub_socket(&self, options: XSubOptions) -> XSubSocket {
        self.socket(options)
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
