//! What the tests share: peers of libzmq and pyzmq, peers made of octets by hand, and a network
//! on which everything goes wrong.

pub mod libzmq;
pub mod network;
pub mod pyzmq;
pub mod raw;
pub mod story;
pub mod wiretap;
