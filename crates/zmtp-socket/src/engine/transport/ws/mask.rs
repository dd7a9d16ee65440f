//! Masking: a client's octets are combined with a key that changes with each frame, so that they cannot
//! be taken for another protocol (RFC 6455, section 5.3).

use std::io;

/// The number of keys that are fetched from the system at once.
const AT_ONCE: usize = 1024;

/// A key, and the position in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Mask {
    key: [u8; 4],
}

impl Mask {
    pub(super) const fn new(key: [u8; 4]) -> Self {
        Self { key }
    }

    pub(super) const fn key(self) -> [u8; 4] {
        self.key
    }

    /// Masks or unmasks the next octets: both are the same operation.
    pub(super) fn apply(&mut self, octets: &mut [u8]) {
        let [a, b, c, d] = self.key;
        let wide = u64::from_ne_bytes([a, b, c, d, a, b, c, d]);
        let mut chunks = octets.chunks_exact_mut(8);
        for chunk in &mut chunks {
            let masked = u64::from_ne_bytes([
                chunk[0], chunk[1], chunk[2], chunk[3], chunk[4], chunk[5], chunk[6], chunk[7],
            ]) ^ wide;
            chunk.copy_from_slice(&masked.to_ne_bytes());
        }
        let rest = chunks.into_remainder();
        for (octet, key) in rest.iter_mut().zip(self.key.into_iter().cycle()) {
            *octet ^= key;
        }
        self.key.rotate_left(rest.len() % 4);
    }
}

/// Keys that cannot be foreseen. Others may choose the octets that are sent, and must not be able to
/// make them look like HTTP to an intermediary.
#[derive(Default)]
pub(super) struct Keys {
    octets: Vec<u8>,
}

impl Keys {
    pub(super) fn next(&mut self) -> io::Result<Mask> {
        if self.octets.is_empty() {
            self.octets.resize(4 * AT_ONCE, 0);
            getrandom::fill(&mut self.octets).map_err(io::Error::other)?;
        }
        let mut key = [0; 4];
        for (octet, random) in key.iter_mut().zip(self.octets.drain(self.octets.len() - 4..)) {
            *octet = random;
        }
        Ok(Mask::new(key))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn octets_are_masked_alike_however_they_are_cut() {
        let plain: Vec<u8> = (0..100).collect();
        let key = [0xA0, 0x0B, 0xC0, 0x0D];
        let expected: Vec<u8> =
            plain.iter().zip(key.iter().cycle()).map(|(octet, key)| octet ^ key).collect();
        for cut in 0..plain.len() {
            let (mut octets, mut mask) = (plain.clone(), Mask::new(key));
            let (head, tail) = octets.split_at_mut(cut);
            mask.apply(head);
            mask.apply(tail);
            assert_eq!(octets, expected, "cut at {cut}");
        }
    }

    #[test]
    fn keys_change() {
        let mut keys = Keys::default();
        let few: std::collections::HashSet<_> =
            (0..2 * AT_ONCE).map(|_| keys.next().expect("the system has some").key()).collect();
        assert!(few.len() > 2 * AT_ONCE - 10);
    }
}
