//! From the greeting to traffic.

use std::mem;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};

use super::traffic::Traffic;
use super::{Connection, Event, PeerInfo, State};
use crate::command::Command;
use crate::config::Config;
use crate::error::{Error, Mismatch, ProtocolError};
use crate::frame::FrameHeader;
use crate::greeting::Greeting;
use crate::handshake::{Done, Handshake, Progress};
use crate::version::Version;

/// The reason in our ERROR to a socket whose type is incompatible with ours.
const UNFIT: &[u8] = b"Invalid socket type";

impl Connection {
    /// Advances the handshake, and checks that no more octets wait than may be kept.
    pub(super) fn open(&mut self, now: Duration) -> Result<Option<Event>, Error> {
        let event = self.shake_hands(now)?;
        if event.is_none() && self.flooded && !self.is_traffic() && self.is_full() {
            let (size, limit) = (self.input.len(), self.most_before_ready());
            return Err(ProtocolError::InputBeforeReady { size, limit }.into());
        }
        Ok(event)
    }

    /// Takes step after step, until there is an event or more octets or a verdict are needed.
    fn shake_hands(&mut self, now: Duration) -> Result<Option<Event>, Error> {
        loop {
            match mem::replace(&mut self.state, State::Closed) {
                State::Greeting => {
                    let Some(greeting) = Greeting::decode(&self.input)? else {
                        self.state = State::Greeting;
                        return Ok(None);
                    };
                    self.input.advance(Greeting::LEN);
                    if let Some(event) = self.greeted(greeting, now)? {
                        return Ok(Some(event));
                    }
                }
                #[cfg(feature = "curve")]
                State::Handshake(Handshake::Over(done), version) => {
                    return Ok(Some(self.ready(*done, version, now)));
                }
                State::Handshake(handshake, version) => {
                    let body = if handshake.awaits_verdict() {
                        None
                    } else {
                        next_handshake_command(&mut self.input, &self.config)?
                    };
                    let Some(body) = body else {
                        self.state = State::Handshake(handshake, version);
                        return Ok(None);
                    };
                    if let Some(event) = self.step(handshake, version, body, now)? {
                        return Ok(Some(event));
                    }
                }
                State::Denied(denial) => return Err(Error::Denied(denial)),
                traffic @ State::Traffic(_) => {
                    self.state = traffic;
                    return Ok(None);
                }
                State::Closed => return Err(Error::Closed),
            }
        }
    }

    fn greeted(&mut self, greeting: Greeting, now: Duration) -> Result<Option<Event>, Error> {
        let (ours, theirs) = (self.config.mechanism.name(), greeting.mechanism);
        if ours != theirs {
            return Err(Mismatch::Mechanism { ours, theirs }.into());
        }
        // A server need not announce that it is one, and libzmq's do not. Two servers cannot
        // communicate.
        if self.config.mechanism.is_server() && greeting.as_server {
            return Err(Mismatch::TwoServers { mechanism: ours }.into());
        }
        let progress = Handshake::begin(&self.config, &mut self.output)?;
        Ok(self.advance(progress, greeting.version, now))
    }

    fn step(
        &mut self,
        handshake: Handshake,
        version: Version,
        body: BytesMut,
        now: Duration,
    ) -> Result<Option<Event>, Error> {
        let progress = handshake.handle(body, &self.config, &mut self.output);
        // RFC 23: a side that finds the socket types incompatible sends an ERROR and closes.
        let may_say = self.config.mechanism.may_say_error();
        if let Err(Error::Mismatch(Mismatch::SocketType { .. })) = progress
            && may_say
        {
            Command::Error(Bytes::from_static(UNFIT)).encode(&mut self.output);
        }
        Ok(self.advance(progress?, version, now))
    }

    fn advance(&mut self, progress: Progress, version: Version, now: Duration) -> Option<Event> {
        match progress {
            Progress::Continue(handshake) => {
                self.state = State::Handshake(handshake, version);
                None
            }
            Progress::Ask(handshake, applicant) => {
                self.state = State::Handshake(handshake, version);
                Some(Event::Credentials(Box::new(applicant)))
            }
            Progress::Done(done) => Some(self.ready(done, version, now)),
        }
    }

    fn ready(&mut self, done: Done, version: Version, now: Duration) -> Event {
        let channel = done.channel;
        let peer = PeerInfo {
            version,
            socket_type: done.socket_type,
            metadata: done.metadata,
            username: done.username,
            #[cfg(feature = "curve")]
            public_key: done.public_key,
            allowed: done.allowed,
        };
        // PING belongs to 3.1, and the lower of the two announced versions is spoken. The silence
        // of a peer after a PING would prove nothing if either side announced 3.0.
        let spoken = version.min(self.config.version);
        let heartbeat = self.config.heartbeat;
        let heartbeat = heartbeat.filter(|it| it.any_version || spoken >= Version::V3_1);
        self.liveness.begin(heartbeat, now);
        self.state = State::Traffic(Traffic::new(&self.config, peer.clone(), channel));
        Event::Ready(Box::new(peer))
    }
}

/// Takes the body of the next command of the handshake, if it is whole.
fn next_handshake_command(
    input: &mut BytesMut,
    config: &Config,
) -> Result<Option<BytesMut>, ProtocolError> {
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
    input.advance(header_len);
    let body = BytesMut::from(input.get(..size).unwrap_or_default());
    input.advance(size);
    Ok(Some(body))
}
