//! The events of a socket's endpoints and peers, as a stream.

use std::collections::VecDeque;
use std::future::poll_fn;
use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tracing::level_filters::LevelFilter;
use zmtp_codec::PeerInfo;

use crate::endpoint::Endpoint;
use crate::error::Reason;
use crate::log::log;
use crate::options::Mark;
use crate::peer::Peer;
use crate::sync::{Calls, lock, wake_all};

/// How many unread events of each class a monitor keeps. Further ones are missed, and counted.
pub(crate) const CAPACITY: usize = 4096;

/// Something that happened to an endpoint or a peer of a socket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// `bind` succeeded; the endpoint names the real port.
    #[non_exhaustive]
    Listening {
        /// The endpoint that peers can connect to.
        endpoint: Endpoint,
    },
    /// A connection could not be accepted (out of descriptors, most often). Accepting goes on.
    #[non_exhaustive]
    AcceptFailed {
        /// The endpoint where we listen.
        endpoint: Endpoint,
        /// The error of the system.
        reason: Reason,
    },
    /// A peer connected and was disconnected before its handshake: the socket has as many
    /// connections as [`max_connections`](crate::PubOptions::max_connections) allows, or
    /// [`accept_if`](crate::PubOptions::accept_if) does not admit the peer.
    #[non_exhaustive]
    Refused {
        /// The peer.
        peer: Peer,
        /// Why it was refused.
        reason: Reason,
    },
    /// The transport has a connection, dialled or accepted; the handshake begins.
    #[non_exhaustive]
    Connected {
        /// The peer.
        peer: Peer,
    },
    /// The handshake is done: messages and subscriptions can flow.
    #[non_exhaustive]
    HandshakeSucceeded {
        /// The peer.
        peer: Peer,
        /// The values that the peer has announced.
        info: Arc<PeerInfo>,
    },
    /// The connection ended before the handshake was done.
    #[non_exhaustive]
    HandshakeFailed {
        /// The peer.
        peer: Peer,
        /// Why.
        reason: Reason,
    },
    /// The connection ended.
    #[non_exhaustive]
    Disconnected {
        /// The peer.
        peer: Peer,
        /// Why.
        reason: Reason,
    },
    /// A connected endpoint cannot be reached, or was lost, and will be dialled again.
    #[non_exhaustive]
    RetryingIn {
        /// The endpoint.
        endpoint: Endpoint,
        /// The time until the next attempt.
        delay: Duration,
        /// Why the last attempt failed or the connection ended.
        reason: Reason,
    },
    /// The peer refused us with an ERROR command. The endpoint is not dialled again until `connect`
    /// is repeated, since the same credentials would be refused again (RFC 23, The ERROR Command).
    /// A refusal with the reason `300` is temporary and does not park the endpoint.
    #[non_exhaustive]
    Parked {
        /// The endpoint.
        endpoint: Endpoint,
        /// The peer's refusal.
        reason: Reason,
    },
    /// A peer subscribed to a topic it was not subscribed to.
    #[non_exhaustive]
    Subscribed {
        /// Which peer.
        peer: Peer,
        /// The topic: a prefix of the messages that it wants.
        topic: Bytes,
    },
    /// A peer cancelled its last subscription to a topic.
    #[non_exhaustive]
    Unsubscribed {
        /// Which peer.
        peer: Peer,
        /// The topic.
        topic: Bytes,
    },
    /// A peer is at its high-water mark and has lost a message. Emitted once until the peer has
    /// [caught up](Self::CaughtUp); the [statistics](crate::PeerStats::dropped) count each lost
    /// message.
    #[non_exhaustive]
    Dropping {
        /// Which peer.
        peer: Peer,
        /// The mark that its queue has reached.
        mark: Mark,
    },
    /// A peer that has lost messages has been sent everything that waited for it.
    #[non_exhaustive]
    CaughtUp {
        /// Which peer.
        peer: Peer,
        /// How many messages it has lost, on this connection.
        dropped: u64,
    },
}

impl Event {
    /// The class of the event.
    pub fn class(&self) -> EventClass {
        match self {
            Self::Listening { .. }
            | Self::AcceptFailed { .. }
            | Self::Refused { .. }
            | Self::Connected { .. }
            | Self::HandshakeSucceeded { .. }
            | Self::HandshakeFailed { .. }
            | Self::Disconnected { .. }
            | Self::RetryingIn { .. }
            | Self::Parked { .. } => EventClass::Connection,
            Self::Subscribed { .. } | Self::Unsubscribed { .. } => EventClass::Subscription,
            Self::Dropping { .. } | Self::CaughtUp { .. } => EventClass::Congestion,
        }
    }
}

/// The subject of an [`Event`]. A [`Monitor`] keeps each class separately, so that many events of one
/// class displace none of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum EventClass {
    /// An endpoint, or a connection through it.
    Connection,
    /// A topic of a peer: [`Subscribed`](Event::Subscribed) and [`Unsubscribed`](Event::Unsubscribed).
    Subscription,
    /// A full queue: [`Dropping`](Event::Dropping) and [`CaughtUp`](Event::CaughtUp).
    Congestion,
}

/// How many classes of events there are.
const CLASSES: usize = 3;

/// A stream of one socket's [`Event`]s, in the order in which they happened, from the moment the
/// monitor was made.
///
/// It never delays the socket: while 4096 events of a [class](EventClass) are unread, further ones of
/// that class are missed, and [counted](Self::missed).
#[derive(Debug)]
pub struct Monitor {
    queue: Arc<Mutex<Queue>>,
}

impl Monitor {
    /// The next event; `None` once the socket is closed and all have been read.
    ///
    /// Cancel-safe: no event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        poll_fn(|cx| self.poll(cx)).await
    }

    /// The next event if it has already happened.
    pub fn try_next(&mut self) -> Option<Event> {
        lock(&self.queue).pop()
    }

    /// How many events were missed because too many were unread.
    pub fn missed(&self) -> u64 {
        lock(&self.queue).missed.iter().sum()
    }

    /// How many events of one class were missed because too many were unread.
    pub fn missed_of(&self, class: EventClass) -> u64 {
        lock(&self.queue).missed[class as usize]
    }

    fn poll(&self, cx: &Context<'_>) -> Poll<Option<Event>> {
        let mut queue = lock(&self.queue);
        match queue.pop() {
            None if !queue.ended => {
                queue.reader = Some(cx.waker().clone());
                Poll::Pending
            }
            next => Poll::Ready(next),
        }
    }
}

impl Stream for Monitor {
    type Item = Event;

    fn poll_next(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.poll(cx)
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        let mut queue = lock(&self.queue);
        queue.is_dropped = true;
        // The events and the waker are dropped once the queue is free.
        let _left = (std::mem::take(&mut queue.events), queue.reader.take());
        drop(queue);
    }
}

/// The events that one monitor has not read.
#[derive(Debug, Default)]
struct Queue {
    /// Those of each class, with their numbers in the order of all.
    events: [VecDeque<(u64, Event)>; CLASSES],
    missed: [u64; CLASSES],
    next: u64,
    reader: Option<Waker>,
    /// No further events come.
    ended: bool,
    /// Whether its reader has been dropped.
    is_dropped: bool,
}

impl Queue {
    /// Keeps an event if there is room. Gives back the reader, if it waits.
    fn push(&mut self, event: Event) -> Option<Waker> {
        let class = event.class() as usize;
        if self.events[class].len() == CAPACITY {
            self.missed[class] += 1;
            return None;
        }
        self.events[class].push_back((self.next, event));
        self.next += 1;
        self.reader.take()
    }

    /// The oldest event of all classes.
    fn pop(&mut self) -> Option<Event> {
        let number =
            |events: &&mut VecDeque<(u64, Event)>| events.front().map(|(number, _)| *number);
        let waiting = self.events.iter_mut().filter(|events| !events.is_empty());
        let (_, event) = waiting.min_by_key(number)?.pop_front()?;
        Some(event)
    }

    /// Says that no further events come. Gives back the reader, if it waits.
    fn end(&mut self) -> Option<Waker> {
        self.ended = true;
        self.reader.take()
    }
}

/// Passes the events of a socket's tasks to its monitors and the log.
#[derive(Debug, Default)]
pub(crate) struct Events {
    watched: AtomicBool,
    monitors: Mutex<Monitors>,
}

#[derive(Debug, Default)]
struct Monitors {
    queues: Vec<Arc<Mutex<Queue>>>,
    /// The socket is closed, and all its tasks have ended.
    ended: bool,
}

impl Events {
    pub(crate) fn monitor(&self) -> Monitor {
        let mut monitors = lock(&self.monitors);
        let queue = Arc::new(Mutex::new(Queue { ended: monitors.ended, ..Queue::default() }));
        if !monitors.ended {
            monitors.queues.push(queue.clone());
            self.watched.store(true, Ordering::Release);
        }
        Monitor { queue }
    }

    /// Passes an event to the log and every monitor; `event` is called only if one of them wants it.
    /// This calls foreign code, the layers of the log and the wakers of the monitors, so no lock may
    /// be held.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        drop(self.record(event));
    }

    /// Keeps an event for every monitor, in its place among all others. Foreign code is called only
    /// when the result is dropped.
    #[must_use = "nobody is told before this is dropped"]
    pub(crate) fn record(&self, event: impl FnOnce() -> Event) -> Option<Recorded> {
        let is_watched = self.watched.load(Ordering::Acquire);
        if !is_watched && LevelFilter::current() == LevelFilter::OFF {
            return None;
        }
        let event = event();
        let mut readers = Vec::new();
        if is_watched {
            let mut monitors = lock(&self.monitors);
            monitors.queues.retain(|queue| {
                let mut queue = lock(queue);
                if !queue.is_dropped {
                    readers.extend(queue.push(event.clone()));
                }
                !queue.is_dropped
            });
            if monitors.queues.is_empty() {
                self.watched.store(false, Ordering::Release);
            }
        }
        Some(Recorded { event, readers })
    }

    /// Ends every monitor's stream, after the events that it has not read yet.
    pub(crate) fn end(&self) {
        let mut monitors = lock(&self.monitors);
        monitors.ended = true;
        let queues = std::mem::take(&mut monitors.queues);
        self.watched.store(false, Ordering::Release);
        drop(monitors);
        wake_all(queues.into_iter().filter_map(|queue| lock(&queue).end()));
    }
}

/// An event that has been kept for the monitors. When it is dropped, the log is told of it and the
/// readers are woken.
pub(crate) struct Recorded {
    event: Event,
    readers: Vec<Waker>,
}

impl Drop for Recorded {
    fn drop(&mut self) {
        let mut calls = Calls::default();
        calls.make(|| log(&self.event));
        self.readers.drain(..).for_each(|reader| calls.make(|| reader.wake()));
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::AtomicU64;
    use std::task::Wake;

    use super::*;
    use crate::peer::PeerId;

    fn peer() -> Peer {
        Peer::new(PeerId(1), Endpoint::Inproc("test".into()), "test")
    }

    fn subscribed() -> Event {
        Event::Subscribed { peer: peer(), topic: Bytes::from_static(b"a") }
    }

    fn disconnected() -> Event {
        Event::Disconnected { peer: peer(), reason: Reason::PeerClosed }
    }

    fn names(monitor: &mut Monitor) -> Vec<EventClass> {
        std::iter::from_fn(|| monitor.try_next()).map(|event| event.class()).collect()
    }

    #[test]
    fn topics_push_out_no_event_of_a_connection_and_all_come_in_their_order() {
        let events = Events::default();
        let mut monitor = events.monitor();
        events.emit(|| Event::Connected { peer: peer() });
        (0..CAPACITY + 5).for_each(|_| events.emit(subscribed));
        events.emit(disconnected);
        assert_eq!(monitor.missed(), 5);
        assert_eq!(monitor.missed_of(EventClass::Subscription), 5);
        assert_eq!(monitor.missed_of(EventClass::Connection), 0);
        let seen = names(&mut monitor);
        let topics = vec![EventClass::Subscription; CAPACITY];
        assert_eq!(seen[1..=CAPACITY], topics);
        assert_eq!([seen[0], seen[CAPACITY + 1]], [EventClass::Connection; 2]);
        // Between two classes, too.
        events.emit(disconnected);
        events.emit(subscribed);
        events.emit(disconnected);
        let (connection, topic) = (EventClass::Connection, EventClass::Subscription);
        assert_eq!(names(&mut monitor), [connection, topic, connection]);
    }

    #[test]
    fn a_monitor_that_comes_after_the_end_has_ended() {
        let events = Events::default();
        let before = events.monitor();
        events.emit(subscribed);
        events.end();
        let mut after = events.monitor();
        let cx = &mut Context::from_waker(Waker::noop());
        assert!(matches!(before.poll(cx), Poll::Ready(Some(Event::Subscribed { .. }))));
        assert!(matches!(before.poll(cx), Poll::Ready(None)));
        assert!(matches!(Pin::new(&mut after).poll_next(cx), Poll::Ready(None)));
    }

    /// A waker that asks its monitor's socket for another monitor.
    struct Asks(Arc<Events>, AtomicU64);

    impl Wake for Asks {
        fn wake(self: Arc<Self>) {
            assert!(self.0.monitors.try_lock().is_ok(), "a waker is called under no lock");
            self.1.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_reader_is_woken_under_no_lock_and_not_before_what_is_recorded_is_told() {
        let events = Arc::new(Events::default());
        let monitor = events.monitor();
        let asks = Arc::new(Asks(events.clone(), AtomicU64::new(0)));
        let waker = asks.clone().into();
        let cx = &mut Context::from_waker(&waker);
        assert!(monitor.poll(cx).is_pending());
        let recorded = events.record(subscribed);
        assert_eq!(asks.1.load(Ordering::Relaxed), 0);
        drop(recorded);
        assert_eq!(asks.1.load(Ordering::Relaxed), 1);
        assert!(monitor.poll(cx).is_ready() && monitor.poll(cx).is_pending());
        events.end();
        assert_eq!(asks.1.load(Ordering::Relaxed), 2);
    }

    #[test]
    fn a_monitor_that_is_dropped_is_forgotten() {
        let events = Events::default();
        drop(events.monitor());
        events.emit(subscribed);
        assert!(lock(&events.monitors).queues.is_empty());
        assert!(!events.watched.load(Ordering::Relaxed));
    }
}
