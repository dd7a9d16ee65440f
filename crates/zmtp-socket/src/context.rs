//! A home for any number of sockets.

use std::fmt;
use std::sync::{Arc, LazyLock};

use crate::transport::Hub;
#[cfg(feature = "simulation")]
use crate::transport::simulation::{Network, Simulation};
use crate::{PubOptions, PubSocket, SubOptions, SubSocket};

/// Makes sockets, and owns the names under which they find each other over `inproc`.
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
    pub(crate) shared: Arc<Shared>,
}

#[derive(Default)]
pub(crate) struct Shared {
    pub(crate) inproc: Hub,
    #[cfg(feature = "simulation")]
    pub(crate) simulation: Option<Simulation>,
}

impl Context {
    /// A context of its own: its `inproc` names are seen by no other.
    pub fn new() -> Self {
        Self::default()
    }

    /// The context of the whole process, used by [`PubSocket::new`] and [`SubSocket::new`].
    pub fn global() -> Self {
        static GLOBAL: LazyLock<Context> = LazyLock::new(Context::new);
        GLOBAL.clone()
    }

    /// A context whose `mem://` endpoints lead over a simulated `network`. All chance in it (the
    /// jitter of reconnecting) follows from `seed`.
    #[cfg(feature = "simulation")]
    pub fn simulated(network: impl Network, seed: u64) -> Self {
        let simulation = Simulation { network: Arc::new(network), seed, hub: Hub::default() };
        let shared = Shared { simulation: Some(simulation), ..Shared::default() };
        Self { shared: Arc::new(shared) }
    }

    /// A new PUB socket.
    pub fn pub_socket(&self, options: PubOptions) -> PubSocket {
        PubSocket::with_context(self, options)
    }

    /// A new SUB socket.
    pub fn sub_socket(&self, options: SubOptions) -> SubSocket {
        SubSocket::with_context(self, options)
    }
}

impl Shared {
    #[cfg(feature = "simulation")]
    pub(crate) fn simulation(&self) -> std::io::Result<&Simulation> {
        self.simulation.as_ref().ok_or_else(|| {
            std::io::Error::new(
                std::io::ErrorKind::Unsupported,
                "this context simulates no network",
            )
        })
    }

    /// Where the jitter of a socket's reconnecting begins.
    pub(crate) fn chance(&self) -> fastrand::Rng {
        #[cfg(feature = "simulation")]
        if let Some(simulation) = &self.simulation {
            return fastrand::Rng::with_seed(simulation.seed);
        }
        fastrand::Rng::new()
    }
}

impl fmt::Debug for Context {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Context").finish_non_exhaustive()
    }
}
