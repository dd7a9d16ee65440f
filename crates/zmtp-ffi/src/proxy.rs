//! `zmq_proxy` and `zmq_proxy_steerable`: forward messages between two sockets.

use std::ffi::{c_int, c_short};

use bytes::Bytes;

use crate::errno::Errno;
use crate::handles::Handle;
use crate::poll::{self, zmq_pollitem_t};
use crate::socket::{self, DONTWAIT, POLLIN, POLLOUT, SNDMORE, Sending};

/// How many messages one side may forward before the turn of the other.
const TURN: usize = 1000;

/// The traffic of one side: its parts and their octets.
#[derive(Clone, Copy, Debug, Default)]
struct Passed {
    received: [u64; 2],
    sent: [u64; 2],
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Running,
    Paused,
    Terminated,
}

/// Forwards messages between `front` and `back`, with a copy of each to `capture`, until an error
/// or a command of `control` ends it.
pub(crate) fn run(
    front: Handle,
    back: Handle,
    capture: Option<Handle>,
    control: Option<Handle>,
) -> Result<(), Errno> {
    let mut passed = [Passed::default(); 2];
    let mut state = State::Running;
    while state != State::Terminated {
        let is_running = state == State::Running;
        // A side is read from only if the other can be written to, so that nothing is dropped here.
        // Otherwise the proxy waits for the other.
        let mut items = Vec::new();
        if is_running {
            for (from, to) in [(front, back), (back, front)] {
                // A socket that is both sides can send only after it has received.
                let has_room = from == to || socket::events(to, POLLOUT, false)?.0 != 0;
                items.push(if has_room { item(from, POLLIN) } else { item(to, POLLOUT) });
            }
        }
        if let Some(control) = control {
            items.push(item(control, POLLIN));
        }
        poll::wait(&mut items, -1)?;
        if let Some(control) = control
            && items.last().is_some_and(|item| item.revents != 0)
        {
            state = steer(control, state, &passed)?;
            continue;
        }
        if !is_running {
            continue;
        }
        let [has_front, has_back] =
            [0, 1].map(|side: usize| items[side].events == 1 && items[side].revents == 1);
        if has_front {
            forward((front, back), capture, &mut passed, 0)?;
        }
        if has_back && front != back {
            forward((back, front), capture, &mut passed, 1)?;
        }
    }
    Ok(())
}

fn item(socket: Handle, events: c_int) -> zmq_pollitem_t {
    zmq_pollitem_t { socket: socket.to_pointer(), fd: 0, events: events as c_short, revents: 0 }
}

/// Forwards the messages that have arrived, for one turn.
fn forward(
    (from, to): (Handle, Handle),
    capture: Option<Handle>,
    passed: &mut [Passed; 2],
    side: usize,
) -> Result<(), Errno> {
    for _ in 0..TURN {
        let mut is_first = true;
        loop {
            let part = match socket::receive(from, if is_first { DONTWAIT } else { 0 }) {
                Err(Errno::EAGAIN) if is_first => return Ok(()),
                part => part?,
            };
            is_first = false;
            let flags = if part.more { SNDMORE } else { 0 };
            let octets = part.octets.len() as u64;
            if let Some(capture) = capture {
                send(capture, part.octets.clone(), flags)?;
            }
            send(to, part.octets, flags)?;
            count(&mut passed[side].received, octets);
            count(&mut passed[1 - side].sent, octets);
            if !part.more {
                break;
            }
        }
        if from == to || socket::events(to, POLLOUT, false)?.0 == 0 {
            return Ok(());
        }
    }
    Ok(())
}

fn send(to: Handle, octets: Bytes, flags: c_int) -> Result<(), Errno> {
    socket::send(to, Sending::Shared(octets), flags)
}

fn count(counters: &mut [u64; 2], octets: u64) {
    counters[0] += 1;
    counters[1] += octets;
}

/// Executes a command of the control socket, and replies if the socket expects a reply.
fn steer(control: Handle, state: State, passed: &[Passed; 2]) -> Result<State, Errno> {
    let command = socket::receive(control, 0)?;
    let mut more = command.more;
    while more {
        more = socket::receive(control, 0)?.more;
    }
    let state = match command.octets.as_ref() {
        b"PAUSE" => State::Paused,
        b"RESUME" => State::Running,
        b"TERMINATE" => State::Terminated,
        _ => state,
    };
    if command.octets == "STATISTICS" {
        let counters = passed.iter().flat_map(|side| [side.received, side.sent]).flatten();
        let counters: Vec<u64> = counters.collect();
        let last = counters.len() - 1;
        for (index, counter) in counters.into_iter().enumerate() {
            let flags = if index < last { SNDMORE } else { 0 };
            send(control, Bytes::copy_from_slice(&counter.to_ne_bytes()), flags)?;
        }
    } else if socket::kind(control)? == crate::kind::Kind::Rep {
        // A REP must reply before it may receive the next command.
        send(control, Bytes::new(), 0)?;
    }
    Ok(state)
}
