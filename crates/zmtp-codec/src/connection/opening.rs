//! From the greeting to traffic.

use std::mem;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::traffic::Traffic;
use super::{Connection, Event, PeerInfo, State};
use crate::config::Config;
use crate::error::{Error, Mismatch, ProtocolError};
use crate::frame::FrameHeader;
use crate::mechanism::{Done, Handshake, Progress};
use crate::wire::take_copy;
use crate::{Command, Greeting, Version};

/// The reason in our ERROR to a socket of a type that ours cannot talk to.
const UNFIT: &[u8] = b"Invalid socket type";

impl Connection {
    /// One step after another, until there is an event or nothing more can be done.
    pub(super) fn shake_hands(&mut self, now: Duration) -> Result<Option<Event>, Error> {
        loop {
            match mem::replace(&mut self.state, State::Closed) {
                State::Greeting => {
                    let Some(greeting) = Greeting::decode(&self.input)? else {
                        self.state = State::Greeting;
                        return Ok(None);
                    };
                    self.input.advance(Greeting::LEN);
                    self.greeted(greeting)?;
                }
                State::Handshake(handshake, version) => {
                    let command = if handshake.awaits_verdict() {
                        None
                    } else {
                        next_handshake_command(&mut self.input, &self.config)?
                    };
                    let Some(command) = command else {
                        self.state = State::Handshake(handshake, version);
                        return Ok(None);
                    };
                    if let Some(event) = self.step(handshake, version, command, now)? {
                        return Ok(Some(event));
                    }
                }
                State::Denied(denial) => return Err(Error::Denied(denial)),
                traffic @ State::Traffic(_) => {
                    self.state = traffic;
                    return Ok(None);
                }
                State::Closed => return Ok(None),
            }
        }
    }

    fn greeted(&mut self, greeting: Greeting) -> Result<(), Error> {
        let (ours, theirs) = (self.config.mechanism.name(), greeting.mechanism);
        if ours != theirs {
            return Err(Mismatch::Mechanism { ours, theirs }.into());
        }
        let handshake = Handshake::begin(&self.config, &mut self.output);
        self.state = State::Handshake(handshake, greeting.version);
        Ok(())
    }

    fn step(
        &mut self,
        handshake: Handshake,
        version: Version,
        command: Command,
        now: Duration,
    ) -> Result<Option<Event>, Error> {
        let progress = handshake.handle(command, &self.config, &mut self.output);
        // RFC 23: who finds the socket types at odds says so with ERROR, and closes.
        if let Err(Error::Mismatch(Mismatch::SocketType { .. })) = progress {
            Command::Error(Bytes::from_static(UNFIT)).encode(&mut self.output);
        }
        Ok(match progress? {
            Progress::Continue(handshake) => {
                self.state = State::Handshake(handshake, version);
                None
            }
            Progress::Ask(verdict, credentials) => {
                self.state = State::Handshake(Handshake::PlainAwaitVerdict(verdict), version);
                Some(Event::Credentials(Box::new(credentials)))
            }
            Progress::Done(done) => Some(self.ready(done, version, now)),
        })
    }

    fn ready(&mut self, done: Done, version: Version, now: Duration) -> Event {
        let Done { metadata, socket_type, username } = done;
        let peer = PeerInfo { version, socket_type, metadata, username };
        // A peer of 3.0 need not know PING, so its silence after one would prove nothing.
        let heartbeat = self.config.heartbeat.filter(|_| version >= Version::V3_1);
        self.liveness.begin(heartbeat, now);
        self.state = State::Traffic(Traffic::new(&self.config, peer.clone()));
        Event::Ready(Box::new(peer))
    }
}

/// Takes the next command of the handshake, if it is whole.
fn next_handshake_command(
    input: &mut BytesMut,
    config: &Config,
) -> Result<Option<Command>, ProtocolError> {
    let Some((header, header_len)) = FrameHeader::decode(input)? else { return Ok(None) };
    if !header.command {
        return Err(ProtocolError::MessageInHandshake);
    }
    let limit = config.limits.handshake_frame_size;
    if header.size > limit {
        return Err(ProtocolError::HandshakeFrameTooLarge { size: header.size, limit });
    }
    let size = header.body_len()?;
    if input.len().saturating_sub(header_len) < size {
        return Ok(None);
    }
    Command::decode(take_copy(input, header_len, size)).map(Some)
}
