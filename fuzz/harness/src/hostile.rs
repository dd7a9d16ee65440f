//! Peers that send any octets. The network puts them in the place of a peer that dials or is
//! dialled.

use std::{
    io,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll, Waker},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use zmtp_socket::simulation::{Ends, Network};

/// The names at which a hostile peer dials a socket, and at which a socket dials a hostile peer.
pub(crate) const BOUND: &str = "bound";
pub(crate) const TRAP: &str = "trap";

/// How many octets a link holds.
const PIPE: usize = 4096;

/// A network whose links to [`BOUND`] and [`TRAP`] have a hostile peer at one end. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct Hostiles(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    new: Vec<Hostile>,
    /// The unused ends of the other sides' links.
    silent: Vec<DuplexStream>,
}

impl Hostiles {
    /// The hostile peers that have come since the last call.
    pub(crate) fn take(&self) -> Vec<Hostile> {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        std::mem::take(&mut state.new)
    }
}

impl Network for Hostiles {
    fn connect(&self, address: &str) -> io::Result<Ends> {
        let (near, far) = tokio::io::duplex(PIPE);
        if address != BOUND && address != TRAP {
            return Ok((Box::new(near), Box::new(far)));
        }
        let (dummy, silent) = tokio::io::duplex(PIPE);
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.silent.push(silent);
        state.new.push(Hostile { pipe: near });
        match address {
            BOUND => Ok((Box::new(dummy), Box::new(far))),
            _ => Ok((Box::new(far), Box::new(dummy))),
        }
    }
}

/// A peer that sends any octets, as far as the pipe takes them.
pub(crate) struct Hostile {
    pipe: DuplexStream,
}

impl Hostile {
    /// Sends a greeting and a READY, as a socket of this type with this identity.
    pub(crate) fn greet(&mut self, socket_type: &str, identity: &[u8]) {
        self.write(b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL");
        self.write(&[0; 48]);
        let mut ready = b"\x05READY\x0BSocket-Type\0\0\0".to_vec();
        ready.push(socket_type.len() as u8);
        ready.extend_from_slice(socket_type.as_bytes());
        if !identity.is_empty() {
            ready.extend_from_slice(b"\x08Identity\0\0\0");
            ready.push(identity.len() as u8);
            ready.extend_from_slice(identity);
        }
        self.write(&[4, ready.len() as u8]);
        self.write(&ready);
    }

    /// Sends a short frame.
    pub(crate) fn say(&mut self, more: bool, body: &[u8]) {
        self.write(&[more.into(), body.len() as u8]);
        self.write(body);
    }

    pub(crate) fn write(&mut self, octets: &[u8]) {
        let mut cx = Context::from_waker(Waker::noop());
        // Octets without room are not sent.
        let _written = Pin::new(&mut self.pipe).poll_write(&mut cx, octets);
    }

    /// Reads all that has come.
    pub(crate) fn read(&mut self) {
        let mut cx = Context::from_waker(Waker::noop());
        loop {
            let mut octets = [0; 1024];
            let mut read = ReadBuf::new(&mut octets);
            match Pin::new(&mut self.pipe).poll_read(&mut cx, &mut read) {
                Poll::Ready(Ok(())) if !read.filled().is_empty() => {}
                _ => return,
            }
        }
    }
}
