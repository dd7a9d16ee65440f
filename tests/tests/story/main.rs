//! The stories of publish and subscribe, and the semantics behind them, between our own sockets.

mod calls;
mod closing;
mod endpoints;
mod meeting;
mod monitor;
mod options;
mod pace;
mod subscriptions;
