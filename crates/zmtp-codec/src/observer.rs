//! [`Observer`]: decodes the traffic of a connection between two others.

use bytes::{Buf, Bytes, BytesMut};

use crate::command::Command;
use crate::config::Limits;
use crate::error::ProtocolError;
use crate::frame::FrameHeader;
use crate::greeting::Greeting;
use crate::mechanism_name::MechanismName;
use crate::metadata::Metadata;
use crate::subscription::Subscription;
use crate::wire::{CHUNK, take_body};

/// Decodes both directions of one connection without taking part in it.
///
/// It decodes each direction independently: the result depends neither on the other direction nor
/// on how the octets are divided. If it is polled after each piece that is fed, it holds at most
/// one frame within the [limits](Limits) for each side, and never more than has arrived. Traffic
/// under CURVE is sealed; it is counted and not kept.
///
/// ```
/// use zmtp_codec::{Command, Greeting, MechanismName, Observer, Said, Side, Version};
///
/// let greeting = Greeting { version: Version::V3_1, mechanism: MechanismName::NULL, as_server: false };
/// let mut observer = Observer::default();
/// observer.feed(Side::Connecting, &greeting.encode());
/// observer.feed(Side::Connecting, b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB\x00\x02\x01A");
///
/// let mut said = std::iter::from_fn(|| observer.poll());
/// assert_eq!(said.next().unwrap().said, Said::Greeting(greeting));
/// assert!(matches!(said.next().unwrap().said, Said::Command(Command::Ready(_))));
/// let wish = said.next().unwrap();
/// assert!(matches!(wish.said, Said::Subscription(wish) if wish.topic() == "A"));
/// assert_eq!(wish.position, 91, "counted from the first octet of that side");
/// ```
#[derive(Debug, Default)]
pub struct Observer {
    limits: Limits,
    connecting: Voice,
    binding: Voice,
}

/// One of the two sides of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Side {
    /// The side that dialled.
    Connecting,
    /// The side that was dialled.
    Binding,
}

/// One observed greeting, command, subscription, part or fault.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Observation {
    /// The side that sent it.
    pub side: Side,
    /// The position of its first octet, counted from the first octet that the side has sent.
    pub position: u64,
    /// The content of the observation.
    pub said: Said,
}

/// The content of an [`Observation`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Said {
    /// The first 64 octets.
    Greeting(Greeting),
    /// A command that is no subscription: of the handshake, a heartbeat, an ERROR, or any other.
    /// `Debug` shows no password; the value contains it.
    Command(Command),
    /// A subscription of a SUB or XSUB, in either form.
    Subscription(Subscription),
    /// One part of a message.
    Part {
        /// Whether another part of the same message follows.
        more: bool,
        /// The octets of the part.
        body: Bytes,
    },
    /// A frame under CURVE, or under another mechanism that seals its traffic: its content cannot
    /// be known.
    Sealed {
        /// The size of its body, in octets.
        size: u64,
    },
    /// The side has broken a rule or exceeded a limit. Nothing more is reported of this side.
    Broken(ProtocolError),
}

impl Observer {
    /// An observer with these limits on its memory. [`Limits::message_size`] bounds a single part.
    pub fn new(limits: Limits) -> Self {
        Self { limits, ..Self::default() }
    }

    /// Takes the next octets of one side.
    pub fn feed(&mut self, side: Side, octets: &[u8]) {
        let voice = self.voice(side);
        if voice.phase != Phase::Broken {
            voice.input.extend_from_slice(octets);
        }
    }

    /// The next observation; `None` until more octets are fed. Those of one side come in order;
    /// those of both sides have no order between them.
    pub fn poll(&mut self) -> Option<Observation> {
        [Side::Connecting, Side::Binding].into_iter().find_map(|side| {
            let limits = self.limits;
            let (position, said) = self.voice(side).next(&limits)?;
            Some(Observation { side, position, said })
        })
    }

    /// How many octets of a side wait for the rest of a greeting or a frame. If the connection has
    /// ended, they were cut off.
    pub fn waiting(&self, side: Side) -> usize {
        match side {
            Side::Connecting => self.connecting.input.len(),
            Side::Binding => self.binding.input.len(),
        }
    }

    fn voice(&mut self, side: Side) -> &mut Voice {
        match side {
            Side::Connecting => &mut self.connecting,
            Side::Binding => &mut self.binding,
        }
    }
}

/// The state of one side.
#[derive(Debug, Default)]
struct Voice {
    phase: Phase,
    input: BytesMut,
    /// How many octets have been taken from the input.
    position: u64,
    /// How many more octets belong to a sealed frame, and are skipped.
    sealed: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Phase {
    #[default]
    Greeting,
    Handshake(MechanismName),
    Traffic {
        /// The side has announced that it is a SUB or XSUB.
        subscribes: bool,
        /// The next part belongs to the message of the one before.
        goes_on: bool,
    },
    Sealed,
    Broken,
}

impl Voice {
    fn next(&mut self, limits: &Limits) -> Option<(u64, Said)> {
        let sealed = usize::try_from(self.sealed).unwrap_or(usize::MAX).min(self.input.len());
        self.input.advance(sealed);
        self.position = self.position.saturating_add(sealed as u64);
        self.sealed = self.sealed.saturating_sub(sealed as u64);
        if self.sealed > 0 {
            return None;
        }
        let position = self.position;
        match self.step(limits) {
            Ok(said) => said.map(|said| (position, said)),
            Err(error) => {
                (self.phase, self.input) = (Phase::Broken, BytesMut::new());
                Some((position, Said::Broken(error)))
            }
        }
    }

    fn step(&mut self, limits: &Limits) -> Result<Option<Said>, ProtocolError> {
        match self.phase {
            Phase::Greeting => self.greeting(),
            Phase::Handshake(mechanism) => self.handshake(mechanism, limits),
            Phase::Traffic { subscribes, goes_on } => self.traffic(subscribes, goes_on, limits),
            Phase::Sealed => self.sealed(),
            Phase::Broken => Ok(None),
        }
    }

    fn greeting(&mut self) -> Result<Option<Said>, ProtocolError> {
        let Some(greeting) = Greeting::decode(&self.input)? else { return Ok(None) };
        self.input.advance(Greeting::LEN);
        self.position = Greeting::LEN as u64;
        self.phase = Phase::Handshake(greeting.mechanism);
        Ok(Some(Said::Greeting(greeting)))
    }

    /// A side's handshake ends with its READY, or with its INITIATE.
    fn handshake(
        &mut self,
        mechanism: MechanismName,
        limits: &Limits,
    ) -> Result<Option<Said>, ProtocolError> {
        let Some((header, header_len)) = FrameHeader::decode(&self.input)? else { return Ok(None) };
        if !header.command {
            return Err(ProtocolError::MessageInHandshake);
        }
        let limit = limits.handshake_frame_size;
        if header.size > limit {
            return Err(ProtocolError::HandshakeFrameTooLarge { size: header.size, limit });
        }
        let Some(body) = self.body(header, header_len)? else { return Ok(None) };
        let command = Command::decode_under(mechanism, body)?;
        match &command {
            Command::Ready(metadata) | Command::Initiate(metadata) => {
                let subscribes = subscribes(metadata);
                self.phase = Phase::Traffic { subscribes, goes_on: false };
            }
            Command::Opaque { name, .. } if [&b"READY"[..], b"INITIATE"].contains(&&name[..]) => {
                self.phase = Phase::Sealed;
            }
            _ => {}
        }
        Ok(Some(Said::Command(command)))
    }

    fn traffic(
        &mut self,
        subscribes: bool,
        goes_on: bool,
        limits: &Limits,
    ) -> Result<Option<Said>, ProtocolError> {
        let Some((header, header_len)) = FrameHeader::decode(&self.input)? else { return Ok(None) };
        let FrameHeader { more, command, size } = header;
        if command && size > limits.command_size {
            return Err(ProtocolError::CommandTooLarge { size, limit: limits.command_size });
        }
        if !command && size > limits.message_size {
            return Err(ProtocolError::MessageTooLarge { size, limit: limits.message_size });
        }
        let Some(body) = self.body(header, header_len)? else { return Ok(None) };
        if command {
            return Ok(Some(match Command::decode(body)? {
                Command::Subscribe(topic) => Said::Subscription(Subscription::Subscribe(topic)),
                Command::Cancel(topic) => Said::Subscription(Subscription::Cancel(topic)),
                other => Said::Command(other),
            }));
        }
        self.phase = Phase::Traffic { subscribes, goes_on: more };
        if subscribes
            && !goes_on
            && !more
            && let Some(subscription) = Subscription::from_message(&body.clone().into())
        {
            return Ok(Some(Said::Subscription(subscription)));
        }
        Ok(Some(Said::Part { more, body }))
    }

    fn sealed(&mut self) -> Result<Option<Said>, ProtocolError> {
        let Some((header, header_len)) = FrameHeader::decode(&self.input)? else { return Ok(None) };
        self.input.advance(header_len);
        self.position = self.position.saturating_add(header_len as u64);
        self.sealed = header.size;
        Ok(Some(Said::Sealed { size: header.size }))
    }

    /// Takes the frame at the front, if it is whole.
    fn body(
        &mut self,
        header: FrameHeader,
        header_len: usize,
    ) -> Result<Option<Bytes>, ProtocolError> {
        let size = header.body_len()?;
        if self.input.len().saturating_sub(header_len) < size {
            return Ok(None);
        }
        self.position = self.position.saturating_add(header_len as u64).saturating_add(header.size);
        Ok(Some(take_body(&mut self.input, header_len, size, CHUNK)))
    }
}

/// Whether messages of a side with this metadata may be subscriptions.
fn subscribes(metadata: &Metadata) -> bool {
    matches!(metadata.socket_type(), Some(b"SUB" | b"XSUB"))
}
