"""The driver of the benchmarks: starts peers in pairs, checks what they report, and shows it."""
