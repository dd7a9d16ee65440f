//! What happens to a socket's endpoints and peers, as a stream of typed events.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use futures_core::Stream;
use tokio::sync::mpsc;
use tokio::sync::mpsc::error::TrySendError;
use tracing::level_filters::LevelFilter;
use zmtp_codec::PeerInfo;

use crate::log::log;
use crate::sync::lock;
use crate::{Endpoint, Mark, Peer, Reason};

/// Events kept for a monitor that does not read them; further ones are missed, and counted.
pub(crate) const CAPACITY: usize = 4096;

/// Something that happened to an endpoint or a peer of a socket.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// `bind` succeeded; the endpoint names the real port.
    #[non_exhaustive]
    Listening {
        /// What peers can connect to.
        endpoint: Endpoint,
    },
    /// A connection could not be accepted (out of descriptors, most often). Accepting goes on.
    #[non_exhaustive]
    AcceptFailed {
        /// Where we listen.
        endpoint: Endpoint,
        /// What the system said.
        reason: Reason,
    },
    /// A peer connected and was turned away at once, because the socket has as many connections as
    /// [it may](crate::PubOptions::max_connections).
    #[non_exhaustive]
    Refused {
        /// Who it was.
        peer: Peer,
        /// Which limit it was.
        reason: Reason,
    },
    /// The transport has a connection, dialled or accepted; the handshake begins.
    #[non_exhaustive]
    Connected {
        /// Who it is.
        peer: Peer,
    },
    /// The handshake is done: messages and subscriptions can flow.
    #[non_exhaustive]
    HandshakeSucceeded {
        /// Who it is.
        peer: Peer,
        /// What it said of itself.
        info: Arc<PeerInfo>,
    },
    /// The connection ended before the handshake was done.
    #[non_exhaustive]
    HandshakeFailed {
        /// Who it was.
        peer: Peer,
        /// Why.
        reason: Reason,
    },
    /// The connection ended.
    #[non_exhaustive]
    Disconnected {
        /// Who it was.
        peer: Peer,
        /// Why.
        reason: Reason,
    },
    /// A connected endpoint cannot be reached, or was lost, and will be dialled again.
    #[non_exhaustive]
    RetryingIn {
        /// Where to.
        endpoint: Endpoint,
        /// After how long.
        delay: Duration,
        /// Why it is necessary.
        reason: Reason,
    },
    /// The peer refused us with an ERROR command: the endpoint is not dialled again until
    /// `connect` is repeated (RFC 23, The ERROR Command: to try again with the same credentials is
    /// pointless). A refusal with the reason `300` is temporary, and no cause for this.
    #[non_exhaustive]
    Parked {
        /// Which endpoint.
        endpoint: Endpoint,
        /// What the peer said.
        reason: Reason,
    },
    /// A peer subscribed to a topic it was not subscribed to.
    #[non_exhaustive]
    Subscribed {
        /// Which peer.
        peer: Peer,
        /// To messages that begin with what.
        topic: Bytes,
    },
    /// A peer gave a topic up for the last time.
    #[non_exhaustive]
    Unsubscribed {
        /// Which peer.
        peer: Peer,
        /// Which topic.
        topic: Bytes,
    },
    /// A peer is at its high-water mark and has lost a message. Said once until it has [caught
    /// up](Self::CaughtUp); the count is in the [statistics](crate::PeerStats::dropped).
    #[non_exhaustive]
    Dropping {
        /// Which peer.
        peer: Peer,
        /// The mark that its queue reached.
        mark: Mark,
    },
    /// All that waited for a peer that has lost messages has been sent.
    #[non_exhaustive]
    CaughtUp {
        /// Which peer.
        peer: Peer,
        /// How many messages it has lost, on this connection.
        dropped: u64,
    },
}

/// A stream of one socket's [`Event`]s, from the moment it was asked for.
///
/// It never holds the socket up: while 4096 events are unread, further ones are missed, and
/// [counted](Self::missed).
#[derive(Debug)]
pub struct Monitor {
    events: mpsc::Receiver<Event>,
    missed: Arc<AtomicU64>,
}

impl Monitor {
    /// The next event; `None` once the socket is closed and all have been read.
    ///
    /// Cancel-safe: no event is lost when the future is dropped.
    pub async fn next(&mut self) -> Option<Event> {
        self.events.recv().await
    }

    /// The next event if it has already happened.
    pub fn try_next(&mut self) -> Option<Event> {
        self.events.try_recv().ok()
    }

    /// How many events were missed because nobody read.
    pub fn missed(&self) -> u64 {
        self.missed.load(Ordering::Relaxed)
    }
}

impl Stream for Monitor {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Event>> {
        self.events.poll_recv(cx)
    }
}

/// Where a socket's tasks say what happened.
#[derive(Debug, Default)]
pub(crate) struct Events {
    watched: AtomicBool,
    monitors: Mutex<Vec<Sink>>,
}

#[derive(Debug)]
struct Sink {
    events: mpsc::Sender<Event>,
    missed: Arc<AtomicU64>,
}

impl Events {
    pub(crate) fn monitor(&self) -> Monitor {
        let (sender, events) = mpsc::channel(CAPACITY);
        let missed = Arc::new(AtomicU64::new(0));
        lock(&self.monitors).push(Sink { events: sender, missed: missed.clone() });
        self.watched.store(true, Ordering::Release);
        Monitor { events, missed }
    }

    /// Tells the log and every monitor; `event` is made only for somebody.
    pub(crate) fn emit(&self, event: impl FnOnce() -> Event) {
        let is_watched = self.watched.load(Ordering::Acquire);
        if !is_watched && LevelFilter::current() == LevelFilter::OFF {
            return;
        }
        let event = event();
        log(&event);
        if !is_watched {
            return;
        }
        let mut monitors = lock(&self.monitors);
        monitors.retain(|monitor| match monitor.events.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                monitor.missed.fetch_add(1, Ordering::Relaxed);
                true
            }
            Err(TrySendError::Closed(_)) => false,
        });
        if monitors.is_empty() {
            self.watched.store(false, Ordering::Release);
        }
    }

    /// Ends every monitor's stream, after the events that it has not read yet.
    pub(crate) fn end(&self) {
        lock(&self.monitors).clear();
    }
}
