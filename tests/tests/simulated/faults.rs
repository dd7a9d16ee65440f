//! Publishers and subscribers on a network with every kind of fault, from a few hundred seeds, on
//! virtual time. `ZMTP_SEED=17` runs the world of that seed alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};
use zmtp_socket::{
    Context, Heartbeat, HighWaterMark, PubOptions, PubSocket, SubOptions, SubSocket,
};
use zmtp_tests::network::FaultyNetwork;

use crate::ledger::Ledger;
use crate::view::View;
use zmtp_tests::seed;

const SEEDS: u64 = 150;

const STEPS: usize = 40;

const TOPICS: [&str; 6] = ["", "a", "ab", "abc", "b", "c"];

/// Longer than any fault takes to be noticed and mended: a handshake's deadline, a heartbeat's, the
/// longest back-off, the longest stall.
const MENDING: Duration = Duration::from_secs(60);

#[test]
fn whatever_befalls_a_subscriber_that_dials_it_gets_what_it_wants_whole_and_in_order() {
    run_all(Dials::Subscriber);
}

#[test]
fn whatever_befalls_a_publisher_that_dials_its_subscriber_gets_what_it_wants() {
    run_all(Dials::Publisher);
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Dials {
    Subscriber,
    Publisher,
}

fn run_all(dials: Dials) {
    if let Some(seed) = seed::asked_for() {
        seed::run(seed, async |seed| run(dials, seed).await);
        return;
    }
    // A run of all seeds must have met these faults, or the network had none.
    let mut met = Met::default();
    for seed in 0..SEEDS {
        let one = seed::run(seed, async |seed| run(dials, seed).await);
        met.cuts += one.cuts;
        met.received += one.received;
        met.failed_handshakes += one.failed_handshakes;
        met.timeouts += one.timeouts;
    }
    assert!(met.cuts > SEEDS && met.failed_handshakes > SEEDS, "{met:?}");
    assert!(met.timeouts > SEEDS / 15 && met.received > SEEDS * 10, "{met:?}");
}

/// The faults that a world has met.
#[derive(Debug, Default)]
struct Met {
    cuts: u64,
    received: u64,
    failed_handshakes: u64,
    timeouts: u64,
}

async fn run(dials: Dials, seed: u64) -> Met {
    let mut world = World::new(dials, seed).await;
    for _ in 0..STEPS {
        world.step().await;
    }
    world.network.heal();
    for _ in 0..MENDING.as_secs() {
        world.receive_for(Duration::from_secs(1)).await;
    }
    world.expect_agreement();
    world.expect_delivery().await;
    world.end().await
}

/// One publisher, one subscriber, and the state that each should know of the other.
struct World {
    chance: fastrand::Rng,
    network: FaultyNetwork,
    server: PubSocket,
    client: SubSocket,
    /// The topics that the subscriber is subscribed to, and how often.
    wanted: BTreeMap<&'static str, usize>,
    view: View,
    /// The number of the listening side's address, if it can move.
    listens_at: usize,
    ledger: Ledger,
    dials: Dials,
    has_strays: bool,
}

impl World {
    async fn new(dials: Dials, seed: u64) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed ^ 0x5EED);
        let network = FaultyNetwork::new(seed);
        let context = Context::simulated(network.clone(), seed);
        let heartbeat = Heartbeat::every(Duration::from_secs(1))
            .with_timeout(Duration::from_secs(3))
            .with_ttl(Duration::from_secs(4));
        let handshake = Duration::from_secs(10);
        let mark = HighWaterMark::messages([1, 7, 1000][chance.usize(..3)]);
        let options = PubOptions::new().heartbeat(heartbeat).handshake_timeout(handshake);
        let server = context.pub_socket(options.send_hwm(HighWaterMark::Unlimited));
        let options = SubOptions::new().heartbeat(heartbeat).handshake_timeout(handshake);
        let client = context.sub_socket(options.receive_hwm(mark));
        let view = View::of(&server);
        network.kill("dead");
        if dials == Dials::Publisher {
            client.bind("mem://place-0").await.unwrap();
            server.connect("mem://name").unwrap();
        } else {
            server.bind("mem://place-0").await.unwrap();
            client.connect("mem://name").unwrap();
        }
        let world = Self {
            chance,
            network,
            server,
            client,
            wanted: BTreeMap::new(),
            view,
            listens_at: 0,
            ledger: Ledger::default(),
            dials,
            has_strays: seed % 4 == 3,
        };
        world.lead_to("place-0");
        world
    }

    /// Gives the name this address, and in some worlds others that fail, too.
    fn lead_to(&self, there: &str) {
        match self.has_strays {
            true => self.network.lead_to("name", &["dead", "nobody", there]),
            false => self.network.move_to("name", there),
        }
    }

    async fn step(&mut self) {
        let topic = TOPICS[self.chance.usize(..TOPICS.len())];
        match self.chance.u8(0..20) {
            0..4 => {
                self.client.subscribe(topic);
                *self.wanted.entry(topic).or_default() += 1;
            }
            4..6 => self.unsubscribe(topic),
            6..12 => {
                for _ in 0..self.chance.u8(1..30) {
                    let topic = TOPICS[self.chance.usize(..TOPICS.len())];
                    self.send(topic).await;
                }
            }
            12..15 => {
                let time = Duration::from_millis(self.chance.u64(0..2000));
                self.receive_for(time).await;
            }
            15..18 => sleep(Duration::from_millis(self.chance.u64(0..8000))).await,
            18 => self.move_listener().await,
            _ => self.network.cut(),
        }
        self.view.look();
    }

    fn unsubscribe(&mut self, topic: &'static str) {
        let held = self.wanted.get_mut(topic);
        assert_eq!(self.client.unsubscribe(topic), held.is_some());
        if let Some(count) = held {
            *count -= 1;
            if *count == 0 {
                self.wanted.remove(topic);
            }
        }
    }

    /// Makes a new listening side at another address, under the same name.
    async fn move_listener(&mut self) {
        let here = format!("mem://place-{}", self.listens_at);
        self.listens_at += 1;
        let there = format!("place-{}", self.listens_at);
        if self.dials == Dials::Publisher {
            self.client.unbind(&here).await.unwrap();
            self.client.bind(format!("mem://{there}")).await.unwrap();
        } else {
            self.server.unbind(&here).await.unwrap();
            self.server.bind(format!("mem://{there}")).await.unwrap();
        }
        self.lead_to(&there);
    }

    async fn send(&mut self, topic: &str) {
        let most = [5, 100, 1000][self.chance.usize(..3)];
        let fill = self.chance.usize(..most);
        // A subscriber that dials does so after all octets of the last connection have arrived.
        let era = if self.dials == Dials::Subscriber { 0 } else { self.view.era() };
        let message = self.ledger.seal(topic.as_bytes(), era, fill);
        self.server.send(message).await.unwrap();
    }

    /// Receives for so long, and checks the messages.
    async fn receive_for(&mut self, time: Duration) {
        let receiving = async {
            loop {
                let message = self.client.recv().await.expect("the socket is open");
                self.ledger.receive(&message, self.wanted.keys());
            }
        };
        let _elapsed = timeout(time, receiving).await;
        self.view.look();
    }

    /// Checks that the publisher knows one peer and its subscriptions, and has no message left for it.
    fn expect_agreement(&self) {
        let wanted: BTreeSet<_> = self.wanted.keys().map(|topic| Bytes::from(*topic)).collect();
        self.view.expect_agreement(&wanted);
        assert_eq!(self.server.stats().queued, 0);
    }

    /// Checks that a message which is sent now arrives, if it is wanted.
    async fn expect_delivery(&mut self) {
        let expected = TOPICS.iter().filter(|topic| {
            self.wanted.keys().any(|prefix| topic.starts_with(prefix) || prefix.is_empty())
        });
        let (expected, before) = (expected.count() as u64, self.ledger.received());
        for topic in TOPICS {
            self.send(topic).await;
        }
        self.receive_for(Duration::from_secs(1)).await;
        assert_eq!(self.ledger.received() - before, expected, "{:?}", self.wanted);
    }

    /// Closes both, and checks that no message is left.
    async fn end(self) -> Met {
        assert_eq!(self.server.close().await.unsent, 0);
        assert_eq!(self.client.close().await.unread, 0);
        Met {
            cuts: self.network.cuts(),
            received: self.ledger.received(),
            failed_handshakes: self.view.met.failed_handshakes,
            timeouts: self.view.met.timeouts,
        }
    }
}
