//! Connections without a network.

use std::sync::Arc;
use std::time::Duration;

use zmtp_codec::{
    Allowed, Config, Connection, CurveKeyPair, CurveSecretKey, Event, Mechanism, SocketType,
};

/// A subscriber whose handshake is over.
pub fn in_traffic() -> Connection {
    pair(Mechanism::Null, Mechanism::Null).1
}

/// A publisher and a subscriber that have a key in common.
pub fn sealed() -> (Connection, Connection) {
    let [server, client] =
        [1, 2].map(|octet| CurveKeyPair::from(CurveSecretKey::from([octet; 32])));
    let server_key = server.public();
    pair(
        Mechanism::CurveServer { keys: server },
        Mechanism::CurveClient { server_key, keys: client },
    )
}

/// A publisher and a subscriber whose handshake is over.
fn pair(ours: Mechanism, theirs: Mechanism) -> (Connection, Connection) {
    let config =
        |socket_type, mechanism| Arc::new(Config { mechanism, ..Config::new(socket_type) });
    let mut publisher = Connection::new(config(SocketType::Pub, ours));
    let mut subscriber = Connection::new(config(SocketType::Sub, theirs));
    while !subscriber.is_traffic() {
        for side in [false, true] {
            let (from, to) = if side {
                (&mut publisher, &mut subscriber)
            } else {
                (&mut subscriber, &mut publisher)
            };
            to.receive(Duration::ZERO, &from.output().split());
            while let Some(event) = to.poll_event(Duration::ZERO).expect("the peer keeps the rules")
            {
                if let Event::Credentials(_) = event {
                    to.authorize(Duration::ZERO, Ok(Allowed::new()));
                }
            }
        }
    }
    (publisher, subscriber)
}
