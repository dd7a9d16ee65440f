//! A publisher: numbers its messages, and sends them at the pace of its command.

use std::time::Duration;

use tokio::sync::mpsc::UnboundedReceiver;
use tokio::time::{Instant, timeout_at};
use zmtp_socket::Context;

use crate::child::{Kind, Spec, Tally, say};
use crate::counts::{PublisherCounts, number};
use crate::letter::{Letter, Name, TOPICS, probe};
use crate::sockets::Publisher;

/// How long a publisher that sends nothing leaves its events unread.
const IDLE: Duration = Duration::from_millis(100);

struct Node {
    spec: Spec,
    context: Context,
    life: Option<Life>,
    /// Messages per second.
    pace: u64,
    due: Instant,
    chance: fastrand::Rng,
    tally: Tally,
}

/// One socket and the messages that it has sent.
struct Life {
    name: Name,
    socket: Publisher,
    number: u64,
    topics: [u64; TOPICS],
    topic: usize,
}

/// Obeys the conductor's commands until their end.
pub(crate) async fn run(spec: Spec, context: Context, mut commands: UnboundedReceiver<String>) {
    let chance = fastrand::Rng::with_seed(u64::from(spec.node));
    let (due, tally) = (Instant::now(), Tally::new());
    let mut node = Node { spec, context, life: None, pace: 0, due, chance, tally };
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
        let now = Instant::now();
        self.due = now + IDLE;
        let Some(life) = &mut self.life else { return };
        if self.pace > 0 {
            let count = self.chance.u64(1..=32);
            for _ in 0..count {
                if !life.send(&mut self.chance, self.spec.lossless).await {
                    break;
                }
            }
            self.due = now + Duration::from_secs(1) * count as u32 / self.pace as u32;
        }
        life.socket.look_around();
        if self.tally.is_due() {
            self.tell();
        }
    }

    fn tell(&mut self) {
        let Some(life) = &mut self.life else { return };
        let (dropped, _) = life.socket.counts();
        self.tally.tell([0, 0, dropped, life.socket.links()]);
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
                Kind::Ours => Publisher::ours(&self.context, self.spec.lossless),
                Kind::Libzmq => Publisher::libzmq(),
            };
            let incarnation = incarnation.parse().expect("a number");
            let name = Name { node: self.spec.node, incarnation };
            let (number, topics, topic) = (0, [0; TOPICS], 0);
            self.life = Some(Life { name, socket, number, topics, topic });
            return "ok".to_owned();
        }
        let life = self.life.as_mut().expect("a socket is open");
        match words[..] {
            ["close"] => self.end().expect("it is open").socket.close().await,
            ["drop"] => drop(self.end()),
            ["bind", endpoint] => life.socket.bind(endpoint).await,
            ["dial", endpoint] => life.socket.dial(endpoint).await,
            ["hangup", endpoint] => life.socket.hang_up(endpoint).await,
            ["pace", pace] => {
                self.pace = number(pace).expect("a number");
                self.due = Instant::now();
            }
            ["burst", count] => {
                let mut left = number(count).expect("a number");
                while left > 0 {
                    // Without room the message is tried again, with the same number.
                    left -= u64::from(life.send(&mut self.chance, self.spec.lossless).await);
                }
            }
            ["probe", mark, count] => {
                let message = probe(mark, life.name, number(count).expect("a number"));
                if !life.socket.send(message).await {
                    return "full".to_owned();
                }
            }
            ["count"] => {
                let (dropped, peers) = life.socket.counts();
                return PublisherCounts { topics: life.topics.to_vec(), dropped, peers }
                    .to_string();
            }
            _ => panic!("what is {command:?}?"),
        }
        "ok".to_owned()
    }
}

impl Life {
    /// Sends the next message. Returns whether it did: there may have been no room.
    async fn send(&mut self, chance: &mut fastrand::Rng, lossless: bool) -> bool {
        // Some messages of one topic, and then of another.
        if chance.u8(0..4) == 0 {
            self.topic = chance.usize(0..TOPICS);
        }
        let (number, topic_number) = (self.number + 1, self.topics[self.topic] + 1);
        let letter = Letter { from: self.name, topic: self.topic, number, topic_number, lossless };
        let sent = self.socket.send(letter.parts()).await;
        if sent {
            self.number = number;
            self.topics[self.topic] = topic_number;
        }
        sent
    }
}
