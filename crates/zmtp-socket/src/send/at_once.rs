//! Writing to a peer without its driver: a single message to an idle peer, or the whole queue of a busy
//! one.

use std::io::IoSlice;
use std::task::Waker;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use zmtp_codec::FrameHeader;

use super::outbox::LARGE;
use super::outgoing::encode;
use super::{Outbox, Outgoing};
use crate::engine::burst::{Burst, SLICES};
use crate::stats::Stats;

/// A sender whose messages follow each other within this time is busy.
pub(crate) const BUSY: Duration = Duration::from_micros(50);

/// Inside the process, a message of so many octets is small no more.
const SHARED_INSIDE: usize = 4 << 10;

/// Leaves a message of so many octets in the queue of a peer in the same process, if nothing is on its way
/// there. Returns the receiver to be woken, if it waits; nothing if the message has to be queued here.
///
/// Small messages that follow one another closely are queued: they cost less together, and sender and receiver
/// do not contend for one lock.
pub(crate) fn deliver(
    outbox: &mut Outbox,
    busy: &mut Option<Instant>,
    message: &Outgoing<'_>,
    length: usize,
) -> Option<Option<Waker>> {
    if !outbox.can_deliver() {
        return None;
    }
    let follows = is_busy(busy) && !outbox.is_answer();
    if follows && length < SHARED_INSIDE {
        return None;
    }
    outbox.deliver(message.to_message(), length)
}

/// Whether the sender has sent something just before.
fn is_busy(busy: &mut Option<Instant>) -> bool {
    let now = Instant::now();
    busy.replace(now).is_some_and(|before| now - before < BUSY)
}

/// Writes a message of so many octets to an idle peer. That saves a wake-up of its driver and, for a
/// large message, the copy. Returns the number of octets that the transport has taken, and the waker of
/// the driver if it has to write the rest. Returns `None` if the message has to be queued, as when a
/// small message follows another closely: then the driver writes many at once. `busy` has the time of
/// the message before.
pub(crate) fn write(
    outbox: &mut Outbox,
    busy: &mut Option<Instant>,
    message: &Outgoing<'_>,
    length: usize,
) -> Option<(usize, Option<Waker>)> {
    let outlet = outbox.idle_outlet()?;
    let (first, rest) = message.parts();
    if length < LARGE {
        if is_busy(busy) {
            return None;
        }
    } else if !rest.is_empty() {
        return None;
    }
    let mut head = BytesMut::new();
    let body = if length < LARGE {
        encode(first, rest, &mut head);
        &[]
    } else {
        let size = first.len() as u64;
        FrameHeader { more: false, command: false, size }.encode(&mut head);
        first
    };
    // If the system takes no octet, or reports an error, the driver handles it.
    let written = outlet.try_write(&[IoSlice::new(&head), IoSlice::new(body)]).ok()?;
    let begun = match written.checked_sub(head.len()) {
        _ if written == length => Burst::default(),
        Some(of_body) => Burst::of_torn(match message.shared() {
            Some(message) => message.parts()[0].slice(of_body..),
            None => Bytes::copy_from_slice(&body[of_body..]),
        }),
        None => {
            let mut begun = Burst::default();
            match message.shared().filter(|_| !body.is_empty()) {
                Some(message) => {
                    begun.push(head.freeze(), 0, body.len());
                    begun.push(message.parts()[0].clone(), 1, 0);
                }
                None => {
                    head.extend_from_slice(body);
                    begun.push(head.freeze(), 1, 0);
                }
            }
            begun.advance(written);
            begun
        }
    };
    let waker = if begun.is_empty() { None } else { outbox.waker.take() };
    outbox.begin(begun, written, length - written);
    Some((written, waker))
}

/// Writes the queued messages of a peer whose driver rests. Returns the numbers of messages and octets
/// that the transport has taken, and the waker of the driver if it has to write the rest, or all: where
/// only the driver may write, as if messages are sealed.
pub(crate) fn write_queued(outbox: &mut Outbox) -> (usize, usize, Option<Waker>) {
    if outbox.outlet().is_none() {
        return (0, 0, outbox.waker.take());
    }
    let mut burst = Burst::default();
    outbox.lend(&mut burst);
    let (mut messages, mut octets) = (0, 0);
    while let Some(outlet) = outbox.outlet()
        && !burst.is_empty()
    {
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = burst.slices(&mut slices);
        // If the system takes no octet, or reports an error, the driver handles it.
        let Ok(written) = outlet.try_write(&slices[..count]) else { break };
        if written == 0 {
            break;
        }
        messages += burst.advance(written);
        octets += written;
    }
    (messages, octets, outbox.return_lent(burst))
}

/// Counts a message of so many octets, of which a transport has taken `written` at once.
pub(crate) fn count(totals: &mut Stats, written: usize, length: usize) {
    let rest = length - written;
    totals.sent += u64::from(rest == 0);
    totals.sent_octets += written as u64;
    totals.queued += u64::from(rest > 0);
    totals.queued_octets += rest as u64;
}
