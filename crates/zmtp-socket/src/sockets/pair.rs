//! The PAIR socket.

use std::sync::Arc;

use zmtp_codec::{Message, SocketType};

use crate::monitor::Events;
use crate::options::Pairing;
use crate::patterns::unicast::{Config, UnicastCore};
use crate::receive::Receiver;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Kind, Pair, Parts, Receives, ReceivesMessages, Sends, Sinks, Unicasts};
use crate::sockets::sink::CoreSink;
use crate::sockets::socket::Socket;

/// Exchanges messages with one peer, another PAIR (RFC 31, The PAIR Socket Type).
///
/// A second peer is [refused](crate::Reason::Occupied) as long as the first is connected. It dials
/// again, as every socket does, and is accepted when the first has gone.
///
/// ```
/// use zmtp_socket::PairSocket;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut one = PairSocket::new();
/// one.bind("inproc://talk").await?;
/// let mut other = PairSocket::new();
/// other.connect("inproc://talk")?;
///
/// other.send("hello").await?;
/// assert_eq!(one.recv().await?.first(), "hello");
/// one.send("good day").await?;
/// assert_eq!(other.recv().await?.first(), "good day");
/// # Ok(())
/// # }
/// ```
pub type PairSocket = Socket<Pair>;

/// A handle on a [`PairSocket`], for other tasks than the one that receives.
pub type PairHandle = Handle<Pair>;

impl Kind for Pair {
    const SOCKET_TYPE: SocketType = SocketType::Pair;
}

impl Sends for Pair {}

impl Sinks for Pair {}

impl Receives for Pair {
    type Received = Message;
}

impl ReceivesMessages for Pair {}

impl Unicasts for Pair {}

impl Parts for Pair {
    type Core = UnicastCore;
    type Receiver = Receiver;
    type Sink = CoreSink<UnicastCore>;

    fn core(role: Pairing, events: Arc<Events>) -> UnicastCore {
        let config = Config::in_turn(&role.in_turn, &role.receiving);
        UnicastCore::new(Config { exclusive: true, ..config }, events)
    }
}
