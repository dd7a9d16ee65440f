//! A CURVE connection after the handshake: every frame, in both directions, is a MESSAGE with a
//! box.
//!
//! On the wire: `07 "MESSAGE"`, a short nonce, and a box of one octet of flags and the body. The
//! frame around it has no flags, as with libzmq; COMMAND, as in RFC 26, is accepted too. In the
//! octet of flags, 1 is MORE, and 2 says that the body is a command, as with libzmq.

use std::iter;
use std::mem;
use std::ops::Range;

use bytes::{Buf, BytesMut};

use super::boxes::{BoxKey, Boxes, SharedKey, Slot};
use super::rising;
use crate::config::Limits;
use crate::error::ProtocolError;
use crate::frame::FrameHeader;
use crate::mechanism::curve::TAG;

const NAME: &[u8; 8] = b"\x07MESSAGE";

/// By how many octets a MESSAGE is longer than the body: name, nonce, tag, flags.
const OVERHEAD: usize = NAME.len() + 8 + TAG + 1;

/// The longest header of a frame, in octets.
const SEALED_HEADER: usize = 9;

const CLIENTS: &[u8; 16] = b"CurveZMQMESSAGEC";
const SERVERS: &[u8; 16] = b"CurveZMQMESSAGES";

/// The largest buffer for frames to be sealed that is kept for the next time.
const UNSEALED_KEPT: usize = 64 * 1024;

const BAD_BOX: ProtocolError = ProtocolError::BadBox { of: "MESSAGE" };

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
    /// The error in the next frame of the input.
    failed: Option<ProtocolError>,
    /// The plain frames that are opened and not taken yet, all of them whole.
    opened: BytesMut,
    /// The buffer for frames to be sealed.
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

    /// Appends to `out` a sealed frame for each of these whole plain ones. They are given in
    /// pieces; a body may span several.
    pub(crate) fn seal<'a>(
        &mut self,
        pieces: impl Iterator<Item = &'a [u8]> + Clone,
        out: &mut BytesMut,
    ) {
        let mut frames = Frames { pieces: pieces.clone(), rest: &[] };
        let mut room = 0_usize;
        while let Some(size) = frames.next().and_then(|header| frames.body(header, |_| ())) {
            room = room.saturating_add(SEALED_HEADER).saturating_add(OVERHEAD).saturating_add(size);
        }
        out.reserve(room);

        let Self { ours, sent, .. } = self;
        let mut boxes = Boxes::under(ours);
        let mut frames = Frames { pieces, rest: &[] };
        while let Some(header) = frames.next() {
            // No number is used twice: after 2^64 of them, which takes ages, nothing more is sent.
            let Some(number) = sent.checked_add(1) else { break };
            let begun = out.len();
            let Some(slot) = lay_out(number, header, &mut frames, out) else {
                out.truncate(begun);
                break;
            };
            *sent = number;
            boxes.push(slot);
            if boxes.is_full() {
                boxes.close(out);
                boxes.clear();
            }
        }
        boxes.close(out);
    }

    /// Seals the whole plain frames that `encode` makes, and appends them to `out`.
    #[inline]
    pub(crate) fn write(&mut self, out: &mut BytesMut, encode: impl FnOnce(&mut BytesMut)) {
        let mut unsealed = mem::take(&mut self.unsealed);
        encode(&mut unsealed);
        self.seal(iter::once(&*unsealed), out);
        unsealed.clear();
        if unsealed.capacity() <= UNSEALED_KEPT {
            self.unsealed = unsealed;
        }
    }

    /// Takes the plain frames that were [kept](Self::keep), or otherwise opens the sealed ones at
    /// the front of `input`. Returns none if the first is not whole.
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

    /// Keeps plain frames that are not processed yet. An empty rest is dropped, so that it keeps no
    /// read buffer.
    pub(crate) fn keep(&mut self, opened: BytesMut) {
        if !opened.is_empty() {
            self.opened = opened;
        }
    }

    /// Takes the whole sealed frames at the front of `input`, and returns the plain ones in their
    /// place; `None` if the first is not whole. `parts_size` counts the octets that have come of an
    /// unfinished message.
    ///
    /// It stops at the first frame with an error; all later calls return that error.
    pub(super) fn open(
        &mut self,
        input: &mut BytesMut,
        mut parts_size: u64,
        limits: &Limits,
    ) -> Result<Option<BytesMut>, ProtocolError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        if input.is_empty() {
            return Ok(None);
        }
        let Self { theirs, heard, failed, .. } = self;
        let mut boxes = Boxes::under(theirs);
        // The plain frames are moved together at `start..end`; `ahead` octets are taken.
        let (mut start, mut end, mut ahead) = (0_usize, 0_usize, 0_usize);
        let mut is_whole = true;
        while is_whole && failed.is_none() {
            boxes.clear();
            let (mut next, mut last) = (ahead, *heard);
            while !boxes.is_full() {
                match find(input, next, parts_size, last, limits) {
                    Ok(Some(slot)) => {
                        boxes.push(slot);
                        (next, last) = (slot.end, number(slot));
                        // The caller, who takes these frames, finds out to which message the next
                        // frame belongs, and so how large it may be. A frame that is not whole yet
                        // is checked again when it is the first.
                        parts_size = 0;
                    }
                    Ok(None) => {
                        is_whole = false;
                        break;
                    }
                    Err(error) => {
                        *failed = Some(error);
                        break;
                    }
                }
            }
            if !boxes.open(input) {
                *failed = Some(BAD_BOX);
            }
            for slot in boxes.slots() {
                let plain = match reveal(slot, input) {
                    Ok(plain) => plain,
                    Err(error) => {
                        *failed = Some(error);
                        break;
                    }
                };
                *heard = number(*slot);
                if ahead == 0 {
                    (start, end) = (plain.start, plain.end);
                } else {
                    input.copy_within(plain.clone(), end);
                    end = end.saturating_add(plain.len());
                }
                ahead = slot.end;
            }
        }
        if ahead == 0 {
            return failed.clone().map_or(Ok(None), Err);
        }
        let mut run = input.split_to(ahead);
        run.truncate(end);
        run.advance(start);
        Ok(Some(run))
    }
}

/// Appends a sealed frame whose box is not sealed yet, and returns the place of the box. The body
/// is next in `frames`; `None` if it is not whole.
#[inline]
fn lay_out<'a>(
    number: u64,
    header: FrameHeader,
    frames: &mut Frames<'a, impl Iterator<Item = &'a [u8]>>,
    out: &mut BytesMut,
) -> Option<Slot> {
    let flags = if header.more { MORE } else { 0 } | if header.command { COMMAND } else { 0 };
    let size = header.size.saturating_add(OVERHEAD as u64);
    let nonce = number.to_be_bytes();
    FrameHeader { more: false, command: false, size }.encode(out);
    out.extend_from_slice(NAME);
    out.extend_from_slice(&nonce);
    let at = out.len();
    out.extend_from_slice(&[0; TAG]);
    out.extend_from_slice(&[flags]);
    frames.body(header, |octets| out.extend_from_slice(octets))?;
    Some(Slot { nonce, at, end: out.len() })
}

/// The place of the box of the sealed frame at `from`, if the frame is whole. The last box had the
/// number `last`.
#[inline]
fn find(
    input: &[u8],
    from: usize,
    parts_size: u64,
    last: u64,
    limits: &Limits,
) -> Result<Option<Slot>, ProtocolError> {
    let Some(octets) = input.get(from..) else { return Ok(None) };
    let Some((outer, outer_len)) = FrameHeader::decode(octets)? else { return Ok(None) };
    let Some(size) = outer.size.checked_sub(OVERHEAD as u64).filter(|_| !outer.more) else {
        return Err(ProtocolError::Unsealed);
    };
    // The box may hold a part or a command, which is not known yet.
    let limit = limits.message_size.saturating_sub(parts_size).max(limits.command_size);
    if size > limit {
        let (size, limit) = (size.saturating_add(parts_size), limits.message_size);
        return Err(ProtocolError::MessageTooLarge { size, limit });
    }
    let body_len = outer.body_len()?;
    let Some(body) = octets.get(outer_len..) else { return Ok(None) };
    let Some((name, sealed)) = body.split_first_chunk() else { return Ok(None) };
    if name != NAME {
        return Err(ProtocolError::Unsealed);
    }
    let Some(nonce) = sealed.first_chunk().filter(|_| body.len() >= body_len) else {
        return Ok(None);
    };
    rising(u64::from_be_bytes(*nonce), last)?;
    let body_at = from.saturating_add(outer_len);
    let at = body_at.saturating_add(NAME.len()).saturating_add(nonce.len());
    Ok(Some(Slot { nonce: *nonce, at, end: body_at.saturating_add(body_len) }))
}

fn number(of: Slot) -> u64 {
    u64::from_be_bytes(of.nonce)
}

/// Writes the header of a plain frame into an opened box, directly before the body, and returns the
/// range of that frame.
#[inline]
fn reveal(slot: &Slot, octets: &mut [u8]) -> Result<Range<usize>, ProtocolError> {
    let flags_at = slot.at.saturating_add(TAG);
    let Some(&flags) = octets.get(flags_at) else { return Err(BAD_BOX) };
    let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
    if flags > COMMAND {
        return Err(ProtocolError::SealedFlags { flags });
    }
    let body_at = flags_at.saturating_add(1);
    let header = FrameHeader { more, command, size: slot.end.saturating_sub(body_at) as u64 };
    // There is always room, since the tag alone is longer.
    let (plain, plain_len) = header.octets();
    let start = body_at.saturating_sub(plain_len);
    let (Some(room), Some(plain)) = (octets.get_mut(start..body_at), plain.get(..plain_len)) else {
        return Err(BAD_BOX);
    };
    room.copy_from_slice(plain);
    Ok(start..slot.end)
}

/// Plain frames in pieces: a header is in one piece, and a body may span several.
struct Frames<'a, I> {
    pieces: I,
    /// The rest of the current piece.
    rest: &'a [u8],
}

impl<'a, I: Iterator<Item = &'a [u8]>> Frames<'a, I> {
    /// The next header.
    #[inline]
    fn next(&mut self) -> Option<FrameHeader> {
        while self.rest.is_empty() {
            self.rest = self.pieces.next()?;
        }
        let (header, header_len) = FrameHeader::decode(self.rest).ok()??;
        self.rest = self.rest.get(header_len..)?;
        Some(header)
    }

    /// Takes the body that follows the last header, and returns its size; `None` if it is not
    /// whole.
    #[inline]
    fn body(&mut self, header: FrameHeader, mut take: impl FnMut(&'a [u8])) -> Option<usize> {
        let size = usize::try_from(header.size).ok()?;
        let mut left = size;
        loop {
            let (octets, rest) = self.rest.split_at(left.min(self.rest.len()));
            take(octets);
            (self.rest, left) = (rest, left.saturating_sub(octets.len()));
            if left == 0 {
                return Some(size);
            }
            self.rest = self.pieces.next()?;
        }
    }
}
