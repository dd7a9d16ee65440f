//! What stands between sockets that send each message to one peer.

use super::Socket;
use super::socket::Home;
use crate::sockets::kind::{Kind, Pub};
use crate::sockets::proxy::ProxyHandle;
use crate::sockets::relay::Relays;

/// A relay, as between a ROUTER and a DEALER, or a PULL and a PUSH. [`relay`](crate::relay()) for programs
/// without async.
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

/// See [`relay`].
#[derive(Debug)]
pub struct Relay<F: Kind, B: Kind> {
    relay: crate::Relay<F, B>,
    homes: Homes<F, B>,
}

/// The threads of the sockets, which stay as long as the relay is there.
#[derive(Debug)]
struct Homes<F: Kind, B: Kind> {
    _frontend: Home<F>,
    backend: Home<B>,
    _tap: Option<Home<Pub>>,
}

impl<F: Relays<B>, B: Kind> Relay<F, B> {
    /// Lets `tap` send a copy of all that is handed on, both ways; its subscribers choose as any do.
    pub fn capture(mut self, tap: Socket<Pub>) -> Self {
        let (tap, home) = tap.into_parts();
        self.relay = self.relay.capture(tap);
        self.homes._tap = Some(home);
        self
    }

    /// A handle to pause, resume and stop it from other threads, and to look on.
    pub fn handle(&self) -> ProxyHandle {
        self.relay.handle()
    }

    /// Hands messages on, and returns when it has been [stopped](ProxyHandle::stop) or one of the sockets
    /// has been closed. All of that is done by the backend's thread; the caller's only waits.
    pub fn run(self)
    where
        F: 'static,
        B: 'static,
    {
        let Self { mut relay, homes } = self;
        homes.backend.thread().run(async move { relay.run().await });
    }
}
