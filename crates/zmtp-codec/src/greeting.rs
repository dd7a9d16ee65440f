//! The greeting: the 64 octets with which a connection begins (RFC 23 and 37, Greeting).

use crate::error::ProtocolError;
use crate::mechanism_name::MechanismName;
use crate::version::Version;
use crate::wire::Reader;

/// The greeting: the first thing that each peer sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Greeting {
    /// The protocol version that the peer announces.
    pub version: Version,
    /// The only security mechanism that the peer accepts.
    pub mechanism: MechanismName,
    /// Whether the peer is the server in the mechanism; libzmq never sets this.
    pub as_server: bool,
}

impl Greeting {
    /// How many octets a greeting has.
    pub const LEN: usize = 64;

    /// The length of the signature at its front, in octets.
    pub(crate) const SIGNATURE_LEN: usize = 10;

    /// The octets of this greeting; padding and filler are zeros.
    pub fn encode(&self) -> [u8; Self::LEN] {
        let mut octets = [0; Self::LEN];
        let signature = [0xFF, 0, 0, 0, 0, 0, 0, 0, 0, 0x7F];
        let fields = signature
            .into_iter()
            .chain([self.version.major, self.version.minor])
            .chain(*self.mechanism.as_octets())
            .chain([u8::from(self.as_server)]);
        for (octet, field) in octets.iter_mut().zip(fields) {
            *octet = field;
        }
        octets
    }

    /// Reads a greeting from the front of `octets`; `None` means that more octets are needed.
    ///
    /// A peer of ZMTP 1.0 or 2.0 never sends 64 octets, so the greeting is refused as soon as the
    /// deciding octet has come. Any major version from 3 up is accepted. The padding (octets 1–8)
    /// and the filler (33–63) are ignored.
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
        let mechanism = MechanismName::from_octets(reader.array()?);
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
    fn the_twentieth_octet_of_a_mechanism_counts() {
        let mut other = SUB_3_1;
        other[31] = b'x';
        let mechanism = Greeting::decode(&other).unwrap().unwrap().mechanism;
        assert_ne!(mechanism, MechanismName::NULL);
    }
}
