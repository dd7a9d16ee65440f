//! Microbenchmarks: `cargo bench -p micro`. They are in `benches/`.
