//! The sockets, as their users see them.

#[cfg(feature = "blocking")]
pub mod blocking;
pub(crate) mod context;
pub(crate) mod dealer_router;
pub(crate) mod handle;
pub mod kind;
pub(crate) mod pair;
pub(crate) mod proxy;
pub(crate) mod pub_socket;
pub(crate) mod push_pull;
pub(crate) mod relay;
pub(crate) mod req_rep;
pub(crate) mod sink;
pub(crate) mod socket;
pub(crate) mod sub_socket;
pub(crate) mod xpub_socket;
pub(crate) mod xsub_socket;
