//! Logs every event through `tracing`.

use tracing::{debug, info, trace, warn};

use crate::monitor::Event;

/// Logs `event`: at WARN if somebody has to act, at INFO if it happens once for a socket, at DEBUG for
/// each connection, at TRACE for each subscription. An event that an unauthenticated peer can cause at
/// will is not above DEBUG.
pub(crate) fn log(event: &Event) {
    match event {
        Event::Listening { endpoint } => info!(%endpoint, "listening"),
        Event::AcceptFailed { endpoint, reason } => {
            warn!(%endpoint, %reason, "cannot accept connections for now");
        }
        Event::Refused { peer, reason } => debug!(%peer, %reason, "refused"),
        Event::Connected { peer } => debug!(%peer, "connected"),
        Event::HandshakeSucceeded { peer, info } => {
            let socket_type = info.socket_type.map(|it| it.name());
            debug!(%peer, version = %info.version, socket_type, "handshake succeeded");
        }
        Event::HandshakeFailed { peer, reason } => debug!(%peer, %reason, "handshake failed"),
        Event::Disconnected { peer, reason } => debug!(%peer, %reason, "disconnected"),
        Event::RetryingIn { endpoint, delay, reason } => {
            debug!(%endpoint, ?delay, %reason, "retrying");
        }
        Event::Parked { endpoint, reason } => {
            warn!(%endpoint, %reason, "parked: not dialled again until connect is repeated");
        }
        Event::Subscribed { peer, topic } => trace!(%peer, ?topic, "subscribed"),
        Event::Unsubscribed { peer, topic } => trace!(%peer, ?topic, "unsubscribed"),
        Event::Dropping { peer, mark } => debug!(%peer, %mark, "losing messages"),
        Event::CaughtUp { peer, dropped } => debug!(%peer, dropped, "caught up"),
    }
}
