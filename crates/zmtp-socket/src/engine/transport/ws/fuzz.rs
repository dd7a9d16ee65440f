//! One connection that reads any octets, for the fuzz targets.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, Waker};

use bytes::BytesMut;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::{Profile, Role, Stream, Terms, Upgraded, WebSocket, upgrade};

/// The size limit of a message in fragments, in octets.
const LIMIT: usize = 600;

/// The outcome of a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct Heard {
    /// The octets of ZMTP that its driver has read.
    pub octets: Vec<u8>,
    /// The breach that ended it.
    pub error: Option<String>,
    /// The number of octets that it has written.
    pub said: usize,
}

/// The setup of a connection.
#[derive(Clone, Copy, Debug)]
pub struct WsSetup {
    /// Whether it is the client's side.
    pub is_client: bool,
    /// Whether the input includes the HTTP upgrade.
    pub upgrades: bool,
    /// Whether the handshake is already done.
    pub is_established: bool,
    /// The profile, as a number.
    pub profile: u8,
}

/// Feeds a connection with `input`, of which it reads at most `piece` octets at a time.
pub fn hear(setup: WsSetup, input: &[u8], piece: usize) -> Heard {
    let role = if setup.is_client { Role::Client } else { Role::Server };
    let profiles: &'static [Profile] = match setup.profile % 3 {
        0 => &[Profile::Bare, Profile::Null],
        1 => &[Profile::Null],
        _ => &[Profile::Plain],
    };
    let terms = Terms {
        profiles,
        path: "/feed".into(),
        origins: Arc::default(),
        first_limit: LIMIT,
        limit: LIMIT,
        #[cfg(feature = "wss")]
        tls: None,
    };
    let said = Arc::new(Mutex::new(0));
    let fed = Fed { input: input.to_vec().into(), at: 0, piece: piece.max(1), said: said.clone() };
    let stream = Stream::Pipe(Box::new(fed), None);
    let asked = terms.clone();
    let upgrade = async move {
        match (setup.upgrades, role) {
            (false, _) => {
                Ok(Upgraded { stream, profile: asked.profiles[0], rest: BytesMut::new() })
            }
            (true, Role::Server) => upgrade::accept(stream, &asked).await,
            (true, Role::Client) => upgrade::dial(stream, "localhost:1", &asked).await,
        }
    };
    let Stream::Ws(mut socket) = WebSocket::stream(role, &terms, upgrade) else {
        unreachable!("it makes no other stream")
    };
    let (octets, error) = read(&mut socket, setup.is_established);
    let said = *said.lock().unwrap_or_else(PoisonError::into_inner);
    Heard { octets, error: error.map(|error| error.to_string()), said }
}

/// Reads to the end.
fn read(socket: &mut WebSocket, is_established: bool) -> (Vec<u8>, Option<io::Error>) {
    let cx = &mut Context::from_waker(Waker::noop());
    let (mut octets, mut pending) = (Vec::new(), 0);
    loop {
        let mut room = [0; 64];
        let mut room = ReadBuf::new(&mut room);
        match Pin::new(&mut *socket).poll_read(cx, &mut room) {
            Poll::Ready(Ok(())) if room.filled().is_empty() => return (octets, None),
            Poll::Ready(Ok(())) => octets.extend_from_slice(room.filled()),
            Poll::Ready(Err(error)) => return (octets, Some(error)),
            // Its input is always ready, so it has only yielded.
            Poll::Pending => {
                pending += 1;
                assert!(pending < 1 << 20, "it waits for what is there");
            }
        }
        if is_established {
            socket.establish();
        }
    }
}

/// A stream whose octets are all there, and which accepts all octets that are written.
struct Fed {
    input: bytes::Bytes,
    at: usize,
    piece: usize,
    said: Arc<Mutex<usize>>,
}

impl AsyncRead for Fed {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        room: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let rest = &self.input[self.at..];
        let some = rest.len().min(self.piece).min(room.remaining());
        room.put_slice(&rest[..some]);
        self.at += some;
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Fed {
    fn poll_write(
        self: Pin<&mut Self>,
        _cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        *self.said.lock().unwrap_or_else(PoisonError::into_inner) += octets.len();
        Poll::Ready(Ok(octets.len()))
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}
