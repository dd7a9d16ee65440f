//! What carries octets: tcp, ipc, and pipes inside the process. Everything above knows only
//! [`Stream`], [`Listener`] and [`dial`].

mod hub;
mod ipc;
#[cfg(feature = "simulation")]
pub mod simulation;
mod tcp;

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, UnixStream};

use crate::Endpoint;
use crate::options::TcpOptions;
use hub::Hub;
#[cfg(feature = "simulation")]
use simulation::Simulation;

/// Octets in order, both ways, inside the process.
#[cfg_attr(not(feature = "simulation"), expect(unreachable_pub, reason = "public in simulations"))]
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Pipe for T {}

/// The networks that end within this process: each context has its own. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Networks {
    inproc: Hub,
    #[cfg(feature = "simulation")]
    pub(crate) simulation: Option<Simulation>,
}

impl Networks {
    /// Where the jitter of a socket's reconnecting begins.
    pub(crate) fn chance(&self) -> fastrand::Rng {
        #[cfg(feature = "simulation")]
        if let Some(simulation) = &self.simulation {
            return simulation.chance();
        }
        fastrand::Rng::new()
    }

    #[cfg(feature = "simulation")]
    fn simulation(&self) -> io::Result<&Simulation> {
        self.simulation.as_ref().ok_or_else(|| {
            io::Error::new(io::ErrorKind::Unsupported, "this context simulates no network")
        })
    }
}

/// One connection of any transport.
pub(crate) enum Stream {
    Tcp(TcpStream),
    Ipc(UnixStream),
    Pipe(Box<dyn Pipe>),
}

/// A connection and the transport's name for its other side.
pub(crate) type Connected = (Stream, String);

/// A place where peers arrive. Dropping it frees the address.
pub(crate) enum Listener {
    Tcp(tokio::net::TcpListener),
    Ipc(ipc::Listener),
    Hub(hub::Listener),
}

impl Listener {
    /// Opens `endpoint` for peers, and says what it is really called (the port, where any would do).
    pub(crate) async fn bind(
        endpoint: &Endpoint,
        networks: &Networks,
        options: TcpOptions,
    ) -> io::Result<(Self, Endpoint)> {
        match endpoint {
            Endpoint::Tcp { host, port } => {
                let (listener, endpoint) = tcp::bind(host, *port, options).await?;
                Ok((Self::Tcp(listener), endpoint))
            }
            Endpoint::Ipc(address) => {
                let listener = ipc::Listener::bind(address).await?;
                Ok((Self::Ipc(listener), endpoint.clone()))
            }
            Endpoint::Inproc(name) => {
                Ok((Self::Hub(networks.inproc.listen(name)?), endpoint.clone()))
            }
            #[cfg(feature = "simulation")]
            Endpoint::Mem(name) => {
                Ok((Self::Hub(networks.simulation()?.listen(name)?), endpoint.clone()))
            }
        }
    }

    /// The next peer. Cancel-safe.
    pub(crate) async fn accept(&mut self) -> io::Result<Connected> {
        match self {
            Self::Tcp(listener) => tcp::accept(listener).await,
            Self::Ipc(listener) => listener.accept().await,
            Self::Hub(listener) => listener.accept().await,
        }
    }
}

/// Connects to `endpoint` once. Names are looked up anew. Cancel-safe.
pub(crate) async fn dial(
    endpoint: &Endpoint,
    networks: &Networks,
    options: TcpOptions,
) -> io::Result<Connected> {
    match endpoint {
        Endpoint::Tcp { host, port } => tcp::dial(host, *port, options).await,
        Endpoint::Ipc(address) => ipc::dial(address).await,
        Endpoint::Inproc(name) => networks.inproc.dial(name).await,
        #[cfg(feature = "simulation")]
        Endpoint::Mem(name) => networks.simulation()?.dial(name).await,
    }
}

/// Calls the same method on whichever stream it is.
macro_rules! each {
    ($stream:expr, $method:ident($($argument:expr),*)) => {
        match $stream.get_mut() {
            Stream::Tcp(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Ipc(stream) => Pin::new(stream).$method($($argument),*),
            Stream::Pipe(stream) => Pin::new(stream).$method($($argument),*),
        }
    };
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        each!(self, poll_read(cx, buffer))
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        each!(self, poll_write(cx, octets))
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        each!(self, poll_write_vectored(cx, slices))
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::Tcp(_) | Self::Ipc(_) => true,
            Self::Pipe(stream) => stream.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, poll_flush(cx))
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        each!(self, poll_shutdown(cx))
    }
}
