//! The XSUB socket.

use std::fmt;
use std::future::poll_fn;

use tokio::task::coop::consume_budget;
use zmtp_codec::{Batch, SocketType, Subscription};

use crate::error::{RecvError, SendError};
use crate::options::{Linger, XSubOptions};
use crate::patterns::subscribe::{Back, SubCore};
use crate::send::Outgoing;
use crate::sockets::context::Context;
use crate::sockets::sub_socket::{SubSocket, receiver_methods, subscriber_methods};

/// A SUB that also sends messages to its publishers (RFC 29, The XSUB Socket Type).
///
/// It does all that a [`SubSocket`] does, but it does not filter what it receives: a program that hands
/// messages on, as a [proxy](crate::proxy) does, leaves that to their last receiver.
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
pub struct XSubSocket {
    subscriber: SubSocket,
    only_first: bool,
}

impl XSubSocket {
    /// In the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_context(&Context::global(), XSubOptions::new())
    }

    /// In the process-wide context.
    pub fn with_options(options: XSubOptions) -> Self {
        Self::with_context(&Context::global(), options)
    }

    pub(crate) fn with_context(context: &Context, options: XSubOptions) -> Self {
        let XSubOptions { link, socket, role } = options;
        let (marks, only_first) = (role.send_marks(), role.only_first);
        let core = |events| SubCore::new(role.subscribing, Some(marks), events);
        let subscriber =
            SubSocket::of_type(context, SocketType::XSub, link, socket, Linger::DEFAULT, core);
        Self { subscriber, only_first }
    }

    /// Sends a message to every publisher that is connected. It waits for no publisher: one for which
    /// [too many](XSubOptions::send_hwm) wait loses it, which is [counted](crate::PeerStats::dropped) and
    /// [told](crate::Event::Dropping). The other tasks of the runtime get a turn now and then.
    ///
    /// A part that begins with the octet 1 or 0 is what peers take for a subscription or the end of one,
    /// and is taken for that here too, if it is the first part or follows on one, or
    /// [anywhere](XSubOptions::only_first_subscribe). The other parts are a message.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    ///
    /// # Cancel safety
    /// If the future is dropped before it is done, the message has reached nobody.
    pub async fn send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let message = message.into();
        consume_budget().await;
        self.try_send(message)
    }

    /// Does as [`send`](Self::send), but never gives others a turn.
    ///
    /// # Errors
    /// As [`send`](Self::send).
    pub fn try_send<'a>(&self, message: impl Into<Outgoing<'a>>) -> Result<(), SendError> {
        let message = message.into().into_message();
        let (subscriptions, message) = Subscription::take_from(message, self.only_first);
        self.change(&subscriptions, Back::One);
        if let Some(message) = message {
            self.subscriber.handle.socket.core.send(&message)?;
        }
        Ok(())
    }

    /// Makes many changes of subscriptions together. A topic that is cancelled loses one subscription or all.
    pub(crate) fn change(&self, changes: &[Subscription], back: Back) {
        self.subscriber.handle.socket.core.change(changes, back);
    }

    /// Receives all messages that have come together.
    pub(crate) async fn recv_batch(&mut self) -> Result<Batch, RecvError> {
        let SubSocket { handle, receiver } = &mut self.subscriber;
        let socket = &handle.socket;
        Ok(poll_fn(|cx| socket.follow(receiver.poll_batch(&*socket.core, cx))).await?)
    }
}

subscriber_methods!(XSubSocket, this => this.subscriber.handle.socket);
receiver_methods!(XSubSocket, this => this.subscriber);

impl Default for XSubSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for XSubSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("XSubSocket").finish_non_exhaustive()
    }
}
