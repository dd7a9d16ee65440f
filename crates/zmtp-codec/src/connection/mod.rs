//! [`Connection`]: the protocol as a machine that is fed octets and the time.

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
use crate::wire::{make_room, read_ahead};

/// One side of a connection, without I/O and without a clock.
///
/// The caller moves octets and says what time it is, as a [`Duration`] since the connection
/// began. There are four kinds of methods:
///
/// - `handle_…` tell what happened: octets arrived, a deadline passed;
/// - [`poll_event`](Self::poll_event) gives what came of it, until it gives nothing more;
/// - commands such as [`send`](Self::send) and [`subscribe`](Self::subscribe) add to the output;
/// - the rest look: [`output`](Self::output) at what is to be written, then
///   [`deadline`](Self::deadline) at when to come back.
///
/// After an error the connection is closed: it gives no more events but [`Error::Closed`], and takes no more
/// octets. What is in the output then is still worth writing: it may tell the peer why.
pub struct Connection {
    config: Arc<Config>,
    state: State,
    liveness: Liveness,
    input: BytesMut,
    output: BytesMut,
    /// Octets came that were not [wanted](Connection::wants_input), beyond what is kept for later.
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
    /// The version is what the peer announced.
    Handshake(Handshake, Version),
    /// The caller has refused the peer, and is yet to be told that this was the end.
    Denied(Denial),
    Traffic(Traffic),
    Closed,
}

impl Connection {
    /// A connection that has just begun; its greeting is in the output.
    ///
    /// [`Config::validate`] tells beforehand whether the configuration can work.
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

    /// Whether to read from the peer now. No while a verdict is awaited, and none after the end.
    ///
    /// A peer that is being judged must not fill memory. What has come with its credentials is kept and served
    /// after the verdict; what comes on top of it belongs in the transport. A caller that reads nonetheless gets
    /// [`ProtocolError::InputBeforeReady`](crate::ProtocolError::InputBeforeReady) once the limit there is passed.
    pub fn wants_input(&self) -> bool {
        match &self.state {
            State::Traffic(_) => true,
            State::Handshake(handshake, _) => !handshake.awaits_verdict() && !self.is_full(),
            State::Greeting => !self.is_full(),
            State::Denied(_) | State::Closed => false,
        }
    }

    /// What has arrived and is not decoded yet: append to it, then call
    /// [`handle_input`](Self::handle_input). Nothing is ever reserved in it for an announced size.
    pub fn input(&mut self) -> &mut BytesMut {
        &mut self.input
    }

    /// How many octets to make room for before the next read, in the middle of a frame of more
    /// than 255 octets: what is missing of it, but not more than has arrived of it or 64 KiB,
    /// whichever is more. So memory at most doubles what the peer has sent. Elsewhere 0: any
    /// room will do.
    pub fn read_hint(&self) -> usize {
        if !self.is_traffic() {
            return 0;
        }
        let Ok(Some((header, header_len))) = FrameHeader::decode(&self.input) else { return 0 };
        let arrived = self.input.len().saturating_sub(header_len);
        let size = usize::try_from(header.size).unwrap_or(usize::MAX);
        if size <= 255 { 0 } else { read_ahead(size.saturating_sub(arrived), arrived) }
    }

    /// The input, with room for the next read: for `usual` octets, as much as 64 KiB, or what is missing
    /// of a frame. A frame of more than 64 KiB is given a buffer of its own, which has room for its end
    /// and nothing behind it, and grows as [`read_hint`](Self::read_hint) says.
    ///
    /// So a message that is taken out and kept keeps about twice its size at most. Where the caller
    /// makes room by itself, it may keep as much as it came with.
    pub fn make_room(&mut self, usual: usize) -> &mut BytesMut {
        let hint = self.read_hint();
        // Before there is traffic, no frame is large.
        let had_large = match &mut self.state {
            State::Traffic(traffic) => &mut traffic.had_large,
            _ => &mut false,
        };
        make_room(&mut self.input, had_large, hint, usual);
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
            self.input.extend_from_slice(octets);
            self.handle_input(now, octets.len());
        }
    }

    /// Decodes the next event from the input. `Ok(None)` means that the connection goes on: more octets must
    /// arrive, or a verdict is awaited.
    ///
    /// May add to the output: a step of the handshake, PONG, ERROR.
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

    /// The peer has closed its side, and all events have been polled. The connection is closed by this.
    ///
    /// # Errors
    /// [`Error::CutOff`] if the peer was not done with its handshake or in the middle of a message. Where
    /// nothing is missing, or the connection had ended before, there is none.
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

    /// Ends the connection from our side. The peer is told the reason, cut to 255 octets, with ERROR, where
    /// that can be: not by a CURVE client, nor in traffic that is sealed. Write the output before hanging up.
    /// A peer that gets ERROR does not come again by itself.
    pub fn close(&mut self, reason: impl Into<Bytes>) {
        if !self.is_closed() && self.config.mechanism.may_say_error() && !self.is_sealed() {
            Command::Error(reason.into()).encode(&mut self.output);
        }
        self.end();
    }

    /// Takes the whole messages at the front of the input together, at most `most` of them: the
    /// quick way to what [`poll_event`](Self::poll_event) would give one by one. `None` if what
    /// comes next is something else, incomplete, or wrong; then it is `poll_event` that tells.
    ///
    /// Where we are PUB or XPUB there are none: any message may be a subscription.
    #[inline]
    pub fn poll_batch(&mut self, most: usize) -> Option<Batch> {
        match &mut self.state {
            State::Traffic(traffic) => traffic.batch(&mut self.input, most),
            _ => None,
        }
    }

    /// What is to be written: take it from the front as it is written, or split it off.
    pub fn output(&mut self) -> &mut BytesMut {
        if let State::Traffic(traffic) = &mut self.state {
            traffic.output_seen(&self.output);
        }
        &mut self.output
    }

    /// When [`handle_timeout`](Self::handle_timeout) wants to be called; `None` for never. It
    /// changes with every other call.
    pub fn deadline(&self) -> Option<Duration> {
        match &self.state {
            State::Greeting | State::Handshake(..) => self.config.handshake_timeout,
            State::Traffic(_) => self.liveness.deadline(),
            State::Denied(_) | State::Closed => None,
        }
    }

    /// Does what is due: sends a PING, or ends the connection. Before the deadline, nothing.
    ///
    /// # Errors
    /// [`Error::Timeout`], after which the connection is closed.
    pub fn handle_timeout(&mut self, now: Duration) -> Result<(), Error> {
        if self.deadline().is_none_or(|deadline| now < deadline) {
            return Ok(());
        }
        let due = match &self.state {
            State::Traffic(_) => self.liveness.handle_timeout(now),
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

    /// Takes note that the transport has taken octets, of the [output](Self::output), which has been
    /// shortened by them, or of frames that were encoded elsewhere. While a PING waits behind them, that
    /// is a sign of life.
    pub fn handle_output(&mut self, now: Duration) {
        self.liveness.wrote(now, self.output.is_empty());
    }

    /// The caller stops reading, as when its queue is full. Silence then proves nothing: until
    /// [`resume_reading`](Self::resume_reading) neither our heartbeat nor the peer's time to live
    /// ends the connection. PINGs go on, as our own signs of life.
    pub fn pause_reading(&mut self) {
        self.liveness.pause();
    }

    /// The caller reads again; what the pause suspended starts anew.
    pub fn resume_reading(&mut self, now: Duration) {
        self.liveness.resume(now);
    }

    /// Answers [`Event::Credentials`]. What is allowed will be in [`PeerInfo`]. A denial is told to the
    /// peer as ERROR, with the [status](crate::Status) as its reason, unless it is temporary: then the
    /// peer is told nothing, and comes again. The next [`poll_event`](Self::poll_event) gives
    /// [`Error::Denied`].
    ///
    /// Nothing happens when no verdict is awaited, nor once the handshake's deadline has passed:
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

    /// Adds a subscription to the output, in the form that this peer wants.
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

    /// Whether all traffic with this peer is sealed, as it is with CURVE: then frames that were
    /// encoded elsewhere must pass through [`seal`](Self::seal).
    #[inline]
    pub fn is_sealed(&self) -> bool {
        matches!(&self.state, State::Traffic(traffic) if traffic.channel.is_some())
    }

    /// Appends to `out` what must be written for these whole frames: each in a box of its own where
    /// traffic [is sealed](Self::is_sealed), or else as they are. Room for all is made once.
    ///
    /// The frames stand in pieces, one behind the other. A body may take several, a header stands in one.
    ///
    /// Boxes are numbered as they are sealed, and the peer hangs up when the numbers do not rise. So
    /// what is sealed must be written in the order in which it was sealed, and that includes what is
    /// in the [`output`](Self::output): write that first, and call nothing that may add to it (PONG,
    /// PING, subscriptions) to be written ahead of `out`.
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

    /// Whether [`Config::heartbeat`](crate::Config::heartbeat) is at work on this connection. It is not
    /// where either side announces ZMTP 3.0, which knows no PING: that such a peer has gone is for the
    /// transport to find out.
    pub fn sends_heartbeats(&self) -> bool {
        self.liveness.beats()
    }

    /// What is known of the peer while the connection is in traffic.
    pub fn peer(&self) -> Option<&PeerInfo> {
        match &self.state {
            State::Traffic(traffic) => Some(&traffic.peer),
            _ => None,
        }
    }

    /// Whether the handshake is over and nothing has ended the connection.
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

    /// How much may wait in the input before the handshake is over: a frame of the handshake, and what a
    /// peer may have sent behind it in the same segment.
    fn most_before_ready(&self) -> usize {
        let frame = usize::try_from(self.config.limits.handshake_frame_size).unwrap_or(usize::MAX);
        frame.saturating_add(BEHIND_HANDSHAKE)
    }

    fn is_full(&self) -> bool {
        self.input.len() >= self.most_before_ready()
    }

    /// A peer that takes nothing gets no further PING on top of what it has not taken.
    fn ping(&mut self, heartbeat: Heartbeat) {
        if let State::Traffic(traffic) = &mut self.state
            && self.output.len() < PING_BACKLOG
        {
            let ping = Command::Ping { ttl: heartbeat.ttl_tenths(), context: Bytes::new() };
            traffic.write(&mut self.output, |out| ping.encode(out));
        }
    }

    fn end(&mut self) {
        self.state = State::Closed;
        self.input = BytesMut::new();
    }
}

/// How many octets are kept that stand behind a frame of the handshake.
const BEHIND_HANDSHAKE: usize = 64 * 1024;

/// With this much output waiting, a PING would add nothing.
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
