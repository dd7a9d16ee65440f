//! No socket accepts a weaker mechanism than its own, or an older protocol that has none.

use zmtp_socket::{Event, Monitor, PubSocket, Reason, SubOptions, SubSocket};
use zmtp_tests::over_each_transport;
use zmtp_tests::raw::{ANY_PORT, RawListener, RawPeer, end_of};
use zmtp_tests::secured::{Server, keys};
use zmtp_tests::story::{Place, event};

use crate::authorize::{QUICK, servers};

/// A greeting of ZMTP 3.1.
fn greeting(mechanism: &[u8], as_server: bool) -> Vec<u8> {
    let mut name = [0; 20];
    name[..mechanism.len()].copy_from_slice(mechanism);
    let as_server = [u8::from(as_server)];
    [&b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01"[..], &name, &as_server, &[0; 31]].concat()
}

/// The octets of peers that do not have our mechanism, and part of the reason in the event. Each peer
/// continues as if it had been let in.
fn strangers(ours: &str) -> Vec<(Vec<u8>, String)> {
    let other: &[u8] = if ours == "PLAIN" { b"CURVE" } else { b"PLAIN" };
    let lower_case = ours.to_lowercase();
    let longer = [ours.as_bytes(), b"\0X"].concat();
    let mut strangers = Vec::new();
    for mechanism in [b"NULL", other, lower_case.as_bytes(), &longer, b""] {
        let rest = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB\x04\x0B\x09SUBSCRIBEa";
        for as_server in [false, true] {
            let rule = format!("our security mechanism is {ours}, the peer's is ");
            strangers.push(([&greeting(mechanism, as_server)[..], rest].concat(), rule));
        }
    }
    let older: [(&[u8], &str); 3] = [
        // ZMTP 2.0, from a SUB: its greeting, an empty identity, a subscription.
        (b"\xFF\0\0\0\0\0\0\0\x01\x7F\x01\x02\0\0\0\x02\x01a", "got 1 (ZMTP 2.0 or older)"),
        // ZMTP 1.0: an anonymous peer, and one with a long identity.
        (b"\x01\0\x03\0\x01a", "whose first octet is FF; got 01"),
        (b"\xFF\0\0\0\0\0\0\x01\0\0identity", "as ZMTP 1.0 sends"),
    ];
    strangers.extend(older.map(|(says, rule)| (says.to_vec(), rule.to_owned())));
    strangers
}

#[tokio::test]
async fn a_server_with_a_mechanism_says_nothing_but_its_greeting_to_who_has_another_or_none() {
    for secured in [Server::Plain, Server::curve()] {
        let name = secured.to_string();
        let server = PubSocket::new();
        let endpoint = server.bind_with(ANY_PORT, |it| secured.apply(it)).await.unwrap();
        for (says, rule) in strangers(&name) {
            let mut monitor = server.monitor();
            let mut peer = RawPeer::dial(&endpoint).await;
            peer.send(says).await;
            peer.expect(greeting(name.as_bytes(), true)).await;
            peer.expect_closed().await;
            let address = peer.address();
            drop(peer);
            end_of(&mut monitor, &address).await.expect(false, &rule);
            assert_eq!(server.subscriber_count(), 0);
        }
    }
}

#[tokio::test]
async fn a_client_with_a_mechanism_keeps_its_secrets_from_who_has_another_or_none() {
    for secured in [Server::Plain, Server::curve()] {
        let (name, it_is) = (secured.to_string(), secured.client());
        let listener = RawListener::bind().await;
        let client = SubSocket::new();
        client.subscribe("a");
        client.connect_with(listener.endpoint(), |it| it_is.apply(it).reconnect(QUICK)).unwrap();
        for (says, rule) in strangers(&name) {
            let mut monitor = client.monitor();
            let mut peer = listener.accept().await;
            peer.send(says).await;
            // We send no HELLO, which under PLAIN has the password.
            peer.expect(greeting(name.as_bytes(), false)).await;
            peer.expect_closed().await;
            drop(peer);
            end_of(&mut monitor, &listener.address()).await.expect(false, &rule);
            assert_eq!(client.stats().peers, []);
        }
    }
}

over_each_transport! {
    async fn there_is_never_a_downgrade(place: Place) {
        for (at, secured) in servers().into_iter().enumerate() {
            let server = place.publisher();
            server.bind_with(&*place.endpoint, |it| secured.apply(it)).await.unwrap();
            let mut monitor = server.monitor();
            let mut expect_refused = async |options: SubOptions| {
                let stranger = place.context.sub_socket(options);
                stranger.subscribe("");
                let mut its_monitor = stranger.monitor();
                stranger.connect(&*place.endpoint).unwrap();
                failed(&mut monitor).await;
                failed(&mut its_monitor).await;
                assert_eq!((server.subscriber_count(), stranger.stats().peers.len()), (0, 0));
            };
            let clients = [
                SubOptions::new(),
                SubOptions::new().plain_client("ann", "secret"),
                SubOptions::new().curve_client(keys().public(), keys()),
            ];
            for (number, options) in clients.into_iter().enumerate() {
                // Of CURVE's clients, only one that has another server's key.
                if number != at || matches!(secured, Server::Curve { .. }) {
                    expect_refused(options).await;
                }
            }
            server.close().await;
        }
    }
}

async fn failed(monitor: &mut Monitor) -> Reason {
    event(monitor, "a failed handshake", |event| match event {
        Event::HandshakeFailed { reason, .. } => Some(reason),
        _ => None,
    })
    .await
}
