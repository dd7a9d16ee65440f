//! What stands between publishers and subscribers.

use super::sub_socket::Home;
use super::{PubSocket, XPubSocket, XSubSocket};
use crate::sockets::proxy::ProxyHandle;

/// A proxy: hands on what the publishers of `frontend` send to the subscribers of `backend`, and to those
/// publishers what the subscribers ask for. [`proxy`](crate::proxy()) for programs without async.
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
    let (frontend, thread) = frontend.into_parts();
    let (publisher, backend) = backend.into_parts();
    let sockets = Sockets { _frontend: thread, publisher, _tap: None };
    Proxy { proxy: crate::proxy(frontend, backend), sockets }
}

/// See [`proxy`].
#[derive(Debug)]
pub struct Proxy {
    proxy: crate::Proxy,
    sockets: Sockets,
}

/// What keeps the sockets and their threads, as long as the proxy is there.
#[derive(Debug)]
struct Sockets {
    _frontend: Home,
    publisher: PubSocket,
    _tap: Option<PubSocket>,
}

impl Proxy {
    /// Lets `tap` send a copy of all that is handed on, both ways; its subscribers choose as any do.
    pub fn capture(mut self, tap: PubSocket) -> Self {
        self.proxy = self.proxy.capture(tap.socket().clone());
        self.sockets._tap = Some(tap);
        self
    }

    /// A handle to pause, resume and stop it from other threads, and to look on.
    pub fn handle(&self) -> ProxyHandle {
        self.proxy.handle()
    }

    /// Hands messages and subscriptions on, and returns when it has been [stopped](ProxyHandle::stop) or one
    /// of the sockets has been closed. All of that is done by the backend's thread, so no message changes
    /// threads; the caller's only waits.
    pub fn run(self) {
        let Self { mut proxy, sockets } = self;
        sockets.publisher.thread().run(async move { proxy.run().await });
    }
}
