//! All nodes, their processes, the connections between them, and the changes to them.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::net::{SocketAddrV4, TcpListener};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::audit::Ledger;
use crate::child::{Kind, Role, Spec};
use crate::letter::Name;
use crate::process::{News, Process};
use crate::sockets::mark;

/// The nodes of each process, with `!` before those of a process that lives as long as the soak. Two
/// nodes of ours in one process can connect over inproc. Publishers of libzmq have a mark of 0, and drop
/// nothing.
const PROCESSES: [&str; 10] = [
    "!0:publisher:ours 1:subscriber:ours",
    "!2:publisher:ours:lossless",
    "!3:subscriber:ours",
    "4:publisher:ours",
    "5:publisher:ours:lossless 6:subscriber:ours",
    "7:subscriber:ours",
    "8:publisher:libzmq:lossless",
    "9:publisher:libzmq:lossless",
    "10:subscriber:libzmq",
    "11:subscriber:libzmq",
];

/// Ports below those that the system gives to dialling sockets, so that no other connection uses one.
const PORTS: std::ops::Range<u16> = 10_000..32_000;

pub(crate) struct World {
    pub(crate) chance: fastrand::Rng,
    pub(crate) news: News,
    pub(crate) nodes: Vec<Node>,
    pub(crate) homes: Vec<Home>,
    /// The connected pairs of a publisher and a subscriber.
    pub(crate) links: BTreeMap<(u32, u32), Link>,
    /// Sockets that are not connected again. See [`unlink`](Self::unlink).
    pub(crate) parted: HashSet<(Name, Name)>,
    pub(crate) done: Done,
    pub(crate) ledger: Ledger,
    /// The number of marks so far.
    pub(crate) marks: u64,
}

pub(crate) struct Node {
    pub(crate) spec: Spec,
    pub(crate) home: usize,
    pub(crate) incarnation: u32,
    /// tcp, ipc and, for ours, inproc.
    endpoints: Vec<String>,
    pub(crate) wishes: BTreeSet<String>,
    pub(crate) pace: u64,
}

/// The process of some nodes.
pub(crate) struct Home {
    pub(crate) nodes: Vec<u32>,
    pub(crate) lasting: bool,
    pub(crate) process: Option<Process>,
    /// When it is started again.
    pub(crate) back: Instant,
}

#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) endpoint: String,
    pub(crate) subscriber_dials: bool,
}

/// The counts of each kind of change.
#[derive(Clone, Debug, Default)]
pub(crate) struct Done {
    pub(crate) kills: u64,
    pub(crate) quits: u64,
    pub(crate) reopened: u64,
    pub(crate) dials: u64,
    pub(crate) hangups: u64,
    pub(crate) wishes: u64,
    pub(crate) rests: u64,
}

impl World {
    pub(crate) fn new(seed: u64, directory: &Path, news: News) -> Self {
        let mut world = Self {
            chance: fastrand::Rng::with_seed(seed),
            news,
            nodes: Vec::new(),
            homes: Vec::new(),
            links: BTreeMap::new(),
            parted: HashSet::new(),
            done: Done::default(),
            ledger: Ledger::default(),
            marks: 0,
        };
        for (home, text) in PROCESSES.into_iter().enumerate() {
            let lasting = text.starts_with('!');
            let specs = text.trim_start_matches('!').split(' ');
            let specs: Vec<Spec> = specs.map(|spec| spec.parse().expect("a node")).collect();
            for &spec in &specs {
                let node = world.new_node(spec, home, directory);
                world.nodes.push(node);
            }
            let nodes = specs.iter().map(|spec| spec.node).collect();
            world.homes.push(Home { nodes, lasting, process: None, back: Instant::now() });
        }
        world
    }

    fn new_node(&mut self, spec: Spec, home: usize, directory: &Path) -> Node {
        let mut endpoints = vec![
            format!("tcp://{}", self.free_address()),
            format!("ipc://{}/{}", directory.display(), spec.node),
        ];
        if spec.kind == Kind::Ours {
            endpoints.push(format!("inproc://{}", spec.node));
        }
        Node { spec, home, incarnation: 0, endpoints, wishes: BTreeSet::new(), pace: 0 }
    }

    /// A free port on an address of this process's own, so that soaks beside one another do not share
    /// any.
    fn free_address(&mut self) -> SocketAddrV4 {
        let [_, a, b, c] = std::process::id().to_be_bytes();
        loop {
            let address = SocketAddrV4::new([127, a, b, c].into(), self.chance.u16(PORTS));
            let taken =
                self.nodes.iter().any(|node| node.endpoints[0] == format!("tcp://{address}"));
            if !taken && TcpListener::bind(address).is_ok() {
                return address;
            }
        }
    }

    pub(crate) fn node(&self, node: u32) -> &Node {
        &self.nodes[node as usize]
    }

    pub(crate) fn name(&self, node: u32) -> Name {
        Name { node, incarnation: self.node(node).incarnation }
    }

    pub(crate) fn with_role(&self, role: Role) -> Vec<u32> {
        let nodes = self.nodes.iter().map(|node| node.spec);
        nodes.filter(|spec| spec.role == role).map(|spec| spec.node).collect()
    }

    pub(crate) fn is_up(&self, node: u32) -> bool {
        self.homes[self.node(node).home].process.is_some()
    }

    fn process(&mut self, node: u32) -> &mut Process {
        let home = self.node(node).home;
        self.homes[home].process.as_mut().expect("it is up")
    }

    pub(crate) async fn tell(&mut self, node: u32, command: &str) -> Result<(), String> {
        self.process(node).tell(node, command).await
    }

    pub(crate) async fn answer(&mut self, node: u32) -> Result<String, String> {
        self.process(node).answer(node).await
    }

    pub(crate) async fn ask(&mut self, node: u32, command: &str) -> Result<String, String> {
        self.tell(node, command).await?;
        self.answer(node).await
    }

    pub(crate) async fn start(&mut self, home: usize) -> Result<(), String> {
        let nodes = self.homes[home].nodes.clone();
        let specs: Vec<Spec> = nodes.iter().map(|&node| self.node(node).spec).collect();
        let process = Process::start(&specs, &self.news);
        let process = process.map_err(|error| format!("no process starts: {error}"))?;
        self.homes[home].process = Some(process);
        for node in nodes {
            self.open(node).await?;
        }
        Ok(())
    }

    /// Makes a node's socket, and restores its subscriptions or its pace.
    async fn open(&mut self, node: u32) -> Result<(), String> {
        let incarnation = self.node(node).incarnation + 1;
        self.nodes[node as usize].incarnation = incarnation;
        self.ask(node, &format!("open {incarnation}")).await?;
        for endpoint in self.node(node).endpoints.clone() {
            self.ask(node, &format!("bind {endpoint}")).await?;
        }
        match self.node(node).spec.role {
            Role::Publisher => self.ask(node, &format!("pace {}", self.node(node).pace)).await?,
            Role::Subscriber => {
                self.mark(node).await?;
                self.ask(node, &self.wish_command(node)).await?
            }
        };
        for ((publisher, subscriber), link) in self.links.clone() {
            let dialler = if link.subscriber_dials { subscriber } else { publisher };
            if dialler == node {
                self.ask(node, &format!("dial {}", link.endpoint)).await?;
                self.done.dials += 1;
            }
        }
        Ok(())
    }

    /// Lets a subscriber subscribe to its present mark, which identifies it to publishers.
    pub(crate) async fn mark(&mut self, subscriber: u32) -> Result<(), String> {
        let mark = mark(self.name(subscriber), self.marks);
        self.ask(subscriber, &format!("mark {mark}")).await.map(drop)
    }

    /// Lets a subscriber subscribe to other prefixes.
    pub(crate) async fn wish(
        &mut self,
        subscriber: u32,
        wishes: BTreeSet<String>,
    ) -> Result<(), String> {
        self.nodes[subscriber as usize].wishes = wishes;
        self.done.wishes += 1;
        self.ask(subscriber, &self.wish_command(subscriber)).await.map(drop)
    }

    fn wish_command(&self, subscriber: u32) -> String {
        let wishes = self.node(subscriber).wishes.iter();
        let words = wishes.map(|wish| if wish.is_empty() { "*" } else { wish });
        ["wish"].into_iter().chain(words).collect::<Vec<_>>().join(" ")
    }

    pub(crate) async fn pace(&mut self, publisher: u32, pace: u64) -> Result<(), String> {
        self.nodes[publisher as usize].pace = pace;
        self.ask(publisher, &format!("pace {pace}")).await.map(drop)
    }

    /// Kills a process, without closing its sockets.
    pub(crate) async fn kill(&mut self, home: usize, absence: Duration) {
        if let Some(process) = self.homes[home].process.take() {
            process.kill().await;
            self.homes[home].back = Instant::now() + absence;
            self.done.kills += 1;
        }
    }

    /// Lets a process close its sockets and end; checks that it leaves nothing open.
    pub(crate) async fn quit(&mut self, home: usize, absence: Duration) -> Result<(), String> {
        if let Some(process) = self.homes[home].process.take() {
            process.quit().await?;
            self.homes[home].back = Instant::now() + absence;
            self.done.quits += 1;
        }
        Ok(())
    }

    /// Makes another socket in place of a node's, which is closed or just dropped.
    pub(crate) async fn reopen(&mut self, node: u32) -> Result<(), String> {
        let dropped = self.node(node).spec.kind == Kind::Ours && self.chance.bool();
        self.ask(node, if dropped { "drop" } else { "close" }).await?;
        self.done.reopened += 1;
        self.open(node).await
    }

    /// Connects a publisher and a subscriber, in either direction, over any transport that both have.
    pub(crate) async fn link(&mut self, publisher: u32, subscriber: u32) -> Result<(), String> {
        let kinds = [publisher, subscriber].map(|node| self.node(node).spec.kind);
        let names = (self.name(publisher), self.name(subscriber));
        // libzmq with libzmq is not tested here.
        if kinds == [Kind::Libzmq; 2] || self.parted.contains(&names) {
            return Ok(());
        }
        let subscriber_dials = self.chance.u8(0..3) > 0;
        let (dialler, listener) =
            if subscriber_dials { (subscriber, publisher) } else { (publisher, subscriber) };
        let near = self.node(dialler).home == self.node(listener).home;
        let transport = self.chance.usize(0..if near { 3 } else { 2 });
        let endpoint = self.node(listener).endpoints[transport].clone();
        if self.is_up(subscriber) && self.is_up(publisher) {
            // Before the connection is made, so that the subscriber knows before the first message.
            self.ask(subscriber, &format!("relinked {}", names.0)).await?;
        }
        if self.is_up(dialler) {
            self.ask(dialler, &format!("dial {endpoint}")).await?;
            self.done.dials += 1;
        }
        self.links.insert((publisher, subscriber), Link { endpoint, subscriber_dials });
        Ok(())
    }

    /// Ends a connection, by the side that made it. If that was the publisher, its messages may be on
    /// their way for longer than it takes to make another connection. Then the messages of the two have
    /// no order, and these sockets are not connected again.
    pub(crate) async fn unlink(&mut self, publisher: u32, subscriber: u32) -> Result<(), String> {
        let Some(link) = self.links.remove(&(publisher, subscriber)) else { return Ok(()) };
        let dialler = if link.subscriber_dials { subscriber } else { publisher };
        if !link.subscriber_dials {
            self.parted.insert((self.name(publisher), self.name(subscriber)));
        }
        if self.is_up(dialler) {
            self.ask(dialler, &format!("hangup {}", link.endpoint)).await?;
            self.done.hangups += 1;
        }
        Ok(())
    }
}
