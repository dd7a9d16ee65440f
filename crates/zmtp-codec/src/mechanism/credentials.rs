//! What is judged, who a peer claims to be; and a verdict that lets it in.

use std::fmt;

use bytes::Bytes;

#[cfg(feature = "curve")]
use super::curve::CurvePublicKey;
use crate::mechanism_name::MechanismName;
use crate::metadata::Metadata;
use crate::text::Excerpt;

/// Who a peer claims to be, for the caller to judge; `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// NULL: the peer says nothing of itself. Given only where
    /// [`Config::authenticate_null`](crate::Config::authenticate_null) asks for it.
    Null,
    /// PLAIN: a name and a password, as the client claims them.
    Plain {
        /// At most 255 octets, of any kind.
        username: Bytes,
        /// At most 255 octets, of any kind.
        password: Bytes,
    },
    /// CURVE: the client's permanent key. That the client has the secret half is already proven.
    #[cfg(feature = "curve")]
    Curve {
        /// The key.
        public_key: CurvePublicKey,
    },
}

impl Credentials {
    /// The mechanism that they belong to.
    pub fn mechanism(&self) -> MechanismName {
        match self {
            Self::Null => MechanismName::NULL,
            Self::Plain { .. } => MechanismName::PLAIN,
            #[cfg(feature = "curve")]
            Self::Curve { .. } => MechanismName::CURVE,
        }
    }

    /// The frames that stand for them in a request to a judge elsewhere (RFC 27): none under NULL,
    /// name and password under PLAIN, the 32 octets of the key under CURVE.
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

/// Who asks to be let in.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applicant {
    /// Who the peer claims to be.
    pub credentials: Credentials,
    /// What the peer has announced of itself by then. Under CURVE that is all, for INITIATE carries it.
    /// Under NULL and PLAIN there is nothing yet: a peer is judged before READY and INITIATE.
    pub metadata: Metadata,
}

/// One that has announced nothing.
impl From<Credentials> for Applicant {
    fn from(credentials: Credentials) -> Self {
        Self { credentials, metadata: Metadata::new() }
    }
}

/// A verdict that lets a peer in, and what is to be known of it from then on (RFC 27, the user id
/// and the metadata of a reply). It ends up in [`PeerInfo`](crate::PeerInfo); the peer is told
/// nothing of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Allowed {
    /// Who the peer is, by the judge's own reckoning.
    pub user_id: Option<Bytes>,
    /// Further properties that the judge gives the peer.
    pub metadata: Metadata,
}

impl Allowed {
    /// Lets the peer in.
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
