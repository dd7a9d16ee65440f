//! Connecting the sockets of a story.

use std::time::Duration;

use zmtp_socket::kind::{Kind, Unicasts};
use zmtp_socket::{Event, Handle, Message, Monitor, Options, Peer, Reason, Reconnect, Socket};
use zmtp_tests::story::{Place, event, eventually};

/// Longer than any test.
pub(crate) const NEVER: Duration = Duration::from_secs(3600);

/// A socket that is bound here.
pub(crate) async fn bound<T: Kind>(place: &Place, options: Options<T>) -> Socket<T> {
    let socket = place.context.socket(options);
    socket.bind(&*place.endpoint).await.expect("nobody else is here");
    socket
}

/// A socket that is connected to here, and reconnects within milliseconds.
pub(crate) fn connected<T: Kind>(place: &Place, options: Options<T>) -> Socket<T> {
    let (initial, max) = (Duration::from_millis(1), Duration::from_millis(2));
    connected_with(place, options.reconnect(Reconnect::new(initial, max)))
}

/// A socket that is connected to here, and does not reconnect.
pub(crate) fn connected_once<T: Kind>(place: &Place, options: Options<T>) -> Socket<T> {
    connected_with(place, options.reconnect(Reconnect::new(NEVER, NEVER)))
}

fn connected_with<T: Kind>(place: &Place, options: Options<T>) -> Socket<T> {
    let socket = place.context.socket(options);
    socket.connect(&*place.endpoint).expect("it can be connected to");
    socket
}

/// The endpoint of another place, under a name that this place's context does not have yet.
pub(crate) fn beside(another: &Place) -> &str {
    match another.endpoint.starts_with("inproc:") {
        true => "inproc://beside",
        false => &another.endpoint,
    }
}

/// Waits until a socket has so many peers.
pub(crate) async fn peers<T: Unicasts>(socket: &Handle<T>, count: usize) {
    eventually(&format!("{count} peers"), || socket.peer_count() == count).await;
}

/// Waits until a connection ends for this reason, before its handshake is done or after.
pub(crate) async fn ended(monitor: &mut Monitor, why: &Reason) -> Peer {
    event(monitor, &format!("a connection to end: {why}"), |event| match event {
        Event::HandshakeFailed { peer, reason, .. } | Event::Disconnected { peer, reason, .. }
            if reason.to_string() == why.to_string() =>
        {
            Some(peer)
        }
        _ => None,
    })
    .await
}

/// A message of these parts.
pub(crate) fn message<const N: usize>(parts: [&'static str; N]) -> Message {
    Message::multipart(parts).expect("there are parts")
}
