use std::future::poll_fn;
use std::time::{Duration, Instant};

use super::*;
use crate::engine::transport::{Inlet, Stream};
use crate::options::EndpointOptions;

/// The options of one end of a connection, as the system reports them.
#[derive(Clone, Debug, PartialEq)]
struct Socket {
    send_buffer: usize,
    receive_buffer: usize,
    nodelay: bool,
    unsent: u32,
    keepalive: Option<Keepalive>,
    user_timeout: Option<Duration>,
    type_of_service: u32,
    device: Option<Vec<u8>>,
    congestion: Vec<u8>,
}

impl Socket {
    fn of((stream, _): &Connected) -> Self {
        let Stream::System(Inlet::Tcp(stream), _) = stream else { panic!("a tcp connection") };
        let stream: &TcpStream = stream.as_ref();
        let socket = SockRef::from(stream);
        let is_v4 = stream.local_addr().unwrap().is_ipv4();
        Self {
            send_buffer: socket.send_buffer_size().unwrap(),
            receive_buffer: socket.recv_buffer_size().unwrap(),
            nodelay: stream.nodelay().unwrap(),
            unsent: socket.tcp_notsent_lowat().unwrap(),
            keepalive: socket.keepalive().unwrap().then(|| Keepalive {
                idle: socket.tcp_keepalive_time().unwrap(),
                interval: socket.tcp_keepalive_interval().unwrap(),
                probes: socket.tcp_keepalive_retries().unwrap(),
            }),
            user_timeout: socket.tcp_user_timeout().unwrap(),
            type_of_service: match is_v4 {
                true => socket.tos_v4().unwrap(),
                false => socket.tclass_v6().unwrap(),
            },
            device: socket.device().unwrap(),
            congestion: socket.tcp_congestion().unwrap(),
        }
    }
}

async fn bound(host: IpAddr, options: &TcpOptions) -> (Listener, Host, u16) {
    let host = Host::Ip(host);
    let listener = Listener::bind(&host, 0, &Networks::default(), options).await.unwrap();
    let port = listener.address(&host).unwrap().1;
    (listener, host, port)
}

async fn connected(host: &Host, port: u16, options: &TcpOptions) -> io::Result<Connected> {
    dial(&mut Dialler::default(), host, port, &Networks::default(), options).await
}

/// The bound and the connected end of a new connection.
async fn ends(host: IpAddr, here: &TcpOptions, there: &TcpOptions) -> [Socket; 2] {
    let (mut listener, host, port) = bound(host, here).await;
    let dialled = connected(&host, port, there).await.unwrap();
    let accepted = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    [Socket::of(&accepted), Socket::of(&dialled)]
}

const HOSTS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];

#[tokio::test]
async fn a_connection_finds_its_own_death_and_takes_no_more_than_it_is_about_to_send() {
    for host in HOSTS {
        let options = TcpOptions::default();
        for end in ends(host, &options, &options).await {
            let times = (Duration::from_secs(30), Duration::from_secs(10));
            let keepalive = Keepalive { idle: times.0, interval: times.1, probes: 3 };
            assert_eq!((end.unsent, end.nodelay), (UNSENT, true));
            assert_eq!((end.keepalive, end.user_timeout), (Some(keepalive), None));
            assert_eq!((end.type_of_service, end.device), (0, None));
        }
    }
}

#[tokio::test]
async fn a_connection_inside_the_machine_is_sent_without_a_pace() {
    for host in HOSTS {
        let options = TcpOptions::default();
        for end in ends(host, &options, &options).await {
            assert!(end.congestion.starts_with(UNPACED), "{:?}", end.congestion);
        }
    }
}

#[test]
fn a_peer_is_inside_the_machine_at_its_loopback_or_at_our_own_address() {
    for (here, there, inside) in [
        ("127.0.0.1", "127.0.0.1", true),
        ("127.0.0.1", "127.0.0.2", true),
        ("::1", "::1", true),
        ("::ffff:127.0.0.1", "::ffff:127.0.0.2", true),
        ("192.0.2.7", "192.0.2.7", true),
        ("192.0.2.7", "192.0.2.8", false),
        ("2001:db8::7", "2001:db8::8", false),
    ] {
        assert_eq!(is_inside(here.parse().unwrap(), there.parse().unwrap()), inside, "{there}");
    }
}

#[tokio::test]
async fn each_end_is_what_was_asked_for_and_all_else_as_by_default() {
    type Row = (fn(EndpointOptions) -> EndpointOptions, fn(&mut Socket));
    let rows: [Row; 9] = [
        // Linux allows twice what is asked for. All are far below what it chooses by itself.
        (|it| it.send_buffer(6 << 10), |it| it.send_buffer = 12 << 10),
        (|it| it.receive_buffer(7 << 10), |it| it.receive_buffer = 14 << 10),
        (|it| it.nodelay(false), |it| it.nodelay = false),
        (|it| it.keepalive(None), |it| it.keepalive = None),
        (|it| it.keepalive(RARE), |it| it.keepalive = Some(RARE)),
        (|it| it.user_timeout(RARE.idle), |it| it.user_timeout = Some(RARE.idle)),
        (|it| it.type_of_service(0xB8), |it| it.type_of_service = 0xB8),
        (|it| it.bind_device("lo"), |it| it.device = Some(b"lo".into())),
        (|it| it.connect_timeout(RARE.idle), |_| {}),
    ];
    for host in HOSTS {
        let systems = TcpOptions::default();
        let [accepted, dialled] = ends(host, &systems, &systems).await;
        for (number, (ask, expect)) in rows.iter().enumerate() {
            let options = ask(EndpointOptions::new()).link.tcp;
            let (mut here, mut there) = (accepted.clone(), dialled.clone());
            expect(&mut here);
            expect(&mut there);
            let bound = ends(host, &options, &systems).await;
            assert_eq!(bound, [here, dialled.clone()], "row {number}, bound");
            let connected = ends(host, &systems, &options).await;
            assert_eq!(connected, [accepted.clone(), there], "row {number}, connected");
        }
    }
}

/// Times that are nobody's default.
const RARE: Keepalive =
    Keepalive { idle: Duration::from_secs(77), interval: Duration::from_secs(7), probes: 9 };

#[tokio::test]
async fn an_ipv6_endpoint_lets_ipv4_peers_in_or_not() {
    for only in [false, true] {
        let options = EndpointOptions::new().ipv6_only(only).link.tcp;
        let (_listener, _, port) = bound(Ipv6Addr::UNSPECIFIED.into(), &options).await;
        let host = Host::Ip(Ipv4Addr::LOCALHOST.into());
        let dialled = connected(&host, port, &TcpOptions::default()).await;
        assert_eq!(dialled.is_err(), only);
    }
}

#[tokio::test]
async fn an_ipv4_peer_of_an_ipv6_endpoint_has_the_type_of_service_too() {
    let options = EndpointOptions::new().ipv6_only(false).type_of_service(0xB8).link.tcp;
    let (mut listener, _, port) = bound(Ipv6Addr::UNSPECIFIED.into(), &options).await;
    let _dialled = connected(&Host::Ip(HOSTS[0]), port, &TcpOptions::default()).await.unwrap();
    let (stream, _) = poll_fn(|cx| listener.poll_accept(cx)).await.unwrap();
    let Stream::System(Inlet::Tcp(stream), _) = stream else { panic!("a tcp connection") };
    let stream: &TcpStream = stream.as_ref();
    assert_eq!(SockRef::from(stream).tos_v4().unwrap(), 0xB8);
}

#[tokio::test]
async fn an_address_that_does_not_answer_is_given_up_in_time() {
    // A listener that accepts nothing takes a few connections and then leaves the others unanswered.
    let (listener, _, port) = bound(HOSTS[0], &TcpOptions::default()).await;
    let address = SocketAddr::new(HOSTS[0], port);
    drop(listener);
    let socket = TcpSocket::new_v4().unwrap();
    socket.set_reuseaddr(true).unwrap();
    socket.bind(address).unwrap();
    let _full = socket.listen(1).unwrap();
    let connect_timeout = Duration::from_millis(300);
    let options = EndpointOptions::new().connect_timeout(connect_timeout).link.tcp;
    let mut taken = Vec::new();
    let (error, waited) = loop {
        assert!(taken.len() < 10, "the queue of a listener has no end");
        let begun = Instant::now();
        // By itself, the system would wait for minutes.
        let host = Host::Ip(address.ip());
        let dialling = connected(&host, address.port(), &options);
        match tokio::time::timeout(Duration::from_secs(20), dialling).await.unwrap() {
            Ok(connected) => taken.push(connected),
            Err(error) => break (error, begun.elapsed()),
        }
    };
    assert_eq!(error.kind(), io::ErrorKind::TimedOut);
    assert!(waited >= connect_timeout, "{waited:?}");
}
