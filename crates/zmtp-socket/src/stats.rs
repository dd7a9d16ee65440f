//! Counters: what a socket has sent, received and lost, in all and for each peer.

use crate::Peer;

/// What one socket has done since it was made. A message that goes to three peers counts three
/// times.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Stats {
    /// Messages that a transport has taken whole.
    pub sent: u64,
    /// Messages that have arrived, those among them that are [filtered](Self::filtered) out too.
    pub received: u64,
    /// Messages lost because a peer that wanted them was at its high-water mark.
    pub dropped: u64,
    /// Messages that were still queued for a peer when its connection ended.
    pub undelivered: u64,
    /// Messages waiting now: for a transport to take them, or for `recv`. Of the latter, up to 256
    /// that the receiving side has already taken in hand are not counted.
    pub queued: u64,
    /// Messages that arrived although nothing subscribed to here matches them.
    pub filtered: u64,
    /// The peers whose handshake has succeeded and whose connection stands.
    pub peers: Vec<PeerStats>,
}

/// What has passed between a socket and one of its peers on their present connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct PeerStats {
    /// Who it is.
    pub peer: Peer,
    /// Messages for this peer that its transport has taken whole.
    pub sent: u64,
    /// Messages that have arrived from this peer.
    pub received: u64,
    /// Messages this peer has lost because it was at its high-water mark.
    pub dropped: u64,
    /// Messages waiting now, for this peer's transport or, from this peer, for `recv`.
    pub queued: u64,
    /// Distinct topics this peer is subscribed to.
    pub subscriptions: u64,
}
