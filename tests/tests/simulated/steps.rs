//! Steps that tests on virtual time have in common.

use std::time::Duration;

use tokio::time::{sleep, timeout};
use zmtp_socket::{
    Context, Event, Message, Monitor, PubOptions, PubSocket, Reason, SubOptions, SubSocket,
};
use zmtp_tests::network::FaultyNetwork;

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// By how much a timer may be late: its wheel turns in steps of a millisecond.
pub(crate) const TICK: Duration = Duration::from_millis(2);

pub(crate) fn world() -> (FaultyNetwork, Context) {
    let network = FaultyNetwork::healthy(1);
    let context = Context::simulated(network.clone(), 7);
    (network, context)
}

pub(crate) async fn bound(context: &Context, options: PubOptions) -> PubSocket {
    let server = context.pub_socket(options);
    server.bind("mem://server").await.unwrap();
    server
}

pub(crate) fn connected(context: &Context, options: SubOptions) -> SubSocket {
    let client = context.sub_socket(options);
    client.subscribe("");
    client.connect("mem://server").unwrap();
    client
}

/// The next event that `pick` takes, within a virtual day.
pub(crate) async fn event<T>(monitor: &mut Monitor, mut pick: impl FnMut(Event) -> Option<T>) -> T {
    timeout(SECOND * 86_400, async {
        loop {
            if let Some(picked) = pick(monitor.next().await.expect("the socket is open")) {
                return picked;
            }
        }
    })
    .await
    .expect("the event comes")
}

/// Waits until there is a subscription, for at most a virtual hour.
pub(crate) async fn wanted(server: &PubSocket) {
    let wanted = timeout(SECOND * 3600, server.wait_for_subscriber(""));
    wanted.await.expect("a subscriber comes").expect("the socket is open");
}

/// The next message, within a virtual hour.
pub(crate) async fn receive(client: &mut SubSocket) -> Message {
    timeout(SECOND * 3600, client.recv()).await.expect("it comes").expect("the socket is open")
}

/// The reason for which the next connection ends.
pub(crate) async fn disconnected(monitor: &mut Monitor) -> Reason {
    event(monitor, |event| match event {
        Event::Disconnected { reason, .. } => Some(reason),
        _ => None,
    })
    .await
}

pub(crate) async fn server_sees(server: &PubSocket, peers: usize) {
    timeout(SECOND * 60, async {
        while server.subscriber_count() != peers {
            sleep(TICK).await;
        }
    })
    .await
    .expect("so many peers");
}
