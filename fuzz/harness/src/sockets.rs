use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

use bytes::Bytes;
use tokio::{
    task::yield_now,
    time::{sleep, timeout},
};
use zmtp_socket::{
    Context, Event, Message, Monitor, PeerStats, PubHandle, PubOptions, PubSocket, SubOptions,
    SubSocket, XPubOptions, XSubOptions,
};

use crate::{
    cast::Cast,
    editor::{EDITS, Edit},
    family::{Either, Subscriber},
    hearing::Hearing,
    script::Script,
    stage::{play, within},
    tampered::{SILENT, TAMPERED, Tampered},
};

/// Whole sockets: a publisher, a subscriber on a link that an attacker edits, and an honest one
/// beside it. Each may be an XPUB or XSUB.
///
/// Instructions: three octets or five select the sockets (see `Cast`), and each further one the
/// next step (see `Scene::step` and `Scene::step_of_family`).
///
/// The honest subscriber misses nothing, and its subscriptions and messages are reported (see
/// `Hearing`). When the edits end, the other subscriber gets all that it is subscribed to again.
/// Then every socket closes in time, and leaves nothing behind.
pub fn sockets(data: &[u8]) {
    play(async {
        let mut script = Script::new(data);
        let mut scene = Scene::new(Cast::draw(&mut script)).await;
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

/// How many steps of a script are run: a fault that needs more is not worth the time.
const STEPS: usize = 48;

/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// How long it takes at most until a subscriber is served again: the longest delay before the next
/// attempt is 5 s.
const HEALING: Duration = Duration::from_secs(8);

/// When this much time passes, every task has done all that it can.
const TICK: Duration = Duration::from_millis(1);

/// How long a sender waits for room, if it waits.
const ROOM: Duration = Duration::from_secs(2);

/// How many half-open connections we make.
const STRANGERS: usize = 4;

/// The size of a message that the queues share, instead of copying it.
const LARGE: usize = 40_000;

/// The endpoint name of the honest subscriber.
const HONEST: &str = "honest";

/// The last subscription of the subscriber on the tampered link.
const HEALED: &[u8] = b"healed";

struct Scene {
    network: Tampered,
    context: Context,
    cast: Cast,
    publisher: PubHandle,
    /// The socket of `publisher`, unless it is an XPUB.
    _plain: Option<PubSocket>,
    /// The user of an XPUB.
    hearing: Option<Hearing>,
    /// Whether the tampered link is wide enough for large messages.
    is_wide: bool,
    honest: Subscriber,
    /// The subscriptions of the honest subscriber, besides that to everything.
    wishes: BTreeSet<Bytes>,
    tampered: Subscriber,
    monitor: Monitor,
    /// The subscriptions of `tampered`, each with its count.
    topics: BTreeMap<Vec<u8>, usize>,
    strangers: Vec<SubSocket>,
    sent: u32,
    /// How many messages the honest subscriber has received.
    delivered: u64,
}

impl Scene {
    async fn new(cast: Cast) -> Self {
        let (room, fragment) = cast.link();
        let network = Tampered::new(room, fragment);
        let context = Context::simulated(network.clone(), 1);

        let xpub = cast
            .is_xpub()
            .then(|| context.xpub_socket(cast.hearing(cast.publishing(XPubOptions::new()))));
        let plain = xpub.is_none().then(|| context.pub_socket(cast.publishing(PubOptions::new())));
        let publisher = match (&xpub, &plain) {
            (Some(xpub), _) => xpub.handle().into(),
            (_, plain) => plain.as_ref().expect("one of the two is there").handle(),
        };
        for name in [HONEST, TAMPERED, SILENT] {
            publisher.bind(format!("mem://{name}")).await.expect("the name is free");
        }
        let honest = match cast.is_xpub() {
            true => {
                let options = XSubOptions::new().only_first_subscribe(cast.only_first());
                Subscriber::xsub(&context, cast.known(options))
            }
            false => Subscriber::sub(&context, cast.known(SubOptions::new())),
        };
        honest.subscribe("");
        honest.connect(format!("mem://{HONEST}")).expect("good options");
        let hearing = match xpub {
            Some(xpub) => {
                Some(within(PATIENCE, "the honest one's request", Hearing::new(xpub, cast)).await)
            }
            None => None,
        };
        within(PATIENCE, "the honest one", publisher.wait_for_subscriber("")).await.expect("open");
        let tampered = match cast.is_xsub() {
            true => Subscriber::xsub(&context, cast.asking(cast.wary(XSubOptions::new()))),
            false => Subscriber::sub(&context, cast.wary(SubOptions::new())),
        };
        let monitor = tampered.monitor();
        // None of its tasks runs before the script lets it.
        tampered.connect(to_tampered()).expect("good options");
        let mut this = Self {
            network,
            context,
            cast,
            publisher,
            _plain: plain,
            hearing,
            is_wide: room >= 4096 && fragment >= 64,
            honest,
            wishes: BTreeSet::new(),
            tampered,
            monitor,
            topics: BTreeMap::new(),
            strangers: Vec::new(),
            sent: 0,
            delivered: 0,
        };
        if let (true, Some(welcome)) = (cast.is_xpub(), cast.welcome()) {
            this.honest_receives(&[welcome.into()]).await;
        }
        this
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
                let endpoint = to_tampered();
                within(PATIENCE, "disconnect", self.tampered.disconnect(&endpoint))
                    .await
                    .expect("it is connected");
                self.tampered.connect(endpoint).expect("good options");
            }
            8 if more > 0 && (self.cast.is_xpub() || self.cast.is_xsub()) => {
                self.step_of_family(more, script).await;
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

    /// A step that only an XPUB or XSUB can do.
    async fn step_of_family(&mut self, more: u8, script: &mut Script<'_>) {
        match (more, &mut self.hearing) {
            (1..=4, Some(_)) => self.honest_speaks(more, script.octet()).await,
            (5, Some(hearing)) => hearing.hear(1),
            (6, Some(hearing)) => hearing.hear(usize::MAX),
            (7, Some(hearing)) => {
                // A message that is being written counts until the next turn.
                sleep(TICK).await;
                let message = Message::from(self.sent.to_be_bytes().to_vec());
                hearing.answer(&message);
                self.sent += 1;
                self.honest_receives(&[message]).await;
            }
            _ => self.speak(script),
        }
    }

    /// The honest XSUB changes a subscription, sends a message, or does both with one message.
    async fn honest_speaks(&mut self, how: u8, octet: u8) {
        let (Some(hearing), Either::XSub(honest)) = (&mut self.hearing, &self.honest.socket) else {
            return;
        };
        // No edit makes up this topic.
        let topic = Bytes::from(format!("what nobody else wants to be told of {}", octet & 3));
        let begins = !self.wishes.contains(&topic);
        let [change, text] = [[&[begins.into()], &topic[..]].concat(), said(self.sent, octet)];
        let whole = match how {
            1 => Message::from(change),
            2 => Message::multipart([change, text.clone()]).expect("two parts"),
            3 => Message::multipart([text.clone(), change]).expect("two parts"),
            _ => Message::multipart([text.clone(), text.clone()]).expect("two parts"),
        };
        self.sent += 1;
        let changes = how < 3 || (how == 3 && !self.cast.only_first());
        if changes && begins && self.wishes.len() + 2 > self.cast.max_topics() {
            return;
        }
        hearing.make_room(2);
        honest.try_send(&whole).expect("it is open");
        if changes {
            hearing.expect_change(topic.clone(), begins);
            match begins {
                true => self.wishes.insert(topic),
                false => self.wishes.remove(&topic),
            };
        }
        match how {
            1 => {}
            _ if changes => hearing.expect_message(text.into()),
            _ => hearing.expect_message(whole),
        }
        sleep(TICK).await;
    }

    /// The XSUB on the tampered link sends a message, which may hold subscriptions.
    fn speak(&mut self, script: &mut Script<'_>) {
        let Either::XSub(tampered) = &self.tampered.socket else { return };
        let count = 1 + script.octet() % 3;
        let mut part = || {
            let len = script.octet() % 8;
            script.take(len.into()).to_vec()
        };
        let parts: Vec<_> = (0..count).map(|_| part()).collect();
        tampered.try_send(Message::multipart(parts.clone()).expect("some parts")).expect("open");
        if self.cast.asks_only_first() && !matches!(parts[0][..], [0 | 1, ..]) {
            return;
        }
        for part in &parts {
            match part[..] {
                [1, ref topic @ ..] => *self.topics.entry(topic.to_vec()).or_default() += 1,
                [0, ref topic @ ..] => self.forget(topic),
                _ => {}
            }
        }
    }

    fn subscribe(&mut self, topic: Vec<u8>) {
        self.tampered.subscribe(&topic);
        *self.topics.entry(topic).or_default() += 1;
    }

    fn unsubscribe(&mut self, topic: &[u8]) {
        let was = self.tampered.unsubscribe(topic);
        assert_eq!(was, self.topics.contains_key(topic));
        self.forget(topic);
    }

    fn forget(&mut self, topic: &[u8]) {
        if let Some(count) = self.topics.get_mut(topic) {
            *count -= 1;
            if *count == 0 {
                self.topics.remove(topic);
            }
        }
    }

    /// Sends as many messages as a queue has room for; the honest subscriber receives them.
    async fn send(&mut self, more: u8, script: &mut Script<'_>) {
        let burst = 1 + usize::from(more) % self.cast.hwm().min(8);
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
        self.delivered += expected.len() as u64;
        assert!(self.honest.try_recv().is_err(), "nothing was sent twice");
    }

    async fn pass(&self, more: u8) {
        match [0, 1, 100, 1000, 5000, 31_000][usize::from(more) % 6] {
            0 => yield_now().await,
            millis => sleep(Duration::from_millis(millis)).await,
        }
    }

    /// The bounds are kept, and the counters add up.
    fn check(&self) {
        let stats = self.publisher.stats();
        let sum = |count: fn(&PeerStats) -> u64| stats.peers.iter().map(count).sum::<u64>();
        assert_eq!(stats.subscriptions, sum(|peer| peer.subscriptions));
        assert_eq!(stats.queued, sum(|peer| peer.queued));
        assert!(stats.sent >= sum(|peer| peer.sent) && stats.dropped >= sum(|peer| peer.dropped));
        for peer in &stats.peers {
            // With `DropOldest`, messages that are being written do not count.
            let most = 2 * self.cast.hwm() as u64;
            assert!(peer.queued <= most, "{} messages are queued", peer.queued);
            // The subscriptions that an XPUB's user makes for a peer have no limit.
            let limit =
                if self.cast.is_manual() { u64::MAX } else { self.cast.max_topics() as u64 };
            assert!(peer.subscriptions <= limit);
        }
        let mut honest = stats.peers.iter().filter(|peer| peer.peer.address() == HONEST);
        let honest = honest.next().expect("the honest one is never disconnected");
        assert_eq!((honest.sent + honest.queued, honest.dropped), (self.delivered, 0));
    }

    /// Ends the edits. Subscriptions beyond the publisher's limit are cancelled.
    async fn heal(&mut self) {
        while self.topics.len() >= self.cast.max_topics() {
            let topic = self.topics.keys().next().cloned().expect("there are some");
            self.unsubscribe(&topic);
        }
        self.subscribe(HEALED.to_vec());
        self.network.heal();

        let healed = async {
            loop {
                // Connections that were cut have ended after this.
                sleep(Duration::from_millis(20)).await;
                // While messages come, the end of the connection may come next.
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
                if let Some(hearing) = self.hearing.as_mut().filter(|_| self.cast.is_manual()) {
                    hearing.hear(usize::MAX);
                }
                if is_quiet && self.is_back() {
                    return;
                }
            }
        };
        within(HEALING, "all subscriptions to be back", healed).await;
    }

    /// Whether the publisher knows all subscriptions, and nothing is queued.
    fn is_back(&self) -> bool {
        let stats = self.publisher.stats();
        let is_tampered = |peer: &&PeerStats| peer.peer.address() == TAMPERED;
        let told = stats.peers.iter().filter(is_tampered).map(|peer| peer.subscriptions);
        told.eq([self.topics.len() as u64]) && stats.queued == 0
    }

    /// `tampered` gets a message for each of its subscriptions.
    async fn is_served(&mut self) {
        for topic in self.topics.keys().cloned().collect::<Vec<_>>() {
            let message = Message::multipart([topic, b"fresh".to_vec()]).expect("two parts");
            let sent = within(PATIENCE, "room", self.publisher.send(message.clone())).await;
            assert_eq!(sent, Ok(()));
            self.honest_receives(std::slice::from_ref(&message)).await;
            let fresh = async {
                // Messages that were still in transit come first.
                while self.tampered.recv().await.as_ref() != Ok(&message) {}
            };
            within(PATIENCE, "a fresh message", fresh).await;
        }
    }

    async fn close(mut self) {
        // The unread requests are read now.
        self.hearing.iter_mut().for_each(|hearing| hearing.hear(usize::MAX));
        self.check();
        within(PATIENCE, "the end of a subscriber", self.tampered.close()).await;
        let missed = within(PATIENCE, "the end of the honest one", self.honest.close()).await;
        assert!(missed.is_empty(), "{missed:?}");
        for stranger in self.strangers {
            within(PATIENCE, "the end of a stranger", stranger.close()).await;
        }
        if let Some(hearing) = self.hearing {
            sleep(TICK).await;
            hearing.end();
        }
        within(PATIENCE, "the end of the publisher", self.publisher.close()).await;
    }
}

/// The endpoint of the subscriber on the tampered link.
fn to_tampered() -> String {
    format!("mem://{TAMPERED}")
}

/// A message of the honest subscriber: its first octet must not be that of a subscription.
fn said(number: u32, size: u8) -> Vec<u8> {
    let mut text = format!("{number} was said").into_bytes();
    text.resize(text.len() + 2 * usize::from(size), b'.');
    text
}

/// A topic of up to three octets.
fn topic(more: u8, script: &mut Script<'_>) -> Vec<u8> {
    script.take(usize::from(more & 3)).to_vec()
}

/// Every kind of edit has an instruction of its own.
const _: () = assert!(9 + EDITS == 16);
