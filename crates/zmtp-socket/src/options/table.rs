//! Tests that SECURITY.md lists every limit with its default.

use std::fs;
use std::path::Path;
use std::time::Duration;

use super::{HighWaterMark, PubOptions, SubOptions, WhenFull};
use crate::monitor;
use crate::options::Linger;

/// The rows of the table: the limit, its option, its default. `None` in the published crate: the file
/// belongs to the repository.
fn rows() -> Option<Vec<[String; 3]>> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    if package.join("Cargo.toml.orig").exists() {
        return None;
    }
    let text =
        fs::read_to_string(package.join("../../SECURITY.md")).expect("the repository's file");
    let (_, table) = text.split_once("|---|---|---|---|\n").expect("the table");
    let cells = |line: &str| {
        let mut cells = line.split('|').skip(1).map(|cell| cell.trim().replace('`', ""));
        [(); 3].map(|()| cells.next().expect("four cells"))
    };
    Some(table.lines().map(cells).collect())
}

fn seconds(time: Duration) -> String {
    format!("{} s", time.as_secs())
}

#[test]
fn the_table_of_limits_is_true() {
    let publisher = PubOptions::new();
    let waiting = PubOptions::new().when_full(WhenFull::Wait).role.marks();
    let (sending, receiving) = (publisher.role.marks(), SubOptions::new().role.receiving.marks());
    // Named one by one, so that a new limit does not compile without a row in the table.
    let zmtp_codec::Limits {
        message_size, message_parts, command_size, handshake_frame_size, ..
    } = publisher.link.limits;
    let tcp = &publisher.link.tcp;
    let keepalive = tcp.keepalive.expect("it is on");
    let Linger::For(linger) = Linger::DEFAULT else { panic!("it ends") };
    let mark = |mark: HighWaterMark| mark.to_string();
    let expected = [
        ("connections, ", "max_connections", publisher.socket.max_connections.to_string()),
        ("half-done", "max_handshakes", publisher.socket.max_handshakes.to_string()),
        ("time from the", "handshake_timeout", seconds(publisher.link.handshake_timeout)),
        ("a frame of", "max_handshake_frame_size", handshake_frame_size.to_string()),
        // A transport's own affair, and its tests'.
        ("the HTTP header", "", "8192".to_owned()),
        ("a message in", "max_message_size", message_size.to_string()),
        ("parts of", "max_message_parts", message_parts.to_string()),
        ("a command", "max_command_size", command_size.to_string()),
        ("distinct topics", "max_subscriptions", publisher.role.max_topics.to_string()),
        (
            "octets of topics",
            "max_subscription_octets",
            publisher.role.max_topic_octets.to_string(),
        ),
        ("messages that wait", "send_hwm", mark(sending.messages)),
        ("octets that wait for one subscriber", "send_hwm_octets", sending.octets.to_string()),
        ("where send waits", "send_hwm_octets", waiting.octets.to_string()),
        ("messages of one", "receive_hwm", mark(receiving.messages)),
        ("octets of one", "receive_hwm_octets", receiving.octets.to_string()),
        // The codec's own affair, and its tests'.
        ("unanswered PINGs", "", "65536".to_owned()),
        ("look-up", "connect_timeout", seconds(tcp.connect_timeout)),
        (
            "quiet time",
            "keepalive",
            seconds(keepalive.idle + keepalive.interval * keepalive.probes),
        ),
        ("goes on delivering", "linger", seconds(linger)),
        ("requests of one", "max_subscriptions", publisher.role.max_topics.to_string()),
        ("the same of", "max_subscriptions", publisher.role.max_topics.to_string()),
        ("events", "", monitor::CAPACITY.to_string()),
    ];
    let Some(rows) = rows() else { return };
    assert_eq!(rows.len(), expected.len(), "a row for each limit");
    for ([what, option, default], (words, expected_option, expected)) in rows.iter().zip(&expected)
    {
        assert!(what.contains(words), "{what}: expected the row with \"{words}\"");
        assert_eq!((option.as_str(), default), (*expected_option, expected), "{what}");
    }
}
