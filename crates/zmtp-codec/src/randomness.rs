//! Where keys and nonces come from.

use std::fmt;

use bytes::Bytes;
use thiserror::Error;
use zeroize::Zeroizing;

/// The source of what must not be guessed: CURVE's keys and nonces for one connection.
///
/// By default the operating system's. There is another for tests and fuzzing, which need the same
/// octets each time.
#[derive(Clone, Default)]
pub struct Randomness(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    Fixed(Bytes),
}

/// The operating system gave no random octets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operating system gives no random octets")]
pub struct NoRandomness;

impl Randomness {
    /// Always these octets, from the first one on, repeated as needed. **For tests alone**: whoever
    /// knows them can read everything.
    ///
    /// Each side of a CURVE connection draws once. A client draws 48 octets: its transient secret
    /// key (32) and the nonce of its vouch (16). A server draws 96: its transient secret key (32),
    /// the key (32) and the nonce (16) of its cookie, the nonce of WELCOME (16).
    pub fn fixed(octets: impl Into<Bytes>) -> Self {
        Self(Source::Fixed(octets.into()))
    }

    pub(crate) fn draw<const N: usize>(&self) -> Result<Zeroizing<[u8; N]>, NoRandomness> {
        let mut drawn = Zeroizing::new([0; N]);
        match &self.0 {
            Source::System => getrandom::fill(&mut *drawn).map_err(|_| NoRandomness)?,
            Source::Fixed(octets) => {
                for (to, from) in drawn.iter_mut().zip(octets.iter().cycle()) {
                    *to = *from;
                }
            }
        }
        Ok(drawn)
    }
}

/// Shows no octets.
impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Randomness(system)",
            Source::Fixed(_) => "Randomness(fixed)",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_system_gives_other_octets_each_time_and_a_fixed_source_the_same() {
        let system = Randomness::default();
        assert_ne!(system.draw::<32>().unwrap(), system.draw::<32>().unwrap());
        let fixed = Randomness::fixed([1, 2, 3].to_vec());
        assert_eq!(*fixed.draw::<4>().unwrap(), [1, 2, 3, 1]);
        assert_eq!(*fixed.draw::<2>().unwrap(), [1, 2]);
        assert_eq!(format!("{system:?} {fixed:?}"), "Randomness(system) Randomness(fixed)");
    }
}
