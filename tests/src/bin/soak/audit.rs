//! The reckoning: all nodes pause until every sent message has arrived. Then a number of messages is
//! sent, and each of them must be accounted for, for each connected pair.
//!
//! The demands on each node:
//!
//! - Of our publishers, for each peer: wanted = sent + dropped, whichever library it has.
//! - Of our publishers, and of those of libzmq with a high-water mark of 0 (with another they drop
//!   without counting): the subscriber received exactly what was sent.
//! - Of our subscribers: each message is received or filtered out, by their own counters. Those of
//!   libzmq do not count.
//! - Whether libzmq's publishers send more than is subscribed to cannot be seen: subscribers of either
//!   library filter.
//! - No more messages may be missing before a cut than the publisher dropped in all. If it was killed,
//!   that count is lost: then only publishers that drop nothing can be checked, which
//!   [`Checker`](crate::checker::Checker) does.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::time::{Duration, Instant};

use crate::PATIENCE;
use crate::checker::covers;
use crate::child::{Kind, Role};
use crate::counts::{PeerCounts, PublisherCounts, SubscriberCounts};
use crate::letter::Name;
use crate::sockets::mark;
use crate::world::World;

/// The number of messages of each publisher that are accounted for.
const BURST: std::ops::Range<u32> = 100..1500;

/// How long a probe may take before another one is sent: it may have been dropped, or sent before the
/// subscription to it had arrived.
const GLANCE: Duration = Duration::from_millis(200);

/// The interval of checks whether something has arrived.
const INTERVAL: Duration = Duration::from_millis(2);

/// The counts that are kept from one reckoning to the next, and reported at the end.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    /// The number of messages of each publisher's socket that are missing at each subscriber's.
    missing: BTreeMap<Name, BTreeMap<Name, u64>>,
    /// The number of probes sent for each pair of nodes.
    probes: BTreeMap<(u32, u32), u64>,
    pub(crate) reckonings: u64,
    pub(crate) links: BTreeMap<Pairing, u64>,
    pub(crate) wanted: u64,
    pub(crate) dropped: u64,
}

/// Whether the publisher and the subscriber of a pair are ours.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pairing(bool, bool);

impl fmt::Display for Pairing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = |ours| if ours { "ours" } else { "libzmq" };
        write!(f, "{} to {}", name(self.0), name(self.1))
    }
}

/// The counts of all nodes at rest.
struct Counts {
    publishers: BTreeMap<u32, PublisherCounts>,
    subscribers: BTreeMap<u32, SubscriberCounts>,
    probes: BTreeMap<(u32, u32), u64>,
}

impl World {
    /// Checks that all nodes are there, come to rest, account for all messages, and continue.
    pub(crate) async fn reckon(&mut self) -> Result<(), String> {
        self.start_missing(true).await?;
        let publishers = self.with_role(Role::Publisher);
        let subscribers = self.with_role(Role::Subscriber);
        // A publisher that waits for a resting subscriber would not read its commands.
        for &subscriber in &subscribers {
            self.ask(subscriber, "rest 0").await?;
        }
        let paces: Vec<u64> = publishers.iter().map(|&node| self.node(node).pace).collect();
        for &publisher in &publishers {
            self.pace(publisher, 0).await?;
        }
        self.marks += 1;
        for &subscriber in &subscribers {
            // Most keep their subscriptions, so that the loss of an earlier one is noticed.
            let everything = self.node(subscriber).wishes.contains("");
            if everything || self.chance.u8(0..4) == 0 {
                let wishes = self.some_topics();
                self.wish(subscriber, wishes).await?;
            }
            self.mark(subscriber).await?;
        }
        self.drain().await?;
        for &subscriber in &subscribers {
            self.ask(subscriber, "settled").await?;
        }
        let before = self.at_rest().await?;
        for &publisher in &publishers {
            let count = self.chance.u32(BURST);
            self.tell(publisher, &format!("burst {count}")).await?;
        }
        for &publisher in &publishers {
            self.answer(publisher).await?;
        }
        self.drain().await?;
        let after = self.at_rest().await?;
        self.compare(&before, &after)?;
        self.forget(&publishers).await?;
        for (&publisher, &pace) in publishers.iter().zip(&paces) {
            self.pace(publisher, pace).await?;
        }
        self.ledger.reckonings += 1;
        Ok(())
    }

    /// Waits until each subscriber has received the last message of each of its publishers: a probe
    /// comes after all messages before it. The first probe that arrives also shows that all
    /// subscriptions have taken effect, since that to the mark is the last.
    async fn drain(&mut self) -> Result<(), String> {
        for (publisher, subscriber) in self.links.clone().into_keys() {
            let begun = Instant::now();
            while !self.probe(publisher, subscriber).await? {
                if begun.elapsed() > PATIENCE {
                    let [from, to] = [publisher, subscriber].map(|node| self.name(node));
                    let link = &self.links[&(publisher, subscriber)];
                    return Err(format!(
                        "nothing that {from} sends to {to} has come for {PATIENCE:?}: either the \
                         subscription is lost, or the connection is not made: {link:?}"
                    ));
                }
            }
        }
        Ok(())
    }

    /// Sends a probe; returns whether it has arrived.
    async fn probe(&mut self, publisher: u32, subscriber: u32) -> Result<bool, String> {
        let count = self.ledger.probes.get(&(publisher, subscriber)).copied().unwrap_or(0) + 1;
        let mark = mark(self.name(subscriber), self.marks);
        if self.ask(publisher, &format!("probe {mark} {count}")).await? == "full" {
            return Ok(false);
        }
        self.ledger.probes.insert((publisher, subscriber), count);
        let (begun, from) = (Instant::now(), self.name(publisher));
        while begun.elapsed() < GLANCE {
            if self.ask(subscriber, &format!("seen {from}")).await? == count.to_string() {
                return Ok(true);
            }
            tokio::time::sleep(INTERVAL).await;
        }
        Ok(false)
    }

    /// The counts of all nodes, once they show that no message is on its way: a message arrives a little
    /// before its publisher counts it as sent.
    async fn at_rest(&mut self) -> Result<Counts, String> {
        let (begun, probes) = (Instant::now(), self.ledger.probes.clone());
        loop {
            let (mut publishers, mut subscribers) = (BTreeMap::new(), BTreeMap::new());
            for publisher in self.with_role(Role::Publisher) {
                publishers.insert(publisher, self.ask(publisher, "count").await?.parse()?);
            }
            for subscriber in self.with_role(Role::Subscriber) {
                subscribers.insert(subscriber, self.note_missing(subscriber).await?);
            }
            let counts = Counts { publishers, subscribers, probes: probes.clone() };
            match self.restless(&counts) {
                None => return Ok(counts),
                Some(why) if begun.elapsed() > PATIENCE => {
                    return Err(format!("not at rest after {PATIENCE:?}: {why}"));
                }
                Some(_) => tokio::time::sleep(INTERVAL).await,
            }
        }
    }

    /// The reason why these counts may still change.
    fn restless(&self, counts: &Counts) -> Option<String> {
        for &(publisher, subscriber) in self.links.keys() {
            if self.is_ours(publisher) {
                let connections = self.connections(counts, publisher, subscriber);
                if !matches!(&connections[..], [only] if only.queued == 0) {
                    let [from, to] = [publisher, subscriber].map(|node| self.name(node));
                    return Some(format!("{from} has for {to}: {connections:?}"));
                }
            }
        }
        for (&subscriber, count) in &counts.subscribers {
            if count.arrived.is_some_and(|arrived| arrived != count.taken + count.filtered) {
                return Some(format!("{}: {count:?}", self.name(subscriber)));
            }
        }
        None
    }

    fn compare(&mut self, before: &Counts, after: &Counts) -> Result<(), String> {
        for (&(publisher, subscriber), link) in &self.links {
            let pair = (publisher, subscriber);
            let [from, to] = [publisher, subscriber].map(|node| self.name(node));
            let wrong = |what: String| Err(format!("from {from} to {to} ({link:?}): {what}"));
            let was = &before.publishers[&publisher].topics;
            let news =
                after.publishers[&publisher].topics.iter().zip(was).map(|(now, was)| now - was);
            let wishes = &self.node(subscriber).wishes;
            let topics = news.enumerate().filter(|&(topic, _)| covers(wishes, topic));
            let wanted = topics.map(|(_, count)| count).sum::<u64>() + after.probes[&pair]
                - before.probes[&pair];
            let [was, now] = [before, after].map(|counts| {
                let from = counts.subscribers[&subscriber].publishers.iter();
                let mut from = from.filter(|publisher| publisher.name == self.name(pair.0));
                from.next().map_or((0, 0), |from| (from.received, from.missing))
            });
            let (received, missing) = (now.0 - was.0, now.1 - was.1);
            let (mut sent, mut dropped) = (wanted, 0);
            if self.is_ours(publisher) {
                let [was, now] =
                    [before, after].map(|counts| self.connections(counts, publisher, subscriber));
                let (was, now) = (&was[0], &now[0]);
                (sent, dropped) = (now.sent - was.sent, now.dropped - was.dropped);
                let counts = &after.subscribers[&subscriber];
                let mut ends = counts.connections.iter().filter(|end| end.0 == link.endpoint);
                // A bound endpoint has one count for all publishers that dialled it.
                if self.is_ours(subscriber) && link.subscriber_dials {
                    let arrived = ends.next().map_or(0, |end| end.1);
                    if arrived != now.sent {
                        let sent = now.sent;
                        return wrong(format!("sent on this connection {sent}, arrived {arrived}"));
                    }
                }
            }
            if wanted != sent + dropped {
                return wrong(format!("wanted {wanted}, sent {sent}, dropped {dropped}"));
            }
            if received != sent {
                return wrong(format!("sent {sent}, received {received}, dropped {dropped}"));
            }
            if missing > dropped {
                return wrong(format!("numbers missing {missing}, dropped {dropped}"));
            }
            if dropped > 0 && self.node(publisher).spec.lossless {
                return wrong(format!("it drops nothing, and dropped {dropped}"));
            }
            let pairing = Pairing(self.is_ours(publisher), self.is_ours(subscriber));
            *self.ledger.links.entry(pairing).or_default() += 1;
            self.ledger.wanted += wanted;
            self.ledger.dropped += dropped;
        }
        for (&publisher, counts) in &after.publishers {
            let name = self.name(publisher);
            let missing = self.ledger.missing.get(&name);
            let total: u64 = missing.map_or(0, |missing| missing.values().sum());
            if self.is_ours(publisher) && total > counts.dropped {
                let dropped = counts.dropped;
                return Err(format!(
                    "{name} dropped {dropped} in all; numbers missing: {missing:?}"
                ));
            }
        }
        Ok(())
    }

    /// A publisher's counts for its connections with a subscriber: one connection, when all is at rest.
    fn connections(&self, counts: &Counts, publisher: u32, subscriber: u32) -> Vec<PeerCounts> {
        let name = self.name(subscriber);
        let peers = counts.publishers[&publisher].peers.iter();
        peers.filter(|peer| peer.name == name).cloned().collect()
    }

    fn is_ours(&self, node: u32) -> bool {
        self.node(node).spec.kind == Kind::Ours
    }

    /// Records how many messages a subscriber misses, before it may be killed.
    pub(crate) async fn note_missing(
        &mut self,
        subscriber: u32,
    ) -> Result<SubscriberCounts, String> {
        let counts: SubscriberCounts = self.ask(subscriber, "count").await?.parse()?;
        let to = self.name(subscriber);
        for from in &counts.publishers {
            self.ledger.missing.entry(from.name).or_default().insert(to, from.missing);
        }
        Ok(counts)
    }

    /// Does the same for all subscribers in a process.
    pub(crate) async fn note_missing_in(&mut self, home: usize) -> Result<(), String> {
        for node in self.homes[home].nodes.clone() {
            if self.node(node).spec.role == Role::Subscriber {
                self.note_missing(node).await?;
            }
        }
        Ok(())
    }

    /// Forgets all publishers' sockets that are gone, here and in the nodes, so that memory does not
    /// grow.
    async fn forget(&mut self, publishers: &[u32]) -> Result<(), String> {
        let names: BTreeSet<Name> = publishers.iter().map(|&node| self.name(node)).collect();
        let words: Vec<String> = names.iter().map(Name::to_string).collect();
        for subscriber in self.with_role(Role::Subscriber) {
            self.ask(subscriber, &format!("keep {}", words.join(" "))).await?;
        }
        self.ledger.missing.retain(|name, _| names.contains(name));
        let now: BTreeSet<Name> = self.nodes.iter().map(|node| self.name(node.spec.node)).collect();
        self.parted.retain(|(from, to)| now.contains(from) && now.contains(to));
        Ok(())
    }
}
