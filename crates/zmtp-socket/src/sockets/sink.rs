//! Sinks of sockets that send.

use std::fmt;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};

use futures_sink::Sink;
use tokio::time::{Sleep, sleep};
use zmtp_codec::Message;

use crate::engine::socket::Engine;
use crate::error::SendError;
use crate::options::WhenFull;
use crate::send::flushing::Wait;
use crate::send::{Outgoing, SendCore as _, SinkCore};
use crate::sockets::handle::Handle;
use crate::sockets::kind::Sinks;
use crate::sockets::socket::Socket;
use crate::stats::Unfinished;

/// The messages that one handle was given as a sink and has not sent yet, and what it waits for.
pub(crate) struct CoreSink<C: SinkCore>(Option<Box<Pending<C>>>);

struct Pending<C: SinkCore> {
    core: Arc<C>,
    room: Wait,
    /// The one message that waits for room.
    kept: Option<Kept<C>>,
    flush: Wait,
    closing: Option<Mutex<Closing>>,
}

struct Kept<C: SinkCore> {
    message: Outgoing<'static>,
    waiting: C::Waiting,
    /// The end of its wait, if it has one.
    end: Option<Pin<Box<Sleep>>>,
}

type Closing = Pin<Box<dyn Future<Output = Unfinished> + Send>>;

impl<C: SinkCore> CoreSink<C> {
    fn pending(&mut self, core: &Arc<C>) -> &mut Pending<C> {
        self.0.get_or_insert_with(|| {
            let (core, room, flush) = (core.clone(), Wait::default(), Wait::default());
            Box::new(Pending { core, room, kept: None, flush, closing: None })
        })
    }
}

impl<C: SinkCore> Pending<C> {
    /// Sends the message that waits, once there is room for it.
    fn poll_kept(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let Some(kept) = &mut self.kept else { return Poll::Ready(Ok(())) };
        let mut sent = self.core.poll_send(&kept.message, &mut kept.waiting, cx.waker());
        if sent.is_pending()
            && let WhenFull::WaitFor(time) = self.core.when_full()
            && kept.end.get_or_insert_with(|| Box::pin(sleep(time))).as_mut().poll(cx).is_ready()
        {
            sent = Poll::Ready(Err(SendError::Full));
        }
        let sent = ready!(sent);
        self.give_up();
        Poll::Ready(sent)
    }

    /// Keeps no message any longer.
    fn give_up(&mut self) {
        if let Some(mut kept) = self.kept.take() {
            self.core.give_up(&mut kept.waiting);
        }
    }
}

impl<C: SinkCore> Drop for Pending<C> {
    fn drop(&mut self) {
        self.give_up();
        self.core.stop_watching(&mut self.room);
        self.core.stop_flushing(&mut self.flush);
    }
}

impl<T: Sinks> Handle<T> {
    /// Does as [`poll_ready`](Sink::poll_ready), but gives other tasks no turn.
    ///
    /// # Errors
    /// As `poll_ready`.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if let Some(pending) = &mut self.sink.0 {
            ready!(pending.poll_kept(cx))?;
        }
        let core = self.engine.core.clone();
        core.poll_room(&mut self.sink.pending(&core).room, cx.waker()).map_err(SendError::from)
    }
}

impl<T: Sinks> Socket<T> {
    /// Does as [`poll_ready`](Sink::poll_ready), but gives other tasks no turn.
    ///
    /// # Errors
    /// As `poll_ready`.
    pub fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        self.handle.poll_room(cx)
    }
}

/// Each handle is a sink of its own and flushes only the messages that it was given. A clone begins
/// empty.
///
/// The sink is ready once other tasks have had their turn and, where each message goes to one peer, a peer
/// has room. If the socket [waits](WhenFull::Wait) for room, the handle keeps a message for which there is
/// none, and the sink is not ready until it has been sent. A handle that is dropped loses the message that
/// it keeps.
///
/// Flushing waits until each message accepted before has been taken by its transport or dropped, or its
/// connection has ended. A peer that does not read makes it wait, and so does a connected endpoint that
/// cannot be reached while messages wait for it. To send without this wait, use `feed`. Closing the sink
/// closes the socket, and waits as [`close`](Handle::close) does.
///
/// # Errors
/// [`SendError::Closed`] once the socket has been closed. [`SendError::Full`] when a message has waited for
/// room as long as [`WhenFull::WaitFor`] allows, or was given to a sink that is not ready; it has then
/// reached nobody.
impl<T: Sinks> Sink<Message> for Handle<T> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        if self.engine.core.take_turn() {
            cx.waker().wake_by_ref();
            return Poll::Pending;
        }
        self.poll_room(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        if self.sink.0.as_ref().is_some_and(|pending| pending.kept.is_some()) {
            return Err(SendError::Full);
        }
        let message = Outgoing::from(message);
        match self.engine.core.try_send(&message) {
            Err(SendError::Full) => {
                let core = self.engine.core.clone();
                let kept = Kept { message, waiting: Default::default(), end: None };
                self.sink.pending(&core).kept = Some(kept);
                Ok(())
            }
            done => done,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let core = self.engine.core.clone();
        let pending = self.sink.pending(&core);
        ready!(pending.poll_kept(cx))?;
        ready!(core.poll_flush(&mut pending.flush, cx.waker()));
        Poll::Ready(Ok(()))
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        let engine = self.engine.clone();
        let pending = self.sink.pending(&engine.core);
        if pending.closing.is_none() {
            ready!(pending.poll_kept(cx))?;
        }
        let closing = pending.closing.get_or_insert_with(|| Mutex::new(Box::pin(close(engine))));
        let closing = closing.get_mut().unwrap_or_else(PoisonError::into_inner);
        ready!(closing.as_mut().poll(cx));
        Poll::Ready(Ok(()))
    }
}

async fn close<C: SinkCore>(engine: Arc<Engine<C>>) -> Unfinished {
    engine.close().await
}

/// The sink of the socket's own [handle](Handle).
impl<T: Sinks> Sink<Message> for Socket<T> {
    type Error = SendError;

    fn poll_ready(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.handle).poll_ready(cx)
    }

    fn start_send(mut self: Pin<&mut Self>, message: Message) -> Result<(), SendError> {
        Pin::new(&mut self.handle).start_send(message)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.handle).poll_flush(cx)
    }

    fn poll_close(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Result<(), SendError>> {
        Pin::new(&mut self.handle).poll_close(cx)
    }
}

impl<C: SinkCore> Default for CoreSink<C> {
    fn default() -> Self {
        Self(None)
    }
}

impl<C: SinkCore> fmt::Debug for CoreSink<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CoreSink").finish_non_exhaustive()
    }
}
