use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::time::{sleep, timeout};
use zmtp_socket::{Context, Message, PubOptions, PubSocket};

use crate::{
    hostile::{BOUND, Hostile, Hostiles, TRAP},
    script::Script,
    stage::{play, within},
    victim::{MARK, Victim},
};

/// A socket that sends each message to one peer, with hostile peers and an honest one.
///
/// Instructions: an octet selects the socket, and each further one the next step (see
/// `Scene::step`).
///
/// The honest peer is served throughout, except by a PAIR, which has one peer. Queues are bounded,
/// the counters add up, names are distinct, and the socket closes in time.
pub fn unicast(data: &[u8]) {
    play(async {
        let mut script = Script::new(data);
        let mut scene = Scene::new(script.octet()).await;
        for _ in 0..STEPS {
            if script.is_over() {
                break;
            }
            scene.step(&mut script).await;
            scene.check();
        }
        scene.close().await;
    });
}

/// How many steps of a script are run.
const STEPS: usize = 48;

/// Longer than anything takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(120);

/// How many hostile peers dial.
const DIALLERS: usize = 4;

/// When this much time passes, every task has done all that it can.
const TICK: Duration = Duration::from_millis(1);

struct Scene {
    network: Hostiles,
    context: Context,
    victim: Victim,
    /// The sockets in whose place hostile peers take part; they get no octets.
    dummies: Vec<PubSocket>,
    hostile: Vec<Hostile>,
    rounds: u32,
}

impl Scene {
    /// The low three bits select the victim, the next bit whether it dials a hostile peer.
    async fn new(octet: u8) -> Self {
        let network = Hostiles::default();
        let context = Context::simulated(network.clone(), 1);
        let victim = Victim::new(&context, octet).await;
        let trap = context.pub_socket(PubOptions::new());
        trap.bind(format!("mem://{TRAP}")).await.expect("the name is free");
        if octet & 8 != 0 {
            victim.connect(&format!("mem://{TRAP}"));
        }
        let (dummies, hostile) = (vec![trap], Vec::new());
        Self { network, context, victim, dummies, hostile, rounds: 0 }
    }

    async fn step(&mut self, script: &mut Script<'_>) {
        let octet = script.octet();
        let (what, more) = (octet & 7, octet >> 3);
        self.hostile.extend(self.network.take());
        let which = usize::from(more) % self.hostile.len().max(1);
        match (what, self.hostile.get_mut(which)) {
            (0, _) if self.dummies.len() <= DIALLERS => {
                let dummy = self.context.pub_socket(PubOptions::new());
                dummy.connect(format!("mem://{BOUND}")).expect("good options");
                self.dummies.push(dummy);
                sleep(TICK).await;
            }
            (1, Some(hostile)) => {
                let len = usize::from(script.octet() % 16);
                hostile.greet(self.victim.counterpart(), script.take(len));
            }
            (2, Some(hostile)) => {
                let count = script.octet();
                for left in (0..1 + count % 4).rev() {
                    let len = usize::from(script.octet() % 8);
                    hostile.say(left > 0, script.take(len));
                }
            }
            (3, Some(hostile)) => {
                let len = usize::from(script.octet());
                hostile.write(script.take(len));
            }
            (4, Some(_)) => drop(self.hostile.remove(which)),
            (5, Some(hostile)) => hostile.read(),
            (6, _) => self.victim.act(more, script).await,
            (7, _) if more & 3 == 0 => {
                let millis = [1, 100, 5000, 31_000][usize::from(more >> 2) % 4];
                sleep(Duration::from_millis(millis)).await;
            }
            (7, _) => {
                self.rounds += 1;
                let tag = Message::from(format!("round {}", self.rounds));
                let round = self.victim.serve_honest(&tag);
                within(PATIENCE, "the honest one to be served", round).await;
            }
            _ => {}
        }
        // Lets every task that can run have its turn.
        let _turn = timeout(TICK, std::future::pending::<()>()).await;
    }

    fn check(&self) {
        let stats = self.victim.stats();
        let most = 2 * MARK as u64 + 1;
        for peer in &stats.peers {
            assert!(peer.queued <= most, "{peer:?}");
        }
        // Messages for peers that have gone or are not connected are in queues of their own.
        assert!(stats.queued <= most * (stats.peers.len() as u64 + 2), "{stats:?}");
        let sum: u64 = stats.peers.iter().map(|peer| peer.sent).sum();
        assert!(stats.sent >= sum, "{stats:?}");
        match &self.victim {
            Victim::Pair(..) => assert!(stats.peers.len() <= 1, "{stats:?}"),
            Victim::Router(router, ..) => {
                let names: BTreeSet<Bytes> = stats
                    .peers
                    .iter()
                    .map(|peer| {
                        let name = peer.peer.identity().expect("it has one").clone();
                        assert_eq!(router.peer_with(&name).as_ref(), Some(&peer.peer));
                        name
                    })
                    .collect();
                assert_eq!(names.len(), stats.peers.len(), "{names:?}");
            }
            _ => {}
        }
    }

    async fn close(mut self) {
        let tag = Message::from("the last round");
        let round = self.victim.serve_honest(&tag);
        within(PATIENCE, "the honest one to be served at last", round).await;
        self.hostile.extend(self.network.take());
        for hostile in &mut self.hostile {
            hostile.read();
        }
        within(PATIENCE, "the end of the victim", self.victim.close()).await;
        for dummy in self.dummies {
            within(PATIENCE, "the end of a dummy", dummy.close()).await;
        }
    }
}
