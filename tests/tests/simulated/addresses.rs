//! Names with several addresses, on virtual time.

use std::time::Duration;

use tokio::time::{Instant, timeout};
use zmtp_socket::{Event, PlainUsers, PubOptions, SubOptions};
use zmtp_tests::network::{Fault, Way};

use crate::steps::{SECOND, TICK, bound, connected, event, server_sees, wanted, world};

#[tokio::test(start_paused = true)]
async fn addresses_that_do_not_answer_cost_little_and_only_once() {
    let (network, context) = world();
    let server = bound(&context, PubOptions::new()).await;
    let dead = ["dead 1", "dead 2", "dead 3"];
    dead.iter().for_each(|address| network.kill(address));
    network.lead_to("server", &[&dead[..], &["server"]].concat());
    let begun = Instant::now();
    let _client = connected(&context, SubOptions::new());
    wanted(&server).await;
    let waited = begun.elapsed();
    assert!(waited <= Duration::from_millis(750) + TICK, "{waited:?}");

    network.cut();
    server_sees(&server, 0).await;
    let lost = Instant::now();
    wanted(&server).await;
    let waited = lost.elapsed();
    assert!(waited <= Duration::from_millis(100) + TICK, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn when_no_address_answers_an_attempt_ends_in_time_all_the_same() {
    let (network, context) = world();
    let dead = ["dead 1", "dead 2", "dead 3"];
    dead.iter().for_each(|address| network.kill(address));
    network.lead_to("server", &dead);
    let begun = Instant::now();
    let client = connected(&context, SubOptions::new());
    let mut monitor = client.monitor();
    let reason = event(&mut monitor, |event| match event {
        Event::RetryingIn { reason, .. } => Some(reason.to_string()),
        _ => None,
    });
    assert_eq!(reason.await, "dead 1: timed out; dead 2: timed out; dead 3: timed out");
    let waited = begun.elapsed();
    assert!(waited >= SECOND * 10 && waited <= SECOND * 10 + TICK, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn an_address_that_proves_useless_at_any_stage_makes_room_for_the_next() {
    let (network, context) = world();
    let server = bound(&context, PubOptions::new()).await;
    // Some socket has to accept these connections.
    let cursed = context.pub_socket(PubOptions::new());
    for (address, fault) in [
        ("cut", Fault::Cut(Vec::new())),
        ("mute", Fault::Silence { ways: Way::BOTH, swallowed: true }),
        ("deaf", Fault::Silence { ways: &[Way::Out], swallowed: true }),
    ] {
        cursed.bind(format!("mem://{address}")).await.unwrap();
        network.curse(address, fault);
    }
    let locked = context.pub_socket(PubOptions::new().plain_server(PlainUsers::new()));
    locked.bind("mem://locked").await.unwrap();
    let of_our_kind = context.sub_socket(SubOptions::new());
    of_our_kind.bind("mem://of our kind").await.unwrap();
    network.kill("dead");
    let addresses = ["dead", "nobody", "cut", "mute", "deaf", "locked", "of our kind", "server"];
    network.lead_to("server", &addresses);

    let client = connected(&context, SubOptions::new());
    let mut monitor = client.monitor();
    // Two addresses use up the handshake's deadline, and none is tried twice.
    timeout(SECOND * 65, server.wait_for_subscriber("")).await.expect("in time").unwrap();
    let mut failed = Vec::new();
    let found = event(&mut monitor, |event| match event {
        Event::HandshakeFailed { peer, .. } => {
            failed.push(peer.address().to_owned());
            None
        }
        Event::HandshakeSucceeded { peer, .. } => Some(peer),
        _ => None,
    });
    assert_eq!(found.await.address(), "server");
    assert_eq!(failed, ["cut", "mute", "deaf", "locked", "of our kind"]);

    // Nor are they tried again once they are known to fail.
    for _ in 0..3 {
        network.cut();
        server_sees(&server, 0).await;
        wanted(&server).await;
        event(&mut monitor, |event| match event {
            Event::HandshakeFailed { peer, .. } => panic!("{peer} is tried again"),
            Event::HandshakeSucceeded { .. } => Some(()),
            _ => None,
        })
        .await;
    }
}
