//! Security mechanisms, their keys and credentials. Their states are in `handshake`.

mod credentials;
#[cfg(feature = "curve")]
pub(crate) mod curve;

use std::fmt;

use bytes::Bytes;

pub use self::credentials::{Allowed, Applicant, Credentials};
#[cfg(feature = "curve")]
use self::curve::{CurveKeyPair, CurvePublicKey};

use crate::mechanism_name::MechanismName;
use crate::text::Excerpt;

/// The security mechanism of a connection, and this side's role in it. `Debug` shows no password
/// and no secret key.
#[derive(Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Mechanism {
    /// No authentication (RFC 23).
    Null,
    /// User name and password in clear text: the side that sends them (RFC 24).
    PlainClient {
        /// At most 255 octets.
        username: Bytes,
        /// At most 255 octets.
        password: Bytes,
    },
    /// User name and password in clear text: the side that judges them; see
    /// [`Event::Credentials`](crate::Event::Credentials).
    PlainServer,
    /// Both sides authenticate by keys, and everything is encrypted (RFC 25): the side that knows
    /// the key of the other beforehand.
    #[cfg(feature = "curve")]
    CurveClient {
        /// The server's permanent key. A server with another key is refused.
        server_key: CurvePublicKey,
        /// Our permanent key, by which the server knows us.
        keys: CurveKeyPair,
    },
    /// The same mechanism: the side that judges the other's key; see
    /// [`Event::Credentials`](crate::Event::Credentials).
    #[cfg(feature = "curve")]
    CurveServer {
        /// Our permanent key. Clients must know its public half.
        keys: CurveKeyPair,
    },
}

impl Mechanism {
    /// The name in the greeting.
    pub fn name(&self) -> MechanismName {
        match self {
            Self::Null => MechanismName::NULL,
            Self::PlainClient { .. } | Self::PlainServer => MechanismName::PLAIN,
            #[cfg(feature = "curve")]
            Self::CurveClient { .. } | Self::CurveServer { .. } => MechanismName::CURVE,
        }
    }

    /// Whether this side is the server, as the as-server octet of the greeting says.
    pub fn is_server(&self) -> bool {
        match self {
            Self::PlainServer => true,
            #[cfg(feature = "curve")]
            Self::CurveServer { .. } => true,
            _ => false,
        }
    }

    /// The body lengths of the largest commands of its handshake, without their metadata, in
    /// octets: of those that the peer sends, and of those that we send.
    pub(crate) fn largest_commands(&self) -> (usize, usize) {
        match self {
            #[cfg(feature = "curve")]
            Self::CurveClient { .. } => (curve::WELCOME, curve::INITIATE),
            #[cfg(feature = "curve")]
            Self::CurveServer { .. } => (curve::INITIATE, curve::READY),
            _ => (0, "\x08INITIATE".len()),
        }
    }

    /// Whether this side sends its reason for closing in an ERROR; a CURVE client never does (RFC 26).
    pub(crate) fn may_say_error(&self) -> bool {
        match self {
            #[cfg(feature = "curve")]
            Self::CurveClient { .. } => false,
            _ => true,
        }
    }
}

impl fmt::Debug for Mechanism {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Null => f.write_str("Null"),
            Self::PlainClient { username, .. } => {
                write!(f, "PlainClient({:?}, ***)", Excerpt(username))
            }
            Self::PlainServer => f.write_str("PlainServer"),
            #[cfg(feature = "curve")]
            Self::CurveClient { server_key, keys } => {
                write!(f, "CurveClient({keys:?}, to {server_key})")
            }
            #[cfg(feature = "curve")]
            Self::CurveServer { keys } => write!(f, "CurveServer({keys:?})"),
        }
    }
}
