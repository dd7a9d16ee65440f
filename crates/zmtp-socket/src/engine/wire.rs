//! Connections without a socket, for programs that watch or relay the traffic of others.
//!
//! A [`Stream`] has the octets of ZMTP (RFC 37), from the greeting on, whatever the transport: those of
//! `ws://` are translated, as they are for a socket. The crate `zmtp-codec` speaks the protocol on it.
//!
//! ```
//! use tokio::io::AsyncReadExt;
//! use zmtp_socket::{PubSocket, SubOptions, wire};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let publisher = PubSocket::new();
//! let endpoint = publisher.bind("tcp://127.0.0.1:*").await?;
//!
//! let (mut stream, address) = wire::Stream::connect(&endpoint, &SubOptions::new()).await?;
//! let mut signature = [0; 10];
//! stream.read_exact(&mut signature).await?;
//! assert_eq!((signature[0], signature[9]), (0xFF, 0x7F));
//! assert!(address.starts_with("127.0.0.1:"));
//! # Ok(())
//! # }
//! ```

use std::future::poll_fn;
use std::pin::Pin;
use std::task::{Context, Poll};
use std::{fmt, io};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::endpoint::Endpoint;
use crate::engine::transport::{self, Dialler, Networks, check};
use crate::options::{Configured, Options};

/// A connection to one peer, without a socket. Dropping it closes the connection.
pub struct Stream(transport::Stream);

impl Stream {
    /// Connects once. Returns the connection, and the transport's name for the other side, such as
    /// `127.0.0.1:5556`.
    ///
    /// Of the options, those of the transport apply: the time limit, the proxy, TLS and the like. Over
    /// `ws://` and `wss://` the mechanism does, too, since it is part of the upgrade (RFC 45, ZWS
    /// Mechanisms), which the first read or write performs.
    ///
    /// # Errors
    /// The system's. [`InvalidInput`](io::ErrorKind::InvalidInput) for an endpoint that cannot be
    /// connected to, such as `tcp://*:5556`. [`Unsupported`](io::ErrorKind::Unsupported) for an option
    /// that this system does not support, and for `inproc://`, which carries no octets.
    ///
    /// # Cancel safety
    /// If the future is dropped, there is no connection.
    pub async fn connect<T: Configured>(
        endpoint: &Endpoint,
        options: &Options<T>,
    ) -> io::Result<(Self, String)> {
        refuse_inproc(endpoint)?;
        endpoint
            .for_connect()
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidInput, error))?;
        check(endpoint, &options.link)?;
        let mut dialler = Dialler::default();
        let (stream, address) = dialler.dial(endpoint, &Networks::default(), &options.link).await?;
        Ok((Self(stream), address))
    }

    /// Notes that the handshake is done. Call it then: over `ws://`, a peer may send larger messages
    /// from now on, and the answers to our PINGs can be read.
    pub fn establish(&mut self) {
        self.0.establish();
    }

    /// The WebSocket sub-protocol that was agreed on, such as `ZWS2.0/NULL` (RFC 45); `None` before the
    /// upgrade, and for other transports.
    pub fn sub_protocol(&self) -> Option<&'static str> {
        self.0.sub_protocol()
    }
}

/// Accepts connections, without a socket. Dropping it frees the address.
pub struct Listener(transport::Listener);

impl Listener {
    /// Listens at `endpoint`. Returns the listener, and the endpoint with its real port or path.
    ///
    /// The options apply as in [`Stream::connect`].
    ///
    /// # Errors
    /// The system's; [`Unsupported`](io::ErrorKind::Unsupported) as in [`Stream::connect`].
    pub async fn bind<T: Configured>(
        endpoint: &Endpoint,
        options: &Options<T>,
    ) -> io::Result<(Self, Endpoint)> {
        refuse_inproc(endpoint)?;
        let (listener, endpoint) =
            transport::Listener::bind(endpoint, &Networks::default(), &options.link).await?;
        Ok((Self(listener), endpoint))
    }

    /// Waits for the next connection. Returns it with the transport's name for the other side.
    ///
    /// # Errors
    /// The system's. The next call may succeed.
    ///
    /// # Cancel safety
    /// If the future is dropped, no connection is lost.
    pub async fn accept(&mut self) -> io::Result<(Stream, String)> {
        let (stream, address) = poll_fn(|cx| self.0.poll_accept(cx)).await?;
        Ok((Stream(stream), address))
    }
}

fn refuse_inproc(endpoint: &Endpoint) -> io::Result<()> {
    match endpoint {
        Endpoint::Inproc(_) => {
            let reason = "inproc:// carries messages, and no octets that could be watched";
            Err(io::Error::new(io::ErrorKind::Unsupported, reason))
        }
        _ => Ok(()),
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buffer)
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

impl fmt::Debug for Stream {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Stream").finish_non_exhaustive()
    }
}

impl fmt::Debug for Listener {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Listener").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::SubOptions;

    #[tokio::test]
    async fn endpoints_without_octets_or_without_a_host_are_refused() {
        let options = SubOptions::new();
        let rows = [
            ("inproc://here", io::ErrorKind::Unsupported),
            ("tcp://*:5556", io::ErrorKind::InvalidInput),
        ];
        for (endpoint, kind) in rows {
            let endpoint = endpoint.parse().expect("a valid endpoint");
            let error = Stream::connect(&endpoint, &options).await.expect_err("refused");
            assert_eq!(error.kind(), kind, "{error}");
        }
        let endpoint = "inproc://here".parse().expect("a valid endpoint");
        let error = Listener::bind(&endpoint, &options).await.expect_err("refused");
        assert_eq!(error.kind(), io::ErrorKind::Unsupported, "{error}");
    }
}
