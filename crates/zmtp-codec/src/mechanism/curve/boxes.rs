//! Boxes: XSalsa20 and Poly1305 under a key that two sides share. The one place that names the
//! cipher.

use std::fmt;

use bytes::BytesMut;
use crypto_secretbox::{AeadInPlace, Kdf, KeyInit, XSalsa20Poly1305};
use zeroize::Zeroize;

use super::keys::{CurvePublicKey, CurveSecretKey};

/// How many octets a box has more than what is in it; they stand before it.
pub(super) const TAG: usize = 16;

pub(super) type Nonce = [u8; 24];

/// Protects keys that are used but for one connection: a number that rises.
pub(super) fn short_nonce(prefix: &[u8; 16], number: u64) -> Nonce {
    nonce(prefix, &number.to_be_bytes())
}

/// Protects permanent keys: random octets.
pub(super) fn long_nonce(prefix: &[u8; 8], random: &[u8; 16]) -> Nonce {
    nonce(prefix, random)
}

fn nonce(prefix: &[u8], own: &[u8]) -> Nonce {
    let mut nonce = [0; 24];
    for (to, from) in nonce.iter_mut().zip(prefix.iter().chain(own)) {
        *to = *from;
    }
    nonce
}

/// A key with which boxes are sealed and opened, wiped when dropped.
pub(super) struct SharedKey(XSalsa20Poly1305);

impl SharedKey {
    /// What `secret` and `public` have in common; `None` where `public` is of small order.
    pub(super) fn agree(secret: &CurveSecretKey, public: &CurvePublicKey) -> Option<Self> {
        let agreed = secret.agree(public)?;
        // crypto_box hashes what X25519 gives, with HSalsa20 and no nonce.
        let mut key = XSalsa20Poly1305::kdf((&*agreed).into(), &[0; 16].into());
        let shared = Self(XSalsa20Poly1305::new(&key));
        key.as_mut_slice().zeroize();
        Some(shared)
    }

    /// This very key.
    pub(super) fn symmetric(key: &[u8; 32]) -> Self {
        Self(XSalsa20Poly1305::new(key.into()))
    }

    /// Encrypts `text` in place, and returns its tag.
    #[inline]
    pub(super) fn seal(&self, nonce: &Nonce, text: &mut [u8]) -> [u8; TAG] {
        #[expect(clippy::expect_used, reason = "it can fail for associated data alone")]
        let tag = self.0.encrypt_in_place_detached(nonce.into(), b"", text).expect("there is none");
        tag.into()
    }

    /// Decrypts `text` in place; when it is not genuine, leaves it as it is and returns `false`.
    #[inline]
    pub(super) fn open(&self, nonce: &Nonce, tag: &[u8; TAG], text: &mut [u8]) -> bool {
        self.0.decrypt_in_place_detached(nonce.into(), b"", text, tag.into()).is_ok()
    }

    /// Appends a box of `parts` to `out`.
    pub(super) fn append(&self, nonce: &Nonce, parts: &[&[u8]], out: &mut BytesMut) {
        let at = out.len();
        out.extend_from_slice(&[0; TAG]);
        parts.iter().for_each(|part| out.extend_from_slice(part));
        self.close(nonce, out.get_mut(at..).unwrap_or_default());
    }

    /// Makes a box of room for the tag with the text after it.
    #[inline]
    pub(super) fn close(&self, nonce: &Nonce, room: &mut [u8]) {
        if let Some((tag, text)) = room.split_first_chunk_mut() {
            *tag = self.seal(nonce, text);
        }
    }

    /// Opens a whole box, tag and text, in place.
    pub(super) fn unbox<'a>(&self, nonce: &Nonce, boxed: &'a mut [u8]) -> Option<&'a mut [u8]> {
        let (tag, text) = boxed.split_first_chunk_mut()?;
        self.open(nonce, tag, text).then_some(text)
    }
}

/// Shows nothing of the key.
impl fmt::Debug for SharedKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SharedKey(***)")
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
        assert_eq!(&nonce[..], b"CurveZMQMESSAGEC\0\0\0\0\0\0\0\x07");
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
