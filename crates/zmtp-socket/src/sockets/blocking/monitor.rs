//! The monitor, for programs without async.

use std::sync::Arc;
use std::time::Duration;

use super::thread::IoThread;
use crate::error::Closed;
use crate::monitor::Event;

/// One socket's [`Event`]s, from the moment the monitor was made: [`Monitor`](crate::Monitor) for programs
/// without async.
///
/// It is an iterator, which waits for each event, and ends when the socket has been closed and all have been
/// read. It never delays the socket: while 4096 events of a [class](crate::EventClass) are unread, further
/// ones of that class are missed, and [counted](Self::missed).
#[derive(Debug)]
pub struct Monitor {
    events: crate::Monitor,
    thread: Arc<IoThread>,
}

impl Monitor {
    pub(super) fn of(events: crate::Monitor, thread: Arc<IoThread>) -> Self {
        Self { events, thread }
    }

    /// The next event; waits for it no longer than `time`. `None` if none has happened in that time, or the
    /// socket has been closed and all have been read.
    pub fn next_timeout(&mut self, time: Duration) -> Option<Event> {
        let next = async { self.events.next().await.ok_or(Closed) };
        self.thread.wait_for(time, next).ok().flatten()
    }

    /// The next event if it has already happened.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_next()
    }

    /// How many events were missed because too many were unread.
    pub fn missed(&self) -> u64 {
        self.events.missed()
    }
}

impl Iterator for Monitor {
    type Item = Event;

    fn next(&mut self) -> Option<Event> {
        self.thread.wait(async { self.events.next().await.ok_or(Closed) }).ok()
    }
}
