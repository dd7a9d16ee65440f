//! Counters of what a socket has sent, received and lost, in all and for each peer.

use std::ops::{AddAssign, SubAssign};
use std::time::Duration;

use zmtp_codec::{Batch, Message};

use crate::peer::Peer;

/// The counters of one socket since it was made. A message that goes to three peers counts three
/// times. Octets are those of whole frames, headers included.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct Stats {
    /// Messages that the system has taken whole, or another socket of this process.
    pub sent: u64,
    /// Octets of messages that a transport has taken.
    pub sent_octets: u64,
    /// Messages that have arrived, including those that are [filtered](Self::filtered) out.
    pub received: u64,
    /// Octets of these.
    pub received_octets: u64,
    /// Messages lost because there was no room for them, in a queue to a peer or in the one of what
    /// has arrived.
    pub dropped: u64,
    /// Octets of these.
    pub dropped_octets: u64,
    /// Messages that were still queued for a peer when its connection ended.
    pub undelivered: u64,
    /// Messages waiting now: for a transport to take them, or for `recv`. The current batch of the
    /// receiving side, up to 256 messages, is not counted.
    pub queued: u64,
    /// Octets of these.
    pub queued_octets: u64,
    /// Messages that arrived although no subscription of the socket matches them. For a REP: those that are
    /// not a request; for a REQ: those that are not the reply to its request.
    pub filtered: u64,
    /// For a publisher, the distinct topics of each peer, added up; for a subscriber, its own
    /// topics.
    pub subscriptions: u64,
    /// Connections through bound endpoints that are in their handshake.
    pub handshakes: u64,
    /// Connections that were refused, or ended in their handshake, because of
    /// [`max_connections`](crate::PubOptions::max_connections) or
    /// [`max_handshakes`](crate::PubOptions::max_handshakes).
    pub refused: u64,
    /// The peers whose handshake has succeeded and whose connection stands; none in
    /// [totals](crate::Handle::totals).
    pub peers: Vec<PeerStats>,
}

/// The counters of one peer, since its present connection was made.
#[derive(Clone, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct PeerStats {
    /// The peer.
    pub peer: Peer,
    /// How long the connection has stood; serialised in seconds.
    #[cfg_attr(feature = "serde", serde(serialize_with = "crate::serialize::seconds"))]
    pub age: Duration,
    /// The state of the connection.
    pub state: PeerState,
    /// Messages for this peer that its transport has taken whole.
    pub sent: u64,
    /// Octets of messages that its transport has taken.
    pub sent_octets: u64,
    /// Messages that have arrived from this peer.
    pub received: u64,
    /// Octets of these.
    pub received_octets: u64,
    /// Messages lost because there was no room for them, in the queue to this peer or in the one of
    /// what it sent.
    pub dropped: u64,
    /// Octets of these.
    pub dropped_octets: u64,
    /// Messages waiting now, for this peer's transport or, from this peer, for `recv`.
    pub queued: u64,
    /// Octets of these.
    pub queued_octets: u64,
    /// For a publisher, the distinct topics that this peer is subscribed to; for a subscriber,
    /// those that this peer has been told.
    pub subscriptions: u64,
}

/// The state of a peer's connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "lowercase"))]
#[non_exhaustive]
pub enum PeerState {
    /// Messages flow as they come.
    Flowing,
    /// Its queue has reached the high-water mark and has not drained. A sending socket drops
    /// messages for the peer, or waits for it; a receiving one reads nothing from it until
    /// something has been received.
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
/// Messages that were neither sent nor received when a socket was closed.
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
