//! XPUB, XSUB and the proxy between them, our own and libzmq's.

mod authorize;
mod curve_hostile;
mod denial;
mod downgrade;
mod interop;
mod matrix;
mod party;
mod proxy;
mod security;
mod tree;
mod wishes;
mod xpub;
mod xsub;
mod xsub_ends;
