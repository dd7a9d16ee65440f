//! The XSUB socket.

use std::sync::Arc;

use zmtp_codec::{Message, SocketType};

use crate::monitor::Events;
use crate::options::Asking;
use crate::patterns::subscribe::SubCore;
use crate::receive::Receiver;
use crate::sockets::handle::Handle;
use crate::sockets::kind::{Kind, Parts, Receives, ReceivesMessages, Sends, Subscribes, XSub};
use crate::sockets::socket::Socket;
use crate::sockets::sub_socket::SubHandle;

/// A SUB that also sends messages to its publishers (RFC 29, The XSUB Socket Type).
///
/// It does all that a [`SubSocket`](crate::SubSocket) does, except that it does not filter what it
/// receives: a program that forwards messages, as a [proxy](crate::proxy()) does, leaves that to the last
/// receiver.
///
/// In a message that it [sends](Handle::send), a part that begins with the octet 1 or 0 is a subscription
/// or the end of one: if it is the first part or follows one that is, or anywhere, as
/// [`only_first_subscribe`](crate::XSubOptions::only_first_subscribe) says. The other parts are a message,
/// which goes to every connected publisher; it waits for none of them.
///
/// ```
/// use zmtp_socket::{Context, Request, XPubOptions, XSubOptions};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = Context::new();
/// let mut publisher = context.xpub_socket(XPubOptions::new());
/// let subscriber = context.xsub_socket(XSubOptions::new());
/// publisher.bind("inproc://weather").await?;
/// subscriber.connect("inproc://weather")?;
///
/// subscriber.wait_for_publisher().await?;
/// subscriber.send("hello").await?;
/// let Request::Message { message, .. } = publisher.recv().await? else { panic!("a message") };
/// assert_eq!(message.first(), "hello");
/// # Ok(())
/// # }
/// ```
pub type XSubSocket = Socket<XSub>;

/// A handle on an [`XSubSocket`], for other tasks than the one that receives.
pub type XSubHandle = Handle<XSub>;

/// The same socket, with the calls of a SUB only.
impl From<XSubHandle> for SubHandle {
    fn from(handle: XSubHandle) -> Self {
        Self::of(handle.engine)
    }
}

impl Kind for XSub {
    const SOCKET_TYPE: SocketType = SocketType::XSub;
}

impl Sends for XSub {}

impl Receives for XSub {
    type Received = Message;
}

impl ReceivesMessages for XSub {}
impl Subscribes for XSub {}

impl Parts for XSub {
    type Core = SubCore;
    type Receiver = Receiver;
    type Sink = ();

    fn core(role: Asking, events: Arc<Events>) -> SubCore {
        SubCore::new(role.subscribing, Some(role.upstream), events)
    }
}
