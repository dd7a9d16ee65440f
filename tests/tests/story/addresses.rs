//! Names with several addresses, over real loopback: all are bound, and the one with a listener is
//! found.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};
use std::time::Duration;

use tokio::io::AsyncWriteExt as _;
use tokio::net::{TcpListener, TcpStream};
use zmtp_socket::{
    BindError, Context, Endpoint, Event, PubOptions, PubSocket, Reason, Reconnect, SubOptions,
};
use zmtp_tests::network::FaultyNetwork;
use zmtp_tests::story::{Place, event, receive_text, subscribers, wanted, within};

const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

/// So many addresses that no other test uses, and a port that is free on them.
fn hosts<const N: usize>() -> ([IpAddr; N], u16) {
    let mut port = 0;
    let hosts = [(); N].map(|()| {
        let place = Place::tcp().endpoint;
        let address = place.strip_prefix("tcp://").unwrap().parse::<SocketAddr>().unwrap();
        port = address.port();
        address.ip()
    });
    (hosts, port)
}

/// A context in which the host `feed` has these addresses.
fn feed_at(addresses: &[IpAddr]) -> Context {
    let network = FaultyNetwork::healthy(1);
    network.host_at("feed", addresses);
    Context::simulated(network, 1)
}

async fn can_connect(host: impl Into<IpAddr>, port: u16) -> bool {
    within("an answer", TcpStream::connect((host.into(), port))).await.is_ok()
}

fn is_taken(error: BindError) -> String {
    match &error {
        BindError::Refused { source, .. } => assert_eq!(source.kind(), ErrorKind::AddrInUse),
        other => panic!("{other}"),
    }
    error.to_string()
}

/// A server that sends `words` to each client and, if asked to, closes the connection.
async fn useless(host: IpAddr, port: u16, words: &'static [u8], hangs_up: bool) {
    let listener = TcpListener::bind((host, port)).await.unwrap();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((mut stream, _)) = listener.accept().await {
            let _gone = stream.write_all(words).await;
            if !hangs_up {
                kept.push(stream);
            }
        }
    });
}

#[tokio::test]
async fn of_a_names_addresses_the_one_that_serves_is_found_whatever_the_others_do() {
    let ([gone, closing, answering, silent, refusing, serving], port) = hosts();
    useless(closing, port, b"", true).await;
    useless(answering, port, b"HTTP/1.1 400 Bad Request\r\n\r\n", true).await;
    useless(silent, port, b"", false).await;
    // A greeting of the PLAIN mechanism, which we do not speak.
    let greeting = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01PLAIN\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
        \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
    useless(refusing, port, greeting, false).await;
    let context = feed_at(&[gone, closing, answering, silent, refusing, serving]);
    let server = context.pub_socket(PubOptions::new());
    server.bind(format!("tcp://{serving}:{port}")).await.unwrap();

    let quick = Reconnect::new(Duration::from_millis(1), Duration::from_millis(5));
    let options = SubOptions::new().reconnect(quick).handshake_timeout(Duration::from_secs(1));
    let mut client = context.sub_socket(options);
    client.subscribe("");
    let mut monitor = client.monitor();
    client.connect(format!("tcp://feed:{port}")).unwrap();
    wanted(&server, "").await;
    server.send("found").await.unwrap();
    assert_eq!(receive_text(&mut client).await, "found");

    let mut failed = Vec::new();
    let peer = event(&mut monitor, "the handshake", |event| match event {
        Event::HandshakeSucceeded { peer, .. } => Some(peer),
        Event::HandshakeFailed { peer, .. } => {
            failed.push(peer.socket_addr().unwrap().ip());
            None
        }
        _ => None,
    })
    .await;
    assert_eq!(peer.socket_addr(), Some((serving, port).into()));
    let useless = [closing, answering, silent, refusing];
    assert!(failed.starts_with(&useless), "each is tried once: {failed:?}");
}

#[tokio::test]
async fn a_name_is_looked_up_anew_for_every_attempt() {
    let ([old, new], port) = hosts();
    let network = FaultyNetwork::healthy(1);
    network.host_at("feed", &[old]);
    let context = Context::simulated(network.clone(), 1);
    let server = context.pub_socket(PubOptions::new());
    server.bind(format!("tcp://{new}:{port}")).await.unwrap();
    let client = context.sub_socket(SubOptions::new());
    client.subscribe("");
    let mut monitor = client.monitor();
    client.connect(format!("tcp://feed:{port}")).unwrap();
    event(&mut monitor, "a first attempt", |event| {
        matches!(event, Event::RetryingIn { .. }).then_some(())
    })
    .await;
    network.host_at("feed", &[new]);
    wanted(&server, "").await;
}

#[tokio::test]
async fn an_attempt_that_fails_says_so_of_each_address() {
    let (addresses, port) = hosts::<2>();
    let client = feed_at(&addresses).sub_socket(SubOptions::new());
    let mut monitor = client.monitor();
    client.connect(format!("tcp://feed:{port}")).unwrap();
    let reason = event(&mut monitor, "the failure", |event| match event {
        Event::RetryingIn { reason, .. } => Some(reason),
        _ => None,
    });
    let reason = reason.await;
    for host in addresses {
        assert!(reason.to_string().contains(&format!("{host}:{port}: ")), "{reason}");
    }
    let Reason::Transport(error) = reason else { panic!("{reason}") };
    assert_eq!(error.kind(), ErrorKind::ConnectionRefused);
}

#[tokio::test]
async fn a_name_is_bound_at_all_its_addresses_and_unbound_at_all() {
    let ([one, other], _) = hosts();
    let all = [one, other, LOOPBACKS[1]];
    let context = feed_at(&all);
    let server = context.pub_socket(PubOptions::new());
    let endpoint = server.bind("tcp://feed:*").await.unwrap();
    let port = endpoint.port().unwrap();
    assert_eq!(endpoint.to_string(), format!("tcp://feed:{port}"));
    for host in all {
        let endpoint = Endpoint::Tcp { host: zmtp_socket::Host::Ip(host), port };
        let mut client = context.sub_socket(SubOptions::new());
        client.subscribe("");
        client.connect(&endpoint).unwrap();
        wanted(&server, "").await;
        server.send("here").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "here");
        client.disconnect(&endpoint).await.unwrap();
        subscribers(&server, 0).await;
    }
    // The name has that address, too.
    let client = context.sub_socket(SubOptions::new());
    client.subscribe("");
    client.connect(&endpoint).unwrap();
    wanted(&server, "").await;

    server.unbind(&endpoint).await.unwrap();
    for host in all {
        assert!(!can_connect(host, port).await, "{host}");
    }
}

#[tokio::test]
async fn a_name_is_bound_at_all_its_addresses_or_at_none() {
    let ([one, other, taken], port) = hosts();
    let _owner = TcpListener::bind((taken, port)).await.unwrap();
    let server = feed_at(&[one, taken, other]).pub_socket(PubOptions::new());
    let error = is_taken(server.bind(format!("tcp://feed:{port}")).await.unwrap_err());
    assert!(error.contains(&format!("{taken}:{port}: ")), "{error}");
    for host in [one, other] {
        assert!(!can_connect(host, port).await, "{host}");
    }
    // Another port is free on all addresses.
    server.bind("tcp://feed:*").await.unwrap();
}

#[tokio::test]
async fn an_address_of_another_machine_is_left_to_that() {
    let ([ours], _) = hosts();
    // An address for documentation (RFC 5737), which no machine has.
    let theirs = IpAddr::from([203, 0, 113, 1]);
    for all in [[theirs, ours], [ours, theirs]] {
        let server = feed_at(&all).pub_socket(PubOptions::new());
        let endpoint = server.bind("tcp://feed:*").await.unwrap();
        assert!(can_connect(ours, endpoint.port().unwrap()).await);
    }
    let server = feed_at(&[theirs, theirs]).pub_socket(PubOptions::new());
    match server.bind("tcp://feed:*").await.unwrap_err() {
        BindError::Refused { source, .. } => assert_eq!(source.kind(), ErrorKind::AddrNotAvailable),
        other => panic!("{other}"),
    }
}

#[tokio::test]
async fn all_addresses_are_those_of_both_families() {
    let server = PubSocket::new();
    let mut monitor = server.monitor();
    let endpoint = server.bind("tcp://*:*").await.unwrap();
    let port = endpoint.port().unwrap();
    assert_eq!(endpoint.to_string(), format!("tcp://0.0.0.0:{port}"));
    for host in LOOPBACKS {
        let stream = TcpStream::connect((host, port)).await.unwrap();
        let peer = event(&mut monitor, "the connection", |event| match event {
            Event::Connected { peer, .. } => Some(peer),
            _ => None,
        });
        assert_eq!(peer.await.socket_addr(), Some(stream.local_addr().unwrap()));
    }
    let client = Place::tcp().subscriber("");
    let mut seen = client.monitor();
    client.connect(&endpoint).unwrap();
    wanted(&server, "").await;
    let peer = event(&mut seen, "the connection", |event| match event {
        Event::Connected { peer, .. } => Some(peer),
        _ => None,
    });
    assert_eq!(peer.await.socket_addr(), Some((LOOPBACKS[0], port).into()));
    server.unbind(&endpoint).await.unwrap();

    let endpoint = server.bind_with("tcp://*:*", |it| it.ipv6_only(true)).await.unwrap();
    let port = endpoint.port().unwrap();
    assert_eq!(endpoint.to_string(), format!("tcp://[::]:{port}"));
    assert!(!can_connect(LOOPBACKS[0], port).await);
    assert!(can_connect(LOOPBACKS[1], port).await);
}

#[tokio::test]
async fn all_addresses_are_bound_or_none() {
    for host in LOOPBACKS {
        let owner = TcpListener::bind((host, 0)).await.unwrap();
        let port = owner.local_addr().unwrap().port();
        let server = PubSocket::new();
        is_taken(server.bind(format!("tcp://*:{port}")).await.unwrap_err());
        for other in LOOPBACKS.into_iter().filter(|it| *it != host) {
            assert!(!can_connect(other, port).await, "{other} while {host} is taken");
        }
    }
}

#[tokio::test]
async fn an_ipv4_peer_is_one_also_at_an_ipv6_address() {
    let server = PubSocket::new();
    let mut monitor = server.monitor();
    let endpoint = server.bind_with("tcp://[::]:*", |it| it.ipv6_only(false)).await.unwrap();
    let port = endpoint.port().unwrap();
    let stream = TcpStream::connect((LOOPBACKS[0], port)).await.unwrap();
    let peer = event(&mut monitor, "the connection", |event| match event {
        Event::Connected { peer, .. } => Some(peer),
        _ => None,
    });
    assert_eq!(peer.await.address(), stream.local_addr().unwrap().to_string());
}
