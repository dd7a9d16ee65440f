//! Heartbeats, on virtual time: the dead peers that they find, and the slow ones that they must not
//! disconnect.

use std::time::Duration;

use tokio::time::{Instant, sleep};
use zmtp_codec::{Error, Timeout};
use zmtp_socket::{Event, Heartbeat, PubOptions, Reason, SubOptions};
use zmtp_tests::network::{Fault, Manner, Spot, Way};

use crate::steps::{
    SECOND, TICK, bound, connected, disconnected, event, receive, server_sees, wanted, world,
};

#[tokio::test(start_paused = true)]
async fn heartbeats_find_a_peer_that_has_fallen_silent() {
    let heartbeat =
        Heartbeat::every(SECOND).with_timeout(Duration::from_millis(2500)).with_ttl(Duration::ZERO);
    let (network, context) = world();
    let server = bound(&context, PubOptions::new()).await;
    let mut client = connected(&context, SubOptions::new().heartbeat(heartbeat));
    let mut monitor = client.monitor();
    wanted(&server).await;
    sleep(SECOND * 3600).await;
    assert!(
        std::iter::from_fn(|| monitor.try_next())
            .all(|event| !matches!(event, Event::Disconnected { .. })),
        "an idle hour is no silence: PONG comes"
    );

    // The server's machine has vanished: nothing more arrives, not even an end.
    network.mute();
    let begun = Instant::now();
    let reason = disconnected(&mut monitor).await;
    assert!(
        matches!(reason, Reason::Protocol(Error::Timeout(Timeout::Heartbeat))),
        "the reason: {reason}"
    );
    let waited = begun.elapsed();
    // The end is reported at once: we do not wait for a silent peer to close the connection.
    assert!(waited <= heartbeat.timeout + TICK, "{waited:?}");
    assert!(waited >= heartbeat.timeout - TICK, "{waited:?}");

    // A new connection is made, and serves.
    server_sees(&server, 2).await;
    server.send("after it").await.unwrap();
    assert_eq!(receive(&mut client).await.first(), "after it");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_named_a_time_to_live_is_held_to_it() {
    let heartbeat = Heartbeat::every(SECOND).with_timeout(SECOND).with_ttl(SECOND * 3);
    let (network, context) = world();
    // The server sends no heartbeats of its own: it knows only the time to live in the client's PING.
    let server = bound(&context, PubOptions::new()).await;
    let mut monitor = server.monitor();
    let _client = connected(&context, SubOptions::new().heartbeat(heartbeat));
    wanted(&server).await;
    sleep(SECOND * 10).await;
    assert_eq!(server.subscriber_count(), 1);
    network.mute();
    let begun = Instant::now();
    let reason = disconnected(&mut monitor).await;
    assert!(
        matches!(reason, Reason::Protocol(Error::Timeout(Timeout::PeerTtl))),
        "the reason: {reason}"
    );
    let waited = begun.elapsed();
    assert!(waited >= SECOND * 2 - TICK && waited <= SECOND * 3 + TICK, "{waited:?}");
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_that_is_not_read_does_not_take_its_publisher_for_dead() {
    let heartbeat = Heartbeat::every(SECOND);
    let (_network, context) = world();
    let server = bound(&context, PubOptions::new()).await;
    let options = SubOptions::new().heartbeat(heartbeat).receive_hwm("2".parse().unwrap());
    let mut client = connected(&context, options);
    let mut monitor = client.monitor();
    wanted(&server).await;
    for number in 0..20 {
        server.send(format!("{number}")).await.unwrap();
    }
    sleep(SECOND * 3600).await;
    for number in 0..20 {
        assert_eq!(receive(&mut client).await.first(), format!("{number}").as_bytes());
    }
    sleep(SECOND * 60).await;
    while let Some(event) = monitor.try_next() {
        assert!(!matches!(event, Event::Disconnected { .. }), "{event:?}");
    }
}

/// The octets of a message that takes long to arrive.
const LARGE: usize = 1 << 20;

/// A connection whose subscriber, or whose publisher, sends heartbeats.
fn beating(publisher_beats: bool) -> (PubOptions, SubOptions) {
    let heartbeat = Heartbeat::every(SECOND).with_timeout(SECOND * 2);
    match publisher_beats {
        true => (PubOptions::new().heartbeat(heartbeat), SubOptions::new()),
        false => (PubOptions::new(), SubOptions::new().heartbeat(heartbeat)),
    }
}

#[tokio::test(start_paused = true)]
async fn heartbeats_of_either_side_find_a_link_that_dies_in_the_middle_of_a_message() {
    let ways: [&[Way]; 2] = [&[Way::Back], Way::BOTH];
    for (publisher_beats, ways, swallowed) in [false, true]
        .into_iter()
        .flat_map(|beats| ways.map(|ways| (beats, ways)))
        .flat_map(|(beats, ways)| [(beats, ways, false), (beats, ways, true)])
    {
        let (there, here) = beating(publisher_beats);
        let (network, context) = world();
        let server = bound(&context, there).await;
        let mut client = connected(&context, here);
        wanted(&server).await;
        let mut finder = if publisher_beats { server.monitor() } else { client.monitor() };
        let mut subscriptions = server.monitor();
        let spot = Spot::Message { whole: 0, octets: 300_000 };
        network.arm(Way::Back, spot, &Fault::Silence { ways, swallowed });
        server.send(vec![7; LARGE]).await.unwrap();
        assert!(network.until_struck().await.on(Way::Back).is_in_message());

        let begun = Instant::now();
        let reason = disconnected(&mut finder).await;
        assert!(
            matches!(reason, Reason::Protocol(Error::Timeout(Timeout::Heartbeat))),
            "the reason: {reason}"
        );
        // PING, the wait for its answer, and a second's wait for the other side to close the connection.
        let waited = begun.elapsed();
        assert!(waited >= SECOND * 2 && waited <= SECOND * 4 + TICK, "{waited:?}");
        if !publisher_beats {
            // The subscriber has dialled, so it can reconnect.
            event(&mut subscriptions, |event| {
                matches!(event, Event::Subscribed { .. }).then_some(())
            })
            .await;
            server.send("after it").await.unwrap();
            assert_eq!(receive(&mut client).await.first(), "after it");
        }
    }
}

/// A publisher's PING waits for the end of the message. The octets that the line holds then must not
/// take longer than the peer's timeout.
#[tokio::test(start_paused = true)]
async fn a_message_that_trickles_in_for_minutes_is_no_silence() {
    for (publisher_beats, room) in [(false, 64 << 10), (true, 500)] {
        let (there, here) = beating(publisher_beats);
        let (network, context) = world();
        network.shape(room, Manner { fragment: 1000, delay: SECOND });
        let server = bound(&context, there).await;
        let mut client = connected(&context, here);
        wanted(&server).await;
        let begun = Instant::now();
        server.send(vec![7; LARGE]).await.unwrap();
        assert_eq!(receive(&mut client).await.size(), LARGE);
        assert!(begun.elapsed() > SECOND * 60, "{:?}", begun.elapsed());
        assert_eq!(network.attempts().len(), 1);
    }
}
