//! Framing alone, as a codec for `tokio_util`.

use std::io;

use bytes::BytesMut;
use thiserror::Error;
use tokio_util::codec::{Decoder, Encoder};

use crate::config::Limits;
use crate::error::ProtocolError;
use crate::frame::{Frame, FrameHeader};
use crate::wire::read_ahead;

/// Frames of ZMTP 3.x on any stream, after the greeting.
///
/// ```
/// use bytes::{Bytes, BytesMut};
/// use tokio_util::codec::{Decoder, Encoder};
/// use zmtp_codec::{Frame, FrameCodec, FrameCodecError};
///
/// let mut codec = FrameCodec::new(1024);
/// let mut octets = BytesMut::new();
/// let frame = Frame::Message { more: false, body: Bytes::from_static(b"10001 17 40") };
/// codec.encode(frame.clone(), &mut octets)?;
/// assert_eq!(&octets[..], b"\x00\x0B10001 17 40");
/// assert_eq!(codec.decode(&mut octets)?, Some(frame));
/// # Ok::<(), FrameCodecError>(())
/// ```
#[derive(Clone, Debug)]
pub struct FrameCodec {
    limit: u64,
}

impl FrameCodec {
    /// A codec that refuses a received frame whose body has more than `limit` octets.
    pub fn new(limit: u64) -> Self {
        Self { limit }
    }
}

/// The default limit is that of a whole message: 64 MiB.
impl Default for FrameCodec {
    fn default() -> Self {
        Self::new(Limits::default().message_size)
    }
}

impl Decoder for FrameCodec {
    type Item = Frame;
    type Error = FrameCodecError;

    /// Takes one frame. The limit is checked before any room is made for a body, and the room at
    /// most doubles what has arrived.
    fn decode(&mut self, src: &mut BytesMut) -> Result<Option<Frame>, FrameCodecError> {
        if let Some(frame) = Frame::decode(src, self.limit)? {
            return Ok(Some(frame));
        }
        if let Some((header, header_len)) = FrameHeader::decode(src)? {
            let arrived = src.len().saturating_sub(header_len);
            let size = usize::try_from(header.size).unwrap_or(usize::MAX);
            src.reserve(read_ahead(size.saturating_sub(arrived), arrived));
        }
        Ok(None)
    }
}

impl Encoder<Frame> for FrameCodec {
    type Error = FrameCodecError;

    fn encode(&mut self, frame: Frame, dst: &mut BytesMut) -> Result<(), FrameCodecError> {
        frame.encode(dst);
        Ok(())
    }
}

/// Why a framed stream ended.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FrameCodecError {
    /// The stream failed.
    #[error(transparent)]
    Io(#[from] io::Error),
    /// The peer broke a rule of framing, or exceeded the limit.
    #[error(transparent)]
    Protocol(#[from] ProtocolError),
}

#[cfg(test)]
mod tests {
    use super::*;
    use bytes::Bytes;

    #[test]
    fn frames_pass_one_by_one() {
        let mut codec = FrameCodec::default();
        let mut octets = BytesMut::from(&b"\x01\x01a\x04\x05\x04PONG\x00"[..]);
        let part = Frame::Message { more: true, body: Bytes::from_static(b"a") };
        let pong = Frame::Command(Bytes::from_static(b"\x04PONG"));
        assert_eq!(codec.decode(&mut octets).unwrap(), Some(part));
        assert_eq!(codec.decode(&mut octets).unwrap(), Some(pong));
        assert_eq!(codec.decode(&mut octets).unwrap(), None);
        assert!(codec.decode_eof(&mut octets).is_err(), "half a header is left");
    }

    #[test]
    fn an_announced_giant_reserves_nothing() {
        let mut codec = FrameCodec::default();
        let giant = b"\x02\0\0\0\0\x04\0\0\x01";
        let mut octets = BytesMut::from(&giant[..]);
        let before = octets.capacity();
        let error = codec.decode(&mut octets).unwrap_err();
        let (size, limit) = ((64 << 20) + 1, 64 << 20);
        assert!(matches!(
            error,
            FrameCodecError::Protocol(ProtocolError::FrameTooLarge { size: s, limit: l })
                if s == size && l == limit
        ));
        assert_eq!(octets.capacity(), before);

        let mut octets = BytesMut::from(&b"\x02\0\0\0\0\x04\0\0\0"[..]);
        assert_eq!(codec.decode(&mut octets).unwrap(), None);
        assert!(octets.capacity() <= 2 * 64 * 1024, "64 MiB are announced, none has come");
    }
}
