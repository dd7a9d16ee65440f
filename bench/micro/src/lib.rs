//! Code that the microbenchmarks, the comparison of indexes and the count of instructions share.

pub mod scene;
pub mod topics;
pub mod wire;
