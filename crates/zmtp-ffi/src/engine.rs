//! The library's sockets of all types, behind one Rust type.

use std::ffi::c_int;
use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll, Waker, ready};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use futures_sink::Sink;
use zmtp_socket::{
    BindError, ConnectError, Duplicates, Endpoint, EndpointOptions, HighWaterMark, Linger, Message,
    Monitor, Options as EngineOptions, Outgoing, Peer, Reply, Request, RequestError, SendError,
    Socket, UnknownEndpoint, Verbosity, WhenFull, XSubOptions, kind,
};

use crate::errno::Errno;
use crate::kind::Kind;
use crate::options::{self, Options};

/// A socket of the library.
#[derive(Debug)]
pub(crate) enum Engine {
    Pair(Socket<kind::Pair>),
    Pub(Socket<kind::Pub>),
    Sub(Socket<kind::Sub>),
    Req(Socket<kind::Req>),
    Rep(Socket<kind::Rep>, Option<Reply>),
    Dealer(Socket<kind::Dealer>),
    Router(Socket<kind::Router>),
    Pull(Socket<kind::Pull>),
    Push(Socket<kind::Push>),
    XPub(Socket<kind::XPub>, Option<Peer>),
    XSub(Socket<kind::XSub>),
}

/// A message that was received.
#[derive(Debug)]
pub(crate) struct Incoming {
    /// The name of a ROUTER's peer, which is a part before the others.
    pub(crate) identity: Option<Bytes>,
    pub(crate) message: Message,
    pub(crate) peer: Option<Peer>,
}

/// A call that has begun and not ended.
pub(crate) type Pending<T> = Pin<Box<dyn Future<Output = T> + Send>>;

macro_rules! each {
    ($engine:expr, $socket:ident => $does:expr) => {
        match $engine {
            Engine::Pair($socket) => $does,
            Engine::Pub($socket) => $does,
            Engine::Sub($socket) => $does,
            Engine::Req($socket) => $does,
            Engine::Rep($socket, _) => $does,
            Engine::Dealer($socket) => $does,
            Engine::Router($socket) => $does,
            Engine::Pull($socket) => $does,
            Engine::Push($socket) => $does,
            Engine::XPub($socket, _) => $does,
            Engine::XSub($socket) => $does,
        }
    };
}

impl Engine {
    /// A socket of this type, with those options that concern the whole socket.
    pub(crate) fn new(context: &zmtp_socket::Context, kind: Kind, options: &Options) -> Self {
        let (send, receive) = (mark(options, options::SNDHWM), mark(options, options::RCVHWM));
        let flag = |number| options.flag(number);
        let (conflate, immediate) = (flag(options::CONFLATE), flag(options::IMMEDIATE));
        let inverted = flag(options::INVERT_MATCHING);
        let probe = flag(options::PROBE_ROUTER);
        macro_rules! sending {
            ($options:expr) => {
                $options.send_hwm(send).send_hwm_octets(usize::MAX)
            };
        }
        macro_rules! receiving {
            ($options:expr) => {
                $options.receive_hwm(receive).receive_hwm_octets(usize::MAX).turns_by_message(true)
            };
        }
        macro_rules! begin {
            () => {
                EngineOptions::new().linger(Linger::Forever)
            };
        }
        let full = when_full(options);
        match kind {
            Kind::Pair => {
                let options = receiving!(sending!(begin!())).immediate(immediate);
                Self::Pair(context.socket(options.conflate(conflate)))
            }
            Kind::Pub => {
                let options = sending!(begin!()).when_full(full).invert_matching(inverted);
                let options = options.duplicate_subscriptions(Duplicates::AsSet);
                let options = if conflate { options.conflate(true) } else { options };
                Self::Pub(context.socket(options))
            }
            Kind::Sub => {
                let options = receiving!(begin!()).invert_matching(inverted).conflate(conflate);
                Self::Sub(context.socket(options.tell_repeated_subscriptions(true)))
            }
            Kind::Req => {
                let correlate = flag(options::REQ_CORRELATE);
                let options = receiving!(sending!(begin!())).immediate(immediate).probe(probe);
                Self::Req(context.socket(options.correlate(correlate)))
            }
            Kind::Rep => Self::Rep(context.socket(receiving!(sending!(begin!()))), None),
            Kind::Dealer => {
                let options = receiving!(sending!(begin!())).immediate(immediate).probe(probe);
                Self::Dealer(context.socket(options.conflate(conflate)))
            }
            Kind::Router => {
                // An option decides at any time whether a message without a route is an error or
                // dropped. So this socket always reports it, and the caller drops.
                let options = begin!().mandatory(true).when_full(WhenFull::Wait);
                let options = options.handover(flag(options::ROUTER_HANDOVER)).probe(probe);
                Self::Router(context.socket(receiving!(sending!(options))))
            }
            Kind::Stream => {
                let options = begin!().mandatory(true).when_full(WhenFull::Wait);
                Self::Router(context.socket(receiving!(sending!(options))))
            }
            Kind::Pull => Self::Pull(context.socket(receiving!(begin!()).conflate(conflate))),
            Kind::Push => Self::Push(context.socket(sending!(begin!()).immediate(immediate))),
            Kind::XPub => {
                let verbosity = verbosity(options);
                let manual = flag(options::XPUB_MANUAL);
                let built = sending!(begin!()).when_full(full).invert_matching(inverted);
                let built = built.duplicate_subscriptions(Duplicates::AsSet);
                let built = built.verbosity(verbosity).manual(manual).only_first_subscribe(false);
                let welcome = options.octets(options::XPUB_WELCOME_MSG);
                let built = if welcome.is_empty() { built } else { built.welcome(welcome) };
                let built = if conflate { built.conflate(true) } else { built };
                Self::XPub(context.socket(built), None)
            }
            Kind::XSub => {
                let options = receiving!(sending!(begin!())).conflate(conflate);
                let options: XSubOptions = options.tell_repeated_subscriptions(true);
                Self::XSub(context.socket(options.only_first_subscribe(false)))
            }
        }
    }

    /// Applies a changed option.
    pub(crate) fn change(&mut self, number: c_int, options: &Options) {
        let (is_on, mark) = (options.flag(number), mark(options, number));
        match (number, self) {
            (options::SNDHWM, Self::Pair(socket)) => socket.set_send_hwm(mark),
            (options::SNDHWM, Self::Dealer(socket)) => socket.set_send_hwm(mark),
            (options::SNDHWM, Self::Router(socket)) => socket.set_send_hwm(mark),
            (options::SNDHWM, Self::Push(socket)) => socket.set_send_hwm(mark),
            (options::SNDHWM, Self::XSub(socket)) => socket.set_send_hwm(mark),
            (options::RCVHWM, Self::Pair(socket)) => socket.set_receive_hwm(mark),
            (options::RCVHWM, Self::Sub(socket)) => socket.set_receive_hwm(mark),
            (options::RCVHWM, Self::Dealer(socket)) => socket.set_receive_hwm(mark),
            (options::RCVHWM, Self::Router(socket)) => socket.set_receive_hwm(mark),
            (options::RCVHWM, Self::Pull(socket)) => socket.set_receive_hwm(mark),
            (options::RCVHWM, Self::XSub(socket)) => socket.set_receive_hwm(mark),
            (options::CONFLATE, Self::Pair(socket)) => socket.set_conflate(is_on),
            (options::CONFLATE, Self::Sub(socket)) => socket.set_conflate(is_on),
            (options::CONFLATE, Self::Dealer(socket)) => socket.set_conflate(is_on),
            (options::CONFLATE, Self::Pull(socket)) => socket.set_conflate(is_on),
            (options::CONFLATE, Self::XSub(socket)) => socket.set_conflate(is_on),
            (options::SNDHWM | options::CONFLATE | options::XPUB_NODROP, Self::Pub(socket)) => {
                publish_by(socket, options);
            }
            (options::SNDHWM | options::CONFLATE | options::XPUB_NODROP, Self::XPub(socket, _)) => {
                publish_by(socket, options);
            }
            (options::IMMEDIATE, Self::Pair(socket)) => socket.set_immediate(is_on),
            (options::IMMEDIATE, Self::Push(socket)) => socket.set_immediate(is_on),
            (options::IMMEDIATE, Self::Dealer(socket)) => socket.set_immediate(is_on),
            (options::IMMEDIATE, Self::Req(socket)) => socket.set_immediate(is_on),
            (options::PROBE_ROUTER, Self::Dealer(socket)) => socket.set_probe(is_on),
            (options::PROBE_ROUTER, Self::Router(socket)) => socket.set_probe(is_on),
            (options::PROBE_ROUTER, Self::Req(socket)) => socket.set_probe(is_on),
            (options::REQ_CORRELATE, Self::Req(socket)) => socket.set_correlate(is_on),
            (options::XPUB_VERBOSE | options::XPUB_VERBOSER, Self::XPub(socket, _)) => {
                socket.set_verbosity(verbosity(options));
            }
            (options::XPUB_MANUAL, Self::XPub(socket, _)) => {
                socket.set_manual(is_on, verbosity(options));
            }
            (options::XPUB_WELCOME_MSG, Self::XPub(socket, _)) => {
                let welcome = options.octets(number);
                socket.set_welcome((!welcome.is_empty()).then(|| welcome.into()));
            }
            (options::INVERT_MATCHING, Self::Pub(socket)) => socket.set_invert_matching(is_on),
            (options::INVERT_MATCHING, Self::XPub(socket, _)) => socket.set_invert_matching(is_on),
            (options::INVERT_MATCHING, Self::Sub(socket)) => socket.set_invert_filter(is_on),
            (options::INVERT_MATCHING, Self::XSub(socket)) => socket.set_invert_filter(is_on),
            (options::ROUTER_HANDOVER, Self::Router(socket)) => socket.set_handover(is_on),
            _ => {}
        }
    }

    /// Begins to bind.
    pub(crate) fn bind(
        &self,
        endpoint: Endpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions + Send + 'static,
    ) -> Pending<Result<Endpoint, BindError>> {
        each!(self, socket => {
            let handle = socket.handle();
            Box::pin(async move { handle.bind_with(endpoint, change).await })
        })
    }

    pub(crate) fn connect(
        &self,
        endpoint: Endpoint,
        change: impl FnOnce(EndpointOptions) -> EndpointOptions,
    ) -> Result<Endpoint, ConnectError> {
        each!(self, socket => socket.connect_with(endpoint, change))
    }

    /// Begins to close an endpoint, bound or connected.
    pub(crate) fn end(
        &self,
        endpoint: Endpoint,
        is_bound: bool,
    ) -> Pending<Result<(), UnknownEndpoint>> {
        each!(self, socket => {
            let handle = socket.handle();
            Box::pin(async move {
                match is_bound {
                    true => handle.unbind(endpoint).await,
                    false => handle.disconnect(endpoint).await,
                }
            })
        })
    }

    /// Drops the messages that have come through a connected endpoint.
    pub(crate) fn discard(&mut self, endpoint: &Endpoint) {
        let dropped = match self {
            Self::Pair(socket) => socket.discard_received(endpoint),
            Self::Sub(socket) => socket.discard_received(endpoint),
            Self::Dealer(socket) => socket.discard_received(endpoint),
            Self::Pull(socket) => socket.discard_received(endpoint),
            Self::XSub(socket) => socket.discard_received(endpoint),
            _ => Ok(()),
        };
        dropped.expect("it is one that was connected");
    }

    pub(crate) fn monitor(&self) -> Monitor {
        each!(self, socket => socket.monitor())
    }

    /// Begins to close the socket: queued messages are delivered for at most the linger time.
    pub(crate) fn close(self, linger: Option<Duration>) -> Pending<()> {
        each!(self, socket => Box::pin(async move {
            let _unfinished = match linger {
                Some(time) => socket.close_within(time).await,
                None => socket.close().await,
            };
        }))
    }

    /// Subscribes, or cancels a subscription; an XPUB does so for the peer of the last request that was
    /// [given](Self::given) to the program.
    pub(crate) fn subscribe(&self, topic: &[u8], wants: bool) {
        match (self, wants) {
            (Self::Sub(socket), true) => socket.subscribe(topic),
            (Self::Sub(socket), false) => drop(socket.unsubscribe(topic)),
            (Self::XPub(socket, Some(peer)), true) => drop(socket.subscribe(peer, topic)),
            (Self::XPub(socket, Some(peer)), false) => drop(socket.unsubscribe(peer, topic)),
            _ => {}
        }
    }

    /// The next message, if one has arrived.
    #[inline]
    pub(crate) fn try_recv(&mut self) -> Option<Result<Incoming, Errno>> {
        macro_rules! next {
            ($socket:expr) => {
                match $socket.try_recv() {
                    Ok(message) => {
                        let peer = $socket.sender().cloned();
                        Some(Ok(Incoming { identity: None, message, peer }))
                    }
                    Err(error) => match error.into() {
                        Errno::EAGAIN => None,
                        errno => Some(Err(errno)),
                    },
                }
            };
        }
        match self {
            Self::Sub(socket) => next!(socket),
            Self::Pull(socket) => next!(socket),
            Self::Dealer(socket) => next!(socket),
            Self::Pair(socket) => next!(socket),
            Self::XSub(socket) => next!(socket),
            _ => match self.poll_recv(&mut Context::from_waker(Waker::noop())) {
                Poll::Ready(received) => Some(received),
                Poll::Pending => None,
            },
        }
    }

    /// Lends the next message and its sender to `look`, and takes it, if it has one part of at most
    /// `most` octets and arrived in the same batch as the last one.
    #[inline]
    pub(crate) fn lend_next<R>(
        &mut self,
        most: usize,
        look: impl FnOnce(&[u8], &Peer) -> R,
    ) -> Option<R> {
        match self {
            Self::Sub(socket) => socket.try_recv_in_hand(most, look),
            Self::Pull(socket) => socket.try_recv_in_hand(most, look),
            Self::Dealer(socket) => socket.try_recv_in_hand(most, look),
            Self::Pair(socket) => socket.try_recv_in_hand(most, look),
            Self::XSub(socket) => socket.try_recv_in_hand(most, look),
            _ => None,
        }
    }

    /// How many messages are known to have arrived and were not received; `None` if that is not known.
    pub(crate) fn backlog(&self) -> Option<usize> {
        Some(match self {
            Self::Sub(socket) => socket.backlog(),
            Self::Pull(socket) => socket.backlog(),
            Self::Dealer(socket) => socket.backlog(),
            Self::Pair(socket) => socket.backlog(),
            Self::XSub(socket) => socket.backlog(),
            _ => return None,
        })
    }

    /// Waits for the next message.
    pub(crate) fn poll_recv(&mut self, cx: &mut Context<'_>) -> Poll<Result<Incoming, Errno>> {
        macro_rules! next {
            ($socket:expr) => {
                match ready!(Pin::new(&mut *$socket).poll_next(cx)) {
                    Some(received) => received,
                    None => return Poll::Ready(Err(Errno::ETERM)),
                }
            };
        }
        macro_rules! message {
            ($socket:expr) => {{
                let message = next!($socket);
                let peer = $socket.sender().cloned();
                Incoming { identity: None, message, peer }
            }};
        }
        Poll::Ready(Ok(match self {
            Self::Pub(_) | Self::Push(_) => return Poll::Ready(Err(Errno::ENOTSUP)),
            Self::Sub(socket) => message!(socket),
            Self::Pull(socket) => message!(socket),
            Self::Dealer(socket) => message!(socket),
            Self::Pair(socket) => message!(socket),
            Self::XSub(socket) => message!(socket),
            Self::Router(socket) => {
                let (peer, message) = next!(socket);
                let identity = Some(peer.identity().cloned().unwrap_or_default());
                Incoming { identity, message, peer: Some(peer) }
            }
            Self::Rep(socket, waiting) => {
                let (message, reply) = next!(socket);
                let peer = Some(reply.peer().clone());
                *waiting = Some(reply);
                Incoming { identity: None, message, peer }
            }
            Self::Req(socket) => match ready!(socket.poll_reply(cx)) {
                Ok(message) => {
                    let peer = socket.replier().cloned();
                    Incoming { identity: None, message, peer }
                }
                // As with libzmq, which waits for ever, only the program's own time limit ends the
                // wait.
                Err(RequestError::Lost) => return Poll::Pending,
                Err(_) => return Poll::Ready(Err(Errno::ETERM)),
            },
            Self::XPub(socket, _) => {
                let (peer, message) = match next!(socket) {
                    Request::Subscribe { peer, topic } => (peer, framed(1, &topic)),
                    Request::Unsubscribe { peer, topic } => (peer, framed(0, &topic)),
                    Request::Message { peer, message } => (peer, message),
                    // There is no other request.
                    _ => return Poll::Pending,
                };
                Incoming { identity: None, message, peer: Some(peer) }
            }
        }))
    }

    /// Sends at once, or returns why it cannot. A publisher that `waits` loses no message. A ROUTER
    /// does not send here: it needs the name of the peer.
    #[inline]
    pub(crate) fn try_send(&mut self, message: Outgoing<'_>, waits: bool) -> Result<(), SendError> {
        match self {
            Self::Push(socket) => socket.try_send(message),
            Self::Dealer(socket) => socket.try_send(message),
            Self::Pair(socket) => socket.try_send(message),
            Self::XSub(socket) => socket.try_send(message),
            // A publisher that waits for room yields to other threads when it has to.
            Self::Pub(socket) if waits => socket.try_send(message),
            Self::XPub(socket, _) if waits => socket.try_send(message),
            Self::Pub(socket) => publish(socket, message),
            Self::XPub(socket, _) => publish(socket, message),
            Self::Req(socket) => socket.try_request(message),
            Self::Rep(_, reply) => match reply.take() {
                Some(reply) => reply.try_send(message),
                None => Ok(()),
            },
            // These do not send, and a ROUTER's caller names the peer.
            Self::Router(_) | Self::Sub(_) | Self::Pull(_) => Ok(()),
        }
    }

    /// Begins to send a message that must wait for room.
    pub(crate) fn send(&self, message: Message) -> Option<Pending<Result<(), SendError>>> {
        macro_rules! send {
            ($socket:expr) => {{
                let handle = $socket.handle();
                Some(Box::pin(async move { handle.send(message).await }))
            }};
        }
        match self {
            Self::Pub(socket) => send!(socket),
            Self::XPub(socket, _) => send!(socket),
            Self::Push(socket) => send!(socket),
            Self::Dealer(socket) => send!(socket),
            Self::Pair(socket) => send!(socket),
            _ => None,
        }
    }

    /// Makes futures that wait until the transports have taken all queued messages; `None` if the
    /// socket cannot tell.
    pub(crate) fn flusher(&self) -> Option<Box<dyn Fn() -> Pending<()> + Send + Sync>> {
        macro_rules! flush {
            ($socket:expr) => {{
                let handle = $socket.handle();
                Some(Box::new(move || {
                    let mut handle = handle.clone();
                    Box::pin(poll_fn(move |cx| Pin::new(&mut handle).poll_flush(cx).map(drop)))
                }))
            }};
        }
        match self {
            Self::Pub(socket) => flush!(socket),
            Self::XPub(socket, _) => flush!(socket),
            Self::Push(socket) => flush!(socket),
            Self::Dealer(socket) => flush!(socket),
            Self::Pair(socket) => flush!(socket),
            _ => None,
        }
    }

    /// Waits until there is room for a message; of a ROUTER, until some peer has room.
    pub(crate) fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Push(socket) => socket.poll_room(cx).map(drop),
            Self::Dealer(socket) => socket.poll_room(cx).map(drop),
            Self::Pair(socket) => socket.poll_room(cx).map(drop),
            Self::Req(socket) => socket.poll_room(cx).map(drop),
            Self::Router(socket) => socket.poll_room(cx).map(drop),
            _ => Poll::Ready(()),
        }
    }

    /// Begins to wait until there is room for a message that begins with this part. That decides about
    /// the room of a ROUTER, whose peer it names, and of a publisher, whose topic it is.
    pub(crate) fn wait_for_room(&self, first: &[u8]) -> Option<Pending<Result<(), SendError>>> {
        let first = Bytes::copy_from_slice(first);
        macro_rules! wait {
            ($socket:expr) => {{
                let handle = $socket.handle();
                Some(Box::pin(async move { Ok(handle.wait_for_room(&first).await?) }))
            }};
        }
        match self {
            Self::Router(socket) => {
                let handle = socket.handle();
                Some(Box::pin(async move { handle.wait_for_room(&first).await }))
            }
            Self::Pub(socket) => wait!(socket),
            Self::XPub(socket, _) => wait!(socket),
            _ => None,
        }
    }

    /// Notes that a received message is given to the program: from now on, an XPUB subscribes its peer.
    pub(crate) fn given(&mut self, incoming: &Incoming) {
        if let Self::XPub(_, last) = self {
            last.clone_from(&incoming.peer);
        }
    }
}

/// Sends to all subscribers, and yields to other threads now and then.
#[inline]
fn publish<T: kind::Sends>(socket: &Socket<T>, message: Outgoing<'_>) -> Result<(), SendError> {
    let mut sending = std::pin::pin!(socket.send(message));
    let cx = &mut Context::from_waker(Waker::noop());
    for _ in 0..2 {
        if let Poll::Ready(sent) = sending.as_mut().poll(cx) {
            return sent;
        }
        std::thread::yield_now();
    }
    // The message waits for room.
    Err(SendError::Full)
}

/// Sets what a publisher does for a peer whose queue is full, and when it is.
fn publish_by<T: kind::Publishes>(socket: &Socket<T>, options: &Options) {
    let (hwm, full) = match options.flag(options::CONFLATE) {
        true => (HighWaterMark::messages(1), WhenFull::DropOldest),
        false => (mark(options, options::SNDHWM), when_full(options)),
    };
    socket.set_send_hwm(hwm);
    socket.set_when_full(full);
}

/// A subscription or its cancellation, in the form of a message.
fn framed(first: u8, topic: &Bytes) -> Message {
    let mut octets = Vec::with_capacity(1 + topic.len());
    octets.push(first);
    octets.extend_from_slice(topic);
    octets.into()
}

fn when_full(options: &Options) -> WhenFull {
    if options.flag(options::XPUB_NODROP) { WhenFull::Wait } else { WhenFull::DropNew }
}

fn verbosity(options: &Options) -> Verbosity {
    match (options.flag(options::XPUB_VERBOSER), options.flag(options::XPUB_VERBOSE)) {
        (true, _) => Verbosity::All,
        (false, true) => Verbosity::Subscriptions,
        (false, false) => Verbosity::Distinct,
    }
}

fn mark(options: &Options, number: i32) -> HighWaterMark {
    match options.int(number) {
        0 => HighWaterMark::Unlimited,
        count => HighWaterMark::messages(usize::try_from(count).unwrap_or(usize::MAX)),
    }
}
