//! `zmq_poll`: waits for sockets and for descriptors of the system.

use std::ffi::{c_int, c_short, c_void};
use std::os::fd::AsFd;
use std::sync::Arc;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use crate::border;
use crate::errno::Errno;
use crate::handles::Handle;
use crate::signal::{Signal, deadline_in, time_until};
use crate::socket;

const POLLERR: c_short = 4;
const POLLPRI: c_short = 8;

/// A socket or a file descriptor that `zmq_poll` waits for.
#[repr(C)]
#[derive(Clone, Copy, Debug)]
pub struct zmq_pollitem_t {
    /// The socket; null if `fd` is to be waited for.
    pub socket: *mut c_void,
    /// The file descriptor; ignored if there is a socket.
    pub fd: c_int,
    /// The events to wait for: `ZMQ_POLLIN`, `ZMQ_POLLOUT`, `ZMQ_POLLERR`, `ZMQ_POLLPRI`.
    pub events: c_short,
    /// The events that have occurred.
    pub revents: c_short,
}

/// Waits until a requested event has come for an item: at most `timeout` milliseconds, or for ever
/// if that is negative. Returns the number of items with events.
pub(crate) fn wait(items: &mut [zmq_pollitem_t], timeout: i64) -> Result<c_int, Errno> {
    let deadline = deadline_in(timeout);
    let mut is_last = timeout == 0;
    let mut is_first = true;
    loop {
        let (ready, signals) = look(items, is_last || is_first)?;
        is_first = false;
        if ready > 0 || is_last {
            return Ok(ready);
        }
        let mut fds = descriptors(items, &signals);
        let threads: Vec<_> = sockets(items).filter_map(socket::io_thread).collect();
        // Until they are dropped, the I/O threads do not rest.
        let _waits: Vec<_> = threads.iter().map(|io| io.begin_wait(false)).collect();
        is_last = poll(&mut fds, time_until(deadline))? == 0;
    }
}

/// Sets the events of each item. Returns the number of items with events, and the signals of any
/// change.
fn look(items: &mut [zmq_pollitem_t], settles: bool) -> Result<(c_int, Vec<Arc<Signal>>), Errno> {
    let (mut ready, mut signals) = (0, Vec::new());
    for item in items.iter_mut() {
        item.revents = 0;
        if !item.socket.is_null() {
            let asked = c_int::from(item.events);
            let (events, signal) = socket::events(Handle::of(item.socket), asked, settles)?;
            item.revents = events as c_short;
            signals.push(signal);
        }
    }
    let mut fds = descriptors(items, &[]);
    if !fds.is_empty() {
        poll(&mut fds, PollTimeout::ZERO)?;
        let mut found = fds
            .iter()
            .map(|fd| fd.revents().unwrap_or(PollFlags::empty()))
            .collect::<Vec<_>>()
            .into_iter();
        for item in items.iter_mut().filter(|item| is_descriptor(item)) {
            item.revents = revents(found.next().unwrap_or(PollFlags::empty()));
        }
    }
    ready += items.iter().filter(|item| item.revents != 0).count() as c_int;
    Ok((ready, signals))
}

fn sockets(items: &[zmq_pollitem_t]) -> impl Iterator<Item = Handle> {
    let sockets = items.iter().filter(|item| !item.socket.is_null());
    sockets.map(|item| Handle::of(item.socket))
}

fn is_descriptor(item: &zmq_pollitem_t) -> bool {
    // As with `poll(2)`, a negative number is no descriptor.
    item.socket.is_null() && item.fd >= 0
}

fn descriptors<'a>(items: &[zmq_pollitem_t], signals: &'a [Arc<Signal>]) -> Vec<PollFd<'a>> {
    let descriptors = items.iter().filter(|item| is_descriptor(item)).map(|item| {
        let mut flags = PollFlags::empty();
        flags.set(PollFlags::POLLIN, item.events & socket::POLLIN as c_short != 0);
        flags.set(PollFlags::POLLOUT, item.events & socket::POLLOUT as c_short != 0);
        flags.set(PollFlags::POLLPRI, item.events & POLLPRI != 0);
        PollFd::new(border::borrow_descriptor(item.fd), flags)
    });
    let signals = signals.iter().map(|signal| PollFd::new(signal.as_fd(), PollFlags::POLLIN));
    descriptors.chain(signals).collect()
}

fn revents(flags: PollFlags) -> c_short {
    let mut events = 0;
    if flags.contains(PollFlags::POLLIN) {
        events |= socket::POLLIN as c_short;
    }
    if flags.contains(PollFlags::POLLOUT) {
        events |= socket::POLLOUT as c_short;
    }
    if flags.contains(PollFlags::POLLPRI) {
        events |= POLLPRI;
    }
    if flags.intersects(PollFlags::POLLERR | PollFlags::POLLHUP | PollFlags::POLLNVAL) {
        events |= POLLERR;
    }
    events
}
