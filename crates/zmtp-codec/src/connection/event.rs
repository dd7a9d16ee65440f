//! The events that a connection gives its caller.

use bytes::Bytes;

#[cfg(feature = "curve")]
use crate::mechanism::curve::CurvePublicKey;
use crate::mechanism::{Allowed, Applicant};
use crate::message::Message;
use crate::metadata::Metadata;
use crate::socket_type::SocketType;
use crate::subscription::Subscription;
use crate::version::Version;

/// An event caused by octets from the peer.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Event {
    /// The identity that the peer claims, with its metadata: answer with
    /// [`Connection::authorize`](crate::Connection::authorize). Nothing more is decoded before the
    /// answer. PLAIN and CURVE servers always get this event; under NULL it is given if
    /// [`Config::authenticate_null`](crate::Config::authenticate_null) is set.
    Credentials(Box<Applicant>),
    /// The handshake is over, and messages may be sent.
    Ready(Box<PeerInfo>),
    /// A subscription, in either form; given only if we are PUB or XPUB.
    Subscription(Subscription),
    /// A whole message. A PUB is given none, since it accepts only subscriptions (RFC 29): other
    /// messages within the limits are skipped as they arrive.
    Message(Message),
}

/// The properties of the peer, known from the handshake.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerInfo {
    /// The version that the peer announced.
    pub version: Version,
    /// The peer's socket type, if it announced one; it is compatible with ours.
    pub socket_type: Option<SocketType>,
    /// All properties that the peer announced.
    pub metadata: Metadata,
    /// The user name that was accepted, if we are a PLAIN server.
    pub username: Option<Bytes>,
    /// The permanent key that the peer has proven to have, if we are a CURVE server.
    #[cfg(feature = "curve")]
    pub public_key: Option<CurvePublicKey>,
    /// The user id and the properties from the verdict, if there was one.
    pub allowed: Allowed,
}

impl PeerInfo {
    /// A peer that has announced this version, and nothing else.
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

    /// The identity that the peer has announced: 1 to 255 octets, the first not zero. `None` if it
    /// has announced none or an empty one, or if peers of its type have none (RFC 37, The Identity
    /// Property).
    pub fn identity(&self) -> Option<&[u8]> {
        let identity = self.metadata.identity().filter(|identity| !identity.is_empty())?;
        self.socket_type.is_none_or(SocketType::has_identity).then_some(identity)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_some_types_have_an_identity_and_an_empty_one_is_none() {
        let rows = [
            (Some(SocketType::Req), "me", Some(&b"me"[..])),
            (Some(SocketType::Dealer), "me", Some(b"me")),
            (Some(SocketType::Router), "me", Some(b"me")),
            (None, "me", Some(b"me")),
            (Some(SocketType::Dealer), "", None),
            (Some(SocketType::Rep), "me", None),
            (Some(SocketType::Sub), "me", None),
        ];
        for (socket_type, said, identity) in rows {
            let metadata = Metadata::new().with("identity", said).unwrap();
            let peer = PeerInfo { socket_type, metadata, ..PeerInfo::new(Version::V3_1) };
            assert_eq!(peer.identity(), identity, "{socket_type:?}");
        }
        assert_eq!(PeerInfo::new(Version::V3_1).identity(), None);
    }

    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Message>() <= 32);
        assert!(size_of::<Event>() <= 48, "{} octets", size_of::<Event>());
        assert!(size_of::<Result<Option<Event>, crate::error::Error>>() <= 64);
    }
}
