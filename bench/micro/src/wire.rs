//! Connections without a network.

use std::sync::Arc;
use std::time::Duration;

use zmtp_codec::{Config, Connection, SocketType};

/// A subscriber whose handshake is over.
pub fn in_traffic() -> Connection {
    let mut publisher = Connection::new(Arc::new(Config::new(SocketType::Pub)));
    let mut subscriber = Connection::new(Arc::new(Config::new(SocketType::Sub)));
    while !subscriber.is_traffic() {
        for side in [false, true] {
            let (from, to) = if side {
                (&mut publisher, &mut subscriber)
            } else {
                (&mut subscriber, &mut publisher)
            };
            to.receive(Duration::ZERO, &from.output().split());
            while to.poll_event(Duration::ZERO).expect("the peer keeps the rules").is_some() {}
        }
    }
    subscriber
}
