//! The substitute for `ipc` where the system, or tokio on it, has no Unix domain sockets.

use std::io;

use super::Connected;
use crate::endpoint::IpcAddress;
use crate::options::LinkOptions;

/// A type without values: no listener exists.
pub(crate) enum Listener {}

impl Listener {
    pub(super) async fn bind(
        _address: &IpcAddress,
        _options: &LinkOptions,
    ) -> io::Result<(Self, IpcAddress)> {
        Err(io::ErrorKind::Unsupported.into())
    }

    pub(super) async fn accept(&self) -> io::Result<Connected> {
        match *self {}
    }
}

pub(super) async fn dial(_address: &IpcAddress) -> io::Result<Connected> {
    Err(io::ErrorKind::Unsupported.into())
}
