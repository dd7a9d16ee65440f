//! What is judged, and what a verdict says.

use std::fmt;

use bytes::Bytes;

use crate::message::Excerpt;
use crate::{CurvePublicKey, Metadata};

/// Who a peer claims to be, for the caller to judge; `Debug` shows no password.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Credentials {
    /// NULL: the peer says nothing of itself. Given only where
    /// [`Config::judge_null`](crate::Config::judge_null) asks for it.
    Null,
    /// PLAIN: a name and a password, as the client claims them.
    Plain {
        /// At most 255 octets, of any kind.
        username: Bytes,
        /// At most 255 octets, of any kind.
        password: Bytes,
    },
    /// CURVE: the client's permanent key. That the client has the secret half is already proven.
    Curve {
        /// The key.
        public_key: CurvePublicKey,
    },
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::Plain { username, .. } => write!(f, "Plain({:?}, ***)", Excerpt(username)),
            Self::Curve { public_key } => write!(f, "Curve({public_key})"),
        }
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
