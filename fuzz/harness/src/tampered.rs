//! A network with an attacker on one of its links.

use std::{
    collections::BTreeMap,
    io,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use zmtp_socket::simulation::{Ends, Network};

use crate::editor::Edit;

/// The names of the links that are edited, and of those that carry nothing at all.
pub(crate) const TAMPERED: &str = "tampered";
pub(crate) const SILENT: &str = "silent";

/// How many octets an unedited link holds.
const PIPE: usize = 64 << 10;

/// A network whose links to [`TAMPERED`] edit their octets. Clones share it.
#[derive(Clone)]
pub(crate) struct Tampered(Arc<Mutex<State>>);

struct State {
    /// How many octets a tampered link holds, and how many it gives at once.
    room: usize,
    fragment: usize,
    /// The edits of the next octets in each direction.
    edits: [Vec<Edit>; 2],
    is_held: [bool; 2],
    links: u64,
    /// Links with lower numbers are cut.
    cut_below: u64,
    /// Whether the last link has been edited.
    is_edited: bool,
    waiting: BTreeMap<(u64, usize), Waker>,
    /// The unused ends of silent links.
    silent: Vec<DuplexStream>,
}

impl Tampered {
    pub(crate) fn new(room: usize, fragment: usize) -> Self {
        Self(Arc::new(Mutex::new(State {
            room,
            fragment,
            edits: [const { Vec::new() }; 2],
            is_held: [false; 2],
            links: 0,
            cut_below: 0,
            is_edited: false,
            waiting: BTreeMap::new(),
            silent: Vec::new(),
        })))
    }

    /// Edits the next octets in one direction, of this link or the next one.
    pub(crate) fn edit(&self, way: usize, edit: Edit) {
        self.state().edits[way].push(edit);
    }

    /// Stops one direction, or lets it go on.
    pub(crate) fn hold(&self, way: usize, is_held: bool) {
        let mut state = self.state();
        state.is_held[way] = is_held;
        state.wake_all();
    }

    /// Cuts the link; the octets in transit are lost.
    pub(crate) fn cut(&self) {
        let mut state = self.state();
        state.cut_below = state.links;
        state.is_edited = false;
        state.wake_all();
    }

    /// Ends the edits. An edited link is cut, since the states of its sides may not match.
    pub(crate) fn heal(&self) {
        if self.state().is_edited {
            self.cut();
        }
        let mut state = self.state();
        state.edits = [const { Vec::new() }; 2];
        state.is_held = [false; 2];
        state.wake_all();
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn wake_all(&mut self) {
        std::mem::take(&mut self.waiting).into_values().for_each(Waker::wake);
    }
}

impl Network for Tampered {
    fn connect(&self, address: &str) -> io::Result<Ends> {
        let mut state = self.state();
        match address {
            TAMPERED => {
                let link = state.links;
                state.links += 1;
                state.is_edited = false;
                let (near, far) = tokio::io::duplex(state.room);
                let end = |pipe, way| {
                    let (network, ready) = (self.clone(), Vec::new());
                    Box::new(End { network, link, way, pipe, ready })
                };
                Ok((end(near, 0), end(far, 1)))
            }
            SILENT => {
                let ((near, no_far), (far, no_near)) =
                    (tokio::io::duplex(PIPE), tokio::io::duplex(PIPE));
                state.silent.extend([no_far, no_near]);
                Ok((Box::new(near), Box::new(far)))
            }
            _ => {
                let (near, far) = tokio::io::duplex(PIPE);
                Ok((Box::new(near), Box::new(far)))
            }
        }
    }
}

/// One end of a tampered link, which edits the octets that come to it.
struct End {
    network: Tampered,
    link: u64,
    way: usize,
    pipe: DuplexStream,
    /// The octets that are edited and not read yet.
    ready: Vec<u8>,
}

impl AsyncRead for End {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        let mut state = this.network.state();
        loop {
            if this.link < state.cut_below {
                return Poll::Ready(Ok(()));
            }
            state.waiting.insert((this.link, this.way), cx.waker().clone());
            if state.is_held[this.way] {
                return Poll::Pending;
            }
            if !this.ready.is_empty() {
                let count = this.ready.len().min(state.fragment).min(buffer.remaining());
                buffer.put_slice(&this.ready[..count]);
                this.ready.drain(..count);
                return Poll::Ready(Ok(()));
            }
            let mut octets = [0; 1024];
            let mut read = ReadBuf::new(&mut octets);
            match Pin::new(&mut this.pipe).poll_read(cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                ended_or_pending => return ended_or_pending,
            }
            this.ready.extend_from_slice(read.filled());
            for edit in std::mem::take(&mut state.edits[this.way]) {
                edit.apply(&mut this.ready);
                state.is_edited |= this.link + 1 == state.links;
            }
        }
    }
}

impl AsyncWrite for End {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.link < self.network.state().cut_below {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        Pin::new(&mut self.pipe).poll_write(cx, octets)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}
