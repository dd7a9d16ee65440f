//! The two sides of a socket of the system: the reading side, and the writing side, which a connection's
//! driver shares with the senders.

use std::io::{self, IoSlice};
use std::net::Shutdown;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use socket2::SockRef;
use tokio::io::{AsyncRead as _, Interest, ReadBuf};
use tokio::net::tcp;
#[cfg(unix)]
use tokio::net::unix;

/// The reading side.
#[derive(Debug)]
pub(crate) enum Inlet {
    Tcp(tcp::OwnedReadHalf),
    #[cfg(unix)]
    Ipc(unix::OwnedReadHalf),
}

/// The writing side. A writer must first make sure that it is the only one: no other may write in the
/// middle of a frame.
#[derive(Clone, Debug)]
pub(crate) enum Outlet {
    Tcp(Arc<tcp::OwnedWriteHalf>),
    #[cfg(unix)]
    Ipc(Arc<unix::OwnedWriteHalf>),
}

/// Calls the same method on either variant.
macro_rules! each {
    ($side:expr, $half:ident => $call:expr) => {
        match $side {
            Self::Tcp($half) => $call,
            #[cfg(unix)]
            Self::Ipc($half) => $call,
        }
    };
}

/// Writes without a signal if the peer has gone: SIGPIPE would end a program that is not Rust's own.
#[cfg(any(target_os = "android", target_os = "linux"))]
fn send(socket: &SockRef<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    const NO_SIGNAL: std::ffi::c_int = 0x4000;
    socket.send_vectored_with_flags(slices, NO_SIGNAL)
}

/// Here the standard library has already disabled the signal.
#[cfg(not(any(target_os = "android", target_os = "linux")))]
fn send(socket: &SockRef<'_>, slices: &[IoSlice<'_>]) -> io::Result<usize> {
    socket.send_vectored(slices)
}

impl Inlet {
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, half => Pin::new(half).poll_read(cx, buffer))
    }
}

impl Outlet {
    /// An outlet over tcp, and the other end of its connection.
    #[cfg(all(test, target_os = "linux"))]
    pub(crate) async fn connected() -> (Self, tokio::net::TcpStream) {
        use tokio::net::{TcpListener, TcpStream};

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let stream = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
        let peer = listener.accept().await.unwrap().0;
        (Self::Tcp(Arc::new(stream.into_split().1)), peer)
    }

    /// The number of its descriptor.
    #[cfg(unix)]
    pub(crate) fn descriptor(&self) -> Option<i32> {
        use std::os::fd::AsRawFd;

        Some(match self {
            Self::Tcp(half) => AsRef::<tokio::net::TcpStream>::as_ref(&**half).as_raw_fd(),
            Self::Ipc(half) => AsRef::<tokio::net::UnixStream>::as_ref(&**half).as_raw_fd(),
        })
    }

    /// This system has no descriptors.
    #[cfg(not(unix))]
    pub(crate) fn descriptor(&self) -> Option<i32> {
        None
    }

    /// Writes as many octets as the system takes at once.
    pub(crate) fn try_write(&self, slices: &[IoSlice<'_>]) -> io::Result<usize> {
        each!(self, half => {
            let stream = half.as_ref().as_ref();
            stream.try_io(Interest::WRITABLE, || send(&SockRef::from(stream), slices))
        })
    }

    pub(super) fn poll_write(
        &self,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        loop {
            ready!(each!(self, half => half.as_ref().as_ref().poll_write_ready(cx)))?;
            match self.try_write(slices) {
                // The socket was reported as ready, and is no longer.
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                written => return Poll::Ready(written),
            }
        }
    }

    pub(super) fn shutdown(&self) -> io::Result<()> {
        each!(self, half => SockRef::from(half.as_ref().as_ref()).shutdown(Shutdown::Write))
    }
}
