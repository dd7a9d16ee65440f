//! Counters: what a socket has sent, received and lost, in all and for each peer.

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use zmtp_codec::{Batch, Message};

use crate::peer::Peer;

/// What one socket has done since it was made. A message that goes to three peers counts three
/// times. Octets are those of whole frames, headers included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Messages that a transport has taken whole.
    pub sent: u64,
    /// Octets of messages that a transport has taken.
    pub sent_octets: u64,
    /// Messages that have arrived, those among them that are [filtered](Self::filtered) out too.
    pub received: u64,
    /// Octets of these.
    pub received_octets: u64,
    /// Messages lost because the peer that wanted them, or we ourselves, had no room for them.
    pub dropped: u64,
    /// Octets of these.
    pub dropped_octets: u64,
    /// Messages that were still queued for a peer when its connection ended.
    pub undelivered: u64,
    /// Messages waiting now: for a transport to take them, or for `recv`. Of the latter, up to 256
    /// that the receiving side has already taken in hand are not counted.
    pub queued: u64,
    /// Octets of these.
    pub queued_octets: u64,
    /// Messages that arrived although nothing subscribed to here matches them; of a REP and a REQ, those that
    /// are no request, and no reply to one.
    pub filtered: u64,
    /// What peers are subscribed to, each peer's distinct topics; or, on a subscriber, its own.
    pub subscriptions: u64,
    /// Connections through bound endpoints that are in their handshake.
    pub handshakes: u64,
    /// Connections that were refused, or ended in their handshake, because the socket had [as
    /// many](crate::PubOptions::max_connections) as it may have.
    pub refused: u64,
    /// The peers whose handshake has succeeded and whose connection stands; none in
    /// [totals](crate::Handle::totals).
    pub peers: Vec<PeerStats>,
}

/// What has passed between a socket and one of its peers on their present connection.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeerStats {
    /// Who it is.
    pub peer: Peer,
    /// How long the connection has stood; serialised in seconds.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub age: Duration,
    /// How it is with the connection.
    pub state: PeerState,
    /// Messages for this peer that its transport has taken whole.
    pub sent: u64,
    /// Octets of messages that its transport has taken.
    pub sent_octets: u64,
    /// Messages that have arrived from this peer.
    pub received: u64,
    /// Octets of these.
    pub received_octets: u64,
    /// Messages lost because this peer, or we for what it sent, had no room for them.
    pub dropped: u64,
    /// Octets of these.
    pub dropped_octets: u64,
    /// Messages waiting now, for this peer's transport or, from this peer, for `recv`.
    pub queued: u64,
    /// Octets of these.
    pub queued_octets: u64,
    /// Distinct topics this peer is subscribed to; or, on a subscriber, those that it is told.
    pub subscriptions: u64,
}

/// How it is with a peer's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum PeerState {
    /// Messages flow as they come.
    Flowing,
    /// Its queue has reached its high-water mark and not caught up: the peer loses messages, or we
    /// wait for it; or, on a subscriber, nothing is read from it until something has been received.
    Congested,
}

impl PeerState {
    pub(crate) fn of(is_congested: bool) -> Self {
        if is_congested { Self::Congested } else { Self::Flowing }
    }
}

/// Messages, and their octets.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) messages: u64,
    pub(crate) octets: u64,
}

impl Count {
    pub(crate) fn of(message: &Message) -> Self {
        Self { messages: 1, octets: message.encoded_len() as u64 }
    }

    pub(crate) fn of_batch(batch: &Batch) -> Self {
        Self { messages: batch.len() as u64, octets: batch.octets() as u64 }
    }

    pub(crate) fn add(&mut self, messages: usize, octets: usize) {
        self.messages += messages as u64;
        self.octets += octets as u64;
    }
}

impl AddAssign for Count {
    fn add_assign(&mut self, other: Self) {
        self.messages += other.messages;
        self.octets += other.octets;
    }
}

impl SubAssign for Count {
    fn sub_assign(&mut self, other: Self) {
        self.messages -= other.messages;
        self.octets -= other.octets;
    }
}
/// Messages that a socket had, and nobody got, when it was closed.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let unfinished = zmtp_socket::PubSocket::new().close().await;
/// assert_eq!((unfinished.unsent, unfinished.unread), (0, 0));
/// assert!(unfinished.is_empty());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Unfinished {
    /// Messages that were queued for a peer and that its transport had not taken to their last octet. A
    /// message for several peers counts for each of them.
    pub unsent: usize,
    /// Messages that had arrived and had not been received.
    pub unread: usize,
}

impl Unfinished {
    /// Whether everything was sent and received.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}
