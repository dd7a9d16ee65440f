//! The SUB socket.

use std::sync::Arc;

use zmtp_codec::{Message, SocketType};

use crate::monitor::Events;
use crate::options::{Linger, Subscribing};
use crate::patterns::subscribe::SubCore;
use crate::receive::Receiver;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Kind, Parts, Receives, ReceivesMessages, Sub, Subscribes};
use crate::sockets::socket::Socket;

/// Receives the messages that match its subscriptions (RFC 29, The SUB Socket Type).
///
/// A new socket has no subscription and receives nothing. [Subscriptions](Handle::subscribe) are prefixes
/// of a message's first part; the empty one matches every message. They outlive every connection: each new
/// connection to a publisher begins with all of them.
///
/// ```no_run
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let mut subscriber = zmtp_socket::SubSocket::new();
/// subscriber.connect("tcp://localhost:5556")?;
/// subscriber.subscribe("10002");
/// let update = subscriber.recv().await?;
/// println!("{}", String::from_utf8_lossy(update.first()));
/// # Ok(())
/// # }
/// ```
pub type SubSocket = Socket<Sub>;

/// A handle on a [`SubSocket`], for other tasks than the one that receives.
pub type SubHandle = Handle<Sub>;

impl Kind for Sub {
    const SOCKET_TYPE: SocketType = SocketType::Sub;
}

impl Receives for Sub {
    type Received = Message;
}

impl ReceivesMessages for Sub {}
impl Subscribes for Sub {}

impl Parts for Sub {
    type Core = SubCore;
    type Receiver = Receiver;
    type Sink = ();

    // It has nothing to deliver.
    const LINGER: Linger = Linger::NONE;

    fn core(role: Subscribing, events: Arc<Events>) -> SubCore {
        SubCore::new(role, None, events)
    }
}
