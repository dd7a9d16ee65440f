//! The public faces of the sockets.

#[cfg(feature = "blocking")]
pub mod blocking;
pub(crate) mod context;
pub(crate) mod proxy;
pub(crate) mod pub_sink;
pub(crate) mod pub_socket;
pub(crate) mod sub_socket;
pub(crate) mod xpub_socket;
pub(crate) mod xsub_socket;
