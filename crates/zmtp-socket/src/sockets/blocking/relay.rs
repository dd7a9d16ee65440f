//! The relay between sockets that send each message to one peer, for programs without async.

use super::Socket;
use super::socket::Home;
use crate::sockets::kind::{Kind, Pub};
use crate::sockets::proxy::ProxyHandle;
use crate::sockets::relay::Relays;

/// Makes a relay, such as between a ROUTER and a DEALER, or a PULL and a PUSH. [`relay`](crate::relay())
/// for programs without async.
///
/// ```no_run
/// use zmtp_socket::blocking::{DealerSocket, RouterSocket, relay};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (clients, servers) = (RouterSocket::new(), DealerSocket::new());
/// clients.bind("tcp://*:5559")?;
/// servers.bind("tcp://*:5560")?;
/// relay(clients, servers).run();
/// # Ok(())
/// # }
/// ```
pub fn relay<F: Relays<B>, B: Kind>(frontend: Socket<F>, backend: Socket<B>) -> Relay<F, B> {
    let ((frontend, frontend_home), (backend, backend_home)) =
        (frontend.into_parts(), backend.into_parts());
    let homes = Homes { _frontend: frontend_home, backend: backend_home, _tap: None };
    Relay { relay: crate::relay(frontend, backend), homes }
}

/// A relay between two sockets; made by [`relay`].
#[derive(Debug)]
pub struct Relay<F: Kind, B: Kind> {
    relay: crate::Relay<F, B>,
    homes: Homes<F, B>,
}

/// The threads of the sockets, kept as long as the relay.
#[derive(Debug)]
struct Homes<F: Kind, B: Kind> {
    _frontend: Home<F>,
    backend: Home<B>,
    _tap: Option<Home<Pub>>,
}

impl<F: Relays<B>, B: Kind> Relay<F, B> {
    /// Lets `tap` publish a copy of everything that is forwarded, in both directions, with the
    /// identities.
    pub fn capture(mut self, tap: Socket<Pub>) -> Self {
        let (tap, home) = tap.into_parts();
        self.relay = self.relay.capture(tap);
        self.homes._tap = Some(home);
        self
    }

    /// A handle to pause, resume and stop it from other threads, and to read its counters.
    pub fn handle(&self) -> ProxyHandle {
        self.relay.handle()
    }

    /// Forwards messages, and returns when it has been [stopped](ProxyHandle::stop) or one of the sockets
    /// has been closed. The backend's I/O thread does the work; the caller's thread only waits.
    pub fn run(self)
    where
        F: 'static,
        B: 'static,
    {
        let Self { mut relay, homes } = self;
        homes.backend.thread().run(async move { relay.run().await });
    }
}
