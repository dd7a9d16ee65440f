//! The proxy between publishers and subscribers, for programs without async.

use super::socket::Home;
use super::{PubSocket, XPubSocket, XSubSocket};
use crate::sockets::kind::{Pub, XPub, XSub};
use crate::sockets::proxy::ProxyHandle;

/// Makes a proxy: it forwards messages from the publishers of `frontend` to the subscribers of `backend`,
/// and subscriptions the other way. [`proxy`](crate::proxy()) for programs without async.
///
/// ```no_run
/// use zmtp_socket::blocking::{XPubSocket, XSubSocket, proxy};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let (frontend, backend) = (XSubSocket::new(), XPubSocket::new());
/// frontend.bind("tcp://*:5557")?;
/// backend.bind("tcp://*:5558")?;
/// proxy(frontend, backend).run();
/// # Ok(())
/// # }
/// ```
pub fn proxy(frontend: XSubSocket, backend: XPubSocket) -> Proxy {
    let ((frontend, frontend_home), (backend, backend_home)) =
        (frontend.into_parts(), backend.into_parts());
    let homes = Homes { _frontend: frontend_home, backend: backend_home, _tap: None };
    Proxy { proxy: crate::proxy(frontend, backend), homes }
}

/// A proxy between publishers and subscribers; made by [`proxy`].
#[derive(Debug)]
pub struct Proxy {
    proxy: crate::Proxy,
    homes: Homes,
}

/// The threads of the sockets, kept as long as the proxy.
#[derive(Debug)]
struct Homes {
    _frontend: Home<XSub>,
    backend: Home<XPub>,
    _tap: Option<Home<Pub>>,
}

impl Proxy {
    /// Lets `tap` publish a copy of everything that is forwarded, in both directions.
    pub fn capture(mut self, tap: PubSocket) -> Self {
        let (tap, home) = tap.into_parts();
        self.proxy = self.proxy.capture(tap);
        self.homes._tap = Some(home);
        self
    }

    /// A handle to pause, resume and stop it from other threads, and to read its counters.
    pub fn handle(&self) -> ProxyHandle {
        self.proxy.handle()
    }

    /// Forwards messages and subscriptions, and returns when it has been [stopped](ProxyHandle::stop) or one
    /// of the sockets has been closed. The backend's I/O thread does the work, so no message changes
    /// threads; the caller's thread only waits.
    pub fn run(self) {
        let Self { mut proxy, homes } = self;
        homes.backend.thread().run(async move { proxy.run().await });
    }
}
