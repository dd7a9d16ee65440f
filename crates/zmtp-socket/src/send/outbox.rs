//! The queue of messages to one peer: ranges of the journal, and their number of messages.

use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;
use std::task::Waker;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::runtime::Handle;
use zmtp_codec::{Batch, FrameHeader, Message};

use super::gathering::RestTimer;
use super::journal::{BLOCK, Segment};
use super::room::Room;
use super::waiters::{Ticket, Waiters};
use crate::engine::admission::Kill;
use crate::engine::burst::Burst;
use crate::engine::driver::Ways;
use crate::engine::transport::{Direct, Outlet};
use crate::error::Overrun;
use crate::monitor::{Event, Events, Recorded};
use crate::options::{HighWaterMark, Mark, Marks};
use crate::peer::Peer;
use crate::stats::Count;

/// The number of octets that a driver takes at once, about.
pub(crate) const TAKE: usize = 256 << 10;

/// A shorter run is copied when it is taken: a slice of its own would cost more to write, and would keep
/// its whole block alive until the transport has taken it.
pub(crate) const SHORT: usize = 2 << 10;

/// A part of so many octets is not copied if it can be shared.
pub(crate) const LARGE: usize = 32 << 10;

/// The same inside the process, where the receiver gets the memory, too.
pub(crate) const LARGE_INSIDE: usize = 2 << 10;

/// The number of octets above which a message is not copied under the lock.
pub(crate) const COPY: usize = 256 << 10;

/// Whether a message has a part of so many octets.
pub(crate) fn has_large_part(message: &Message, large: usize) -> bool {
    message.parts().iter().any(|part| part.len() >= large)
}

/// The queue of one peer. A message is in it until the transport has taken its last octet.
#[derive(Debug)]
pub(crate) struct Outbox {
    runs: VecDeque<Run>,
    /// The number of messages in `runs`.
    waiting: usize,
    /// The number of messages that the driver has taken and the transport has not.
    taken: usize,
    /// The number of octets that the transport has not taken.
    octets: usize,
    marks: Marks,
    /// The senders that wait for room here.
    pub(crate) waiters: Waiters,
    /// Whether the first of these senders has yet to be woken.
    awaited: bool,
    /// Whether the newest message for this peer was dropped.
    dropping: bool,
    /// The number of messages in front that a flush waits for: until the transport has taken them, or
    /// they are lost.
    flushing: usize,
    /// The last block that this peer was noted as a reader of.
    block: Option<u64>,
    /// The waker of the peer's driver, if it waits for messages. The driver does not write meanwhile.
    pub(crate) waker: Option<Waker>,
    /// The number of queued octets at which a resting driver is to be woken; zero if it is to be woken
    /// for any message.
    wake_at: usize,
    /// Ends the rest of a resting driver.
    timer: Option<Arc<RestTimer>>,
    /// Whether the sender that woke the driver last runs on a thread outside of every runtime.
    sent_outside: bool,
    /// The writing side for senders, which may use it while the driver waits.
    outlet: Option<Outlet>,
    /// The queue in the peer's own socket, which senders may use while nothing waits here.
    direct: Option<Direct>,
    /// The rest of a message that a sender has begun to write.
    begun: Burst,
    /// Ends the connection.
    kill: Option<Kill>,
    pub(crate) sent: Count,
    pub(crate) dropped: Count,
}

/// Messages that follow one another in a segment, or a piece of a message with large parts.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) segment: Arc<Segment>,
    pub(crate) range: Range<usize>,
    /// The number of messages whose last octet is among these.
    pub(crate) messages: usize,
    /// The number of octets of the last frame that are in the next run.
    pub(crate) continued: usize,
}

impl Outbox {
    pub(crate) fn new(marks: Marks, outlet: Option<Outlet>, kill: Option<Kill>) -> Self {
        Self {
            runs: VecDeque::new(),
            waiting: 0,
            taken: 0,
            octets: 0,
            marks,
            waiters: Waiters::default(),
            awaited: false,
            dropping: false,
            flushing: 0,
            block: None,
            waker: None,
            wake_at: 0,
            timer: None,
            sent_outside: false,
            outlet,
            direct: None,
            begun: Burst::default(),
            kill,
            sent: Count::default(),
            dropped: Count::default(),
        }
    }

    /// Begins to wait for all queued messages. Returns whether there are any.
    pub(crate) fn begin_flush(&mut self) -> bool {
        self.flushing = self.queued();
        self.is_flushing()
    }

    pub(crate) fn is_flushing(&self) -> bool {
        self.flushing > 0
    }

    /// Takes the queue of a peer that has left, and leaves an empty one.
    pub(crate) fn leave(&mut self) -> Self {
        std::mem::replace(self, Self::new(self.marks, None, None))
    }

    /// The number of messages whose last octet the transport has not taken.
    pub(crate) fn queued(&self) -> usize {
        self.waiting + self.taken
    }

    /// Whether nothing is left for the driver to take.
    pub(crate) fn is_empty(&self) -> bool {
        self.runs.is_empty() && self.begun.is_empty()
    }

    /// The outlet, if a sender may write by itself: the driver waits, and nothing is queued.
    pub(crate) fn idle_outlet(&self) -> Option<&Outlet> {
        let is_idle = self.waker.is_some() && self.queued() == 0 && self.waiters.is_empty();
        self.outlet.as_ref().filter(|_| is_idle)
    }

    /// Whether a sender may leave a message in the peer's own queue: nothing is on its way there.
    pub(crate) fn can_deliver(&self) -> bool {
        self.queued() == 0 && self.waiters.is_empty() && self.is_direct()
    }

    /// Whether the peer's own queue is open.
    pub(crate) fn is_direct(&self) -> bool {
        self.direct.as_ref().is_some_and(Direct::is_open)
    }

    /// From how many octets on a part is queued without a copy, if it can be shared.
    #[inline]
    pub(crate) fn large(&self) -> usize {
        if self.direct.is_some() { LARGE_INSIDE } else { LARGE }
    }

    /// Whether a message that is sent now may be the answer to a single one from there.
    pub(crate) fn is_answer(&self) -> bool {
        self.direct.as_ref().is_some_and(Direct::is_answer)
    }

    /// Leaves a message there. Returns the receiver to be woken, if it waits; nothing if there is no room.
    pub(crate) fn deliver(&mut self, message: Message, length: usize) -> Option<Option<Waker>> {
        let receiver = self.direct.as_ref()?.deliver(message).ok()?;
        self.sent.add(1, length);
        Some(receiver)
    }

    /// The way to the peer's own queue.
    pub(crate) fn direct(&self) -> Option<&Direct> {
        self.direct.as_ref()
    }

    /// Leaves queued messages there, oldest first and about [`TAKE`] octets, as far as there is room. All
    /// segments are sealed. Returns the numbers of messages and octets, which still have to be counted as
    /// [written](Self::written), and the receiver to be woken, if it waits.
    pub(crate) fn hand_over(&mut self) -> (usize, usize, Option<Waker>) {
        let (mut gone, mut receiver) = (Count::default(), None);
        let is_free = self.taken == 0 && !self.has_begun();
        while gone.octets < TAKE as u64
            && let Some(direct) = self.direct.as_ref().filter(|_| is_free)
            && let Some((mut batch, runs)) = self.first_batch()
        {
            gone += Count::of_batch(&batch);
            receiver = direct.deliver_front(&mut batch).or(receiver);
            let left = Count::of_batch(&batch);
            gone -= left;
            if !batch.is_empty() {
                // A message in several runs goes whole or not at all.
                if runs == 1 {
                    let run = &mut self.runs[0];
                    run.messages = batch.len();
                    run.range.start = run.range.end - left.octets as usize;
                }
                break;
            }
            self.runs.drain(..runs);
        }
        if let Some(direct) = self.direct.as_ref().filter(|_| !self.runs.is_empty()) {
            direct.hold();
        }
        let (messages, octets) = (gone.messages as usize, gone.octets as usize);
        self.waiting -= messages;
        self.taken += messages;
        (messages, octets, receiver)
    }

    /// The messages of the first run, or the first message, if large parts of it have runs of their own; and the
    /// number of these runs.
    fn first_batch(&self) -> Option<(Batch, usize)> {
        let first = self.runs.front()?;
        match first.to_batch() {
            Some(batch) => Some((batch, 1)),
            None => self.first_large().map(|(message, runs)| (message.into(), runs)),
        }
    }

    fn first_large(&self) -> Option<(Message, usize)> {
        let (mut parts, mut more, mut runs) = (Vec::new(), true, 0);
        let mut octets = Bytes::new();
        while more {
            if octets.is_empty() {
                octets = self.runs.get(runs)?.octets();
                runs += 1;
            }
            let (header, header_len) = FrameHeader::decode(&octets).ok().flatten()?;
            more = header.more;
            octets.advance(header_len);
            let size = header.size as usize;
            if octets.len() < size {
                // The rest of the frame is the whole of the next run.
                octets = self.runs.get(runs)?.octets();
                runs += 1;
            }
            parts.push(octets.split_to(size));
        }
        // Runs that a driver has given back may hold other messages, too.
        octets.is_empty().then_some((Message::multipart(parts)?, runs))
    }

    /// Lets the driver wait for room in the peer's own queue. Returns `false` if there is room, or none to
    /// wait for.
    pub(crate) fn awaits_room_there(&mut self, driver: &Waker) -> bool {
        let Some(direct) = &self.direct else { return false };
        let mut driver = Some(driver.clone());
        direct.await_room(&mut driver);
        self.waker = None;
        driver.is_none()
    }

    /// The driver is not woken while there is no room for more in the peer's own queue.
    pub(crate) fn await_room_there(&mut self) {
        if let Some(direct) = &self.direct
            && self.waker.is_some()
        {
            direct.await_room(&mut self.waker);
        }
    }

    /// Notes that a sender has written so many octets of a message, and that `begun` has the others.
    pub(crate) fn begin(&mut self, begun: Burst, written: usize, rest: usize) {
        self.sent.add(usize::from(begun.is_empty()), written);
        if !begun.is_empty() {
            self.taken += 1;
            self.octets += rest;
            self.begun = begun;
        }
    }

    /// Ends the waiting of the driver, which writes from now on. It begins with the rest of a message
    /// that a sender has begun.
    pub(crate) fn claim(&mut self, burst: &mut Burst) {
        self.waker = None;
        if !self.begun.is_empty() {
            *burst = std::mem::take(&mut self.begun);
        }
    }

    /// Lets the driver wait for any message.
    pub(crate) fn wait(&mut self, waker: &Waker) {
        (self.wake_at, self.timer) = (0, None);
        self.keep(waker);
    }

    /// Lets the driver rest until so many octets are queued, or the timer ends the rest.
    pub(crate) fn rest(&mut self, waker: &Waker, octets: usize, timer: &Arc<RestTimer>) {
        (self.wake_at, self.timer) = (octets, Some(timer.clone()));
        self.keep(waker);
    }

    fn keep(&mut self, waker: &Waker) {
        if !self.waker.as_ref().is_some_and(|ours| ours.will_wake(waker)) {
            self.waker = Some(waker.clone());
        }
    }

    /// The waker of the driver, if it waits for any message.
    pub(crate) fn take_idle(&mut self) -> Option<Waker> {
        let driver = self.waker.take_if(|_| self.wake_at == 0);
        if driver.is_some() {
            self.sent_outside = Handle::try_current().is_err();
        }
        driver
    }

    /// Lets a driver that waits for any message wait until it is woken, or so many octets are queued.
    /// Returns whether it does.
    pub(crate) fn wakes_late(&mut self, octets: usize) -> bool {
        let waits = self.waker.is_some() && self.wake_at == 0;
        if waits {
            self.wake_at = octets;
        }
        waits
    }

    /// Whether the sender that woke the driver last runs on a thread outside of every runtime, and so
    /// beside the driver.
    pub(crate) fn is_sent_outside(&self) -> bool {
        self.sent_outside
    }

    /// Whether the driver rests, and would rest on after a message of so many octets.
    #[inline]
    pub(crate) fn rests(&self, octets: usize) -> bool {
        let room = self.room();
        self.waker.is_some()
            && self.octets + octets < self.wake_at
            && room.messages > 1
            && room.octets > octets
    }

    /// The number of octets that may be queued before a resting driver is to be woken.
    pub(crate) fn until_due(&self) -> usize {
        match self.waker.is_some() && self.wake_at > 0 {
            true => self.wake_at.saturating_sub(self.octets),
            false => usize::MAX,
        }
    }

    /// Whether the driver has rested until much was queued.
    pub(crate) fn is_due(&self) -> bool {
        let is_much = self.octets >= self.wake_at || self.is_full();
        self.waker.is_some() && self.wake_at > 0 && is_much
    }

    pub(crate) fn outlet(&self) -> Option<&Outlet> {
        self.outlet.as_ref()
    }

    /// Whether a sender has begun a message that the transport did not take whole.
    pub(crate) fn has_begun(&self) -> bool {
        !self.begun.is_empty()
    }

    /// Moves the queued messages into `burst`, for a sender that writes them while the driver rests on.
    pub(crate) fn lend(&mut self, burst: &mut Burst) {
        let waker = self.waker.take();
        self.take(burst);
        self.waker = waker;
    }

    /// Takes back the octets of the lent messages that the transport has not taken. Returns the waker of
    /// the driver, if it has to write them. If none are left, the driver rests as long again.
    pub(crate) fn return_lent(&mut self, rest: Burst) -> Option<Waker> {
        self.begun = rest;
        if let Some(timer) = self.timer.as_ref().filter(|_| self.begun.is_empty()) {
            timer.start();
        }
        self.waker.take_if(|_| !self.begun.is_empty())
    }

    /// Lets a sender wait for room, in the place that `ticket` gives.
    pub(crate) fn await_room(&mut self, ticket: Ticket, waker: &Waker) {
        self.waiters.join(ticket, waker);
        self.awaited |= self.room().is_none();
    }

    /// The number of messages and octets until it is full.
    pub(crate) fn room(&self) -> Room {
        Room {
            messages: self.marks.messages.get().saturating_sub(self.queued()),
            octets: self.marks.octets.saturating_sub(self.octets),
        }
    }

    /// Whether there is room for a message of a sender with this ticket, and no sender that came earlier
    /// waits for it.
    pub(crate) fn accepts(&self, ticket: Option<Ticket>) -> bool {
        !self.is_full() && !self.waiters.has_before(ticket)
    }

    /// Whether there is no room for another message.
    pub(crate) fn is_full(&self) -> bool {
        self.room().is_none()
    }

    /// The number of octets that the transport has not taken.
    pub(crate) fn queued_octets(&self) -> usize {
        self.octets
    }

    /// The mark that a full queue has reached.
    pub(crate) fn mark(&self) -> Mark {
        self.marks.reached_by(self.queued())
    }

    /// Whether the peer loses messages, or a sender waits for it.
    pub(crate) fn is_congested(&self) -> bool {
        self.dropping || !self.waiters.is_empty()
    }

    /// Ends the peer's connection, if that has not been done here before.
    pub(crate) fn kill(&mut self) {
        let mark = self.mark();
        if let Some(kill) = self.kill.take() {
            kill.because(Overrun::Queue { mark }.into());
        }
    }

    /// Announces that the peer loses messages, once until it has caught up.
    pub(crate) fn announce_loss(&mut self, peer: &Peer, events: &Events) -> Option<Recorded> {
        if std::mem::replace(&mut self.dropping, true) {
            return None;
        }
        events.record(|| Event::Dropping { peer: peer.clone(), mark: self.mark() })
    }

    /// Drops a message that was for this peer alone.
    pub(crate) fn lose(&mut self, octets: usize, peer: &Peer, events: &Events) -> Option<Recorded> {
        self.dropped.add(1, octets);
        self.announce_loss(peer, events)
    }

    /// Adds messages. Returns whether they are the peer's first in their block.
    pub(crate) fn push(&mut self, run: &Run) -> bool {
        self.waiting += run.messages;
        self.octets += run.range.len();
        if let Some(last) = self.runs.back_mut()
            && last.is_followed_by(run)
        {
            last.range.end = run.range.end;
            last.messages += run.messages;
            return false;
        }
        self.runs.push_back(run.clone());
        let block = run.segment.block;
        block.is_some() && std::mem::replace(&mut self.block, block) != block
    }

    /// Adds one message, the last of the open segment.
    #[inline]
    pub(crate) fn append(&mut self, segment: &Arc<Segment>, range: Range<usize>) {
        self.waiting += 1;
        self.octets += range.len();
        match self.runs.back_mut() {
            Some(last) if last.range.end == range.start && Arc::ptr_eq(&last.segment, segment) => {
                last.range.end = range.end;
                last.messages += 1;
            }
            _ => {
                let segment = segment.clone();
                self.runs.push_back(Run { segment, range, messages: 1, continued: 0 });
            }
        }
    }

    /// Makes this the queue of a connection.
    pub(crate) fn attach(&mut self, marks: Marks, ways: Ways<'_>) {
        (self.marks, self.outlet) = (marks, ways.outlet.cloned());
        self.direct = ways.direct.map(|(direct, _limits)| direct.clone());
    }

    /// Changes the number of messages that may wait.
    pub(crate) fn set_mark(&mut self, mark: HighWaterMark) {
        self.marks.messages = mark;
    }

    /// Ends the writing of senders, when the connection is about to end.
    pub(crate) fn hang_up(&mut self) {
        (self.outlet, self.direct, self.timer) = (None, None, None);
    }

    /// Keeps the queue after the end of its connection. Messages that the driver had taken and not given
    /// back are lost. Returns their counts.
    pub(crate) fn detach(&mut self, marks: Marks) -> Count {
        (self.marks, self.waker) = (marks, None);
        self.hang_up();
        self.begun = Burst::default();
        let waiting: usize = self.runs.iter().map(|run| run.range.len()).sum();
        let lost = Count {
            messages: std::mem::take(&mut self.taken) as u64,
            octets: (self.octets - waiting) as u64,
        };
        self.octets = waiting;
        self.flushing = self.flushing.saturating_sub(lost.messages as usize);
        lost
    }

    /// Drops the messages that the driver has not taken. Returns their counts, and the memory.
    pub(crate) fn discard(&mut self) -> (Count, VecDeque<Run>) {
        let runs = std::mem::take(&mut self.runs);
        let octets: usize = runs.iter().map(Run::len).sum();
        let messages = std::mem::take(&mut self.waiting);
        self.octets -= octets;
        self.flushing = self.flushing.min(self.taken);
        let dropped = Count { messages: messages as u64, octets: octets as u64 };
        self.dropped += dropped;
        (dropped, runs)
    }

    /// The memory of the queued messages.
    pub(crate) fn into_runs(self) -> VecDeque<Run> {
        self.runs
    }

    /// Adds a message before all queued ones.
    pub(crate) fn push_first(&mut self, runs: Vec<Run>) {
        for run in runs.into_iter().rev() {
            if self.is_flushing() {
                self.flushing += run.messages;
            }
            self.waiting += run.messages;
            self.octets += run.len();
            self.runs.push_front(run);
        }
    }

    /// Takes back whole messages of which the transport has taken nothing, to be sent first.
    pub(crate) fn give_back(&mut self, pieces: impl Iterator<Item = (Bytes, usize, usize)>) {
        let runs: Vec<_> = pieces
            .map(|(octets, messages, continued)| Run::apart(octets, messages, continued))
            .collect();
        for run in runs.into_iter().rev() {
            self.taken -= run.messages;
            self.waiting += run.messages;
            self.runs.push_front(run);
        }
    }

    /// Whether enough room is free again to wake a sender that found the queue full.
    pub(crate) fn is_half_free(&self) -> bool {
        self.queued() <= self.marks.messages.get() / 2 && self.octets <= self.marks.octets / 2
    }

    /// Moves whole messages, oldest first, into `burst`. All segments are sealed.
    pub(crate) fn take(&mut self, burst: &mut Burst) {
        if !self.begun.is_empty() {
            return self.claim(burst);
        }
        self.waker = None;
        let mut short = Short::default();
        let (mut octets, mut is_whole) = (0, true);
        while octets < TAKE || !is_whole {
            let Some(run) = self.runs.pop_front() else {
                self.runs = VecDeque::new();
                break;
            };
            self.waiting -= run.messages;
            self.taken += run.messages;
            octets += run.range.len();
            // Only the last of several runs of a message counts as a message.
            is_whole = run.messages > 0;
            if run.range.len() >= SHORT {
                short.move_to(burst, 0);
                burst.push(run.octets(), run.messages, run.continued);
                continue;
            }
            short.add(&run);
            if run.continued > 0 {
                short.move_to(burst, run.continued);
            }
        }
        short.move_to(burst, 0);
    }

    /// Notes what the transport has taken. Once half of the queue is free, and not for each message,
    /// returns the waker of the first waiting sender.
    pub(crate) fn written(&mut self, messages: usize, octets: usize) -> Option<Waker> {
        self.taken -= messages;
        self.octets -= octets;
        self.flushing = self.flushing.saturating_sub(messages);
        self.sent.add(messages, octets);
        if self.is_half_free() && std::mem::take(&mut self.awaited) {
            self.waiters.first()
        } else {
            None
        }
    }

    /// Whether nothing is queued any more for a peer that has lost messages.
    pub(crate) fn catch_up(&mut self) -> bool {
        self.queued() == 0 && std::mem::take(&mut self.dropping)
    }

    /// The segment of the oldest message that the driver has not taken.
    pub(crate) fn oldest_segment(&self) -> Option<&Arc<Segment>> {
        self.runs.front().map(|run| &run.segment)
    }

    /// Drops the oldest messages that the driver has not taken, until there is room for another or none
    /// is left. Their segments are sealed; they are moved to `dropped`. Returns their counts.
    pub(crate) fn drop_oldest(&mut self, dropped: &mut Vec<Run>) -> Count {
        let mut lost = Count::default();
        while self.room().is_none() && self.waiting > 0 {
            let octets = self.remove_oldest(dropped);
            self.waiting -= 1;
            // The messages that the driver has taken come before this one, and stay.
            self.flushing -= usize::from(self.flushing > self.taken);
            self.octets -= octets;
            lost.add(1, octets);
        }
        self.dropped += lost;
        lost
    }

    /// Walks over the frames of the first message. Returns the number of its octets.
    fn remove_oldest(&mut self, removed: &mut Vec<Run>) -> usize {
        let (mut octets, mut more) = (0, true);
        while more && let Some(run) = self.runs.front_mut() {
            let Ok(Some((header, header_len))) = FrameHeader::decode(&run.octets()) else {
                unreachable!("a run begins with a frame that we encoded");
            };
            more = header.more;
            let frame = header_len + header.size as usize;
            // The rest of the frame is the whole of the next run.
            let here = frame.min(run.range.len());
            run.range.start += here;
            if run.range.is_empty() {
                removed.extend(self.runs.pop_front());
                if here < frame {
                    removed.extend(self.runs.pop_front());
                }
            } else if !more {
                run.messages -= 1;
            }
            octets += frame;
        }
        octets
    }

    /// Copies the queued messages in the ended `block` if they are few, so that a slow peer does not
    /// keep alive much more memory than its messages need.
    pub(crate) fn unpin(&mut self, block: u64) {
        let in_block = |run: &&Run| run.segment.block == Some(block);
        let count = self.runs.iter().rev().take_while(in_block).count();
        let first = self.runs.len() - count;
        let octets: usize = self.runs.range(first..).map(|run| run.range.len()).sum();
        if count == 0 || octets > BLOCK / 4 {
            return;
        }
        let mut copy = BytesMut::with_capacity(octets);
        let mut messages = 0;
        for run in self.runs.drain(first..) {
            copy.extend_from_slice(&run.octets());
            messages += run.messages;
        }
        self.runs.push_back(Run::apart(copy.freeze(), messages, 0));
    }
}

#[cfg(test)]
impl Outbox {
    pub(crate) fn runs(&self) -> usize {
        self.runs.len()
    }

    /// The number of messages that the driver has taken.
    pub(crate) fn taken(&self) -> usize {
        self.taken
    }

    /// The number of distinct blocks that this queue keeps alive.
    pub(crate) fn pinned_blocks(&self) -> usize {
        let blocks = self.runs.iter().filter_map(|run| run.segment.block);
        blocks.collect::<std::collections::BTreeSet<_>>().len()
    }
}

/// Short runs, copied together.
#[derive(Default)]
struct Short {
    octets: BytesMut,
    messages: usize,
}

impl Short {
    fn add(&mut self, run: &Run) {
        self.octets.extend_from_slice(&run.octets());
        self.messages += run.messages;
    }

    fn move_to(&mut self, burst: &mut Burst, continued: usize) {
        if !self.octets.is_empty() {
            let messages = std::mem::take(&mut self.messages);
            burst.push(self.octets.split().freeze(), messages, continued);
        }
    }
}

impl<'a> FromIterator<&'a Run> for Burst {
    fn from_iter<I: IntoIterator<Item = &'a Run>>(runs: I) -> Self {
        let mut burst = Self::default();
        runs.into_iter().for_each(|run| burst.push(run.octets(), run.messages, run.continued));
        burst
    }
}

impl Run {
    /// A run with a segment of its own.
    pub(crate) fn apart(octets: Bytes, messages: usize, continued: usize) -> Self {
        let range = 0..octets.len();
        Self { segment: Arc::new(Segment::apart(octets)), range, messages, continued }
    }

    /// The runs of a message whose large parts, of so many octets, are shared, each in a run of its own, and whose
    /// other parts are copied.
    pub(crate) fn of_large(message: &Message, large: usize) -> Vec<Self> {
        let mut runs = Vec::new();
        let mut small = BytesMut::new();
        for (part, left) in message.parts().iter().zip((0..message.part_count()).rev()) {
            let header = FrameHeader { more: left > 0, command: false, size: part.len() as u64 };
            header.encode(&mut small);
            if part.len() < large {
                small.extend_from_slice(part);
            } else {
                runs.push(Self::apart(small.split().freeze(), 0, part.len()));
                runs.push(Self::apart(part.clone(), 0, 0));
            }
        }
        if !small.is_empty() {
            runs.push(Self::apart(small.freeze(), 0, 0));
        }
        if let Some(last) = runs.last_mut() {
            last.messages = 1;
        }
        runs
    }

    /// Its messages, if it has whole ones. A short run is copied, as in [`take`](Outbox::take).
    fn to_batch(&self) -> Option<Batch> {
        if self.messages == 0 || self.continued > 0 {
            return None;
        }
        let (mut octets, mut pinned) = (self.octets(), self.len());
        match self.segment.block {
            Some(_) if pinned < SHORT => octets = Bytes::copy_from_slice(&octets),
            Some(_) => pinned = BLOCK.max(pinned),
            None => {}
        }
        Some(Batch::of_frames(octets, self.messages, pinned))
    }

    /// The number of its octets.
    pub(crate) fn len(&self) -> usize {
        self.range.len()
    }

    fn is_followed_by(&self, next: &Self) -> bool {
        self.range.end == next.range.start && Arc::ptr_eq(&self.segment, &next.segment)
    }

    fn octets(&self) -> Bytes {
        self.segment.octets().slice(self.range.clone())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::send::journal::Journal;

    /// An outbox with a mark of so many octets.
    fn outbox(octets: usize) -> Outbox {
        Outbox::new(Marks::new(HighWaterMark::messages(10), Some(octets), 0), None, None)
    }

    #[test]
    fn a_run_of_whole_messages_is_a_batch_which_keeps_no_block_alive_for_a_few_octets() {
        let mut journal = Journal::default();
        journal.make_room(SHORT);
        journal.append(b"1", &[]);
        let few = 0..journal.end();
        // The header has nine octets.
        journal.append(&[7; SHORT - 12], &[]);
        let all = 0..journal.end();
        assert_eq!(all.len(), SHORT);
        let segment = journal.open().clone();
        journal.seal();
        for (range, messages, is_shared) in [(few, 1, false), (all, 2, true)] {
            let run = Run { segment: segment.clone(), range, messages, continued: 0 };
            let batch = run.to_batch().expect("its messages are whole");
            let body = batch.peek_body().expect("it has one part");
            let is_inside = run.octets().as_ptr_range().contains(&body.as_ptr());
            assert_eq!((batch.len(), body, is_inside), (messages, &b"1"[..], is_shared));
            for (messages, continued) in [(0, 0), (messages, 9)] {
                let torn = Run { messages, continued, ..run.clone() };
                assert!(torn.to_batch().is_none(), "of the last one there is more");
            }
        }
    }

    #[test]
    fn messages_that_follow_one_another_in_a_segment_are_one_run() {
        let mut journal = Journal::default();
        journal.make_room(9);
        for is_pushed in [false, true] {
            let mut outbox = outbox(usize::MAX);
            let mut runs = Vec::new();
            for _ in 0..3 {
                let start = journal.end();
                journal.append(b"1", &[]);
                let (segment, range) = (journal.open(), start..journal.end());
                if is_pushed {
                    outbox.push(&Run {
                        segment: segment.clone(),
                        range,
                        messages: 1,
                        continued: 0,
                    });
                } else {
                    outbox.append(segment, range);
                }
                runs.push(outbox.runs());
                if runs.len() == 2 {
                    journal.seal();
                }
            }
            assert_eq!(runs, [1, 1, 2]);
            journal.seal();
            let mut burst = Burst::default();
            outbox.take(&mut burst);
            assert_eq!((burst.len(), outbox.taken()), (9, 3));
        }
    }

    #[test]
    fn a_driver_takes_no_part_of_a_message_alone() {
        let mut outbox = outbox(usize::MAX);
        let message = Message::multipart([vec![7; TAKE], vec![7]]).unwrap();
        for run in &Run::of_large(&message, LARGE) {
            outbox.push(run);
        }
        assert_eq!(outbox.runs(), 3);
        outbox.take(&mut Burst::default());
        assert_eq!((outbox.runs(), outbox.taken()), (0, 1));
    }

    #[test]
    fn a_driver_rests_on_unless_a_message_would_fill_the_queue() {
        let mut outbox = outbox(8);
        assert!(!outbox.rests(0), "it does not wait");
        outbox.wait(Waker::noop());
        assert!(outbox.wakes_late(100) && outbox.rests(7) && !outbox.rests(8));
    }

    #[test]
    fn a_driver_that_waits_for_any_message_can_be_left_to_wait_for_many() {
        let mut outbox = outbox(usize::MAX);
        assert!(!outbox.wakes_late(9), "it does not wait");
        outbox.wait(Waker::noop());
        assert_eq!(outbox.until_due(), usize::MAX);
        assert!(outbox.wakes_late(9) && !outbox.wakes_late(9));
        outbox.push(&Run::apart(Bytes::from_static(b"\0\x011"), 1, 0));
        assert_eq!(outbox.until_due(), 6);
    }
}
