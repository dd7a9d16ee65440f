//! One publisher and one subscriber, for one scenario.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use zmtp_socket::{Context, PubSocket, SendError, SubSocket};
use zmtp_tests::network::{FaultyNetwork, Manner};

use super::plan::{Plan, Stage};
use crate::ledger::Ledger;
use crate::view::View;

/// Longer than any fault takes to be noticed and mended.
const MENDING: Duration = Duration::from_secs(90);

pub(super) struct World {
    pub(super) network: FaultyNetwork,
    context: Context,
    pub(super) server: PubSocket,
    pub(super) inbound: Inbound,
    pub(super) view: View,
}

/// The subscriber, and the messages that it has received.
pub(super) struct Inbound {
    pub(super) client: SubSocket,
    pub(super) wanted: BTreeSet<Bytes>,
    pub(super) ledger: Ledger,
}

impl World {
    /// Both sockets, bound and subscribed; neither has dialled yet.
    pub(super) async fn new(plan: &Plan, seed: u64) -> Self {
        let network = FaultyNetwork::healthy(seed);
        network.shape(plan.room, Manner { fragment: plan.fragment, ..Manner::SMOOTH });
        let context = Context::simulated(network.clone(), seed);
        let server = context.pub_socket(plan.pub_options());
        let client = context.sub_socket(plan.sub_options());
        for topic in &plan.topics {
            client.subscribe(topic);
        }
        if plan.subscriber_dials {
            server.bind("mem://place").await.unwrap();
        } else {
            client.bind("mem://place").await.unwrap();
        }
        let view = View::of(&server);
        let inbound = Inbound { client, wanted: plan.topics.clone(), ledger: Ledger::default() };
        Self { network, context, server, inbound, view }
    }

    pub(super) fn dial(&self, plan: &Plan) {
        if plan.subscriber_dials {
            self.inbound.client.connect("mem://place").unwrap();
        } else {
            self.server.connect("mem://place").unwrap();
        }
    }

    /// A new publisher takes the place of the closed one.
    pub(super) async fn replace_server(&mut self, plan: &Plan) {
        self.server = self.context.pub_socket(plan.pub_options());
        self.view.succeeded_by(&self.server);
        if plan.subscriber_dials {
            self.server.bind("mem://place").await.unwrap();
        } else {
            self.server.connect("mem://place").unwrap();
        }
    }

    /// Sends a message of this topic. If the publisher waits for room, the subscriber receives
    /// meanwhile.
    pub(super) async fn send(&mut self, plan: &mut Plan, topic: &Bytes, is_due: bool) {
        let message = self.seal(plan, topic, is_due);
        let sending = self.server.send(message);
        let sent = match plan.stage {
            Stage::Waiting => self.inbound.receive_until(sending).await,
            _ => Some(sending.await),
        };
        sent.expect("there is room in the end").unwrap();
    }

    /// Sends a wanted message, if there is room for it. Returns whether there was.
    pub(super) fn try_send_some(&mut self, plan: &mut Plan) -> bool {
        let topic = plan.some_of(&self.inbound.wanted);
        let message = self.seal(plan, &topic, false);
        let sent = self.server.try_send(message);
        if sent.is_ok() {
            self.inbound.ledger.expect(&topic);
        }
        sent.is_ok()
    }

    /// Sends a message of this topic, without waiting for that.
    pub(super) fn send_in_background(
        &mut self,
        plan: &mut Plan,
        topic: &Bytes,
        is_due: bool,
    ) -> JoinHandle<Result<(), SendError>> {
        let message = self.seal(plan, topic, is_due);
        let server = self.server.handle();
        tokio::spawn(async move { server.send(message).await })
    }

    fn seal(&mut self, plan: &mut Plan, topic: &Bytes, is_due: bool) -> Vec<u8> {
        // A subscriber that dials does so after all octets of the last connection have arrived.
        let era = if plan.subscriber_dials { 0 } else { self.view.era() };
        let fill = plan.chance.usize(..plan.longest);
        let ledger = &mut self.inbound.ledger;
        let message = ledger.seal(topic, era, fill);
        if is_due {
            ledger.expect(topic);
        }
        message
    }

    /// Sends wanted messages.
    pub(super) async fn send_some(&mut self, plan: &mut Plan, messages: usize) {
        let topics: Vec<_> = self.inbound.wanted.iter().cloned().collect();
        for _ in 0..messages {
            let topic = &topics[plan.chance.usize(..topics.len())];
            self.send(plan, topic, true).await;
        }
    }

    /// Sends a few messages, whether they arrive or not.
    pub(super) async fn send_any(&mut self, plan: &mut Plan) {
        let topics: Vec<_> = plan.topics.iter().cloned().collect();
        for _ in 0..plan.chance.usize(0..5) {
            let topic = &topics[plan.chance.usize(..topics.len())];
            self.send(plan, topic, false).await;
        }
    }

    /// Receives until the publisher knows its subscriber and its topics, and nothing is on its way that
    /// could change that.
    pub(super) async fn agree(&mut self) {
        let Self { network, server, view, inbound, .. } = self;
        let wanted = inbound.wanted.clone();
        let agreed = async {
            loop {
                view.until_agreed(&wanted).await;
                sleep(Duration::from_secs(1)).await;
                view.look();
                let is_quiet = network.is_quiet() && server.stats().queued == 0;
                if is_quiet && view.agrees(&wanted) {
                    break;
                }
            }
        };
        if inbound.receive_until(agreed).await.is_none() {
            panic!("no agreement on {wanted:?}: {view:?}");
        }
        view.expect_agreement(&wanted);
    }

    /// Checks that a message which is sent now arrives if it is wanted, and only then.
    pub(super) async fn expect_delivery(&mut self, plan: &mut Plan) {
        let wanted: Vec<_> = self.inbound.wanted.iter().take(4).cloned().collect();
        let filtered = self.inbound.client.stats().filtered;
        for topic in wanted.iter().chain(&plan.dropped.clone()) {
            self.send(plan, topic, true).await;
        }
        self.inbound.receive_due().await;
        assert_eq!(self.inbound.client.stats().filtered, filtered, "more came than was asked for");
    }

    /// Closes both, and checks that no message is left.
    pub(super) async fn end(self) {
        assert_eq!(self.server.close().await.unsent, 0);
        assert_eq!(self.inbound.client.close().await.unread, 0);
    }
}

impl Inbound {
    /// Receives until `done`, or returns `None` if that takes too long.
    pub(super) async fn receive_until<T>(&mut self, done: impl Future<Output = T>) -> Option<T> {
        let receiving = async {
            loop {
                let message = self.client.recv().await.expect("the socket is open");
                self.ledger.receive(&message, &self.wanted);
            }
        };
        let done = async {
            tokio::select! {
                biased;
                never = receiving => never,
                done = done => done,
            }
        };
        timeout(MENDING, done).await.ok()
    }

    /// Receives for so long.
    pub(super) async fn receive_for(&mut self, time: Duration) {
        let elapsed = self.receive_until(sleep(time)).await;
        assert!(elapsed.is_some());
    }

    /// Receives the messages that must arrive.
    pub(super) async fn receive_due(&mut self) {
        let due = async {
            while !self.ledger.is_settled(&self.wanted) {
                let message = self.client.recv().await.expect("the socket is open");
                self.ledger.receive(&message, &self.wanted);
            }
        };
        let all = timeout(MENDING, due).await;
        all.unwrap_or_else(|_| panic!("{:?} is not complete", self.ledger));
    }

    /// Ends all subscriptions to `topic`.
    pub(super) fn take_back(&mut self, plan: &mut Plan, topic: &Bytes) {
        let matches = |prefix: &&Bytes| topic.starts_with(prefix);
        let matching: Vec<_> = self.wanted.iter().filter(matches).cloned().collect();
        for prefix in matching {
            assert!(self.client.unsubscribe(&prefix) && self.wanted.remove(&prefix));
            plan.dropped.retain(|dropped| *dropped != prefix);
        }
    }

    /// Changes its subscriptions as planned.
    pub(super) fn change(&mut self, plan: &Plan) {
        for topic in &plan.dropped {
            assert!(self.client.unsubscribe(topic) && self.wanted.remove(topic));
        }
        for topic in &plan.added {
            self.client.subscribe(topic);
            assert!(self.wanted.insert(topic.clone()));
        }
    }
}

/// Waits, on virtual time, until everything that can happen has happened.
pub(super) async fn settle() {
    sleep(Duration::from_millis(1)).await;
}
