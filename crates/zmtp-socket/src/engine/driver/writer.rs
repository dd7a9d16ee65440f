//! The writing side of a connection: what is written, and in which order.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::AsyncWrite;
use tokio::time::Instant;
use tracing::debug;
use zmtp_codec::Connection;

use super::Session;
use super::turn::{TOPIC, Turn, WRITTEN};
use crate::engine::burst::{Burst, SLICES};
use crate::engine::transport::Receipts;

/// When the transport has accepted so many octets and not written all of them, it is handed no more until it has.
/// Otherwise it might never be done.
const UNCOUNTED: usize = 64 << 10;

/// The writing side of a connection.
#[derive(Default)]
pub(super) struct Writer {
    /// Messages that were taken from the session and have not been written.
    burst: Burst,
    uncounted: Uncounted,
    /// Writing has failed: nothing more is written, but the peer's octets can still be read. They may
    /// tell why.
    is_mute: bool,
    /// Whether the transport has accepted a whole message.
    pub(super) has_sent: bool,
    /// The receipts of a transport whose other side confirms each message that reaches its queue. A
    /// message counts as written when its receipt comes.
    receipts: Option<Box<Receipts>>,
}

/// Messages that are no longer in the burst, or not only there, and do not count as written yet.
#[derive(Default)]
enum Uncounted {
    #[default]
    Nothing,
    /// The whole burst stands sealed in the output behind `ahead` octets, and none of it has been
    /// written.
    Sealed { ahead: usize },
    /// The transport has accepted so many messages and octets, or the first octets of a sealed burst of so many.
    /// They count once all are written: some transports hold octets back.
    Accepted { messages: usize, octets: usize },
}

impl Writer {
    pub(super) fn new(receipts: Option<Box<Receipts>>) -> Self {
        Self { receipts, ..Self::default() }
    }

    /// Notes that the other side takes no messages, and thus confirms none: they count when they are written.
    pub(super) fn expect_no_receipts(&mut self) {
        if let Some(receipts) = &mut self.receipts {
            receipts.expect_none();
        }
    }

    /// Confirms messages that have reached our own queue.
    pub(super) fn confirm(&self, messages: usize) {
        if let Some(receipts) = &self.receipts {
            receipts.arrived(messages);
        }
    }

    /// Writes once. Pending if the transport takes no more, or if there is nothing to write. After a
    /// failure nothing more is written: how the connection ended is known from reading.
    pub(super) fn poll_write<S: Session>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        connection: &mut Connection,
        session: Option<&mut S>,
        turn: &mut Turn,
        epoch: Instant,
    ) -> Poll<()> {
        if self.is_mute {
            return Poll::Pending;
        }
        let written = match session {
            Some(session) => self.poll_traffic(cx, stream, connection, session, turn, epoch),
            None => {
                let written = ready!(self.poll_control(cx, stream, connection, turn, epoch));
                if written.is_ok() {
                    return Poll::Pending;
                }
                Poll::Ready(written)
            }
        };
        if let Err(error) = ready!(written) {
            debug!(%error, "the peer takes no more");
            self.is_mute = true;
            return Poll::Pending;
        }
        Poll::Ready(())
    }

    fn poll_traffic<S: Session>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        connection: &mut Connection,
        session: &mut S,
        turn: &mut Turn,
        epoch: Instant,
    ) -> Poll<io::Result<()>> {
        if let Some(receipts) = &mut self.receipts {
            let confirmed = receipts.take(cx);
            if confirmed > 0 {
                session.written(confirmed, 0);
            }
        }
        if self.burst.is_empty() && !connection.output().is_empty() {
            session.claim(&mut self.burst);
        }
        // Commands go between frames, and before messages.
        if !self.burst.is_mid_frame() {
            ready!(self.poll_output(cx, stream, connection, turn, epoch))?;
        }
        let is_counted = self.poll_count(cx, stream, session)?;
        if connection.is_sealed() || self.is_much_uncounted() {
            ready!(is_counted);
        }
        if self.burst.is_empty() {
            let Poll::Ready(topics) = session.poll_outgoing(cx, connection, &mut self.burst) else {
                release_output(connection);
                return Poll::Pending;
            };
            turn.spend(TOPIC * topics);
            if connection.is_sealed() {
                self.seal(connection, turn);
                return self.poll_output(cx, stream, connection, turn, epoch);
            }
            if self.burst.is_empty() {
                return self.poll_control(cx, stream, connection, turn, epoch);
            }
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.burst.slices(&mut slices);
        let written = ready!(Pin::new(&mut *stream).poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
        }
        self.accept(written);
        turn.spend(written / WRITTEN);
        notice_output(connection, epoch);
        let _is_counted = self.poll_count(cx, stream, session)?;
        Poll::Ready(Ok(()))
    }

    /// Notes that the transport has accepted so many octets of the burst.
    fn accept(&mut self, octets: usize) {
        let messages = self.burst.advance(octets);
        self.has_sent |= messages > 0;
        self.uncounted = match self.uncounted {
            Uncounted::Accepted { messages: others, octets: theirs } => {
                Uncounted::Accepted { messages: others + messages, octets: theirs + octets }
            }
            _ => Uncounted::Accepted { messages, octets },
        };
    }

    fn is_much_uncounted(&self) -> bool {
        matches!(self.uncounted, Uncounted::Accepted { octets, .. } if octets >= UNCOUNTED)
    }

    /// Counts the messages that the transport has accepted, when it has written all of them.
    pub(super) fn poll_count<S: Session>(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        session: &mut S,
    ) -> Poll<io::Result<()>> {
        let Uncounted::Accepted { messages, octets } = self.uncounted else {
            return Poll::Ready(Ok(()));
        };
        ready!(Pin::new(stream).poll_flush(cx))?;
        self.uncounted = Uncounted::Nothing;
        match &mut self.receipts {
            Some(receipts) => {
                let counted = receipts.sent(messages);
                session.written(counted + receipts.take(cx), octets);
            }
            None => session.written(messages, octets),
        }
        Poll::Ready(Ok(()))
    }

    /// Writes the connection's own output: handshake, subscriptions, PING and PONG, and sealed messages.
    pub(super) fn poll_control(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        connection: &mut Connection,
        turn: &mut Turn,
        epoch: Instant,
    ) -> Poll<io::Result<()>> {
        ready!(self.poll_output(cx, stream, connection, turn, epoch))?;
        release_output(connection);
        Poll::Ready(Ok(()))
    }

    /// Does the same, but keeps the memory for the next burst that is sealed.
    fn poll_output(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncWrite + Unpin),
        connection: &mut Connection,
        turn: &mut Turn,
        epoch: Instant,
    ) -> Poll<io::Result<()>> {
        loop {
            let output = connection.output();
            if output.is_empty() {
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut *stream).poll_write(cx, output))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            output.advance(written);
            self.advance_sealed(written);
            turn.spend(written / WRITTEN);
            notice_output(connection, epoch);
        }
    }

    /// Whether nothing is left to write. (That the queue is empty is known from
    /// [`poll_write`](Self::poll_write).)
    pub(super) fn is_drained(&self, connection: &mut Connection) -> bool {
        let is_counted = matches!(self.uncounted, Uncounted::Nothing);
        self.is_mute || (self.burst.is_empty() && connection.output().is_empty() && is_counted)
    }

    /// Ends the writing of messages, and gives the unwritten ones back to the session. Returns whether
    /// they begin in the middle of a frame.
    pub(super) fn give_back<S: Session>(
        &mut self,
        session: &mut S,
        connection: &mut Connection,
    ) -> bool {
        session.claim(&mut self.burst);
        // Octets that the transport holds back do not count: they may be lost.
        if let Uncounted::Sealed { ahead } = std::mem::take(&mut self.uncounted) {
            // Otherwise the connection's last output would send the burst after all.
            connection.output().truncate(ahead);
        }
        let is_mid_frame = self.burst.is_mid_frame();
        // The other side still reads the messages in the pipe.
        let sent = self.receipts.as_mut().map_or(0, |receipts| receipts.forgo());
        if sent > 0 {
            session.written(sent, 0);
        }
        session.give_back(std::mem::take(&mut self.burst));
        is_mid_frame
    }

    /// Seals the whole burst at once, behind the output that is there: sealed frames must be written in
    /// the order of their sealing. The plain burst is kept until its first octet is written.
    fn seal(&mut self, connection: &mut Connection, turn: &mut Turn) {
        if self.burst.is_empty() {
            return;
        }
        let mut output = std::mem::take(connection.output());
        self.uncounted = Uncounted::Sealed { ahead: output.len() };
        connection
            .seal(self.burst.pieces(), &mut output)
            .expect("a session lives in traffic alone");
        *connection.output() = output;
        turn.spend(self.burst.len());
    }

    /// Notes that the transport has taken `written` octets of the output.
    fn advance_sealed(&mut self, written: usize) {
        let Uncounted::Sealed { ahead } = &mut self.uncounted else { return };
        match ahead.checked_sub(written) {
            Some(rest) => *ahead = rest,
            None => self.accept(self.burst.len()),
        }
    }
}

/// Frees the memory of an empty output: an idle peer keeps none.
fn release_output(connection: &mut Connection) {
    let output = connection.output();
    if output.is_empty() {
        *output = BytesMut::new();
    }
}

/// Notes that the transport has taken some octets.
fn notice_output(connection: &mut Connection, epoch: Instant) {
    if connection.needs_output_notice() {
        connection.handle_output(epoch.elapsed());
    }
}

#[cfg(test)]
mod tests;
