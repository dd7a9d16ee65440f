//! The identity that a peer claims, and the verdict that lets it in.

use std::fmt;

use bytes::Bytes;

#[cfg(feature = "curve")]
use super::curve::CurvePublicKey;
use crate::mechanism_name::MechanismName;
use crate::metadata::Metadata;
use crate::text::Excerpt;

/// The identity that a peer claims, for the caller to judge. `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// NULL: the peer sends no credentials. Given only if
    /// [`Config::authenticate_null`](crate::Config::authenticate_null) is set.
    Null,
    /// PLAIN: a name and a password, as the client claims them.
    Plain {
        /// At most 255 octets, of any kind.
        username: Bytes,
        /// At most 255 octets, of any kind.
        password: Bytes,
    },
    /// CURVE: the client's permanent key. The client has already proven that it has the secret
    /// half.
    #[cfg(feature = "curve")]
    Curve {
        /// The key.
        public_key: CurvePublicKey,
    },
}

impl Credentials {
    /// The mechanism of these credentials.
    pub fn mechanism(&self) -> MechanismName {
        match self {
            Self::Null => MechanismName::NULL,
            Self::Plain { .. } => MechanismName::PLAIN,
            #[cfg(feature = "curve")]
            Self::Curve { .. } => MechanismName::CURVE,
        }
    }

    /// The frames of these credentials in a request of RFC 27: none under NULL, name and password
    /// under PLAIN, the 32 octets of the key under CURVE.
    pub fn frames(&self) -> Vec<Bytes> {
        match self {
            Self::Null => vec![],
            Self::Plain { username, password } => vec![username.clone(), password.clone()],
            #[cfg(feature = "curve")]
            Self::Curve { public_key } => vec![Bytes::copy_from_slice(public_key.as_octets())],
        }
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Plain { username, .. } => write!(f, "Plain({:?}, ***)", Excerpt(username)),
            #[cfg(feature = "curve")]
            Self::Curve { public_key } => write!(f, "Curve({public_key})"),
        }
    }
}

/// A peer that asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applicant {
    /// The identity that the peer claims.
    pub credentials: Credentials,
    /// The properties that the peer has announced so far. Under CURVE these are all, since they
    /// come in INITIATE. Under NULL and PLAIN there are none: the verdict precedes READY and
    /// INITIATE.
    pub metadata: Metadata,
}

/// An applicant that has announced nothing.
impl From<Credentials> for Applicant {
    fn from(credentials: Credentials) -> Self {
        Self { credentials, metadata: Metadata::new() }
    }
}

/// A verdict that lets a peer in, with facts about it (RFC 27, the user id and the metadata of a
/// reply). They are given in [`PeerInfo`](crate::PeerInfo), and are not sent to the peer.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allowed {
    /// The user that the judge takes the peer for.
    pub user_id: Option<Bytes>,
    /// Further properties that the judge assigns to the peer.
    pub metadata: Metadata,
}

impl Allowed {
    /// A verdict without a user id and properties.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same, with the user id.
    pub fn user_id(mut self, user_id: impl Into<Bytes>) -> Self {
        self.user_id = Some(user_id.into());
        self
    }

    /// The same, with these properties.
    pub fn metadata(mut self, metadata: Metadata) -> Self {
        self.metadata = metadata;
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn credentials_have_the_frames_of_rfc_27() {
        let plain = Credentials::Plain { username: "admin".into(), password: "".into() };
        let rows: [(_, _, &[&[u8]]); _] = [
            (Credentials::Null, "NULL", &[]),
            (plain, "PLAIN", &[b"admin", b""]),
            #[cfg(feature = "curve")]
            (Credentials::Curve { public_key: [7; 32].into() }, "CURVE", &[&[7; 32]]),
        ];
        for (credentials, mechanism, frames) in rows {
            assert_eq!(credentials.mechanism().to_string(), mechanism);
            assert_eq!(credentials.frames(), frames);
        }
    }
}
