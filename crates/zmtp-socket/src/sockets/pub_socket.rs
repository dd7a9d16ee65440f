//! The PUB socket.

use std::fmt;
use std::sync::Arc;

use zmtp_codec::SocketType;

use crate::engine::socket::Socket;
use crate::monitor::Events;
use crate::options::{
    Linger, LinkConfig, LinkOptions, PubOptions, Publishing, RequestOptions, SocketOptions,
};
use crate::patterns::publish::PubCore;
use crate::sockets::context::Context;
use crate::sockets::pub_sink::PubSink;

/// Publishes messages to every subscriber that asked for them (RFC 29, The PUB Socket Type).
///
/// Handles are cheap to clone, and are all the same socket. When the last one is dropped, the
/// socket closes in the background: what is queued is still delivered, for as long as
/// [`linger`](PubOptions::linger) says and the runtime lives.
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
#[derive(Clone)]
pub struct PubSocket {
    pub(crate) socket: Arc<Socket<PubCore>>,
    pub(crate) sink: PubSink,
}

impl PubSocket {
    /// A publisher in the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_context(&Context::global(), PubOptions::new())
    }

    /// A publisher in the process-wide context.
    pub fn with_options(options: PubOptions) -> Self {
        Self::with_context(&Context::global(), options)
    }

    pub(crate) fn with_context(context: &Context, options: PubOptions) -> Self {
        let PubOptions { link, socket, role } = options;
        Self::of_type(context, SocketType::Pub, link, socket, role, None)
    }

    pub(crate) fn of_type(
        context: &Context,
        socket_type: SocketType,
        link: LinkOptions,
        socket: SocketOptions,
        publishing: Publishing,
        hearing: Option<RequestOptions>,
    ) -> Self {
        let linger = socket.linger.unwrap_or(Linger::DEFAULT);
        let events = Arc::new(Events::default());
        let core = PubCore::new(publishing, hearing, events.clone());
        let terms = LinkConfig::new(link, socket_type);
        let socket = Arc::new(Socket::new(&context.networks, core, terms, socket, linger, events));
        Self { socket, sink: PubSink::default() }
    }

    pub(crate) fn core(&self) -> &Arc<PubCore> {
        &self.socket.core
    }

    pub(crate) fn socket(&self) -> &Socket<PubCore> {
        &self.socket
    }
}

/// The methods of every socket that publishes, for a type `$face` whose socket is `$socket`. They are
/// written, and documented, here alone.
macro_rules! publisher_methods {
    ($face:ty, $this:ident => $socket:expr) => {
        impl $face {
            /// Sends `message` to every peer whose subscriptions match its first part.
            ///
            /// Does not wait for a subscriber: one at its [high-water mark](crate::PubOptions::send_hwm)
            /// loses this message, alone, and that is [counted](crate::PeerStats::dropped). A socket that
            /// rather [waits](crate::WhenFull::Wait) is an option. Either way the other tasks of the
            /// runtime get a turn now and then.
            ///
            /// # Errors
            /// [`Closed`](crate::SendError::Closed) once the socket has been closed;
            /// [`Full`](crate::SendError::Full) when it has waited for room as long as
            /// [it may](crate::WhenFull::WaitFor). A message that is lent, as in `send(&message)`, is
            /// still there to be sent again; to lend it costs nothing.
            ///
            /// # Cancel safety
            /// If the future is dropped before it is done, the message has reached nobody; otherwise it is
            /// queued for every peer that accepts it, at one moment for all of them.
            pub async fn send<'a>(
                &self,
                message: impl Into<crate::Outgoing<'a>>,
            ) -> Result<(), crate::SendError> {
                let $this = self;
                let (core, message) = (&$socket.core, message.into());
                match core.send_now(&message) {
                    Some(sent) => sent,
                    // Few messages come this way: in a box, it does not make the future of all others
                    // large.
                    None => {
                        $socket.move_here();
                        Box::pin(core.send_later(&message)).await
                    }
                }
            }

            /// Does as [`send`](Self::send), but never waits and never gives others a turn: in a loop on a
            /// current-thread runtime, hardly anything leaves the process until something else is awaited.
            ///
            /// # Errors
            /// [`Closed`](crate::SendError::Closed) once the socket has been closed;
            /// [`Full`](crate::SendError::Full) where the socket would have to wait for room, and then the
            /// message has reached nobody. Lend it, as in `try_send(&message)`, to keep it for another
            /// attempt; to lend it costs nothing.
            pub fn try_send<'a>(
                &self,
                message: impl Into<crate::Outgoing<'a>>,
            ) -> Result<(), crate::SendError> {
                let $this = self;
                $socket.core.try_send(&message.into())
            }

            /// How many connected peers have subscribed to something.
            pub fn subscriber_count(&self) -> usize {
                let $this = self;
                $socket.core.subscriber_count()
            }

            /// Waits until some peer would be sent a message whose first part is `topic`. This is how a
            /// publisher that has just begun makes sure that its first message is not lost.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) once the socket has been closed.
            ///
            /// # Cancel safety
            /// Nothing is lost if the future is dropped.
            pub async fn wait_for_subscriber(
                &self,
                topic: impl AsRef<[u8]>,
            ) -> Result<(), crate::Closed> {
                let $this = self;
                $socket.move_here();
                $socket.core.wait_for_subscriber(topic.as_ref()).await
            }

            /// Closes the socket: nothing more is sent or accepted, and what is queued is delivered for as
            /// long as [`linger`](crate::PubOptions::linger) says. Returns what could not be, once every
            /// task has ended and every descriptor is closed.
            ///
            /// # Cancel safety
            /// If the future is dropped the socket is closed all the same; lingering then ends with the
            /// last handle and its own time.
            pub async fn close(&self) -> crate::Unfinished {
                let $this = self;
                $socket.close().await
            }

            /// Does as [`close`](Self::close), but delivers for no longer than `time`, whatever
            /// [`linger`](crate::PubOptions::linger) says.
            ///
            /// # Cancel safety
            /// As [`close`](Self::close).
            pub async fn close_within(&self, time: std::time::Duration) -> crate::Unfinished {
                let $this = self;
                $socket.close_lingering(crate::Linger::For(time)).await
            }
        }

        crate::engine::socket::endpoint_methods!($face, $this => $socket);
    };
}

pub(crate) use publisher_methods;

publisher_methods!(PubSocket, this => this.socket);

impl Default for PubSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for PubSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PubSocket").finish_non_exhaustive()
    }
}
