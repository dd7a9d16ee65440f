//! However an XSUB ends, each message that it has accepted is sent, dropped or counted as undelivered.

use std::time::Duration;

use zmtp_socket::{
    Linger, Message, Request, Stats, XPubOptions, XSubHandle, XSubOptions, XSubSocket,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::raw::{RawListener, RawPeer};
use zmtp_tests::story::{Place, eventually, within};

const READY_XPUB: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04XPUB";
const READY_XSUB: &[u8] = b"\x04\x1A\x05READY\x0BSocket-Type\0\0\0\x04XSUB";

/// More messages than the system holds between two sockets, and fewer than the default mark.
const COUNT: u64 = 500;
const SIZE: usize = 100_000;

fn load(client: &XSubSocket) {
    for number in 0..COUNT {
        let mut body = vec![b'x'; SIZE];
        body[1..9].copy_from_slice(&number.to_be_bytes());
        client.try_send(Message::from(body)).unwrap();
    }
}

fn settled(stats: &Stats) -> u64 {
    stats.sent + stats.dropped + stats.undelivered
}

over_each_transport! {
    async fn close_and_drop_deliver_what_was_sent(place: Place) {
        for dropped in [false, true] {
            let mut server = place.context.xpub_socket(XPubOptions::new());
            server.bind(&*place.endpoint).await.unwrap();
            let client = place.context.xsub_socket(XSubOptions::new());
            client.connect(&*place.endpoint).unwrap();
            within("a publisher", client.wait_for_publisher()).await.unwrap();
            let handle = client.handle();
            load(&client);
            let closing = tokio::spawn(async move {
                match dropped {
                    true => drop(client),
                    false => assert_eq!(client.close().await.unsent, 0),
                }
            });
            for number in 0..COUNT {
                let request = within("a message", server.recv()).await.unwrap();
                let Request::Message { message, .. } = request else { panic!("{request:?}") };
                assert_eq!(message.first()[1..9], number.to_be_bytes());
            }
            within("the end", closing).await.unwrap();
            eventually("all are counted", || handle.stats().sent == COUNT).await;
            assert_eq!(settled(&handle.stats()), COUNT);
            server.close().await;
        }
    }
}

/// An XSUB that has sent to a publisher which reads nothing.
async fn stuck(linger: Linger) -> (XSubSocket, XSubHandle, RawPeer, RawListener) {
    let listener = RawListener::bind().await;
    let client = XSubSocket::with_options(XSubOptions::new().linger(linger));
    client.connect(listener.endpoint()).unwrap();
    let mut peer = listener.accept().await;
    peer.open(READY_XPUB, READY_XSUB).await;
    within("a publisher", client.wait_for_publisher()).await.unwrap();
    load(&client);
    let handle = client.handle();
    (client, handle, peer, listener)
}

/// Waits until the system accepts no more.
async fn full(handle: &XSubHandle) {
    let mut before = 0;
    eventually("the system takes no more", || {
        let sent = handle.stats().sent;
        sent > 0 && std::mem::replace(&mut before, sent) == sent
    })
    .await;
}

#[tokio::test]
async fn close_gives_up_on_a_stuck_publisher_and_says_how_much_was_left() {
    for time in [Duration::from_millis(30), Duration::ZERO] {
        let (client, handle, _peer, _listener) = stuck(Linger::For(time)).await;
        let left = within("the close", client.close()).await.unsent as u64;
        let stats = handle.stats();
        assert_eq!((stats.undelivered, stats.queued), (left, 0));
        assert!(left > 0);
        assert_eq!(settled(&stats), COUNT);
    }
}

#[tokio::test]
async fn what_waits_for_a_publisher_that_is_disconnected_is_counted_as_undelivered() {
    let (client, handle, _peer, listener) = stuck(Linger::Forever).await;
    full(&handle).await;
    within("the end", client.disconnect(listener.endpoint())).await.unwrap();
    let stats = handle.stats();
    assert!(stats.undelivered > 0 && stats.sent > 0, "{stats:?}");
    assert_eq!((settled(&stats), stats.queued), (COUNT, 0));
    assert_eq!(client.close().await.unsent, 0, "nothing was left for anybody when it was closed");
}

#[tokio::test]
async fn what_waits_for_a_publisher_that_hangs_up_is_counted_as_undelivered() {
    let (client, handle, peer, _listener) = stuck(Linger::Forever).await;
    full(&handle).await;
    peer.reset();
    eventually("it has left", || handle.stats().peers.is_empty()).await;
    let stats = handle.stats();
    assert!(stats.undelivered > 0, "{stats:?}");
    assert_eq!((settled(&stats), stats.queued), (COUNT, 0));
    drop(client);
}

/// A message that is lost at the high-water mark does not count as undelivered.
#[tokio::test]
async fn what_is_dropped_at_the_mark_in_octets_is_counted_so() {
    let listener = RawListener::bind().await;
    let options = XSubOptions::new().send_hwm_octets(1 << 20).linger(Linger::NONE);
    let client = XSubSocket::with_options(options);
    client.connect(listener.endpoint()).unwrap();
    let mut peer = listener.accept().await;
    peer.open(READY_XPUB, READY_XSUB).await;
    within("a publisher", client.wait_for_publisher()).await.unwrap();
    // Without an await: the driver has no turn between them.
    load(&client);
    let stats = client.stats();
    assert_eq!((stats.queued, stats.dropped), (11, COUNT - 11));
    let handle = client.handle();
    client.close().await;
    assert_eq!(settled(&handle.stats()), COUNT);
}
