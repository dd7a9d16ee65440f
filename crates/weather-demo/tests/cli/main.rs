//! The programs as their users run them: what they print, how they end, and the stories of a server
//! and a client that come and go.

mod input;
mod process;
mod shared;
mod stories;
mod terminal;
#[cfg(feature = "web")]
mod web;
