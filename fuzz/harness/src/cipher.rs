use poly1305::Poly1305;
use poly1305::universal_hash::KeyInit;
use salsa20::Salsa20;
use salsa20::cipher::{KeyIvInit, StreamCipher};
use zmtp_codec::boxes::{self, Item};

use crate::script::Script;

const TAG: usize = 16;

/// More texts make a run slow, and reach no other code.
const TEXTS: usize = 64;

/// Compares the library's boxes with those made by RustCrypto's Salsa20 and Poly1305.
///
/// Instructions: a key of 32 octets, and an octet that selects the forged box; then texts. Each
/// text has two octets of length, one for the number of octets that follow and are repeated up to
/// that length, and one for the nonce.
pub fn cipher(data: &[u8]) {
    let mut script = Script::new(data);
    let mut key = [0; 32];
    key.iter_mut().zip(script.take(32)).for_each(|(to, from)| *to = *from);
    let forged = usize::from(script.octet());
    let mut texts: Vec<Item> = Vec::new();
    while !script.is_over() && texts.len() < TEXTS {
        let len = usize::from(u16::from_le_bytes([script.octet(), script.octet()])) % 5000;
        let pattern = usize::from(script.octet());
        let nonce = [script.octet(); 8];
        let pattern = script.take(pattern);
        texts.push((nonce, pattern.iter().chain(&[0]).copied().cycle().take(len).collect()));
    }

    let mut expected: Vec<_> =
        texts.iter().map(|(nonce, text)| sealed(&key, *nonce, text)).collect();
    for boxes in boxes::seal(&key, &texts) {
        assert!(boxes == expected, "sealed otherwise");
    }

    if let Some(octet) = expected.get_mut(forged).and_then(|forged| forged.last_mut()) {
        *octet ^= 1;
    }
    let genuine = forged.min(texts.len());
    let boxes: Vec<Item> = texts.iter().map(|(nonce, _)| *nonce).zip(expected).collect();
    for (count, opened) in boxes::open(&key, &boxes) {
        assert_eq!(count, genuine);
        let (open, untouched) = opened.split_at(count);
        assert!(open.iter().zip(&texts).all(|(opened, (_, text))| opened[TAG..] == text[..]));
        assert!(untouched.iter().zip(&boxes[count..]).all(|(left, (_, was))| left == was));
    }
}

fn sealed(key: &[u8; 32], nonce: [u8; 8], text: &[u8]) -> Vec<u8> {
    let mut cipher = Salsa20::new(key.into(), &nonce.into());
    // The first octets of the key stream are the key of the MAC.
    let mut mac_key = [0; 32];
    cipher.apply_keystream(&mut mac_key);
    let mut text = text.to_vec();
    cipher.apply_keystream(&mut text);
    [&Poly1305::new(&mac_key.into()).compute_unpadded(&text)[..], &text].concat()
}
