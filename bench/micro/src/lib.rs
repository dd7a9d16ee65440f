//! What the microbenchmarks, the comparison of indexes and the count of instructions have in common.

pub mod scene;
pub mod topics;
pub mod wire;
