//! Boxes: XSalsa20 and Poly1305 under a key that two sides share. The one place that names the
//! cipher.
//!
//! XSalsa20 makes a key of the first two thirds of the nonce, by HSalsa20, and Salsa20 goes on with
//! that and the last third. In the traffic of a connection those two thirds stay, and so the key
//! is made once, and not for each message.

use std::fmt;

use bytes::BytesMut;
use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use salsa20::cipher::consts::U10;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use salsa20::{Salsa20, hsalsa};
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::mechanism::curve::{CurvePublicKey, CurveSecretKey, TAG};

/// What a box is sealed with beside the key, and with no other box.
#[derive(Debug)]
pub(super) struct Nonce {
    /// For XSalsa20.
    prefix: [u8; 16],
    /// For Salsa20.
    rest: [u8; 8],
}

/// Protects keys that are used but for one connection: a number that rises.
pub(super) fn short_nonce(prefix: &[u8; 16], number: u64) -> Nonce {
    Nonce { prefix: *prefix, rest: number.to_be_bytes() }
}

/// Protects permanent keys: random octets.
pub(super) fn long_nonce(prefix: &[u8; 8], random: &[u8; 16]) -> Nonce {
    let [a, b, c, d, e, f, g, h] = *prefix;
    let [i, j, k, l, m, n, o, p, rest @ ..] = *random;
    Nonce { prefix: [a, b, c, d, e, f, g, h, i, j, k, l, m, n, o, p], rest }
}

/// A key that two sides share, wiped when dropped.
pub(super) struct SharedKey(Zeroizing<[u8; 32]>);

impl SharedKey {
    /// What `secret` and `public` have in common; `None` where `public` is of small order.
    pub(super) fn agree(secret: &CurveSecretKey, public: &CurvePublicKey) -> Option<Self> {
        let agreed = secret.agree(public)?;
        // crypto_box hashes what X25519 gives, with HSalsa20 and no nonce.
        Some(Self(hashed(&agreed, &[0; 16])))
    }

    /// This very key.
    pub(super) fn symmetric(key: &[u8; 32]) -> Self {
        Self(Zeroizing::new(*key))
    }

    /// The key of the boxes whose nonces begin with `prefix`.
    pub(super) fn under(&self, prefix: &[u8; 16]) -> BoxKey {
        BoxKey(hashed(&self.0, prefix))
    }

    /// Appends a box of `parts` to `out`.
    pub(super) fn append(&self, nonce: &Nonce, parts: &[&[u8]], out: &mut BytesMut) {
        let at = out.len();
        out.extend_from_slice(&[0; TAG]);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        self.under(&nonce.prefix).close(nonce.rest, at, out);
    }

    /// Opens a whole box, tag and text, in place.
    pub(super) fn unbox<'a>(&self, nonce: &Nonce, boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (tag, text) = boxed.split_first_chunk_mut()?;
        self.under(&nonce.prefix).open(nonce.rest, tag, text).then_some(text)
    }
}

/// A key with which boxes are sealed and opened, wiped when dropped.
pub(super) struct BoxKey(Zeroizing<[u8; 32]>);

impl BoxKey {
    /// Makes a box of what stands in `out` from `at` on, room for the tag and the text after it. Where there
    /// is no such room, nothing of the text stays there.
    #[inline]
    pub(super) fn close(&self, nonce: [u8; 8], at: usize, out: &mut BytesMut) {
        let room = out.get_mut(at..).and_then(<[u8]>::split_first_chunk_mut::<TAG>);
        let Some((tag, text)) = room else { return out.truncate(at) };
        let (mut cipher, hash) = self.begin(nonce);
        cipher.apply_keystream(text);
        *tag = hash.compute_unpadded(text).into();
    }

    /// Decrypts `text` in place; when it is not genuine, leaves it as it is and returns `false`.
    #[inline]
    pub(super) fn open(&self, nonce: [u8; 8], tag: &[u8; TAG], text: &mut [u8]) -> bool {
        let (mut cipher, hash) = self.begin(nonce);
        let genuine = hash.compute_unpadded(text).as_slice().ct_eq(tag).into();
        if genuine {
            cipher.apply_keystream(text);
        }
        genuine
    }

    /// The cipher of one box, and the hash under a key from the first of its stream.
    #[inline]
    fn begin(&self, nonce: [u8; 8]) -> (Salsa20, Poly1305) {
        let mut cipher = Salsa20::new((&*self.0).into(), &nonce.into());
        let mut key = Zeroizing::new([0; 32]);
        cipher.apply_keystream(&mut *key);
        (cipher, Poly1305::new((&*key).into()))
    }
}

/// HSalsa20.
fn hashed(key: &[u8; 32], input: &[u8; 16]) -> Zeroizing<[u8; 32]> {
    let mut hashed = hsalsa::<U10>(key.into(), input.into());
    let key = Zeroizing::new(hashed.into());
    hashed.as_mut_slice().zeroize();
    key
}

/// Shows nothing of the key.
impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(***)")
    }
}

/// Shows nothing of the key.
impl fmt::Debug for BoxKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BoxKey(***)")
    }
}

#[cfg(test)]
mod tests {
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
}
