//! Sockets that send, and the messages that they have sent.

use std::iter;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::timeout;
use zmtp_socket::{Closed, Context, Event, Handle, Monitor, SendError, Socket, Unfinished};

use crate::book::{Book, Name, Way};
use crate::flows::Flow;
use crate::sinks::{redial, sink_place, source_place};
use crate::streams::Plan;

/// A socket that sends.
pub(crate) struct Source<F: Flow> {
    pub(crate) number: u64,
    socket: Socket<F::Source>,
    waiting: Waiting,
    /// The number of answers that it has received.
    taken: u64,
    events: Monitor,
    /// Whether messages for a peer stay queued after the end of the peer's connection.
    keeps: bool,
}

/// Messages that other tasks send, and their results.
#[derive(Default)]
struct Waiting {
    tasks: Vec<JoinHandle<()>>,
    accepted: Arc<Mutex<Vec<Name>>>,
}

/// A socket that has been closed or dropped.
pub(crate) struct Ending<F: Flow> {
    number: u64,
    handle: Handle<F::Source>,
    waiting: Waiting,
    /// Returns the messages that a closed socket has left.
    closing: JoinHandle<Option<Unfinished>>,
    taken: u64,
    events: Monitor,
    keeps: bool,
}

impl<F: Flow> Source<F> {
    pub(crate) async fn new(plan: &Plan, context: &Context, book: &mut Book, place: usize) -> Self {
        let socket = context.socket(F::source(plan, place));
        if plan.sources_dial {
            for place in 0..plan.sinks {
                socket.connect(sink_place(place)).expect("good options");
            }
        } else {
            socket.bind(source_place(place)).await.expect("the place is free");
        }
        let events = socket.monitor();
        let keeps = plan.sources_dial && !plan.immediate;
        let (number, waiting) = (book.number(), Waiting::default());
        Self { number, socket, waiting, taken: 0, events, keeps }
    }

    /// Sends a message in one of three ways: at once, within a time, or in another task.
    pub(crate) async fn send(&mut self, plan: &mut Plan, book: &mut Book) {
        let way = plan.chance.u8(0..10);
        let (name, message) = book.write(self.number, way == 0, plan.fill());
        match way {
            0 => self.waiting.send(self.socket.handle(), name, message),
            1..6 => match self.socket.try_send(message) {
                Ok(()) => book.accept(name),
                Err(error) => assert_eq!(error, SendError::Full),
            },
            _ => {
                let time = Duration::from_millis(plan.chance.u64(0..50));
                match timeout(time, self.socket.send(message)).await {
                    Ok(Ok(())) => book.accept(name),
                    Ok(Err(error)) => assert_eq!(error, SendError::Full),
                    Err(_elapsed) => {}
                }
            }
        }
    }

    /// Sends a message that must be accepted and arrive.
    pub(crate) fn send_surely(&mut self, plan: &mut Plan, book: &mut Book) -> Name {
        let (name, message) = book.write(self.number, true, plan.fill());
        self.waiting.send(self.socket.handle(), name, message);
        name
    }

    /// Receives the answers that have arrived.
    pub(crate) fn take(&mut self, book: &mut Book) {
        while let Some((peer, message)) = F::take_answer(&mut self.socket) {
            self.taken += 1;
            book.receive(&message, &[Way::Connection(self.number, peer.id())]);
        }
    }

    pub(crate) async fn dial_anew(&mut self, plan: &Plan) {
        self.keeps = false;
        for place in 0..plan.sinks {
            redial(&self.socket, &sink_place(place)).await;
        }
    }

    /// Whether no message is on its way.
    pub(crate) fn is_idle(&self) -> bool {
        self.waiting.is_idle() && self.socket.totals().queued == 0
    }

    pub(crate) fn has_peer(&self) -> bool {
        self.socket.peer_count() > 0
    }

    /// Its progress, for the report of a hang.
    pub(crate) fn state(&self) -> String {
        format!("{:?}, {} tasks", self.socket.stats(), self.waiting.tasks.len())
    }

    /// Closes it, or drops it.
    pub(crate) fn end(self, is_dropped: bool) -> Ending<F> {
        let handle = self.socket.handle();
        let Self { number, socket, waiting, taken, events, keeps } = self;
        let closing = tokio::spawn(async move {
            if !is_dropped {
                return Some(socket.close().await);
            }
            let mut events = socket.monitor();
            drop(socket);
            while events.next().await.is_some() {}
            None
        });
        Ending { number, handle, waiting, closing, taken, events, keeps }
    }
}

impl Waiting {
    fn send<T>(&mut self, handle: Handle<T>, name: Name, message: Vec<u8>)
    where
        T: zmtp_socket::kind::Sends,
        Handle<T>: Send,
    {
        let accepted = self.accepted.clone();
        self.tasks.push(tokio::spawn(async move {
            match handle.send(message).await {
                Ok(()) => accepted.lock().expect("nobody has panicked").push(name),
                Err(error) => {
                    let is_expected = [SendError::Full, Closed.into()].contains(&error);
                    assert!(is_expected, "{error}");
                }
            }
        }));
    }

    fn is_idle(&self) -> bool {
        self.tasks.iter().all(JoinHandle::is_finished)
    }

    async fn end(self, book: &mut Book) {
        for task in self.tasks {
            task.await.expect("it does not panic");
        }
        for name in self.accepted.lock().expect("nobody has panicked").drain(..) {
            book.accept(name);
        }
    }
}

impl<F: Flow> Ending<F> {
    /// Whether it has ended.
    pub(crate) fn is_over(&self) -> bool {
        self.waiting.is_idle() && self.closing.is_finished() && self.handle.peer_count() == 0
    }

    pub(crate) fn state(&self) -> String {
        format!("closed: {:?}, {} tasks", self.handle.stats(), self.waiting.tasks.len())
    }

    /// Checks its records. Returns the number of messages that it reports as unsent, the number of
    /// octets that it has sent, and whether all accepted messages have arrived.
    pub(crate) async fn check(mut self, book: &mut Book) -> Checked {
        self.waiting.end(book).await;
        let closed = self.closing.await.expect("it does not panic");
        let unsent = closed.map_or(0, |closed| closed.unsent);
        let stats = self.handle.stats();
        let unread = stats.received - self.taken;
        assert!(stats.queued <= unread, "{stats:?}");
        assert!(closed.is_none_or(|closed| closed.unread as u64 == unread), "{stats:?}");
        assert!(unsent as u64 <= stats.undelivered, "{unsent} of {stats:?}");
        if let (true, Some(closed)) = (self.keeps, closed) {
            let ended = iter::from_fn(|| self.events.try_next())
                .filter(|event| matches!(event, Event::Disconnected { .. }));
            let most = ended.count() + closed.unsent;
            assert_eq!(self.events.missed(), 0);
            assert!(stats.undelivered <= most as u64, "a cut tears one message: {stats:?}");
        }
        let (accepted, came) = book.expect_balance(self.number, &stats);
        assert_eq!(stats.dropped, 0, "it waits for room: {stats:?}");
        Checked { unsent, sent_octets: stats.sent_octets, accepted, came }
    }
}

/// The result of the check of one source.
pub(crate) struct Checked {
    pub(crate) unsent: usize,
    pub(crate) sent_octets: u64,
    pub(crate) accepted: u64,
    pub(crate) came: u64,
}
