//! Taking octets apart: every take is checked, here and nowhere else.

use std::ops::Range;

use bytes::{Buf, Bytes, BytesMut};

/// Bodies shorter than this are copied out of the read buffer, longer ones share it.
///
/// A small message that is kept for long must not pin a whole read buffer; a large one is worth
/// the sharing.
pub(crate) const COPY_BELOW: usize = 4096;

/// Messages that came together and are shorter than this are copied out of the read buffer.
const COPY_TOGETHER_BELOW: usize = 16 * 1024;

/// The least that is worth reserving for the rest of a long frame.
const READ_AHEAD: usize = 64 * 1024;

/// Reads numbers and strings from the front of a slice.
///
/// Each method returns `None`, and takes nothing, when too few octets are left.
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

/// Takes a body of `size` octets from `input`, which must hold them, and drops the `before`
/// octets that stand in front of it.
#[inline]
pub(crate) fn take_body(input: &mut BytesMut, before: usize, size: usize) -> Bytes {
    let end = before.saturating_add(size);
    if size >= COPY_BELOW && end <= input.len() {
        input.advance(before);
        return input.split_to(size).freeze();
    }
    take_copy(input, before, size)
}

/// A part of `octets`, shared if it is long and copied if it is short; empty if it is not there.
#[inline]
pub(crate) fn share_or_copy(octets: &Bytes, range: Range<usize>) -> Bytes {
    match octets.get(range.clone()) {
        Some(part) if part.len() < COPY_BELOW => Bytes::copy_from_slice(part),
        Some(_) => octets.slice(range),
        None => Bytes::new(),
    }
}

/// The same as [`take_body`], copied at any size: for what may be kept for as long as the connection lives.
#[inline]
pub(crate) fn take_copy(input: &mut BytesMut, before: usize, size: usize) -> Bytes {
    let end = before.saturating_add(size);
    let body = Bytes::copy_from_slice(input.get(before..end).unwrap_or_default());
    input.advance(end.min(input.len()));
    body
}

/// Takes whole frames of messages, `size` octets at the front of `input`. A few of them do not keep
/// the read buffer, which has room for many.
pub(crate) fn take_frames(input: &mut BytesMut, size: usize) -> Bytes {
    match size < COPY_TOGETHER_BELOW {
        true => take_copy(input, 0, size),
        false => input.split_to(size.min(input.len())).freeze(),
    }
}

/// How many octets to make room for when `missing` ones of a frame are still to come and
/// `arrived` ones are there: memory at most doubles what the peer has sent.
pub(crate) fn read_ahead(missing: usize, arrived: usize) -> usize {
    missing.min(arrived.max(READ_AHEAD))
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
    fn small_bodies_are_copied_and_large_ones_shared() {
        for (size, shared) in [(0, false), (COPY_BELOW - 1, false), (COPY_BELOW, true)] {
            let mut input = BytesMut::from(&[&[6; 2][..], &vec![7; size], &[8; 8]].concat()[..]);
            let buffer = input.as_ptr_range();
            let body = take_body(&mut input, 2, size);
            assert_eq!(body, vec![7; size]);
            assert_eq!(&input[..], [8; 8]);
            assert_eq!(buffer.contains(&body.as_ptr()), shared, "{size} octets");
        }
    }

    #[test]
    fn read_ahead_at_most_doubles_beyond_a_floor() {
        assert_eq!(read_ahead(10, 0), 10);
        assert_eq!(read_ahead(usize::MAX, 9), 64 * 1024);
        assert_eq!(read_ahead(usize::MAX, 1 << 20), 1 << 20);
    }
}
