//! [`Connection`]: the protocol as a state machine, which is fed octets and the time.

mod event;
mod heartbeat;
mod opening;
mod traffic;

use std::fmt;
use std::mem;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};

pub use self::event::{Event, PeerInfo};
use self::heartbeat::Liveness;
use self::traffic::Traffic;
use crate::batch::Batch;
use crate::command::Command;
use crate::config::{Config, Heartbeat};
use crate::denial::Denial;
use crate::error::{Error, NotReady, Timeout};
use crate::frame::FrameHeader;
use crate::greeting::Greeting;
use crate::handshake::Handshake;
use crate::mechanism::Allowed;
use crate::message::Message;
use crate::subscription::Subscription;
use crate::version::Version;
use crate::wire::{ReadBuffer, read_ahead};

/// One side of a connection, without I/O and without a clock.
///
/// The caller moves octets and gives the time, as a [`Duration`] since the connection began. There
/// are four kinds of methods:
///
/// - `handle_…` report what happened: octets arrived, a deadline passed;
/// - [`poll_event`](Self::poll_event) returns the events that result, until there are no more;
/// - commands such as [`send`](Self::send) and [`subscribe`](Self::subscribe) add to the output;
/// - the others inspect: [`output`](Self::output) has the octets to write, and
///   [`deadline`](Self::deadline) the time of the next call.
///
/// After an error the connection is closed: it gives only [`Error::Closed`], and takes no more
/// octets. The output is still worth writing then: it may tell the peer the reason.
pub struct Connection {
    config: Arc<Config>,
    state: State,
    liveness: Liveness,
    input: BytesMut,
    output: BytesMut,
    /// Octets came while none were [wanted](Connection::wants_input), beyond those that are kept
    /// for later.
    flooded: bool,
}

/// ```text
///              greeting            mechanism is done          error
///   Greeting ───────────▶ Handshake ───────────▶ Traffic ───────────▶ Closed
///       │                  │     │                                      ▲ ▲
///       │                  │     └─ verdict: no ──▶ Denied ─ poll_event ┘ │
///       └──────────────────┴── error ─────────────────────────────────────┘
/// ```
enum State {
    Greeting,
    /// The version is that which the peer announced.
    Handshake(Handshake, Version),
    /// The caller has refused the peer, and the next poll returns that as the error.
    Denied(Denial),
    Traffic(Traffic),
    Closed,
}

impl Connection {
    /// A new connection; its greeting is in the output.
    ///
    /// [`Config::validate`] checks beforehand whether the configuration can work.
    pub fn new(config: Arc<Config>) -> Self {
        let greeting = our_greeting(&config);
        let (signature, rest) = greeting.split_at(Greeting::SIGNATURE_LEN);
        let mut output = BytesMut::from(signature);
        if !config.signature_first {
            output.extend_from_slice(rest);
        }
        Self {
            output,
            input: BytesMut::new(),
            state: State::Greeting,
            liveness: Liveness::default(),
            flooded: false,
            config,
        }
    }

    /// Whether to read from the peer now. Not while a verdict is awaited, nor after the end.
    ///
    /// A peer that awaits a verdict must not fill memory. Octets that came with its credentials are
    /// kept and decoded after the verdict; further ones should stay in the transport. A caller that
    /// reads them nonetheless gets
    /// [`ProtocolError::InputBeforeReady`](crate::ProtocolError::InputBeforeReady) above that
    /// error's limit.
    pub fn wants_input(&self) -> bool {
        match &self.state {
            State::Traffic(_) => true,
            State::Handshake(handshake, _) => !handshake.awaits_verdict() && !self.is_full(),
            State::Greeting => !self.is_full(),
            State::Denied(_) | State::Closed => false,
        }
    }

    /// The octets that have arrived and are not decoded yet: append to them, then call
    /// [`handle_input`](Self::handle_input). No memory is reserved here for an announced size.
    pub fn input(&mut self) -> &mut BytesMut {
        if let State::Traffic(traffic) = &mut self.state {
            traffic.buffer.forget();
        }
        &mut self.input
    }

    /// How many octets to make room for before the next read, in the middle of a frame of more than
    /// 255 octets: as many as are missing, but at most as many as have arrived of it, or 64 KiB if
    /// that is more. So memory at most doubles what the peer has sent. Otherwise 0: any room will
    /// do.
    pub fn read_hint(&self) -> usize {
        if !self.is_traffic() {
            return 0;
        }
        let Ok(Some((header, header_len))) = FrameHeader::decode(&self.input) else { return 0 };
        let arrived = self.input.len().saturating_sub(header_len);
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        if size <= 255 { 0 } else { read_ahead(size.saturating_sub(arrived), arrived) }
    }

    /// The input, with room for the next read: for `usual` octets, up to 65 KiB, or for the missing
    /// rest of a frame. A frame of more than 65 KiB gets a buffer of its own, which has room for
    /// its end and nothing after it, and grows by [`read_hint`](Self::read_hint).
    ///
    /// So a message that is taken and kept keeps at most about twice its size. If the caller makes
    /// room itself, the message may keep all octets that it arrived with.
    pub fn make_room(&mut self, usual: usize) -> &mut BytesMut {
        let hint = self.read_hint();
        let buffer = match &mut self.state {
            State::Traffic(traffic) => &mut traffic.buffer,
            // Before there is traffic, no frame is large, and each is copied.
            _ => &mut ReadBuffer::default(),
        };
        buffer.make_room(&mut self.input, hint, usual);
        &mut self.input
    }

    /// Takes note that `arrived` octets were appended to the input. They are a sign of life, also
    /// in the middle of a frame.
    pub fn handle_input(&mut self, _now: Duration, arrived: usize) {
        if self.is_closed() {
            self.input.clear();
        } else if arrived > 0 {
            self.liveness.heard();
            let before = self.input.len().saturating_sub(arrived);
            let is_opening = !self.is_traffic();
            self.flooded |= is_opening && before >= self.most_before_ready();
            let arrived = before..self.input.len();
            if is_opening
                && self.config.signature_first
                && matches!(self.state, State::Greeting)
                && arrived.contains(&(Greeting::SIGNATURE_LEN - 1))
            {
                let greeting = our_greeting(&self.config);
                self.output.extend_from_slice(&greeting[Greeting::SIGNATURE_LEN..]);
            }
        }
    }

    /// Appends `octets` to the input and calls [`handle_input`](Self::handle_input).
    pub fn receive(&mut self, now: Duration, octets: &[u8]) {
        if !self.is_closed() {
            self.input().extend_from_slice(octets);
            self.handle_input(now, octets.len());
        }
    }

    /// Decodes the next event from the input. `Ok(None)` means that there is none yet: more octets
    /// must arrive, or a verdict is awaited.
    ///
    /// This may add to the output: a step of the handshake, PONG, ERROR.
    ///
    /// # Errors
    /// Why the connection has ended. It is then closed, and every later call gives [`Error::Closed`].
    #[inline]
    pub fn poll_event(&mut self, now: Duration) -> Result<Option<Event>, Error> {
        let outcome = match &mut self.state {
            State::Traffic(traffic) => {
                traffic.next(&mut self.input, &mut self.output, &mut self.liveness, now)
            }
            _ => self.open(now),
        };
        if outcome.is_err() {
            self.end();
        }
        outcome
    }

    /// Closes the connection after the peer has closed its side and all events have been polled.
    ///
    /// # Errors
    /// [`Error::CutOff`] if the peer was in its handshake or in the middle of a message. There is
    /// no error if nothing is missing, or if the connection had ended before.
    pub fn handle_eof(&mut self) -> Result<(), Error> {
        let is_whole = match &self.state {
            State::Traffic(traffic) => self.input.is_empty() && !traffic.is_within_message(),
            State::Closed => true,
            _ => false,
        };
        let waiting = self.input.len();
        self.end();
        if is_whole { Ok(()) } else { Err(Error::CutOff { waiting }) }
    }

    /// Ends the connection from our side. An ERROR tells the peer the reason, cut to 255 octets,
    /// unless we are a CURVE client or traffic is sealed. Write the output before closing the
    /// transport. A peer that gets an ERROR does not dial again by itself.
    pub fn close(&mut self, reason: impl Into<Bytes>) {
        if !self.is_closed() && self.config.mechanism.may_say_error() && !self.is_sealed() {
            Command::Error(reason.into()).encode(&mut self.output);
        }
        self.end();
    }

    /// Takes the whole messages at the front of the input together, at most `most` of them: a
    /// faster way to the messages that [`poll_event`](Self::poll_event) would return one by one.
    /// `None` if the input goes on with something else, incomplete, or wrong; `poll_event` then
    /// returns the event or the error, if there is one.
    ///
    /// PUB and XPUB get none, since any message may be a subscription.
    #[inline]
    pub fn poll_batch(&mut self, most: usize) -> Option<Batch> {
        match &mut self.state {
            State::Traffic(traffic) => traffic.batch(&mut self.input, most),
            _ => None,
        }
    }

    /// The octets to write: remove them from the front as they are written, or split them off.
    pub fn output(&mut self) -> &mut BytesMut {
        if let State::Traffic(traffic) = &mut self.state {
            traffic.output_seen(&self.output);
        }
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) is to be called; `None` for never. Any other
    /// call may change it.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Greeting | State::Handshake(..) => self.config.handshake_timeout,
            State::Traffic(_) => self.liveness.deadline(),
            State::Denied(_) | State::Closed => None,
        }
    }

    /// Does what is due: sends a PING, or ends the connection. Before the deadline, it does
    /// nothing.
    ///
    /// # Errors
    /// [`Error::Timeout`], after which the connection is closed.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), Error> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let due = match &self.state {
            State::Traffic(_) => {
                let has_room = self.output.len() < PING_BACKLOG;
                self.liveness.handle_timeout(now, has_room)
            }
            _ => Err(Timeout::Handshake),
        };
        match due {
            Ok(Some(heartbeat)) => self.ping(heartbeat),
            Ok(None) => {}
            Err(timeout) => {
                self.end();
                return Err(timeout.into());
            }
        }
        Ok(())
    }

    /// Whether [`handle_output`](Self::handle_output) would change anything.
    #[inline]
    pub fn needs_output_notice(&self) -> bool {
        self.liveness.has_unsent()
    }

    /// Takes note that the transport has taken octets: of the [output](Self::output), from which
    /// the caller has removed them, or of frames that were encoded elsewhere. While a PING waits
    /// behind them, that is a sign of life.
    pub fn handle_output(&mut self, now: Duration) {
        self.liveness.wrote(now, self.output.is_empty());
    }

    /// Takes note that the caller stops reading, for example when its queue is full. Silence then
    /// proves nothing: until [`resume_reading`](Self::resume_reading), neither our heartbeat nor
    /// the peer's time to live ends the connection. PINGs are still sent, as our own signs of life.
    pub fn pause_reading(&mut self) {
        self.liveness.pause();
    }

    /// Takes note that the caller reads again. The timers that were paused start anew.
    pub fn resume_reading(&mut self, now: Duration) {
        self.liveness.resume(now);
    }

    /// Answers [`Event::Credentials`]. The values of [`Allowed`] are given in [`PeerInfo`]. After a
    /// denial the next [`poll_event`](Self::poll_event) returns [`Error::Denied`]. The peer is sent
    /// an ERROR with the [status](crate::Status) as its reason; if the denial is temporary, it is
    /// sent none, and so dials again.
    ///
    /// Nothing happens if no verdict is awaited, or if the deadline of the handshake has passed:
    /// [`handle_timeout`](Self::handle_timeout) is then due.
    pub fn authorize(&mut self, now: Duration, verdict: Result<Allowed, Denial>) {
        let late = self.deadline().is_some_and(|deadline| now >= deadline);
        let awaited = matches!(&self.state, State::Handshake(state, _) if state.awaits_verdict());
        if late || !awaited {
            return;
        }
        if let State::Handshake(handshake, version) = mem::replace(&mut self.state, State::Closed) {
            self.state = match handshake.authorize(verdict, &self.config, &mut self.output) {
                Ok(handshake) => State::Handshake(handshake, version),
                Err(denial) => State::Denied(denial),
            };
        }
    }

    /// Adds a subscription to the output, in the form that this peer understands.
    ///
    /// # Errors
    /// [`NotReady`] before [`Event::Ready`], and once the connection has ended.
    pub fn subscribe(&mut self, subscription: &Subscription) -> Result<(), NotReady> {
        let State::Traffic(traffic) = &mut self.state else { return Err(NotReady) };
        let version = traffic.version;
        traffic.write(&mut self.output, |out| subscription.encode(version, out));
        Ok(())
    }

    /// Adds a message to the output.
    ///
    /// # Errors
    /// [`NotReady`] before [`Event::Ready`], and once the connection has ended.
    #[inline]
    pub fn send(&mut self, message: &Message) -> Result<(), NotReady> {
        let State::Traffic(traffic) = &mut self.state else { return Err(NotReady) };
        traffic.write(&mut self.output, |out| message.encode(out));
        Ok(())
    }

    /// Whether all traffic with this peer is sealed, as with CURVE. If so, frames that were encoded
    /// elsewhere must pass through [`seal`](Self::seal).
    #[inline]
    pub fn is_sealed(&self) -> bool {
        matches!(&self.state, State::Traffic(traffic) if traffic.channel.is_some())
    }

    /// Appends to `out` what must be written for these whole frames: each in a box of its own if
    /// traffic [is sealed](Self::is_sealed), and otherwise unchanged. Room for all is made once.
    ///
    /// The frames are given in consecutive pieces. A body may span several pieces; a header is in
    /// one.
    ///
    /// Boxes are numbered as they are sealed, and the peer closes the connection if the numbers do
    /// not rise. So boxes must be written in the order in which they were sealed, including those
    /// in the [`output`](Self::output): write these first, and before `out` is written call nothing
    /// that may add to the output (PONG, PING, subscriptions) and be written ahead of it.
    ///
    /// # Errors
    /// [`NotReady`] before [`Event::Ready`], and once the connection has ended.
    pub fn seal<'a>(
        &mut self,
        pieces: impl IntoIterator<Item = &'a [u8], IntoIter: Clone>,
        out: &mut BytesMut,
    ) -> Result<(), NotReady> {
        let State::Traffic(traffic) = &mut self.state else { return Err(NotReady) };
        match &mut traffic.channel {
            Some(channel) => channel.seal(pieces.into_iter(), out),
            None => pieces.into_iter().for_each(|piece| out.extend_from_slice(piece)),
        }
        Ok(())
    }

    /// Whether heartbeats are sent on this connection. They need
    /// [`Config::heartbeat`](crate::Config::heartbeat), and that both sides announce ZMTP 3.1,
    /// unless [`Heartbeat::for_any_version`] is set. Without them only the transport can find out
    /// that the peer is dead.
    pub fn sends_heartbeats(&self) -> bool {
        self.liveness.beats()
    }

    /// The properties of the peer while the connection is in traffic.
    pub fn peer(&self) -> Option<&PeerInfo> {
        match &self.state {
            State::Traffic(traffic) => Some(&traffic.peer),
            _ => None,
        }
    }

    /// Whether the handshake is over and the connection has not ended.
    #[inline]
    pub fn is_traffic(&self) -> bool {
        matches!(self.state, State::Traffic(_))
    }

    /// Whether the connection has ended: by an error, by [`handle_eof`](Self::handle_eof) or by
    /// [`close`](Self::close).
    #[inline]
    pub fn is_closed(&self) -> bool {
        matches!(self.state, State::Closed)
    }

    /// How many octets may wait in the input before the handshake is over: a frame of the
    /// handshake, and octets that a peer may have sent after it in the same segment.
    fn most_before_ready(&self) -> usize {
        let frame = usize::try_from(self.config.limits.handshake_frame_size).unwrap_or(usize::MAX);
        frame.saturating_add(BEHIND_HANDSHAKE)
    }

    fn is_full(&self) -> bool {
        self.input.len() >= self.most_before_ready()
    }

    fn ping(&mut self, heartbeat: Heartbeat) {
        if let State::Traffic(traffic) = &mut self.state {
            let ping = Command::Ping { ttl: heartbeat.ttl_tenths(), context: Bytes::new() };
            traffic.write(&mut self.output, |out| ping.encode(out));
        }
    }

    fn end(&mut self) {
        self.state = State::Closed;
        self.input = BytesMut::new();
    }
}

/// How many octets are kept that follow a frame of the handshake.
const BEHIND_HANDSHAKE: usize = 64 * 1024;

/// With this much output waiting, a further PING would be useless: a peer that reads nothing gets none on top of it.
const PING_BACKLOG: usize = 64 * 1024;

fn our_greeting(config: &Config) -> [u8; Greeting::LEN] {
    let (mechanism, as_server) = (config.mechanism.name(), config.mechanism.is_server());
    let mut greeting = Greeting { version: config.version, mechanism, as_server }.encode();
    if config.signature_first {
        // To a peer of ZMTP 1.0, the signature is a whole frame: the length of one octet, and that octet.
        greeting[Greeting::SIGNATURE_LEN - 2] = 1;
    }
    greeting
}

/// Shows no octets: they may hold a password.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("socket_type", &self.config.socket_type)
            .field("state", &self.state)
            .field("input", &self.input.len())
            .field("output", &self.output.len())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Greeting => "Greeting",
            Self::Handshake(..) => "Handshake",
            Self::Denied(_) => "Denied",
            Self::Traffic(_) => "Traffic",
            Self::Closed => "Closed",
        })
    }
}
