//! [`MechanismName`]: the name of a security mechanism in a greeting (RFC 23, The Security
//! Mechanism).

use std::fmt;

/// The name of a security mechanism: 20 octets, padded with zeros.
///
/// Two names are equal if all 20 octets are (RFC 23: the mechanisms must match exactly).
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct MechanismName([u8; 20]);

impl MechanismName {
    /// No authentication and no confidentiality.
    pub const NULL: Self = Self::padded(b"NULL");
    /// User name and password in clear text.
    pub const PLAIN: Self = Self::padded(b"PLAIN");
    /// Elliptic-curve authentication and encryption.
    pub const CURVE: Self = Self::padded(b"CURVE");

    /// A name of 1 to 20 of the characters `A`–`Z`, digits, `-`, `_`, `.` and `+`; `None` for any
    /// other text.
    pub fn new(name: &str) -> Option<Self> {
        let allowed = |c: u8| matches!(c, b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'+');
        let name = name.as_bytes();
        if name.is_empty() || !name.iter().copied().all(allowed) {
            return None;
        }
        let mut octets = [0; 20];
        octets.get_mut(..name.len())?.copy_from_slice(name);
        Some(Self(octets))
    }

    /// Any octets, as a peer has sent them.
    pub(crate) fn from_octets(octets: [u8; 20]) -> Self {
        Self(octets)
    }

    /// All 20 octets, padding included.
    pub fn as_octets(&self) -> &[u8; 20] {
        &self.0
    }

    const fn padded<const N: usize>(name: &[u8; N]) -> Self {
        const { assert!(N <= 20) };
        let mut octets = [0; 20];
        if let Some((head, _)) = octets.split_first_chunk_mut::<N>() {
            *head = *name;
        }
        Self(octets)
    }
}

/// Prints the name without its padding; octets that are not printable are escaped.
impl fmt::Display for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let length = self.0.iter().rposition(|&c| c != 0).map_or(0, |last| last.saturating_add(1));
        self.0.get(..length).unwrap_or_default().escape_ascii().fmt(f)
    }
}

impl fmt::Debug for MechanismName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "MechanismName({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mechanism_names_keep_the_rules() {
        assert_eq!(MechanismName::new("PLAIN"), Some(MechanismName::PLAIN));
        assert_eq!(MechanismName::NULL.to_string(), "NULL");
        assert_eq!(MechanismName::CURVE.as_octets(), b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert!(MechanismName::new("ABCDEFGHIJKLMNOPQRST").is_some());
        for name in ["", "null", "A B", "ABCDEFGHIJKLMNOPQRSTU", "N\u{dc}LL"] {
            assert_eq!(MechanismName::new(name), None, "{name}");
        }
    }
}
