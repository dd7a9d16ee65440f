//! The source of keys and nonces.

use std::fmt;

use thiserror::Error;
use zeroize::Zeroizing;

/// The source of secrets: CURVE's keys and nonces for one connection. It is that of the operating
/// system.
///
/// Builds with debug assertions, or with the feature `testing`, have another source, which gives
/// tests and fuzz targets the same octets each time.
#[derive(Clone, Default)]
pub struct Randomness(Source);

#[derive(Clone, Default)]
enum Source {
    #[default]
    System,
    #[cfg(any(debug_assertions, feature = "testing"))]
    Fixed(bytes::Bytes),
}

/// No random octets can be had.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the operating system supplied no random octets")]
pub struct NoRandomness;

impl Randomness {
    /// Always these octets, from the first one on, repeated as needed. From an empty source nothing
    /// can be drawn. **For tests alone**: anybody who knows the octets can decrypt everything.
    ///
    /// A CURVE client draws its transient secret key (32) and the nonce of its vouch (16). A server draws its
    /// transient secret key (32), the key (32) and the nonce (16) of its cookie, and the nonce of WELCOME (16).
    #[doc(hidden)]
    #[cfg(any(debug_assertions, feature = "testing"))]
    pub fn fixed(octets: impl Into<bytes::Bytes>) -> Self {
        Self(Source::Fixed(octets.into()))
    }

    /// Begins the draws of one connection.
    pub(crate) fn begin(&self) -> Drawing<'_> {
        Drawing { source: &self.0, drawn: 0 }
    }
}

/// The draws of one connection, secret by secret.
pub(crate) struct Drawing<'a> {
    source: &'a Source,
    /// How many octets have been drawn.
    drawn: usize,
}

impl Drawing<'_> {
    /// Draws as many octets as the returned array holds.
    pub(crate) fn draw<const N: usize>(&mut self) -> Result<Zeroizing<[u8; N]>, NoRandomness> {
        let mut drawn = Zeroizing::new([0; N]);
        match self.source {
            Source::System => getrandom::fill(&mut *drawn).map_err(|_| NoRandomness)?,
            #[cfg(any(debug_assertions, feature = "testing"))]
            Source::Fixed(octets) => {
                let mut octets = octets.iter().cycle().skip(self.drawn);
                for octet in &mut *drawn {
                    *octet = *octets.next().ok_or(NoRandomness)?;
                }
            }
        }
        self.drawn = self.drawn.saturating_add(N);
        Ok(drawn)
    }
}

/// Shows no octets.
impl fmt::Debug for Randomness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::System => "Randomness(system)",
            #[cfg(any(debug_assertions, feature = "testing"))]
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
        let mut drawing = system.begin();
        assert_ne!(drawing.draw::<32>().unwrap(), drawing.draw::<32>().unwrap());
        let fixed = Randomness::fixed([1, 2, 3].to_vec());
        for _ in 0..2 {
            let mut drawing = fixed.begin();
            assert_eq!(*drawing.draw::<4>().unwrap(), [1, 2, 3, 1]);
            assert_eq!(*drawing.draw::<3>().unwrap(), [2, 3, 1]);
        }
        assert_eq!(format!("{system:?} {fixed:?}"), "Randomness(system) Randomness(fixed)");
    }

    #[test]
    fn of_nothing_nothing_is_drawn() {
        assert_eq!(Randomness::fixed(vec![]).begin().draw::<32>(), Err(NoRandomness));
    }
}
