//! What a peer needs who makes CURVE's commands by hand (RFC 26), so that it can make them wrong. No code
//! of the library: what both do alike is then no mistake of both.

use crypto_secretbox::{AeadInPlace, Kdf, KeyInit, XSalsa20Poly1305};
use x25519_dalek::{X25519_BASEPOINT_BYTES, x25519};

const TAG: usize = 16;

/// The key that two sides share.
#[derive(Clone)]
pub(crate) struct Shared(XSalsa20Poly1305);

/// The public half of a secret key.
pub(crate) fn public(secret: [u8; 32]) -> [u8; 32] {
    x25519(secret, X25519_BASEPOINT_BYTES)
}

/// A nonce: a prefix, and what makes it unique.
pub(crate) fn nonce(prefix: &[u8], own: &[u8]) -> [u8; 24] {
    [prefix, own].concat().try_into().expect("24 octets together")
}

impl Shared {
    pub(crate) fn agree(secret: [u8; 32], public: [u8; 32]) -> Self {
        let agreed = x25519(secret, public);
        Self(XSalsa20Poly1305::new(&XSalsa20Poly1305::kdf(&agreed.into(), &[0; 16].into())))
    }

    pub(crate) fn seal(&self, nonce: [u8; 24], text: &[u8]) -> Vec<u8> {
        let mut text = text.to_vec();
        let tag = self.0.encrypt_in_place_detached(&nonce.into(), b"", &mut text);
        [&tag.expect("there is room")[..], &text].concat()
    }

    pub(crate) fn open(&self, nonce: [u8; 24], boxed: &[u8]) -> Option<Vec<u8>> {
        let (tag, text) = boxed.split_at_checked(TAG)?;
        let mut text = text.to_vec();
        self.0.decrypt_in_place_detached(&nonce.into(), b"", &mut text, tag.into()).ok()?;
        Some(text)
    }
}
