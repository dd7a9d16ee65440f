//! A sender that waits for room while topics change: it continues as soon as no peer without room wants
//! its message. Then the message goes to the peers that want it by then.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use zmtp_socket::kind::Publishes;
use zmtp_socket::{
    Context, Handle, HighWaterMark, PubOptions, PubSocket, Request, SendError, SubOptions,
    SubSocket, TryRecvError, WhenFull, XPubOptions,
};

use crate::steps::{SECOND, receive, world};

/// The octets of a message of which a few fill the line.
const LARGE: usize = 64 << 10;

/// A subscriber that does not receive, and has hardly any room.
fn stuck(context: &Context) -> SubSocket {
    context.sub_socket(SubOptions::new().receive_hwm(HighWaterMark::messages(1)))
}

fn waits() -> PubOptions {
    PubOptions::new().send_hwm(HighWaterMark::messages(1)).when_full(WhenFull::Wait)
}

/// A message of this topic that fills the line.
fn large(topic: &str) -> Vec<u8> {
    [topic.as_bytes(), &[b'-'; LARGE]].concat()
}

/// Sends until there is no room for `topic`, and then once more with a sender that waits.
async fn fill<T: Publishes>(
    server: &Handle<T>,
    topic: &'static str,
) -> JoinHandle<Result<(), SendError>> {
    while server.try_send(large(topic)).is_ok() {
        sleep(Duration::from_millis(1)).await;
    }
    let server = server.clone();
    let sending = tokio::spawn(async move { server.send(format!("{topic} at last")).await });
    sleep(SECOND).await;
    assert!(!sending.is_finished(), "it waits");
    sending
}

async fn goes_on(sending: JoinHandle<Result<(), SendError>>) {
    timeout(SECOND, sending).await.expect("the sender goes on").unwrap().unwrap();
}

/// A publisher that waits, and a subscriber of `topic` for which it has no room.
async fn met(context: &Context, topic: &str) -> (PubSocket, SubSocket) {
    let server = context.pub_socket(waits());
    server.bind("mem://server").await.unwrap();
    let client = stuck(context);
    client.subscribe(topic);
    client.connect("mem://server").unwrap();
    server.wait_for_subscriber(topic).await.unwrap();
    (server, client)
}

#[tokio::test(start_paused = true)]
async fn a_sender_goes_on_when_the_subscriber_takes_its_subscription_back() {
    let (_network, context) = world();
    let (server, client) = met(&context, "a").await;
    let sending = fill(&server, "a").await;
    client.unsubscribe("a");
    goes_on(sending).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_goes_on_when_one_of_several_subscriptions_that_match_is_left_and_then_none() {
    let (_network, context) = world();
    let (server, client) = met(&context, "ab").await;
    client.subscribe("a");
    client.subscribe("");
    sleep(SECOND).await;
    let mut sending = fill(&server, "ab").await;
    for topic in ["ab", ""] {
        client.unsubscribe(topic);
        assert!(timeout(SECOND, &mut sending).await.is_err(), "it is wanted still");
    }
    client.unsubscribe("a");
    goes_on(sending).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_goes_on_when_the_user_of_an_xpub_ends_the_subscription_in_the_peers_place() {
    let (_network, context) = world();
    let options = XPubOptions::new().manual(true).when_full(WhenFull::Wait);
    let mut server = context.xpub_socket(options.send_hwm(HighWaterMark::messages(1)));
    server.bind("mem://server").await.unwrap();
    let client = stuck(&context);
    client.subscribe("a");
    client.connect("mem://server").unwrap();
    let Request::Subscribe { peer, topic } = server.recv().await.unwrap() else {
        panic!("a subscription")
    };
    assert!(server.subscribe(&peer, &topic));
    let sending = fill(&server, "a").await;
    assert!(server.unsubscribe(&peer, &topic));
    goes_on(sending).await;
}

#[tokio::test(start_paused = true)]
async fn a_sender_goes_on_when_what_is_subscribed_to_is_what_is_not_sent() {
    let (_network, context) = world();
    let server = context.pub_socket(waits().invert_matching(true));
    server.bind("mem://server").await.unwrap();
    let options = SubOptions::new().receive_hwm(HighWaterMark::messages(1)).invert_matching(true);
    let client = context.sub_socket(options);
    client.subscribe("b");
    client.connect("mem://server").unwrap();
    server.wait_for_subscriber("a").await.unwrap();
    let sending = fill(&server, "a").await;
    client.subscribe("a");
    goes_on(sending).await;
}

#[tokio::test(start_paused = true)]
async fn a_message_that_waited_goes_to_those_who_want_it_when_there_is_room() {
    let (_network, context) = world();
    let (server, mut stuck) = met(&context, "a").await;
    let mut sending = fill(&server, "a").await;
    let mut newcomer = context.sub_socket(SubOptions::new());
    newcomer.subscribe("a");
    newcomer.connect("mem://server").unwrap();
    assert!(timeout(SECOND, &mut sending).await.is_err(), "one who wants it has no room");
    stuck.unsubscribe("a");
    goes_on(sending).await;
    assert_eq!(receive(&mut newcomer).await.first(), "a at last");
    sleep(SECOND).await;
    assert_eq!(newcomer.try_recv().unwrap_err(), TryRecvError::Empty);
    assert_eq!(stuck.try_recv().unwrap_err(), TryRecvError::Empty);
}
