//! The XSUB socket.

use std::fmt;
use std::ops::{Deref, DerefMut};

use zmtp_codec::{SocketType, Subscription};

use crate::pub_socket::LINGER;
use crate::subscribe::Subscriber;
use crate::{Closed, Context, Message, SendError, SubSocket, XSubOptions};

/// A SUB that also sends messages to its publishers (RFC 29, The XSUB Socket Type).
///
/// It is a [`SubSocket`], and has all its methods. It does not filter what it receives: whoever hands
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
/// subscriber.send("hello")?;
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
        let core = |events| Subscriber::new(role.subscribing, Some(marks), events);
        let subscriber = SubSocket::of_type(context, SocketType::XSub, link, socket, LINGER, core);
        Self { subscriber, only_first }
    }

    /// Waits until some publisher is connected, so that what is sent next reaches one.
    ///
    /// # Errors
    /// [`Closed`] once the socket has been closed.
    ///
    /// # Cancel safety
    /// Nothing is lost if the future is dropped.
    pub async fn wait_for_publisher(&self) -> Result<(), Closed> {
        self.subscriber.core().wait_for_publisher().await
    }

    /// Sends a message to every publisher that is connected. It waits for nobody: a publisher for which
    /// [too many](XSubOptions::send_hwm) wait loses it, which is [counted](crate::PeerStats::dropped)
    /// and [told](crate::Event::Dropping).
    ///
    /// A part that begins with the octet 1 or 0 is what peers take for a subscription or the end of one,
    /// and is taken for that here too, if it is the first part or follows on one, or
    /// [anywhere](XSubOptions::only_first_subscribe). The other parts are a message.
    ///
    /// # Errors
    /// [`SendError::Closed`] once the socket has been closed.
    pub fn send(&self, message: impl Into<Message>) -> Result<(), SendError> {
        let (subscriptions, message) = Subscription::take_from(message.into(), self.only_first);
        for subscription in subscriptions {
            match subscription {
                Subscription::Subscribe(topic) => self.subscriber.subscribe(topic),
                Subscription::Cancel(topic) => drop(self.subscriber.unsubscribe(topic)),
            }
        }
        if let Some(message) = message {
            self.subscriber.core().send(&message)?;
        }
        Ok(())
    }

    /// Closes the socket, as [`SubSocket::close`] does, but goes on delivering what was sent for as long
    /// as it [lingers](XSubOptions::linger). Returns how many messages were not sent then, together with
    /// those that had arrived and were not received. Messages that were not sent count once for each
    /// publisher; by themselves they are [`Stats::undelivered`](crate::Stats::undelivered).
    pub async fn close(self) -> usize {
        self.subscriber.close().await
    }
}

impl Deref for XSubSocket {
    type Target = SubSocket;

    fn deref(&self) -> &SubSocket {
        &self.subscriber
    }
}

impl DerefMut for XSubSocket {
    fn deref_mut(&mut self) -> &mut SubSocket {
        &mut self.subscriber
    }
}

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
