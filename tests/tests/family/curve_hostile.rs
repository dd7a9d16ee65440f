//! A CURVE client that breaks a rule at each step: its connection ends, and its neighbour loses nothing.

use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use zmtp_codec::{Config, Connection, Mechanism, Metadata, Subscription};
use zmtp_socket::{
    Endpoint, Event, Monitor, PubOptions, PubSocket, Reason, SocketType, SubOptions,
};
use zmtp_tests::raw::{ANY_PORT, in_time};
use zmtp_tests::secured::keys;
use zmtp_tests::story::{receive_text, wanted};

const NOW: Duration = Duration::ZERO;

/// Changes the next output of the client. Step 0 is its greeting, 1 HELLO, 2 INITIATE; the following
/// ones are its traffic: a subscription, and more.
type Breach = fn(step: usize, says: &mut Vec<u8>);

/// Runs a client until the server closes the connection.
async fn play(endpoint: &Endpoint, config: Config, breach: Breach) {
    let address = endpoint.to_string().replace("tcp://", "");
    let mut stream = TcpStream::connect(address).await.unwrap();
    let mut connection = Connection::new(Arc::new(config));
    let (mut step, mut subscribed) = (0, false);
    in_time("the server hangs up", async {
        loop {
            // The server's answer to a breach does not matter.
            while let Ok(Some(_event)) = connection.poll_event(NOW) {}
            if connection.is_traffic() && !subscribed {
                subscribed = true;
                connection.subscribe(&Subscription::Subscribe("a".into())).unwrap();
            }
            let mut says = connection.output().split().to_vec();
            if !says.is_empty() {
                breach(step, &mut says);
                step += 1;
                if stream.write_all(&says).await.is_err() {
                    return;
                }
            }
            if stream.read_buf(connection.input()).await.unwrap_or(0) == 0 {
                return;
            }
        }
    })
    .await;
}

/// The reason why the last connection ended, which is not the neighbour's.
async fn end(monitor: &mut Monitor) -> (bool, String) {
    in_time("its end", async {
        loop {
            match monitor.next().await.unwrap() {
                Event::HandshakeFailed { reason, .. } => return (false, protocol(reason)),
                Event::Disconnected { reason, .. } => return (true, protocol(reason)),
                _ => {}
            }
        }
    })
    .await
}

fn protocol(reason: Reason) -> String {
    let Reason::Protocol(error) = reason else { panic!("no breach: {reason}") };
    error.to_string()
}

/// Changes the last octet of the output of one step, which lies in a box.
fn flip_last_at(where_to: usize, step: usize, says: &mut [u8]) {
    if step == where_to {
        *says.last_mut().unwrap() ^= 1;
    }
}

#[tokio::test]
async fn each_breach_of_curve_ends_that_connection_only_and_the_event_names_the_rule() {
    let server_keys = keys();
    let options = PubOptions::new().curve_server(server_keys.clone());
    let server: PubSocket = PubSocket::with_options(options.max_handshake_frame_size(600));
    let endpoint = server.bind(ANY_PORT).await.unwrap();
    let options = SubOptions::new().curve_client(server_keys.public(), keys());
    let mut neighbour = zmtp_socket::SubSocket::with_options(options);
    neighbour.subscribe("neighbour");
    neighbour.connect(&endpoint).unwrap();
    wanted(&server, "neighbour").await;

    // The breach, whether the handshake is done by then, and part of the reason in the event.
    let rows: [(&str, Breach, bool, &str); 9] = [
        ("a bad box in HELLO", |step, says| flip_last_at(1, step, says), false, "HELLO"),
        (
            "a HELLO cut short",
            |step, says| {
                if step == 1 {
                    says.pop();
                    says[1] -= 1;
                }
            },
            false,
            "HELLO",
        ),
        (
            "INITIATE at once",
            |step, says| {
                if step == 1 {
                    *says = [&b"\x06\0\0\0\0\0\0\x01\x01\x08INITIATE"[..], &[7; 248]].concat();
                }
            },
            false,
            "INITIATE",
        ),
        (
            "a cookie that is not ours",
            |step, says| {
                if step == 2 {
                    // The frame's header, the name, 16 octets of nonce: in the cookie's box.
                    says[9 + 9 + 40] ^= 1;
                }
            },
            false,
            "cookie",
        ),
        ("a bad box in INITIATE", |step, says| flip_last_at(2, step, says), false, "INITIATE"),
        (
            "a greeting of NULL",
            |step, says| {
                if step == 0 {
                    says[12..32].copy_from_slice(b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0");
                }
            },
            false,
            "CURVE",
        ),
        (
            "plain text in traffic",
            |step, says| {
                if step == 3 {
                    *says = b"\x00\x02\x01a".to_vec();
                }
            },
            true,
            "expected a CURVE MESSAGE",
        ),
        ("a bad box in traffic", |step, says| flip_last_at(3, step, says), true, "MESSAGE"),
        (
            "a box twice",
            |step, says| {
                if step == 3 {
                    *says = says.repeat(2);
                }
            },
            true,
            "nonce",
        ),
    ];
    for (name, breach, is_established, rule) in rows {
        let mut monitor = server.monitor();
        let mechanism = Mechanism::CurveClient { server_key: server_keys.public(), keys: keys() };
        let config = Config { mechanism, ..Config::new(SocketType::Sub) };
        play(&endpoint, config, breach).await;
        let (established, reason) = end(&mut monitor).await;
        assert!(
            established == is_established && reason.contains(rule),
            "{name}: {established}, {reason}"
        );
        server.send(format!("neighbour {name}")).await.unwrap();
        assert_eq!(receive_text(&mut neighbour).await, format!("neighbour {name}"));
    }

    // Breaches that need no tampering.
    let mut monitor = server.monitor();
    let mechanism = Mechanism::CurveClient { server_key: keys().public(), keys: keys() };
    play(&endpoint, Config { mechanism, ..Config::new(SocketType::Sub) }, |_, _| {}).await;
    let (established, reason) = end(&mut monitor).await;
    assert!(!established && reason.contains("HELLO"), "a key that is not ours: {reason}");
    let mechanism = Mechanism::CurveClient { server_key: server_keys.public(), keys: keys() };
    let metadata = Metadata::new().with("X-much", vec![7; 1000]).unwrap();
    let config = Config { mechanism, metadata, ..Config::new(SocketType::Sub) };
    play(&endpoint, config, |_, _| {}).await;
    let (established, reason) = end(&mut monitor).await;
    assert!(!established && reason.contains("the limit is 600"), "much metadata: {reason}");
    server.send("neighbour at the end").await.unwrap();
    assert_eq!(receive_text(&mut neighbour).await, "neighbour at the end");
}
