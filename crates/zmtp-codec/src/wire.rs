//! Decoding octets: every read is checked for length here, and nowhere else.

use std::mem;
use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

/// The size of a read buffer, unless it holds a single larger frame: a frame of 64 KiB has room, too.
pub(crate) const CHUNK: usize = 65 * 1024;

/// How many octets to make room for in a frame of which less has come.
const READ_AHEAD: usize = 64 * 1024;

/// Messages that came together and are shorter than this in all are copied out of the read buffer.
const COPY_TOGETHER_BELOW: usize = 16 * 1024;

/// The size of the read buffer after a larger frame. Another large frame often follows; most of its
/// octets are then read into a buffer of its own, and need not be moved.
const PEEK: usize = 8 * 1024;

/// Reads numbers and strings from the front of a slice.
///
/// Each method returns `None`, and consumes nothing, if too few octets are left.
#[derive(Clone, Debug)]
pub(crate) struct Reader<'a> {
    rest: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Self { rest: octets }
    }

    pub(crate) fn take(&mut self, count: usize) -> Option<&'a [u8]> {
        let (taken, rest) = self.rest.split_at_checked(count)?;
        self.rest = rest;
        Some(taken)
    }

    pub(crate) fn array<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    pub(crate) fn u8(&mut self) -> Option<u8> {
        self.array().map(u8::from_be_bytes)
    }

    pub(crate) fn u16(&mut self) -> Option<u16> {
        self.array().map(u16::from_be_bytes)
    }

    pub(crate) fn u32(&mut self) -> Option<u32> {
        self.array().map(u32::from_be_bytes)
    }

    /// A string of at most 255 octets, after one octet that holds its length.
    pub(crate) fn short_string(&mut self) -> Option<&'a [u8]> {
        let mut ahead = self.clone();
        let length = ahead.u8()?;
        let taken = ahead.take(usize::from(length))?;
        *self = ahead;
        Some(taken)
    }

    /// Everything that is left.
    pub(crate) fn rest(self) -> &'a [u8] {
        self.rest
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }
}

/// Takes a body of `size` octets from `input`, which must hold them, and drops the `before` octets
/// that precede it. The input lies in a buffer of at least `buffer` octets.
#[inline]
pub(crate) fn take_body(input: &mut BytesMut, before: usize, size: usize, buffer: usize) -> Bytes {
    let end = before.saturating_add(size);
    // The first comparison alone settles nearly all bodies.
    if size >= least_shared(buffer) && size >= least_shared(input.capacity()) && end <= input.len()
    {
        input.advance(before);
        return input.split_to(size).freeze();
    }
    take_copy(input, before, size)
}

/// A part of `octets`: shared if it has at least `least_shared` octets, and otherwise copied. Empty
/// if the range is outside of them.
#[inline]
pub(crate) fn share_or_copy(octets: &Bytes, range: Range<usize>, least_shared: usize) -> Bytes {
    match octets.get(range.clone()) {
        Some(part) if part.len() < least_shared => Bytes::copy_from_slice(part),
        Some(_) => octets.slice(range),
        None => Bytes::new(),
    }
}

/// The least size at which a part may keep a buffer of `pinned` octets alive, for as long as a user
/// keeps the part: half of the buffer.
#[inline]
pub(crate) const fn least_shared(pinned: usize) -> usize {
    pinned.div_ceil(2)
}

/// The same as [`take_body`], copied at any size: for octets that may be kept as long as the
/// connection lasts.
#[inline]
pub(crate) fn take_copy(input: &mut BytesMut, before: usize, size: usize) -> Bytes {
    let end = before.saturating_add(size);
    let body = Bytes::copy_from_slice(input.get(before..end).unwrap_or_default());
    input.advance(end.min(input.len()));
    body
}

/// Takes whole frames of messages, `size` octets at the front of `input`, which lies in a buffer of
/// at least `buffer` octets. Returns them with the size of the buffer that they keep. A few frames
/// are copied, so that they do not keep the read buffer, which has room for many.
pub(crate) fn take_frames(input: &mut BytesMut, size: usize, buffer: usize) -> (Bytes, usize) {
    let pinned = buffer.max(input.capacity());
    if size < COPY_TOGETHER_BELOW.min(least_shared(pinned)) {
        return (take_copy(input, 0, size), size);
    }
    (input.split_to(size.min(input.len())).freeze(), pinned)
}

/// How many octets to make room for when `arrived` octets of a frame have come and `missing` ones
/// have not: memory at most doubles what the peer has sent.
pub(crate) fn read_ahead(missing: usize, arrived: usize) -> usize {
    missing.min(arrived.max(READ_AHEAD))
}

/// The buffer that the input of a connection lies in.
#[derive(Debug)]
pub(crate) struct ReadBuffer {
    /// Its octets. The input's own capacity does not count those that have been taken from the
    /// front.
    size: usize,
    /// Whether the last frame in it was larger than a [`CHUNK`], and so had it for itself.
    had_large: bool,
}

/// A buffer that somebody else may have made.
impl Default for ReadBuffer {
    fn default() -> Self {
        Self { size: CHUNK, had_large: false }
    }
}

impl ReadBuffer {
    /// The size of the buffer. A buffer that somebody else has made may be larger.
    #[inline]
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Takes note that somebody else may exchange the buffer.
    pub(crate) fn forget(&mut self) {
        self.size = CHUNK;
    }

    /// Makes room for the next read: for about `usual` octets, or for `hint` octets that are missing
    /// of a frame.
    pub(crate) fn make_room(&mut self, input: &mut BytesMut, hint: usize, usual: usize) {
        let (arrived, usual) = (input.len(), usual.min(CHUNK));
        let whole = arrived.saturating_add(hint);
        let room = input.capacity().saturating_sub(arrived);
        if whole > CHUNK {
            // Only to the end of the frame, so that keeping it keeps nothing else.
            self.had_large = true;
            if room < hint.min(PEEK) {
                let mut octets = Vec::from(mem::take(input));
                octets.reserve_exact(hint);
                *input = Bytes::from(octets).into();
                self.size = input.capacity();
            }
            return;
        }
        if self.had_large && input.is_empty() {
            // A new buffer: the large message, which may be kept, must not keep this one.
            *input = BytesMut::new();
        } else if room >= hint.max(usual / 4).max(1) {
            return;
        }
        let size = if mem::take(&mut self.had_large) { usual.min(PEEK) } else { usual };
        let size = size.max(whole).max(arrived.saturating_add(usual.clamp(1, 1024)));
        if !input.try_reclaim(size.saturating_sub(arrived)) {
            let mut chunk = BytesMut::with_capacity(size);
            chunk.extend_from_slice(input);
            *input = chunk;
            self.size = size;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_what_is_there_and_nothing_when_too_little_is() {
        let mut reader = Reader::new(&[1, 0, 2, 0, 0, 0, 3, 2, b'h', b'i', 9, 8]);
        assert_eq!(reader.u8(), Some(1));
        assert_eq!(reader.u16(), Some(2));
        assert_eq!(reader.u32(), Some(3));
        assert_eq!(reader.short_string(), Some(&b"hi"[..]));
        assert_eq!(reader.short_string(), None, "nine octets are announced, one is there");
        assert_eq!(reader.u32(), None);
        assert_eq!(reader.take(3), None);
        assert!(!reader.is_empty());
        assert_eq!(reader.take(2), Some(&[9, 8][..]));
        assert!(reader.is_empty());
        assert_eq!(reader.rest(), b"");
    }

    #[test]
    fn bodies_are_shared_if_they_fill_half_of_their_buffer() {
        for (size, shared) in [(0, false), (CHUNK / 2 - 1, false), (CHUNK / 2, true)] {
            let mut input = BytesMut::from(&[&[6; 2][..], &vec![7; size], &[8; 8]].concat()[..]);
            let buffer = input.as_ptr_range();
            let body = take_body(&mut input, 2, size, CHUNK);
            assert_eq!(body, vec![7; size]);
            assert_eq!(&input[..], [8; 8]);
            assert_eq!(buffer.contains(&body.as_ptr()), shared, "{size} octets");
        }
    }

    #[test]
    fn what_fills_half_of_a_smaller_buffer_is_shared_too() {
        for (size, shared) in [(500, false), (512, true), (1000, true)] {
            let (mut input, mut buffer) = (BytesMut::new(), ReadBuffer::default());
            buffer.make_room(&mut input, 0, 1024);
            input.resize(size, 7);
            let memory = input.as_ptr_range();
            let (mut others, size_known) = (input.clone(), buffer.size());
            let body = take_body(&mut input, 0, size, size_known);
            assert_eq!(memory.contains(&body.as_ptr()), shared, "{size} octets");
            // Of a buffer that somebody else may have made, nothing is known.
            buffer.forget();
            let memory = others.as_ptr_range();
            let (frames, pinned) = take_frames(&mut others, size, buffer.size());
            assert!(!memory.contains(&frames.as_ptr()) && pinned == size);
        }
        // The octets that were before these frames in the buffer count, too.
        let (mut input, mut buffer) = (BytesMut::new(), ReadBuffer::default());
        buffer.make_room(&mut input, 0, 1024);
        input.resize(900, 7);
        input.advance(500);
        let memory = input.as_ptr_range();
        let (frames, pinned) = take_frames(&mut input, 400, buffer.size());
        assert!(!memory.contains(&frames.as_ptr()) && pinned == 400);
    }

    #[test]
    fn a_large_frame_has_a_buffer_of_its_own_and_no_other_is_larger_than_a_chunk() {
        let (mut input, mut buffer) = (BytesMut::new(), ReadBuffer::default());
        buffer.make_room(&mut input, 0, 1 << 20);
        assert_eq!(input.capacity(), CHUNK);
        // 1000 octets of a frame of 200,000 stand behind other frames.
        input.resize(CHUNK, 6);
        input.advance(CHUNK - 1000);
        let whole = 200_000;
        while input.len() < whole {
            let arrived = input.len();
            let hint = read_ahead(whole - arrived, arrived);
            buffer.make_room(&mut input, hint, CHUNK);
            let capacity = input.capacity();
            let most = (arrived + hint).max(CHUNK).min(whole);
            assert!(capacity > arrived && capacity <= most);
            input.resize(capacity, 7);
        }
        assert_eq!((input.len(), input.capacity()), (whole, whole));
        let (frames, pinned) = take_frames(&mut input, whole, buffer.size());
        assert_eq!((frames.len(), pinned), (whole, whole));
        // The buffer is not used again, and another large frame may follow.
        drop(frames);
        buffer.make_room(&mut input, 0, CHUNK);
        assert_eq!((input.capacity(), buffer.size()), (PEEK, PEEK));
        input.resize(PEEK, 8);
        input.advance(PEEK - 10);
        buffer.make_room(&mut input, 0, CHUNK);
        assert_eq!(input.capacity(), CHUNK);
        assert_eq!(input, [8; 10][..]);
    }

    #[test]
    fn room_is_made_for_what_is_read_whatever_is_there() {
        for (arrived, hint, usual) in [(0, 0, 0), (CHUNK, 0, 1024), (70_000, 1, 1), (10, 90, 20)] {
            let mut input = BytesMut::from(&vec![1; arrived][..]);
            ReadBuffer::default().make_room(&mut input, hint, usual);
            assert!(input.capacity() > arrived, "{arrived}, {hint}, {usual}");
            assert_eq!(input, vec![1; arrived]);
        }
    }

    #[test]
    fn read_ahead_at_most_doubles_beyond_a_floor() {
        assert_eq!(read_ahead(10, 0), 10);
        assert_eq!(read_ahead(usize::MAX, 9), READ_AHEAD);
        assert_eq!(read_ahead(usize::MAX, 1 << 20), 1 << 20);
    }
}
