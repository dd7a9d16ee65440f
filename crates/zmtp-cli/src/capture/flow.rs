//! One direction of a TCP connection: puts segments in order.

use std::collections::BTreeMap;

use super::packet::Segment;

/// How many octets may wait for a missing segment before them.
const WAITING: usize = 4 << 20;

/// One direction of a connection.
#[derive(Debug, Default)]
pub(super) struct Flow {
    /// The position of the next octet, counted from the SYN, and its sequence number; `None` before
    /// the SYN.
    next: Option<(u64, u32)>,
    /// Segments that came too early, by position.
    early: BTreeMap<u64, Vec<u8>>,
    waiting: usize,
    /// The position of the end.
    end: Option<u64>,
    is_over: bool,
}

impl Flow {
    /// Takes a segment, and passes the octets that are next to `octets`. Returns how the direction
    /// has ended, if it has.
    pub(super) fn take(
        &mut self,
        segment: &Segment<'_>,
        mut octets: impl FnMut(&[u8]),
    ) -> Option<&'static str> {
        if self.is_over {
            return None;
        }
        if segment.rst {
            return self.over("is cut off by a reset");
        }
        if segment.syn {
            self.next.get_or_insert((0, segment.sequence.wrapping_add(1)));
            return None;
        }
        let Some((position, sequence)) = self.next else {
            return self.over("began before the capture");
        };
        // Sequence numbers repeat after 4 GiB; no segment is half as far away.
        let distance = i64::from(segment.sequence.wrapping_sub(sequence).cast_signed());
        let at = position.checked_add_signed(distance);
        let (at, payload) = match at {
            Some(at) => (at, segment.payload),
            // A retransmission from before the beginning.
            None => return None,
        };
        if segment.fin {
            self.end = Some(at + payload.len() as u64);
        }
        if !payload.is_empty() && at + payload.len() as u64 > position {
            let kept = self.early.entry(at).or_default();
            if kept.len() < payload.len() {
                self.waiting += payload.len() - kept.len();
                *kept = payload.to_vec();
            }
        }
        self.deliver(&mut octets);
        if self.waiting > WAITING {
            return self.over("has a hole in the capture");
        }
        match (self.end, self.next) {
            (Some(end), Some((position, _))) if position >= end => self.over("closes"),
            _ => None,
        }
    }

    /// Passes on the octets that are next and have come, without repeating any.
    fn deliver(&mut self, octets: &mut impl FnMut(&[u8])) {
        while let Some((position, sequence)) = self.next
            && let Some(first) = self.early.first_entry()
            && *first.key() <= position
        {
            let (at, segment) = first.remove_entry();
            self.waiting -= segment.len();
            let known = usize::try_from(position - at).unwrap_or(usize::MAX);
            let new = segment.get(known..).unwrap_or_default();
            if !new.is_empty() {
                octets(new);
                let count = u32::try_from(new.len()).unwrap_or(u32::MAX);
                self.next = Some((position + u64::from(count), sequence.wrapping_add(count)));
            }
        }
    }

    fn over(&mut self, how: &'static str) -> Option<&'static str> {
        self.is_over = true;
        self.early.clear();
        Some(how)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SYN: u32 = u32::MAX - 4;

    fn segment(at: u32, payload: &'static [u8]) -> Segment<'static> {
        let address = "127.0.0.1:1".parse().unwrap();
        let sequence = SYN.wrapping_add(1).wrapping_add(at);
        let (from, to) = (address, address);
        Segment { from, to, sequence, syn: false, ack: true, fin: false, rst: false, payload }
    }

    #[test]
    fn segments_come_in_any_order_and_more_than_once() {
        let mut flow = Flow::default();
        let mut heard = Vec::new();
        let syn = Segment { syn: true, sequence: SYN, ..segment(0, b"") };
        assert_eq!(flow.take(&syn, |_| {}), None);
        let fin = Segment { fin: true, ..segment(9, b"j") };
        // The sequence numbers wrap around within these segments.
        for segment in [
            segment(3, b"de"),
            fin,
            segment(0, b"ab"),
            segment(0, b"abc"),
            segment(2, b"cdef"),
            segment(3, b"de"),
            segment(7, b"h"),
        ] {
            assert_eq!(flow.take(&segment, |octets| heard.extend_from_slice(octets)), None);
        }
        assert_eq!(heard, b"abcdef");
        let last = segment(6, b"ghi");
        let ended = flow.take(&last, |octets| heard.extend_from_slice(octets));
        assert_eq!((ended, &heard[..]), (Some("closes"), &b"abcdefghij"[..]));
        assert_eq!(flow.waiting, 0);
    }

    #[test]
    fn what_waits_for_a_lost_segment_is_bounded() {
        let mut flow = Flow::default();
        let syn = Segment { syn: true, sequence: SYN, ..segment(0, b"") };
        flow.take(&syn, |_| {});
        static PAYLOAD: [u8; 1 << 16] = [0; 1 << 16];
        let ended = (0..1000u32).find_map(|number| {
            flow.take(&segment(1 + (number << 16), &PAYLOAD), |_| panic!("the first is lost"))
        });
        assert_eq!(ended, Some("has a hole in the capture"));
        assert!(flow.early.is_empty());
    }
}
