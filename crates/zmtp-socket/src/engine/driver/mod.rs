//! The life of one connection: the only place that holds both a stream and a [`Connection`].

mod reader;
mod turn;
mod writer;

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use reader::{Backlog, Reader};
use tokio::io::{AsyncReadExt as _, AsyncWrite as _};
use tokio::time::{Instant, Sleep};
use tracing::{Instrument as _, debug, debug_span};
use turn::{EVENT, IN_BATCH, SEALED_OCTET, SUBSCRIPTION, Turn};
use writer::Writer;
use zmtp_codec::{
    Batch, Connection, Event as WireEvent, Limits, PeerInfo, SocketType, Subscription,
};

use crate::endpoint::Endpoint;
use crate::engine::admission::{Kill, Killed, Permit};
use crate::engine::burst::Burst;
use crate::engine::panics::{catch, caught};
use crate::engine::shared::Shared;
use crate::engine::transport::{Direct, Outlet, Stream};
use crate::error::Reason;
use crate::monitor::Event;
use crate::options::LinkConfig;
use crate::options::authorize::{Authorizing, judge};
use crate::peer::Peer;
use crate::stats::{PeerStats, Stats, Unfinished};

/// The largest number of messages in one batch: the length of a publisher's turn with the receiver.
const BATCH: usize = 256;

/// How long we wait for a peer to read what we wrote last and to close the connection, and how many more
/// octets we read from it meanwhile.
const PARTING: Duration = Duration::from_secs(1);
const PARTING_OCTETS: usize = 1 << 20;

/// The logic of one socket: it makes a [`Session`] for each connection.
pub(crate) trait Core: Send + Sync + 'static {
    type Session: Session;

    /// Makes the session of `peer`, whose handshake is done. An error refuses the peer.
    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        info: &PeerInfo,
        ways: Ways<'_>,
        kill: Kill,
    ) -> Result<Self::Session, Reason>;

    /// Notes that an endpoint will be dialled. `identity`, if given, is the name of its peer. Returns
    /// whether that identity is free.
    fn connected(&self, endpoint: &Endpoint, identity: Option<&Bytes>) -> bool {
        let _ = (endpoint, identity);
        true
    }

    /// Notes that an endpoint is no longer dialled and has no connection.
    fn disconnected(&self, endpoint: &Endpoint) {
        let _ = endpoint;
    }

    /// Whether messages wait for the peer of a connected endpoint.
    fn has_unsent(&self, endpoint: &Endpoint) -> bool {
        let _ = endpoint;
        false
    }

    /// The counters of the socket and of each peer, without those of admission.
    fn stats(&self) -> Stats {
        let mut stats = self.totals();
        let mut next = Some(0);
        while let Some(from) = next {
            next = self.look_at(from, &mut stats.peers);
        }
        stats
    }

    /// Adds the counters of some peers, beginning with number `from`: so few that the lock is held
    /// briefly. Returns where to continue, if there are more.
    fn look_at(&self, from: usize, peers: &mut Vec<PeerStats>) -> Option<usize>;

    /// The same counters without the list of peers, at a cost that does not grow with their number.
    fn totals(&self) -> Stats;

    /// Closes the socket: it accepts nothing more from its user.
    fn close(&self);

    /// Wakes the receiver, and makes the next sender leave its fast path.
    fn interrupt(&self);

    /// The counts of messages that were not delivered or not received since the socket was closed.
    fn unfinished(&self) -> Unfinished;
}

/// How a session may send without its driver.
#[derive(Clone, Copy, Default)]
pub(crate) struct Ways<'a> {
    /// Where it may write while [`poll_outgoing`](Session::poll_outgoing) has nothing to write.
    pub(crate) outlet: Option<&'a Outlet>,
    /// Where it may queue messages in the peer's own socket, and accept them from there within the limits,
    /// while nothing waits to be sent.
    pub(crate) direct: Option<(&'a Direct, Limits)>,
}

/// The socket's side of one connection in traffic. Dropping it forgets the peer.
pub(crate) trait Session: Send + Unpin + 'static {
    /// How many more messages can be accepted from the peer: at least one, or pending.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize>;

    /// Accepts messages that have arrived, no more than there was room for.
    fn messages(&mut self, batch: Batch) -> Result<(), Reason>;

    /// Applies the peer's changes of its subscriptions, in order, and takes them out of `changes`.
    fn subscriptions(&mut self, changes: &mut Vec<Subscription>) -> Result<(), Reason>;

    /// Moves the next messages for the peer into `burst`, or its next commands into the connection's
    /// output. Returns the number of [topics](turn::TOPIC) that were examined. Pending if there is
    /// nothing to send: then the driver writes nothing without a [claim](Self::claim) until it calls
    /// this again.
    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<usize>;

    /// Notes that nothing more will be queued, and that all that is queued is to be sent: from now on,
    /// [`poll_outgoing`](Self::poll_outgoing) is pending only if nothing is left.
    fn drain(&mut self) {}

    /// Wakes the receiver of the messages that have arrived, as the driver's turn is over or it has
    /// nothing to do.
    fn end_turn(&mut self) {}

    /// Counts octets that the transport has taken, and the messages whose last octets are among them.
    fn written(&mut self, messages: usize, octets: usize);

    /// Takes the writing side for the driver, which is about to write, or will write no more. A message
    /// that the session has begun to write and not finished is moved into `burst`.
    fn claim(&mut self, burst: &mut Burst) {
        let _ = burst;
    }

    /// Takes back, after the end of the connection, what [`poll_outgoing`](Self::poll_outgoing) returned
    /// and was not written: it may be sent on the next connection. Called once, before the first
    /// [`leave`](Self::leave).
    fn give_back(&mut self, unsent: Burst) {
        let _ = unsent;
    }

    /// Whether messages have passed without the driver.
    fn has_traffic(&self) -> bool {
        false
    }

    /// Forgets the peer in short steps, so that no other task waits long. The peer is sent nothing more
    /// from the first call on. Returns whether there is more to do; dropping the session does the rest
    /// at once.
    fn leave(&mut self) -> bool {
        false
    }
}

/// How a connection ended.
pub(crate) struct End {
    pub(crate) reason: Reason,
    /// Whether anything beyond the handshake has been sent or received.
    pub(crate) had_traffic: bool,
}

/// Runs one connection to its end, as a task of its own. Returns at once when the peer is expelled or
/// the endpoint stopped. When the socket drains, the queued messages are written first. A panic ends the
/// connection too.
///
/// This future is most of the memory of an idle connection. It is a single block, because a future that
/// is awaited within another takes room in both, and often twice.
pub(crate) fn run<C: Core>(
    stream: Stream,
    peer: Peer,
    permit: Permit,
    mut signal: Killed,
    core: Arc<C>,
    socket: Arc<Shared>,
    terms: Arc<LinkConfig>,
) -> impl Future<Output = End> + Send + 'static {
    let endpoint = peer.endpoint();
    let span = debug_span!("peer", id = peer.id().0, %endpoint, address = peer.address());
    let life = Life { peer, socket, established: false, end: Reason::RuntimeEnded };
    let mut link = Link::new(stream, life, permit, core, terms);
    async move {
        let reason = {
            let mut living = pin!(link.live(&mut signal));
            poll_fn(move |cx| catch(|| living.as_mut().poll(cx)).unwrap_or_else(Poll::Ready)).await
        };
        let had_traffic = link.has_received || link.writer.has_sent;
        let end = End { reason: reason.clone(), had_traffic };
        link.life.end = reason;
        if matches!(link.phase, Phase::Traffic(_) | Phase::Leaving(_)) {
            // State that a panic has left behind may panic again.
            let _forgotten = Box::pin(caught(link.leave())).await;
        }
        // The rest is freed all the same, and the end is announced.
        let phase = std::mem::replace(&mut link.phase, Phase::Over);
        let _forgotten = catch(|| drop(phase));
        let _told = catch(|| drop(link));
        end
    }
    .instrument(span)
}

/// Whether the connection ended because nothing came from the peer. Then it will not close it either.
fn is_silent(reason: &Reason) -> bool {
    matches!(reason, Reason::Protocol(zmtp_codec::Error::Timeout(_)))
}

/// A connection as the socket's user sees it. Dropping it announces its end.
struct Life {
    peer: Peer,
    socket: Arc<Shared>,
    established: bool,
    /// Why it ended. If this was never set, its task was dropped.
    end: Reason,
}

impl Drop for Life {
    fn drop(&mut self) {
        // A second panic would abort the process.
        if std::thread::panicking() {
            return;
        }
        let (peer, reason) = (self.peer.clone(), self.end.clone());
        self.socket.events.emit(|| match self.established {
            true => Event::Disconnected { peer, reason },
            false => Event::HandshakeFailed { peer, reason },
        });
    }
}

/// How far a connection has come.
enum Phase<S> {
    Handshake,
    /// The peer has sent its credentials. The verdict on them is awaited.
    Authorizing(Authorizing),
    Traffic(S),
    /// The peer is being forgotten. The unsent messages have been given back.
    Leaving(S),
    Over,
}

struct Link<C: Core> {
    stream: Stream,
    connection: Connection,
    phase: Phase<C::Session>,
    reader: Reader,
    writer: Writer,
    turn: Turn,
    /// When the connection was made: the zero of its clock.
    epoch: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// Whether anything beyond the handshake has been received.
    has_received: bool,
    permit: Permit,
    core: Arc<C>,
    terms: Arc<LinkConfig>,
    /// Dropped last: the peer is forgotten before its end is announced.
    life: Life,
}

impl<C: Core> Drop for Link<C> {
    /// The task may be dropped before its end.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _given_back = catch(|| self.give_back());
        }
    }
}

impl<C: Core> Link<C> {
    fn new(
        mut stream: Stream,
        life: Life,
        permit: Permit,
        core: Arc<C>,
        terms: Arc<LinkConfig>,
    ) -> Self {
        let receipts = stream.take_receipts();
        Self {
            stream,
            connection: Connection::new(terms.config.clone()),
            phase: Phase::Handshake,
            reader: Reader::new(),
            writer: Writer::new(receipts),
            turn: Turn::new(),
            epoch: Instant::now(),
            timer: None,
            has_received: false,
            permit,
            core,
            terms,
            life,
        }
    }

    /// Exchanges octets until the connection ends, by itself or by the signal.
    async fn live(&mut self, signal: &mut Killed) -> Reason {
        let life = &self.life;
        life.socket.events.emit(|| Event::Connected { peer: life.peer.clone() });
        let reason = poll_fn(|cx| self.poll(cx, signal)).await;
        let is_mid_frame = self.give_back();
        if !signal.is_ended() && !matches!(reason, Reason::PeerClosed | Reason::Transport(_)) {
            // Most connections never come here, so the memory for it is not part of each.
            Box::pin(async {
                tokio::select! {
                    biased;
                    _ended = signal => {}
                    () = self.part(is_mid_frame, is_silent(&reason)) => {}
                }
            })
            .await;
        }
        reason
    }

    /// Ends the traffic: gives the unsent messages back to the session. Returns whether they begin in
    /// the middle of a frame.
    fn give_back(&mut self) -> bool {
        self.phase = match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Traffic(session) => Phase::Leaving(session),
            other => {
                self.phase = other;
                return false;
            }
        };
        let Phase::Leaving(session) = &mut self.phase else { return false };
        self.writer.has_sent |= session.has_traffic();
        self.writer.give_back(session, &mut self.connection)
    }

    /// Forgets the peer, and yields to other tasks meanwhile.
    async fn leave(&mut self) {
        self.give_back();
        let mut steps = 0;
        while let Phase::Leaving(session) = &mut self.phase {
            let begun = Instant::now();
            if !session.leave() {
                break;
            }
            steps += 1;
            turn::rest(steps, begun.elapsed()).await;
        }
        self.phase = Phase::Over;
    }

    /// Forgets the peer, writes the remaining output (an ERROR that tells the peer the reason) and waits
    /// for the peer to close the connection. Closing a tcp connection with unread octets would discard
    /// what we wrote before.
    async fn part(&mut self, is_mid_frame: bool, is_silent: bool) {
        self.leave().await;
        let parting = async {
            // In the middle of a frame, the peer would read anything that we write as the rest of it.
            if !is_mid_frame {
                // The transport may still tell a peer that takes no more why this is the end.
                let _written = poll_fn(|cx| {
                    let Self { writer, stream, connection, turn, epoch, .. } = self;
                    writer.poll_control(cx, stream, connection, turn, *epoch)
                })
                .await;
            }
            poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
            if is_silent {
                return Ok(0);
            }
            let mut unread = (&mut self.stream).take(PARTING_OCTETS as u64);
            tokio::io::copy(&mut unread, &mut tokio::io::sink()).await
        };
        // The outcome does not matter: the connection is over.
        let _ended = tokio::time::timeout(PARTING, pin!(parting)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, signal: &mut Killed) -> Poll<Reason> {
        let polled = self.poll_turn(cx, signal);
        if let Phase::Traffic(session) = &mut self.phase {
            if polled.is_ready() {
                // The transport may have written all while it was read. The connection is over, however this ends.
                let _counted = self.writer.poll_count(cx, &mut self.stream, session);
            }
            session.end_turn();
        }
        polled
    }

    fn poll_turn(&mut self, cx: &mut Context<'_>, signal: &mut Killed) -> Poll<Reason> {
        if let Poll::Ready(reason) = Pin::new(&mut *signal).poll(cx) {
            return Poll::Ready(reason);
        }
        ready!(self.turn.poll_begin(cx));
        // The signal is read before the queue: once it is set, nothing more is queued.
        let is_draining = signal.is_draining();
        loop {
            let progress = self.poll_timer(cx).and_then(|()| {
                let judged = self.poll_verdict(cx)?;
                if self.stream.poll_ended(cx).is_ready() {
                    return Err(Reason::Stopped);
                }
                let read = self.poll_read(cx)?;
                // The handshake may just have been done.
                if is_draining && let Phase::Traffic(session) = &mut self.phase {
                    session.drain();
                }
                let written = self.poll_write(cx);
                Ok(judged.is_ready() || read.is_ready() || written.is_ready())
            });
            match progress {
                Err(reason) => return Poll::Ready(reason),
                Ok(true) if self.turn.is_over() => ready!(self.turn.poll_end(cx)),
                Ok(true) => {}
                Ok(false) => {
                    // Some transports hold octets back, and write them only when polled. A failure is
                    // reported by the next write.
                    let is_flushed = Pin::new(&mut self.stream).poll_flush(cx).is_ready();
                    if is_draining
                        && is_flushed
                        && self.is_met()
                        && self.writer.is_drained(&mut self.connection)
                    {
                        return Poll::Ready(Reason::Stopped);
                    }
                    return Poll::Pending;
                }
            }
        }
    }

    /// Whether the handshake is done, or does not matter. A socket that lingers completes its handshake
    /// with a peer that it has messages for.
    fn is_met(&self) -> bool {
        match self.phase {
            Phase::Handshake | Phase::Authorizing(_) => {
                !self.core.has_unsent(self.life.peer.endpoint())
            }
            _ => true,
        }
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<(), Reason> {
        while let Some(deadline) = self.connection.deadline() {
            // The deadline overflows `Instant`: no deadline.
            let Some(at) = self.epoch.checked_add(deadline) else { break };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            // Each arrival moves the deadline to later. The timer is set anew only when it fires, since
            // setting it at each arrival would cost more.
            if timer.deadline() > at {
                timer.as_mut().reset(at);
            }
            if timer.as_mut().poll(cx).is_pending() {
                return Ok(());
            }
            self.timer = None;
            let now = self.now();
            self.connection.handle_timeout(now)?;
        }
        self.timer = None;
        Ok(())
    }

    /// Reads once and processes the input. Pending if none came, or if there is no room for it.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        if self.reader.backlog != Backlog::Nothing {
            let dealt = self.deal(cx)?;
            if self.reader.backlog != Backlog::Nothing {
                return Ok(dealt);
            }
        }
        let is_being_authorized = matches!(self.phase, Phase::Authorizing(_));
        let Self { reader, stream, connection, .. } = self;
        let arrived = match reader.poll_read(cx, stream, connection, is_being_authorized) {
            Poll::Pending => return Ok(Poll::Pending),
            Poll::Ready(arrived) => arrived?,
        };
        if arrived == 0 {
            return Err(Reason::PeerClosed);
        }
        let now = self.now();
        self.connection.handle_input(now, arrived);
        let dealt = self.deal(cx);
        self.turn.spend(arrived * if self.connection.is_sealed() { SEALED_OCTET } else { 1 });
        dealt
    }

    /// Processes all input, while there is room for it and until the turn is over.
    fn deal(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        let now = self.now();
        loop {
            let was_paused = self.reader.backlog == Backlog::Room;
            if self.turn.is_over() {
                if !was_paused {
                    self.reader.backlog = Backlog::Turn;
                }
                return Ok(Poll::Ready(()));
            }
            self.reader.backlog = Backlog::Nothing;
            if let Phase::Traffic(session) = &mut self.phase {
                let Poll::Ready(room) = session.poll_room(cx) else {
                    self.reader.backlog = Backlog::Room;
                    self.connection.pause_reading();
                    return Ok(Poll::Pending);
                };
                if was_paused {
                    self.connection.resume_reading(now);
                }
                if let Some(batch) = self.connection.poll_batch(room.min(BATCH)) {
                    self.has_received = true;
                    self.turn.spend(EVENT + IN_BATCH * batch.len());
                    let count = batch.len();
                    session.messages(batch)?;
                    self.writer.confirm(count);
                    continue;
                }
            }
            match self.connection.poll_event(now)? {
                None => return Ok(Poll::Ready(())),
                Some(event) => self.deal_with(event)?,
            }
        }
    }

    fn deal_with(&mut self, event: WireEvent) -> Result<(), Reason> {
        match (event, &mut self.phase) {
            (WireEvent::Message(message), Phase::Traffic(session)) => {
                self.has_received = true;
                // An XPUB may take each part for a subscription.
                let cost = EVENT + SUBSCRIPTION * message.part_count().saturating_sub(1);
                session.messages(message.into())?;
                self.writer.confirm(1);
                self.turn.spend(cost);
            }
            (WireEvent::Subscription(subscription), Phase::Traffic(_)) => {
                self.has_received = true;
                return self.deal_with_subscriptions(subscription);
            }
            (WireEvent::Ready(info), _) => {
                let kill = self.permit.establish()?;
                // A session that sends by itself does not seal.
                let ways = match self.connection.is_sealed() {
                    true => Ways::default(),
                    false => Ways {
                        outlet: self.stream.outlet(),
                        direct: self.stream.direct().map(|it| (it, self.terms.config.limits)),
                    },
                };
                // RFC 29, The PUB Socket Type: it receives nothing.
                if info.socket_type == Some(SocketType::Pub) {
                    self.writer.expect_no_receipts();
                }
                let info: Arc<PeerInfo> = Arc::from(info);
                let Life { peer, socket, established, .. } = &mut self.life;
                peer.set_info(info.clone());
                self.phase = Phase::Traffic(self.core.open(peer, &info, ways, kill)?);
                *established = true;
                self.reader.establish();
                self.stream.establish();
                socket.events.emit(|| Event::HandshakeSucceeded { peer: peer.clone(), info });
                if self.terms.config.heartbeat.is_some() && !self.connection.sends_heartbeats() {
                    debug!("no heartbeats are sent to a peer of ZMTP 3.0: only tcp finds it dead");
                }
            }
            (WireEvent::Credentials(applicant), _) => {
                let judging = judge(&self.terms.options, &self.life.peer, *applicant);
                self.phase = Phase::Authorizing(judging);
            }
            _ => {
                unreachable!("the codec lets nothing through before the handshake is done")
            }
        }
        Ok(())
    }

    /// Applies consecutive changes of subscriptions together, then processes the event behind them.
    fn deal_with_subscriptions(&mut self, first: Subscription) -> Result<(), Reason> {
        let now = self.now();
        let mut together = vec![first];
        let behind = loop {
            self.turn.spend_on_change();
            if self.turn.is_over() {
                break Ok(None);
            }
            match self.connection.poll_event(now) {
                Ok(Some(WireEvent::Subscription(next))) => together.push(next),
                behind => break behind,
            }
        };
        if let Phase::Traffic(session) = &mut self.phase {
            session.subscriptions(&mut together)?;
        }
        behind?.map_or(Ok(()), |event| self.deal_with(event))
    }

    /// Takes the verdict on the peer, if it is there.
    fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        let Phase::Authorizing(judging) = &mut self.phase else { return Ok(Poll::Pending) };
        let Poll::Ready(verdict) = judging.as_mut().poll(cx) else { return Ok(Poll::Pending) };
        self.phase = Phase::Handshake;
        let now = self.now();
        self.connection.authorize(now, verdict);
        // The input behind the credentials has arrived already.
        self.deal(cx)
    }

    /// Writes once. Pending if the transport takes no more, or if there is nothing to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let Self { writer, stream, connection, phase, turn, epoch, .. } = self;
        let session = match phase {
            Phase::Traffic(session) => Some(session),
            _ => None,
        };
        writer.poll_write(cx, stream, connection, session, turn, *epoch)
    }
}

#[cfg(test)]
mod tests;
