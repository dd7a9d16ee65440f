//! The classic ZeroMQ weather server and client on [`zmtp_socket`].
//!
//! A server publishes updates, `{zipcode} {temperature} {relhumidity}`, for a hundred thousand
//! places; a client subscribes to one zipcode and reports the mean temperature there. Four programs
//! are made of these parts: `weather-publisher`, `weather-subscriber`, `weather-proxy` between
//! them, and `weather-demo`, which is server and client at once.

pub mod cli;
mod counted;
#[cfg(feature = "libzmq")]
pub mod interop;
mod interrupts;
mod notes;
mod publisher;
mod queue;
mod security;
pub mod story;
mod subscriber;
mod update;
#[cfg(feature = "web")]
pub mod web;

pub use cli::Failure;
pub use counted::Counted;
pub use interrupts::Interrupts;
pub use notes::{Notes, watch};
pub use publisher::{Pace, PublishOptions, publish, report_rates};
pub use queue::Queue;
pub use security::{ClientSecurity, ServerSecurity};
pub use subscriber::{CollectOptions, Collection, collect};
pub use update::{HUMIDITIES, TEMPERATURES, Update, UpdateError, ZIPCODES};
