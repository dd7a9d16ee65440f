//! The SUB socket.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use zmtp_codec::SocketType;

use crate::engine::socket::Socket;
use crate::monitor::Events;
use crate::options::{Linger, LinkConfig, LinkOptions, SocketOptions, SubOptions};
use crate::patterns::subscribe::SubCore;
use crate::receive::Receiver;
use crate::sockets::context::Context;
use crate::stats::Unfinished;

/// Receives the messages it subscribed to (RFC 29, The SUB Socket Type).
///
/// A new socket is subscribed to nothing and receives nothing. Subscriptions are prefixes of a
/// message's first part; the empty one matches every message. They outlive every connection:
/// each publisher is told all of them whenever it is reached, or reached again.
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
pub struct SubSocket {
    pub(crate) handle: SubHandle,
    pub(crate) receiver: Receiver,
}

/// A handle on a [`SubSocket`], for other tasks than the one that receives. Cheap to clone. It does
/// not keep the socket open.
#[derive(Clone)]
pub struct SubHandle {
    pub(crate) socket: Arc<Socket<SubCore>>,
}

impl SubSocket {
    /// A subscriber in the process-wide context, with the default options.
    pub fn new() -> Self {
        Self::with_context(&Context::global(), SubOptions::new())
    }

    /// A subscriber in the process-wide context.
    pub fn with_options(options: SubOptions) -> Self {
        Self::with_context(&Context::global(), options)
    }

    pub(crate) fn with_context(context: &Context, options: SubOptions) -> Self {
        let SubOptions { link, socket, role } = options;
        let core = |events| SubCore::new(role, None, events);
        Self::of_type(context, SocketType::Sub, link, socket, Linger::NONE, core)
    }

    pub(crate) fn of_type(
        context: &Context,
        socket_type: SocketType,
        link: LinkOptions,
        socket: SocketOptions,
        linger: Linger,
        core: impl FnOnce(Arc<Events>) -> SubCore,
    ) -> Self {
        let linger = socket.linger.unwrap_or(linger);
        let terms = LinkConfig::new(link, socket_type);
        let events = Arc::new(Events::default());
        let core = core(events.clone());
        let socket = Arc::new(Socket::new(&context.networks, core, terms, socket, linger, events));
        Self { handle: SubHandle { socket }, receiver: Receiver::default() }
    }
}

/// The methods of every socket that subscribes and of its handle, for a type `$face` whose socket is
/// `$socket`. They are written, and documented, here alone.
macro_rules! subscriber_methods {
    ($face:ty, $this:ident => $socket:expr) => {
        impl $face {
            /// Subscribes to every message whose first part begins with `topic`, any octets.
            /// Subscriptions count: two to the same topic take two calls of
            /// [`unsubscribe`](Self::unsubscribe).
            pub fn subscribe(&self, topic: impl AsRef<[u8]>) {
                let $this = self;
                $socket.core.subscribe(topic.as_ref());
            }

            /// Subscribes to every message: to the empty topic, which
            /// [`unsubscribe`](Self::unsubscribe) takes back.
            pub fn subscribe_all(&self) {
                self.subscribe("");
            }

            /// Takes one subscription back. Once it was the last to this topic, no message that only
            /// it matched is received any more, even if it has already arrived. Returns whether there
            /// was such a subscription.
            pub fn unsubscribe(&self, topic: impl AsRef<[u8]>) -> bool {
                let $this = self;
                $socket.core.unsubscribe(topic.as_ref())
            }

            /// How many publishers are connected, their handshakes done.
            pub fn publisher_count(&self) -> usize {
                let $this = self;
                $socket.core.publisher_count()
            }

            /// Waits until some publisher is connected, its handshake done.
            ///
            /// # Errors
            /// [`Closed`](crate::Closed) once the socket has been closed.
            ///
            /// # Cancel safety
            /// Nothing is lost if the future is dropped.
            pub async fn wait_for_publisher(&self) -> Result<(), crate::Closed> {
                let $this = self;
                $socket.move_here();
                $socket.core.wait_for_publisher().await
            }
        }

        crate::engine::socket::endpoint_methods!($face, $this => $socket);
    };
}

pub(crate) use subscriber_methods;

/// The methods of every socket that receives messages, for a type `$face` that is, or has in it, the
/// [`SubSocket`] `$sub`. They are written, and documented, here alone.
macro_rules! receiver_methods {
    ($face:ty, $this:ident => $sub:expr) => {
        impl $face {
            /// Receives the next message. Publishers take turns; each one's messages come in the order
            /// in which it sent them on one connection; what was left of an earlier connection to the
            /// same endpoint comes before. A publisher that is gone, or not there yet, leaves this
            /// waiting.
            ///
            /// A message may share the buffer that it was read into, if it fills at least half of that:
            /// as long as it or a clone of a part is kept, it keeps about twice its size in memory, at
            /// most.
            ///
            /// # Errors
            /// [`Closed`](crate::RecvError::Closed) once the socket has been closed through a
            /// [handle](Self::handle) and everything that had arrived has been received.
            ///
            /// # Cancel safety
            /// No message is lost if the future is dropped.
            pub async fn recv(&mut self) -> Result<crate::Message, crate::RecvError> {
                let $this = self;
                let socket = &$sub.handle.socket;
                let receiver = &mut $sub.receiver;
                let next =
                    std::future::poll_fn(|cx| socket.follow(receiver.poll_next(&*socket.core, cx)));
                Ok(next.await?)
            }

            /// Receives the next message if one has arrived.
            ///
            /// # Errors
            /// [`Empty`](crate::TryRecvError::Empty) if none has;
            /// [`Closed`](crate::TryRecvError::Closed) as for [`recv`](Self::recv).
            pub fn try_recv(&mut self) -> Result<crate::Message, crate::TryRecvError> {
                let $this = self;
                let next = $sub.receiver.try_next(&*$sub.handle.socket.core)?;
                next.ok_or(crate::TryRecvError::Empty)
            }

            /// Receives the next message and the publisher that it came from: what the handshake has
            /// told of the publisher is in its [`info`](crate::Peer::info). It may have gone by now.
            ///
            /// # Errors
            /// As [`recv`](Self::recv).
            ///
            /// # Cancel safety
            /// As [`recv`](Self::recv).
            pub async fn recv_from(
                &mut self,
            ) -> Result<(crate::Peer, crate::Message), crate::RecvError> {
                let message = self.recv().await?;
                let sender = self.sender().expect("a message has been received");
                Ok((sender.clone(), message))
            }

            /// Waits for a message, and appends it to `messages` with those that have arrived behind
            /// it, `limit` at most. Returns how many they are: at least one, unless `limit` is 0.
            ///
            /// # Errors
            /// As [`recv`](Self::recv); then nothing has been appended.
            ///
            /// # Cancel safety
            /// No message is lost, and none has been appended, if the future is dropped.
            ///
            /// ```
            /// use zmtp_socket::{Context, PubOptions, SubOptions};
            ///
            /// # #[tokio::main(flavor = "current_thread")]
            /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
            /// # let context = Context::new();
            /// # let publisher = context.pub_socket(PubOptions::new());
            /// # let mut subscriber = context.sub_socket(SubOptions::new());
            /// # publisher.bind("inproc://weather").await?;
            /// # subscriber.connect("inproc://weather")?;
            /// # subscriber.subscribe_all();
            /// # publisher.wait_for_subscriber("").await?;
            /// # for number in 0..3u8 { publisher.send(&[number]).await?; }
            /// let (mut messages, mut received) = (Vec::new(), 0);
            /// while received < 3 {
            ///     received += subscriber.recv_many(&mut messages, 100).await?;
            ///     for message in messages.drain(..) {
            ///         println!("{message:?}");
            ///     }
            /// }
            /// # Ok(())
            /// # }
            /// ```
            pub async fn recv_many(
                &mut self,
                messages: &mut Vec<crate::Message>,
                limit: usize,
            ) -> Result<usize, crate::RecvError> {
                if limit == 0 {
                    return Ok(0);
                }
                messages.push(self.recv().await?);
                Ok(1 + self.take_arrived(messages, limit - 1))
            }

            /// Appends what has arrived to `messages`, `limit` at most. Returns how many they are.
            pub(crate) fn take_arrived(
                &mut self,
                messages: &mut Vec<crate::Message>,
                limit: usize,
            ) -> usize {
                let before = messages.len();
                messages.extend(std::iter::from_fn(|| self.try_recv().ok()).take(limit));
                messages.len() - before
            }

            /// The publisher that the message came from which was received last; see
            /// [`recv_from`](Self::recv_from). None before the first message.
            pub fn sender(&self) -> Option<&crate::Peer> {
                let $this = self;
                $sub.receiver.sender()
            }

            /// A handle to subscribe, connect and look on with while another task receives.
            pub fn handle(&self) -> crate::SubHandle {
                let $this = self;
                $sub.handle.clone()
            }

            /// Closes the socket. Returns what had arrived and was not received, and what was not sent,
            /// once every task has ended and every descriptor is closed.
            ///
            /// # Cancel safety
            /// If the future is dropped the socket is closed all the same.
            pub async fn close(self) -> crate::Unfinished {
                let $this = self;
                let closed = $sub.handle.close().await;
                $sub.receiver.left_unread(closed)
            }

            /// Does as [`close`](Self::close), but delivers what is queued for no longer than `time`,
            /// whatever [`linger`](crate::SubOptions::linger) says.
            ///
            /// # Cancel safety
            /// As [`close`](Self::close).
            pub async fn close_within(self, time: std::time::Duration) -> crate::Unfinished {
                let $this = self;
                let closed = $sub.handle.close_within(time).await;
                $sub.receiver.left_unread(closed)
            }
        }

        /// The messages as a stream, which ends when the socket has been closed.
        impl futures_core::Stream for $face {
            type Item = crate::Message;

            fn poll_next(
                self: std::pin::Pin<&mut Self>,
                cx: &mut std::task::Context<'_>,
            ) -> std::task::Poll<Option<crate::Message>> {
                let $this = self.get_mut();
                let socket = &$sub.handle.socket;
                socket.follow($sub.receiver.poll_next(&*socket.core, cx)).map(Result::ok)
            }
        }
    };
}

pub(crate) use receiver_methods;

subscriber_methods!(SubSocket, this => this.handle.socket);
receiver_methods!(SubSocket, this => this);
subscriber_methods!(SubHandle, this => this.socket);

impl SubHandle {
    /// Closes the socket from another task: its [`recv`](SubSocket::recv) gives what has arrived and then
    /// [`RecvError::Closed`](crate::RecvError::Closed). Returns what was not sent, and what had arrived and was not received: that
    /// can still be.
    ///
    /// # Cancel safety
    /// If the future is dropped the socket is closed all the same.
    pub async fn close(&self) -> Unfinished {
        self.socket.close().await
    }

    /// Does as [`close`](Self::close), but delivers what is queued for no longer than `time`, whatever
    /// [`linger`](SubOptions::linger) says.
    ///
    /// # Cancel safety
    /// As [`close`](Self::close).
    pub async fn close_within(&self, time: Duration) -> Unfinished {
        self.socket.close_lingering(Linger::For(time)).await
    }
}

impl Default for SubSocket {
    fn default() -> Self {
        Self::new()
    }
}

impl Drop for SubSocket {
    fn drop(&mut self) {
        // Handles elsewhere do not keep it open.
        self.handle.socket.close_in_background();
    }
}

impl fmt::Debug for SubSocket {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubSocket").finish_non_exhaustive()
    }
}

impl fmt::Debug for SubHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SubHandle").finish_non_exhaustive()
    }
}
