//! The context, which makes sockets.

use std::fmt;

use crate::engine::heap::keep_freed_memory;
use crate::engine::transport::Networks;
#[cfg(feature = "simulation")]
use crate::engine::transport::simulation::{Network, Simulation};
use crate::options::{Options, PubOptions, SubOptions, XPubOptions, XSubOptions};
use crate::sockets::kind::Kind;
use crate::sockets::pub_socket::PubSocket;
use crate::sockets::socket::Socket;
use crate::sockets::sub_socket::SubSocket;
use crate::sockets::xpub_socket::XPubSocket;
use crate::sockets::xsub_socket::XSubSocket;
use crate::sync::PerProcess;

/// Makes sockets, and owns the names of their `inproc` endpoints.
///
/// Cheap to clone: clones are the same context. Sockets keep what they need of it, so it may be
/// dropped before them.
///
/// ```
/// use zmtp_socket::{Context, PubOptions, SubOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = Context::new();
/// let publisher = context.pub_socket(PubOptions::new());
/// let mut subscriber = context.sub_socket(SubOptions::new());
///
/// subscriber.subscribe("10002");
/// subscriber.connect("inproc://weather")?;
/// publisher.bind("inproc://weather").await?;
///
/// publisher.wait_for_subscriber("10002").await?;
/// publisher.send("10002 27 33").await?;
/// assert_eq!(subscriber.recv().await?.first(), "10002 27 33");
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Default)]
pub struct Context {
    pub(crate) networks: Networks,
}

impl Context {
    /// A context of its own: its `inproc` names are seen by no other.
    pub fn new() -> Self {
        keep_freed_memory();
        Self::default()
    }

    /// The context of the whole process, used by [`PubSocket::new`] and the like. A forked process
    /// has its own.
    pub fn global() -> Self {
        static GLOBAL: PerProcess<Context> = PerProcess::new();
        GLOBAL.get(Self::new)
    }

    /// A context whose `mem://` endpoints lead over a simulated `network`. All chance in it (the
    /// jitter of reconnecting) follows from `seed`.
    #[cfg(feature = "simulation")]
    pub fn simulated(network: impl Network, seed: u64) -> Self {
        let mut context = Self::new();
        context.networks.simulation = Some(Simulation::new(network, seed));
        context
    }

    /// Whether a socket of this context is bound to an `inproc` name.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # use zmtp_socket::{Context, PubOptions};
    /// let context = Context::new();
    /// let publisher = context.pub_socket(PubOptions::new());
    /// assert!(!context.has_inproc("weather"));
    /// publisher.bind("inproc://weather").await?;
    /// assert!(context.has_inproc("weather"));
    /// # Ok(())
    /// # }
    /// ```
    pub fn has_inproc(&self, name: &str) -> bool {
        self.networks.has_inproc(name)
    }

    /// Takes note that no socket of this context will bind an `inproc` name any more. A closed socket then gives up
    /// what it has to deliver to a name that nobody has bound.
    #[doc(hidden)]
    pub fn complete_inproc(&self) {
        self.networks.complete_inproc();
    }

    /// A new socket, of the kind that the options are for.
    pub fn socket<T: Kind>(&self, options: Options<T>) -> Socket<T> {
        Socket::with_context(self, options)
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

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
