//! Waits on virtual time: backing off, deadlines, and never giving up.

use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};
use zmtp_codec::{Error, Timeout};
use zmtp_socket::{Context, Event, Monitor, PubOptions, Reason, Reconnect, SubOptions};
use zmtp_tests::network::{FaultyNetwork, Way};

use crate::steps::{SECOND, TICK, bound, connected, event, receive, server_sees, wanted, world};

async fn retry(monitor: &mut Monitor) -> Duration {
    event(monitor, |event| match event {
        Event::RetryingIn { delay, .. } => Some(delay),
        _ => None,
    })
    .await
}

fn assert_within(delay: Duration, full: Duration) {
    assert!(delay >= full / 2 && delay <= full, "{delay:?} of {full:?}");
}

#[tokio::test(start_paused = true)]
async fn attempts_back_off_from_100_ms_to_5_s_and_are_made_when_announced() {
    let (network, context) = world();
    network.set_reachable(false);
    let client = context.sub_socket(SubOptions::new());
    let mut monitor = client.monitor();
    client.connect("mem://server").unwrap();
    let mut delays = Vec::new();
    for full in [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000] {
        let delay = retry(&mut monitor).await;
        assert_within(delay, Duration::from_millis(full));
        delays.push(delay);
    }
    let attempts = network.attempts();
    assert_eq!(attempts.len(), delays.len());
    for (made, delay) in attempts.windows(2).zip(&delays) {
        let waited = made[1] - made[0];
        assert!(waited >= *delay && waited <= *delay + TICK, "{waited:?} for {delay:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn all_chance_in_the_back_off_follows_from_the_seed() {
    let mut runs = Vec::new();
    for seed in [3, 3, 4] {
        let network = FaultyNetwork::healthy(1);
        network.set_reachable(false);
        let client = Context::simulated(network, seed).sub_socket(SubOptions::new());
        let mut monitor = client.monitor();
        client.connect("mem://server").unwrap();
        let mut delays = Vec::new();
        for _ in 0..8 {
            delays.push(retry(&mut monitor).await);
        }
        runs.push(delays);
    }
    assert_eq!(runs[0], runs[1]);
    assert_ne!(runs[0], runs[2]);
}

#[tokio::test(start_paused = true)]
async fn the_bounds_of_the_back_off_are_options() {
    let (network, context) = world();
    network.set_reachable(false);
    let reconnect = Reconnect::new(SECOND, SECOND * 60);
    let client = context.sub_socket(SubOptions::new().reconnect(reconnect));
    let mut monitor = client.monitor();
    client.connect("mem://server").unwrap();
    for full in [1, 2, 4, 8, 16, 32, 60, 60] {
        assert_within(retry(&mut monitor).await, SECOND * full);
    }
}

#[tokio::test(start_paused = true)]
async fn the_back_off_begins_again_once_traffic_has_flowed_and_not_before() {
    let (network, context) = world();
    let server = bound(&context, PubOptions::new()).await;
    network.set_reachable(false);
    let mut client = connected(&context, SubOptions::new());
    let mut monitor = client.monitor();
    for full in [100, 200, 400] {
        assert_within(retry(&mut monitor).await, Duration::from_millis(full));
    }
    network.set_reachable(true);
    wanted(&server).await;
    network.cut();
    // A handshake alone does not show that the connection works.
    assert_within(retry(&mut monitor).await, Duration::from_millis(800));

    server_sees(&server, 0).await;
    wanted(&server).await;
    server.send("traffic").await.unwrap();
    receive(&mut client).await;
    network.cut();
    assert_within(retry(&mut monitor).await, Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn the_back_off_begins_again_after_a_long_life_without_traffic() {
    let (network, context) = world();
    let server = bound(&context, PubOptions::new()).await;
    network.set_reachable(false);
    let client = connected(&context, SubOptions::new());
    let mut monitor = client.monitor();
    for _ in 0..4 {
        retry(&mut monitor).await;
    }
    network.set_reachable(true);
    wanted(&server).await;
    sleep(SECOND * 60).await;
    network.cut();
    assert_within(retry(&mut monitor).await, Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_handshake_that_is_not_over_in_time_is_given_up_and_tried_again() {
    for (option, time) in [(None, SECOND * 30), (Some(SECOND * 2), SECOND * 2)] {
        let (network, context) = world();
        let mut options = (PubOptions::new(), SubOptions::new());
        if let Some(time) = option {
            options = (options.0.handshake_timeout(time), options.1.handshake_timeout(time));
        }
        let server = bound(&context, options.0).await;
        network.silence(Some(Way::Out));
        let mut there = server.monitor();
        let client = connected(&context, options.1);
        let mut here = client.monitor();
        let begun = Instant::now();
        let failure = |event| match event {
            Event::HandshakeFailed { reason, .. } => Some(reason),
            _ => None,
        };
        let reason = event(&mut there, failure).await;
        assert!(
            matches!(reason, Reason::Protocol(Error::Timeout(Timeout::Handshake))),
            "the listener's reason: {reason}"
        );
        // We do not wait for a silent peer to close the connection.
        let waited = begun.elapsed();
        assert!(waited >= time && waited <= time + TICK, "{waited:?}");
        event(&mut here, failure).await;

        network.silence(None);
        timeout(SECOND * 60, server.wait_for_subscriber("")).await.expect("tried again").unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_name_that_becomes_reachable_after_an_hour_is_reached() {
    let (network, context) = world();
    network.set_reachable(false);
    let server = bound(&context, PubOptions::new()).await;
    let mut client = connected(&context, SubOptions::new());
    let receiving = tokio::spawn(async move { client.recv().await.unwrap() });
    sleep(SECOND * 3600).await;
    let attempts = network.attempts().len();
    assert!((720..=1450).contains(&attempts), "{attempts} attempts in an hour");
    network.set_reachable(true);
    timeout(SECOND * 5 + TICK, server.wait_for_subscriber("")).await.expect("in time").unwrap();
    server.send("at last").await.unwrap();
    assert_eq!(receiving.await.unwrap().first(), "at last");
}

#[tokio::test(start_paused = true)]
async fn a_name_is_looked_up_anew_for_every_attempt() {
    let (network, context) = world();
    let old = context.pub_socket(PubOptions::new());
    old.bind("mem://old").await.unwrap();
    network.move_to("server", "old");
    let mut client = connected(&context, SubOptions::new());
    wanted(&old).await;

    network.move_to("server", "new");
    old.close().await;
    let new = context.pub_socket(PubOptions::new());
    new.bind("mem://new").await.unwrap();
    timeout(SECOND * 10, new.wait_for_subscriber("")).await.expect("found again").unwrap();
    new.send("moved").await.unwrap();
    assert_eq!(receive(&mut client).await.first(), "moved");
}

#[tokio::test(start_paused = true)]
async fn who_was_refused_does_not_dial_again_until_told_to() {
    let (network, context) = world();
    let server = bound(&context, PubOptions::new().plain_server_with(|_| false)).await;
    let client = connected(&context, SubOptions::new().plain_client("a", "b"));
    let mut monitor = client.monitor();
    event(&mut monitor, |event| matches!(event, Event::Parked { .. }).then_some(())).await;
    sleep(SECOND * 3600).await;
    assert_eq!(network.attempts().len(), 1);
    client.connect("mem://server").unwrap();
    event(&mut monitor, |event| matches!(event, Event::Parked { .. }).then_some(())).await;
    sleep(SECOND * 3600).await;
    assert_eq!(network.attempts().len(), 2);
    assert_eq!(server.stats().peers, []);
}

#[tokio::test(start_paused = true)]
async fn to_connect_again_what_is_connected_changes_nothing() {
    let (network, context) = world();
    let server = bound(&context, PubOptions::new()).await;
    let mut client = connected(&context, SubOptions::new());
    let mut monitor = client.monitor();
    wanted(&server).await;
    client.connect("mem://server").unwrap();
    server.send("traffic").await.unwrap();
    receive(&mut client).await;
    network.cut();
    let delay = retry(&mut monitor).await;
    let lost = Instant::now();
    sleep(SECOND).await;
    let [_, again] = network.attempts()[..] else { panic!("two attempts: {network:?}") };
    assert!(again - lost >= delay, "{:?} instead of {delay:?}", again - lost);
}

#[tokio::test(start_paused = true)]
async fn to_connect_again_what_waits_for_its_next_attempt_dials_at_once() {
    let (network, context) = world();
    network.set_reachable(false);
    let server = bound(&context, PubOptions::new()).await;
    let client = connected(&context, SubOptions::new());
    let mut monitor = client.monitor();
    for _ in 0..8 {
        retry(&mut monitor).await;
    }
    network.set_reachable(true);
    let begun = Instant::now();
    client.connect("mem://server").unwrap();
    wanted(&server).await;
    assert!(begun.elapsed() < SECOND, "{:?}", begun.elapsed());
}

#[tokio::test(start_paused = true)]
async fn lingering_lasts_as_long_as_it_says_and_30_s_where_nothing_is_said() {
    use zmtp_socket::Linger;

    let rows = [
        (None, SECOND * 30),
        (Some(Linger::For(SECOND * 3600)), SECOND * 3600),
        (Some(Linger::NONE), Duration::ZERO),
    ];
    for (linger, time) in rows {
        let (_network, context) = world();
        let mut options = PubOptions::new();
        if let Some(linger) = linger {
            options = options.linger(linger);
        }
        let server = bound(&context, options).await;
        let _stuck = connected(&context, SubOptions::new().receive_hwm("1".parse().unwrap()));
        wanted(&server).await;
        for _ in 0..100 {
            server.send(vec![0; 64 << 10]).await.unwrap();
        }
        let begun = Instant::now();
        assert!(server.close().await.unsent > 0);
        let waited = begun.elapsed();
        assert!(waited >= time && waited <= time + TICK, "{waited:?} of {time:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_dial_in_progress_does_not_hold_up_the_end() {
    let (network, context) = world();
    network.silence(Some(Way::Back));
    let server = bound(&context, PubOptions::new()).await;
    let client = connected(&context, SubOptions::new());
    sleep(SECOND).await;
    let begun = Instant::now();
    client.close().await;
    server.close().await;
    assert!(begun.elapsed() <= SECOND + TICK, "{:?}", begun.elapsed());
}
