//! One connection's life: the only place that holds both a stream and a [`Connection`].

use std::future::poll_fn;
use std::io::IoSlice;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWrite};
use tokio::task::yield_now;
use tokio::time::{Instant, Sleep};
use tokio_util::io::poll_read_buf;
use tracing::{Instrument as _, debug, debug_span};
use zmtp_codec::{Batch, Connection, Event as WireEvent, PeerInfo, Subscription};

use crate::endpoint::Endpoint;
use crate::engine::admission::{Kill, Killed, Permit};
use crate::engine::burst::{Burst, SLICES};
use crate::engine::panics::{catch, caught};
use crate::engine::shared::Shared;
use crate::engine::transport::{Outlet, Stream};
use crate::error::Reason;
use crate::monitor::Event;
use crate::options::LinkConfig;
use crate::options::authorize::{Authorizing, judge};
use crate::peer::Peer;
use crate::stats::{Stats, Unfinished};

/// Octets reserved for a read from a peer that has been quiet.
const SMALL_READ: usize = 8 << 10;

/// And from one that has not finished its handshake: strangers may come in crowds. While one is judged,
/// no more than that is kept of what it goes on to say. Reading on that far is how we notice that it has
/// hung up.
const FIRST_READ: usize = 1 << 10;

/// Octets reserved for a read once reads come back full.
const LARGE_READ: usize = 64 << 10;

/// What a driver may spend before the runtime's other tasks get their turn, which is about a
/// millisecond at most. An octet that is read costs 1: whoever receives it should do so while it is in
/// the processor's cache, and before many of them fill its memory.
const TURN: usize = 256 << 10;

/// What it costs to read an octet that has to be decrypted.
const SEALED_OCTET: usize = 8;

/// So many octets that are written cost 1.
const WRITTEN: usize = 4;

/// What it costs to hand on a message of a batch.
const IN_BATCH: usize = 4;

/// What it costs to hand on anything by itself.
const EVENT: usize = 128;

/// What a change of subscription costs: it takes microseconds, and changes what others share.
const SUBSCRIPTION: usize = 6 << 10;

/// Turns that others get for each step in which a peer is forgotten: it takes about a millisecond, and a turn
/// that has to wait for octets much less.
const TURNS_FOR_A_STEP: usize = 16;

/// After so many steps a peer is forgotten with pauses. On a runtime with workers a turn that is given up comes
/// back at once, and the steps of a peer with many topics would keep the lock from those who send.
const STEPS_WITHOUT_PAUSE: usize = 16;
const PAUSE: Duration = Duration::from_millis(1);

/// After so many changes of subscriptions a peer has to pause after each turn that is full of them: on a
/// runtime with workers, too, others must get the lock. Its turns are longer then. So a newcomer with many topics
/// is served at once, one with a million within seconds, and a flood leaves most of the time to others.
const CHANGES_WITHOUT_PAUSE: u32 = 100_000;
const SUBSCRIPTION_OF_MANY: usize = 512;

/// What it costs to look whether a publisher is to be told of a topic, and to tell it.
const TOPIC: usize = 256;

/// Messages that are handed on together: the length of a publisher's turn with the receiver.
const BATCH: usize = 256;

/// How long we wait for a peer to take what we wrote last and to hang up, and how many octets of what
/// it still sends we take meanwhile.
const PARTING: Duration = Duration::from_secs(1);
const PARTING_OCTETS: usize = 1 << 20;

/// What a socket does with its connections: hands out a [`Session`] for each.
pub(crate) trait Core: Send + Sync + 'static {
    type Session: Session;

    /// `peer` has finished its handshake. Through the outlet the session may write by itself while
    /// [`poll_outgoing`](Session::poll_outgoing) has nothing to write. An error refuses the peer.
    fn open(
        self: &Arc<Self>,
        peer: &Peer,
        info: &PeerInfo,
        outlet: Option<&Outlet>,
        kill: Kill,
    ) -> Result<Self::Session, Reason>;

    /// An endpoint is dialled from now on, and its peer is to go by `identity`, if there is one.
    fn connected(&self, endpoint: &Endpoint, identity: Option<&Bytes>) {
        let _ = (endpoint, identity);
    }

    /// An endpoint is dialled no more, and has no connection.
    fn disconnected(&self, endpoint: &Endpoint) {
        let _ = endpoint;
    }

    /// Whether messages wait for the peer of a connected endpoint.
    fn has_unsent(&self, endpoint: &Endpoint) -> bool {
        let _ = endpoint;
        false
    }

    /// What it has done, and is doing. The numbers of its connections are not its to know.
    fn stats(&self) -> Stats;

    /// The same, without a list of its peers: what costs no more, however many they are.
    fn totals(&self) -> Stats;

    /// The socket is closed: nothing more is accepted from its user.
    fn close(&self);

    /// Wakes whoever receives, and makes the next sender look up from its fast path.
    fn interrupt(&self);

    /// What the socket had and nobody got since it was closed.
    fn unfinished(&self) -> Unfinished;
}

/// A socket's side of one connection in traffic. Dropping it forgets the peer.
pub(crate) trait Session: Send + Unpin + 'static {
    /// How many more messages can be accepted from the peer: at least one, or pending.
    fn poll_room(&mut self, cx: &mut Context<'_>) -> Poll<usize>;

    /// Messages have come, no more than there was room for.
    fn messages(&mut self, batch: Batch) -> Result<(), Reason>;

    /// Subscriptions have come or gone, one after the other. They are taken out.
    fn subscriptions(&mut self, changes: &mut Vec<Subscription>) -> Result<(), Reason>;

    /// Moves what the peer is to be sent next into `burst`, or into the connection's output.
    /// Returns how many [topics](TOPIC) were looked at for that. Pending if there is nothing; from then on,
    /// until it is called again, the driver writes nothing without a [claim](Self::claim).
    fn poll_outgoing(
        &mut self,
        cx: &mut Context<'_>,
        connection: &mut Connection,
        burst: &mut Burst,
    ) -> Poll<usize>;

    /// The transport has taken so many octets, and with them the last ones of so many messages.
    fn written(&mut self, messages: usize, octets: usize);

    /// The driver is about to write, or not to write any more. What the session has begun to write and
    /// not finished is moved into `burst`.
    fn claim(&mut self, burst: &mut Burst) {
        let _ = burst;
    }

    /// What was taken by [`poll_outgoing`](Self::poll_outgoing) and has not gone out, when the connection
    /// has ended: it may be sent on the next one. Called once, before the first
    /// [`leave`](Self::leave).
    fn give_back(&mut self, unsent: Burst) {
        let _ = unsent;
    }

    /// Whether the session has written by itself.
    fn has_written(&self) -> bool {
        false
    }

    /// Forgets the peer, which gets nothing more from the first call on, in steps so short that nobody waits
    /// for long. Returns whether there is more to do; dropping the session does the rest at once.
    fn leave(&mut self) -> bool {
        false
    }
}

/// How a connection ended.
pub(crate) struct End {
    pub(crate) reason: Reason,
    /// Something beyond the handshake had passed.
    pub(crate) had_traffic: bool,
}

/// Runs one connection to its end: a task of its own. Returns at once when the peer is expelled or the
/// endpoint stopped; when the socket drains, what is queued is written first. A panic is an end too.
///
/// What an idle connection costs is this future, most of all. It is one block with what it captures, for a
/// future that is awaited by another is part of that too, and often twice.
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
        let end = End { reason: reason.clone(), had_traffic: link.had_traffic };
        link.life.end = reason;
        if link.session.is_some() {
            // What a panic has left behind may panic again.
            let _forgotten = Box::pin(caught(link.leave())).await;
        }
        // Then the rest is freed all the same, and the end is told.
        let session = link.session.take();
        let _forgotten = catch(|| drop(session));
        let _told = catch(|| drop(link));
        end
    }
    .instrument(span)
}

/// A connection as its socket's user sees it. Its end is told when this is dropped.
struct Life {
    peer: Peer,
    socket: Arc<Shared>,
    established: bool,
    /// Why it ended. If nobody says, its task was dropped.
    end: Reason,
}

impl Drop for Life {
    fn drop(&mut self) {
        // A second panic would end the process.
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

/// What has been taken from the session and sealed, and the transport has not taken.
enum Sealed {
    Nothing,
    /// The whole burst stands in the output behind so many octets, and nothing of it has gone out.
    Waiting {
        ahead: usize,
    },
    /// Some of what was a burst of so many messages and octets has gone out.
    Begun {
        messages: usize,
        octets: usize,
    },
}

impl<C: Core> Drop for Link<C> {
    /// The task may be dropped in the middle of its life.
    fn drop(&mut self) {
        if !std::thread::panicking() {
            let _given_back = catch(|| self.give_back());
        }
    }
}

struct Link<C: Core> {
    stream: Stream,
    connection: Connection,
    /// There from the end of the handshake.
    session: Option<C::Session>,
    burst: Burst,
    /// When the connection was made: its time zero.
    epoch: Instant,
    timer: Option<Pin<Box<Sleep>>>,
    /// The pause of a peer that has changed its subscriptions too often.
    pause: Option<Pin<Box<Sleep>>>,
    /// How often it has, in all and in this turn.
    changes: u32,
    changes_in_turn: u32,
    read_size: usize,
    /// What may still be [spent](TURN) before others get their turn.
    turn: usize,
    /// The turn was over before all that has arrived was dealt with.
    behind: bool,
    had_traffic: bool,
    paused: bool,
    /// The verdict on the peer's credentials, while it is awaited.
    judging: Option<Authorizing>,
    sealed: Sealed,
    /// What has not gone out has been given back.
    leaving: bool,
    /// Writing has failed: we can say nothing more, but what the peer sent can still be read.
    mute: bool,
    draining: bool,
    permit: Permit,
    core: Arc<C>,
    terms: Arc<LinkConfig>,
    /// Dropped last: the peer is forgotten before anybody is told that it is gone.
    life: Life,
}

impl<C: Core> Link<C> {
    fn new(
        stream: Stream,
        life: Life,
        permit: Permit,
        core: Arc<C>,
        terms: Arc<LinkConfig>,
    ) -> Self {
        Self {
            stream,
            connection: Connection::new(terms.config.clone()),
            session: None,
            burst: Burst::default(),
            epoch: Instant::now(),
            timer: None,
            pause: None,
            changes: 0,
            changes_in_turn: 0,
            read_size: FIRST_READ,
            turn: TURN,
            behind: false,
            had_traffic: false,
            paused: false,
            judging: None,
            sealed: Sealed::Nothing,
            leaving: false,
            mute: false,
            draining: false,
            permit,
            core,
            terms,
            life,
        }
    }

    /// Exchanges octets until the connection ends, by itself or because it is told to.
    async fn live(&mut self, signal: &mut Killed) -> Reason {
        let life = &self.life;
        life.socket.events.emit(|| Event::Connected { peer: life.peer.clone() });
        let reason = poll_fn(|cx| self.poll(cx, signal)).await;
        let is_mid_frame = self.give_back();
        if !signal.is_ended() && !matches!(reason, Reason::PeerClosed | Reason::Transport(_)) {
            // Most connections never come to this: it is no part of what each costs.
            Box::pin(async {
                tokio::select! {
                    biased;
                    _ended = signal => {}
                    () = self.part(is_mid_frame) => {}
                }
            })
            .await;
        }
        reason
    }

    /// Nothing more is written of what the session had to be sent: offers it what has not gone out. Returns
    /// whether that begins in the middle of a frame.
    fn give_back(&mut self) -> bool {
        let Some(session) = &mut self.session else { return false };
        if std::mem::replace(&mut self.leaving, true) {
            return false;
        }
        self.had_traffic |= session.has_written();
        session.claim(&mut self.burst);
        if let Sealed::Waiting { ahead } = self.sealed {
            // Or it might go out after all.
            self.connection.output().truncate(ahead);
        }
        let is_mid_frame = self.burst.is_mid_frame();
        session.give_back(std::mem::take(&mut self.burst));
        is_mid_frame
    }

    /// Forgets the peer, with turns for others.
    async fn leave(&mut self) {
        self.give_back();
        let mut steps = 0;
        while self.session.as_mut().is_some_and(Session::leave) {
            for _ in 0..TURNS_FOR_A_STEP {
                yield_now().await;
            }
            steps += 1;
            if steps > STEPS_WITHOUT_PAUSE {
                tokio::time::sleep(PAUSE).await;
            }
        }
        self.session = None;
    }

    /// Forgets the peer, writes what is left to say (an ERROR that tells the peer why) and waits for the peer to
    /// hang up: to close a tcp connection on unread octets would discard what we wrote before.
    async fn part(&mut self, is_mid_frame: bool) {
        self.leave().await;
        let parting = async {
            // In the middle of a frame, whatever we say would be read as the rest of it.
            if !is_mid_frame {
                poll_fn(|cx| self.poll_control(cx)).await?;
            }
            poll_fn(|cx| Pin::new(&mut self.stream).poll_shutdown(cx)).await?;
            let mut unread = (&mut self.stream).take(PARTING_OCTETS as u64);
            tokio::io::copy(&mut unread, &mut tokio::io::sink()).await
        };
        // However it ends, the connection is over.
        let _ended = tokio::time::timeout(PARTING, pin!(parting)).await;
    }

    fn poll(&mut self, cx: &mut Context<'_>, signal: &mut Killed) -> Poll<Reason> {
        if let Poll::Ready(reason) = Pin::new(&mut *signal).poll(cx) {
            return Poll::Ready(reason);
        }
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.draining = signal.is_draining();
        self.turn = TURN;
        self.changes_in_turn = 0;
        loop {
            let progress = self.poll_timer(cx).and_then(|()| {
                let judged = self.poll_verdict(cx)?;
                let read = self.poll_read(cx)?;
                let written = self.poll_write(cx)?;
                Ok(judged.is_ready() || read.is_ready() || written.is_ready())
            });
            match progress {
                Err(reason) => return Poll::Ready(reason),
                Ok(true) if self.turn == 0 && self.must_pause() => {
                    let pause = self.pause.insert(Box::pin(tokio::time::sleep(PAUSE)));
                    ready!(pause.as_mut().poll(cx));
                }
                Ok(true) if self.turn == 0 => {
                    // Whoever only wakes itself comes before the runtime's main task again and again.
                    ready!(pin!(yield_now()).poll(cx));
                }
                Ok(true) => {}
                Ok(false) if self.draining && self.is_drained() => {
                    return Poll::Ready(Reason::Stopped);
                }
                Ok(false) => return Poll::Pending,
            }
        }
    }

    /// Whether a turn that is over was full of changes of subscriptions, of a peer that has made many.
    fn must_pause(&self) -> bool {
        let most = TURN / SUBSCRIPTION_OF_MANY;
        self.changes > CHANGES_WITHOUT_PAUSE && self.changes_in_turn as usize >= most / 2
    }

    /// Nothing is left to write. (That the queue is empty is known from `poll_write`.)
    fn is_drained(&mut self) -> bool {
        // A socket that lingers may only now have met the peer that it has messages for.
        let is_met = self.session.is_some() || !self.core.has_unsent(self.life.peer.endpoint());
        is_met && (self.mute || (self.burst.is_empty() && self.connection.output().is_empty()))
    }

    fn now(&self) -> Duration {
        self.epoch.elapsed()
    }

    fn poll_timer(&mut self, cx: &mut Context<'_>) -> Result<(), Reason> {
        while let Some(deadline) = self.connection.deadline() {
            // Further off than the clock can say: never.
            let Some(at) = self.epoch.checked_add(deadline) else { break };
            let timer = self.timer.get_or_insert_with(|| Box::pin(tokio::time::sleep_until(at)));
            // A deadline that moved away, as it does with all that arrives, is found when the timer
            // fires: to set it anew each time would cost more than that.
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

    /// Reads once and deals with what came. Pending if nothing did, or if there is no room for it.
    fn poll_read(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        // What came before may have waited for room, or for this turn.
        if self.paused || self.behind {
            let dealt = self.deal(cx)?;
            if dealt.is_pending() || self.behind {
                return Ok(dealt);
            }
        }
        if self.judging.is_some() && self.connection.input().len() >= FIRST_READ {
            return Ok(Poll::Pending);
        }
        let input = self.connection.make_room(self.read_size);
        let room = input.capacity() - input.len();
        let read = poll_read_buf(Pin::new(&mut self.stream), cx, input);
        let Poll::Ready(read) = read else {
            if input.is_empty() {
                // A quiet peer keeps no read buffer.
                *input = BytesMut::new();
                self.read_size = if self.life.established { SMALL_READ } else { FIRST_READ };
            }
            return Ok(Poll::Pending);
        };
        let arrived = read?;
        if arrived == 0 {
            return Err(Reason::PeerClosed);
        }
        if arrived == room && self.life.established {
            self.read_size = LARGE_READ.min(self.read_size * 2);
        }
        let now = self.now();
        self.connection.handle_input(now, arrived);
        let dealt = self.deal(cx);
        self.spend(arrived * if self.connection.is_sealed() { SEALED_OCTET } else { 1 });
        dealt
    }

    fn spend(&mut self, cost: usize) {
        self.turn = self.turn.saturating_sub(cost);
    }

    /// Deals with all that has arrived, while there is room for it and until the turn is over.
    fn deal(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        let now = self.now();
        loop {
            self.behind = self.turn == 0;
            if self.behind {
                return Ok(Poll::Ready(()));
            }
            if let Some(session) = &mut self.session {
                let Poll::Ready(room) = session.poll_room(cx) else {
                    self.paused = true;
                    self.connection.pause_reading();
                    return Ok(Poll::Pending);
                };
                if self.paused {
                    self.paused = false;
                    self.connection.resume_reading(now);
                }
                if let Some(batch) = self.connection.poll_batch(room.min(BATCH)) {
                    self.had_traffic = true;
                    self.turn = self.turn.saturating_sub(EVENT + IN_BATCH * batch.len());
                    session.messages(batch)?;
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
        match (event, &mut self.session) {
            (WireEvent::Message(message), Some(session)) => {
                self.had_traffic = true;
                // To an XPUB, each part may be a subscription.
                let cost = EVENT + SUBSCRIPTION * message.part_count().saturating_sub(1);
                session.messages(message.into())?;
                self.spend(cost);
            }
            (WireEvent::Subscription(subscription), Some(_)) => {
                self.had_traffic = true;
                return self.deal_with_subscriptions(subscription);
            }
            (WireEvent::Ready(info), _) => {
                let kill = self.permit.establish()?;
                // Who writes by itself does not seal.
                let outlet = self.stream.outlet().filter(|_| !self.connection.is_sealed());
                let info: Arc<PeerInfo> = Arc::from(info);
                let Life { peer, socket, established, .. } = &mut self.life;
                peer.set_info(info.clone());
                self.session = Some(self.core.open(peer, &info, outlet, kill)?);
                *established = true;
                self.read_size = SMALL_READ;
                socket.events.emit(|| Event::HandshakeSucceeded { peer: peer.clone(), info });
                if self.terms.config.heartbeat.is_some() && !self.connection.sends_heartbeats() {
                    debug!("no heartbeats are sent to a peer of ZMTP 3.0: only tcp finds it dead");
                }
            }
            (WireEvent::Credentials(applicant), _) => {
                self.judging = Some(judge(&self.terms.options, &self.life.peer, *applicant));
            }
            _ => {
                unreachable!("the codec lets nothing through before the handshake is done")
            }
        }
        Ok(())
    }

    /// Hands on together the changes of subscriptions that come together, and what comes behind them.
    fn deal_with_subscriptions(&mut self, first: Subscription) -> Result<(), Reason> {
        let now = self.now();
        let mut together = vec![first];
        let behind = loop {
            self.changes = self.changes.saturating_add(1);
            self.changes_in_turn += 1;
            self.spend(match self.changes > CHANGES_WITHOUT_PAUSE {
                true => SUBSCRIPTION_OF_MANY,
                false => SUBSCRIPTION,
            });
            if self.turn == 0 {
                break Ok(None);
            }
            match self.connection.poll_event(now) {
                Ok(Some(WireEvent::Subscription(next))) => together.push(next),
                behind => break behind,
            }
        };
        if let Some(session) = &mut self.session {
            session.subscriptions(&mut together)?;
        }
        behind?.map_or(Ok(()), |event| self.deal_with(event))
    }

    /// Takes the verdict on the peer, if there is one.
    fn poll_verdict(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        let Some(judging) = &mut self.judging else { return Ok(Poll::Pending) };
        let Poll::Ready(verdict) = judging.as_mut().poll(cx) else { return Ok(Poll::Pending) };
        self.judging = None;
        let now = self.now();
        self.connection.authorize(now, verdict);
        // What stood behind the credentials has arrived already.
        self.deal(cx)
    }

    /// Writes once. Pending if the transport takes no more, or if there is nothing to write.
    fn poll_write(&mut self, cx: &mut Context<'_>) -> Result<Poll<()>, Reason> {
        if self.mute {
            return Ok(Poll::Pending);
        }
        match self.poll_write_once(cx) {
            Poll::Ready(Err(error)) if self.session.is_some() => {
                debug!(%error, "the peer takes no more");
                self.mute = true;
                Ok(Poll::Pending)
            }
            Poll::Ready(Err(error)) => Err(error.into()),
            Poll::Ready(Ok(())) => Ok(Poll::Ready(())),
            Poll::Pending => Ok(Poll::Pending),
        }
    }

    fn poll_write_once(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        if self.burst.is_empty()
            && let Some(session) = &mut self.session
            && !self.connection.output().is_empty()
        {
            session.claim(&mut self.burst);
        }
        // Commands go between frames, and before all else.
        if !self.burst.is_mid_frame() {
            ready!(self.poll_control(cx))?;
        }
        let Some(session) = &mut self.session else { return Poll::Pending };
        if let Sealed::Begun { messages, octets } = self.sealed {
            self.sealed = Sealed::Nothing;
            self.had_traffic |= messages > 0;
            session.written(messages, octets);
        }
        if self.burst.is_empty() {
            let topics = ready!(session.poll_outgoing(cx, &mut self.connection, &mut self.burst));
            self.turn = self.turn.saturating_sub(TOPIC * topics);
            if self.connection.is_sealed() {
                self.seal();
                return self.poll_control(cx);
            }
            if self.burst.is_empty() {
                return self.poll_control(cx);
            }
        }
        let mut slices = [IoSlice::new(&[]); SLICES];
        let count = self.burst.slices(&mut slices);
        let stream = Pin::new(&mut self.stream);
        let written = ready!(stream.poll_write_vectored(cx, &slices[..count]))?;
        if written == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
        }
        let messages = self.burst.advance(written);
        self.had_traffic |= messages > 0;
        session.written(messages, written);
        self.spend(written / WRITTEN);
        self.tell_output();
        Poll::Ready(Ok(()))
    }

    /// Seals what is to be written, all at once, behind what the connection has to say: what is sealed must
    /// go out in that order. The plain burst is kept until that begins.
    fn seal(&mut self) {
        if self.burst.is_empty() {
            return;
        }
        let frames = self.burst.join();
        let mut output = std::mem::take(self.connection.output());
        self.sealed = Sealed::Waiting { ahead: output.len() };
        self.connection.seal(&frames, &mut output).expect("a session lives in traffic alone");
        *self.connection.output() = output;
        self.spend(frames.len());
    }

    /// Notes that the transport has taken so much of the output.
    fn advance_sealed(&mut self, written: usize) {
        let Sealed::Waiting { ahead } = &mut self.sealed else { return };
        match ahead.checked_sub(written) {
            Some(rest) => *ahead = rest,
            None => {
                let octets = self.burst.len();
                self.sealed = Sealed::Begun { messages: self.burst.advance(octets), octets };
            }
        }
    }

    /// The transport has taken something.
    fn tell_output(&mut self) {
        if self.connection.needs_output_notice() {
            let now = self.now();
            self.connection.handle_output(now);
        }
    }

    /// Writes the connection's own output: handshake, subscriptions, PING and PONG.
    fn poll_control(&mut self, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        loop {
            let output = self.connection.output();
            if output.is_empty() {
                *output = BytesMut::new();
                return Poll::Ready(Ok(()));
            }
            let written = ready!(Pin::new(&mut self.stream).poll_write(cx, output))?;
            if written == 0 {
                return Poll::Ready(Err(std::io::ErrorKind::WriteZero.into()));
            }
            output.advance(written);
            self.advance_sealed(written);
            self.spend(written / WRITTEN);
            self.tell_output();
        }
    }
}

#[cfg(test)]
mod tests;
