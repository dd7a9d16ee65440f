//! XPUB, XSUB and the proxy between them, our own and libzmq's.

mod curve_hostile;
mod interop;
mod matrix;
mod party;
mod proxy;
mod security;
mod tree;
mod wishes;
mod xpub;
mod xsub;
