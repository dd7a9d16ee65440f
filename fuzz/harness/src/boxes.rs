//! The cryptography of a peer that makes CURVE's commands by hand (RFC 26), and so can make them
//! wrong. It uses no code of the library: a result that both share is then no mistake of both.

use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use salsa20::cipher::consts::U10;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use salsa20::{XSalsa20, hsalsa};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

const TAG: usize = 16;

/// The key that two sides share.
#[derive(Clone)]
pub(crate) struct Shared([u8; 32]);

/// The public half of a secret key.
pub(crate) fn public(secret: [u8; 32]) -> [u8; 32] {
    x25519(secret, X25519_BASEPOINT_BYTES)
}

/// A nonce: a prefix, followed by the octets that make it unique.
pub(crate) fn nonce(prefix: &[u8], own: &[u8]) -> [u8; 24] {
    [prefix, own].concat().try_into().expect("24 octets together")
}

impl Shared {
    pub(crate) fn agree(secret: [u8; 32], public: [u8; 32]) -> Self {
        let agreed = x25519(secret, public);
        Self(hsalsa::<U10>(&agreed.into(), &[0; 16].into()).into())
    }

    pub(crate) fn seal(&self, nonce: [u8; 24], text: &[u8]) -> Vec<u8> {
        let (mut cipher, hash) = self.begin(nonce);
        let mut text = text.to_vec();
        cipher.apply_keystream(&mut text);
        [&hash.compute_unpadded(&text)[..], &text].concat()
    }

    pub(crate) fn open(&self, nonce: [u8; 24], boxed: &[u8]) -> Option<Vec<u8>> {
        let (mut cipher, hash) = self.begin(nonce);
        let (tag, text) = boxed.split_at_checked(TAG)?;
        let is_genuine = hash.compute_unpadded(text)[..] == *tag;
        let mut text = text.to_vec();
        cipher.apply_keystream(&mut text);
        is_genuine.then_some(text)
    }

    /// The first octets of the key stream are the key of the MAC.
    fn begin(&self, nonce: [u8; 24]) -> (XSalsa20, Poly1305) {
        let mut cipher = XSalsa20::new(&self.0.into(), &nonce.into());
        let mut key = [0; 32];
        cipher.apply_keystream(&mut key);
        (cipher, Poly1305::new(&key.into()))
    }
}
