//! The PUB socket.

use std::sync::Arc;

use zmtp_codec::SocketType;

use crate::monitor::Events;
use crate::options::Publishing;
use crate::patterns::publish::PubCore;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Kind, Parts, Pub, Publishes, Sends, Sinks};
use crate::sockets::sink::CoreSink;
use crate::sockets::socket::Socket;

/// Sends each message to every subscriber with a matching subscription (RFC 29, The PUB Socket
/// Type).
///
/// Messages go out by [`send`](Handle::send). Tasks share the socket through [handles](Socket::handle).
/// It is a sink too.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let publisher = zmtp_socket::PubSocket::new();
/// publisher.bind("tcp://*:5556").await?;
/// loop {
///     publisher.send("10002 27 33").await?;
/// }
/// # }
/// ```
pub type PubSocket = Socket<Pub>;

/// A handle on a [`PubSocket`].
pub type PubHandle = Handle<Pub>;

impl Kind for Pub {
    const SOCKET_TYPE: SocketType = SocketType::Pub;
}

impl Sends for Pub {}

impl Sinks for Pub {}
impl Publishes for Pub {}

impl Parts for Pub {
    type Core = PubCore;
    type Receiver = ();
    type Sink = CoreSink<PubCore>;

    fn core(role: Publishing, events: Arc<Events>) -> PubCore {
        PubCore::new(role, None, events)
    }
}
