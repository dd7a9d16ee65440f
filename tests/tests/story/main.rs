//! The stories of publish and subscribe, and the semantics behind them, between our own sockets.

mod addresses;
mod calls;
mod closing;
mod endpoint_options;
mod endpoints;
mod full;
mod log;
mod many;
mod meeting;
mod monitor;
mod options;
mod pace;
mod panics;
mod runtimes;
mod sight;
mod subscriptions;
mod workers;
