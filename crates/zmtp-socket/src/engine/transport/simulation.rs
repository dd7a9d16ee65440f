//! An in-memory network for tests: `mem://name`. It uses the same listeners, connectors and drivers
//! as every other transport; the test provides the resolver and the pipes.

use std::io;
use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

pub use super::Pipe;
use super::hub::{Hub, Listener};
use super::{Connected, Dialler, Stream};
use crate::options::TcpOptions;

/// The two ends of a new connection: the dialling side's and the listening side's.
pub type Ends = (Box<dyn Pipe>, Box<dyn Pipe>);

/// The behaviour of a simulated network, which a test defines.
pub trait Network: Send + Sync + 'static {
    /// Resolves the name of a `mem://` endpoint, at every attempt to connect: returns the names under
    /// which it may be bound now.
    fn resolve(&self, name: &str) -> io::Result<Vec<String>> {
        Ok(vec![name.to_owned()])
    }

    /// Resolves the host of a `tcp://` endpoint, at every attempt to connect. `None` leaves that to
    /// the system, which carries the octets in any case.
    fn look_up(&self, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
        let _ = host;
        None
    }

    /// How long it takes until there is an answer from `address`; [`Duration::MAX`] is for ever.
    fn latency(&self, address: &str) -> Duration {
        let _ = address;
        Duration::ZERO
    }

    /// Makes the two ends of a connection to `address`, or refuses it. The peers see every fault of
    /// the pipe between them.
    fn connect(&self, address: &str) -> io::Result<Ends> {
        let _ = address;
        let (near, far) = tokio::io::duplex(64 << 10);
        Ok((Box::new(near), Box::new(far)))
    }
}

/// A network on which nothing goes wrong.
#[derive(Clone, Copy, Debug, Default)]
pub struct Perfect;

impl Network for Perfect {}

/// A network and its listeners.
#[derive(Clone)]
pub(crate) struct Simulation {
    network: Arc<dyn Network>,
    seed: u64,
    hub: Hub,
}

impl Simulation {
    pub(crate) fn new(network: impl Network, seed: u64) -> Self {
        Self { network: Arc::new(network), seed, hub: Hub::default() }
    }

    pub(crate) fn chance(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }

    pub(crate) fn listen(&self, name: &str) -> io::Result<Listener> {
        self.hub.listen(name)
    }

    pub(super) fn look_up(&self, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
        self.network.look_up(host)
    }

    pub(super) async fn dial(
        &self,
        dialler: &mut Dialler,
        name: &str,
        options: &TcpOptions,
    ) -> io::Result<Connected> {
        let deadline = pin!(tokio::time::sleep(options.connect_timeout));
        let addresses = self.network.resolve(name)?;
        let connected = dialler.race(addresses, |address| self.connect(address), deadline).await;
        connected.map_err(|failures| failures.of(name))
    }

    async fn connect(&self, address: String) -> io::Result<Stream> {
        let latency = self.network.latency(&address);
        if !latency.is_zero() {
            tokio::time::sleep(latency).await;
        }
        let (near, far) = self.network.connect(&address)?;
        self.hub.hand_over(&address, far)?;
        Ok(Stream::Pipe(near, None))
    }
}
