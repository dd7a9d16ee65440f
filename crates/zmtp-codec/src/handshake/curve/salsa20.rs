//! The key stream of Salsa20, many blocks at once: of one message or of several.
//!
//! Each lane of a vector holds a block of its own, so the rounds are those of one block, with
//! vectors in place of words. The width of the vectors is chosen at run time, by the processor's
//! instruction set.
//!
//! The time depends only on the number of blocks, and on no secret: words are added, rotated by
//! constant distances and combined with XOR. There is no branch, and the only index is the number
//! of the block.

#![cfg_attr(
    not(test),
    expect(
        clippy::arithmetic_side_effects,
        reason = "the lanes of a vector wrap, as Salsa20's words do"
    )
)]

use fearless_simd::prelude::*;
use fearless_simd::{Level, dispatch};

/// Words of a block.
pub(super) const WORDS: usize = 16;

/// Octets of a block.
pub(super) const BLOCK: usize = WORDS * size_of::<u32>();

/// How many blocks are made at once: as many as the widest vectors have lanes.
pub(super) const BLOCKS: usize = 16;

/// The place of a block: its stream and its number.
#[derive(Clone, Copy, Debug)]
pub(super) struct Position {
    pub(super) nonce: [u8; 8],
    pub(super) block: u64,
}

/// Blocks of key stream, as words.
pub(super) type Stream = [[u32; WORDS]; BLOCKS];

/// Makes the blocks at these positions, at most [`BLOCKS`], at the front of `stream`.
#[inline]
pub(super) fn blocks(level: Level, key: &[u32; 8], positions: &[Position], stream: &mut Stream) {
    dispatch!(level, simd => vectors_of_blocks(simd, key, positions, stream));
}

#[inline(always)]
fn vectors_of_blocks<S: Simd>(
    simd: S,
    key: &[u32; 8],
    positions: &[Position],
    stream: &mut Stream,
) {
    let lanes = S::u32s::LEN;
    for (positions, stream) in positions.chunks(lanes).zip(stream.chunks_exact_mut(lanes)) {
        // The words in which the lanes differ: the nonce, and the number of the block.
        let mut own = [[0; BLOCKS]; 4];
        let [nonce, nonce_high, block, block_high] = &mut own;
        let words = nonce.iter_mut().zip(nonce_high).zip(block).zip(block_high);
        for (position, (((nonce, nonce_high), block), block_high)) in positions.iter().zip(words) {
            [*nonce, *nonce_high] = halves(u64::from_le_bytes(position.nonce));
            [*block, *block_high] = halves(position.block);
        }
        let mixed = lanes_of_blocks(simd, key, &own);
        for (vector, stream) in mixed.iter().zip(stream.as_flattened_mut().chunks_exact_mut(lanes))
        {
            vector.store_slice(stream);
        }
    }
}

/// A block in each lane; the vectors hold one block after the other.
#[inline(always)]
fn lanes_of_blocks<S: Simd>(simd: S, key: &[u32; 8], own: &[[u32; BLOCKS]; 4]) -> [S::u32s; WORDS] {
    let [a, b, c, d] =
        [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574].map(|word| S::u32s::splat(simd, word));
    let [e, f, g, h, i, j, k, l] = key.map(|word| S::u32s::splat(simd, word));
    let [m, n, o, p] =
        own.each_ref().map(|lanes| S::u32s::from_slice(simd, lanes.split_at(S::u32s::LEN).0));
    let start = [a, e, f, g, h, b, m, n, o, p, c, i, j, k, l, d];
    let mut words = start;
    for _ in 0..10 {
        double_round::<S>(&mut words);
    }
    for (word, start) in words.iter_mut().zip(start) {
        *word += start;
    }
    transposed::<S>(words)
}

/// The columns, then the rows.
#[inline(always)]
fn double_round<S: Simd>(x: &mut [S::u32s; WORDS]) {
    [x[0], x[4], x[8], x[12]] = quarter_round::<S>(x[0], x[4], x[8], x[12]);
    [x[5], x[9], x[13], x[1]] = quarter_round::<S>(x[5], x[9], x[13], x[1]);
    [x[10], x[14], x[2], x[6]] = quarter_round::<S>(x[10], x[14], x[2], x[6]);
    [x[15], x[3], x[7], x[11]] = quarter_round::<S>(x[15], x[3], x[7], x[11]);

    [x[0], x[1], x[2], x[3]] = quarter_round::<S>(x[0], x[1], x[2], x[3]);
    [x[5], x[6], x[7], x[4]] = quarter_round::<S>(x[5], x[6], x[7], x[4]);
    [x[10], x[11], x[8], x[9]] = quarter_round::<S>(x[10], x[11], x[8], x[9]);
    [x[15], x[12], x[13], x[14]] = quarter_round::<S>(x[15], x[12], x[13], x[14]);
}

#[inline(always)]
fn quarter_round<S: Simd>(
    mut a: S::u32s,
    mut b: S::u32s,
    mut c: S::u32s,
    mut d: S::u32s,
) -> [S::u32s; 4] {
    b ^= rotated::<S, 7>(a + d);
    c ^= rotated::<S, 9>(b + a);
    d ^= rotated::<S, 13>(c + b);
    a ^= rotated::<S, 18>(d + c);
    [a, b, c, d]
}

#[inline(always)]
fn rotated<S: Simd, const LEFT: u32>(words: S::u32s) -> S::u32s {
    (words << LEFT) | (words >> (32 - LEFT))
}

/// Transposes vectors of one word of all blocks into the words of one block after another.
///
/// Each step moves the highest bit of a word's number, counted over all words of all vectors, to
/// the lowest place. Four steps move the number of the word in its block behind the number of the
/// block, for any number of lanes.
#[inline(always)]
fn transposed<S: Simd>(mut x: [S::u32s; WORDS]) -> [S::u32s; WORDS] {
    for _ in 0..WORDS.ilog2() {
        let [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p] = x;
        let ((a, b), (c, d), (e, f), (g, h), (i, j), (k, l), (m, n), (o, p)) = (
            a.interleave(i),
            b.interleave(j),
            c.interleave(k),
            d.interleave(l),
            e.interleave(m),
            f.interleave(n),
            g.interleave(o),
            h.interleave(p),
        );
        x = [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p];
    }
    x
}

/// The low and the high half.
#[inline(always)]
fn halves(number: u64) -> [u32; 2] {
    let [a, b, c, d, e, f, g, h] = number.to_le_bytes();
    [[a, b, c, d], [e, f, g, h]].map(u32::from_le_bytes)
}

/// The instruction sets of this processor, the best first, so that tests cover all of them.
#[cfg(any(test, feature = "testing"))]
pub(super) fn levels() -> Vec<Level> {
    let best = Level::new();
    let mut levels = vec![best];
    #[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
    levels.extend(
        [
            best.as_avx2().map(Level::Avx2),
            best.as_sse4_2().map(Level::Sse4_2),
            best.as_sse2().map(Level::Sse2),
        ]
        .into_iter()
        .flatten(),
    );
    levels.push(Level::fallback());
    levels
}

#[cfg(test)]
mod tests {
    use std::mem::discriminant;

    use ::salsa20::Salsa20;
    use ::salsa20::cipher::{KeyIvInit, StreamCipher, StreamCipherSeek};
    use proptest::prelude::*;

    use super::*;

    fn made(level: Level, key: [u8; 32], positions: &[Position]) -> Vec<[u8; BLOCK]> {
        let mut words = key.chunks(4).map(|word| u32::from_le_bytes(word.try_into().unwrap()));
        let key = std::array::from_fn(|_| words.next().unwrap());
        let mut stream = [[0; WORDS]; BLOCKS];
        blocks(level, &key, positions, &mut stream);
        let block = |words: &[u32; WORDS]| words.map(u32::to_le_bytes).concat().try_into().unwrap();
        stream.iter().take(positions.len()).map(block).collect()
    }

    fn rust_crypto(key: [u8; 32], position: Position) -> [u8; BLOCK] {
        let mut cipher = Salsa20::new(&key.into(), &position.nonce.into());
        cipher.seek(position.block * BLOCK as u64);
        let mut block = [0; BLOCK];
        cipher.apply_keystream(&mut block);
        block
    }

    #[test]
    fn each_way_of_making_blocks_is_tried_here() {
        let mut ways: Vec<_> = levels().iter().map(discriminant).collect();
        ways.dedup();
        let expected = if cfg!(target_arch = "x86_64") { 3 } else { 1 };
        assert!(ways.len() >= expected, "{:?}", levels());
    }

    /// The test vectors of eSTREAM for 256 bits: set 1, vector 0, the first block.
    #[test]
    fn the_block_of_the_standard_comes_out_in_every_lane() {
        let mut key = [0; 32];
        key[0] = 0x80;
        for level in levels() {
            for count in 1..=BLOCKS {
                for block in
                    made(level, key, &[Position { nonce: [0; 8], block: 0 }; BLOCKS][..count])
                {
                    assert_eq!(
                        block,
                        *b"\xe3\xbe\x8f\xdd\x8b\xec\xa2\xe3\xea\x8e\xf9\x47\x5b\x29\xa6\xe7\
                        \x00\x39\x51\xe1\x09\x7a\x5c\x38\xd2\x3b\x7a\x5f\xad\x9f\x68\x44\
                        \xb2\x2c\x97\x55\x9e\x27\x23\xc7\xcb\xbd\x3f\xe4\xfc\x8d\x9a\x07\
                        \x44\x65\x2a\x83\xe7\x2a\x9c\x46\x18\x76\xaf\x4d\x7e\xf1\xa1\x17"
                    );
                }
            }
        }
    }

    proptest! {
        #[test]
        fn every_lane_has_the_block_that_rust_crypto_makes(
            key: [u8; 32],
            // RustCrypto counts octets with 64 bits.
            positions in prop::collection::vec((any::<[u8; 8]>(), 0..u64::MAX / 64), 1..=BLOCKS),
        ) {
            let positions: Vec<_> =
                positions.into_iter().map(|(nonce, block)| Position { nonce, block }).collect();
            let expected: Vec<_> = positions.iter().map(|it| rust_crypto(key, *it)).collect();
            for level in levels() {
                prop_assert_eq!(&made(level, key, &positions), &expected, "{:?}", level);
            }
        }
    }
}
