//! What happens to a socket, for threads that wait for it.

use std::sync::Arc;
use std::time::Duration;

use super::thread::IoThread;
use crate::error::Closed;
use crate::monitor::Event;

/// One socket's [`Event`]s, from the moment it was asked for: [`Monitor`](crate::Monitor) for programs without
/// async.
///
/// It is an iterator, which waits for each event, and ends when the socket has been closed and all have been
/// read. It never holds the socket up: while 4096 events are unread, further ones are missed, and
/// [counted](Self::missed).
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

    /// How many events were missed because nobody read.
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
