use bytes::BytesMut;
use tokio_util::codec::{Decoder, Encoder};
use zmtp_codec::{Frame, FrameCodec, FrameCodecError, ProtocolError};

use crate::script::Script;

/// How much may be reserved for a frame that is announced and has not arrived.
const READ_AHEAD: usize = 64 * 1024;

/// A stream of frames: in one piece through the plain decoder, and in pieces through the codec for
/// tokio. Instructions: the limit (two octets), the size of a piece.
///
/// Both find the same frames and the same error, neither makes room for more than twice of what has
/// arrived, and encoded frames decode to the same frames.
pub fn frame(data: &[u8]) {
    let mut script = Script::new(data);
    let limit = u64::from(script.octet()) << 8 | u64::from(script.octet());
    let piece = usize::from(script.octet()).max(1);
    let octets = script.rest();

    let (frames, error) = plain(octets, limit);
    assert_eq!(in_pieces(octets.chunks(piece), limit), (frames.clone(), error));

    let mut again = BytesMut::new();
    for frame in &frames {
        FrameCodec::new(0).encode(frame.clone(), &mut again).expect("encoding cannot fail");
    }
    assert!(again.len() <= octets.len(), "we send the shortest form");
    assert_eq!(plain(&again, limit), (frames, None));
}

fn plain(octets: &[u8], limit: u64) -> (Vec<Frame>, Option<ProtocolError>) {
    let mut input = BytesMut::from(octets);
    let mut frames = Vec::new();
    loop {
        match Frame::decode(&mut input, limit) {
            Ok(Some(frame)) => frames.push(frame),
            Ok(None) => return (frames, None),
            Err(error) => return (frames, Some(error)),
        }
    }
}

fn in_pieces<'a>(
    pieces: impl Iterator<Item = &'a [u8]>,
    limit: u64,
) -> (Vec<Frame>, Option<ProtocolError>) {
    let mut codec = FrameCodec::new(limit);
    let mut input = BytesMut::new();
    let mut frames = Vec::new();
    let mut arrived = 0;
    for piece in pieces {
        arrived += piece.len();
        input.extend_from_slice(piece);
        loop {
            match codec.decode(&mut input) {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(FrameCodecError::Protocol(error)) => return (frames, Some(error)),
                Err(error) => panic!("no input or output, and yet: {error}"),
            }
        }
        let room = input.capacity();
        assert!(room <= 2 * (arrived + READ_AHEAD), "room for {room} after {arrived}");
    }
    (frames, None)
}
