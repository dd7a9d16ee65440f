//! `ws://host:port/path`: the WebSocket transport (RFC 45, ZWS 2.0), which browsers speak too.
//!
//! To its driver, a connection looks like a stream of ZMTP octets. WebSocket messages that arrive become
//! ZMTP frames, the driver's frames are sent as WebSocket messages, and the parts of ZMTP that ZWS does
//! not send (the greeting and, in the bare profile, READY) are made here. So the driver, its sessions,
//! limits, deadlines and batches are one code path for all transports, and the codec knows nothing of
//! HTTP. The price is a copy in each direction, which a client has to make in any case, since it masks.
//!
//! The driver can read the octets of a message as they arrive: the codec checks the size of the message
//! when it is announced. Only a message in fragments is gathered here, up to the codec's limits.
//! Therefore HTTP and the headers of frames are handled by the crate `tungstenite`, but not its
//! messages: it reserves as much memory as a peer announces.
//!
//! The HTTP upgrade runs in the connection's task as part of its handshake, and has the deadline of the
//! handshake.
//!
//! | profile | greeting and handshake | commands |
//! |---|---|---|
//! | `ZWS2.0` | each side's identity, as a message | none |
//! | `ZWS2.0/NULL`, `/PLAIN` | the mechanism's commands | those of the handshake |
//! | `ZWS2.0/CURVE` | the mechanism's commands | sealed |
//!
//! Subscriptions are messages in all of them. A heartbeat is a WebSocket ping, which every browser
//! answers. Under CURVE there is none, because a sealed command cannot be turned into a ping.

#[cfg(feature = "fuzzing")]
pub(crate) mod fuzz;
mod inbound;
mod mask;
mod outbound;
#[cfg(feature = "wss")]
mod tls;
mod upgrade;

use std::future::Future;
use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use inbound::{Breach, Inbound, Step};
use outbound::Outbound;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use tungstenite::protocol::frame::coding::CloseCode;

use super::{Connected, Stream, tcp};
use crate::endpoint::Host;
use crate::options::{LinkOptions, Security};

/// Octets reserved for a read, before the end of the handshake and after.
const FIRST_READ: usize = 1 << 10;
const READ: usize = 16 << 10;

/// The number of consecutive reads and control frames without octets for the driver after which other
/// tasks get their turn.
const IDLE: usize = 32;

/// The protocol within a WebSocket connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Profile {
    Bare,
    Null,
    Plain,
    #[cfg(feature = "curve")]
    Curve,
}

impl Profile {
    const fn name(self) -> &'static str {
        match self {
            Self::Bare => "ZWS2.0",
            Self::Null => "ZWS2.0/NULL",
            Self::Plain => "ZWS2.0/PLAIN",
            #[cfg(feature = "curve")]
            Self::Curve => "ZWS2.0/CURVE",
        }
    }

    /// The name of its mechanism in a greeting of ZMTP.
    const fn mechanism(self) -> &'static str {
        match self {
            Self::Bare | Self::Null => "NULL",
            Self::Plain => "PLAIN",
            #[cfg(feature = "curve")]
            Self::Curve => "CURVE",
        }
    }

    /// Whether the traffic is unencrypted, so that commands can be read here.
    fn is_plain(self) -> bool {
        self.mechanism() != "CURVE"
    }
}

/// The options of one endpoint that concern its peers.
#[derive(Clone, Debug)]
pub(super) struct Terms {
    /// In the order in which a client offers them. (A server takes the last one that it is offered.)
    profiles: &'static [Profile],
    path: Arc<str>,
    origins: Arc<[String]>,
    /// The size limit of a message in fragments, in octets, before the end of the handshake and after.
    first_limit: usize,
    limit: usize,
    #[cfg(feature = "wss")]
    tls: Option<tls::Tls>,
}

impl Terms {
    pub(super) fn new(path: &str, options: &LinkOptions) -> Self {
        let profiles: &[Profile] = match &options.security {
            // Some servers take the first profile that is offered, so that is the one that all peers
            // support.
            Security::Null => &[Profile::Bare, Profile::Null],
            Security::PlainClient { .. } | Security::PlainServer(_) => &[Profile::Plain],
            #[cfg(feature = "curve")]
            Security::CurveClient { .. } | Security::CurveServer { .. } => &[Profile::Curve],
        };
        let limits = &options.limits;
        // The flags take one more octet.
        let limit = |octets: u64| usize::try_from(octets).unwrap_or(usize::MAX).saturating_add(1);
        Self {
            profiles,
            path: path.into(),
            origins: options.ws_origins.clone(),
            first_limit: limit(limits.handshake_frame_size),
            limit: limit(limits.message_size.max(limits.command_size)),
            #[cfg(feature = "wss")]
            tls: None,
        }
    }

    /// The stream that HTTP runs on.
    async fn open(&self, stream: Stream) -> io::Result<Stream> {
        #[cfg(feature = "wss")]
        if let Some(tls) = &self.tls {
            return tls.open(stream).await;
        }
        Ok(stream)
    }
}

/// A listening endpoint whose peers ask for the upgrade by HTTP.
pub(crate) struct Listener {
    tcp: tcp::Listener,
    terms: Terms,
}

impl Listener {
    pub(super) fn new(tcp: tcp::Listener, terms: Terms) -> Self {
        Self { tcp, terms }
    }

    pub(super) fn poll_accept(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<Connected>> {
        let (stream, address) = ready!(self.tcp.poll_accept(cx))?;
        let terms = self.terms.clone();
        let upgrade = async move { upgrade::accept(terms.open(stream).await?, &terms).await };
        Poll::Ready(Ok((WebSocket::stream(Role::Server, &self.terms, upgrade), address)))
    }
}

/// Asks the other side of a new connection to `host` and `port` for the upgrade.
pub(super) fn dialled(connected: Connected, host: &Host, port: u16, terms: Terms) -> Connected {
    let (stream, address) = connected;
    let host = format!("{host}:{port}");
    let role = Role::Client;
    let asked = terms.clone();
    let upgrade = async move { upgrade::dial(asked.open(stream).await?, &host, &asked).await };
    (WebSocket::stream(role, &terms, upgrade), address)
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Role {
    Client,
    Server,
}

/// A connection after its upgrade.
struct Upgraded {
    stream: Stream,
    profile: Profile,
    /// The octets that the peer has sent behind the upgrade.
    rest: BytesMut,
}

type Upgrade = Pin<Box<dyn Future<Output = io::Result<Upgraded>> + Send>>;

/// A WebSocket connection, as a stream of ZMTP octets.
pub(crate) struct WebSocket {
    state: State,
    role: Role,
    first_limit: usize,
    limit: usize,
}

enum State {
    Upgrading(Upgrade),
    Open(Box<Open>),
    Failed,
}

struct Open {
    stream: Stream,
    input: BytesMut,
    inbound: Inbound,
    outbound: Outbound,
    read: usize,
    /// The peer has closed its side.
    is_over: bool,
    /// The breach that ended the connection, reported when all input before it has been read.
    breach: Option<Breach>,
}

impl WebSocket {
    /// A connection that begins with its upgrade.
    fn stream(
        role: Role,
        terms: &Terms,
        upgrade: impl Future<Output = io::Result<Upgraded>> + Send + 'static,
    ) -> Stream {
        let Terms { first_limit, limit, .. } = *terms;
        let state = State::Upgrading(Box::pin(upgrade));
        Stream::Ws(Box::new(Self { state, role, first_limit, limit }))
    }

    /// Notes that the handshake is done: larger input is accepted from now on.
    pub(super) fn establish(&mut self) {
        if let State::Open(open) = &mut self.state {
            open.inbound.establish(self.limit);
            open.read = READ;
        }
    }

    /// The sub-protocol that was agreed on, after the upgrade.
    pub(super) fn sub_protocol(&self) -> Option<&'static str> {
        match &self.state {
            State::Open(open) => Some(open.inbound.profile().name()),
            _ => None,
        }
    }

    fn poll_open(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<&mut Open>> {
        if let State::Upgrading(upgrade) = &mut self.state {
            let upgraded = ready!(upgrade.as_mut().poll(cx));
            self.state = State::Failed;
            let Upgraded { stream, profile, rest } = upgraded?;
            self.state = State::Open(Box::new(Open {
                stream,
                input: rest,
                inbound: Inbound::new(self.role, profile, self.first_limit),
                outbound: Outbound::new(self.role, profile),
                read: FIRST_READ,
                is_over: false,
                breach: None,
            }));
        }
        match &mut self.state {
            State::Open(open) => Poll::Ready(Ok(open)),
            _ => Poll::Ready(Err(io::ErrorKind::NotConnected.into())),
        }
    }
}

impl Open {
    fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let mut idle = 0;
        while buffer.remaining() > 0 && !self.is_over {
            match self.inbound.step(&mut self.input, buffer) {
                Ok(Step::Octets) => {}
                Ok(Step::Starved) if buffer.filled().len() > before => break,
                Ok(Step::Starved) => {
                    let Self { stream, input, read, .. } = self;
                    input.reserve(*read);
                    let arrived = poll_read_buf(Pin::new(stream), cx, input);
                    if arrived.is_pending() && input.is_empty() {
                        // A quiet peer keeps no read buffer.
                        *input = BytesMut::new();
                    }
                    self.is_over = ready!(arrived)? == 0;
                    idle += 1;
                }
                Ok(Step::Ping(payload)) => {
                    self.outbound.pong(payload);
                    // A failure is reported by the next write.
                    let _ = self.poll_flush(cx);
                    idle += 1;
                }
                Ok(Step::Pong) => idle += 1,
                Ok(Step::Close) => {
                    self.outbound.close(CloseCode::Normal);
                    let _ = self.poll_flush(cx);
                    self.is_over = true;
                }
                Err(breach) => {
                    // Only the octets that can be written at once: we do not wait for a peer that breaks
                    // the rules.
                    self.outbound.close(breach.code());
                    let _ = self.poll_flush(cx);
                    self.is_over = true;
                    self.breach = Some(breach);
                }
            }
            if idle >= IDLE && !self.is_over {
                cx.waker().wake_by_ref();
                return match buffer.filled().len() > before {
                    true => Poll::Ready(Ok(())),
                    false => Poll::Pending,
                };
            }
        }
        match self.breach.take_if(|_| buffer.filled().len() == before) {
            Some(breach) => Poll::Ready(Err(io::Error::new(io::ErrorKind::InvalidData, breach))),
            None => Poll::Ready(Ok(())),
        }
    }

    /// Accepts octets from the driver. Returns their number.
    fn poll_write(
        &mut self,
        cx: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.outbound.is_closed() {
            // All that was accepted before is still written. The next read reports the end, with its reason.
            ready!(self.poll_flush(cx))?;
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        while self.outbound.is_full() {
            ready!(self.poll_write_out(cx))?;
        }
        let mut taken = 0;
        for slice in slices {
            let some = self.outbound.write(slice)?;
            taken += some;
            if some < slice.len() {
                break;
            }
        }
        let _ = self.poll_drain(cx)?;
        Poll::Ready(Ok(taken))
    }

    /// Writes all pending output.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.outbound.output().is_empty() {
            ready!(self.poll_write_out(cx))?;
        }
        Poll::Ready(Ok(()))
    }

    fn poll_write_out(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let Self { stream, outbound, .. } = self;
        let output = outbound.output();
        let written = ready!(Pin::new(stream).poll_write(cx, output))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        output.advance(written);
        outbound.written();
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.outbound.close(CloseCode::Normal);
        ready!(self.poll_flush(cx))?;
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_flush(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.stream).poll_flush(cx)
    }
}

impl AsyncRead for WebSocket {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        ready!(self.get_mut().poll_open(cx))?.poll_read(cx, buffer)
    }
}

impl AsyncWrite for WebSocket {
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
        ready!(self.get_mut().poll_open(cx))?.poll_write(cx, slices)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().state {
            State::Open(open) => open.poll_flush(cx),
            // Nothing has been accepted yet.
            _ => Poll::Ready(Ok(())),
        }
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.get_mut().state {
            State::Open(open) => open.poll_shutdown(cx),
            _ => Poll::Ready(Ok(())),
        }
    }
}

#[cfg(test)]
mod tests;
