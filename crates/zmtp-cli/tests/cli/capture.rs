//! `tap --read`: captures, as tcpdump writes them.

use etherparse::PacketBuilder;

use crate::process::{Folder, zmtp};

const GREETING: &[u8; 64] = b"\xFF\0\0\0\0\0\0\0\0\x7F\x03\x01NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\
    \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";

/// A capture in the making.
struct Capture {
    octets: Vec<u8>,
    packets: u32,
}

/// One end of a connection: its port, and how many octets it has said.
struct End {
    port: u16,
    at: u32,
}

impl Capture {
    /// Of Ethernet, in microseconds, little-endian.
    fn new() -> Self {
        let octets = b"\xd4\xc3\xb2\xa1\x02\0\x04\0\0\0\0\0\0\0\0\0\0\0\x04\0\x01\0\0\0".to_vec();
        Self { octets, packets: 0 }
    }

    fn packet(&mut self, from: &End, to: &End, at: u32, flags: &str, payload: &[u8]) {
        let mut builder = PacketBuilder::ethernet2([1; 6], [2; 6])
            .ipv4([127, 0, 0, 1], [127, 0, 0, 1], 64)
            .tcp(from.port, to.port, 1000 + at, 1024);
        for flag in flags.chars() {
            builder = match flag {
                'S' => builder.syn(),
                'F' => builder.fin(),
                'R' => builder.rst(),
                _ => builder.ack(to.at),
            };
        }
        let mut packet = Vec::new();
        builder.write(&mut packet, payload).unwrap();
        self.packets += 1;
        let length = u32::try_from(packet.len()).unwrap();
        for field in [1_700_000_000, self.packets * 1000, length, length] {
            self.octets.extend_from_slice(&field.to_le_bytes());
        }
        self.octets.extend_from_slice(&packet);
    }

    fn open(&mut self, client: &mut End, server: &mut End) {
        self.packet(client, server, 0, "S", b"");
        self.packet(server, client, 0, "SA", b"");
        (client.at, server.at) = (1, 1);
    }

    fn say(&mut self, from: &mut End, to: &End, payload: &[u8]) {
        self.packet(from, to, from.at, "A", payload);
        from.at += u32::try_from(payload.len()).unwrap();
    }
}

#[test]
fn what_a_capture_has_of_zmtp_is_printed() {
    let mut capture = Capture::new();
    let [mut client, mut server] = [End { port: 50_000, at: 0 }, End { port: 5556, at: 0 }];
    let [mut browser, mut web] = [End { port: 50_001, at: 0 }, End { port: 80, at: 0 }];
    let [mut early, late] = [End { port: 50_002, at: 77 }, End { port: 5556, at: 99 }];
    capture.open(&mut browser, &mut web);
    capture.say(&mut browser, &web, b"GET / HTTP/1.1\r\n\r\n");
    capture.say(&mut early, &late, b"\x00\x02hi");
    capture.open(&mut client, &mut server);
    capture.say(&mut client, &server, GREETING);
    capture.say(&mut server, &client, GREETING);
    capture.say(&mut server, &client, b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03PUB");
    // Cut, out of order, and once more.
    let ready = b"\x04\x19\x05READY\x0BSocket-Type\0\0\0\x03SUB\x00\x03\x01a\x1b";
    let (first, rest) = ready.split_at(10);
    let at = client.at;
    capture.packet(&client, &server, at + 10, "A", rest);
    capture.packet(&client, &server, at, "A", first);
    capture.packet(&client, &server, at, "A", ready);
    client.at += u32::try_from(ready.len()).unwrap();
    capture.say(&mut server, &client, b"\x01\x02ab\x00\x05hel");
    capture.packet(&server, &client, server.at, "F", b"");
    capture.packet(&client, &server, client.at, "R", b"");

    let folder = Folder::new();
    let file = folder.file("capture.pcap", &capture.octets);
    let ended = zmtp(&["tap", "--read", &file]);
    ended.expect(
        0,
        &[
            "  0.006000 #1 · 127.0.0.1:50000 → 127.0.0.1:5556",
            "  0.006000 #1 → greeting: ZMTP 3.1, NULL",
            "  0.007000 #1 ← greeting: ZMTP 3.1, NULL",
            "  0.008000 #1 ← READY Socket-Type=\"PUB\"",
            "  0.010000 #1 → READY Socket-Type=\"SUB\"",
            "  0.010000 #1 → SUBSCRIBE \"a\\u{1b}\"",
            "  0.012000 #1 ← message [2] \"ab\" +",
            "  0.013000 #1 ← closes, with 5 octets of an unfinished frame",
            "  0.014000 #1 → is cut off by a reset",
        ],
    );
    ended.says("left out 1 connection that began before the capture");
    let json = zmtp(&["tap", "--read", &file, "--json"]);
    assert!(
        json.stdout[6].starts_with("{\"connection\":1,\"more\":true,\"part\":\"ab\""),
        "{json:#?}"
    );
    assert!(json.stdout[6].contains("\"time\":\"2023-11-14T22:13:20.013000Z\""), "{json:#?}");

    let cut = folder.file("cut.pcap", &capture.octets[..capture.octets.len() - 3]);
    let ended = zmtp(&["tap", "--read", &cut]);
    assert_eq!(ended.status.code(), Some(1), "{ended:#?}");
    ended.says("the file ends within a packet");
}

#[test]
fn what_is_no_capture_and_what_has_nothing_of_zmtp_is_told() {
    let folder = Folder::new();
    let file = folder.file("nonsense", &[b'x'; 100]);
    let ended = zmtp(&["tap", "--read", &file]);
    ended.expect(1, &[]);
    ended.says("not a capture");
    let file = folder.file("empty", &Capture::new().octets);
    let ended = zmtp(&["tap", "--read", &file]);
    ended.expect(0, &[]);
    ended.says("there is no ZMTP connection in it");
    zmtp(&["tap", "--read", "/no/such/file"]).says("/no/such/file");
    let ended = zmtp(&["tap", "--read", &file, "tcp://*:1", "tcp://localhost:2"]);
    ended.expect(2, &[]);
}
