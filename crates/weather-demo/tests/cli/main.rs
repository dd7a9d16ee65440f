//! The programs as their users run them: what they print, how they end, and the stories of a server
//! and a client that come and go.

mod input;
mod process;
// The demo is in no registry, so its tests may use a file of another crate; those of the tool go with its package.
#[path = "../../../zmtp-cli/tests/cli/shared.rs"]
mod shared;
mod stories;
mod terminal;
#[cfg(feature = "web")]
mod web;
