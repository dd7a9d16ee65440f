//! The counters of one peer in a socket that both sends and receives.

use crate::peer::Peer;
use crate::receive::inbox::Queue;
use crate::send::Outbox;
use crate::stats::{PeerState, PeerStats};

/// The counters of `peer`, from its outbox and its queue in the inbox. The peer counts as congested if
/// `is_congested`, or if that queue is.
pub(super) fn peer_stats(
    peer: &Peer,
    outbox: &Outbox,
    queue: &Queue,
    is_congested: bool,
    subscriptions: u64,
) -> PeerStats {
    PeerStats {
        peer: peer.clone(),
        age: peer.age(),
        state: PeerState::of(queue.is_congested() || is_congested),
        sent: outbox.sent.messages,
        sent_octets: outbox.sent.octets,
        received: queue.received.messages,
        received_octets: queue.received.octets,
        dropped: queue.dropped.messages + outbox.dropped.messages,
        dropped_octets: queue.dropped.octets + outbox.dropped.octets,
        queued: queue.waiting.messages + outbox.queued() as u64,
        queued_octets: queue.waiting.octets + outbox.queued_octets() as u64,
        subscriptions,
    }
}
