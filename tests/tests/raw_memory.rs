//! No octet of a peer makes us hold memory for octets that it has not sent, or more than the limits say.
//!
//! The measured memory is that of the whole process: one test at a time.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{Mutex, MutexGuard};
use zmtp_codec::{Config, Connection, Mechanism};
use zmtp_socket::{
    CurveKeyPair, Endpoint, HighWaterMark, PubOptions, PubSocket, SocketType, SubOptions, SubSocket,
};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{
    ANY_PORT, GREETING, READY_PUB, READY_SUB, RawListener, RawPeer, end_of, eventually, in_time,
};

static ONE_AT_A_TIME: Mutex<()> = Mutex::const_new(());

/// The growth of a process for which we know no reason.
const FEW_MIB: u64 = 4 << 20;

/// Memory of this process at one moment, in octets.
struct Memory {
    /// In use (VmRSS).
    resident: u64,
    /// Reserved, used or not (VmData).
    reserved: u64,
    _alone: Option<(MutexGuard<'static, ()>, Vec<Vec<u8>>)>,
}

impl Memory {
    async fn alone() -> Self {
        let guard = ONE_AT_A_TIME.lock().await;
        let ballast = Self::ballast();
        Self { _alone: Some((guard, ballast)), ..Self::now() }
    }

    /// Fills the memory that other tests have freed and the allocator has kept: from now on each
    /// allocation makes the process grow.
    fn ballast() -> Vec<Vec<u8>> {
        let mut blocks = Vec::with_capacity(1 << 18);
        // So much, because the stack of a thread that begins meanwhile is counted too.
        let full = Self::now().reserved + FEW_MIB;
        while Self::now().reserved < full {
            blocks.extend(std::iter::repeat_with(|| Vec::with_capacity(512)).take(256));
        }
        blocks
    }

    fn now() -> Self {
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let octets = |name| {
            let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
            line.split_whitespace().next().unwrap().parse::<u64>().unwrap() << 10
        };
        Self { resident: octets("VmRSS:"), reserved: octets("VmData:"), _alone: None }
    }

    /// Checks that the process has grown by no more than `octets`.
    fn expect_growth_below(&self, octets: u64, what: &str) {
        let now = Self::now();
        let resident = now.resident.saturating_sub(self.resident);
        let reserved = now.reserved.saturating_sub(self.reserved);
        assert!(
            resident < octets && reserved < octets,
            "{what}: {resident} octets more in use, {reserved} more reserved; expected {octets}"
        );
    }
}

/// A publisher that has served a peer, so that the memory it needs once is allocated.
async fn publisher(options: PubOptions) -> (PubSocket, Endpoint) {
    let publisher = PubSocket::with_options(options);
    let endpoint = publisher.bind(ANY_PORT).await.unwrap();
    let mut peer = RawPeer::subscriber(&endpoint, "warm").await;
    in_time("a subscription", publisher.wait_for_subscriber("warm")).await.unwrap();
    publisher.send("warm").await.unwrap();
    peer.expect(b"\x00\x04warm").await;
    drop(peer);
    eventually("it has left", || publisher.stats().peers.is_empty()).await;
    (publisher, endpoint)
}

#[tokio::test]
async fn an_announced_giant_costs_nothing_whatever_the_limit() {
    let headers: [&[u8]; 4] = [
        b"\x02\x40\0\0\0\0\0\0\0",            // a message of 2^62 octets
        b"\x03\x40\0\0\0\0\0\0\0",            // its first part
        b"\x01\x01A\x02\x00\0\0\x40\0\0\0\0", // a second part of 256 GiB
        b"\x02\0\0\0\0\x7F\0\0\0",            // a message of 2 GiB
    ];
    let memory = Memory::alone().await;
    let (publisher, endpoint) =
        publisher(PubOptions::new().max_message_size(i64::MAX as u64)).await;
    let before = Memory::now();
    let mut peers = Vec::new();
    for header in headers.repeat(5) {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        // And some of the body, which alone may cost memory.
        peer.send(header).await;
        peer.send([b'x'; 5000]).await;
        peers.push(peer);
    }
    // All of them have been read when a later one has been served.
    let mut last = RawPeer::subscriber(&endpoint, "last").await;
    in_time("a subscription", publisher.wait_for_subscriber("last")).await.unwrap();
    publisher.send("last").await.unwrap();
    last.expect(b"\x00\x04last").await;
    assert_eq!(publisher.stats().peers.len(), peers.len() + 1);
    before.expect_growth_below(FEW_MIB, "20 giants announced");
    drop(memory);
}

#[tokio::test]
async fn parts_without_end_cost_no_more_than_the_limit_on_a_message() {
    let memory = Memory::alone().await;
    let (publisher, endpoint) = publisher(PubOptions::new().max_message_size(1 << 20)).await;
    let before = Memory::now();
    let mut monitor = publisher.monitor();
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    // 1,000 parts of 64 KiB: after 16 of them the connection ends.
    let part = [&b"\x03\0\0\0\0\0\x01\0\0"[..], &[b'x'; 64 << 10]].concat();
    for _ in 0..1000 {
        if peer.try_send(&part).await.is_err() {
            break;
        }
    }
    peer.expect_closed().await;
    before.expect_growth_below(FEW_MIB, "parts without end");
    let address = peer.address();
    drop(peer);
    let end = end_of(&mut monitor, &address).await;
    end.expect(true, "a message has at least 1114112 octets; the limit is 1048576");
    drop(memory);
}

#[tokio::test]
async fn a_flood_of_pings_whose_pongs_are_not_read_costs_little_and_ends_well() {
    let memory = Memory::alone().await;
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let before = Memory::now();
    let mut peer = RawPeer::dial_narrow(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    peer.subscribe("end").await;
    in_time("a subscription", publisher.wait_for_subscriber("end")).await.unwrap();
    // The answers have as many octets, and the system holds at most some MiB of them.
    let pings = b"\x04\x17\x04PING\0\x000123456789ABCDEF".repeat(4096);
    let count = (20 << 20) / pings.len();
    for _ in 0..count {
        peer.send(&pings).await;
    }
    before.expect_growth_below(FEW_MIB, "a flood of PINGs");
    publisher.send("end").await.unwrap();
    // The answered ones were answered with whole PONGs, and the messages arrive.
    let mut pongs = 0;
    loop {
        match peer.frame().await {
            (0x04, body) => assert_eq!(body, b"\x04PONG0123456789ABCDEF"),
            (flags, body) => break assert_eq!((flags, &body[..]), (0, &b"end"[..])),
        }
        pongs += 1;
    }
    assert!(pongs < count * 4096, "nothing was held back: the flood was no flood");
    peer.send(b"\x04\x0B\x04PING\0\0last").await;
    while peer.frame().await != (0x04, b"\x04PONGlast".into()) {}
    drop(memory);
}

#[tokio::test]
async fn a_million_messages_that_a_publisher_discards_leave_no_memory_behind() {
    let memory = Memory::alone().await;
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    // No subscription, one of two parts, an unknown command, and a topic that comes and goes.
    let rubbish = [
        &b"\x00\x02zz"[..],
        b"\x01\x02\x01A\x00\x01B",
        b"\x04\x04\x03HEY",
        b"\x00\x02\x01A\x00\x02\x00A",
        b"\x04\x08\x06CANCELA",
    ];
    let flood = rubbish.concat().repeat(5_000);
    let mut before = None;
    for round in 0..50 {
        peer.send(&flood).await;
        peer.send(b"\x04\x07\x04PING\0\0").await;
        peer.expect(b"\x04\x05\x04PONG").await;
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
        if round == 5 {
            before = Some(Memory::now());
        }
    }
    before.unwrap().expect_growth_below(FEW_MIB, "a million messages to be discarded");
    assert_eq!(publisher.subscriber_count(), 1);
    drop(memory);
}

#[tokio::test]
async fn a_publisher_that_floods_a_subscriber_that_does_not_receive_is_not_read_on() {
    let memory = Memory::alone().await;
    let listener = RawListener::bind().await;
    let mark = HighWaterMark::messages(100);
    let subscriber = SubSocket::with_options(SubOptions::new().receive_hwm(mark));
    subscriber.subscribe("");
    subscriber.connect(listener.endpoint()).unwrap();
    let mut peer = listener.publisher().await;
    let before = Memory::now();
    let message = [&b"\x02\0\0\0\0\0\0\x03\xE8"[..], &[b'x'; 1000]].concat();
    // More than the system holds between us, so it never accepts all of it.
    let flood = message.repeat(64);
    let flooding = async {
        for _ in 0..1024 {
            peer.try_send(&flood).await.unwrap();
        }
    };
    tokio::select! {
        () = flooding => panic!("64 MiB were read for a queue of 100 messages"),
        () = full(&subscriber, 100) => {}
    }
    before.expect_growth_below(FEW_MIB, "a flood of messages");
    drop(memory);
}

/// Waits until the queue holds so many messages, and checks that it stays so.
async fn full(subscriber: &SubSocket, messages: u64) {
    in_time("a full queue", async {
        while subscriber.stats().queued < messages {
            tokio::task::yield_now().await;
        }
    })
    .await;
    for _ in 0..10_000 {
        tokio::task::yield_now().await;
        assert_eq!(subscriber.stats().queued, messages);
    }
}

/// A message that is kept holds about its own size, not that of the messages that arrived with it.
#[tokio::test]
async fn a_message_that_is_kept_keeps_no_more_than_three_times_its_size() {
    const KIB: usize = 1 << 10;
    let memory = Memory::alone().await;
    // The size of all messages, and the rule by which they are kept.
    let rows = [
        (64, 10),
        (KIB, 100),
        (5 * KIB, 100),
        (20_000, 100),
        (32 * KIB - 1, 50),
        (32 * KIB, 50),
        (50 * KIB, 50),
        (64 * KIB, 50),
        (100 * KIB, 20),
        (KIB * KIB, 5),
    ];
    // No memory is freed in between that could be used again unnoticed.
    let mut all_kept = Vec::new();
    for (size, each) in rows {
        let listener = RawListener::bind().await;
        let mut subscriber = SubSocket::new();
        subscriber.subscribe("");
        subscriber.connect(listener.endpoint()).unwrap();
        let mut peer = listener.publisher().await;
        let mut frame = bytes::BytesMut::new();
        zmtp_codec::encode_frame(false, &vec![b'x'; size], &mut frame);
        let together = frame.repeat((256 * KIB / size).max(1));
        let received = async |subscriber: &mut SubSocket, count: usize| {
            let mut kept = Vec::with_capacity(count / each + 1);
            for number in 0..count {
                let message = in_time("a message", subscriber.recv()).await.unwrap();
                if number % each == 0 {
                    kept.push(message);
                }
            }
            kept
        };
        let flooding = tokio::spawn(async move { while peer.try_send(&together).await.is_ok() {} });
        // The memory that each connection needs once is allocated.
        received(&mut subscriber, 4 * each).await;
        let keep = if size < KIB { 2 * KIB * KIB } else { 16 * KIB * KIB };
        let count = keep / size * each;
        let ballast = Memory::ballast();
        let before = Memory::now();
        let kept = received(&mut subscriber, count).await;
        let total = kept.len() * (size + size_of::<zmtp_socket::Message>());
        before.expect_growth_below(
            FEW_MIB + 3 * total as u64,
            &format!("{} messages of {size} octets", kept.len()),
        );
        all_kept.push((kept, ballast));
        drop(subscriber);
        flooding.await.unwrap();
    }
    drop(memory);
}

#[tokio::test]
async fn stuck_subscribers_share_what_they_are_owed() {
    let memory = Memory::alone().await;
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut stuck = Vec::new();
    for _ in 0..50 {
        let mut peer = RawPeer::dial_narrow(&endpoint).await;
        peer.open(READY_SUB, READY_PUB).await;
        peer.subscribe("").await;
        stuck.push(peer);
    }
    all_subscribed(&publisher, stuck.len()).await;
    let before = Memory::now();
    // 1000 of these are 4 MiB; 50 copies of that would be 200.
    let message = [b'x'; 4 << 10];
    while publisher.stats().peers.iter().any(|peer| peer.dropped == 0) {
        publisher.send(&message).await.unwrap();
    }
    before.expect_growth_below(3 * FEW_MIB, "50 stuck subscribers");
    drop(memory);
}

#[tokio::test]
async fn a_stuck_subscriber_of_little_does_not_hold_what_others_have_received() {
    let memory = Memory::alone().await;
    let mark = HighWaterMark::messages(300);
    let (publisher, endpoint) = publisher(PubOptions::new().send_hwm(mark)).await;
    let mut stuck = RawPeer::dial_narrow(&endpoint).await;
    stuck.open(READY_SUB, READY_PUB).await;
    stuck.subscribe("little").await;
    let mut healthy = SubSocket::new();
    healthy.subscribe("much");
    healthy.connect(&endpoint).unwrap();
    all_subscribed(&publisher, 2).await;
    let before = Memory::now();
    let little = format!("little{:1000}", "");
    let much = format!("much{:16000}", "");
    // The small messages lie in 300 places of 19 MiB.
    while publisher.stats().dropped == 0 {
        publisher.send(&little).await.unwrap();
        for _ in 0..4 {
            publisher.send(&much).await.unwrap();
            in_time("a message", healthy.recv()).await.unwrap();
        }
    }
    before.expect_growth_below(FEW_MIB, "a stuck subscriber that is owed 300 KB");
    drop(memory);
}

#[tokio::test]
async fn a_subscription_costs_little_more_than_its_topic() {
    const COUNT: u64 = 20_000;
    let memory = Memory::alone().await;
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut peer = RawPeer::dial(&endpoint).await;
    peer.open(READY_SUB, READY_PUB).await;
    let mut letters = letters();
    let before = Memory::now();
    for _ in 0..COUNT {
        let topic: String = letters.by_ref().take(200).collect();
        peer.subscribe(&topic).await;
    }
    peer.subscribe("last").await;
    in_time("a subscription", publisher.wait_for_subscriber("last")).await.unwrap();
    assert_eq!(publisher.stats().peers[0].subscriptions, COUNT + 1);
    before.expect_growth_below(1000 * COUNT, "20,000 topics of 200 octets");
    drop(memory);
}

#[tokio::test]
async fn an_idle_subscriber_costs_little() {
    let memory = Memory::alone().await;
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let before = Memory::now();
    let mut idle = Vec::new();
    for number in 0..400 {
        idle.push(RawPeer::subscriber(&endpoint, &format!("{number}")).await);
    }
    all_subscribed(&publisher, idle.len()).await;
    // 10 KiB each, including the memory of the peers themselves.
    before.expect_growth_below(FEW_MIB, "400 idle subscribers");
    drop(memory);
}

/// RFC 26: a server keeps no state of a client until the client has authenticated itself with INITIATE.
#[tokio::test]
async fn a_hello_of_curve_that_nothing_follows_costs_hardly_more_than_a_connection() {
    const COUNT: u64 = 1000;
    const KIB: u64 = 1 << 10;
    let keys = CurveKeyPair::generate().unwrap();
    let hello = hello(&keys);
    let (greeting, hello) = hello.split_at(GREETING.len());
    let memory = Memory::alone().await;
    let server = PubSocket::with_options(PubOptions::new().curve_server(keys));
    let endpoint = server.bind(ANY_PORT).await.unwrap();
    let start = Memory::now();
    let mut strangers = Vec::new();
    for _ in 0..COUNT {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(greeting).await;
        peer.take(greeting.len()).await;
        strangers.push(peer);
    }
    let say_hello = async |peer: &mut RawPeer| {
        peer.send(hello).await;
        peer.take(WELCOME).await;
    };
    // The memory that the server needs once is allocated.
    let (first, others) = strangers.split_first_mut().unwrap();
    say_hello(first).await;
    let before = Memory::now();
    for peer in others {
        say_hello(peer).await;
    }
    // HELLO has 200 octets itself, and is read into room for 1 KiB.
    before.expect_growth_below(160 * COUNT, "1000 times HELLO");
    // That includes the strangers' own sides.
    start.expect_growth_below(3 * KIB * COUNT, "1000 strangers that have said HELLO");
    assert_eq!(server.stats().handshakes, COUNT);
    drop(memory);
}

/// The frame of a WELCOME, in octets.
const WELCOME: usize = 2 + 168;

/// The first octets of a client of the server with these keys: its greeting, and HELLO.
fn hello(server: &CurveKeyPair) -> Vec<u8> {
    let keys = CurveKeyPair::generate().unwrap();
    let mechanism = Mechanism::CurveClient { server_key: server.public(), keys };
    let config = Config { mechanism, ..Config::new(SocketType::Sub) };
    let mut client = Connection::new(Arc::new(config));
    let greeting = client.output().clone();
    client.receive(Duration::ZERO, &greeting);
    assert_eq!(client.poll_event(Duration::ZERO), Ok(None));
    client.output().to_vec()
}

/// Waits until so many peers have a subscription.
async fn all_subscribed(publisher: &PubSocket, count: usize) {
    eventually("all have subscribed", || publisher.subscriber_count() == count).await;
}

/// Letters drawn at random, the same ones each time.
fn letters() -> impl Iterator<Item = char> {
    let mut state = 1_u32;
    std::iter::repeat_with(move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        char::from(b'a' + ((u64::from(state) * 26) >> 32) as u8)
    })
}

#[tokio::test]
async fn strangers_that_come_and_go_leave_no_memory_behind() {
    let memory = Memory::alone().await;
    let (publisher, endpoint) = publisher(PubOptions::new()).await;
    let mut monitor = publisher.monitor();
    let topics: Vec<String> = (0..500).map(|number| format!("{number:0150}")).collect();
    let mut before = None;
    for round in 0..60 {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(GREETING).await;
        peer.send(READY_SUB).await;
        for topic in &topics {
            peer.subscribe(topic).await;
        }
        peer.finish().await;
        let address = peer.address();
        drop(peer);
        end_of(&mut monitor, &address).await.expect(true, "the peer closed");
        if round == 10 {
            before = Some(Memory::now());
        }
    }
    before.unwrap().expect_growth_below(FEW_MIB, "50 strangers with 75 KB of topics each");
    drop(memory);
}

/// A request for an upgrade that is granted.
const REQUEST: &str = "GET /feed HTTP/1.1\r\nHost: 127.0.0.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
    Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\
    Sec-WebSocket-Protocol: ZWS2.0\r\n\r\n";

/// The head of the answer to it, and an empty identity.
const ANSWER: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\
    sec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\nsec-websocket-protocol: ZWS2.0\r\n\r\n\x82\x01\0";

#[tokio::test]
async fn over_websocket_nothing_costs_more_than_was_sent_or_than_the_limits_say() {
    let memory = Memory::alone().await;
    let publisher = PubSocket::with_options(PubOptions::new().max_message_size(1 << 20));
    let endpoint = publisher.bind("ws://127.0.0.1:*/feed").await.unwrap();
    let (mut neighbour, mut client) = Neighbour::subscriber(&publisher, &endpoint).await;
    neighbour.send().await;
    neighbour.receive_all(&mut client).await;
    let before = Memory::now();
    let mut peers = Vec::new();

    // Requests without an end: up to 8 KiB of each are kept, and no more is read.
    for _ in 0..20 {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send("GET /feed HTTP/1.1\r\nX: ").await;
        // After its refusal the connection may be reset before all octets are sent.
        let _ = peer.try_send(&[b'x'; 64 << 10]).await;
        peers.push(peer);
    }
    // First as a stranger, then as a subscriber.
    let identity = &b"\x82\x81\0\0\0\0\x00"[..];
    for met in [&b""[..], identity].repeat(5) {
        let hostile: [&[u8]; 3] = [
            // A message of 2^62 octets; of one that is announced below the limit; fragments of 2^40.
            b"\x82\xFF\x40\0\0\0\0\0\0\0\0\0\0\0\x00x",
            b"\x82\xFF\0\0\0\0\0\x0F\xFF\xFF\0\0\0\0\x00x",
            b"\x02\xFF\0\0\x01\0\0\0\0\0\0\0\0\0\x00x",
        ];
        for octets in hostile {
            let mut peer = RawPeer::dial(&endpoint).await;
            peer.send(REQUEST).await;
            peer.expect(ANSWER).await;
            peer.send([met, octets].concat()).await;
            peers.push(peer);
        }
    }
    // Small fragments without an end, and pings whose answers are not read.
    let fragments = [&b"\x00\xFE\x04\0\0\0\0\0"[..], &[b'x'; 1024]].concat().repeat(64);
    let pings = [&b"\x89\xFD\0\0\0\0"[..], &[7; 125]].concat().repeat(500);
    for (begin, flood) in [(&b"\x02\x81\0\0\0\0\x00"[..], fragments), (b"", pings)] {
        let mut peer = RawPeer::dial(&endpoint).await;
        peer.send(REQUEST).await;
        peer.expect(ANSWER).await;
        peer.send([identity, begin].concat()).await;
        for _ in 0..100 {
            // Beyond the limit the connection is closed, and further octets cannot be sent.
            if peer.try_send(&flood).await.is_err() {
                break;
            }
            neighbour.send().await;
        }
        peers.push(peer);
    }
    neighbour.send().await;
    neighbour.receive_all(&mut client).await;
    before.expect_growth_below(2 * FEW_MIB, "strangers over WebSocket");
    drop((memory, peers));
}
