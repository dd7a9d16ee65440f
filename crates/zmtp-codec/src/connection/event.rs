//! What a connection gives its caller.

use bytes::Bytes;

#[cfg(feature = "curve")]
use crate::CurvePublicKey;
use crate::{Allowed, Applicant, Message, Metadata, SocketType, Subscription, Version};

/// Something that came from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// Who the peer claims to be, and what it says of itself: answer with
    /// [`Connection::authorize`](crate::Connection::authorize). Nothing more is read before. Given
    /// to PLAIN and CURVE servers always, and under NULL where
    /// [`Config::authenticate_null`](crate::Config::authenticate_null) says so.
    Credentials(Box<Applicant>),
    /// The handshake is over, and messages may be sent.
    Ready(Box<PeerInfo>),
    /// A subscription, in either form; given only where we are PUB or XPUB.
    Subscription(Subscription),
    /// A whole message. None is given where we are PUB, which keeps nothing but subscriptions (RFC 29): what
    /// else is within the limits is passed over as it comes.
    Message(Message),
}

/// What the handshake told of the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The version the peer announced.
    pub version: Version,
    /// The peer's socket type, if it named one; it may talk to ours.
    pub socket_type: Option<SocketType>,
    /// All properties the peer announced.
    pub metadata: Metadata,
    /// The user name that was accepted, where we are a PLAIN server.
    pub username: Option<Bytes>,
    /// The permanent key that the peer has proven to be its own, where we are a CURVE server.
    #[cfg(feature = "curve")]
    pub public_key: Option<CurvePublicKey>,
    /// What the verdict said of the peer, where there was one.
    pub allowed: Allowed,
}

impl PeerInfo {
    /// A peer that has announced this version, and nothing more.
    pub fn new(version: Version) -> Self {
        Self {
            version,
            socket_type: None,
            metadata: Metadata::new(),
            username: None,
            #[cfg(feature = "curve")]
            public_key: None,
            allowed: Allowed::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Message>() <= 32);
        assert!(size_of::<Event>() <= 48, "{} octets", size_of::<Event>());
        assert!(size_of::<Result<Option<Event>, crate::Error>>() <= 64);
    }
}
