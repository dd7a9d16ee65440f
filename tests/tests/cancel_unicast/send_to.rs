//! `send_to` of a ROUTER and `send` of a reply, dropped while they wait for room: the peer has got
//! nothing, and any other task that waits for it continues.

use zmtp_socket::{
    DealerOptions, DealerSocket, HighWaterMark, RepOptions, RouterOptions, RouterSocket, SendError,
    WhenFull,
};
use zmtp_tests::cancel::everywhere;
use zmtp_tests::story::{Place, eventually, receive, within};

/// A message that is too large for the buffers of any transport.
fn numbered(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[7; 2 << 20]].concat()
}

/// Receives `count` messages, of which the last parts are whole. Returns their numbers.
async fn numbers(client: &mut DealerSocket, count: usize) -> Vec<u32> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let message = receive(client).await;
        let body = message.parts().last().expect("it has parts");
        let number = u32::from_be_bytes(body[..4].try_into().expect("4 octets"));
        assert!(*body == numbered(number), "message {number} is torn");
        numbers.push(number);
    }
    numbers
}

const QUEUED: [u32; 3] = [0, 1, 2];
const CUT: u32 = 1000;
const OTHER: u32 = 2000;
const LAST: u32 = 3000;

fn client(place: &Place) -> DealerSocket {
    let options = DealerOptions::new().identity("client").receive_buffer(256 << 10);
    let client = place.context.socket(options.receive_hwm(HighWaterMark::messages(1)));
    client.connect(&*place.endpoint).unwrap();
    client
}

/// A server that waits for room, and a client that receives nothing, so that there is none.
async fn full(place: &Place) -> (RouterSocket, DealerSocket) {
    let options = RouterOptions::new().when_full(WhenFull::Wait).mandatory(true);
    let options = options.send_hwm(HighWaterMark::messages(2)).send_hwm_octets(usize::MAX);
    let server = place.context.socket(options.send_buffer(256 << 10));
    server.bind(&*place.endpoint).await.unwrap();
    let client = client(place);
    within("the client", server.wait_for_peer()).await.unwrap();
    server.try_send_to("client", numbered(0)).unwrap();
    eventually("its arrival", || client.stats().received == 1).await;
    server.try_send_to("client", numbered(1)).unwrap();
    server.try_send_to("client", numbered(2)).unwrap();
    assert_eq!(server.try_send_to("client", numbered(3)), Err(SendError::Full));
    (server, client)
}

#[test]
fn while_it_waits_for_room() {
    everywhere(1, async |place, cut| {
        let (server, mut client) = full(place).await;
        let rival = server.handle();
        let other = tokio::spawn(async move { rival.send_to("client", numbered(OTHER)).await });
        tokio::task::yield_now().await;
        let mut heard = Vec::new();
        let message = numbered(CUT);
        let make_room = async || heard.extend(numbers(&mut client, QUEUED.len()).await);
        let sent = cut.call(server.send_to("client", &message), make_room).await;
        let sent = sent.map(Result::unwrap);

        let last = tokio::spawn(async move {
            within("the other task's message", other).await.unwrap().unwrap();
            server.send_to("client", numbered(LAST)).await.unwrap();
            within("the server's end", server.close()).await
        });
        let mut expected = Vec::from_iter(QUEUED.into_iter().chain(sent.map(|()| CUT)));
        expected.extend([OTHER, LAST]);
        let left = expected.len() - heard.len();
        heard.extend(numbers(&mut client, left).await);
        // Of the two that have waited, either may have been the first.
        heard[QUEUED.len()..].sort_unstable();
        assert_eq!(heard, expected);
        assert!(client.try_recv().is_err());
        assert_eq!(within("the end of it all", last).await.unwrap().unsent, 0);
        sent.is_some()
    });
}

#[test]
fn while_it_waits_for_a_peer_that_leaves() {
    everywhere(1, async |place, cut| {
        let (server, client) = full(place).await;
        let rival = server.handle();
        let other = tokio::spawn(async move { rival.send_to("client", numbered(OTHER)).await });
        tokio::task::yield_now().await;
        let mut stuck = Some(client);
        let message = numbered(CUT);
        let leave = async || stuck = None;
        let sent = cut.call(server.send_to("client", &message), leave).await;
        assert!(matches!(sent, None | Some(Err(SendError::Unroutable))), "{sent:?}");
        drop(stuck);
        let other = within("the other to be told", other).await.unwrap();
        assert_eq!(other, Err(SendError::Unroutable));
        eventually("the peer to be gone", || server.peer_count() == 0).await;
        let handle = server.handle();
        within("the server's end", server.close()).await;
        let stats = handle.stats();
        assert_eq!((stats.sent + stats.undelivered, stats.queued), (3, 0), "{stats:?}");
        sent.is_some()
    });
}

#[test]
fn a_reply_while_it_waits_for_room() {
    everywhere(1, async |place, cut| {
        let options = RepOptions::new().when_full(WhenFull::Wait);
        let options = options.send_hwm(HighWaterMark::messages(2)).send_hwm_octets(usize::MAX);
        let mut server = place.context.socket(options.send_buffer(256 << 10));
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = client(place);
        let ask = zmtp_socket::Message::multipart(["", "?"]).expect("two parts");
        let mut replies = Vec::new();
        for _ in 0..6 {
            client.send(&ask).await.unwrap();
            replies.push(within("a request", server.recv()).await.unwrap().1);
        }
        let mut replies = replies.into_iter();
        let mut reply = || replies.next().expect("so many");
        for number in QUEUED {
            within("room", reply().send(numbered(number))).await.unwrap();
            if number == 0 {
                eventually("its arrival", || client.stats().received == 1).await;
            }
        }
        let other = tokio::spawn(reply().send(numbered(OTHER)));
        tokio::task::yield_now().await;
        let mut heard = Vec::new();
        let message = numbered(CUT);
        let make_room = async || heard.extend(numbers(&mut client, QUEUED.len()).await);
        let sent = cut.call(reply().send(&message), make_room).await.map(Result::unwrap);

        let last = reply();
        let last = tokio::spawn(async move {
            within("the other reply", other).await.unwrap().unwrap();
            last.send(numbered(LAST)).await.unwrap();
            within("the server's end", server.close()).await
        });
        let mut expected = Vec::from_iter(QUEUED.into_iter().chain(sent.map(|()| CUT)));
        expected.extend([OTHER, LAST]);
        let left = expected.len() - heard.len();
        heard.extend(numbers(&mut client, left).await);
        // Of the two that have waited, either may have been the first.
        heard[QUEUED.len()..].sort_unstable();
        assert_eq!(heard, expected);
        assert!(client.try_recv().is_err());
        assert_eq!(within("the end of it all", last).await.unwrap().unsent, 0);
        sent.is_some()
    });
}
