//! The socket types, and which of them are compatible (RFC 23, The Socket-Type Property).

use std::fmt;

/// A type of socket, as announced in the Socket-Type property.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(missing_docs, reason = "the names are the standard's own")]
#[non_exhaustive]
pub enum SocketType {
    Req,
    Rep,
    Dealer,
    Router,
    Pub,
    XPub,
    Sub,
    XSub,
    Push,
    Pull,
    Pair,
    Client,
    Server,
    Radio,
    Dish,
    Scatter,
    Gather,
    Peer,
    Channel,
}

impl SocketType {
    /// All types that are announced on the wire: those of RFC 23, then the later ones, whose
    /// messages have one part (RFC 41, 48, 49, 51 and 52).
    pub const ALL: &'static [Self] = &[
        Self::Req,
        Self::Rep,
        Self::Dealer,
        Self::Router,
        Self::Pub,
        Self::XPub,
        Self::Sub,
        Self::XSub,
        Self::Push,
        Self::Pull,
        Self::Pair,
        Self::Client,
        Self::Server,
        Self::Radio,
        Self::Dish,
        Self::Scatter,
        Self::Gather,
        Self::Peer,
        Self::Channel,
    ];

    /// The name on the wire, such as `XPUB`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Req => "REQ",
            Self::Rep => "REP",
            Self::Dealer => "DEALER",
            Self::Router => "ROUTER",
            Self::Pub => "PUB",
            Self::XPub => "XPUB",
            Self::Sub => "SUB",
            Self::XSub => "XSUB",
            Self::Push => "PUSH",
            Self::Pull => "PULL",
            Self::Pair => "PAIR",
            Self::Client => "CLIENT",
            Self::Server => "SERVER",
            Self::Radio => "RADIO",
            Self::Dish => "DISH",
            Self::Scatter => "SCATTER",
            Self::Gather => "GATHER",
            Self::Peer => "PEER",
            Self::Channel => "CHANNEL",
        }
    }

    /// The type of this name, exactly as on the wire; `None` if there is none.
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.iter().copied().find(|socket_type| socket_type.name().as_bytes() == name)
    }

    /// Whether sockets of these two types may be connected; the same in both directions.
    pub fn is_compatible_with(self, other: Self) -> bool {
        match self {
            Self::Req => matches!(other, Self::Rep | Self::Router),
            Self::Rep => matches!(other, Self::Req | Self::Dealer),
            Self::Dealer => matches!(other, Self::Rep | Self::Dealer | Self::Router),
            Self::Router => matches!(other, Self::Req | Self::Dealer | Self::Router),
            Self::Pub | Self::XPub => matches!(other, Self::Sub | Self::XSub),
            Self::Sub | Self::XSub => matches!(other, Self::Pub | Self::XPub),
            Self::Push => other == Self::Pull,
            Self::Pull => other == Self::Push,
            Self::Client => other == Self::Server,
            Self::Server => other == Self::Client,
            Self::Radio => other == Self::Dish,
            Self::Dish => other == Self::Radio,
            Self::Scatter => other == Self::Gather,
            Self::Gather => other == Self::Scatter,
            Self::Pair | Self::Peer | Self::Channel => other == self,
        }
    }

    /// Whether this type takes subscriptions: PUB and XPUB.
    pub(crate) fn publishes(self) -> bool {
        matches!(self, Self::Pub | Self::XPub)
    }

    /// Whether this type announces an Identity: REQ, DEALER and ROUTER.
    pub(crate) fn has_identity(self) -> bool {
        matches!(self, Self::Req | Self::Dealer | Self::Router)
    }
}

impl fmt::Display for SocketType {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_of_the_standard_holds_in_both_directions() {
        let table = "REQ:REP,ROUTER REP:REQ,DEALER DEALER:REP,DEALER,ROUTER \
            ROUTER:REQ,DEALER,ROUTER PUB:SUB,XSUB XPUB:SUB,XSUB SUB:PUB,XPUB XSUB:PUB,XPUB \
            PUSH:PULL PULL:PUSH PAIR:PAIR CLIENT:SERVER SERVER:CLIENT RADIO:DISH DISH:RADIO \
            SCATTER:GATHER GATHER:SCATTER PEER:PEER CHANNEL:CHANNEL";
        assert_eq!(table.split_whitespace().count(), SocketType::ALL.len());
        for row in table.split_whitespace() {
            let (name, peers) = row.split_once(':').unwrap();
            let one = SocketType::from_name(name.as_bytes()).unwrap();
            for &other in SocketType::ALL {
                let legal = peers.split(',').any(|peer| peer == other.name());
                assert_eq!(one.is_compatible_with(other), legal, "{one} to {other}");
                assert_eq!(other.is_compatible_with(one), legal, "{other} to {one}");
            }
        }
    }

    #[test]
    fn names_are_exact() {
        for &socket_type in SocketType::ALL {
            assert_eq!(SocketType::from_name(socket_type.name().as_bytes()), Some(socket_type));
        }
        for name in [&b"pub"[..], b"", b"PUB\0", b"DGRAM"] {
            assert_eq!(SocketType::from_name(name), None);
        }
    }
}
