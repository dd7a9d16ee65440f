//! The kinds of sockets, as types.

use std::fmt::Debug;

use super::{
    Asking, Dealing, Hearing, InTurn, Options, Pairing, Publishing, Receiving, Replying,
    Requesting, Routing, SocketRole, Subscribing,
};

/// A type that has options: a [kind](crate::kind::Kind) of sockets, or [one endpoint](Endpoints) of a socket
/// of any kind.
pub trait Configured: sealed::Sealed + Clone + Debug + Default + Send + Sync + 'static {
    /// The options that it has beside those of its connections.
    type Role: Clone + Debug + Default + Send + Sync + 'static;
}

/// The options of one endpoint of a socket, and of the connections through it: see
/// [`bind_with`](crate::Handle::bind_with) and [`connect_with`](crate::Handle::connect_with).
pub type EndpointOptions = Options<Endpoints>;

/// One endpoint. It has the options that concern connections, and no others.
#[derive(Clone, Copy, Debug, Default)]
pub struct Endpoints;

/// Publishes: the kind of a [`PubSocket`](crate::PubSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pub;

/// Publishes, and receives its subscribers' requests: the kind of an
/// [`XPubSocket`](crate::XPubSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct XPub;

/// Subscribes: the kind of a [`SubSocket`](crate::SubSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Sub;

/// Subscribes, and sends messages to publishers: the kind of an [`XSubSocket`](crate::XSubSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct XSub;

/// Sends to its peers in turn: the kind of a [`PushSocket`](crate::PushSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Push;

/// Receives from its peers in turn: the kind of a [`PullSocket`](crate::PullSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pull;

/// Talks with one peer: the kind of a [`PairSocket`](crate::PairSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Pair;

/// Sends to its peers in turn, and receives from them: the kind of a [`DealerSocket`](crate::DealerSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Dealer;

/// Receives from its peers, and sends to the one that is named: the kind of a [`RouterSocket`](crate::RouterSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Router;

/// Asks its peers in turn: the kind of a [`ReqSocket`](crate::ReqSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Req;

/// Answers its peers: the kind of a [`RepSocket`](crate::RepSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Rep;

impl Configured for Endpoints {
    type Role = ();
}

impl Configured for Pub {
    type Role = Publishing;
}

impl Configured for XPub {
    type Role = Hearing;
}

impl Configured for Sub {
    type Role = Subscribing;
}

impl Configured for XSub {
    type Role = Asking;
}

impl Configured for Push {
    type Role = InTurn;
}

impl Configured for Pull {
    type Role = Receiving;
}

impl Configured for Pair {
    type Role = Pairing;
}

impl Configured for Dealer {
    type Role = Dealing;
}

impl Configured for Router {
    type Role = Routing;
}

impl Configured for Req {
    type Role = Requesting;
}

impl Configured for Rep {
    type Role = Replying;
}

/// A type that may have an identity: a socket whose peer may be a ROUTER, or its endpoints.
pub trait Identified: Configured {}

impl Identified for Req {}
impl Identified for Dealer {}
impl Identified for Router {}
impl Identified for Endpoints {}

mod sealed {
    use super::{Configured, Endpoints, SocketRole};

    pub trait Sealed {}

    impl Sealed for Endpoints {}
    impl<T: Configured<Role: SocketRole>> Sealed for T {}
}
