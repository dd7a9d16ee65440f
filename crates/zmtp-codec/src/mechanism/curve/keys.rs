//! Keys: 32 octets, or 40 characters of Z85.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use subtle::ConstantTimeEq;
use x25519_dalek::{PublicKey, StaticSecret};
use zeroize::Zeroizing;

use super::z85;
use crate::error::InvalidKey;
use crate::randomness::{NoRandomness, Randomness};

/// The public half of a CURVE key, by which others know its owner. Prints as Z85.
///
/// ```
/// use zmtp_codec::CurvePublicKey;
///
/// let key: CurvePublicKey = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID".parse()?;
/// assert_eq!(key.to_string(), "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID");
/// # Ok::<(), zmtp_codec::InvalidKey>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct CurvePublicKey([u8; 32]);

impl CurvePublicKey {
    /// The key in its wire form.
    pub fn as_octets(&self) -> &[u8; 32] {
        &self.0
    }

    /// Whether no secret can be agreed on with this key: its order is small.
    pub(crate) fn is_weak(&self) -> bool {
        CurveSecretKey::from([1; 32]).agree(self).is_none()
    }
}

impl From<[u8; 32]> for CurvePublicKey {
    fn from(octets: [u8; 32]) -> Self {
        Self(octets)
    }
}

/// From the 40 characters of Z85.
impl FromStr for CurvePublicKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        z85::decode(text).map(|octets| Self(*octets))
    }
}

impl fmt::Display for CurvePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&z85::encode(&self.0))
    }
}

impl fmt::Debug for CurvePublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CurvePublicKey({self})")
    }
}

/// The secret half of a CURVE key. It is wiped from memory when dropped, compared in constant time,
/// and shown only by [`to_z85`](Self::to_z85).
#[derive(Clone)]
pub struct CurveSecretKey(StaticSecret);

impl CurveSecretKey {
    /// The 40 characters of Z85, wiped when dropped.
    pub fn to_z85(&self) -> Zeroizing<String> {
        Zeroizing::new(z85::encode(self.0.as_bytes()))
    }

    pub(crate) fn public(&self) -> CurvePublicKey {
        CurvePublicKey(PublicKey::from(&self.0).to_bytes())
    }

    /// X25519; `None` if the order of the other key is so small that anybody can tell the result.
    pub(crate) fn agree(&self, other: &CurvePublicKey) -> Option<Zeroizing<[u8; 32]>> {
        let shared = self.0.diffie_hellman(&PublicKey::from(other.0));
        shared.was_contributory().then(|| Zeroizing::new(shared.to_bytes()))
    }
}

/// Any 32 octets are a key.
impl From<[u8; 32]> for CurveSecretKey {
    fn from(octets: [u8; 32]) -> Self {
        Self(octets.into())
    }
}

/// From the 40 characters of Z85.
impl FromStr for CurveSecretKey {
    type Err = InvalidKey;

    fn from_str(text: &str) -> Result<Self, InvalidKey> {
        z85::decode(text).map(|octets| Self::from(*octets))
    }
}

impl PartialEq for CurveSecretKey {
    fn eq(&self, other: &Self) -> bool {
        self.0.as_bytes().ct_eq(other.0.as_bytes()).into()
    }
}

impl Eq for CurveSecretKey {}

/// Shows nothing of the key.
impl fmt::Debug for CurveSecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CurveSecretKey(***)")
    }
}

/// A permanent key of CURVE, both halves. A clone shares the secret.
///
/// ```
/// use zmtp_codec::{CurveKeyPair, CurveSecretKey};
///
/// let keys = CurveKeyPair::generate()?;
/// let kept = keys.secret().to_z85();
/// // … and when the program starts again:
/// let secret: CurveSecretKey = kept.parse()?;
/// assert_eq!(CurveKeyPair::from(secret), keys);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct CurveKeyPair {
    public: CurvePublicKey,
    secret: Arc<CurveSecretKey>,
}

impl CurveKeyPair {
    /// A new key, from the operating system's randomness.
    ///
    /// # Errors
    /// [`NoRandomness`]
    pub fn generate() -> Result<Self, NoRandomness> {
        Self::drawn_from(&Randomness::default())
    }

    fn drawn_from(randomness: &Randomness) -> Result<Self, NoRandomness> {
        Ok(CurveSecretKey::from(*randomness.begin().draw()?).into())
    }

    /// A pair whose public half is given, too. If it does not belong to the secret half, the other
    /// side finds out, and ends each handshake.
    pub fn with_public(secret: CurveSecretKey, public: CurvePublicKey) -> Self {
        Self { public, secret: Arc::new(secret) }
    }

    /// The public half.
    pub fn public(&self) -> CurvePublicKey {
        self.public
    }

    /// The secret half.
    pub fn secret(&self) -> &CurveSecretKey {
        &self.secret
    }
}

/// Computes the public half from the secret one.
impl From<CurveSecretKey> for CurveKeyPair {
    fn from(secret: CurveSecretKey) -> Self {
        Self { public: secret.public(), secret: Arc::new(secret) }
    }
}

/// Shows the public half.
impl fmt::Debug for CurveKeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "CurveKeyPair({}, ***)", self.public)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The pair in libzmq's manual, zmq_curve.
    const PUBLIC: &str = "Yne@$w-vo<fVvi]a<NY6T1ed:M$fCG*[IaLV{hID";
    const SECRET: &str = "D:)Q[IlAW!ahhC2ac:9*A}h:p?([4%wOTJ%JR%cs";

    #[test]
    fn the_public_half_follows_from_the_secret_one() {
        let secret: CurveSecretKey = SECRET.parse().unwrap();
        assert_eq!(*secret.to_z85(), SECRET);
        let keys = CurveKeyPair::from(secret.clone());
        assert_eq!(keys.public(), PUBLIC.parse().unwrap());
        assert_eq!(keys.secret(), &secret);
        assert_ne!(keys, CurveKeyPair::generate().unwrap());
        assert_ne!(CurveKeyPair::generate().unwrap(), CurveKeyPair::generate().unwrap());
        assert!("short".parse::<CurveSecretKey>().is_err());
    }

    #[test]
    fn a_public_half_may_be_given() {
        let [a, b] = [[1; 32], [2; 32]].map(CurveSecretKey::from);
        let keys = CurveKeyPair::with_public(a.clone(), b.public());
        assert_eq!((keys.secret(), keys.public()), (&a, b.public()));
        assert_eq!(CurveKeyPair::with_public(a.clone(), a.public()), CurveKeyPair::from(a));
    }

    #[test]
    fn without_randomness_there_is_no_key() {
        assert_eq!(CurveKeyPair::drawn_from(&Randomness::fixed(vec![])), Err(NoRandomness));
    }

    #[test]
    fn debug_shows_no_secret() {
        let keys = CurveKeyPair::from(SECRET.parse::<CurveSecretKey>().unwrap());
        let shown = format!("{keys:?} {:?} {:?}", keys.secret(), keys.public());
        let expected = "CurveKeyPair(PUBLIC, ***) CurveSecretKey(***) CurvePublicKey(PUBLIC)";
        assert_eq!(shown, expected.replace("PUBLIC", PUBLIC));
    }

    #[test]
    fn two_sides_agree_and_a_key_of_small_order_agrees_with_nobody() {
        let [a, b] = [[1; 32], [2; 32]].map(CurveSecretKey::from);
        assert!(a.agree(&b.public()).is_some());
        assert_eq!(a.agree(&b.public()), b.agree(&a.public()));
        let mut one = [0; 32];
        one[0] = 1;
        for weak in [[0; 32], one] {
            assert_eq!(a.agree(&weak.into()), None);
        }
    }
}
