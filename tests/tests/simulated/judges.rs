//! Judges that think for long, deny, break down, or are asked about credentials that change meanwhile.
//! Each failed attempt must have its reason reported, the newcomer must be let in in the end, and a
//! neighbour must not be delayed. `ZMTP_SCENARIOS` sets the number of scenarios of each test,
//! `ZMTP_SEED=17` runs one.

use std::collections::{BTreeMap, VecDeque};
use std::panic::resume_unwind;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{Notify, oneshot};
use tokio::time::{sleep, timeout};
use zmtp_socket::{
    Allowed, AuthRequest, Context, Credentials, Denial, Endpoint, EndpointOptions, Event, Monitor,
    PubHandle, PubOptions, PubSocket, SubHandle, SubOptions, SubSocket, Verdict,
};
use zmtp_tests::network::{FaultyNetwork, Manner};

use crate::steps::{SECOND, TICK};
use zmtp_tests::seed;

const SCENARIOS: u64 = 60;

const SERVER: &str = "mem://server";

const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Longer than all attempts together, and the pauses between them.
const PATIENCE: Duration = Duration::from_secs(120);

/// How often the neighbour is sent a message.
const BEAT: Duration = Duration::from_millis(300);

#[test]
fn while_a_judge_thinks_or_denies_nobody_else_waits_and_the_newcomer_comes_again() {
    use Trouble::{Late, Leaves, NotNow, Refused, Slow};
    run_all(&[Slow, Late, NotNow, Refused, Leaves]);
}

#[test]
fn a_judge_that_panics_is_the_reason_for_one_failed_attempt_and_no_more() {
    run_all(&[Trouble::Panics, Trouble::PanicsLater]);
}

#[test]
fn credentials_given_while_others_are_judged_are_those_of_the_next_attempt() {
    run_all(&[Trouble::Corrected]);
}

#[test]
fn whatever_befalls_its_judges_a_newcomer_that_may_come_in_comes_in() {
    run_all(&Trouble::ALL);
}

/// The attempt takes seconds, and the credentials may change at each moment of it.
#[test]
fn credentials_given_at_any_moment_of_an_attempt_let_the_newcomer_in() {
    const STEP: Duration = Duration::from_millis(150);

    let moments = seed::asked_for().map_or(0..80, |moment| moment..moment + 1);
    for moment in moments {
        seed::run(moment, async |seed| {
            let network = FaultyNetwork::healthy(seed);
            network.shape(64 << 10, Manner { fragment: 12, delay: SECOND });
            network.delay_next(SECOND);
            let context = Context::simulated(network, seed);
            let options = PubOptions::new().plain_server_with(|credentials| {
                matches!(credentials, Credentials::Plain { password, .. } if password == "right")
            });
            let server = context.pub_socket(options);
            server.bind(SERVER).await.unwrap();
            let client = context.sub_socket(SubOptions::new().plain_client("newcomer", "wrong"));
            client.subscribe("");
            client.connect(SERVER).unwrap();
            sleep(STEP * moment as u32).await;
            let right = |options: EndpointOptions| options.plain_client("newcomer", "right");
            client.connect_with(SERVER, right).unwrap();
            let let_in = timeout(PATIENCE, server.wait_for_subscriber("")).await;
            let_in.expect("it is let in").unwrap();
            client.close().await;
            server.close().await;
        });
    }
}

/// The trouble of one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Trouble {
    /// The judge thinks for long, and lets the newcomer in. This is no failure.
    Slow,
    /// The judge thinks for longer than a handshake may last.
    Late,
    /// The judge answers 300: the newcomer may try again.
    NotNow,
    /// The judge answers 400. Then the newcomer calls `connect` again.
    Refused,
    /// The newcomer disconnects while the judge thinks, and connects again.
    Leaves,
    /// The judge panics when it is asked, or later.
    Panics,
    PanicsLater,
    /// The newcomer is given the right credentials while the judge thinks about the wrong ones.
    Corrected,
}

impl Trouble {
    const ALL: [Self; 8] = [
        Self::Slow,
        Self::Late,
        Self::NotNow,
        Self::Refused,
        Self::Leaves,
        Self::Panics,
        Self::PanicsLater,
        Self::Corrected,
    ];

    /// Whether the newcomer takes part in it.
    fn is_newcomers(self) -> bool {
        matches!(self, Self::Leaves | Self::Corrected)
    }

    /// Whether it can occur only once for a newcomer.
    fn is_single(self) -> bool {
        matches!(self, Self::Slow | Self::Corrected)
    }

    /// Whether it can occur when the publisher dials, and judges the peers that it reaches: it cannot
    /// ask a peer to try again.
    fn befalls_diallers(self) -> bool {
        !matches!(self, Self::Refused | Self::Leaves | Self::Corrected)
    }
}

#[derive(Debug)]
struct Plan {
    publisher_dials: bool,
    /// The troubles of the attempts, in order.
    troubles: Vec<Trouble>,
    /// How long a judge thinks if it is not late.
    thinks: Duration,
    fragment: usize,
}

impl Plan {
    fn new(seed: u64, troubles: &[Trouble]) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        // Each trouble has its turn, and others come with it.
        let one = troubles[seed as usize % troubles.len()];
        let publisher_dials = chance.bool() && one.befalls_diallers();
        let mut all = vec![one];
        for _ in 0..chance.usize(0..3) {
            let other = troubles[chance.usize(..troubles.len())];
            // Some troubles can occur only once.
            let is_possible = other.befalls_diallers() || !publisher_dials;
            if is_possible && !(other.is_single() && all.contains(&other)) {
                all.push(other);
            }
        }
        chance.shuffle(&mut all);
        // An attempt that succeeds is the last one.
        all.sort_by_key(|trouble| *trouble == Trouble::Slow);
        let thinks = Duration::from_millis(chance.u64(1..8000));
        let fragment = [3, 50, usize::MAX][chance.usize(..3)];
        Self { publisher_dials, troubles: all, thinks, fragment }
    }

    /// The number of attempts that must fail.
    fn failures(&self) -> usize {
        self.troubles.iter().filter(|trouble| **trouble != Trouble::Slow).count()
    }
}

fn run_all(troubles: &[Trouble]) {
    if let Some(seed) = seed::asked_for() {
        println!("{:?}", Plan::new(seed, troubles));
        seed::run(seed, async |seed| run(&Plan::new(seed, troubles), seed).await);
        return;
    }
    let mut counts: BTreeMap<Trouble, [u64; 2]> = BTreeMap::new();
    let count = seed::number("ZMTP_SCENARIOS").unwrap_or(SCENARIOS);
    for seed in 0..count {
        let plan = Plan::new(seed, troubles);
        seed::run(seed, async |seed| run(&plan, seed).await);
        for trouble in &plan.troubles {
            counts.entry(*trouble).or_default()[usize::from(plan.publisher_dials)] += 1;
        }
    }
    println!("{:14}{:>12}{:>12}", "publisher", "listens", "dials");
    for trouble in troubles {
        let [listens, dials] = counts.get(trouble).copied().unwrap_or_default();
        println!("{:14}{listens:>12}{dials:>12}", format!("{trouble:?}"));
        assert!(listens > 0, "{trouble:?} has befallen nobody");
        assert!(dials > 0 || !trouble.befalls_diallers(), "{trouble:?} has befallen no dialler");
    }
}

async fn run(plan: &Plan, seed: u64) {
    let network = FaultyNetwork::healthy(seed);
    network.shape(64 << 10, Manner { fragment: plan.fragment, ..Manner::SMOOTH });
    let context = Context::simulated(network, seed);
    let bench = Bench::new(plan);
    let server = bench.publisher(plan, &context).await;
    let mut there = server.monitor();

    let neighbour = met(plan, &context, &server, "neighbour").await;
    server.wait_for_subscriber("neighbour").await.unwrap();
    let (stop, stopped) = oneshot::channel();
    let neighbour = tokio::spawn(keep_up(server.handle(), neighbour, stopped));

    let mut newcomer = met(plan, &context, &server, "newcomer").await;
    let helper = tokio::spawn(bench.clone().help(plan.troubles.clone(), newcomer.handle()));
    let let_in = timeout(PATIENCE, server.wait_for_subscriber("newcomer")).await;
    let_in.unwrap_or_else(|_| panic!("it is let in: {plan:?}")).unwrap();
    server.send("newcomer").await.unwrap();
    let message = timeout(SECOND, newcomer.recv()).await.expect("it is served").unwrap();
    assert_eq!(message.first(), "newcomer");

    // By then all failed attempts have ended, each with a reason.
    sleep(HANDSHAKE_TIMEOUT + SECOND * 2).await;
    let failures = failures(&mut there);
    assert_eq!(failures.len(), plan.failures(), "{failures:?} of {plan:?}");
    let corrected = plan.troubles.contains(&Trouble::Corrected);
    assert_eq!(bench.0.last_was_right.load(Ordering::Relaxed), corrected, "{plan:?}");
    assert_eq!(server.subscriber_count(), 2);

    helper.abort();
    stop.send(()).unwrap();
    let neighbour = neighbour.await.unwrap_or_else(|_| panic!("it has kept up: {plan:?}"));
    server.close().await;
    newcomer.close().await;
    neighbour.close().await;
}

/// A subscriber to the messages with its name; it and the publisher are about to connect.
async fn met(plan: &Plan, context: &Context, server: &PubSocket, name: &str) -> SubSocket {
    let options = SubOptions::new().handshake_timeout(HANDSHAKE_TIMEOUT);
    let client = context.sub_socket(match plan.publisher_dials {
        true => options,
        false => options.plain_client(name.to_owned(), "wrong"),
    });
    client.subscribe(name);
    if plan.publisher_dials {
        let endpoint = client.bind(format!("mem://{name}")).await.unwrap();
        server.connect(endpoint).unwrap();
    } else {
        client.connect(SERVER).unwrap();
    }
    client
}

/// Sends messages to the neighbour, each of which must arrive at once, until it is stopped.
async fn keep_up(
    server: PubHandle,
    mut neighbour: SubSocket,
    mut stopped: oneshot::Receiver<()>,
) -> SubSocket {
    for number in 0.. {
        if timeout(BEAT, &mut stopped).await.is_ok() {
            break;
        }
        let text = format!("neighbour {number}");
        server.send(&text).await.unwrap();
        let message = timeout(TICK, neighbour.recv()).await.expect("it comes at once").unwrap();
        assert_eq!(message.first(), text.as_str());
    }
    neighbour
}

/// The reasons why attempts failed.
fn failures(monitor: &mut Monitor) -> Vec<String> {
    let mut failures = Vec::new();
    while let Some(event) = monitor.try_next() {
        match event {
            Event::HandshakeFailed { reason, .. } => failures.push(reason.to_string()),
            Event::Disconnected { reason, .. } => panic!("somebody was lost: {reason}"),
            _ => {}
        }
    }
    assert_eq!(monitor.missed(), 0);
    failures
}

/// The judge of the newcomer.
#[derive(Clone)]
struct Bench(Arc<Shared>);

struct Shared {
    troubles: Mutex<VecDeque<Trouble>>,
    thinks: Duration,
    /// Notified when an attempt is judged in which the newcomer does something.
    begun: Notify,
    /// Whether the password was the right one when the newcomer was judged last.
    last_was_right: AtomicBool,
}

impl Bench {
    fn new(plan: &Plan) -> Self {
        Self(Arc::new(Shared {
            troubles: Mutex::new(plan.troubles.iter().copied().collect()),
            thinks: plan.thinks,
            begun: Notify::new(),
            last_was_right: AtomicBool::new(false),
        }))
    }

    /// A publisher that judges.
    async fn publisher(&self, plan: &Plan, context: &Context) -> PubSocket {
        let bench = self.clone();
        let options = PubOptions::new().handshake_timeout(HANDSHAKE_TIMEOUT);
        let options = options.authorize(move |claim| bench.judge(&claim));
        if plan.publisher_dials {
            return context.pub_socket(options);
        }
        let server = context.pub_socket(options.plain_server_with(|_| true));
        server.bind(SERVER).await.unwrap();
        server
    }

    fn judge(&self, claim: &AuthRequest) -> impl Future<Output = Verdict> + Send + use<> {
        let mut trouble = None;
        if !is_neighbour(claim) {
            trouble = self.0.troubles.lock().unwrap().pop_front();
            self.0.last_was_right.store(has_right_password(claim), Ordering::Relaxed);
        }
        if trouble == Some(Trouble::Panics) {
            break_down();
        }
        let shared = self.0.clone();
        async move {
            let Some(trouble) = trouble else { return Ok(Allowed::new()) };
            if trouble.is_newcomers() {
                shared.begun.notify_one();
            }
            sleep(if trouble == Trouble::Late {
                HANDSHAKE_TIMEOUT + SECOND
            } else {
                shared.thinks
            })
            .await;
            match trouble {
                Trouble::PanicsLater => break_down(),
                Trouble::NotNow => Err(Denial::temporary("not now")),
                Trouble::Refused => Err(Denial::refused("not like that")),
                Trouble::Corrected => Err(Denial::refused("not with this password")),
                _ => Ok(Allowed::new()),
            }
        }
    }

    /// Acts for the newcomer while it is judged, and connects it again each time it was refused for good
    /// reason.
    async fn help(self, troubles: Vec<Trouble>, newcomer: SubHandle) {
        let mut deeds = troubles.iter().filter(|trouble| trouble.is_newcomers());
        let mut refusals = troubles.iter().filter(|trouble| **trouble == Trouble::Refused);
        let mut events = newcomer.monitor();
        let connect = |password: &'static str| {
            let change = |options: EndpointOptions| options.plain_client("newcomer", password);
            newcomer.connect_with(SERVER, change).unwrap();
        };
        let mut password = "wrong";
        loop {
            tokio::select! {
                () = self.0.begun.notified() => {
                    if deeds.next() == Some(&Trouble::Corrected) {
                        password = "right";
                    } else {
                        let endpoint: Endpoint = SERVER.parse().unwrap();
                        newcomer.disconnect(&endpoint).await.unwrap();
                    }
                    connect(password);
                }
                event = events.next() => match event {
                    Some(Event::Parked { .. }) if refusals.next().is_some() => connect(password),
                    Some(_) => {}
                    None => return,
                }
            }
        }
    }
}

/// Panics without the hook that would print it.
fn break_down() -> ! {
    resume_unwind(Box::new("the judge has broken down"))
}

fn is_neighbour(claim: &AuthRequest) -> bool {
    match &claim.credentials {
        Credentials::Plain { username, .. } => username == "neighbour",
        _ => claim.peer.endpoint().to_string() == "mem://neighbour",
    }
}

fn has_right_password(claim: &AuthRequest) -> bool {
    matches!(&claim.credentials, Credentials::Plain { password, .. } if password == "right")
}
