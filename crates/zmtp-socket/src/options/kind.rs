//! The kinds of sockets, as types.

use std::fmt::Debug;

use super::{Asking, Hearing, Options, Publishing, SocketRole, Subscribing};

/// What has options: the sockets of one [kind](crate::kind::Kind), or [one endpoint](Endpoints) of a
/// socket of any kind.
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

/// Publishes, and hears what subscribers want: the kind of an [`XPubSocket`](crate::XPubSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct XPub;

/// Subscribes: the kind of a [`SubSocket`](crate::SubSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct Sub;

/// Subscribes, and sends messages to publishers: the kind of an [`XSubSocket`](crate::XSubSocket).
#[derive(Clone, Copy, Debug, Default)]
pub struct XSub;

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

mod sealed {
    use super::{Configured, Endpoints, SocketRole};

    pub trait Sealed {}

    impl Sealed for Endpoints {}
    impl<T: Configured<Role: SocketRole>> Sealed for T {}
}
