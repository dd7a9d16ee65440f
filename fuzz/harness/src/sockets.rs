use std::{collections::BTreeMap, time::Duration};

use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};
use zmtp_socket::{
    Context, CurveKeyPair, CurveSecretKey, Duplicates, Event, Heartbeat, HighWaterMark, Limits,
    Message, Monitor, PeerStats, PlainUsers, PubOptions, PubSocket, SubOptions, SubSocket, Version,
    WhenFull, allow_keys,
};

use crate::{
    editor::{EDITS, Edit},
    script::Script,
    stage::{play, within},
    tampered::{SILENT, TAMPERED, Tampered},
};

/// Whole sockets: a publisher, a subscriber behind a hostile hand, and an honest one beside it.
///
/// Instructions: three octets for who they are (see `Scene::new`), each further one what happens next
/// (see `Scene::step`).
///
/// The honest subscriber misses nothing. Once the hand is gone the other is served again, all that it
/// subscribed to; then every socket closes in time, and nothing of it is left.
pub fn sockets(data: &[u8]) {
    play(async {
        let mut script = Script::new(data);
        let mut scene = Scene::new([script.octet(), script.octet(), script.octet()]).await;
        for _ in 0..STEPS {
            if script.is_over() {
                break;
            }
            scene.step(&mut script).await;
        }
        scene.heal().await;
        scene.is_served().await;
        scene.close().await;
    });
}

/// So much of a script is played: what takes longer to show is not worth the runs it costs.
const STEPS: usize = 48;

/// Longer than anything takes that is not stuck.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it takes at most until a subscriber is served again: the longest delay before the next
/// attempt is 5 s.
const HEALING: Duration = Duration::from_secs(8);

/// Everything that can be done has been done when so much time passes.
const TICK: Duration = Duration::from_millis(1);

/// How long a sender waits for room, where it waits.
const ROOM: Duration = Duration::from_secs(2);

/// Half-open connections that we make.
const STRANGERS: usize = 4;

/// The body of a message that its queues share, in place of a copy for each.
const LARGE: usize = 40_000;

const HWM: [usize; 4] = [1, 2, 5, 1000];

/// What the subscriber behind the hand asks for at the end.
const HEALED: &[u8] = b"healed";

struct Scene {
    network: Tampered,
    context: Context,
    publisher: PubSocket,
    /// Whether the tampered link is wide enough for large messages.
    is_wide: bool,
    hwm: usize,
    max_topics: usize,
    honest: SubSocket,
    tampered: SubSocket,
    monitor: Monitor,
    /// What `tampered` is subscribed to, and how often.
    topics: BTreeMap<Vec<u8>, usize>,
    strangers: Vec<SubSocket>,
    sent: u32,
}

impl Scene {
    async fn new([first, second, third]: [u8; 3]) -> Self {
        let room = [64, 300, 4096, 64 << 10][usize::from(first >> 5 & 3)];
        let fragment = [1, 7, 64, 64 << 10][usize::from(third & 3)];
        let network = Tampered::new(room, fragment);
        let context = Context::simulated(network.clone(), 1);

        let mut hwm = HWM[usize::from(first >> 3 & 3)];
        let when_full = match first & 7 {
            1 => WhenFull::DropOldest,
            2 => WhenFull::Disconnect,
            3 | 7 => WhenFull::Wait,
            4 => WhenFull::WaitFor(Duration::from_secs(1)),
            _ => WhenFull::DropNew,
        };
        let max_topics = [1, 3, 8, 1_000_000][usize::from(second >> 2 & 3)];
        let mut options = PubOptions::new()
            .send_hwm(HighWaterMark::messages(hwm))
            .when_full(when_full)
            .max_handshakes(1 + usize::from(second & 3))
            .max_subscriptions(max_topics, 1 << 20);
        if first & 7 == 5 {
            options = options.conflate();
            hwm = 1;
        }
        let mut wary = SubOptions::new()
            .receive_hwm(HighWaterMark::messages(HWM[usize::from(third >> 2 & 3)]))
            .conflate(first & 128 != 0)
            .retry_refused(second & 128 != 0);
        let mut honest = SubOptions::new();
        let heartbeat =
            Heartbeat { ttl: Duration::from_secs(3), ..Heartbeat::every(Duration::from_secs(1)) };
        if second & 16 != 0 {
            options = options.heartbeat(heartbeat);
        }
        if second & 32 != 0 {
            wary = wary.heartbeat(heartbeat);
        }
        let is_curve = first & 7 >= 6;
        if is_curve {
            let [server, client] = [1, 2].map(|seed| CurveSecretKey::from([seed; 32]));
            let (server, client) = (CurveKeyPair::from(server), CurveKeyPair::from(client));
            let server_key = server.public();
            let judge = allow_keys([client.public()]);
            options = options.curve_server(server).authorize(judge);
            wary = wary.curve_client(server_key, client.clone());
            honest = honest.curve_client(server_key, client);
        } else if second & 64 != 0 {
            options = options.plain_server(PlainUsers::new().user("user", "secret"));
            wary = wary.plain_client("user", "secret");
            honest = honest.plain_client("user", "secret");
        }
        if third & 16 != 0 {
            wary = wary.version(Version::V3_0);
        }
        if third & 32 != 0 {
            options = options.duplicate_subscriptions(Duplicates::AsSet);
        }
        if third & 64 != 0 {
            let limits = Limits {
                message_size: 1200,
                message_parts: 2,
                command_size: 64,
                // An INITIATE of CURVE is long.
                handshake_frame_size: if is_curve { 300 } else { 64 },
            };
            (options, wary) = (options.limits(limits), wary.limits(limits));
        }
        if third & 128 != 0 {
            options = options.max_connections(2);
        }

        let publisher = context.pub_socket(options);
        for name in ["honest", TAMPERED, SILENT] {
            publisher.bind(format!("mem://{name}")).await.expect("the name is free");
        }
        let honest = context.sub_socket(honest);
        honest.subscribe("");
        honest.connect("mem://honest").expect("good options");
        within(PATIENCE, "the honest one", publisher.wait_for_subscriber("")).await.expect("open");
        let tampered = context.sub_socket(wary);
        let monitor = tampered.monitor();
        // Nothing of it runs before the script lets it.
        tampered.connect(to_tampered()).expect("good options");
        Self {
            network,
            context,
            publisher,
            is_wide: room >= 4096 && fragment >= 64,
            hwm,
            max_topics,
            honest,
            tampered,
            monitor,
            topics: BTreeMap::new(),
            strangers: Vec::new(),
            sent: 0,
        }
    }

    async fn step(&mut self, script: &mut Script<'_>) {
        let octet = script.octet();
        let (what, more, way) = (octet & 15, octet >> 4, usize::from(octet >> 7));
        match what {
            0 => self.subscribe(topic(more, script)),
            1 => self.unsubscribe(&topic(more, script)),
            2 => self.send(more, script).await,
            3 => self.pass(more).await,
            4 => self.network.hold(way, more & 1 == 0),
            5 => self.network.cut(),
            6 if more & 1 == 0 => while self.tampered.try_recv().is_ok() {},
            6 => drop(self.tampered.try_recv()),
            7 => {
                let endpoint = to_tampered().parse().expect("an endpoint");
                within(PATIENCE, "disconnect", self.tampered.disconnect(&endpoint))
                    .await
                    .expect("it is connected");
                self.tampered.connect(endpoint).expect("good options");
            }
            8 if self.strangers.len() < STRANGERS => {
                let stranger = self.context.sub_socket(SubOptions::new());
                stranger.connect(format!("mem://{SILENT}")).expect("good options");
                self.strangers.push(stranger);
            }
            8 => {}
            _ => self.network.edit(way, Edit::next(what - 9, script)),
        }
        self.check();
    }

    fn subscribe(&mut self, topic: Vec<u8>) {
        self.tampered.subscribe(&topic);
        *self.topics.entry(topic).or_default() += 1;
    }

    fn unsubscribe(&mut self, topic: &[u8]) {
        let was = self.tampered.unsubscribe(topic);
        assert_eq!(was, self.topics.contains_key(topic));
        if let Some(count) = self.topics.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                self.topics.remove(topic);
            }
        }
    }

    /// Sends what a queue has room for at once, which the honest subscriber receives.
    async fn send(&mut self, more: u8, script: &mut Script<'_>) {
        let burst = 1 + usize::from(more) % self.hwm.min(8);
        let topic = topic(more, script);
        let size = match script.octet() {
            255 if self.is_wide => LARGE,
            octet => 4 * usize::from(octet),
        };
        let mut expected = Vec::new();
        for _ in 0..burst {
            let mut body = self.sent.to_be_bytes().to_vec();
            body.resize(4 + size, b'x');
            let message = Message::multipart([topic.clone(), body]).expect("two parts");
            if let Ok(Ok(())) = timeout(ROOM, self.publisher.send(message.clone())).await {
                expected.push(message);
            }
            self.sent += 1;
        }
        self.honest_receives(&expected).await;
    }

    async fn honest_receives(&mut self, expected: &[Message]) {
        for message in expected {
            let received = within(PATIENCE, "the honest one's", self.honest.recv()).await;
            assert_eq!(received.as_ref(), Ok(message));
        }
        assert!(self.honest.try_recv().is_err(), "nothing was sent twice");
    }

    async fn pass(&self, more: u8) {
        match [0, 1, 100, 1000, 5000, 31_000][usize::from(more) % 6] {
            0 => yield_now().await,
            millis => sleep(Duration::from_millis(millis)).await,
        }
    }

    /// What is bounded stays so.
    fn check(&self) {
        let stats = self.publisher.stats();
        for peer in &stats.peers {
            // What is being written does not count where the oldest is dropped.
            let most = 2 * self.hwm as u64;
            assert!(peer.queued <= most, "{} messages are queued", peer.queued);
            assert!(peer.subscriptions <= self.max_topics as u64);
        }
    }

    /// Ends the hand's doing. What the other side would not allow is given up.
    async fn heal(&mut self) {
        while self.topics.len() >= self.max_topics {
            let topic = self.topics.keys().next().cloned().expect("there are some");
            self.unsubscribe(&topic);
        }
        self.subscribe(HEALED.to_vec());
        self.network.heal();

        let healed = async {
            loop {
                // What has been cut is gone after this.
                sleep(Duration::from_millis(20)).await;
                // While something comes, what comes next may be the end of the connection.
                let mut is_quiet = true;
                while let Ok(received) = timeout(TICK, self.tampered.recv()).await {
                    received.expect("the socket is open");
                    is_quiet = false;
                }
                while let Some(event) = self.monitor.try_next() {
                    if let Event::Parked { .. } = event {
                        self.tampered.connect(to_tampered()).expect("good options");
                    }
                }
                if is_quiet && self.is_back() {
                    return;
                }
            }
        };
        within(HEALING, "all subscriptions to be back", healed).await;
    }

    /// Whether the publisher knows of all subscriptions, and nothing waits for anybody.
    fn is_back(&self) -> bool {
        let stats = self.publisher.stats();
        let is_tampered = |peer: &&PeerStats| peer.peer.address() == TAMPERED;
        let told = stats.peers.iter().filter(is_tampered).map(|peer| peer.subscriptions);
        told.eq([self.topics.len() as u64]) && stats.queued == 0
    }

    /// Everything that `tampered` asked for comes.
    async fn is_served(&mut self) {
        for topic in self.topics.keys().cloned().collect::<Vec<_>>() {
            let message = Message::multipart([topic, b"fresh".to_vec()]).expect("two parts");
            let sent = within(PATIENCE, "room", self.publisher.send(message.clone())).await;
            assert_eq!(sent, Ok(()));
            self.honest_receives(std::slice::from_ref(&message)).await;
            let fresh = async {
                // What was still under way comes first.
                while self.tampered.recv().await.as_ref() != Ok(&message) {}
            };
            within(PATIENCE, "a fresh message", fresh).await;
        }
    }

    async fn close(self) {
        within(PATIENCE, "the end of a subscriber", self.tampered.close()).await;
        let missed = within(PATIENCE, "the end of the honest one", self.honest.close()).await;
        assert_eq!(missed, 0);
        for stranger in self.strangers {
            within(PATIENCE, "the end of a stranger", stranger.close()).await;
        }
        within(PATIENCE, "the end of the publisher", self.publisher.close()).await;
    }
}

/// Where the subscriber behind the hand connects to.
fn to_tampered() -> String {
    format!("mem://{TAMPERED}")
}

/// A topic of up to three octets.
fn topic(more: u8, script: &mut Script<'_>) -> Vec<u8> {
    script.take(usize::from(more & 3)).to_vec()
}

/// Every kind of edit has an instruction of its own.
const _: () = assert!(9 + EDITS == 16);
