//! From ZMTP to WebSocket: the driver's octets, as the peer reads them.

use std::io;

use bytes::{BufMut as _, Bytes, BytesMut};
use tungstenite::protocol::frame::FrameHeader as WireHeader;
use tungstenite::protocol::frame::coding::{CloseCode, Control, Data, OpCode};
use zmtp_codec::{Command, FrameHeader, Greeting, Metadata};

use super::inbound::{COMMAND, MORE};
use super::mask::{Keys, Mask};
use super::{Profile, Role};

/// While so many octets wait to be written, no more are accepted.
const FULL: usize = 64 << 10;

/// The longest header of a frame of ZMTP.
const HEADER_MAX: usize = 9;

enum State {
    /// So many octets of our greeting, which ZWS does not send.
    Greeting(usize),
    /// So many octets of the header of a frame.
    Header([u8; HEADER_MAX], usize),
    /// So many octets of a message are still to come.
    Body(u64, Mask),
    /// So many octets of a command are still to come.
    Command(u64),
}

pub(super) struct Outbound {
    profile: Profile,
    /// The keys of a client, which masks. A server has none.
    keys: Option<Keys>,
    state: State,
    command: BytesMut,
    /// The control frames to be sent at the end of a frame: the answer to the last ping, and the close.
    pong: Option<Bytes>,
    close: Option<CloseCode>,
    is_closed: bool,
    output: BytesMut,
}

impl Outbound {
    pub(super) fn new(role: Role, profile: Profile) -> Self {
        Self {
            profile,
            keys: (role == Role::Client).then(Keys::default),
            state: State::Greeting(Greeting::LEN),
            command: BytesMut::new(),
            pong: None,
            close: None,
            is_closed: false,
            output: BytesMut::new(),
        }
    }

    /// The octets to be written: take them from the front, then call [`written`](Self::written).
    pub(super) fn output(&mut self) -> &mut BytesMut {
        &mut self.output
    }

    pub(super) fn written(&mut self) {
        if self.output.is_empty() {
            self.output = BytesMut::new();
        }
        // There may be room now for a control frame that waited.
        let _without_keys = self.put_controls();
    }

    pub(super) fn is_full(&self) -> bool {
        self.output.len() >= FULL
    }

    /// Answers a ping as soon as that is possible; of several, only the last.
    pub(super) fn pong(&mut self, payload: Bytes) {
        self.pong = Some(payload);
        let _without_keys = self.put_controls();
    }

    /// Closes our side behind the present frame.
    pub(super) fn close(&mut self, code: CloseCode) {
        self.close.get_or_insert(code);
        let _without_keys = self.put_controls();
    }

    /// Whether our side is closed.
    pub(super) fn is_closed(&self) -> bool {
        self.is_closed
    }

    /// Accepts octets from the driver, until the output is full. Returns their number.
    pub(super) fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let mut left = octets;
        while !left.is_empty() && !self.is_full() {
            let taken = match &mut self.state {
                State::Greeting(missing) => {
                    let some = left.len().min(*missing);
                    *missing -= some;
                    if *missing == 0 {
                        self.begin_header();
                    }
                    some
                }
                State::Header(header, len) => {
                    let some = left.len().min(HEADER_MAX - *len);
                    header[*len..*len + some].copy_from_slice(&left[..some]);
                    let (before, header, len) = (*len, *header, *len + some);
                    match FrameHeader::decode(&header[..len]).map_err(io::Error::other)? {
                        Some((header, header_len)) => {
                            self.begin(header)?;
                            header_len - before
                        }
                        None => {
                            self.state = State::Header(header, len);
                            some
                        }
                    }
                }
                State::Body(missing, mask) => {
                    let most = usize::try_from(*missing).unwrap_or(usize::MAX);
                    let some = left.len().min(most).min(FULL);
                    let from = self.output.len();
                    self.output.extend_from_slice(&left[..some]);
                    if self.keys.is_some() {
                        mask.apply(&mut self.output[from..]);
                    }
                    *missing -= some as u64;
                    if *missing == 0 {
                        self.end()?;
                    }
                    some
                }
                State::Command(missing) => {
                    let some = left.len().min(usize::try_from(*missing).unwrap_or(usize::MAX));
                    self.command.extend_from_slice(&left[..some]);
                    *missing -= some as u64;
                    if *missing == 0 {
                        self.command()?;
                    }
                    some
                }
            };
            left = &left[taken..];
        }
        Ok(octets.len() - left.len())
    }

    fn begin_header(&mut self) {
        self.state = State::Header([0; HEADER_MAX], 0);
    }

    fn begin(&mut self, header: FrameHeader) -> io::Result<()> {
        let FrameHeader { more, command, size } = header;
        if command && size > 0 {
            self.state = State::Command(size);
            return Ok(());
        }
        let flags = if command { COMMAND } else { u8::from(more) * MORE };
        let mask = self.put_header(flags, size)?;
        self.state = State::Body(size, mask);
        if size == 0 { self.end() } else { Ok(()) }
    }

    /// Ends a frame.
    fn end(&mut self) -> io::Result<()> {
        self.begin_header();
        self.put_controls()
    }

    /// Processes a whole command.
    fn command(&mut self) -> io::Result<()> {
        let body = std::mem::take(&mut self.command).freeze();
        let command = match self.profile.is_plain() {
            true => Command::decode(body.clone()).map_err(io::Error::other)?,
            false => Command::Opaque { name: Bytes::new(), data: Bytes::new() },
        };
        self.begin_header();
        match command {
            Command::Subscribe(topic) => self.put(0, &[&[1], &topic])?,
            Command::Cancel(topic) => self.put(0, &[&[0], &topic])?,
            Command::Ping { context, .. } => self.put_control(Control::Ping, &context)?,
            Command::Ready(metadata) if self.profile == Profile::Bare => {
                self.put(0, &[identity(&metadata)])?;
            }
            // The bare profile has no other commands, so an ERROR and its reason are not sent.
            _ if self.profile == Profile::Bare => {}
            _ => self.put(COMMAND, &[&body])?,
        }
        self.put_controls()
    }

    /// Adds a whole message of one frame.
    fn put(&mut self, flags: u8, body: &[&[u8]]) -> io::Result<()> {
        let size: usize = body.iter().map(|part| part.len()).sum();
        let mut mask = self.put_header(flags, size as u64)?;
        let from = self.output.len();
        body.iter().for_each(|part| self.output.extend_from_slice(part));
        if self.keys.is_some() {
            mask.apply(&mut self.output[from..]);
        }
        Ok(())
    }

    /// Adds the header and the flags of a message with `size` octets behind them.
    fn put_header(&mut self, flags: u8, size: u64) -> io::Result<Mask> {
        let mut mask = self.put_wire_header(OpCode::Data(Data::Binary), size.saturating_add(1))?;
        let mut flags = [flags];
        if self.keys.is_some() {
            mask.apply(&mut flags);
        }
        self.output.extend_from_slice(&flags);
        Ok(mask)
    }

    fn put_control(&mut self, control: Control, payload: &[u8]) -> io::Result<()> {
        let mut mask = self.put_wire_header(OpCode::Control(control), payload.len() as u64)?;
        let from = self.output.len();
        self.output.extend_from_slice(payload);
        if self.keys.is_some() {
            mask.apply(&mut self.output[from..]);
        }
        Ok(())
    }

    fn put_wire_header(&mut self, opcode: OpCode, size: u64) -> io::Result<Mask> {
        let mask = self.keys.as_mut().map(Keys::next).transpose()?;
        let key = mask.map(Mask::key);
        let header = WireHeader { opcode, mask: key, ..WireHeader::default() };
        header.format(size, &mut (&mut self.output).writer()).map_err(io::Error::other)?;
        Ok(mask.unwrap_or(Mask::new([0; 4])))
    }

    /// Adds the pending control frames, if the output is between frames.
    fn put_controls(&mut self) -> io::Result<()> {
        let is_between = matches!(self.state, State::Header(_, 0) | State::Greeting(_));
        if !is_between || self.is_closed {
            return Ok(());
        }
        // A peer that pings and does not read gets one answer when it does.
        if !self.is_full()
            && let Some(payload) = self.pong.take()
        {
            self.put_control(Control::Pong, &payload)?;
        }
        if let Some(code) = self.close {
            self.is_closed = true;
            self.put_control(Control::Close, &u16::from(code).to_be_bytes())?;
        }
        Ok(())
    }
}

fn identity(metadata: &Metadata) -> &[u8] {
    metadata.identity().unwrap_or_default()
}
