//! Metadata: the properties that peers announce in READY and INITIATE (RFC 23, Connection
//! Metadata).

use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{InvalidProperty, ProtocolError};
use crate::text::Excerpt;
use crate::wire::Reader;

pub(crate) const SOCKET_TYPE: &str = "Socket-Type";
pub(crate) const IDENTITY: &str = "Identity";

/// The longest value that a property may have: 2^31−1 octets.
const MAX_VALUE: u32 = i32::MAX as u32;

/// An ordered list of properties, each a name and a value of any octets.
///
/// Names are compared without regard to case. A name that comes twice is kept twice. The properties
/// are held in their wire form, so a peer cannot make us hold more than it has sent.
///
/// ```
/// use zmtp_codec::Metadata;
///
/// let metadata = Metadata::new().with("X-Station", "Oslo")?;
/// assert_eq!(metadata.get("x-station"), Some(&b"Oslo"[..]));
/// # Ok::<(), zmtp_codec::InvalidProperty>(())
/// ```
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Metadata {
    /// Checked: all properties decode without an error.
    encoded: Bytes,
}

impl Metadata {
    /// No properties.
    pub const fn new() -> Self {
        Self { encoded: Bytes::new() }
    }

    /// These properties and one more.
    ///
    /// # Errors
    /// When the name is not 1 to 255 of the characters `A`–`Z`, `a`–`z`, digits, `-`, `_`, `.`
    /// and `+`, or the value has more than 2^31−1 octets.
    pub fn with(self, name: &str, value: impl AsRef<[u8]>) -> Result<Self, InvalidProperty> {
        let value = value.as_ref();
        let name_len = u8::try_from(name.len()).ok().filter(|_| is_name(name.as_bytes()));
        let Some(name_len) = name_len else {
            return Err(InvalidProperty::Name { name: name.chars().take(255).collect() });
        };
        let value_len = u32::try_from(value.len()).ok().filter(|&length| length <= MAX_VALUE);
        let Some(value_len) = value_len else {
            return Err(InvalidProperty::Value { name: name.into(), size: value.len() });
        };
        let mut encoded = BytesMut::from(self.encoded);
        encoded.put_u8(name_len);
        encoded.extend_from_slice(name.as_bytes());
        encoded.put_u32(value_len);
        encoded.extend_from_slice(value);
        Ok(Self { encoded: encoded.freeze() })
    }

    /// The value of the first property of this name, in any case.
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        self.iter().find(|(own, _)| own.eq_ignore_ascii_case(name)).map(|(_, value)| value)
    }

    /// All properties but those of this name, in any case.
    pub(crate) fn without(&self, name: &str) -> Self {
        Self::of(self.iter().filter(|(own, _)| !own.eq_ignore_ascii_case(name)))
    }

    /// A list of these properties. One that cannot be encoded is left out.
    pub(crate) fn of<'a>(properties: impl Iterator<Item = (&'a str, &'a [u8])>) -> Self {
        properties
            .fold(Self::new(), |all, (name, value)| all.clone().with(name, value).unwrap_or(all))
    }

    /// Whether any Identity property is invalid, not only the first.
    pub(crate) fn has_invalid_identity(&self) -> bool {
        let mut identities = self.iter().filter(|(name, _)| name.eq_ignore_ascii_case(IDENTITY));
        identities.any(|(_, identity)| !is_valid_identity(identity))
    }

    /// All properties, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &[u8])> {
        let mut reader = Reader::new(&self.encoded);
        std::iter::from_fn(move || {
            let (name, value) = property(&mut reader)?;
            Some((std::str::from_utf8(name).unwrap_or_default(), value))
        })
    }

    /// Whether there are no properties.
    pub fn is_empty(&self) -> bool {
        self.encoded.is_empty()
    }

    /// The value of Socket-Type, which may be a type that we do not know.
    pub fn socket_type(&self) -> Option<&[u8]> {
        self.get(SOCKET_TYPE)
    }

    /// The value of Identity.
    pub fn identity(&self) -> Option<&[u8]> {
        self.get(IDENTITY)
    }

    /// Reads properties until the octets end.
    ///
    /// # Errors
    /// [`ProtocolError::Metadata`] when the octets end within a property, a name is empty or has
    /// other than name characters, or a value announces more than 2^31−1 octets.
    pub fn decode(octets: Bytes) -> Result<Self, ProtocolError> {
        let mut reader = Reader::new(&octets);
        while !reader.is_empty() {
            let problem = match property(&mut reader) {
                Some((name, _)) if is_name(name) => continue,
                Some(_) => "a property name is empty or has a forbidden character",
                None => "the last property is cut short, or its value announces too many octets",
            };
            return Err(ProtocolError::Metadata { problem });
        }
        Ok(Self { encoded: octets })
    }

    /// Appends the properties to `out`.
    pub fn encode(&self, out: &mut BytesMut) {
        out.extend_from_slice(&self.encoded);
    }

    /// How many octets [`encode`](Self::encode) appends.
    pub fn encoded_len(&self) -> usize {
        self.encoded.len()
    }
}

/// RFC 23: an identity has 0 to 255 octets; those that begin with a zero belong to implementations.
pub(crate) fn is_valid_identity(identity: &[u8]) -> bool {
    identity.len() <= 255 && identity.first() != Some(&0)
}

/// Reads one property; does not check the name.
fn property<'a>(reader: &mut Reader<'a>) -> Option<(&'a [u8], &'a [u8])> {
    let name = reader.short_string()?;
    let size = reader.u32().filter(|&size| size <= MAX_VALUE)?;
    let value = reader.take(usize::try_from(size).ok()?)?;
    Some((name, value))
}

/// RFC 23: name characters are letters, digits, `-`, `_`, `.` and `+`.
fn is_name(name: &[u8]) -> bool {
    let allowed = |c: &u8| c.is_ascii_alphanumeric() || matches!(c, b'-' | b'_' | b'.' | b'+');
    !name.is_empty() && name.iter().all(allowed)
}

/// Shows the first octets of each value.
impl fmt::Debug for Metadata {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const SHOWN: usize = 32;
        f.debug_map()
            .entries(self.iter().take(SHOWN).map(|(name, value)| (name, Excerpt(value))))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SUB: &[u8] = b"\x0BSocket-Type\0\0\0\x03SUB";

    #[test]
    fn each_list_has_its_octets() {
        type Row = (&'static [u8], &'static [(&'static str, &'static [u8])]);
        let rows: [Row; 3] = [
            (b"", &[]),
            (SUB, &[("Socket-Type", b"SUB")]),
            (
                b"\x08Identity\0\0\0\0\x03X-a\0\0\0\x02\0\xFF",
                &[("Identity", b""), ("X-a", b"\0\xFF")],
            ),
        ];
        for (octets, properties) in rows {
            let decoded = Metadata::decode(Bytes::copy_from_slice(octets)).unwrap();
            assert_eq!(decoded.iter().collect::<Vec<_>>(), properties);
            let built = properties.iter().try_fold(Metadata::new(), |m, (n, v)| m.with(n, v));
            let mut out = BytesMut::new();
            built.clone().unwrap().encode(&mut out);
            assert_eq!(&out[..], octets);
            assert_eq!(built, Ok(decoded));
        }
    }

    #[test]
    fn names_are_found_in_any_case_and_the_first_one_counts() {
        let metadata = Metadata::new().with("socket-TYPE", "PUB").unwrap();
        let metadata = metadata.with("Socket-Type", "SUB").unwrap();
        let metadata = metadata.with("IDENTITY", "me").unwrap();
        assert_eq!(metadata.socket_type(), Some(&b"PUB"[..]));
        assert_eq!(metadata.identity(), Some(&b"me"[..]));
        assert_eq!(metadata.get("Resource"), None);
        assert_eq!(metadata.iter().count(), 3);
    }

    #[test]
    fn malformed_lists_are_refused() {
        for end in 1..SUB.len() {
            let cut = Bytes::copy_from_slice(&SUB[..end]);
            assert!(Metadata::decode(cut).is_err(), "cut to {end} octets");
        }
        for octets in
            [&b"\0\0\0\0\0"[..], b"\x01 \0\0\0\0", b"\x01a\x80\0\0\0", b"\x01a\xFF\xFF\xFF\xFF"]
        {
            assert!(Metadata::decode(Bytes::copy_from_slice(octets)).is_err(), "{octets:?}");
        }
    }

    #[test]
    fn forbidden_names_cannot_be_made() {
        let long = "x".repeat(256);
        for name in ["", "a b", "\u{e9}", "a\0", &long] {
            let error = Metadata::new().with(name, "").unwrap_err();
            assert!(matches!(error, InvalidProperty::Name { .. }), "{name}");
        }
        assert!(Metadata::new().with(&long[1..], "").is_ok());
    }

    #[test]
    fn debug_is_bounded() {
        let metadata = Metadata::new().with("X-a", vec![b'v'; 1 << 20]).unwrap();
        assert!(format!("{metadata:?}").len() < 200);
    }
}
