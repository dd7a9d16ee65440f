//! Frames: flags, size and body (RFC 23, Framing).

use bytes::{Bytes, BytesMut};

use crate::error::ProtocolError;
use crate::wire::{CHUNK, take_body};

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// The longest body that a frame may announce: 2^63−1 octets.
const MAX_SIZE: u64 = i64::MAX as u64;

/// The header of a frame: everything before its body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameHeader {
    /// Whether another frame of the same message follows.
    pub more: bool,
    /// Whether the body is a command and not a part of a message.
    pub command: bool,
    /// The length of the body, in octets.
    pub size: u64,
}

impl FrameHeader {
    /// Reads a header from the front of `octets`. Returns it with its length: 2 or 9 octets.
    /// `Ok(None)` means that more octets are needed.
    ///
    /// The long form with a short size is legal.
    ///
    /// # Errors
    /// [`ProtocolError::Flags`] when a reserved bit is set, or MORE is set on a command;
    /// [`ProtocolError::FrameSize`] when the size is above 2^63−1.
    #[inline]
    pub fn decode(octets: &[u8]) -> Result<Option<(Self, usize)>, ProtocolError> {
        let [flags, sized @ ..] = octets else { return Ok(None) };
        // Bits 3–7 are reserved, and a command is always a single frame.
        if *flags > (LONG | COMMAND) || *flags == (MORE | COMMAND) {
            return Err(ProtocolError::Flags { flags: *flags });
        }
        let (more, command) = (flags & MORE != 0, flags & COMMAND != 0);
        if flags & LONG == 0 {
            let [size, ..] = sized else { return Ok(None) };
            return Ok(Some((Self { more, command, size: u64::from(*size) }, 2)));
        }
        let Some(size) = sized.first_chunk() else { return Ok(None) };
        let size = u64::from_be_bytes(*size);
        if size > MAX_SIZE {
            return Err(ProtocolError::FrameSize { size });
        }
        Ok(Some((Self { more, command, size }, 9)))
    }

    /// Appends this header to `out` in its shortest form.
    #[inline(always)]
    pub fn encode(&self, out: &mut BytesMut) {
        // With a length that the compiler knows, the octets are stored directly, without a call.
        match u8::try_from(self.size) {
            Ok(size) => out.extend_from_slice(&[self.flags(), size]),
            Err(_) => out.extend_from_slice(&self.long_form()),
        }
    }

    /// The octets of the shortest form, and their number.
    #[cfg(feature = "curve")]
    #[inline]
    pub(crate) fn octets(&self) -> ([u8; 9], usize) {
        match u8::try_from(self.size) {
            Ok(size) => ([self.flags(), size, 0, 0, 0, 0, 0, 0, 0], 2),
            Err(_) => (self.long_form(), 9),
        }
    }

    /// The flags, without LONG.
    #[inline]
    fn flags(&self) -> u8 {
        (if self.more { MORE } else { 0 }) | (if self.command { COMMAND } else { 0 })
    }

    #[inline]
    fn long_form(&self) -> [u8; 9] {
        let [a, b, c, d, e, f, g, h] = self.size.to_be_bytes();
        [self.flags() | LONG, a, b, c, d, e, f, g, h]
    }

    /// How many octets [`encode`](Self::encode) appends: 2 or 9.
    #[inline]
    pub fn encoded_len(&self) -> usize {
        if self.size <= 255 { 2 } else { 9 }
    }

    /// The length of the body, if it fits into `usize`.
    #[inline]
    pub(crate) fn body_len(&self) -> Result<usize, ProtocolError> {
        usize::try_from(self.size)
            .map_err(|_| ProtocolError::FrameTooLarge { size: self.size, limit: usize::MAX as u64 })
    }

    #[inline]
    fn of_part(more: bool, body: &[u8]) -> Self {
        Self { more, command: false, size: body.len() as u64 }
    }
}

/// Appends one message frame to `out`.
#[inline]
pub fn encode_frame(more: bool, body: &[u8], out: &mut BytesMut) {
    let header = FrameHeader::of_part(more, body);
    out.reserve(body.len().saturating_add(header.encoded_len()));
    header.encode(out);
    out.extend_from_slice(body);
}

/// How many octets [`encode_message`] appends for these parts.
#[inline]
pub fn message_len<'a>(parts: impl IntoIterator<Item = &'a [u8]>) -> usize {
    parts.into_iter().fold(0, |sum: usize, body| {
        let header = FrameHeader::of_part(false, body).encoded_len();
        sum.saturating_add(header).saturating_add(body.len())
    })
}

/// Appends a whole message to `out`: one frame for each part, MORE on all but the last.
///
/// Without parts, it appends nothing.
#[inline]
pub fn encode_message<'a>(parts: impl IntoIterator<Item = &'a [u8]>, out: &mut BytesMut) {
    let mut parts = parts.into_iter();
    let Some(mut body) = parts.next() else { return };
    for next in parts {
        encode_frame(true, body, out);
        body = next;
    }
    encode_frame(false, body, out);
}

/// One whole frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// A part of a message.
    Message {
        /// Whether another part follows.
        more: bool,
        /// The octets of the part.
        body: Bytes,
    },
    /// A command, with its name and data still encoded; see
    /// [`Command::decode`](crate::Command::decode).
    Command(Bytes),
}

impl Frame {
    /// Takes one frame from the front of `input`. `Ok(None)` means that more octets are needed;
    /// nothing was taken then.
    ///
    /// # Errors
    /// Those of [`FrameHeader::decode`], and [`ProtocolError::FrameTooLarge`] as soon as a body
    /// of more than `limit` octets is announced.
    pub fn decode(input: &mut BytesMut, limit: u64) -> Result<Option<Self>, ProtocolError> {
        let Some((header, header_len)) = FrameHeader::decode(input)? else { return Ok(None) };
        if header.size > limit {
            return Err(ProtocolError::FrameTooLarge { size: header.size, limit });
        }
        let size = header.body_len()?;
        if input.len().saturating_sub(header_len) < size {
            return Ok(None);
        }
        let body = take_body(input, header_len, size, CHUNK);
        Ok(Some(if header.command {
            Self::Command(body)
        } else {
            Self::Message { more: header.more, body }
        }))
    }

    /// Appends this frame to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        match self {
            Self::Message { more, body } => encode_frame(*more, body, out),
            Self::Command(body) => {
                let header = FrameHeader { more: false, command: true, size: body.len() as u64 };
                out.reserve(header.encoded_len().saturating_add(body.len()));
                header.encode(out);
                out.extend_from_slice(body);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn header(more: bool, command: bool, size: u64) -> FrameHeader {
        FrameHeader { more, command, size }
    }

    #[test]
    fn each_header_has_its_octets() {
        let rows: [(&[u8], FrameHeader); 7] = [
            (&[0, 0], header(false, false, 0)),
            (&[0, 5], header(false, false, 5)),
            (&[1, 255], header(true, false, 255)),
            (&[4, 12], header(false, true, 12)),
            (&[2, 0, 0, 0, 0, 0, 0, 1, 0], header(false, false, 256)),
            (&[3, 0, 0, 0, 0, 0, 1, 0x11, 0x70], header(true, false, 70_000)),
            (&[6, 0x7F, 255, 255, 255, 255, 255, 255, 255], header(false, true, (1 << 63) - 1)),
        ];
        for (octets, header) in rows {
            assert_eq!(FrameHeader::decode(octets), Ok(Some((header, octets.len()))));
            let mut out = BytesMut::new();
            header.encode(&mut out);
            assert_eq!(&out[..], octets);
            assert_eq!(header.encoded_len(), octets.len());
            for short in 0..octets.len() {
                assert_eq!(FrameHeader::decode(&octets[..short]), Ok(None));
            }
        }
    }

    #[test]
    fn a_long_frame_may_be_short() {
        let octets = [2, 0, 0, 0, 0, 0, 0, 0, 3, b'a', b'b', b'c'];
        assert_eq!(FrameHeader::decode(&octets), Ok(Some((header(false, false, 3), 9))));
    }

    #[test]
    fn forbidden_flags_and_sizes_are_refused() {
        for flags in (0..=255).filter(|flags| ![0, 1, 2, 3, 4, 6].contains(flags)) {
            assert_eq!(FrameHeader::decode(&[flags]), Err(ProtocolError::Flags { flags }));
        }
        let size = 1 << 63;
        let octets = [2, 0x80, 0, 0, 0, 0, 0, 0, 0];
        assert_eq!(FrameHeader::decode(&octets), Err(ProtocolError::FrameSize { size }));
    }

    #[test]
    fn messages_have_more_on_all_parts_but_the_last() {
        let long = [b'x'; 256];
        let rows: [(&[&[u8]], Vec<u8>); 4] = [
            (&[], vec![]),
            (&[b""], vec![0, 0]),
            (&[b"A", b"", b"bc"], b"\x01\x01A\x01\x00\x00\x02bc".to_vec()),
            (&[b"A", &long], [&b"\x01\x01A\x02\0\0\0\0\0\0\x01\x00"[..], &long].concat()),
        ];
        for (parts, octets) in rows {
            let mut out = BytesMut::new();
            encode_message(parts.iter().copied(), &mut out);
            assert_eq!(out, octets);
            assert_eq!(message_len(parts.iter().copied()), octets.len());
        }
    }

    #[test]
    fn frames_come_back_whole() {
        let rows: [(&[u8], Frame); 3] = [
            (b"\x00\x02hi", Frame::Message { more: false, body: Bytes::from_static(b"hi") }),
            (b"\x01\x00", Frame::Message { more: true, body: Bytes::new() }),
            (b"\x04\x07\x04PING\0\0", Frame::Command(Bytes::from_static(b"\x04PING\0\0"))),
        ];
        for (octets, frame) in rows {
            let mut out = BytesMut::new();
            frame.encode(&mut out);
            assert_eq!(&out[..], octets);
            for short in 0..octets.len() {
                let mut input = BytesMut::from(&octets[..short]);
                assert_eq!(Frame::decode(&mut input, 10), Ok(None));
                assert_eq!(input.len(), short);
            }
            assert_eq!(Frame::decode(&mut out, 10), Ok(Some(frame)));
            assert!(out.is_empty());
        }
    }

    #[test]
    fn a_frame_above_the_limit_is_refused_by_its_header() {
        let mut input = BytesMut::from(&[0, 11][..]);
        let error = ProtocolError::FrameTooLarge { size: 11, limit: 10 };
        assert_eq!(Frame::decode(&mut input, 10), Err(error));
    }
}
