//! Relays between sockets that send each message to one peer.

mod queue;
mod streamer;

use tokio::task::JoinHandle;
use zmtp_socket::kind::Kind;
use zmtp_socket::{ProxyHandle, Relay, Relays};

/// A relay and its two sockets.
struct Running<F: Kind, B: Kind> {
    handle: ProxyHandle,
    task: JoinHandle<Relay<F, B>>,
}

fn start<F: Relays<B> + 'static, B: Kind + 'static>(mut relay: Relay<F, B>) -> Running<F, B> {
    let handle = relay.handle();
    let task = tokio::spawn(async move {
        relay.run().await;
        relay
    });
    Running { handle, task }
}
