//! Messages that flow one way, from some sockets to others, and perhaps answers the other way.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use zmtp_socket::kind::Kind;
use zmtp_socket::{Context, Linger, Options, PullOptions, PushOptions};
use zmtp_tests::network::{Fault, FaultyNetwork, Manner, Spot, Way};
use zmtp_tests::seed;

use crate::book::{Book, Name};
use crate::flows::{DealerDealer, DealerRouter, Flow, PairPair, PushPull};
use crate::run_all;
use crate::sinks::Sink;
use crate::sources::{Checked, Ending, Source};
use crate::trouble::{MENDING, SECOND, Trouble, heal, pick, strike};

#[test]
fn what_a_push_sends_comes_once_and_whole_and_in_order_or_is_counted() {
    run_all(run::<PushPull>);
}

#[test]
fn what_a_dealer_and_a_router_send_comes_once_and_whole_and_in_order_or_is_counted() {
    run_all(run::<DealerRouter>);
}

#[test]
fn what_dealers_send_each_other_comes_once_and_whole_and_in_order_or_is_counted() {
    run_all(run::<DealerDealer>);
}

#[test]
fn what_a_pair_sends_comes_once_and_whole_and_in_order_or_is_counted() {
    run_all(run::<PairPair>);
}

#[test]
fn large_messages_that_a_cut_leaves_behind_come_in_order_on_the_next_connection() {
    seed::run(1, async |seed| {
        let network = FaultyNetwork::healthy(seed);
        network.shape(4000, Manner::SMOOTH);
        let context = Context::simulated(network.clone(), seed);
        let worker = context.socket(PushOptions::new());
        let mut sink = context.socket(PullOptions::new());
        sink.bind("mem://place").await.expect("the place is free");
        worker.connect("mem://place").expect("good options");
        worker.wait_for_peer().await.expect("it is open");
        let in_the_first = Spot::Message { whole: 0, octets: 10_000 };
        network.arm(Way::Out, in_the_first, &Fault::Cut(Vec::new()));
        for number in 0..5 {
            worker.try_send(vec![number; LARGE]).expect("there is room");
        }
        for number in 1..5 {
            let message = timeout(MENDING, sink.recv()).await.expect("it comes");
            assert!(*message.expect("it is open").first() == vec![number; LARGE], "{number}");
        }
        let stats = worker.stats();
        assert_eq!((stats.sent, stats.undelivered, stats.queued), (4, 1, 0));
        worker.close().await;
        sink.close().await;
    });
}

/// Longer than any step takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(600);

/// Longer than it takes to deliver everything.
const LINGER: Linger = Linger::For(Duration::from_secs(120));

/// Large enough to be shared.
const LARGE: usize = 40_000;

/// The plan of a scenario.
#[derive(Debug)]
pub(crate) struct Plan {
    trouble: Trouble,
    pub(crate) sources: usize,
    pub(crate) sinks: usize,
    pub(crate) sources_dial: bool,
    pub(crate) send_hwm: usize,
    pub(crate) receive_hwm: usize,
    pub(crate) immediate: bool,
    pub(crate) timeout: Option<Duration>,
    pub(crate) linger: Linger,
    pub(crate) named: bool,
    pub(crate) handover: bool,
    pub(crate) mandatory: bool,
    pub(crate) waits: bool,
    steps: usize,
    longest: usize,
    /// Whether some messages are large, and shared with the queues.
    has_large: bool,
    pub(crate) chance: fastrand::Rng,
}

impl Plan {
    fn new<F: Flow>(seed: u64) -> Self {
        let chance = &mut fastrand::Rng::with_seed(seed);
        let most = if F::IS_EXCLUSIVE { 1 } else { 3 };
        let trouble = Trouble::draw(chance);
        Self {
            trouble,
            sources: chance.usize(1..=most),
            sinks: chance.usize(1..=most),
            sources_dial: chance.bool(),
            send_hwm: pick(chance, &[1, 2, 10, 1000]),
            receive_hwm: pick(chance, &[1, 3, 10, 1000]),
            immediate: chance.u8(0..3) == 0,
            timeout: pick(chance, &[None, None, Some(SECOND / 100), Some(90 * SECOND)]),
            linger: pick(chance, &[LINGER, LINGER, Linger::NONE, Linger::For(SECOND)]),
            named: chance.bool(),
            handover: chance.bool(),
            mandatory: chance.bool(),
            waits: chance.bool(),
            steps: pick(chance, &[5, 20, 40]),
            longest: pick(chance, &[1, 100, 3000]),
            has_large: !trouble.is_wild && trouble.room >= 4000 && chance.bool(),
            chance: chance.fork(),
        }
    }

    pub(crate) fn shared<T: Kind>(&self, options: Options<T>, linger: Linger) -> Options<T> {
        self.trouble.known_to(options).linger(linger)
    }

    /// The number of octets of the next message.
    pub(crate) fn fill(&mut self) -> usize {
        if self.has_large && self.chance.bool() {
            return LARGE;
        }
        self.chance.usize(..self.longest)
    }
}

struct World<F: Flow> {
    plan: Plan,
    network: FaultyNetwork,
    context: Context,
    book: Book,
    sources: Vec<Source<F>>,
    sinks: Vec<Sink<F>>,
    endings: Vec<Ending<F>>,
    /// How often connections have been ended.
    ends: u64,
    /// Whether octets have been delayed, or the end of a connection.
    is_slow: bool,
    received_octets: u64,
}

async fn run<F: Flow>(seed: u64) {
    let mut world = World::<F>::new(seed).await;
    for _ in 0..world.plan.steps {
        world.step().await;
    }
    heal(&world.network);
    world.receive_for(MENDING).await;
    world.settle("what waits is sent", World::is_idle).await;
    world.settle("everybody has a peer", World::is_met).await;
    world.expect_delivery().await;
    world.end().await;
}

impl<F: Flow> World<F> {
    async fn new(seed: u64) -> Self {
        let plan = Plan::new::<F>(seed);
        let network = plan.trouble.network(seed);
        let context = Context::simulated(network.clone(), seed);
        let (mut book, mut sources, mut sinks) = (Book::default(), Vec::new(), Vec::new());
        for place in 0..plan.sources {
            sources.push(Source::new(&plan, &context, &mut book, place).await);
        }
        for place in 0..plan.sinks {
            sinks.push(Sink::new(&plan, &context, &mut book, place).await);
        }
        let endings = Vec::new();
        Self {
            plan,
            network,
            context,
            book,
            sources,
            sinks,
            endings,
            ends: 0,
            is_slow: false,
            received_octets: 0,
        }
    }

    async fn step(&mut self) {
        let Self { plan, book, .. } = self;
        let source = plan.chance.usize(..plan.sources);
        let sink = plan.chance.usize(..plan.sinks);
        match plan.chance.u8(0..24) {
            0..10 => {
                for _ in 0..plan.chance.usize(1..20) {
                    self.sources[source].send(plan, book).await;
                }
            }
            10..14 => {
                let most = plan.chance.usize(1..20);
                self.sinks[sink].take(plan, book, most);
                self.sources[source].take(book);
            }
            14..18 => {
                let millis = pick(&mut plan.chance, &[1, 20, 300, 3000]);
                sleep(Duration::from_millis(millis)).await;
            }
            18 | 19 => match strike(&self.network, &mut plan.chance) {
                None => {}
                Some(Fault::Cut(_)) => self.ends += 1,
                Some(_) => self.is_slow = true,
            },
            20 => {
                self.ends += 1;
                match plan.sources_dial {
                    true => self.sources[source].dial_anew(plan).await,
                    false => self.sinks[sink].dial_anew(plan).await,
                }
            }
            21 => self.replace_source(source).await,
            22 => self.replace_sink(sink).await,
            _ => self.receive_for(SECOND).await,
        }
    }

    async fn replace_source(&mut self, place: usize) {
        let Self { plan, book, .. } = self;
        if plan.sources_dial {
            let new = Source::new(plan, &self.context, book, place).await;
            let old = std::mem::replace(&mut self.sources[place], new);
            self.endings.push(old.end(plan.chance.bool()));
        } else {
            // Its address must be free before another takes it.
            let old = self.sources.remove(place).end(false);
            self.endings.push(old);
            self.settle("its place is free", |world| {
                world.endings.last().expect("it ends").is_over()
            })
            .await;
            let new = Source::new(&self.plan, &self.context, &mut self.book, place).await;
            self.sources.insert(place, new);
        }
        self.ends += 1;
    }

    async fn replace_sink(&mut self, place: usize) {
        let old = self.sinks.remove(place);
        self.received_octets += old.close(&self.book).await;
        let new = Sink::new(&self.plan, &self.context, &mut self.book, place).await;
        self.sinks.insert(place, new);
        self.ends += 1;
    }

    fn receive(&mut self) {
        for sink in &mut self.sinks {
            sink.take(&mut self.plan, &mut self.book, usize::MAX);
        }
        for source in &mut self.sources {
            source.take(&mut self.book);
        }
    }

    async fn receive_for(&mut self, time: Duration) {
        let end = Instant::now() + time;
        while Instant::now() < end {
            self.receive();
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Receives until this is so.
    async fn settle(&mut self, what: &str, is_so: impl Fn(&Self) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            self.receive();
            if Instant::now() > end {
                let sources: Vec<_> = self.sources.iter().map(Source::state).collect();
                let endings: Vec<_> = self.endings.iter().map(Ending::state).collect();
                panic!("not so: {what}: {:?}\n{sources:#?}\n{endings:#?}", self.plan);
            }
            sleep(Duration::from_millis(50)).await;
        }
    }

    /// Whether no message waits any more.
    fn is_idle(&self) -> bool {
        self.sources.iter().all(Source::is_idle) && self.endings.iter().all(Ending::is_over)
    }

    fn is_met(&self) -> bool {
        self.sources.iter().all(Source::has_peer)
    }

    /// Checks that a message which is sent now is accepted and arrives.
    async fn expect_delivery(&mut self) {
        let mut names: Vec<Name> = Vec::new();
        for source in &mut self.sources {
            for _ in 0..2 * self.plan.sinks {
                names.push(source.send_surely(&mut self.plan, &mut self.book));
            }
        }
        self.settle("what is sent now comes", |world| world.book.have_come(&names)).await;
        self.settle("nothing waits", Self::is_idle).await;
    }

    async fn end(mut self) {
        let (mut accepted, mut came, mut sent_octets) = (0, 0, 0);
        let last: Vec<_> = self.sources.drain(..).map(|source| source.end(false)).collect();
        let count = last.len();
        self.endings.extend(last);
        self.settle("they end", |world| world.endings.iter().all(Ending::is_over)).await;
        let endings = std::mem::take(&mut self.endings);
        let first_last = endings.len() - count;
        for (number, ending) in endings.into_iter().enumerate() {
            let checked: Checked = ending.check(&mut self.book).await;
            assert!(number < first_last || checked.unsent == 0, "all was well: {:?}", self.plan);
            accepted += checked.accepted;
            came += checked.came;
            sent_octets += checked.sent_octets;
        }
        for sink in self.sinks {
            self.received_octets += sink.close(&self.book).await;
        }
        if !self.plan.trouble.is_wild {
            // The messages in a link when it was cut are lost, and no others.
            let peers = (self.plan.sources * self.plan.sinks) as u64;
            let longest = if self.plan.has_large { LARGE } else { self.plan.longest };
            let held = (self.plan.trouble.room + longest + 100) as u64;
            let most = self.ends * peers * held;
            let lost = sent_octets - self.received_octets;
            // Messages to a peer that refuses us are lost, too: it does so after the handshake.
            let is_refused = F::IS_EXCLUSIVE || self.plan.named;
            assert!(
                self.is_slow || is_refused || lost <= most,
                "{lost} octets lost, of {most}: {:?}",
                self.plan
            );
            if self.ends == 0 {
                assert_eq!(accepted, came, "{:?}", self.plan);
            }
        }
    }
}
