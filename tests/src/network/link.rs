//! One connection: two lanes of octets and their faults, without a task of its own.

use std::io::{self, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker, ready};

use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::time::{Instant, Sleep, sleep_until};

use super::fault::{Fault, Manner, Spot, Way};
use super::lock;
use super::progress::Progress;
use super::record::{Record, Struck};
use std::time::Duration;

/// The properties of a new link.
#[derive(Debug)]
pub(super) struct Fate {
    /// Octets that each side may write ahead.
    pub(super) room: usize,
    pub(super) manner: Manner,
    /// The faults to come, and their spots.
    pub(super) faults: Vec<(Way, Spot, Fault)>,
    pub(super) chance: fastrand::Rng,
}

/// The state that both ends of a connection share.
#[derive(Debug)]
pub(super) struct Link {
    lanes: [Lane; 2],
    fate: Fate,
    record: Arc<Record>,
}

/// The octets in one direction.
#[derive(Debug, Default)]
struct Lane {
    octets: BytesMut,
    /// The octets that have arrived.
    progress: Progress,
    /// Nothing arrives before this time.
    not_before: Option<Instant>,
    /// The end that the reader finds after the last octet.
    end: Option<End>,
    /// Nothing arrives any more, not even an end.
    silent: bool,
    /// Written octets are lost: the reader is gone, or the writer is not to notice the fault.
    swallows: bool,
    /// The link is cut: nothing more can be written.
    broken: bool,
    reader: Option<Waker>,
    writer: Option<Waker>,
}

#[derive(Clone, Copy, Debug)]
enum End {
    Closed,
    Reset,
}

/// The result of a read.
enum Arrival {
    Octets,
    End(End),
    /// Nothing before this time.
    Later(Instant),
    Nothing,
}

impl Link {
    /// A new connection: the dialling side's end, and the listening side's.
    pub(super) fn new(fate: Fate, record: Arc<Record>) -> (Arc<Mutex<Self>>, [LinkEnd; 2]) {
        let link = Arc::new(Mutex::new(Self { lanes: Default::default(), fate, record }));
        let ends =
            [Way::Out, Way::Back].map(|way| LinkEnd { link: link.clone(), way, timer: None });
        (link, ends)
    }

    /// Schedules a fault for when the octets that arrive reach this spot.
    pub(super) fn arm(&mut self, way: Way, spot: Spot, fault: Fault) {
        self.fate.faults.push((way, spot, fault));
    }

    /// Ends all faults but silence.
    pub(super) fn heal(&mut self) {
        self.fate.faults.clear();
        self.fate.manner = Manner::SMOOTH;
        for lane in &mut self.lanes {
            lane.not_before = None;
            lane.wake();
        }
    }

    /// Whether every message and command that has begun has arrived whole.
    pub(super) fn is_quiet(&self) -> bool {
        self.lanes.iter().all(|lane| lane.octets.is_empty() && lane.progress.is_between_frames())
    }

    /// Lets this fault occur now.
    pub(super) fn strike(&mut self, fault: Fault) {
        let [out, back] = self.lanes.each_ref().map(|lane| lane.progress);
        self.record.strike(Struck { out, back });
        match fault {
            Fault::Hinder(manner) => self.fate.manner = manner,
            Fault::Stall(time) => {
                for lane in &mut self.lanes {
                    lane.not_before = Some(Instant::now() + time);
                }
            }
            Fault::Cut(refusals) => {
                self.record.cut(refusals);
                let chance = &mut self.fate.chance;
                for lane in &mut self.lanes {
                    // The octets before the cut still arrive, or some of them.
                    lane.octets.truncate(chance.usize(0..=lane.octets.len()));
                    lane.end = Some(if chance.bool() { End::Closed } else { End::Reset });
                    (lane.silent, lane.swallows, lane.broken) = (false, false, true);
                }
            }
            Fault::Silence { ways, swallowed } => {
                for way in ways {
                    let lane = &mut self.lanes[*way as usize];
                    lane.silent = true;
                    lane.swallows |= swallowed;
                }
            }
        }
        self.lanes.iter_mut().for_each(Lane::wake);
    }

    fn read(&mut self, way: Way, buffer: &mut ReadBuf<'_>, cx: &Context<'_>) -> Arrival {
        loop {
            let lane = &mut self.lanes[way as usize];
            if lane.silent || lane.octets.is_empty() {
                return match lane.end {
                    Some(end) if !lane.silent => Arrival::End(end),
                    _ => {
                        lane.reader = Some(cx.waker().clone());
                        Arrival::Nothing
                    }
                };
            }
            if let Some(time) = lane.not_before {
                if Instant::now() < time {
                    lane.reader = Some(cx.waker().clone());
                    return Arrival::Later(time);
                }
                lane.not_before = None;
            }
            let before = buffer.filled().len();
            self.deliver(way, buffer);
            if buffer.filled().len() > before {
                return Arrival::Octets;
            }
        }
    }

    /// Moves a fragment, up to the spot of the next fault.
    fn deliver(&mut self, way: Way, buffer: &mut ReadBuf<'_>) {
        let Fate { manner, chance, faults, .. } = &mut self.fate;
        let lane = &mut self.lanes[way as usize];
        let mut most = lane.octets.len().min(buffer.remaining());
        if manner.fragment < usize::MAX {
            most = most.min(chance.usize(1..=manner.fragment));
        }
        while most > 0 {
            let progress = lane.progress;
            let distance = |(on, spot, _): &(Way, Spot, Fault)| {
                (*on == way).then(|| progress.distance(*spot)).flatten()
            };
            if let Some(here) = faults.iter().position(|fault| distance(fault) == Some(0)) {
                let (_, _, fault) = faults.swap_remove(here);
                if matches!(fault, Fault::Cut(_)) {
                    lane.octets.clear();
                }
                return self.strike(fault);
            }
            let next = faults.iter().filter_map(distance).min().unwrap_or(u64::MAX);
            let count = most.min(usize::try_from(next).unwrap_or(usize::MAX));
            let count = lane.progress.follow(&lane.octets[..count]);
            buffer.put_slice(&lane.octets[..count]);
            lane.octets.advance(count);
            most -= count;
        }
        if !manner.delay.is_zero() && chance.u8(0..8) == 0 {
            let longest = manner.delay.as_millis() as u64;
            let delay = Duration::from_millis(chance.u64(0..=longest));
            lane.not_before = Some(Instant::now() + delay);
        }
        if let Some(writer) = lane.writer.take() {
            writer.wake();
        }
    }

    fn write(
        &mut self,
        way: Way,
        slices: &[IoSlice<'_>],
        cx: &Context<'_>,
    ) -> Poll<io::Result<usize>> {
        let lane = &mut self.lanes[way as usize];
        if lane.broken {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        if lane.swallows {
            return Poll::Ready(Ok(slices.iter().map(|slice| slice.len()).sum()));
        }
        let room = self.fate.room.saturating_sub(lane.octets.len());
        if room == 0 {
            lane.writer = Some(cx.waker().clone());
            return Poll::Pending;
        }
        let mut written = 0;
        for slice in slices {
            let count = slice.len().min(room - written);
            lane.octets.extend_from_slice(&slice[..count]);
            written += count;
        }
        if let Some(reader) = lane.reader.take() {
            reader.wake();
        }
        Poll::Ready(Ok(written))
    }
}

impl Lane {
    /// Wakes the waiting tasks, to check again.
    fn wake(&mut self) {
        self.reader.take().into_iter().chain(self.writer.take()).for_each(Waker::wake);
    }

    /// Ends the writing.
    fn close(&mut self) {
        self.end.get_or_insert(End::Closed);
        self.wake();
    }
}

/// One end of a link: it writes in one direction, and reads in the other.
#[derive(Debug)]
pub(super) struct LinkEnd {
    link: Arc<Mutex<Link>>,
    way: Way,
    timer: Option<Pin<Box<Sleep>>>,
}

impl AsyncRead for LinkEnd {
    fn poll_read(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let this = self.get_mut();
        if buffer.remaining() == 0 {
            return Poll::Ready(Ok(()));
        }
        loop {
            let arrival = lock(&this.link).read(this.way.opposite(), buffer, cx);
            match arrival {
                Arrival::Octets | Arrival::End(End::Closed) => return Poll::Ready(Ok(())),
                Arrival::End(End::Reset) => {
                    return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
                }
                Arrival::Nothing => return Poll::Pending,
                Arrival::Later(time) => {
                    let timer = this.timer.get_or_insert_with(|| Box::pin(sleep_until(time)));
                    if timer.deadline() != time {
                        timer.as_mut().reset(time);
                    }
                    ready!(timer.as_mut().poll(cx));
                }
            }
        }
    }
}

impl AsyncWrite for LinkEnd {
    fn poll_write(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        octets: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.poll_write_vectored(cx, &[IoSlice::new(octets)])
    }

    fn poll_write_vectored(
        self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        lock(&self.link).write(self.way, slices, cx)
    }

    fn is_write_vectored(&self) -> bool {
        true
    }

    fn poll_flush(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        lock(&self.link).lanes[self.way as usize].close();
        Poll::Ready(Ok(()))
    }
}

impl Drop for LinkEnd {
    fn drop(&mut self) {
        let mut link = lock(&self.link);
        link.lanes[self.way as usize].close();
        let unread = &mut link.lanes[self.way.opposite() as usize];
        unread.octets.clear();
        // The writer learns of the end from the other direction.
        unread.swallows = true;
        unread.wake();
    }
}
