//! The PUSH and the PULL socket.

use std::sync::Arc;

use zmtp_codec::{Message, SocketType};

use crate::monitor::Events;
use crate::options::{InTurn, Linger, Receiving};
use crate::patterns::unicast::{Config, UnicastCore};
use crate::receive::Receiver;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{
    Kind, Parts, Pull, Push, Receives, ReceivesMessages, Sends, Sinks, Unicasts,
};
use crate::sockets::sink::CoreSink;
use crate::sockets::socket::Socket;

/// Sends each message to one PULL, to all of them in turn (RFC 30, The PUSH Socket Type).
///
/// A peer without room is passed over; if none has room, [`send`](Handle::send) waits. Messages for a
/// connected endpoint wait while it cannot be reached, unless [`immediate`](crate::Options::immediate) is
/// set.
///
/// ```
/// use zmtp_socket::{PullSocket, PushSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut sink = PullSocket::new();
/// let endpoint = sink.bind("tcp://127.0.0.1:*").await?;
///
/// let worker = PushSocket::new();
/// worker.connect(&endpoint)?;
/// worker.send("done").await?;
/// assert_eq!(sink.recv().await?.first(), "done");
/// # Ok(())
/// # }
/// ```
pub type PushSocket = Socket<Push>;

/// A handle on a [`PushSocket`].
pub type PushHandle = Handle<Push>;

/// Receives the messages of its PUSH peers, from all of them in turn (RFC 30, The PULL Socket
/// Type).
///
/// For an example, see [`PushSocket`].
pub type PullSocket = Socket<Pull>;

/// A handle on a [`PullSocket`], for other tasks than the one that receives.
pub type PullHandle = Handle<Pull>;

impl Kind for Push {
    const SOCKET_TYPE: SocketType = SocketType::Push;
}

impl Sends for Push {}

impl Sinks for Push {}

impl Unicasts for Push {}

impl Parts for Push {
    type Core = UnicastCore;
    type Receiver = ();
    type Sink = CoreSink<UnicastCore>;

    fn core(role: InTurn, events: Arc<Events>) -> UnicastCore {
        UnicastCore::new(
            Config { receives: false, ..Config::in_turn(&role, &Receiving::default()) },
            events,
        )
    }
}

impl Kind for Pull {
    const SOCKET_TYPE: SocketType = SocketType::Pull;
}

impl Receives for Pull {
    type Received = Message;
}

impl ReceivesMessages for Pull {}

impl Unicasts for Pull {}

impl Parts for Pull {
    type Core = UnicastCore;
    type Receiver = Receiver;
    type Sink = ();

    const LINGER: Linger = Linger::NONE;

    fn core(role: Receiving, events: Arc<Events>) -> UnicastCore {
        UnicastCore::new(Config::receiving_only(&role), events)
    }
}
