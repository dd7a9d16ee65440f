//! From WebSocket to ZMTP: the peer's octets, as the driver reads them.

use std::io::Cursor;
use std::mem;

use bytes::{Buf as _, Bytes, BytesMut};
use tokio::io::ReadBuf;
use tungstenite::protocol::frame::FrameHeader as WireHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use zmtp_codec::{Command, FrameHeader, Greeting, MechanismName, Metadata, Version};

use super::mask::Mask;
use super::{Profile, Role};

/// The flags of a frame (RFC 45, Framing).
pub(super) const MORE: u8 = 1;
pub(super) const COMMAND: u8 = 2;

/// The longest payload of a control frame (RFC 6455, section 5.5).
pub(super) const CONTROL_MAX: u64 = 125;

/// The longest identity of a peer.
const IDENTITY_MAX: u64 = 255;

/// A rule that the peer has broken.
#[derive(Debug, thiserror::Error)]
pub(super) enum Breach {
    #[error("not a WebSocket frame: {0}")]
    Frame(#[from] tungstenite::Error),
    #[error("a WebSocket frame with reserved bits (RFC 6455, section 5.2)")]
    Reserved,
    #[error("a WebSocket frame from a client without a mask (RFC 6455, section 5.1)")]
    Unmasked,
    #[error("a WebSocket frame from a server with a mask (RFC 6455, section 5.1)")]
    Masked,
    #[error(
        "a WebSocket control frame that has {0} octets or is fragmented (RFC 6455, section 5.5)"
    )]
    Control(u64),
    #[error(
        "a WebSocket fragment that does not continue the message before it (RFC 6455, section 5.4)"
    )]
    Fragment,
    #[error("a WebSocket text message; ZeroMQ messages must be binary (RFC 45)")]
    Text,
    #[error("a WebSocket message of {size} octets; the limit is {limit}")]
    TooLarge { size: u64, limit: usize },
    #[error("a WebSocket message without flags (RFC 45, Framing)")]
    Empty,
    #[error("a WebSocket message with the flags {0:#04x} (RFC 45, Framing)")]
    Flags(u8),
    #[error("a command, which the profile ZWS2.0 does not have (RFC 45, No Mechanism)")]
    CommandInBare,
    #[error("an identity that has {0} octets or several parts (RFC 45, No Mechanism)")]
    Identity(u64),
}

impl Breach {
    /// The code that is sent to the peer.
    pub(super) fn code(&self) -> CloseCode {
        match self {
            Self::Text => CloseCode::Unsupported,
            Self::TooLarge { .. } => CloseCode::Size,
            _ => CloseCode::Protocol,
        }
    }
}

/// The outcome of a step.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// Some octets for the driver.
    Octets,
    /// More input is needed.
    Starved,
    Ping(Bytes),
    Pong,
    Close,
}

/// ```text
///   Header ──▶ Control ──▶ Header
///     ├──────▶ Gather ───▶ Header    an identity, or a message in fragments
///     └──────▶ Flags ──▶ Body ──▶ Header
/// ```
enum State {
    Header,
    /// So many octets of a control frame.
    Control(Control, u64),
    /// So many octets of a fragment, and whether it is the last.
    Gather(u64, bool),
    /// The flags of a message, and so many octets with them.
    Flags(u64),
    /// So many octets of a message for the driver.
    Body(u64),
}

pub(super) struct Inbound {
    role: Role,
    profile: Profile,
    state: State,
    mask: Mask,
    /// The fragments of a message that have arrived.
    fragments: Option<BytesMut>,
    limit: usize,
    awaits_identity: bool,
    is_established: bool,
    /// Octets that were made here and have not been read.
    staged: BytesMut,
    is_staged_large: bool,
}

impl Inbound {
    pub(super) fn new(role: Role, profile: Profile, limit: usize) -> Self {
        // Under CURVE, the commands of ZMTP 3.1 are sealed, so they could not be turned into those of
        // ZWS.
        let version = if profile.is_plain() { Version::V3_1 } else { Version::V3_0 };
        let mechanism = MechanismName::new(profile.mechanism()).expect("a short name");
        let greeting = Greeting { version, mechanism, as_server: false };
        Self {
            role,
            profile,
            state: State::Header,
            mask: Mask::new([0; 4]),
            fragments: None,
            limit,
            awaits_identity: profile == Profile::Bare,
            is_established: false,
            staged: BytesMut::from(&greeting.encode()[..]),
            is_staged_large: false,
        }
    }

    pub(super) fn profile(&self) -> Profile {
        self.profile
    }

    /// Notes that the handshake is done.
    pub(super) fn establish(&mut self, limit: usize) {
        self.limit = limit;
        self.is_established = true;
    }

    /// Processes the next piece of `input`.
    pub(super) fn step(
        &mut self,
        input: &mut BytesMut,
        out: &mut ReadBuf<'_>,
    ) -> Result<Step, Breach> {
        loop {
            if !self.staged.is_empty() {
                let some = self.staged.len().min(out.remaining());
                out.put_slice(&self.staged[..some]);
                self.staged.advance(some);
                if self.staged.is_empty() && mem::take(&mut self.is_staged_large) {
                    self.staged = BytesMut::new();
                }
                return Ok(Step::Octets);
            }
            match self.state {
                State::Header => {
                    if !self.header(input)? {
                        return Ok(Step::Starved);
                    }
                }
                State::Control(control, left) => {
                    let Some(payload) = self.take_whole(input, left) else {
                        return Ok(Step::Starved);
                    };
                    self.state = State::Header;
                    return Ok(self.control(control, payload));
                }
                State::Gather(left, is_last) => {
                    if left > 0 && input.is_empty() {
                        return Ok(Step::Starved);
                    }
                    let some = self.unmask(input, left, usize::MAX);
                    self.fragments.get_or_insert_default().extend_from_slice(&input[..some]);
                    input.advance(some);
                    let left = left - some as u64;
                    self.state =
                        if left > 0 { State::Gather(left, is_last) } else { State::Header };
                    if left == 0
                        && is_last
                        && let Some(whole) = self.fragments.take()
                    {
                        self.gathered(whole)?;
                    }
                }
                State::Flags(size) => {
                    if input.is_empty() {
                        return Ok(Step::Starved);
                    }
                    self.unmask(input, 1, 1);
                    let flags = input.get_u8();
                    self.begin(flags, size - 1)?;
                    self.state = State::Body(size - 1);
                }
                State::Body(0) => self.state = State::Header,
                State::Body(_) if input.is_empty() => return Ok(Step::Starved),
                State::Body(left) => {
                    let some = self.unmask(input, left, out.remaining());
                    out.put_slice(&input[..some]);
                    input.advance(some);
                    self.state = State::Body(left - some as u64);
                    return Ok(Step::Octets);
                }
            }
        }
    }

    /// Takes the header of a frame, if it is whole.
    fn header(&mut self, input: &mut BytesMut) -> Result<bool, Breach> {
        let mut cursor = Cursor::new(&**input);
        let Some((header, size)) = WireHeader::parse(&mut cursor)? else { return Ok(false) };
        let taken = usize::try_from(cursor.position()).expect("a header is short");
        input.advance(taken);
        if header.rsv1 || header.rsv2 || header.rsv3 {
            return Err(Breach::Reserved);
        }
        self.mask = match (self.role, header.mask) {
            (Role::Server, None) => return Err(Breach::Unmasked),
            (Role::Client, Some(_)) => return Err(Breach::Masked),
            (_, mask) => Mask::new(mask.unwrap_or_default()),
        };
        let is_last = header.is_final;
        self.state = match (header.opcode, &self.fragments) {
            (OpCode::Control(_), _) if size > CONTROL_MAX || !is_last => {
                return Err(Breach::Control(size));
            }
            (OpCode::Control(control), _) => State::Control(control, size),
            (OpCode::Data(Data::Text), _) => return Err(Breach::Text),
            (OpCode::Data(Data::Continue), None) | (OpCode::Data(Data::Binary), Some(_)) => {
                return Err(Breach::Fragment);
            }
            (OpCode::Data(Data::Binary), None) if is_last && !self.awaits_identity => match size {
                0 => return Err(Breach::Empty),
                _ => State::Flags(size),
            },
            (OpCode::Data(_), fragments) => {
                let limit = match self.awaits_identity {
                    true => IDENTITY_MAX as usize + 1,
                    false => self.limit,
                };
                let size_of_all =
                    size.saturating_add(fragments.as_ref().map_or(0, BytesMut::len) as u64);
                if size_of_all > limit as u64 {
                    return Err(match self.awaits_identity {
                        true => Breach::Identity(size_of_all.saturating_sub(1)),
                        false => Breach::TooLarge { size: size_of_all, limit },
                    });
                }
                State::Gather(size, is_last)
            }
        };
        Ok(true)
    }

    fn take_whole(&mut self, input: &mut BytesMut, size: u64) -> Option<Bytes> {
        if (input.len() as u64) < size {
            return None;
        }
        let some = self.unmask(input, size, usize::MAX);
        let whole = Bytes::copy_from_slice(&input[..some]);
        input.advance(some);
        Some(whole)
    }

    /// Unmasks the octets of `input` that belong to the next `size`, up to `most`. Returns their number.
    fn unmask(&mut self, input: &mut [u8], size: u64, most: usize) -> usize {
        let some = usize::try_from(size).unwrap_or(usize::MAX).min(input.len()).min(most);
        if self.role == Role::Server {
            self.mask.apply(&mut input[..some]);
        }
        some
    }

    /// Processes a gathered message that is whole.
    fn gathered(&mut self, mut whole: BytesMut) -> Result<(), Breach> {
        if whole.is_empty() {
            return Err(Breach::Empty);
        }
        let flags = whole.get_u8();
        if mem::take(&mut self.awaits_identity) {
            if flags != 0 {
                return Err(Breach::Identity(whole.len() as u64));
            }
            self.stage_ready(&whole);
            return Ok(());
        }
        self.begin(flags, whole.len() as u64)?;
        self.staged.unsplit(whole);
        self.is_staged_large = true;
        Ok(())
    }

    /// Stages the header of a ZMTP frame, for a message with these flags and `size` octets behind them.
    fn begin(&mut self, flags: u8, size: u64) -> Result<(), Breach> {
        if flags > COMMAND {
            return Err(Breach::Flags(flags));
        }
        let (more, command) = (flags == MORE, flags == COMMAND);
        if command && self.profile == Profile::Bare {
            return Err(Breach::CommandInBare);
        }
        FrameHeader { more, command, size }.encode(&mut self.staged);
        Ok(())
    }

    /// Stages the READY that stands for the peer's identity message. ZWS does not tell its socket type.
    fn stage_ready(&mut self, identity: &[u8]) {
        let metadata = match identity {
            [] => Ok(Metadata::new()),
            _ => Metadata::new().with("Identity", identity),
        };
        Command::Ready(metadata.expect("a short property is valid")).encode(&mut self.staged);
    }

    fn control(&mut self, control: Control, payload: Bytes) -> Step {
        match control {
            Control::Ping => {
                self.stage_pong(Bytes::new());
                Step::Ping(payload)
            }
            Control::Pong => {
                self.stage_pong(payload);
                Step::Pong
            }
            Control::Close | Control::Reserved(_) => Step::Close,
        }
    }

    /// Stages a PONG, which the codec takes for a sign of life.
    fn stage_pong(&mut self, context: Bytes) {
        if self.is_established && self.profile.is_plain() {
            let context = context.slice(..context.len().min(16));
            Command::Pong { context }.encode(&mut self.staged);
        }
    }
}
