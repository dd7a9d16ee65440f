//! Nodes that come and go at random.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use crate::child::Role;
use crate::letter::{TOPICS, topic};
use crate::world::World;

/// The percentage of pairs of a publisher and a subscriber that are connected at first.
const CONNECTED: u32 = 60;

/// The longest time between the end of a process and its next start.
const ABSENCE: Duration = Duration::from_millis(400);

impl World {
    /// Starts all nodes and connects many of them.
    pub(crate) async fn begin(&mut self) -> Result<(), String> {
        for subscriber in self.with_role(Role::Subscriber) {
            self.nodes[subscriber as usize].wishes = self.some_wishes();
        }
        for publisher in self.with_role(Role::Publisher) {
            self.nodes[publisher as usize].pace = self.some_pace();
        }
        self.start_missing(true).await?;
        for publisher in self.with_role(Role::Publisher) {
            for subscriber in self.with_role(Role::Subscriber) {
                if self.chance.u32(0..100) < CONNECTED {
                    self.link(publisher, subscriber).await?;
                }
            }
        }
        Ok(())
    }

    /// Starts the processes that are due, or all that are missing.
    pub(crate) async fn start_missing(&mut self, all: bool) -> Result<(), String> {
        for home in 0..self.homes.len() {
            let Some(missing) = self.homes.get(home).filter(|home| home.process.is_none()) else {
                continue;
            };
            if all || missing.back <= Instant::now() {
                self.start(home).await?;
            }
        }
        Ok(())
    }

    /// Makes one change to a node, and gives it some time to take effect.
    pub(crate) async fn churn(&mut self) -> Result<(), String> {
        self.start_missing(false).await?;
        match self.chance.u32(0..100) {
            0..6 => {
                if let Some(home) = self.some_mortal() {
                    self.note_missing_in(home).await?;
                    let absence = self.some_time(ABSENCE);
                    self.kill(home, absence).await;
                }
            }
            6..9 => {
                if let Some(home) = self.some_mortal() {
                    self.note_missing_in(home).await?;
                    let absence = self.some_time(ABSENCE);
                    self.quit(home, absence).await?;
                }
            }
            9..18 => {
                let role = if self.chance.bool() { Role::Publisher } else { Role::Subscriber };
                if let Some(node) = self.some_node(role) {
                    if role == Role::Subscriber {
                        self.note_missing(node).await?;
                    }
                    self.reopen(node).await?;
                }
            }
            18..45 => self.change_a_link().await?,
            45..70 => {
                if let Some(subscriber) = self.some_node(Role::Subscriber) {
                    let wishes = self.some_wishes();
                    self.wish(subscriber, wishes).await?;
                }
            }
            70..85 => {
                if let Some(subscriber) = self.some_node(Role::Subscriber) {
                    let time = self.chance.u32(20..600);
                    self.ask(subscriber, &format!("rest {time}")).await?;
                    self.done.rests += 1;
                }
            }
            _ => {
                if let Some(publisher) = self.some_node(Role::Publisher) {
                    let pace = self.some_pace();
                    self.pace(publisher, pace).await?;
                }
            }
        }
        let time = self.some_time(Duration::from_millis(80));
        tokio::time::sleep(time).await;
        Ok(())
    }

    async fn change_a_link(&mut self) -> Result<(), String> {
        let [publishers, subscribers] =
            [Role::Publisher, Role::Subscriber].map(|role| self.with_role(role));
        let publisher = publishers[self.chance.usize(0..publishers.len())];
        let subscriber = subscribers[self.chance.usize(0..subscribers.len())];
        match self.links.contains_key(&(publisher, subscriber)) {
            true => {
                self.unlink(publisher, subscriber).await?;
                // Sometimes they are connected again at once, perhaps over another transport.
                if self.chance.bool() { self.link(publisher, subscriber).await } else { Ok(()) }
            }
            false => self.link(publisher, subscriber).await,
        }
    }

    /// Some prefixes, which may cover one another or be the same topics; or none.
    fn some_wishes(&mut self) -> BTreeSet<String> {
        let mut wishes = self.some_topics();
        if self.chance.u8(0..5) == 0 {
            wishes.insert(String::new());
        }
        wishes
    }

    /// Does as [`some_wishes`](Self::some_wishes), but without the subscription to everything, which
    /// also matches the marks of others.
    pub(crate) fn some_topics(&mut self) -> BTreeSet<String> {
        let count = self.chance.usize(0..12);
        let wish = |chance: &mut fastrand::Rng| match chance.u8(0..20) {
            0..2 => "T".to_owned(),
            2 => "T0".to_owned(),
            3 => "T1".to_owned(),
            _ => topic(chance.usize(0..TOPICS)),
        };
        (0..count).map(|_| wish(&mut self.chance)).collect()
    }

    fn some_pace(&mut self) -> u64 {
        [20, 500, 2000, 5000, 10_000][self.chance.usize(0..5)]
    }

    fn some_time(&mut self, longest: Duration) -> Duration {
        longest.mul_f64(self.chance.f64())
    }

    fn some_node(&mut self, role: Role) -> Option<u32> {
        let nodes = self.with_role(role);
        self.chance.choice(nodes).filter(|&node| self.is_up(node))
    }

    fn some_mortal(&mut self) -> Option<usize> {
        let home = self.chance.usize(0..self.homes.len());
        Some(home).filter(|&home| !self.homes[home].lasting && self.homes[home].process.is_some())
    }
}
