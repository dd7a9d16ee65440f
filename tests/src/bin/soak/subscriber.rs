//! A subscriber: receives, except while a command lets it rest, and checks all messages.

use std::collections::BTreeSet;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};
use zmtp_socket::Context;

use crate::checker::Checker;
use crate::child::{Kind, Spec, Tally, complain, say};
use crate::counts::{FromPublisher, SubscriberCounts, number};
use crate::letter::Name;
use crate::sockets::Subscriber;

/// How the subscription to everything is written in a command.
pub(crate) const EVERYTHING: &str = "*";

/// The largest number of faults that are reported of one socket: after the first one, the others follow
/// from it.
const COMPLAINTS: u32 = 5;

struct Node {
    spec: Spec,
    context: Context,
    life: Option<Life>,
    /// Receives nothing before this time.
    due: Instant,
    tally: Tally,
}

/// One socket and the messages that have arrived there.
struct Life {
    name: Name,
    socket: Subscriber,
    checker: Checker,
    complaints: u32,
}

/// Obeys the conductor's commands until their end.
pub(crate) async fn run(spec: Spec, context: Context, mut commands: UnboundedReceiver<String>) {
    let (due, tally) = (Instant::now(), Tally::new());
    let mut node = Node { spec, context, life: None, due, tally };
    loop {
        match timeout_at(node.due, commands.recv()).await {
            Ok(Some(command)) => {
                let answer = node.obey(&command).await;
                say(node.spec.node, &answer);
            }
            Ok(None) => break,
            Err(_elapsed) => node.turn().await,
        }
    }
    if let Some(life) = node.end() {
        life.socket.close().await;
    }
}

impl Node {
    async fn turn(&mut self) {
        let Some(life) = &mut self.life else {
            self.due = Instant::now() + Duration::from_millis(100);
            return;
        };
        life.receive().await;
        if self.tally.is_due() {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let Some(life) = &mut self.life else { return };
        let (received, octets) = (life.checker.received, life.checker.octets);
        self.tally.tell([received, octets, 0, life.socket.links()]);
    }

    /// Ends the socket's life, in all counts.
    fn end(&mut self) -> Option<Life> {
        self.tell();
        self.tally.end();
        self.life.take()
    }

    async fn obey(&mut self, command: &str) -> String {
        let words: Vec<&str> = command.split(' ').collect();
        if let ["open", incarnation] = words[..] {
            let socket = match self.spec.kind {
                Kind::Ours => Subscriber::ours(&self.context),
                Kind::Libzmq => Subscriber::libzmq(),
            };
            let incarnation = incarnation.parse().expect("a number");
            let name = Name { node: self.spec.node, incarnation };
            self.life = Some(Life { name, socket, checker: Checker::default(), complaints: 0 });
            self.due = Instant::now();
            return "ok".to_owned();
        }
        let life = self.life.as_mut().expect("a socket is open");
        match words[..] {
            ["close"] => self.end().expect("it is open").socket.close().await,
            ["drop"] => drop(self.end()),
            ["bind", endpoint] => life.socket.bind(endpoint).await,
            ["dial", endpoint] => life.socket.dial(endpoint).await,
            ["hangup", endpoint] => {
                let fetched = life.socket.hang_up(endpoint).await;
                life.check(fetched);
            }
            ["wish", ref prefixes @ ..] => life.wish(prefixes).await,
            ["mark", mark] => {
                life.socket.subscribe(mark).await;
                let before = life.checker.set_mark(mark);
                if !before.is_empty() {
                    life.socket.unsubscribe(&before).await;
                }
            }
            ["rest", milliseconds] => {
                let milliseconds = number(milliseconds).expect("a number");
                self.due = Instant::now() + Duration::from_millis(milliseconds);
            }
            ["relinked", publisher] => life.checker.relinked(publisher.parse().expect("a name")),
            ["settled"] => life.checker.settled(),
            ["keep", ref names @ ..] => {
                life.checker
                    .keep(&names.iter().map(|name| name.parse().expect("a name")).collect());
            }
            ["seen", publisher] => {
                let publisher = publisher.parse().expect("a name");
                let seen = life.checker.publishers().get(&publisher);
                return seen.map_or(0, |seen| seen.probe).to_string();
            }
            ["count"] => return life.counts().to_string(),
            _ => panic!("what is {command:?}?"),
        }
        "ok".to_owned()
    }
}

impl Life {
    async fn receive(&mut self) {
        let messages = self.socket.receive().await;
        self.check(messages);
    }

    fn check(&mut self, messages: Vec<Vec<Bytes>>) {
        let strictly = self.socket.filters_strictly();
        for message in messages {
            if let Err(error) = self.checker.accept(&message, strictly)
                && self.complaints < COMPLAINTS
            {
                self.complaints += 1;
                complain(&format!("subscriber {}: {error}", self.name));
            }
        }
    }

    /// Subscribes to the new prefixes before it ends the old subscriptions, so that a topic that both
    /// match has no gap.
    async fn wish(&mut self, prefixes: &[&str]) {
        let prefix = |&prefix: &&str| if prefix == EVERYTHING { "" } else { prefix }.to_owned();
        let wishes: BTreeSet<String> = prefixes.iter().map(prefix).collect();
        for new in wishes.difference(self.checker.wishes()) {
            self.socket.subscribe(new).await;
        }
        for old in self.checker.wishes().difference(&wishes) {
            self.socket.unsubscribe(old).await;
        }
        self.checker.wish(wishes);
    }

    fn counts(&self) -> SubscriberCounts {
        let publishers = self.checker.publishers().iter().map(|(&name, seen)| {
            let (received, missing) = (seen.received, seen.missing);
            FromPublisher { name, received, missing }
        });
        let (publishers, taken) = (publishers.collect(), self.checker.received);
        match self.socket.counts() {
            Some((arrived, filtered, connections)) => {
                let arrived = Some(arrived);
                SubscriberCounts { taken, filtered, arrived, publishers, connections }
            }
            None => SubscriberCounts { taken, publishers, ..SubscriberCounts::default() },
        }
    }
}
