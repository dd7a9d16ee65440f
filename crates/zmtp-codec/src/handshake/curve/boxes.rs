//! Boxes: XSalsa20 and Poly1305 under a key that two sides share. This is the only file that names
//! the cipher.
//!
//! XSalsa20 derives a key from the first two thirds of the nonce, by HSalsa20. Salsa20 then uses
//! that key with the last third. In the traffic of a connection those two thirds are constant, so
//! the key is derived once, and not for each message.

use std::fmt;

use ::salsa20::cipher::consts::U10;
use ::salsa20::hsalsa;
use bytes::BytesMut;
use fearless_simd::Level;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use super::poly1305;
use super::salsa20::{self, BLOCK, BLOCKS, Position, Stream, WORDS};
use crate::mechanism::curve::{CurvePublicKey, CurveSecretKey, TAG};

/// How many octets of a key stream are the key of the MAC.
const MAC_KEY: usize = 32;

/// How many octets of boxes stay in the nearest cache until they are all processed.
const NEAR: usize = 16 * 1024;

/// The number used once: no two boxes under one key may have the same.
#[derive(Debug)]
pub(super) struct Nonce {
    /// The part for HSalsa20.
    prefix: [u8; 16],
    /// The part for Salsa20.
    rest: [u8; 8],
}

/// The nonce for keys that are used for one connection only: a number that rises.
pub(super) fn short_nonce(prefix: &[u8; 16], number: u64) -> Nonce {
    Nonce { prefix: *prefix, rest: number.to_be_bytes() }
}

/// The nonce for permanent keys: random octets.
pub(super) fn long_nonce(prefix: &[u8; 8], random: &[u8; 16]) -> Nonce {
    let [a, b, c, d, e, f, g, h] = *prefix;
    let [i, j, k, l, m, n, o, p, rest @ ..] = *random;
    Nonce { prefix: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p], rest }
}

/// A key that two sides share, wiped when dropped.
pub(super) struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// The key that `secret` and `public` agree on; `None` if `public` is of small order.
    pub(super) fn agree(secret: &CurveSecretKey, public: &CurvePublicKey) -> Option<Self> {
        let agreed = secret.agree(public)?;
        // crypto_box hashes the result of X25519, with HSalsa20 and a nonce of zeros.
        Some(Self(hashed(&agreed, &[0; 16])))
    }

    /// Uses `key` as it is.
    pub(super) fn symmetric(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    /// The key of the boxes whose nonces begin with `prefix`.
    pub(super) fn under(&self, prefix: &[u8; 16]) -> BoxKey {
        BoxKey::new(&hashed(&self.0, prefix))
    }

    /// Appends a box of `parts` to `out`.
    pub(super) fn append(&self, nonce: &Nonce, parts: &[&[u8]], out: &mut BytesMut) {
        let at = out.len();
        out.extend_from_slice(&[0; TAG]);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        let key = self.under(&nonce.prefix);
        let mut boxes = Boxes::under(&key);
        boxes.push(Slot { nonce: nonce.rest, at, end: out.len() });
        boxes.close(out);
    }

    /// Opens a whole box, tag and text, in place. `None` if it is not genuine.
    pub(super) fn unbox<'a>(&self, nonce: &Nonce, boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let key = self.under(&nonce.prefix);
        let mut boxes = Boxes::under(&key);
        boxes.push(Slot { nonce: nonce.rest, at: 0, end: boxed.len() });
        if !boxes.open(boxed) {
            return None;
        }
        boxed.get_mut(TAG..)
    }
}

/// The key that seals and opens boxes, wiped when dropped.
pub(super) struct BoxKey(Zeroizing<[u32; 8]>);

impl BoxKey {
    fn new(key: &[u8; 32]) -> Self {
        let mut words = Zeroizing::new([0; 8]);
        for (word, octets) in words.iter_mut().zip(key.as_chunks().0) {
            *word = u32::from_le_bytes(*octets);
        }
        Self(words)
    }
}

/// The place of a box in a buffer: its tag from `at` on, then the text, up to `end`.
#[derive(Clone, Copy)]
pub(super) struct Slot {
    pub(super) nonce: [u8; 8],
    pub(super) at: usize,
    pub(super) end: usize,
}

impl Slot {
    /// The tag and the text.
    #[inline]
    fn of<'a>(&self, octets: &'a mut [u8]) -> Option<(&'a mut [u8; TAG], &'a mut [u8])> {
        octets.get_mut(self.at..self.end)?.split_first_chunk_mut()
    }

    #[inline]
    fn len(&self) -> usize {
        self.end.saturating_sub(self.at)
    }

    /// How many blocks of key stream the box needs.
    #[inline]
    fn blocks(&self) -> usize {
        self.len().saturating_sub(TAG).saturating_add(MAC_KEY).div_ceil(BLOCK)
    }
}

/// Boxes under one key that are sealed or opened together: the key streams of short ones share
/// vectors. All secrets are wiped when dropped.
pub(super) struct Boxes<'k> {
    key: &'k BoxKey,
    level: Level,
    slots: [Slot; BLOCKS],
    count: usize,
    octets: usize,
    /// The key of each box's MAC: the first octets of its key stream.
    mac_keys: Zeroizing<[[u32; 8]; BLOCKS]>,
    stream: Zeroizing<Stream>,
    /// The boxes to which the blocks in `stream` belong.
    runs: [Run; BLOCKS],
    /// The next block that is not the first one of its box.
    next: Run,
}

/// Consecutive blocks of one box.
#[derive(Clone, Copy)]
struct Run {
    slot: usize,
    block: usize,
    blocks: usize,
}

const NO_BLOCKS: Run = Run { slot: 0, block: 0, blocks: 0 };

impl<'k> Boxes<'k> {
    #[inline]
    pub(super) fn under(key: &'k BoxKey) -> Self {
        Self::at(Level::new(), key)
    }

    #[inline]
    fn at(level: Level, key: &'k BoxKey) -> Self {
        Self {
            key,
            level,
            slots: [Slot { nonce: [0; 8], at: 0, end: 0 }; BLOCKS],
            count: 0,
            octets: 0,
            mac_keys: Zeroizing::new([[0; 8]; BLOCKS]),
            stream: Zeroizing::new([[0; WORDS]; BLOCKS]),
            runs: [NO_BLOCKS; BLOCKS],
            next: NO_BLOCKS,
        }
    }

    /// Adds a box, for which there must be room: see [`is_full`](Self::is_full).
    #[inline]
    pub(super) fn push(&mut self, slot: Slot) {
        debug_assert!(self.count < BLOCKS, "a box that would not be sealed");
        if let Some(free) = self.slots.get_mut(self.count) {
            *free = slot;
            self.count = self.count.saturating_add(1);
            self.octets = self.octets.saturating_add(slot.len());
        }
    }

    /// Whether first blocks fill a vector, or the boxes fill the nearest cache.
    #[inline]
    pub(super) fn is_full(&self) -> bool {
        self.count >= BLOCKS || self.octets >= NEAR
    }

    #[inline]
    pub(super) fn slots(&self) -> &[Slot] {
        self.slots.split_at(self.count.min(BLOCKS)).0
    }

    #[inline]
    pub(super) fn clear(&mut self) {
        (self.count, self.octets) = (0, 0);
    }

    /// Seals the boxes, each of which has room for the tag, and the text after it.
    pub(super) fn close(&mut self, octets: &mut [u8]) {
        self.begin();
        self.apply_streams(octets);
        for (slot, key) in self.slots().iter().zip(&*self.mac_keys) {
            match slot.of(octets) {
                Some((tag, text)) => *tag = poly1305::tag(key, text),
                // The slot lies outside of the buffer: no text may stay in clear.
                None => octets.iter_mut().skip(slot.at).for_each(|octet| *octet = 0),
            }
        }
    }

    /// Decrypts the texts in place, up to the first box that is not genuine. That one and those
    /// after it stay unchanged, and are removed from these boxes. Returns whether all are genuine.
    pub(super) fn open(&mut self, octets: &mut [u8]) -> bool {
        self.begin();
        let mut boxes = self.slots().iter().zip(&*self.mac_keys);
        let forged = boxes.position(|(slot, key)| {
            let genuine = slot.of(octets).map(|(tag, text)| poly1305::tag(key, text).ct_eq(tag));
            !genuine.is_some_and(bool::from)
        });
        if let Some(forged) = forged {
            self.count = forged;
        }
        self.apply_streams(octets);
        forged.is_none()
    }

    /// Makes the first block of each key stream, and further ones if there are lanes left.
    fn begin(&mut self) {
        for (slot, run) in self.runs.iter_mut().enumerate() {
            *run = Run { slot, block: 0, blocks: 1 };
        }
        self.next = Run { slot: 0, block: 1, blocks: 0 };
        self.make(self.count);
        for (key, block) in self.mac_keys.iter_mut().zip(&*self.stream) {
            let [a, b, c, d, e, f, g, h, ..] = *block;
            *key = [a, b, c, d, e, f, g, h];
        }
    }

    /// Adds further runs after the first ones, of a block each, and makes the blocks of all.
    fn make(&mut self, mut runs: usize) {
        let mut lanes = BLOCKS.saturating_sub(runs);
        while lanes > 0
            && let Some(slot) = self.slots().get(self.next.slot)
        {
            let blocks = slot.blocks().saturating_sub(self.next.block).min(lanes);
            if let Some(run) = self.runs.get_mut(runs).filter(|_| blocks > 0) {
                *run = Run { blocks, ..self.next };
                runs = runs.saturating_add(1);
                lanes = lanes.saturating_sub(blocks);
                self.next.block = self.next.block.saturating_add(blocks);
            } else {
                self.next = Run { slot: self.next.slot.saturating_add(1), block: 1, blocks: 0 };
            }
        }
        self.runs.iter_mut().skip(runs).for_each(|run| run.blocks = 0);

        let mut positions = [Position { nonce: [0; 8], block: 0 }; BLOCKS];
        let mut free = positions.iter_mut();
        for run in self.runs.iter().take(runs) {
            let nonce = self.slots.get(run.slot).map_or([0; 8], |slot| slot.nonce);
            for (position, block) in free.by_ref().take(run.blocks).zip(run.block..) {
                *position = Position { nonce, block: block as u64 };
            }
        }
        let count = BLOCKS.saturating_sub(lanes);
        let (positions, _) = positions.split_at(count);
        salsa20::blocks(self.level, &self.key.0, positions, &mut self.stream);
    }

    /// Combines the texts with their key streams, beginning with the blocks that were made last.
    fn apply_streams(&mut self, octets: &mut [u8]) {
        while self.runs.first().is_some_and(|run| run.blocks > 0) {
            let mut stream = self.stream.as_flattened();
            for run in &self.runs {
                let words = run.blocks.saturating_mul(WORDS);
                let Some((words, rest)) = stream.split_at_checked(words) else { break };
                stream = rest;
                let slot = self.slots().get(run.slot).and_then(|slot| slot.of(octets));
                if let Some((_, text)) = slot {
                    run.apply(words, text);
                }
            }
            self.make(0);
        }
    }
}

impl Run {
    /// Combines these blocks with the text of their box.
    #[inline]
    fn apply(&self, words: &[u32], text: &mut [u8]) {
        // The text begins in the first block, after the key of the MAC.
        let (from, words) = match self.block.saturating_mul(BLOCK).checked_sub(MAC_KEY) {
            Some(from) => (from, words),
            None => (0, words.split_at(words.len().min(MAC_KEY / 4)).1),
        };
        let Some(text) = text.get_mut(from..) else { return };
        let (whole, rest) = text.as_chunks_mut();
        let mut words = words.iter();
        for (octets, word) in whole.iter_mut().zip(words.by_ref()) {
            *octets = (u32::from_le_bytes(*octets) ^ word).to_le_bytes();
        }
        if let Some(word) = words.next() {
            rest.iter_mut().zip(word.to_le_bytes()).for_each(|(octet, key)| *octet ^= key);
        }
    }
}

/// HSalsa20.
fn hashed(key: &[u8; 32], input: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    let mut hashed = hsalsa::<U10>(key.into(), input.into());
    let key = Zeroizing::new(hashed.into());
    hashed.as_mut_slice().zeroize();
    key
}

/// Does not show the key.
impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(***)")
    }
}

/// Does not show the key.
impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxKey(***)")
    }
}

/// Seals and opens many boxes at once, with each instruction set of the processor, for tests here
/// and elsewhere.
#[cfg(any(test, feature = "testing"))]
pub mod testing {
    use super::*;

    /// A nonce of Salsa20, and a text or a box.
    pub type Item = ([u8; 8], Vec<u8>);

    /// The boxes of these texts, once for each instruction set.
    pub fn seal(key: &[u8; 32], texts: &[Item]) -> Vec<Vec<Vec<u8>>> {
        let sealed = |level| {
            let room = texts.iter().map(|(nonce, text)| (*nonce, [&[0; TAG], &text[..]].concat()));
            let (slots, mut octets) = together(room);
            in_groups(level, key, &slots, |boxes| {
                boxes.close(&mut octets);
                true
            });
            apart(&slots, &octets)
        };
        salsa20::levels().into_iter().map(sealed).collect()
    }

    /// How many of these boxes open, and the octets of all of them, once for each instruction set.
    pub fn open(key: &[u8; 32], boxes: &[Item]) -> Vec<(usize, Vec<Vec<u8>>)> {
        let opened = |level| {
            let (slots, mut octets) = together(boxes.iter().cloned());
            let mut count = 0_usize;
            in_groups(level, key, &slots, |boxes| {
                let all = boxes.open(&mut octets);
                count = count.saturating_add(boxes.slots().len());
                all
            });
            (count, apart(&slots, &octets))
        };
        salsa20::levels().into_iter().map(opened).collect()
    }

    fn together(items: impl Iterator<Item = Item>) -> (Vec<Slot>, Vec<u8>) {
        let (mut slots, mut octets) = (Vec::new(), Vec::new());
        for (nonce, item) in items {
            let at = octets.len();
            octets.extend(item);
            slots.push(Slot { nonce, at, end: octets.len() });
        }
        (slots, octets)
    }

    fn apart(slots: &[Slot], octets: &[u8]) -> Vec<Vec<u8>> {
        let cut = |slot: &Slot| octets.get(slot.at..slot.end).map(<[u8]>::to_vec);
        slots.iter().filter_map(cut).collect()
    }

    /// Calls `step` with groups of boxes as large as those in traffic, until it returns false.
    fn in_groups(
        level: Level,
        key: &[u8; 32],
        slots: &[Slot],
        mut step: impl FnMut(&mut Boxes<'_>) -> bool,
    ) {
        let key = BoxKey::new(key);
        let mut boxes = Boxes::at(level, &key);
        let mut rest = slots.iter();
        loop {
            boxes.clear();
            while !boxes.is_full()
                && let Some(slot) = rest.next()
            {
                boxes.push(*slot);
            }
            if boxes.slots().is_empty() || !step(&mut boxes) {
                break;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use ::poly1305::Poly1305;
    use ::poly1305::universal_hash::KeyInit;
    use ::salsa20::Salsa20;
    use ::salsa20::cipher::{KeyIvInit, StreamCipher};
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_box_opens_whole_and_unharmed_with_its_key_and_nonce_alone() {
        let [a, b] = [[1; 32], [2; 32]].map(CurveSecretKey::from);
        let [ours, theirs] =
            [(&a, b.public()), (&b, a.public())].map(|(s, p)| SharedKey::agree(s, &p).unwrap());
        let nonce = short_nonce(b"CurveZMQMESSAGEC", 7);
        let octets = [&nonce.prefix[..], &nonce.rest].concat();
        assert_eq!(octets, b"CurveZMQMESSAGEC\0\0\0\0\0\0\0\x07");
        let mut sealed = BytesMut::new();
        ours.append(&nonce, &[b"10001 ", b"17"], &mut sealed);
        assert_eq!(sealed.len(), TAG + 8);
        assert_eq!(
            theirs.unbox(&nonce, &mut sealed.clone()),
            Some(&mut b"10001 17".to_owned()[..])
        );

        for at in 0..sealed.len() {
            let mut bent = sealed.clone();
            bent[at] ^= 1;
            let before = bent.clone();
            assert_eq!(theirs.unbox(&nonce, &mut bent), None, "octet {at}");
            assert_eq!(bent, before, "it can be looked at again");
            assert_eq!(theirs.unbox(&nonce, &mut sealed.clone()[..at]), None, "cut to {at}");
        }
        assert_eq!(theirs.unbox(&long_nonce(b"WELCOME-", &[0; 16]), &mut sealed.clone()), None);
        assert_eq!(SharedKey::symmetric(&[0; 32]).unbox(&nonce, &mut sealed), None);
        assert_eq!(format!("{ours:?}"), "SharedKey(***)");
    }

    /// The box that NaCl makes, with the nonce of Salsa20 alone.
    fn rust_crypto(key: &[u8; 32], nonce: [u8; 8], text: &[u8]) -> Vec<u8> {
        let mut cipher = Salsa20::new(key.into(), &nonce.into());
        let mut mac_key = [0; 32];
        cipher.apply_keystream(&mut mac_key);
        let mut text = text.to_vec();
        cipher.apply_keystream(&mut text);
        [&Poly1305::new(&mac_key.into()).compute_unpadded(&text)[..], &text].concat()
    }

    /// Texts of these lengths, each with another nonce.
    fn texts(lengths: impl IntoIterator<Item = usize>) -> Vec<testing::Item> {
        let text = |(number, len)| {
            (u64::to_be_bytes(number), (0..len).map(|at| (at * 7) as u8 ^ number as u8).collect())
        };
        (1..).zip(lengths).map(text).collect()
    }

    /// Seals and opens texts with each instruction set, and compares with RustCrypto.
    fn compare(key: &[u8; 32], texts: &[testing::Item]) {
        let expected: Vec<_> =
            texts.iter().map(|(nonce, text)| rust_crypto(key, *nonce, text)).collect();
        for sealed in testing::seal(key, texts) {
            assert!(sealed == expected, "{texts:?}");
        }
        let boxes: Vec<_> = texts.iter().map(|it| it.0).zip(expected).collect();
        for (count, opened) in testing::open(key, &boxes) {
            assert_eq!(count, texts.len());
            assert!(opened.iter().zip(texts).all(|(opened, (_, text))| opened[TAG..] == text[..]));
        }
    }

    /// The test vector of NaCl's `secretbox`.
    #[test]
    fn the_box_of_nacl_comes_out() {
        let key = SharedKey::symmetric(
            b"\x1b\x27\x55\x64\x73\xe9\x85\xd4\x62\xcd\x51\x19\x7a\x9a\x46\xc7\
            \x60\x09\x54\x9e\xac\x64\x74\xf2\x06\xc4\xee\x08\x44\xf6\x83\x89",
        );
        let nonce = Nonce {
            prefix: *b"\x69\x69\x6e\xe9\x55\xb6\x2b\x73\xcd\x62\xbd\xa8\x75\xfc\x73\xd6",
            rest: *b"\x82\x19\xe0\x03\x6b\x7a\x0b\x37",
        };
        let text =
            b"\xbe\x07\x5f\xc5\x3c\x81\xf2\xd5\xcf\x14\x13\x16\xeb\xeb\x0c\x7b\x52\x28\xc5\x2a\
            \x4c\x62\xcb\xd4\x4b\x66\x84\x9b\x64\x24\x4f\xfc\xe5\xec\xba\xaf\x33\xbd\x75\x1a\
            \x1a\xc7\x28\xd4\x5e\x6c\x61\x29\x6c\xdc\x3c\x01\x23\x35\x61\xf4\x1d\xb6\x6c\xce\
            \x31\x4a\xdb\x31\x0e\x3b\xe8\x25\x0c\x46\xf0\x6d\xce\xea\x3a\x7f\xa1\x34\x80\x57\
            \xe2\xf6\x55\x6a\xd6\xb1\x31\x8a\x02\x4a\x83\x8f\x21\xaf\x1f\xde\x04\x89\x77\xeb\
            \x48\xf5\x9f\xfd\x49\x24\xca\x1c\x60\x90\x2e\x52\xf0\xa0\x89\xbc\x76\x89\x70\x40\
            \xe0\x82\xf9\x37\x76\x38\x48\x64\x5e\x07\x05";
        let mut sealed = BytesMut::new();
        key.append(&nonce, &[text], &mut sealed);
        let expected =
            b"\xf3\xff\xc7\x70\x3f\x94\x00\xe5\x2a\x7d\xfb\x4b\x3d\x33\x05\xd9\x8e\x99\x3b\x9f\
            \x48\x68\x12\x73\xc2\x96\x50\xba\x32\xfc\x76\xce\x48\x33\x2e\xa7\x16\x4d\x96\xa4\
            \x47\x6f\xb8\xc5\x31\xa1\x18\x6a\xc0\xdf\xc1\x7c\x98\xdc\xe8\x7b\x4d\xa7\xf0\x11\
            \xec\x48\xc9\x72\x71\xd2\xc2\x0f\x9b\x92\x8f\xe2\x27\x0d\x6f\xb8\x63\xd5\x17\x38\
            \xb4\x8e\xee\xe3\x14\xa7\xcc\x8a\xb9\x32\x16\x45\x48\xe5\x26\xae\x90\x22\x43\x68\
            \x51\x7a\xcf\xea\xbd\x6b\xb3\x73\x2b\xc0\xe9\xda\x99\x83\x2b\x61\xca\x01\xb6\xde\
            \x56\x24\x4a\x9e\x88\xd5\xf9\xb3\x79\x73\xf6\x22\xa4\x3d\x14\xa6\x59\x9b\x1f\x65\
            \x4c\xb4\x5a\x74\xe3\x55\xa5";
        assert_eq!(sealed, expected[..]);
    }

    #[test]
    fn a_box_of_any_length_is_that_of_rust_crypto() {
        for len in (0..=200).chain((1..40).flat_map(|blocks| blocks * 64 - 34..blocks * 64 - 28)) {
            compare(&[7; 32], &texts([len]));
        }
    }

    #[test]
    fn boxes_that_share_vectors_are_those_of_rust_crypto() {
        for len in [0, 17, 32, 33, 65, 97, 257] {
            for count in [2, 7, 8, 9, 15, 16, 17, 33] {
                compare(&[8; 32], &texts([len].repeat(count)));
            }
        }
        compare(&[9; 32], &texts((0..100).map(|number| number * 97 % 2000)));
        compare(&[9; 32], &texts([20_000, 1, 40_000, 3]));
    }

    #[test]
    fn a_forged_box_among_others_stays_as_it_is_with_all_after_it() {
        let (key, texts) = ([3; 32], texts([40; 40]));
        for forged in [0, 1, 15, 16, 30, 39] {
            let mut boxes: Vec<_> = texts
                .iter()
                .map(|(nonce, text)| (*nonce, rust_crypto(&key, *nonce, text)))
                .collect();
            boxes[forged].1[TAG + 5] ^= 1;
            for (count, opened) in testing::open(&key, &boxes) {
                assert_eq!(count, forged);
                let untouched = opened.iter().zip(&boxes).skip(forged);
                assert!(
                    untouched.clone().count() > 0 && untouched.clone().all(|(a, (_, b))| a == b)
                );
                assert!(
                    opened.iter().zip(&texts).take(forged).all(|(a, (_, b))| a[TAG..] == b[..])
                );
            }
        }
    }

    #[test]
    fn where_there_is_no_room_for_a_tag_nothing_of_the_text_stays() {
        let key = BoxKey::new(&[1; 32]);
        let mut boxes = Boxes::under(&key);
        boxes.push(Slot { nonce: [1; 8], at: 1, end: TAG });
        let mut octets = [7; TAG];
        boxes.close(&mut octets);
        assert_eq!(octets, *b"\x07\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
    }

    #[test]
    fn a_box_without_room_for_a_tag_opens_nowhere() {
        for len in 0..TAG {
            let boxes = [([1; 8], vec![0; len])];
            assert!(testing::open(&[1; 32], &boxes).iter().all(|(count, _)| *count == 0), "{len}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]

        #[test]
        fn any_boxes_are_those_of_rust_crypto(
            key: [u8; 32],
            texts in prop::collection::vec(
                (any::<[u8; 8]>(), prop::collection::vec(any::<u8>(), 0..300)),
                1..40,
            ),
        ) {
            compare(&key, &texts);
        }
    }
}
