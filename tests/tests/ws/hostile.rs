//! Peers that break the rules of WebSocket or of ZWS: each loses its own connection, and no other peer
//! is affected.

use zmtp_socket::{PubOptions, PullSocket};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{end_of, in_time};

use crate::{ANY_PORT, MASKED_IDENTITY, publisher, subscriber, upgraded};

/// The close frame after a broken rule: 1002 for most rules, 1003 for text, 1009 for too large a
/// message.
const PROTOCOL: &[u8] = b"\x88\x02\x03\xEA";
const UNSUPPORTED: &[u8] = b"\x88\x02\x03\xEB";
const SIZE: &[u8] = b"\x88\x02\x03\xF1";

#[tokio::test]
async fn each_breach_closes_that_connection_only_and_the_event_names_the_rule() {
    let long = [&b"\x82\xFE\x01\x01\0\0\0\0"[..], &[0; 257]].concat();
    let strangers: [(&[u8], &[u8], &str); 4] = [
        (b"\x82\x01\x00", PROTOCOL, "without a mask"),
        (b"\x82\x81\0\0\0\0\x01", PROTOCOL, "or several parts"),
        (&long, PROTOCOL, "an identity that has 256 octets"),
        (b"\x82\x80\0\0\0\0", PROTOCOL, "without flags"),
    ];
    let traffic: [(&[u8], &[u8], &str); 14] = [
        (b"\x82\x02\x00A", PROTOCOL, "without a mask"),
        (b"\x81\x81\0\0\0\0A", UNSUPPORTED, "a WebSocket text message"),
        (b"\xC2\x81\0\0\0\0\x00", PROTOCOL, "reserved bits"),
        (b"\x83\x81\0\0\0\0\x00", PROTOCOL, "not a WebSocket frame"),
        (b"\x8B\x80\0\0\0\0", PROTOCOL, "not a WebSocket frame"),
        (b"\x82\x80\0\0\0\0", PROTOCOL, "without flags"),
        (b"\x02\x80\0\0\0\0\x80\x80\0\0\0\0", PROTOCOL, "without flags"),
        (b"\x82\x82\0\0\0\0\x03A", PROTOCOL, "the flags 0x03"),
        (b"\x82\x82\0\0\0\0\x80A", PROTOCOL, "the flags 0x80"),
        (b"\x82\x86\0\0\0\0\x02\x04PING", PROTOCOL, "a command"),
        (b"\x09\x80\0\0\0\0", PROTOCOL, "control frame"),
        (b"\x89\xFE\x00\x7E\0\0\0\0", PROTOCOL, "control frame that has 126 octets"),
        (b"\x80\x81\0\0\0\0A", PROTOCOL, "does not continue"),
        (b"\x02\x81\0\0\0\0\x00\x82\x81\0\0\0\0\x00", PROTOCOL, "does not continue"),
    ];
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let (mut neighbour, mut client) = Neighbour::subscriber(&publisher, &endpoint).await;
    let strangers = strangers.iter().map(|row| (false, row));
    for (is_met, (sends, hears, rule)) in strangers.chain(traffic.iter().map(|row| (true, row))) {
        println!("{rule}");
        let mut monitor = publisher.monitor();
        let mut peer = upgraded(&endpoint).await;
        if is_met {
            peer.send(MASKED_IDENTITY).await;
        }
        neighbour.send().await;
        peer.send(sends).await;
        peer.expect(hears).await;
        peer.expect_closed().await;
        end_of(&mut monitor, &peer.address()).await.expect(is_met, rule);
        neighbour.receive_all(&mut client).await;
    }
    let stats = publisher.stats();
    assert_eq!((stats.peers.len(), stats.dropped, stats.undelivered), (1, 0, 0));
}

#[tokio::test]
async fn a_size_is_judged_when_it_is_announced() {
    let mut pull = PullSocket::new();
    let endpoint =
        pull.bind_with(ANY_PORT, |it| it.max_message_size(10).max_command_size(10)).await;
    let endpoint = endpoint.unwrap();
    let rows: [(&[u8], &[u8], &str); 4] = [
        // The most that fits, and one octet more.
        (b"\x82\x8B\0\0\0\0\x000123456789\x82\x8C\0\0\0\0", b"", "11 octets"),
        (b"\x82\xFF\x7F\xFF\xFF\xFF\xFF\xFF\xFF\xFF\0\0\0\0\x00", b"", "octets"),
        (b"\x02\x8C\0\0\0\0", SIZE, "12 octets; the limit is 11"),
        (b"\x02\x8B\0\0\0\0\x000123456789\x80\x81\0\0\0\0", SIZE, "12 octets; the limit is 11"),
    ];
    for (number, (sends, hears, rule)) in rows.into_iter().enumerate() {
        println!("{rule}");
        let mut monitor = pull.monitor();
        let mut peer = upgraded(&endpoint).await;
        peer.send(MASKED_IDENTITY).await;
        peer.send(b"\x82\x82\0\0\0\0\x001").await;
        assert_eq!(in_time("it is met", pull.recv()).await.unwrap().first(), "1");
        peer.send(sends).await;
        if number == 0 {
            peer.send(b"\x00").await;
            let message = in_time("a message", pull.recv()).await.unwrap();
            assert_eq!(message.first(), "0123456789");
        }
        match hears {
            // A breach that the codec finds, after which we wait for the peer to close the connection.
            b"" => peer.expect(b"\x88\x02\x03\xE8").await,
            hears => peer.expect(hears).await,
        }
        let address = peer.address();
        drop(peer);
        end_of(&mut monitor, &address).await.expect(true, rule);
    }
}

#[tokio::test]
async fn a_flood_of_pings_that_nobody_reads_the_answers_to_holds_nobody_up() {
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let (mut neighbour, mut client) = Neighbour::subscriber(&publisher, &endpoint).await;
    let mut peer = subscriber(&publisher, &endpoint).await;
    let ping = [&b"\x89\xFD\0\0\0\0"[..], &[7; 125]].concat();
    let flood = ping.repeat(1000);
    // Some of them are answered; of those that wait unread, only the last one is.
    for _ in 0..100 {
        peer.try_send(&flood).await.expect("it is read");
        neighbour.send().await;
    }
    neighbour.receive_all(&mut client).await;
    assert_eq!(publisher.stats().peers.len(), 2, "it has broken no rule");
}
