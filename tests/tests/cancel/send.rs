//! `send` and `wait_for_subscriber`, dropped: a message has reached all peers that want it or none, and
//! any other task that waits for the same is still woken.

use std::pin::pin;
use std::task::{Context as TaskContext, Poll, Waker};
use std::time::Duration;

use zmtp_socket::{
    HighWaterMark, PubOptions, PubSocket, SendError, SubOptions, SubSocket, WhenFull,
};
use zmtp_tests::cancel::{Cut, everywhere};
use zmtp_tests::census::alone;
use zmtp_tests::story::{Place, eventually, receive, receive_text, subscribers, within};

/// A message that is too large for the buffers of any transport here.
fn numbered(number: u32) -> Vec<u8> {
    [&number.to_be_bytes()[..], &[7; 2 << 20]].concat()
}

/// Receives `count` messages, checks that they are whole, and returns their numbers.
async fn numbers(client: &mut SubSocket, count: usize) -> Vec<u32> {
    let mut numbers = Vec::new();
    for _ in 0..count {
        let message = receive(client).await;
        let number = u32::from_be_bytes(message.first()[..4].try_into().unwrap());
        assert!(message.parts() == [numbered(number)], "message {number} is torn");
        numbers.push(number);
    }
    numbers
}

/// The messages that each subscriber of a [`full`] publisher has still to receive: one that has
/// arrived, one that is on its way, and one behind it.
const QUEUED: [u32; 3] = [0, 1, 2];

/// A publisher that waits for room, and two subscribers that receive nothing, so that there is none.
async fn full(place: &Place, policy: WhenFull) -> (PubSocket, [SubSocket; 2]) {
    let options = PubOptions::new().when_full(policy).send_hwm(HighWaterMark::messages(2));
    let options = options.send_hwm_octets(usize::MAX).send_buffer(256 << 10);
    let server = place.context.pub_socket(options);
    server.bind(&*place.endpoint).await.unwrap();
    let clients = [(); 2].map(|()| {
        let options = SubOptions::new().receive_hwm(HighWaterMark::messages(1));
        let client = place.context.sub_socket(options.receive_buffer(256 << 10));
        client.subscribe("");
        client.connect(&*place.endpoint).unwrap();
        client
    });
    subscribers(&server, 2).await;
    server.try_send(numbered(0)).unwrap();
    eventually("its arrival", || clients.iter().all(|client| client.stats().received == 1)).await;
    server.try_send(numbered(1)).unwrap();
    server.try_send(numbered(2)).unwrap();
    assert_eq!(server.try_send(numbered(3)), Err(SendError::Full));
    (server, clients)
}

/// The message whose `send` is dropped, the one of another task that also waits, and one that comes
/// after both.
const CUT: u32 = 1000;
const OTHER: u32 = 2000;
const LAST: u32 = 3000;

/// Makes room while two tasks wait for it, drops one of them, and checks that the other continues, and
/// that both subscribers get all accepted messages, each once, in one order.
async fn waits_for_room(place: &Place, policy: WhenFull, cut: Cut) -> bool {
    let (server, [mut one, mut two]) = full(place, policy).await;
    let rival = server.handle();
    let other = tokio::spawn(async move { rival.send(numbered(OTHER)).await });
    tokio::task::yield_now().await;
    let mut heard = [Vec::new(), Vec::new()];
    let make_room = async || {
        for (client, heard) in [&mut one, &mut two].into_iter().zip(&mut heard) {
            heard.extend(numbers(client, QUEUED.len()).await);
        }
    };
    let message = numbered(CUT);
    let sent = cut.call(server.send(&message), make_room).await.map(Result::unwrap);
    let done = sent.is_some();

    let last = tokio::spawn(async move {
        within("the other task's message", other).await.unwrap().unwrap();
        server.send(numbered(LAST)).await.unwrap();
        within("the publisher's end", server.close()).await
    });
    let mut expected = Vec::from_iter(QUEUED.into_iter().chain([OTHER, LAST]));
    expected.extend(done.then_some(CUT));
    expected.sort_unstable();
    // From both at once: a message waits until both have room for it.
    let left = heard.each_ref().map(|heard| expected.len() - heard.len());
    let rest = tokio::join!(numbers(&mut one, left[0]), numbers(&mut two, left[1]));
    for (mut heard, rest) in heard.into_iter().zip([rest.0, rest.1]) {
        heard.extend(rest);
        assert_eq!(heard[..QUEUED.len()], QUEUED, "in order");
        heard.sort_unstable();
        assert_eq!(heard, expected);
    }
    // The end gets room only when the receiver asks for more.
    assert!(one.try_recv().is_err() && two.try_recv().is_err());
    assert_eq!(within("the end of it all", last).await.unwrap().unsent, 0);
    done
}

#[test]
fn while_it_waits_for_room() {
    everywhere(1, async |place, cut| waits_for_room(place, WhenFull::Wait, cut).await);
}

#[test]
fn while_it_waits_for_room_and_not_for_ever() {
    let policy = WhenFull::WaitFor(Duration::from_secs(60));
    everywhere(1, async |place, cut| waits_for_room(place, policy, cut).await);
}

#[test]
fn while_it_waits_for_room_that_does_not_come_in_time() {
    let policy = WhenFull::WaitFor(Duration::from_millis(20));
    // The first wait is for its turn, which the full queue has ended.
    everywhere(2, async |place, cut| {
        let (server, clients) = full(place, policy).await;
        let message = numbered(CUT);
        let sent = cut.call(server.send(&message), async || {}).await;
        assert!(matches!(sent, None | Some(Err(SendError::Full))), "{sent:?}");
        for mut client in clients {
            assert_eq!(numbers(&mut client, QUEUED.len()).await, QUEUED);
            assert!(client.try_recv().is_err());
        }
        assert_eq!(within("the publisher's end", server.close()).await.unsent, 0);
        sent.is_some()
    });
}

#[test]
fn while_it_waits_for_a_peer_that_leaves() {
    everywhere(2, async |place, cut| {
        let (server, [one, mut two]) = full(place, WhenFull::Wait).await;
        // Only one of them delays the sender.
        assert_eq!(numbers(&mut two, QUEUED.len()).await, QUEUED);
        let (mut stuck, mut waits) = (Some(one), 0);
        let message = numbered(CUT);
        let leave = async || {
            // The first wait is for its turn, which the full queue has ended.
            waits += 1;
            if waits == 2 {
                stuck = None;
            }
        };
        let sent = cut.call(server.send(&message), leave).await.map(Result::unwrap);
        drop(stuck);
        within("room", server.send(numbered(LAST))).await.unwrap();
        let expected = Vec::from_iter(sent.map(|()| CUT).into_iter().chain([LAST]));
        assert_eq!(numbers(&mut two, expected.len()).await, expected);
        assert!(two.try_recv().is_err());
        within("the publisher's end", server.close()).await;
        sent.is_some()
    });
}

#[test]
fn while_others_have_their_turn() {
    everywhere(1, async |place, cut| {
        let (server, one) = place.pair().await;
        let two = place.subscriber("");
        two.connect(&*place.endpoint).unwrap();
        subscribers(&server, 2).await;
        // More messages than a turn allows.
        for _ in 0..2000 {
            server.try_send("before").unwrap();
        }
        let sent = cut.call(server.send("cut"), async || {}).await.map(Result::unwrap);
        server.send("after").await.unwrap();
        for mut client in [one, two] {
            for _ in 0..2000 {
                assert_eq!(receive(&mut client).await.first(), "before");
            }
            if sent.is_some() {
                assert_eq!(receive(&mut client).await.first(), "cut");
            }
            assert_eq!(receive(&mut client).await.first(), "after");
        }
        sent.is_some()
    });
}

#[test]
fn thousands_of_times_each_has_reached_nobody_or_everybody_once() {
    alone(async {
        let place = Place::inproc();
        let (server, mut one) = place.pair().await;
        let mut other = place.subscriber("");
        other.connect(&*place.endpoint).unwrap();
        subscribers(&server, 2).await;

        let mut expected = Vec::new();
        let mut postponed = 0;
        for number in 0..8000 {
            let text = format!("{number}");
            match number % 3 {
                // Never polled.
                0 => drop(server.send(&text)),
                // Polled once: the call is done, or it has not begun.
                1 => {
                    let mut cx = TaskContext::from_waker(Waker::noop());
                    let polled = pin!(server.send(&text)).poll(&mut cx);
                    match polled {
                        Poll::Ready(sent) => {
                            sent.unwrap();
                            expected.push(text);
                        }
                        Poll::Pending => postponed += 1,
                    }
                }
                _ => {
                    server.send(&text).await.unwrap();
                    expected.push(text);
                }
            }
        }
        assert!(postponed > 0, "some sends waited for their turn");
        for client in [&mut one, &mut other] {
            for text in &expected {
                assert_eq!(&receive_text(client).await, text);
            }
            assert!(client.try_recv().is_err());
        }
    });
}

#[test]
fn while_nobody_has_subscribed() {
    everywhere(2, async |place, cut| {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.subscriber("");
        client.unsubscribe("");
        client.connect(&*place.endpoint).unwrap();
        let handle = server.handle();
        let other = tokio::spawn(async move { handle.wait_for_subscriber("topic").await });
        tokio::task::yield_now().await;
        // Woken by one subscription, and done by the other.
        let mut topics = ["x", "to"].into_iter();
        let wake = async || client.subscribe(topics.next().unwrap());
        let found = cut.call(server.wait_for_subscriber("topic"), wake).await.map(Result::unwrap);
        client.subscribe("topic");
        within("the other to be woken", other).await.unwrap().unwrap();
        within("a subscriber", server.wait_for_subscriber("topic")).await.unwrap();
        found.is_some()
    });
}
