//! What the tests share: peers of libzmq and pyzmq, peers made of octets by hand, a network on
//! which everything goes wrong, and calls that are dropped wherever they wait.

pub mod cancel;
pub mod census;
pub mod guard;
pub mod libzmq;
pub mod network;
pub mod pyzmq;
pub mod raw;
pub mod secured;
pub mod story;
pub mod theirs;
pub mod wiretap;
