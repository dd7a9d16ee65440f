//! The transports: tcp, ipc, and pipes within the process. The code above uses only [`Stream`],
//! [`Listener`] and [`Dialler`].

mod addresses;
mod dialler;
mod direct;
mod hub;
#[cfg(unix)]
mod ipc;
#[cfg(not(unix))]
#[path = "ipc/missing.rs"]
mod ipc;
mod outlet;
mod raw;
mod receipts;
#[cfg(feature = "simulation")]
pub mod simulation;
mod socks;
mod support;
mod tcp;
#[cfg(feature = "ws")]
pub(crate) mod ws;

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

pub(crate) use dialler::Dialler;
pub(crate) use direct::{Direct, Holder, Intake, NoRoom, is_allowed};
use hub::Hub;
use outlet::Inlet;
pub(crate) use outlet::Outlet;
pub(crate) use receipts::Receipts;
#[cfg(feature = "simulation")]
use simulation::Simulation;
pub(crate) use support::check;
use support::check_judge;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

use crate::endpoint::{Endpoint, Host};
use crate::options::{LinkOptions, TcpOptions};

/// An ordered stream of octets in both directions, within the process.
#[cfg_attr(not(feature = "simulation"), expect(unreachable_pub, reason = "public in simulations"))]
pub trait Pipe: AsyncRead + AsyncWrite + Send + Unpin + 'static {}

impl<T: AsyncRead + AsyncWrite + Send + Unpin + 'static> Pipe for T {}

/// The networks within this process: each context has its own. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Networks {
    inproc: Hub,
    #[cfg(feature = "simulation")]
    pub(crate) simulation: Option<Simulation>,
}

impl Networks {
    /// Whether a name within the process has a listener.
    pub(crate) fn has_inproc(&self, name: &str) -> bool {
        self.inproc.has(name)
    }

    /// Takes note that no further name within the process will be bound.
    pub(crate) fn complete_inproc(&self) {
        self.inproc.complete();
    }

    /// Whether a name within the process has no listener, and will have none.
    pub(crate) fn is_without_inproc(&self, name: &str) -> bool {
        self.inproc.is_without(name)
    }

    /// The source of the random jitter of a socket's reconnecting.
    pub(crate) fn chance(&self) -> fastrand::Rng {
        #[cfg(feature = "simulation")]
        if let Some(simulation) = &self.simulation {
            return simulation.chance();
        }
        fastrand::Rng::new()
    }

    /// Whether the peers are in the network of a simulation.
    pub(crate) fn are_simulated(&self) -> bool {
        #[cfg(feature = "simulation")]
        return self.simulation.is_some();
        #[cfg(not(feature = "simulation"))]
        false
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
    /// A socket of the system: tcp or ipc.
    System(Inlet, Outlet),
    /// A pipe within the process, and what its ends share beside it.
    Pipe(Box<dyn Pipe>, Option<Box<Beside>>),
    Raw(Box<raw::Raw>),
    #[cfg(feature = "ws")]
    Ws(Box<ws::WebSocket>),
}

/// One end of the receipts and of the direct way, which two ends share beside the octets of a pipe.
pub(crate) struct Beside {
    receipts: Option<Box<Receipts>>,
    direct: Direct,
}

impl Beside {
    /// Both ends.
    fn pair() -> (Box<Self>, Box<Self>) {
        let (receipts, their_receipts) = Receipts::pair();
        let (direct, their_direct) = Direct::pair();
        let end = |receipts, direct| Box::new(Self { receipts: Some(Box::new(receipts)), direct });
        (end(receipts, direct), end(their_receipts, their_direct))
    }
}

impl Stream {
    /// The writing side, where it can be shared.
    pub(crate) fn outlet(&self) -> Option<&Outlet> {
        match self {
            Self::System(_, outlet) => Some(outlet),
            Self::Pipe(..) | Self::Raw(_) => None,
            #[cfg(feature = "ws")]
            Self::Ws(_) => None,
        }
    }

    /// Notes that the handshake is done: larger input is accepted from now on.
    #[cfg_attr(
        not(feature = "ws"),
        expect(clippy::needless_pass_by_ref_mut, reason = "no transport here minds")
    )]
    pub(crate) fn establish(&mut self) {
        #[cfg(feature = "ws")]
        if let Self::Ws(socket) = self {
            socket.establish();
        }
    }

    /// The sub-protocol of a WebSocket connection, after its upgrade.
    pub(crate) fn sub_protocol(&self) -> Option<&'static str> {
        match self {
            #[cfg(feature = "ws")]
            Self::Ws(socket) => socket.sub_protocol(),
            _ => None,
        }
    }

    /// Ready once the user has ended the connection by a message, and all before it is written.
    pub(crate) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        match self {
            Self::Raw(raw) => raw.poll_ended(cx),
            _ => Poll::Pending,
        }
    }

    /// The receipts that are exchanged beside the octets. They are returned once.
    pub(crate) fn take_receipts(&mut self) -> Option<Box<Receipts>> {
        match self {
            Self::Pipe(_, beside) => beside.as_mut()?.receipts.take(),
            _ => None,
        }
    }

    /// The way of messages beside the octets, if there is one.
    pub(crate) fn direct(&self) -> Option<&Direct> {
        match self {
            Self::Pipe(_, beside) => beside.as_ref().map(|beside| &beside.direct),
            _ => None,
        }
    }

    /// The number of its descriptor, if it has one.
    pub(crate) fn descriptor(&self) -> Option<i32> {
        match self {
            Self::Raw(raw) => raw.descriptor(),
            stream => stream.outlet().and_then(Outlet::descriptor),
        }
    }
}

impl From<TcpStream> for Stream {
    fn from(stream: TcpStream) -> Self {
        let (read, write) = stream.into_split();
        Self::System(Inlet::Tcp(read), Outlet::Tcp(Arc::new(write)))
    }
}

#[cfg(unix)]
impl From<tokio::net::UnixStream> for Stream {
    fn from(stream: tokio::net::UnixStream) -> Self {
        let (read, write) = stream.into_split();
        Self::System(Inlet::Ipc(read), Outlet::Ipc(Arc::new(write)))
    }
}

/// A connection and the transport's name for its other side.
pub(crate) type Connected = (Stream, String);

/// A listening endpoint. Dropping it frees the address.
pub(crate) enum Listener {
    Tcp(tcp::Listener),
    Raw(tcp::Listener, raw::Terms),
    Ipc(ipc::Listener),
    Hub(hub::Listener),
    #[cfg(feature = "ws")]
    Ws(ws::Listener),
}

impl Listener {
    /// Binds `endpoint`, and returns it with the port or the path that was chosen, where any would do.
    pub(crate) async fn bind(
        endpoint: &Endpoint,
        networks: &Networks,
        options: &LinkOptions,
    ) -> io::Result<(Self, Endpoint)> {
        check(endpoint, options)?;
        check_judge(options)?;
        match endpoint {
            Endpoint::Tcp { host, port } => {
                #[cfg(unix)]
                if let Some(socket) = &options.listener {
                    let listener = tcp::Listener::on(socket)?;
                    let (host, port) = listener.address(&Host::Any)?;
                    let endpoint = Endpoint::Tcp { host, port };
                    return Ok((Self::tcp(listener, options), endpoint));
                }
                let listener = tcp::Listener::bind(host, *port, networks, &options.tcp).await?;
                let (host, port) = listener.address(host)?;
                Ok((Self::tcp(listener, options), Endpoint::Tcp { host, port }))
            }
            Endpoint::Ipc(address) => {
                let (listener, address) = ipc::Listener::bind(address, options).await?;
                Ok((Self::Ipc(listener), Endpoint::Ipc(address)))
            }
            Endpoint::Inproc(name) => {
                Ok((Self::Hub(networks.inproc.listen(name)?), endpoint.clone()))
            }
            #[cfg(feature = "ws")]
            Endpoint::Ws { host, port, path } => {
                let listener = tcp::Listener::bind(host, *port, networks, &options.tcp).await?;
                let (host, port) = listener.address(host)?;
                let listener = ws::Listener::new(listener, ws::Terms::new(path, options));
                Ok((Self::Ws(listener), Endpoint::Ws { host, port, path: path.clone() }))
            }
            #[cfg(feature = "wss")]
            Endpoint::Wss { host, port, path } => {
                let terms = ws::Terms::new(path, options).over_tls_as_server(options)?;
                let listener = tcp::Listener::bind(host, *port, networks, &options.tcp).await?;
                let (host, port) = listener.address(host)?;
                let listener = ws::Listener::new(listener, terms);
                Ok((Self::Ws(listener), Endpoint::Wss { host, port, path: path.clone() }))
            }
            #[cfg(feature = "simulation")]
            Endpoint::Mem(name) => {
                Ok((Self::Hub(networks.simulation()?.listen(name)?), endpoint.clone()))
            }
        }
    }

    fn tcp(listener: tcp::Listener, options: &LinkOptions) -> Self {
        match raw::Terms::of(options) {
            None => Self::Tcp(listener),
            Some(terms) => Self::Raw(listener, terms),
        }
    }

    /// The next peer. Wakes the task that asked last.
    pub(crate) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        match self {
            Self::Tcp(listener) => listener.poll_accept(cx),
            Self::Raw(listener, terms) => {
                listener.poll_accept(cx).map_ok(|connected| terms.met(connected))
            }
            Self::Ipc(listener) => listener.poll_accept(cx),
            Self::Hub(listener) => listener.poll_accept(cx),
            #[cfg(feature = "ws")]
            Self::Ws(listener) => listener.poll_accept(cx),
        }
    }
}

/// Limits an attempt to connect to the time in the options.
async fn in_time<T>(
    options: &TcpOptions,
    asking: impl Future<Output = io::Result<T>>,
) -> io::Result<T> {
    let answer = tokio::time::timeout(options.connect_timeout, asking).await;
    answer.unwrap_or_else(|_elapsed| Err(io::ErrorKind::TimedOut.into()))
}

impl AsyncRead for Stream {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(inlet, _) => inlet.poll_read(cx, buffer),
            Self::Pipe(pipe, _) => Pin::new(pipe).poll_read(cx, buffer),
            Self::Raw(raw) => Pin::new(&mut **raw).poll_read(cx, buffer),
            #[cfg(feature = "ws")]
            Self::Ws(socket) => Pin::new(&mut **socket).poll_read(cx, buffer),
        }
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[io::IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        match self.get_mut() {
            Self::System(_, outlet) => outlet.poll_write(cx, slices),
            Self::Pipe(pipe, _) => Pin::new(pipe).poll_write_vectored(cx, slices),
            Self::Raw(raw) => Pin::new(&mut **raw).poll_write_vectored(cx, slices),
            #[cfg(feature = "ws")]
            Self::Ws(socket) => Pin::new(&mut **socket).poll_write_vectored(cx, slices),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match self {
            Self::System(..) => true,
            Self::Pipe(pipe, _) => pipe.is_write_vectored(),
            Self::Raw(raw) => raw.is_write_vectored(),
            #[cfg(feature = "ws")]
            Self::Ws(socket) => socket.is_write_vectored(),
        }
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(..) => Poll::Ready(Ok(())),
            Self::Pipe(pipe, _) => Pin::new(pipe).poll_flush(cx),
            Self::Raw(raw) => Pin::new(&mut **raw).poll_flush(cx),
            #[cfg(feature = "ws")]
            Self::Ws(socket) => Pin::new(&mut **socket).poll_flush(cx),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.get_mut() {
            Self::System(_, outlet) => Poll::Ready(outlet.shutdown()),
            Self::Pipe(pipe, _) => Pin::new(pipe).poll_shutdown(cx),
            Self::Raw(raw) => Pin::new(&mut **raw).poll_shutdown(cx),
            #[cfg(feature = "ws")]
            Self::Ws(socket) => Pin::new(&mut **socket).poll_shutdown(cx),
        }
    }
}
