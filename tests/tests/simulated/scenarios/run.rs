//! One scenario: a fault at a stage of a connection, after which everything must work again.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use zmtp_tests::network::{Fault, Progress, Spot, Struck, Way, When};

use super::plan::{Kind, LINGER, Plan, Stage, pick};
use super::world::{World, settle};

/// Longer than it takes to reach any stage.
const PATIENCE: Duration = Duration::from_secs(60);

/// Longer than a fault that ends, and than its consequences.
const FAULT: Duration = Duration::from_secs(30);

/// How long a connection that has ended waits for the other side to close, and timers' steps.
const PARTING: Duration = Duration::from_millis(1002);

/// The outcome of a scenario.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) kind: Kind,
    pub(super) stage: Stage,
    pub(super) judged: bool,
    pub(super) taken_back: bool,
    pub(super) connections: u64,
    pub(super) received: u64,
}

pub(super) async fn run(seed: u64) -> Outcome {
    let mut plan = Plan::new(seed);
    let mut world = World::new(&plan, seed).await;
    let fault = plan.fault();
    let (outlives, kills) = (plan.outlives(&fault), plan.kills(&fault));
    match plan.stage {
        Stage::Dialling => dialling(&mut plan, &mut world, fault).await,
        Stage::Greeting | Stage::Handshake | Stage::Subscriptions => {
            opening(&mut plan, &mut world, fault).await;
        }
        Stage::Idle => idle(&mut plan, &mut world, fault).await,
        Stage::Message => in_message(&mut plan, &mut world, fault).await,
        Stage::Paused => paused(&mut plan, &mut world, fault).await,
        Stage::Waiting => waiting(&mut plan, &mut world, fault, outlives).await,
        Stage::Closing => closing(&mut plan, &mut world, fault, outlives).await,
    }
    if !outlives {
        world.inbound.ledger.write_off();
    }
    if kills {
        world.view.doom();
    }
    world.inbound.change(&plan);
    world.send_any(&mut plan).await;
    if plan.chance.bool() {
        // No message is received meanwhile: those of a new connection find the queue as the old one has
        // left it.
        sleep(Duration::from_millis(plan.chance.u64(0..3000))).await;
        world.send_any(&mut plan).await;
        settle().await;
    }
    if !outlives && !kills {
        // The connection may survive it or not; then the fault ends.
        world.inbound.receive_for(FAULT).await;
        world.network.heal();
    }
    world.agree().await;
    world.expect_delivery(&mut plan).await;

    world.view.look();
    if outlives && plan.stage != Stage::Closing {
        let met = &world.view.met;
        assert_eq!((met.handshakes, met.lost, met.failed_handshakes), (1, 0, 0), "{met:?}");
    }
    assert_eq!(world.network.refusals_to_come(), 0, "it was dialled until nobody refused");
    let outcome = Outcome {
        kind: plan.kind,
        stage: plan.stage,
        judged: plan.judges(),
        taken_back: plan.stage == Stage::Waiting && plan.takes_back,
        connections: world.view.met.handshakes,
        received: world.inbound.ledger.received(),
    };
    world.end().await;
    outcome
}

async fn dialling(plan: &mut Plan, world: &mut World, fault: Fault) {
    let network = world.network.clone();
    match plan.kind {
        Kind::Delay => {
            network.delay_next(Duration::from_millis(plan.chance.u64(1..5000)));
            network.arm_next(When::Made, fault);
        }
        Kind::Stall => network.delay_next(plan.stall()),
        Kind::Refuse => network.refuse_next(&plan.refusals()),
        Kind::HalfOpen if plan.chance.bool() => network.delay_next(Duration::MAX),
        Kind::HalfOpen | Kind::Fragment | Kind::Cut => network.arm_next(When::Made, fault),
    }
    world.dial(plan);
    let struck = until_struck(world).await;
    assert_eq!(struck.on(Way::Out).octets() + struck.on(Way::Back).octets(), 0);
    assert_eq!(network.attempts().len(), 1);
}

async fn opening(plan: &mut Plan, world: &mut World, fault: Fault) {
    let chance = &mut plan.chance;
    let (way, spot) = match plan.stage {
        Stage::Greeting => (pick(chance, Way::BOTH), Spot::Octet(chance.u64(1..64))),
        // READY has 27 octets, WELCOME has 10.
        Stage::Handshake => (pick(chance, Way::BOTH), Spot::Octet(64 + chance.u64(0..10))),
        _ => {
            let octets = plan.subscriptions_octets();
            (plan.upstream(), Spot::Traffic(plan.chance.u64(1..octets)))
        }
    };
    world.network.arm_next(When::At(way, spot), fault);
    world.dial(plan);
    let progress: Progress = until_struck(world).await.on(way);
    let reached = match plan.stage {
        Stage::Greeting => progress.in_greeting().is_some_and(|octets| octets > 0),
        Stage::Handshake => progress.is_in_handshake(),
        _ => (1..plan.subscriptions_octets()).contains(&progress.in_traffic().unwrap_or(0)),
    };
    assert!(reached, "{:?} not reached: {progress:?}", plan.stage);
    assert_eq!(world.network.attempts().len(), 1);
}

async fn idle(plan: &mut Plan, world: &mut World, fault: Fault) {
    connect(plan, world).await;
    world.send_some(plan, 1).await;
    world.inbound.receive_due().await;
    let network = world.network.clone();
    let quiet = async || {
        while !network.is_quiet() {
            settle().await;
        }
    };
    world.inbound.receive_until(quiet()).await.expect("it is quiet");
    // Messages that have arrived need not have been received.
    for _ in 0..plan.chance.usize(..plan.receive_hwm) {
        world.send_some(plan, 1).await;
        settle().await;
    }
    timeout(PATIENCE, quiet()).await.expect("it is quiet");
    world.network.strike(&fault);
    let struck = world.network.until_struck().await;
    for way in Way::BOTH {
        assert!(struck.on(*way).is_between_frames(), "{struck:?}");
    }
}

async fn in_message(plan: &mut Plan, world: &mut World, fault: Fault) {
    connect(plan, world).await;
    let count = plan.messages;
    let spot =
        Spot::Message { whole: plan.chance.u64(..count as u64), octets: plan.chance.u64(..10_000) };
    let way = plan.upstream().opposite();
    world.network.arm(way, spot, &fault);
    world.send_some(plan, count).await;
    let progress = until_struck(world).await.on(way);
    assert!(progress.is_in_message(), "{progress:?}");
}

async fn paused(plan: &mut Plan, world: &mut World, fault: Fault) {
    fill(plan, world).await;
    world.network.strike(&fault);
}

/// A sender waits for a subscriber that does not receive, and that may end its subscription.
async fn waiting(plan: &mut Plan, world: &mut World, fault: Fault, outlives: bool) {
    connect(plan, world).await;
    while world.try_send_some(plan) {
        settle().await;
    }
    assert_eq!(world.inbound.client.stats().queued, plan.receive_hwm as u64, "the queue is full");
    let topic = plan.some_of(&world.inbound.wanted);
    let sending = world.send_in_background(plan, &topic, outlives && !plan.takes_back);
    settle().await;
    assert!(!sending.is_finished(), "it waits");
    world.network.strike(&fault);
    let sent = if plan.takes_back {
        world.inbound.take_back(plan, &topic);
        // No message is received: it must be enough that no subscriber wants this one any more.
        timeout(FAULT, sending).await.ok()
    } else {
        world.inbound.receive_until(sending).await
    };
    sent.expect("the sender goes on").unwrap().unwrap();
}

/// The publisher closes while it has messages to deliver; then another one takes its place.
async fn closing(plan: &mut Plan, world: &mut World, fault: Fault, outlives: bool) {
    fill(plan, world).await;
    let server = world.server.handle();
    let closing = tokio::spawn(async move { server.close().await });
    settle().await;
    assert!(!closing.is_finished(), "it lingers");
    world.network.strike(&fault);
    let begun = Instant::now();
    let undelivered = world.inbound.receive_until(closing).await.expect("it ends").unwrap();
    assert!(begun.elapsed() <= LINGER + PARTING, "{:?}", begun.elapsed());
    if outlives {
        assert_eq!(undelivered.unsent, 0);
        world.inbound.receive_due().await;
    }
    world.view.look();
    world.replace_server(plan).await;
}

async fn connect(plan: &Plan, world: &mut World) {
    world.dial(plan);
    world.agree().await;
}

/// Sends more than the subscriber's queue and the buffers on the way there can hold.
async fn fill(plan: &mut Plan, world: &mut World) {
    connect(plan, world).await;
    let before = world.inbound.client.stats().received;
    while world.server.stats().queued == 0 {
        world.send_some(plan, 20).await;
        settle().await;
    }
    let stats = world.inbound.client.stats();
    assert_eq!(stats.queued, plan.receive_hwm as u64, "the receiver's queue is full");
    assert_eq!(stats.received - before, stats.queued, "and takes no more");
}

/// Receives until the fault has occurred.
async fn until_struck(world: &mut World) -> Struck {
    let network = world.network.clone();
    let struck = timeout(PATIENCE, world.inbound.receive_until(network.until_struck())).await;
    struck.ok().flatten().expect("the fault hits")
}
