//! Peers that speak no ZMTP: the octets of a tcp connection become messages.
//!
//! To its driver, such a connection looks like a DEALER that speaks ZMTP. The greeting and READY of that
//! peer are made here, each piece that arrives becomes a message of one part, and of the driver's output
//! only the bodies of messages are sent. So the driver, its sessions, limits and queues are one code
//! path for these peers, too.
//!
//! An empty part, which has no octets to send, ends the connection.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BufMut as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_util::io::poll_read_buf;
use zmtp_codec::{Command, FrameHeader, Greeting, MechanismName, Metadata, Version, encode_frame};

use super::{Connected, Stream};
use crate::options::LinkOptions;

/// The longest piece that becomes a message.
const PIECE: usize = 8 << 10;

/// While so many octets wait to be written, no more are accepted.
const FULL: usize = 64 << 10;

/// The longest header of a frame of ZMTP.
const HEADER_MAX: usize = 9;

/// The options for raw peers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Whether an empty message announces that the connection was made, and another one that it has
    /// ended.
    notifies: bool,
    piece: usize,
}

impl Terms {
    /// The options of an endpoint whose peers are raw; `None` for other endpoints.
    pub(super) fn of(options: &LinkOptions) -> Option<Self> {
        let notifies = options.raw?;
        let limit = usize::try_from(options.limits.message_size).unwrap_or(usize::MAX);
        Some(Self { notifies, piece: PIECE.min(limit).max(1) })
    }

    pub(super) fn met(self, (stream, address): Connected) -> Connected {
        (Stream::Raw(Box::new(Raw::new(stream, self))), address)
    }
}

/// A connection to a raw peer, as a stream of ZMTP octets.
pub(crate) struct Raw {
    stream: Stream,
    terms: Terms,
    /// Octets for the driver to read.
    staged: BytesMut,
    input: BytesMut,
    /// The end of the peer's octets, if it has come, and its cause.
    over: Option<io::Result<()>>,
    outbound: Outbound,
    output: BytesMut,
    end: End,
}

/// Our end of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    Open,
    /// The user has ended the connection: nothing more is read, no more octets are accepted, and the
    /// accepted ones are still written.
    Asked,
    /// All is written. The driver waits for the peer to close the connection.
    Over,
}

/// The kind of octets that the driver writes next.
enum Outbound {
    /// So many octets that only ZMTP needs: the greeting, or the body of a command.
    Skipped(u64),
    /// So many octets of the header of a frame.
    Header([u8; HEADER_MAX], usize),
    /// So many octets of a part are still to come.
    Body(u64),
}

const NO_HEADER: Outbound = Outbound::Header([0; HEADER_MAX], 0);

impl Raw {
    fn new(stream: Stream, terms: Terms) -> Self {
        let mechanism = MechanismName::new("NULL").expect("a short name");
        // A peer of 3.0 is sent no PING.
        let greeting = Greeting { version: Version::V3_0, mechanism, as_server: false };
        let mut staged = BytesMut::from(&greeting.encode()[..]);
        let metadata = Metadata::new().with("Socket-Type", "DEALER");
        Command::Ready(metadata.expect("a short property is valid")).encode(&mut staged);
        if terms.notifies {
            encode_frame(false, b"", &mut staged);
        }
        Self {
            stream,
            terms,
            staged,
            input: BytesMut::new(),
            over: None,
            outbound: Outbound::Skipped(Greeting::LEN as u64),
            output: BytesMut::new(),
            end: End::Open,
        }
    }

    pub(super) fn descriptor(&self) -> Option<i32> {
        self.stream.descriptor()
    }

    /// Ready once the user has ended the connection, and all that was sent before is written.
    pub(super) fn poll_ended(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.end == End::Open {
            return Poll::Pending;
        }
        // A failure to write ends the connection, too.
        let _drained = ready!(self.poll_drain(cx));
        self.end = End::Over;
        Poll::Ready(())
    }

    /// Stages the next piece, or the end.
    fn poll_piece(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { stream, input, terms, .. } = self;
        input.reserve(terms.piece);
        let arrived = poll_read_buf(Pin::new(stream), cx, &mut (&mut *input).limit(terms.piece));
        let over = match arrived {
            Poll::Pending => {
                // A quiet peer keeps no read buffer.
                *input = BytesMut::new();
                return Poll::Pending;
            }
            Poll::Ready(Ok(0)) => Ok(()),
            Poll::Ready(Ok(_)) => {
                encode_frame(false, input, &mut self.staged);
                input.clear();
                return Poll::Ready(());
            }
            Poll::Ready(Err(error)) => Err(error),
        };
        self.over = Some(over);
        if self.terms.notifies {
            encode_frame(false, b"", &mut self.staged);
        }
        Poll::Ready(())
    }

    /// Accepts octets from the driver, until the output is full or the connection is to end. Returns
    /// their number.
    fn take(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut left = octets;
        while !left.is_empty() && self.output.len() < FULL && self.end == End::Open {
            let some = |missing: u64| left.len().min(usize::try_from(missing).unwrap_or(FULL));
            let taken = match &mut self.outbound {
                Outbound::Skipped(missing) => {
                    let some = some(*missing);
                    *missing -= some as u64;
                    if *missing == 0 {
                        self.outbound = NO_HEADER;
                    }
                    some
                }
                Outbound::Header(header, len) => {
                    let some = left.len().min(HEADER_MAX - *len);
                    header[*len..*len + some].copy_from_slice(&left[..some]);
                    let (before, whole) = (*len, *len + some);
                    *len = whole;
                    match FrameHeader::decode(&header[..whole]).map_err(io::Error::other)? {
                        Some((header, header_len)) => {
                            self.begin(header);
                            header_len - before
                        }
                        None => some,
                    }
                }
                Outbound::Body(missing) => {
                    let some = some(*missing).min(FULL);
                    self.output.extend_from_slice(&left[..some]);
                    *missing -= some as u64;
                    if *missing == 0 {
                        self.outbound = NO_HEADER;
                    }
                    some
                }
            };
            left = &left[taken..];
        }
        Ok(octets.len() - left.len())
    }

    fn begin(&mut self, header: FrameHeader) {
        self.outbound = match header {
            FrameHeader { command: true, size: 1.., .. } => Outbound::Skipped(header.size),
            FrameHeader { size: 1.., .. } => Outbound::Body(header.size),
            FrameHeader { command, .. } => {
                if !command {
                    self.end = End::Asked;
                }
                NO_HEADER
            }
        };
    }

    /// Writes all pending output.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.output.is_empty() {
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, &self.output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.output.advance(written);
        }
        self.output = BytesMut::new();
        Poll::Ready(Ok(()))
    }
}

impl AsyncRead for Raw {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        loop {
            match this.end {
                End::Open => {}
                End::Asked => return Poll::Pending,
                End::Over => return Pin::new(&mut this.stream).poll_read(cx, buffer),
            }
            if !this.staged.is_empty() {
                let some = this.staged.len().min(buffer.remaining());
                buffer.put_slice(&this.staged[..some]);
                this.staged.advance(some);
                return Poll::Ready(Ok(()));
            }
            match &mut this.over {
                None => ready!(this.poll_piece(cx)),
                Some(over) => return Poll::Ready(std::mem::replace(over, Ok(()))),
            }
        }
    }
}

impl AsyncWrite for Raw {
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
        let this = self.get_mut();
        if this.end != End::Open {
            return Poll::Pending;
        }
        if this.output.len() >= FULL {
            ready!(this.poll_drain(cx))?;
        }
        let mut taken = 0;
        for slice in slices {
            let some = this.take(slice)?;
            taken += some;
            if some < slice.len() {
                break;
            }
        }
        let _pending = this.poll_drain(cx)?;
        Poll::Ready(Ok(taken))
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.get_mut().poll_drain(cx)
    }

    fn poll_shutdown(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        ready!(this.poll_drain(cx))?;
        Pin::new(&mut this.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, duplex};

    use super::*;

    /// The greeting and the READY that are made here for a peer.
    const HELLO: &[u8] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x00NULL\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \x04\x1C\x05READY\x0BSocket-Type\0\0\0\x06DEALER";

    fn raw(piece: usize) -> (Raw, tokio::io::DuplexStream) {
        let (ours, peer) = duplex(1 << 10);
        let terms = Terms { notifies: true, piece };
        (Raw::new(Stream::Pipe(Box::new(ours), None), terms), peer)
    }

    #[tokio::test]
    async fn pieces_come_as_messages_between_two_empty_ones() {
        let (mut raw, mut peer) = raw(4);
        peer.write_all(b"sixoct").await.expect("there is room");
        drop(peer);
        let mut octets = Vec::new();
        raw.read_to_end(&mut octets).await.expect("the end is no error");
        let expected = [HELLO, b"\0\0\0\x04sixo\0\x02ct\0\0"].concat();
        assert_eq!(octets.escape_ascii().to_string(), expected.escape_ascii().to_string());
    }

    #[tokio::test]
    async fn only_bodies_go_out_however_they_are_cut_and_an_empty_part_is_the_end() {
        let spoken = [HELLO, b"\x01\x02ab\x00\x01c\x02\0\0\0\0\0\0\0\x03def\x04\x01x\0\0"].concat();
        for cut in 0..spoken.len() {
            let (mut raw, mut peer) = raw(4);
            raw.write_all(&spoken[..cut]).await.expect("there is room");
            raw.write_all(&spoken[cut..]).await.expect("there is room");
            std::future::poll_fn(|cx| raw.poll_ended(cx)).await;
            raw.shutdown().await.expect("the peer is there");
            let mut octets = Vec::new();
            peer.read_to_end(&mut octets).await.expect("the end is no error");
            assert_eq!(octets.escape_ascii().to_string(), "abcdef", "cut at {cut}");
        }
    }
}
