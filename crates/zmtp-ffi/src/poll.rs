//! `zmq_poll`: waits for sockets and for descriptors of the system.
//!
//! A thread that waits often for sockets alone, of one I/O thread, does the work of that meanwhile, as one that receives
//! does.

use std::cell::RefCell;
use std::ffi::{c_int, c_short, c_void};
use std::os::fd::AsFd;
use std::sync::Arc;
use std::task::{Context as TaskContext, Poll};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use zmtp_socket::blocking::Wait;

use crate::errno::Errno;
use crate::handles::Handle;
use crate::interrupt::{self, Waited, Waiting};
use crate::io::Io;
use crate::signal::{Signal, deadline_in, time_until};
use crate::{border, socket};

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

thread_local! {
    /// The waits of this thread.
    static WAITING: RefCell<Waiting> = RefCell::default();
}

/// Waits until a requested event has come for an item: at most `timeout` milliseconds, or for ever
/// if that is negative. Returns the number of items with events.
pub(crate) fn wait(items: &mut [zmq_pollitem_t], timeout: i64) -> Result<c_int, Errno> {
    let deadline = deadline_in(timeout);
    let mut is_last = timeout == 0;
    let mut is_first = true;
    loop {
        let (ready, signals) = look(items, is_last || is_first)?;
        if ready > 0 || is_last {
            if is_first && items.iter().any(lacks) {
                io_threads(items).0.iter().for_each(|io| io.looked_in_vain());
            }
            return Ok(ready);
        }
        is_first = false;
        let (threads, may_run) = io_threads(items);
        let stay = if may_run { WAITING.with_borrow_mut(Waiting::begin) } else { None };
        // Until they are dropped, the I/O threads do not rest, but for the one whose runtime this thread runs.
        let waits: Vec<_> = threads.iter().filter_map(|io| io.begin_wait(stay.is_some())).collect();
        let Some((runtime, stay)) = waits.first().and_then(Wait::runtime).zip(stay) else {
            is_last = poll(&mut descriptors(items, &signals), time_until(deadline))? == 0;
            continue;
        };
        match interrupt::wait(runtime, &signals, stay, deadline, |cx| look_on(items, cx))? {
            Waited::Done(ready) => {
                WAITING.with_borrow_mut(Waiting::found);
                return Ok(ready);
            }
            Waited::Over => is_last = true,
            Waited::Unfinished => WAITING.with_borrow_mut(Waiting::failed),
        }
    }
}

/// The I/O threads of the sockets, each once, and whether this thread may run the runtime of one while it waits.
fn io_threads(items: &[zmq_pollitem_t]) -> (Vec<Arc<Io>>, bool) {
    let (mut threads, mut may_run) = (Vec::<Arc<Io>>::new(), !items.iter().any(is_descriptor));
    for (io, lets_run) in sockets(items).filter_map(socket::io_thread) {
        may_run &= lets_run;
        if !threads.iter().any(|other| Arc::ptr_eq(other, &io)) {
            threads.push(io);
        }
    }
    may_run &= threads.len() == 1;
    (threads, may_run)
}

/// Does as [`look`] for a thread that runs the runtime and waits for sockets alone.
fn look_on(items: &mut [zmq_pollitem_t], cx: &mut TaskContext<'_>) -> Poll<Result<c_int, Errno>> {
    let mut ready = 0;
    for item in items.iter_mut().filter(|item| !item.socket.is_null()) {
        let asked = c_int::from(item.events);
        item.revents = socket::poll_events(Handle::of(item.socket), asked, cx)? as c_short;
        ready += c_int::from(item.revents != 0);
    }
    if ready > 0 { Poll::Ready(Ok(ready)) } else { Poll::Pending }
}

/// Whether not all events that a socket was asked for hold.
fn lacks(item: &zmq_pollitem_t) -> bool {
    let asked = item.events & (socket::POLLIN | socket::POLLOUT) as c_short;
    !item.socket.is_null() && item.revents & asked != asked
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
