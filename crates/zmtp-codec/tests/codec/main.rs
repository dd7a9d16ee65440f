//! The codec as its callers see it: whole conversations, on virtual time, and under attack.

mod boundaries;
#[cfg(feature = "curve")]
mod curve;
#[cfg(feature = "curve")]
mod curve_limits;
mod layers;
mod limits;
mod observer;
mod pair;
mod round_trips;
mod socket_types;
mod splits;
mod wire;
