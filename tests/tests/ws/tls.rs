//! `wss://`: with ours, and with jszmq, whose TLS is Node's.

use std::sync::Arc;

use rcgen::{CertifiedKey, generate_simple_self_signed};
use tokio_rustls::rustls::{ClientConfig, RootCertStore, ServerConfig};
use zmtp_socket::{BindError, Event, PubOptions, PubSocket, Reconnect, SubOptions, SubSocket};
use zmtp_tests::node::Library;
use zmtp_tests::raw::{RawPeer, end_of, in_time};
use zmtp_tests::story::{event, receive};

const ANY_PORT: &str = "wss://127.0.0.1:*/feed";

/// A server's side of TLS, that of a client which trusts it, and its certificate for other programs.
fn tls() -> (Arc<ServerConfig>, Arc<ClientConfig>, String) {
    let names = ["127.0.0.1".to_owned(), "localhost".to_owned()];
    let CertifiedKey { cert, signing_key } = generate_simple_self_signed(names).unwrap();
    let key = rcgen::KeyPair::serialize_der(&signing_key).try_into().unwrap();
    let server = ServerConfig::builder().with_no_client_auth();
    let server = server.with_single_cert(vec![cert.der().clone()], key).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(cert.der().clone()).unwrap();
    let client = ClientConfig::builder().with_root_certificates(roots).with_no_client_auth();
    (Arc::new(server), Arc::new(client), cert.pem())
}

#[tokio::test]
async fn messages_of_any_size_go_through_tls_and_come_back_after_a_cut() {
    let (server, client, _) = tls();
    let options = PubOptions::new().wss_server(server);
    let publisher = PubSocket::with_options(options.clone());
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let quick =
        Reconnect::new(std::time::Duration::from_millis(5), std::time::Duration::from_millis(50));
    let mut subscriber =
        SubSocket::with_options(SubOptions::new().wss_client(client).reconnect(quick));
    subscriber.subscribe("A");
    subscriber.connect(&endpoint).unwrap();
    in_time("a subscription", publisher.wait_for_subscriber("A")).await.unwrap();
    for size in [1, 200, 70_000, 3_000_000] {
        publisher.send(vec![b'A'; size]).await.unwrap();
        assert_eq!(receive(&mut subscriber).await.first().len(), size);
    }
    publisher.close().await;
    let publisher = PubSocket::with_options(options);
    publisher.bind(&endpoint).await.unwrap();
    in_time("it comes back", publisher.wait_for_subscriber("A")).await.unwrap();
}

#[tokio::test]
async fn a_certificate_that_is_not_trusted_or_another_name_is_refused() {
    let (server, trusting, _) = tls();
    let (_, stranger, _) = tls();
    let publisher = PubSocket::with_options(PubOptions::new().wss_server(server));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let other_name = endpoint.to_string().replace("127.0.0.1", "127.0.0.2");
    let other = publisher.bind(other_name).await.unwrap();
    for (client, endpoint, rule) in
        [(stranger, &endpoint, "certificate"), (trusting, &other, "certificate")]
    {
        let subscriber = SubSocket::with_options(SubOptions::new().wss_client(client));
        let mut monitor = subscriber.monitor();
        subscriber.connect(endpoint).unwrap();
        let reason = event(&mut monitor, "a refusal", |event| match event {
            Event::RetryingIn { reason, .. } => Some(reason.to_string()),
            Event::HandshakeSucceeded { .. } => panic!("it is let in"),
            _ => None,
        });
        let reason = reason.await;
        assert!(reason.starts_with("TLS: ") && reason.contains(rule), "{reason}");
    }
}

#[tokio::test]
async fn who_speaks_no_tls_is_refused_and_without_a_certificate_nothing_is_bound() {
    let refused = PubSocket::new().bind(ANY_PORT).await.unwrap_err();
    assert!(matches!(refused, BindError::Refused { .. }), "{refused:?}");
    assert!(refused.to_string().contains("wss_server"), "{refused}");

    let subscriber = SubSocket::new();
    let mut monitor = subscriber.monitor();
    subscriber.connect("wss://127.0.0.1:1/").unwrap();
    let reason = event(&mut monitor, "a refusal", |event| match event {
        Event::RetryingIn { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    assert!(reason.await.contains("wss_client"));

    let publisher = PubSocket::with_options(PubOptions::new().wss_server(tls().0));
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.send(format!("{}\r\n", crate::REQUEST)).await;
    let _alert = peer.heard_to_end().await;
    end_of(&mut monitor, &peer.address()).await.expect(false, "TLS: ");
}

#[tokio::test]
async fn jszmq_subscribes_over_tls() {
    let (server, _, certificate) = tls();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), certificate).unwrap();
    let Some(mut peer) = Library::Jszmq.start_trusting(Some(file.path())) else { return };
    let publisher = PubSocket::with_options(PubOptions::new().wss_server(server));
    let endpoint = publisher.bind("wss://127.0.0.1:*/feed").await.unwrap();
    peer.open("SUB", "connect", &endpoint.to_string(), &[]).await;
    peer.subscribe(b"1").await;
    in_time("a subscription", publisher.wait_for_subscriber("1")).await.unwrap();
    publisher.send("10001").await.unwrap();
    assert_eq!(peer.receive().await, [b"10001"]);
}
