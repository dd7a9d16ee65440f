//! How the tool uses sockets of each kind.

use std::time::Duration;

use bytes::Bytes;
use zmtp_socket::kind::{
    Dealer, Kind, Pair, Pub, Publishes, Pull, Push, Receives, Rep, Req, Router, Sub, Unicasts,
    XPub, XSub,
};
use zmtp_socket::{
    Closed, Handle, HighWaterMark, Message, Options, Peer, Reply, Request, SendError, WhenFull,
};

use super::args::Base;
use crate::exec::ReturnRoute;
use crate::output::Incoming;
use crate::role::Side;

/// Options that only some kinds have.
#[derive(Debug)]
pub(crate) struct Tuning {
    pub(super) hwm: HighWaterMark,
    pub(super) when_full: WhenFull,
    pub(super) identity: Bytes,
    pub(super) request_timeout: Option<Duration>,
    pub(super) retries: u32,
}

impl Tuning {
    pub(super) fn of(base: &Base) -> Self {
        Self {
            hwm: base.link.hwm(),
            when_full: WhenFull::Wait,
            identity: Bytes::new(),
            request_timeout: None,
            retries: 0,
        }
    }
}

/// A socket type.
pub(crate) trait Talks: Kind {
    /// The side for an endpoint whose form does not tell.
    const USUAL: Side;
    /// Whether it runs until it is told to end, without --count.
    const RUNS_ON: bool = true;
    /// Whether a message that nobody has subscribed to is sent to nobody.
    const DROPS_UNASKED: bool = false;

    fn tune(options: Options<Self>, tuning: &Tuning) -> Options<Self>;
}

/// A socket type that sends.
pub(crate) trait Speaks: Talks {
    async fn send(handle: &Handle<Self>, message: Message) -> Result<(), SendError>;

    /// Waits until a message that begins with `first` would have a receiver.
    async fn wait_for_peer(handle: &Handle<Self>, first: &[u8]) -> Result<(), Closed>;
}

/// A socket type that receives.
pub(crate) trait Hears: Talks + Receives {
    fn incoming(received: Self::Received, handle: &Handle<Self>)
    -> (Incoming, Option<ReturnRoute>);
}

/// The rows of the table below: the type, its usual side, the two constants, and its options.
macro_rules! talks {
    ($($kind:ident $side:ident $runs_on:literal $drops:literal |$options:ident, $tuning:ident| $tuned:expr;)*) => {$(
        impl Talks for $kind {
            const USUAL: Side = Side::$side;
            const RUNS_ON: bool = $runs_on;
            const DROPS_UNASKED: bool = $drops;

            fn tune($options: Options<Self>, $tuning: &Tuning) -> Options<Self> {
                $tuned
            }
        }
    )*};
}

talks! {
    Pub Bind false true |options, it| options.send_hwm(it.hwm).when_full(it.when_full);
    XPub Bind true true |options, it| options.send_hwm(it.hwm).when_full(it.when_full);
    Sub Connect true false |options, it| options.receive_hwm(it.hwm);
    XSub Connect true false |options, it| options.receive_hwm(it.hwm);
    Push Connect false false |options, it| options.send_hwm(it.hwm);
    Pull Bind true false |options, it| options.receive_hwm(it.hwm);
    Pair Connect true false |options, it| options.send_hwm(it.hwm).receive_hwm(it.hwm);
    Dealer Connect true false |options, it| {
        options.send_hwm(it.hwm).receive_hwm(it.hwm).identity(it.identity.clone())
    };
    Router Bind true false |options, it| {
        let options = options.send_hwm(it.hwm).receive_hwm(it.hwm).when_full(it.when_full);
        options.identity(it.identity.clone()).mandatory(true)
    };
    Req Connect false false |options, it| {
        let options = options.identity(it.identity.clone()).retries(it.retries).correlate(true);
        match it.request_timeout {
            Some(time) => options.request_timeout(time),
            None => options,
        }
    };
    Rep Bind true false |options, it| options.receive_hwm(it.hwm).when_full(it.when_full);
}

/// Types that send in the same way.
macro_rules! speaks {
    ($($kind:ident waits by $wait:ident;)*) => {$(
        impl Speaks for $kind {
            async fn send(handle: &Handle<Self>, message: Message) -> Result<(), SendError> {
                handle.send(message).await
            }

            async fn wait_for_peer(handle: &Handle<Self>, first: &[u8]) -> Result<(), Closed> {
                $wait(handle, first).await
            }
        }
    )*};
}

speaks! {
    Pub waits by for_subscriber;
    XPub waits by for_subscriber;
    Push waits by for_peer;
    Pair waits by for_peer;
    Dealer waits by for_peer;
}

async fn for_subscriber<T: Publishes>(handle: &Handle<T>, first: &[u8]) -> Result<(), Closed> {
    handle.wait_for_subscriber(first).await
}

async fn for_peer<T: Unicasts>(handle: &Handle<T>, _first: &[u8]) -> Result<(), Closed> {
    handle.wait_for_peer().await
}

impl Speaks for XSub {
    async fn send(handle: &Handle<Self>, message: Message) -> Result<(), SendError> {
        handle.send(message).await
    }

    async fn wait_for_peer(handle: &Handle<Self>, _first: &[u8]) -> Result<(), Closed> {
        handle.wait_for_publisher().await
    }
}

/// The first part names the peer, as in a message that a ROUTER receives.
impl Speaks for Router {
    async fn send(handle: &Handle<Self>, mut message: Message) -> Result<(), SendError> {
        match message.pop_front() {
            Some(identity) => handle.send_to(&identity, message).await,
            None => Err(SendError::Unroutable),
        }
    }

    async fn wait_for_peer(handle: &Handle<Self>, first: &[u8]) -> Result<(), Closed> {
        for_peer(handle, first).await
    }
}

/// Types whose messages are received as they are.
macro_rules! hears {
    ($($kind:ident)*) => {$(
        impl Hears for $kind {
            fn incoming(message: Message, _handle: &Handle<Self>) -> (Incoming, Option<ReturnRoute>) {
                (Incoming::Message(message), None)
            }
        }
    )*};
}

hears!(Sub XSub Pull Pair Dealer);

impl Hears for Router {
    fn incoming(
        received: (Peer, Message),
        handle: &Handle<Self>,
    ) -> (Incoming, Option<ReturnRoute>) {
        let (peer, mut message) = received;
        message.prepend(peer.identity().cloned().unwrap_or_default());
        (Incoming::Message(message), Some(ReturnRoute::Named(handle.clone(), peer)))
    }
}

impl Hears for Rep {
    fn incoming(
        received: (Message, Reply),
        _handle: &Handle<Self>,
    ) -> (Incoming, Option<ReturnRoute>) {
        let (message, reply) = received;
        (Incoming::Message(message), Some(ReturnRoute::Reply(reply)))
    }
}

impl Hears for XPub {
    fn incoming(request: Request, _handle: &Handle<Self>) -> (Incoming, Option<ReturnRoute>) {
        let incoming = match request {
            Request::Subscribe { topic, .. } => Incoming::Subscribe(topic),
            Request::Unsubscribe { topic, .. } => Incoming::Unsubscribe(topic),
            Request::Message { message, .. } => Incoming::Message(message),
            // A kind of request that this program does not know yet.
            other => Incoming::Message(format!("{other:?}").into()),
        };
        (incoming, None)
    }
}
