//! The writing side of a connection, which its driver shares with who sends.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::net::{tcp, unix};

/// Where octets go out. Who writes must be the only one who may: a frame must not be cut in two by
/// another.
#[derive(Clone, Debug)]
pub(crate) enum Outlet {
    Tcp(Arc<tcp::OwnedWriteHalf>),
    Ipc(Arc<unix::OwnedWriteHalf>),
}

/// Calls the same method on whichever it is.
macro_rules! each {
    ($outlet:expr, $half:ident => $call:expr) => {
        match $outlet {
            Outlet::Tcp($half) => $call,
            Outlet::Ipc($half) => $call,
        }
    };
}

impl Outlet {
    /// Writes what the system takes at once.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, half => half.try_write_vectored(slices))
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(each!(self, half => half.as_ref().as_ref().poll_write_ready(cx)))?;
            match self.try_write(slices) {
                // It was thought to be ready, and is no longer.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    pub(super) fn shutdown(&self) -> io::Result<()> {
        each!(self, half => SockRef::from(half.as_ref().as_ref()).shutdown(Shutdown::Write))
    }
}
