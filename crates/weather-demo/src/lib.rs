//! The classic ZeroMQ weather server and client on [`zmtp_socket`].
//!
//! A server publishes updates, `{zipcode} {temperature} {relhumidity}`, for a hundred thousand places;
//! a client subscribes to one zipcode and says how warm it was there. Three programs are made of these
//! parts: `weather-publisher`, `weather-subscriber`, and `weather-demo`, which is both at once.

pub mod cli;
#[cfg(feature = "libzmq")]
pub mod interop;
mod notes;
mod publisher;
mod security;
mod subscriber;
mod update;

pub use cli::Failure;
pub use notes::{Notes, watch};
pub use publisher::{Pace, PublishOptions, publish, report_rates};
pub use security::{ClientSecurity, ServerSecurity};
pub use subscriber::{CollectOptions, Collection, collect};
pub use update::{HUMIDITIES, TEMPERATURES, Update, UpdateError, ZIPCODES};
