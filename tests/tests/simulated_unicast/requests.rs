//! Requests and their replies: each reply belongs to its request, and none is awaited for ever.

use std::collections::HashMap;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::task::{self, Waker};
use std::time::Duration;

use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};
use zmtp_socket::kind::{Kind, Rep};
use zmtp_socket::{
    Closed, Context, Handle, HighWaterMark, Linger, Options, RepOptions, RepSocket, ReqOptions,
    ReqSocket, RequestError, SendError, WhenFull,
};
use zmtp_tests::network::FaultyNetwork;
use zmtp_tests::seed;

use crate::book::{Name, body_of, name_of};
use crate::run_all;
use crate::sinks::redial;
use crate::trouble::{MENDING, SECOND, Trouble, heal, pick, strike};

#[test]
fn each_request_gets_its_own_reply_or_fails() {
    run_all(run);
}

#[test]
fn a_request_whose_time_is_over_is_sent_again_to_the_only_server() {
    for clients_dial in [true, false] {
        seed::run(1, async |seed| {
            let context = Context::simulated(FaultyNetwork::healthy(seed), seed);
            let mut client =
                context.socket(ReqOptions::new().request_timeout(60 * SECOND).retries(1));
            let mut server = context.socket(RepOptions::new());
            if clients_dial {
                server.bind("mem://place").await.expect("the place is free");
                client.connect("mem://place").expect("good options");
            } else {
                client.bind("mem://place").await.expect("the place is free");
                server.connect("mem://place").expect("good options");
            }
            let serving = tokio::spawn(async move {
                drop(server.recv().await.expect("the first request"));
                let (_request, reply) = server.recv().await.expect("the second one");
                reply.send("reply").await.expect("it is open");
                server.close().await;
            });
            assert_eq!(client.request("?").await.expect("a reply").first(), "reply");
            serving.await.expect("it does not panic");
            client.close().await;
        });
    }
}

#[test]
fn a_request_that_waits_for_an_endpoint_is_lost_with_the_endpoint() {
    seed::run(1, async |seed| {
        let context = Context::simulated(FaultyNetwork::healthy(seed), seed);
        let mut client = context.socket(ReqOptions::new());
        client.connect("mem://nobody").expect("good options");
        let handle = client.handle();
        let asking = tokio::spawn(async move { (client.request("?").await, client) });
        sleep(SECOND).await;
        assert_eq!(handle.stats().queued, 1);
        handle.disconnect("mem://nobody").await.expect("it is connected");
        let (asked, client) = timeout(SECOND, asking).await.expect("it ends").expect("no panic");
        assert_eq!(asked, Err(RequestError::Lost));
        assert_eq!((handle.stats().queued, handle.stats().undelivered), (0, 1));
        client.close().await;
    });
}

#[test]
fn a_request_that_is_given_up_before_it_is_sent_makes_room_for_the_next() {
    seed::run(1, async |seed| {
        let context = Context::simulated(FaultyNetwork::healthy(seed), seed);
        let one = HighWaterMark::messages(1);
        let mut client = context.socket(ReqOptions::new().send_hwm(one).correlate(true));
        let mut server = context.socket(RepOptions::new());
        server.bind("mem://place").await.expect("the place is free");
        client.connect("mem://place").expect("good options");
        client.wait_for_peer().await.expect("it is open");
        {
            let asking = pin!(client.request("1"));
            assert!(asking.poll(&mut task::Context::from_waker(Waker::noop())).is_pending());
        }
        let serving = tokio::spawn(async move {
            let (request, reply) = server.recv().await.expect("a request");
            reply.send(request).await.expect("it is open");
            server.close().await;
        });
        let asked = timeout(SECOND, client.request("2")).await.expect("there is room");
        assert_eq!(asked.expect("a reply").first(), "2");
        serving.await.expect("it does not panic");
        client.close().await;
    });
}

#[test]
fn a_reply_that_nobody_took_is_not_that_of_another_server() {
    seed::run(1, async |seed| {
        let context = Context::simulated(FaultyNetwork::healthy(seed), seed);
        let mut client = context.socket(ReqOptions::new());
        let mut servers = Vec::new();
        for place in 0..2 {
            let mut server = context.socket(RepOptions::new());
            server.bind(server_place(place)).await.expect("the place is free");
            client.connect(server_place(place)).expect("good options");
            servers.push(server.handle());
            tokio::spawn(async move {
                while let Ok((request, reply)) = server.recv().await {
                    sleep(SECOND).await;
                    reply.send(request).await.expect("it is open");
                }
            });
        }
        for call in 0..4_u8 {
            {
                let mut asking = pin!(client.request(vec![call]));
                let cx = &mut task::Context::from_waker(Waker::noop());
                assert!(asking.as_mut().poll(cx).is_pending());
                sleep(2 * SECOND).await;
            }
            let body = [call, call];
            assert_eq!(client.request(&body).await.expect("a reply").first(), &body[..]);
        }
        client.close().await;
        for server in servers {
            server.close().await;
        }
    });
}

/// Longer than any step takes that does not hang.
const PATIENCE: Duration = Duration::from_secs(1200);

/// The plan of a scenario.
#[derive(Clone, Debug)]
struct Plan {
    trouble: Trouble,
    clients: usize,
    servers: usize,
    clients_dial: bool,
    timeout: Option<Duration>,
    retries: u32,
    correlate: bool,
    immediate: bool,
    /// Whether servers leave requests unanswered.
    ignores: bool,
    /// Whether clients give requests up.
    gives_up: bool,
    when_full: WhenFull,
    hwm: usize,
    slowest: u64,
    calls: u64,
    steps: usize,
    longest: usize,
}

impl Plan {
    fn new(chance: &mut fastrand::Rng) -> Self {
        let timeout = pick(chance, &[None, Some(50), Some(1000), Some(20_000)]);
        let gives_up = chance.bool();
        // Without a timeout, a client would wait for ever for a dropped reply.
        let may_lose = timeout.is_some();
        Self {
            trouble: Trouble::draw(chance),
            clients: chance.usize(1..4),
            servers: chance.usize(1..4),
            clients_dial: chance.bool(),
            timeout: timeout.map(Duration::from_millis),
            retries: pick(chance, &[0, 1, 3]),
            correlate: chance.bool(),
            immediate: chance.u8(0..3) == 0,
            ignores: may_lose && chance.bool(),
            gives_up,
            when_full: match may_lose {
                true => {
                    pick(chance, &[WhenFull::DropNew, WhenFull::Wait, WhenFull::WaitFor(SECOND)])
                }
                false => WhenFull::Wait,
            },
            hwm: pick(chance, &[1, 2, 1000]),
            slowest: pick(chance, &[1, 100, 3000]),
            calls: chance.u64(3..30),
            steps: chance.usize(3..20),
            longest: pick(chance, &[1, 100, 3000]),
        }
    }

    fn shared<T: Kind>(&self, options: Options<T>, linger: Linger) -> Options<T> {
        self.trouble.known_to(options).linger(linger)
    }

    fn client(&self) -> ReqOptions {
        let options = self
            .shared(ReqOptions::new(), Linger::For(SECOND))
            .retries(self.retries)
            .correlate(self.correlate)
            .send_hwm(HighWaterMark::messages(self.hwm))
            .immediate(self.immediate);
        match self.timeout {
            Some(time) => options.request_timeout(time),
            None => options,
        }
    }

    fn server(&self) -> RepOptions {
        self.shared(RepOptions::new(), Linger::For(SECOND))
            .receive_hwm(HighWaterMark::messages(self.hwm))
            .send_hwm(HighWaterMark::messages(self.hwm))
            .when_full(self.when_full)
    }
}

/// How often each request has arrived.
type Served = Arc<Mutex<HashMap<Name, u32>>>;

/// The state that all servers and clients share.
#[derive(Clone)]
struct World {
    plan: Plan,
    context: Context,
    served: Served,
    /// Whether the trouble is over: then servers answer every request at once.
    is_well: watch::Receiver<bool>,
}

async fn run(seed: u64) {
    let mut chance = fastrand::Rng::with_seed(seed);
    let plan = Plan::new(&mut chance);
    let network = plan.trouble.network(seed);
    let context = Context::simulated(network.clone(), seed);
    let (well, is_well) = watch::channel(false);
    let world = World { plan: plan.clone(), context, served: Served::default(), is_well };
    let mut servers = Vec::new();
    for place in 0..plan.servers {
        servers.push(Server::new(&world, place, chance.fork()).await);
    }
    let mut clients = JoinSet::new();
    let mut handles = Vec::new();
    for place in 0..plan.clients {
        let client = world.context.socket(plan.client());
        if plan.clients_dial {
            for place in 0..plan.servers {
                client.connect(server_place(place)).expect("good options");
            }
        } else {
            client.bind(client_place(place)).await.expect("the place is free");
        }
        handles.push(client.handle());
        clients.spawn(ask(world.clone(), client, place as u64, chance.fork()));
    }
    for _ in 0..plan.steps {
        sleep(Duration::from_millis(pick(&mut chance, &[1, 30, 500, 5000]))).await;
        let place = chance.usize(..plan.servers);
        match chance.u8(0..8) {
            0 => {
                servers.remove(place).end().await;
                servers.insert(place, Server::new(&world, place, chance.fork()).await);
            }
            1 if plan.clients_dial => {
                redial(&handles[chance.usize(..plan.clients)], &server_place(place)).await;
            }
            1 => {
                let endpoint = client_place(chance.usize(..plan.clients));
                redial(&servers[place].handle, &endpoint).await;
            }
            _ => _ = strike(&network, &mut chance),
        }
    }
    heal(&network);
    sleep(MENDING).await;
    well.send_replace(true);
    let asked = timeout(PATIENCE, clients.join_all()).await;
    let asked = asked.unwrap_or_else(|_| panic!("somebody waits for ever: {plan:?}"));
    for server in servers {
        server.end().await;
    }
    let served = world.served.lock().expect("nobody has panicked");
    let total: u64 = served.values().map(|count| u64::from(*count)).sum();
    assert!(total <= asked.iter().sum(), "{plan:?}");
    assert!(served.values().all(|count| *count <= 1 + plan.retries), "{plan:?}");
}

/// Makes requests, and checks that each gets its own reply. Returns the number of sent requests.
async fn ask(world: World, mut client: ReqSocket, number: u64, mut chance: fastrand::Rng) -> u64 {
    let World { plan, mut is_well, .. } = world;
    let mut calls = 0;
    while calls < plan.calls {
        let gives_up = plan.gives_up && chance.u8(0..3) == 0;
        let patience = Duration::from_millis(pick(&mut chance, &[0, 1, 100, 5000]));
        let asked = request(&mut client, &plan, (number, calls), &mut chance);
        if gives_up {
            // A request may be given up even if its reply is there.
            tokio::select! {
                biased;
                () = sleep(patience) => {}
                _ = asked => {}
            }
        } else {
            asked.await;
        }
        calls += 1;
        sleep(Duration::from_millis(pick(&mut chance, &[0, 0, 10, 2000]))).await;
    }
    is_well.wait_for(|is_well| *is_well).await.expect("it will be");
    // A connection may have to be made first.
    let first = calls;
    while !request(&mut client, &plan, (number, calls), &mut chance).await {
        sleep(SECOND).await;
        calls += 1;
        assert!(calls < first + 60, "no reply: {:?} of {plan:?}", client.stats());
    }
    assert!(request(&mut client, &plan, (number, calls + 1), &mut chance).await, "{plan:?}");
    calls += 2;

    let handle = client.handle();
    client.close().await;
    let stats = handle.stats();
    assert_eq!(stats.queued, 0, "{stats:?}");
    let counted = stats.sent + stats.dropped + stats.undelivered;
    assert!(counted <= calls * u64::from(1 + plan.retries), "{stats:?} after {calls} calls");
    stats.sent
}

/// Makes one request. Returns whether it was answered.
async fn request(
    client: &mut ReqSocket,
    plan: &Plan,
    name: Name,
    chance: &mut fastrand::Rng,
) -> bool {
    match client.request(body_of(name, chance.usize(..plan.longest))).await {
        Ok(reply) => {
            assert_eq!(name_of(&reply), name, "the reply to another request: {plan:?}");
            true
        }
        Err(RequestError::TimedOut) => {
            assert!(plan.timeout.is_some());
            false
        }
        Err(RequestError::Lost) => false,
        Err(error) => panic!("{error}"),
    }
}

/// A server that answers until it is closed.
struct Server {
    handle: Handle<Rep>,
    /// Returns the number of accepted replies, and the closed socket.
    task: JoinHandle<(u64, RepSocket)>,
}

impl Server {
    async fn new(world: &World, place: usize, chance: fastrand::Rng) -> Self {
        let socket = world.context.socket(world.plan.server());
        if world.plan.clients_dial {
            socket.bind(server_place(place)).await.expect("the place is free");
        } else {
            for place in 0..world.plan.clients {
                socket.connect(client_place(place)).expect("good options");
            }
        }
        let handle = socket.handle();
        Self { handle, task: tokio::spawn(serve(world.clone(), socket, chance)) }
    }

    async fn end(self) {
        self.handle.close().await;
        let (accepted, mut socket) = self.task.await.expect("it does not panic");
        // While the last replies were sent, other requests may have come.
        while socket.try_recv().is_ok() {}
        let stats = self.handle.stats();
        let counted = stats.sent + stats.dropped + stats.undelivered;
        assert_eq!((counted, stats.queued), (accepted, 0), "{stats:?}");
    }
}

/// Answers each request when its time has come, in any order, or not at all.
async fn serve(world: World, mut socket: RepSocket, mut chance: fastrand::Rng) -> (u64, RepSocket) {
    let World { plan, served, is_well, .. } = world;
    let mut replies = JoinSet::new();
    while let Ok((request, reply)) = socket.recv().await {
        let name = name_of(&request);
        *served.lock().expect("nobody has panicked").entry(name).or_default() += 1;
        let is_well = *is_well.borrow();
        if plan.ignores && !is_well && chance.u8(0..4) == 0 {
            continue;
        }
        let time = if is_well { 0 } else { chance.u64(..plan.slowest) };
        let answer = body_of(name, chance.usize(..plan.longest));
        replies.spawn(async move {
            sleep(Duration::from_millis(time)).await;
            match reply.send(answer).await {
                Ok(()) => 1,
                Err(error) => {
                    let is_expected = [SendError::Full, Closed.into()].contains(&error);
                    assert!(is_expected, "{error}");
                    0
                }
            }
        });
    }
    (replies.join_all().await.iter().sum(), socket)
}

fn server_place(place: usize) -> String {
    format!("mem://server-{place}")
}

fn client_place(place: usize) -> String {
    format!("mem://client-{place}")
}
