//! Poly1305, the MAC of a box: a polynomial of the text at a secret point, modulo 2^130 - 5.
//!
//! Numbers are two words of 64 bits and a small third one. The time depends only on the length of
//! the text: there are only multiplications, additions and shifts by constants, carries are always
//! added, and the last reduction selects by a mask that `subtle` makes.

use subtle::{ConditionallySelectable, ConstantTimeEq};
use zeroize::Zeroize;

use crate::mechanism::curve::TAG;

/// The MAC of `text` under a key that is used only once.
#[inline]
pub(super) fn tag(key: &[u32; 8], text: &[u8]) -> [u8; TAG] {
    let [a, b, c, d, e, f, g, h] = *key;
    let mut hash = Hash::at(&[word(a, b), word(c, d)]);
    let (blocks, rest) = text.as_chunks::<TAG>();
    hash.add(blocks);
    hash.add_rest(rest);
    let tag = hash.finish().wrapping_add(u128::from(word(g, h)) << 64 | u128::from(word(e, f)));
    hash.point.zeroize();
    hash.sum.zeroize();
    tag.to_le_bytes()
}

fn word(low: u32, high: u32) -> u64 {
    u64::from(high) << 32 | u64::from(low)
}

struct Hash {
    /// The point is below 2^124, and its second word is a multiple of four.
    point: [u64; 2],
    /// The sum is below 2^131.
    sum: [u64; 3],
}

impl Hash {
    /// Clears some bits of the point, so that products stay small.
    fn at(point: &[u64; 2]) -> Self {
        let [low, high] = point;
        Self { point: [low & 0x0fff_fffc_0fff_ffff, high & 0x0fff_fffc_0fff_fffc], sum: [0; 3] }
    }

    #[inline(always)]
    fn add(&mut self, blocks: &[[u8; TAG]]) {
        let mut sum = self.sum;
        for block in blocks {
            sum = next(sum, self.point, u128::from_le_bytes(*block), 1);
        }
        self.sum = sum;
    }

    /// Adds the last octets, fewer than a block: a 1 follows them.
    #[inline(always)]
    fn add_rest(&mut self, rest: &[u8]) {
        if rest.is_empty() {
            return;
        }
        let mut block = [0; TAG];
        block.iter_mut().zip(rest.iter().chain(&[1])).for_each(|(to, from)| *to = *from);
        self.sum = next(self.sum, self.point, u128::from_le_bytes(block), 0);
    }

    /// The sum modulo 2^130 - 5, without the bits above 2^128.
    fn finish(&self) -> u128 {
        let [a, b, c] = self.sum;
        let low = u128::from(b) << 64 | u128::from(a);
        // Below twice the modulus after the bits above 2^130 are folded in.
        let (low, carry) = low.overflowing_add(u128::from((c >> 2).wrapping_mul(5)));
        let c = (c & 3).wrapping_add(u64::from(carry));
        // The modulus is subtracted if the sum with 5 reaches 2^130.
        let (less, carry) = low.overflowing_add(5);
        let reaches = c.wrapping_add(u64::from(carry)) >> 2;
        u128::conditional_select(&low, &less, reaches.ct_eq(&1))
    }
}

/// Adds a block, and multiplies by the point.
#[inline(always)]
fn next([a, b, c]: [u64; 3], [r, s]: [u64; 2], block: u128, above: u64) -> [u64; 3] {
    let [low, high] = split(block);
    let (a, carry) = a.overflowing_add(low);
    let (b, carry_in) = b.overflowing_add(u64::from(carry));
    let (b, carry) = b.overflowing_add(high);
    let c = c.wrapping_add(above).wrapping_add(u64::from(carry_in)).wrapping_add(u64::from(carry));

    // 2^130 is congruent to 5, so s · 2^128 is 5/4 of s; s is a multiple of four.
    let s5 = s.wrapping_add(s >> 2);
    let low = product(a, r).wrapping_add(product(b, s5));
    let high = product(a, s)
        .wrapping_add(product(b, r))
        .wrapping_add(u128::from(c.wrapping_mul(s5)))
        .wrapping_add(low >> 64);
    let [a, _] = split(low);
    let [b, top] = split(high);
    let top = top.wrapping_add(c.wrapping_mul(r));
    // The bits above 2^130 are added five times.
    let (a, carry) = a.overflowing_add((top >> 2).wrapping_add(top & !3));
    let (b, carry) = b.overflowing_add(u64::from(carry));
    [a, b, (top & 3).wrapping_add(u64::from(carry))]
}

#[inline(always)]
fn product(a: u64, b: u64) -> u128 {
    u128::from(a).wrapping_mul(u128::from(b))
}

/// The low and the high half.
#[inline(always)]
fn split(number: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, high @ ..] = number.to_le_bytes();
    [u64::from_le_bytes([a, b, c, d, e, f, g, h]), u64::from_le_bytes(high)]
}

#[cfg(test)]
mod tests {
    use ::poly1305::Poly1305;
    use ::poly1305::universal_hash::KeyInit;
    use proptest::prelude::*;

    use super::*;

    fn words(octets: [u8; 32]) -> [u32; 8] {
        let mut words = octets.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        std::array::from_fn(|_| words.next().unwrap())
    }

    /// The point, and what is added to the sum.
    fn key(point: [u8; 16], added: [u8; 16]) -> [u8; 32] {
        [point, added].concat().try_into().unwrap()
    }

    fn rust_crypto(key: [u8; 32], text: &[u8]) -> [u8; TAG] {
        Poly1305::new(&key.into()).compute_unpadded(text).into()
    }

    #[test]
    fn the_vectors_of_rfc_8439_come_out() {
        let key = words(
            *b"\x85\xd6\xbe\x78\x57\x55\x6d\x33\x7f\x44\x52\xfe\x42\xd5\x06\xa8\
            \x01\x03\x80\x8a\xfb\x0d\xb2\xfd\x4a\xbf\xf6\xaf\x41\x49\xf5\x1b",
        );
        assert_eq!(
            tag(&key, b"Cryptographic Forum Research Group"),
            *b"\xa8\x06\x1d\xc1\x30\x51\x36\xc6\xc2\x2b\x8b\xaf\x0c\x01\x27\xa9"
        );
    }

    #[test]
    fn sums_about_the_modulus_and_carries_come_out() {
        let first = |octet, others| {
            let mut block = [others; 16];
            block[0] = octet;
            block
        };
        let small = |octet| first(octet, 0);
        // Point, added to the sum, text, tag: RFC 8439, A.3, 7 to 11.
        type Row = ([u8; 16], [u8; 16], Vec<[u8; 16]>, [u8; 16]);
        let rows: [Row; 5] = [
            (small(2), [0; 16], vec![[0xff; 16]], small(3)),
            (small(2), [0xff; 16], vec![small(2)], small(3)),
            (small(1), [0; 16], vec![[0xff; 16], first(0xf0, 0xff), small(0x11)], small(5)),
            (small(1), [0; 16], vec![[0xff; 16], first(0xfb, 0xfe), [1; 16]], small(0)),
            (small(2), [0; 16], vec![first(0xfd, 0xff)], first(0xfa, 0xff)),
        ];
        for (point, added, text, expected) in rows {
            let key = key(point, added);
            assert_eq!(tag(&words(key), &text.concat()), expected);
            assert_eq!(rust_crypto(key, &text.concat()), expected);
        }
    }

    #[test]
    fn every_length_has_the_tag_that_rust_crypto_gives_it() {
        let octets: Vec<u8> = (0..3000_u32).map(|at| (at * at / 7) as u8).collect();
        for len in 0..octets.len() {
            let key = key([len as u8; 16], [(len >> 3) as u8; 16]);
            assert_eq!(tag(&words(key), &octets[..len]), rust_crypto(key, &octets[..len]), "{len}");
        }
    }

    #[test]
    fn the_largest_numbers_come_out() {
        for len in 0..300 {
            let text = vec![0xff; len];
            let key = [0xff; 32];
            assert_eq!(tag(&words(key), &text), rust_crypto(key, &text), "{len}");
        }
    }

    /// Octets among which many let carries propagate far.
    fn extreme() -> impl Strategy<Value = u8> {
        prop_oneof![Just(0), Just(0xff), Just(0xfb), Just(1), any::<u8>()]
    }

    proptest! {
        #[test]
        fn any_text_has_the_tag_that_rust_crypto_gives_it(
            key: [u8; 32],
            text in prop::collection::vec(extreme(), 0..400),
        ) {
            prop_assert_eq!(tag(&words(key), &text), rust_crypto(key, &text));
        }
    }
}
