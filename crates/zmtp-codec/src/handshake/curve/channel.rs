//! A connection after the handshake: every frame, either way, is a MESSAGE with a box.
//!
//! On the wire: `07 "MESSAGE"`, a short nonce, a box of one octet of flags and the body. The frame
//! around it has no flags of its own, as libzmq has it; with COMMAND, as RFC 26 has it, it is
//! accepted too. In the flags, MORE is 1, and libzmq says with 2 that the body is a command.

use std::mem;
use std::ops::Range;

use bytes::{Buf, BytesMut};

use super::boxes::{BoxKey, SharedKey};
use super::rising;
use crate::config::Limits;
use crate::error::ProtocolError;
use crate::frame::FrameHeader;
use crate::mechanism::curve::TAG;

const NAME: &[u8; 8] = b"\x07MESSAGE";

/// The octets of a MESSAGE beside the body: name, nonce, tag, flags.
const OVERHEAD: usize = NAME.len() + 8 + TAG + 1;

const CLIENTS: &[u8; 16] = b"CurveZMQMESSAGEC";
const SERVERS: &[u8; 16] = b"CurveZMQMESSAGES";

/// Room for what is to be sealed that is kept for the next time.
const UNSEALED_KEPT: usize = 64 * 1024;

const MORE: u8 = 1;
const COMMAND: u8 = 2;

/// Seals what we send, and opens what the peer sends.
#[derive(Debug)]
pub(crate) struct Channel {
    ours: BoxKey,
    theirs: BoxKey,
    /// The last short nonces, ours and the peer's.
    sent: u64,
    heard: u64,
    /// What was wrong with the frame that is next in the input.
    failed: Option<ProtocolError>,
    /// The plain frames that are opened and not taken yet, all of them whole.
    opened: BytesMut,
    /// Room for what is to be sealed.
    unsealed: BytesMut,
}

impl Channel {
    pub(super) fn of_client(shared: &SharedKey, sent: u64, heard: u64) -> Self {
        Self::new(shared.under(CLIENTS), shared.under(SERVERS), sent, heard)
    }

    pub(super) fn of_server(shared: &SharedKey, sent: u64, heard: u64) -> Self {
        Self::new(shared.under(SERVERS), shared.under(CLIENTS), sent, heard)
    }

    fn new(ours: BoxKey, theirs: BoxKey, sent: u64, heard: u64) -> Self {
        let (opened, unsealed) = (BytesMut::new(), BytesMut::new());
        Self { ours, theirs, sent, heard, failed: None, opened, unsealed }
    }

    /// Appends to `out` a sealed frame for each of these whole plain ones.
    pub(crate) fn seal(&mut self, frames: &[u8], out: &mut BytesMut) {
        out.reserve(whole_frames(frames).fold(0, |sum: usize, (_, body)| {
            let header = 9_usize.saturating_add(OVERHEAD);
            sum.saturating_add(header).saturating_add(body.len())
        }));
        for (header, body) in whole_frames(frames) {
            self.seal_frame(header, body, out);
        }
    }

    /// Appends to `out` what `encode` makes, whole plain frames, and seals them.
    #[inline]
    pub(crate) fn write(&mut self, out: &mut BytesMut, encode: impl FnOnce(&mut BytesMut)) {
        let mut unsealed = mem::take(&mut self.unsealed);
        encode(&mut unsealed);
        self.seal(&unsealed, out);
        unsealed.clear();
        if unsealed.capacity() <= UNSEALED_KEPT {
            self.unsealed = unsealed;
        }
    }

    #[inline]
    fn seal_frame(&mut self, header: FrameHeader, body: &[u8], out: &mut BytesMut) {
        // No number is ever used twice: after 2^64 of them, which takes ages, nothing is said.
        let Some(number) = self.sent.checked_add(1) else { return };
        self.sent = number;
        let flags = if header.more { MORE } else { 0 } | if header.command { COMMAND } else { 0 };
        let size = (body.len() as u64).saturating_add(OVERHEAD as u64);
        FrameHeader { more: false, command: false, size }.encode(out);
        out.extend_from_slice(NAME);
        out.extend_from_slice(&number.to_be_bytes());
        let at = out.len();
        out.extend_from_slice(&[0; TAG]);
        out.extend_from_slice(&[flags]);
        out.extend_from_slice(body);
        self.ours.close(number.to_be_bytes(), at, out);
    }

    /// Takes the plain frames that were [kept](Self::keep), or else opens the sealed ones at the front
    /// of `input`. None are given if the first is not whole.
    pub(crate) fn take(
        &mut self,
        input: &mut BytesMut,
        parts_size: u64,
        limits: &Limits,
    ) -> Result<BytesMut, ProtocolError> {
        if !self.opened.is_empty() {
            return Ok(mem::take(&mut self.opened));
        }
        Ok(self.open(input, parts_size, limits)?.unwrap_or_else(BytesMut::new))
    }

    /// Keeps plain frames that are not dealt with yet, but no read buffer for nothing.
    pub(crate) fn keep(&mut self, opened: BytesMut) {
        if !opened.is_empty() {
            self.opened = opened;
        }
    }

    /// Takes the whole sealed frames at the front of `input`, and gives the plain ones in their
    /// place; `None` if the first is not whole. `parts_size` is what has come of a message that has
    /// not ended yet.
    ///
    /// It goes up to the first frame with something wrong; what is wrong is told from then on.
    pub(super) fn open(
        &mut self,
        input: &mut BytesMut,
        mut parts_size: u64,
        limits: &Limits,
    ) -> Result<Option<BytesMut>, ProtocolError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        // The plain frames move together at `start..end`; `ahead` octets are taken.
        let (mut start, mut end, mut ahead) = (0_usize, 0_usize, 0_usize);
        while let Some(rest) = input.get_mut(ahead..) {
            let plain = match self.open_frame(rest, parts_size, limits) {
                Ok(Some(plain)) => plain,
                Ok(None) => break,
                Err(error) => {
                    self.failed = Some(error.clone());
                    if ahead == 0 {
                        return Err(error);
                    }
                    break;
                }
            };
            // Of which message the next frame is, and so how large it may be, is found out by who
            // takes these frames; if it is not whole yet, it is judged again when it is the first.
            parts_size = 0;
            let from = ahead.saturating_add(plain.start)..ahead.saturating_add(plain.end);
            if ahead == 0 {
                start = from.start;
                end = from.end;
            } else {
                input.copy_within(from.clone(), end);
                end = end.saturating_add(plain.len());
            }
            ahead = from.end;
        }
        if ahead == 0 {
            return Ok(None);
        }
        let mut run = input.split_to(ahead);
        run.truncate(end);
        run.advance(start);
        Ok(Some(run))
    }

    /// Opens the frame at the front in place, if it is whole, and says where the plain one is.
    #[inline]
    fn open_frame(
        &mut self,
        octets: &mut [u8],
        parts_size: u64,
        limits: &Limits,
    ) -> Result<Option<Range<usize>>, ProtocolError> {
        let Some((outer, outer_len)) = FrameHeader::decode(octets)? else { return Ok(None) };
        let Some(size) = outer.size.checked_sub(OVERHEAD as u64).filter(|_| !outer.more) else {
            return Err(ProtocolError::Unsealed);
        };
        // What is in the box is not known yet: a part or a command.
        let limit = limits.message_size.saturating_sub(parts_size).max(limits.command_size);
        if size > limit {
            let (size, limit) = (size.saturating_add(parts_size), limits.message_size);
            return Err(ProtocolError::MessageTooLarge { size, limit });
        }
        let size = FrameHeader { size, ..outer }.body_len()?;
        let text_at = outer_len.saturating_add(OVERHEAD).saturating_sub(1);
        let whole = text_at.saturating_add(1).saturating_add(size);
        let Some(body) = octets.get_mut(outer_len..) else { return Ok(None) };
        let Some((name, body)) = body.split_first_chunk_mut() else { return Ok(None) };
        if name != NAME {
            return Err(ProtocolError::Unsealed);
        }
        let Some((number, body)) = body.split_first_chunk_mut() else { return Ok(None) };
        let Some((tag, text)) = body.split_first_chunk_mut::<TAG>() else { return Ok(None) };
        let Some(text) = text.get_mut(..=size) else { return Ok(None) };
        let bad_box = ProtocolError::BadBox { of: "MESSAGE" };

        let nonce = *number;
        let number = u64::from_be_bytes(nonce);
        rising(number, self.heard)?;
        if !self.theirs.open(nonce, tag, text) {
            return Err(bad_box);
        }
        self.heard = number;
        let Some(&flags) = text.first() else { return Err(bad_box) };
        let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
        if flags > COMMAND {
            return Err(ProtocolError::SealedFlags { flags });
        }
        let header = FrameHeader { more, command, size: size as u64 };
        // The plain header goes right before the body: there is always room.
        let (plain, plain_len) = header.octets();
        let start = text_at.saturating_add(1).saturating_sub(plain_len);
        let room = octets.get_mut(start..start.saturating_add(plain_len));
        let (Some(room), Some(plain)) = (room, plain.get(..plain_len)) else { return Err(bad_box) };
        room.copy_from_slice(plain);
        Ok(Some(start..whole))
    }
}

/// The whole frames at the front of `octets`.
fn whole_frames(mut octets: &[u8]) -> impl Iterator<Item = (FrameHeader, &[u8])> {
    std::iter::from_fn(move || {
        let (header, header_len) = FrameHeader::decode(octets).ok()??;
        let end = header_len.checked_add(usize::try_from(header.size).ok()?)?;
        let body = octets.get(header_len..end)?;
        octets = octets.get(end..)?;
        Some((header, body))
    })
}
