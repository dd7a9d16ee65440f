//! How much is read from a peer, and when.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::{io, mem};

use bytes::BytesMut;
use tokio::io::AsyncRead;
use tokio_util::io::poll_read_buf;
use zmtp_codec::Connection;

/// Octets reserved, at least, for a read after one that came back full.
const SMALL_READ: usize = 8 << 10;

/// Octets reserved for a read from a peer that has been quiet, at least: allocators are fastest up to this
/// size. The same for a peer that has not finished its handshake, since many strangers may come at once.
/// While a peer is being authorized, no more than that is kept of its further input. Reading that much
/// lets us notice that it has closed the connection.
const FIRST_READ: usize = 1 << 10;

/// Octets reserved for a read once reads come back full: a message of 64 KiB fits in.
const LARGE_READ: usize = 65 << 10;

/// Why input that has arrived is not processed yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Backlog {
    Nothing,
    /// The session has no room for it.
    Room,
    /// The turn was over.
    Turn,
}

/// The reading side of a connection.
pub(super) struct Reader {
    size: usize,
    /// How many octets have come since the peer was quiet. A short number: there is a reader for each of
    /// many connections.
    heard: u32,
    is_stranger: bool,
    pub(super) backlog: Backlog,
}

impl Reader {
    pub(super) fn new() -> Self {
        Self { size: FIRST_READ, heard: 0, is_stranger: true, backlog: Backlog::Nothing }
    }

    /// The handshake is done.
    pub(super) fn establish(&mut self) {
        self.is_stranger = false;
    }

    /// Reads once into the connection's input. Returns the number of octets: zero at the end of the
    /// stream.
    pub(super) fn poll_read(
        &mut self,
        cx: &mut Context<'_>,
        stream: &mut (impl AsyncRead + Unpin),
        connection: &mut Connection,
        is_being_authorized: bool,
    ) -> Poll<io::Result<usize>> {
        if is_being_authorized && connection.input().len() >= FIRST_READ {
            return Poll::Pending;
        }
        let input = connection.make_room(self.size);
        let room = input.capacity() - input.len();
        let read = poll_read_buf(Pin::new(stream), cx, input);
        if read.is_pending() && input.is_empty() {
            // A quiet peer keeps no read buffer.
            *input = BytesMut::new();
            self.size = match mem::take(&mut self.heard) {
                // It has been quiet since the last read.
                0 => self.size,
                _ if self.is_stranger => FIRST_READ,
                heard => first_read_after(heard as usize),
            };
        }
        let arrived = ready!(read)?;
        self.heard = self.heard.saturating_add(u32::try_from(arrived).unwrap_or(u32::MAX));
        if arrived == room && !self.is_stranger {
            self.size = LARGE_READ.min((self.size * 2).max(SMALL_READ));
        }
        Poll::Ready(Ok(arrived))
    }
}

/// Octets reserved for the first read from a peer that has been quiet, if so many came before: a little more than they
/// are. If as many come, one read takes them all, and shows by its empty rest that there are no others.
fn first_read_after(heard: usize) -> usize {
    (heard.min(LARGE_READ) + 1).next_power_of_two().clamp(FIRST_READ, LARGE_READ)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::task::Waker;

    use zmtp_codec::{Config, SocketType};

    use super::*;

    /// Reads until nothing is left. Returns the number of octets in all, and the most in one read.
    fn read(
        reader: &mut Reader,
        connection: &mut Connection,
        mut stream: &[u8],
        is_being_authorized: bool,
    ) -> (usize, usize) {
        let cx = &mut Context::from_waker(Waker::noop());
        let (mut all, mut most) = (0, 0);
        while let Poll::Ready(read) =
            reader.poll_read(cx, &mut stream, connection, is_being_authorized)
        {
            let arrived = read.expect("a slice can be read");
            if arrived == 0 {
                break;
            }
            all += arrived;
            most = most.max(arrived);
        }
        (all, most)
    }

    fn connection() -> Connection {
        Connection::new(Arc::new(Config::new(SocketType::Pub)))
    }

    #[test]
    fn a_peer_that_is_being_authorized_is_heard_no_further_than_a_first_read() {
        let (mut reader, mut connection) = (Reader::new(), connection());
        let said = [7; 10 * FIRST_READ];
        let (all, _) = read(&mut reader, &mut connection, &said, true);
        assert!((FIRST_READ..2 * FIRST_READ).contains(&all), "{all} octets");
        assert_eq!(read(&mut reader, &mut connection, &said, true), (0, 0));
        assert_eq!(read(&mut reader, &mut connection, &said, false).0, said.len());
    }

    #[tokio::test]
    async fn reads_grow_with_what_comes_from_a_peer_but_not_from_a_stranger() {
        let (mut reader, mut connection) = (Reader::new(), connection());
        let said = vec![7; 20 * LARGE_READ];
        read(&mut reader, &mut connection, &said, false);
        assert_eq!(reader.size, FIRST_READ);
        reader.establish();
        *connection.input() = BytesMut::new();
        read(&mut reader, &mut connection, &said, false);
        assert_eq!(reader.size, LARGE_READ);
        // When the peer is quiet, neither the size nor the buffer is kept.
        be_quiet(&mut reader, &mut connection);
        assert_eq!((reader.size, connection.input().capacity()), (LARGE_READ, 0));
    }

    #[tokio::test]
    async fn a_peer_gets_a_buffer_for_as_much_as_it_says_at_a_time() {
        let (mut reader, mut connection) = (Reader::new(), connection());
        reader.establish();
        let long = [7; LARGE_READ + 1];
        for (said, size) in [
            (9, FIRST_READ),
            (FIRST_READ - 1, FIRST_READ),
            (FIRST_READ, 2 * FIRST_READ),
            (16_395, 32 << 10),
            ((64 << 10) + 9, LARGE_READ),
            (LARGE_READ + 1, LARGE_READ),
            (9, FIRST_READ),
        ] {
            let said = &long[..said];
            read(&mut reader, &mut connection, said, false);
            be_quiet(&mut reader, &mut connection);
            assert_eq!(reader.size, size, "after {} octets", said.len());
            // It may be asked again before anything comes.
            be_quiet(&mut reader, &mut connection);
            assert_eq!(reader.size, size);
        }
    }

    fn be_quiet(reader: &mut Reader, connection: &mut Connection) {
        connection.input().clear();
        let (mut near, _far) = tokio::io::duplex(1);
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(reader.poll_read(cx, &mut near, connection, false).is_pending());
    }
}
