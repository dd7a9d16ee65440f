//! The counters of one peer that is sent to and received from.

use crate::peer::Peer;
use crate::receive::inbox::Queue;
use crate::send::Outbox;
use crate::stats::{PeerState, PeerStats};

/// What has passed between the socket and `peer`, by its outbox and its queue. The peer holds others up, or is
/// held up itself, if it `is_congested`, or the queue is.
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
