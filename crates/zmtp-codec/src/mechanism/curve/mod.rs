//! CURVE: the keys, and the sizes of the commands (RFC 25 and 26).

mod keys;
mod z85;

pub use self::keys::{CurveKeyPair, CurvePublicKey, CurveSecretKey};

/// By how many octets a box is longer than its content; they precede it.
pub(crate) const TAG: usize = 16;

/// The cookie on the wire: its nonce, and C' and s' in a box.
pub(crate) const COOKIE: usize = 16 + TAG + 64;

/// The vouch on the wire: its nonce, and C' and S in a box.
pub(crate) const VOUCH: usize = 16 + TAG + 64;

/// The body of a HELLO, in octets: name, version, padding, key, nonce, box.
pub(crate) const HELLO: usize = b"\x05HELLO".len() + 2 + 72 + 32 + 8 + TAG + 64;

/// The body of a WELCOME, in octets: name, nonce, box of key and cookie.
pub(crate) const WELCOME: usize = b"\x07WELCOME".len() + 16 + TAG + 32 + COOKIE;

/// The body of an INITIATE without metadata, in octets.
pub(crate) const INITIATE: usize = b"\x08INITIATE".len() + COOKIE + 8 + TAG + 32 + VOUCH;

/// The body of a READY without metadata, in octets.
pub(crate) const READY: usize = b"\x05READY".len() + 8 + TAG;

// RFC 26 counts whole commands.
const _: () = assert!(HELLO == 200 && WELCOME == 168 && INITIATE == 257 && READY == 30);
