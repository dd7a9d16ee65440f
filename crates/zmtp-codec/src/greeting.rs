//! The greeting: the 64 octets with which a connection begins (RFC 23 and 37, Greeting).

use std::fmt;

use crate::ProtocolError;
use crate::wire::Reader;

/// A version of the protocol. It orders by `major`, then `minor`, and prints as `3.1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Version {
    /// The octet that decides whether two peers can talk at all.
    pub major: u8,
    /// The octet that decides which commands a peer knows.
    pub minor: u8,
}

impl Version {
    /// ZMTP 3.0 (RFC 23): subscriptions travel as messages.
    pub const V3_0: Self = Self { major: 3, minor: 0 };
    /// ZMTP 3.1 (RFC 37): subscriptions travel as commands, and there are heartbeats.
    pub const V3_1: Self = Self { major: 3, minor: 1 };
}

impl fmt::Display for Version {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.major, self.minor)
    }
}

/// The name of a security mechanism: 20 octets, padded with zeros.
///
/// Two names are equal when all 20 octets are (RFC 23: the mechanisms must match exactly).
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
    /// other.
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

/// What a peer says of itself before anything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The protocol version the peer speaks.
    pub version: Version,
    /// The one security mechanism the peer wants.
    pub mechanism: MechanismName,
    /// Whether the peer takes the server's part in the mechanism; libzmq never says so.
    pub as_server: bool,
}

impl Greeting {
    /// How many octets a greeting has.
    pub const LEN: usize = 64;

    /// The octets of this greeting; padding and filler are zeros.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        let signature = [0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F];
        let fields = signature
            .into_iter()
            .chain([self.version.major, self.version.minor])
            .chain(self.mechanism.0)
            .chain([u8::from(self.as_server)]);
        for (octet, field) in octets.iter_mut().zip(fields) {
            *octet = field;
        }
        octets
    }

    /// Reads a greeting from the front of `octets`; `None` means that more octets are needed.
    ///
    /// A peer of ZMTP 1.0 or 2.0 never sends 64 octets, so what has arrived is judged as soon as
    /// the deciding octet is there. Any major version from 3 up is accepted; the padding (octets
    /// 1–8) and the filler (33–63) mean nothing and are passed over.
    ///
    /// # Errors
    /// [`ProtocolError::NotZmtp`], [`ProtocolError::Unversioned`] and [`ProtocolError::TooOld`].
    pub fn decode(octets: &[u8]) -> Result<Option<Self>, ProtocolError> {
        match octets.first() {
            Some(&first) if first != 0xFF => return Err(ProtocolError::NotZmtp { first }),
            _ => {}
        }
        match octets.get(9) {
            // RFC 23, Backwards Interoperability: with bit 0 clear, the octets so far are the
            // length of a ZMTP 1.0 identity frame.
            Some(&last) if last & 1 == 0 => return Err(ProtocolError::Unversioned { octet: last }),
            _ => {}
        }
        match octets.get(10) {
            Some(&major) if major < 3 => return Err(ProtocolError::TooOld { major }),
            _ => {}
        }
        Ok(Self::fields(octets))
    }

    fn fields(octets: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(octets.get(..Self::LEN)?);
        let _signature = reader.take(10)?;
        let version = Version { major: reader.u8()?, minor: reader.u8()? };
        let mechanism = MechanismName(reader.array()?);
        Some(Self { version, mechanism, as_server: reader.u8()? == 1 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB_3_1: [u8; 64] =
        *b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    const PLAIN_SERVER_3_0: [u8; 64] =
        *b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x00PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

    #[test]
    fn each_greeting_has_its_octets() {
        let rows = [
            (SUB_3_1, Version::V3_1, MechanismName::NULL, false),
            (PLAIN_SERVER_3_0, Version::V3_0, MechanismName::PLAIN, true),
        ];
        for (octets, version, mechanism, as_server) in rows {
            let greeting = Greeting { version, mechanism, as_server };
            assert_eq!(greeting.encode(), octets);
            assert_eq!(Greeting::decode(&octets), Ok(Some(greeting)));
            for short in 0..64 {
                assert_eq!(Greeting::decode(&octets[..short]), Ok(None), "{short} octets");
            }
        }
    }

    #[test]
    fn padding_and_filler_mean_nothing() {
        let mut octets = SUB_3_1;
        octets[1..9].copy_from_slice(&[0, 0, 0, 0, 0, 0, 0, 1]);
        octets[33..].fill(0xAA);
        assert_eq!(Greeting::decode(&octets), Greeting::decode(&SUB_3_1));
    }

    #[test]
    fn later_versions_are_accepted() {
        let mut octets = SUB_3_1;
        octets[10..12].copy_from_slice(&[4, 0]);
        let greeting = Greeting::decode(&octets).unwrap().unwrap();
        assert_eq!(greeting.version, Version { major: 4, minor: 0 });
        assert!(greeting.version > Version::V3_1);
        assert_eq!(greeting.version.to_string(), "4.0");
    }

    #[test]
    fn older_protocols_are_refused_at_the_deciding_octet() {
        let rows: [(&[u8], ProtocolError); 5] = [
            (b"G", ProtocolError::NotZmtp { first: b'G' }),
            (b"\x01", ProtocolError::NotZmtp { first: 1 }),
            (b"\xFF\0\0\0\0\0\0\0\x01\x00", ProtocolError::Unversioned { octet: 0 }),
            (b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01", ProtocolError::TooOld { major: 1 }),
            (b"\xFF\0\0\0\0\0\0\0\x01\x7F\x00", ProtocolError::TooOld { major: 0 }),
        ];
        for (octets, error) in rows {
            assert_eq!(Greeting::decode(octets), Err(error));
            assert_eq!(Greeting::decode(&octets[..octets.len() - 1]), Ok(None));
        }
    }

    #[test]
    fn mechanism_names_keep_the_rules() {
        assert_eq!(MechanismName::new("PLAIN"), Some(MechanismName::PLAIN));
        assert_eq!(MechanismName::NULL.to_string(), "NULL");
        assert_eq!(MechanismName::CURVE.as_octets(), b"CURVE\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
        assert!(MechanismName::new("ABCDEFGHIJKLMNOPQRST").is_some());
        for name in ["", "null", "A B", "ABCDEFGHIJKLMNOPQRSTU", "N\u{dc}LL"] {
            assert_eq!(MechanismName::new(name), None, "{name}");
        }
        let mut other = SUB_3_1;
        other[31] = b'x';
        let mechanism = Greeting::decode(&other).unwrap().unwrap().mechanism;
        assert_ne!(mechanism, MechanismName::NULL, "the twentieth octet counts");
    }
}
