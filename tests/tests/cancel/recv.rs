//! `recv`, dropped: no message is lost with it.

use std::future::poll_fn;
use std::pin::pin;
use std::task::Poll;

use tokio::task::coop;
use zmtp_socket::{Message, PubSocket, SubSocket};
use zmtp_tests::cancel::everywhere;
use zmtp_tests::census::alone;
use zmtp_tests::story::{Place, eventually, receive, wanted, within};

/// A message with its number in all of its octets, too large to come in one piece.
fn numbered(number: u8) -> Message {
    Message::multipart([vec![number; 10], vec![number; 300_000], vec![]]).unwrap()
}

/// Receives these messages, and no other.
async fn expect(client: &mut SubSocket, messages: impl IntoIterator<Item = Message>) {
    for message in messages {
        assert!(receive(client).await == message, "expected message {}", message.first()[0]);
    }
    assert!(client.try_recv().is_err());
}

async fn close(server: PubSocket, client: SubSocket) {
    within("the publisher's end", server.close()).await;
    assert_eq!(within("the subscriber's end", client.close()).await.unread, 0);
}

#[test]
fn while_it_waits_for_a_message() {
    everywhere(1, async |place, cut| {
        let (server, mut client) = place.pair().await;
        let handle = client.handle();
        let mut sent = 0;
        let send_next = async || {
            server.send(numbered(sent)).await.unwrap();
            sent += 1;
            eventually("its arrival", || handle.stats().received == u64::from(sent)).await;
        };
        let received = cut.call(client.recv(), send_next).await;
        if let Some(message) = &received {
            assert!(*message.as_ref().unwrap() == numbered(0));
        }
        server.send(numbered(sent)).await.unwrap();
        expect(&mut client, (u8::from(received.is_some())..=sent).map(numbered)).await;
        close(server, client).await;
        received.is_some()
    });
}

#[test]
fn while_what_comes_has_just_been_unsubscribed_from() {
    everywhere(2, async |place, cut| {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.subscriber([0]);
        client.connect(&*place.endpoint).unwrap();
        let handle = client.handle();
        handle.subscribe([1]);
        wanted(&server, [0]).await;
        wanted(&server, [1]).await;
        let mut wakes = 0;
        let wake = async || {
            wakes += 1;
            if wakes == 1 {
                server.send(numbered(1)).await.unwrap();
                eventually("its arrival", || handle.stats().received == 1).await;
                assert!(handle.unsubscribe([1]));
            } else {
                server.send(numbered(0)).await.unwrap();
                eventually("its arrival", || handle.stats().received == 2).await;
            }
        };
        let received = cut.call(client.recv(), wake).await;
        if let Some(message) = &received {
            assert!(*message.as_ref().unwrap() == numbered(0));
        }
        server.send(numbered(0)).await.unwrap();
        let left = 1 + usize::from(wakes == 2 && received.is_none());
        expect(&mut client, std::iter::repeat_n(numbered(0), left)).await;
        close(server, client).await;
        received.is_some()
    });
}

#[test]
fn while_its_task_has_had_its_turn() {
    everywhere(1, async |place, cut| {
        let (server, mut client) = place.pair().await;
        for number in 0..3 {
            server.send(numbered(number)).await.unwrap();
        }
        eventually("all three", || client.stats().received == 3).await;
        // Nothing else is awaited from here to the call, so the budget cannot be renewed.
        while coop::has_budget_remaining() {
            coop::consume_budget().await;
        }
        let received = cut.call(client.recv(), async || {}).await;
        if let Some(message) = &received {
            assert!(*message.as_ref().unwrap() == numbered(0));
        }
        expect(&mut client, (u8::from(received.is_some())..3).map(numbered)).await;
        close(server, client).await;
        received.is_some()
    });
}

#[test]
fn thousands_of_times_while_messages_stream_in() {
    alone(async {
        const COUNT: u32 = 10_000;
        let place = Place::tcp();
        let (server, mut client) = place.pair().await;
        let sending = tokio::spawn(async move {
            for number in 0..COUNT {
                server.send(&number.to_be_bytes()).await.unwrap();
                if number % 100 == 0 {
                    tokio::task::yield_now().await;
                }
            }
            server
        });
        let mut dropped = 0;
        within("all messages", async {
            for number in 0..COUNT {
                let message = loop {
                    // Dropped at its first wait, again and again.
                    let first = {
                        let mut receiving = pin!(client.recv());
                        poll_fn(|cx| Poll::Ready(receiving.as_mut().poll(cx))).await
                    };
                    match first {
                        Poll::Ready(message) => break message.unwrap(),
                        Poll::Pending => dropped += 1,
                    }
                    tokio::select! {
                        biased;
                        message = client.recv() => break message.unwrap(),
                        () = tokio::task::yield_now() => dropped += 1,
                    }
                };
                assert_eq!(message.first(), &number.to_be_bytes()[..]);
            }
        })
        .await;
        assert!(dropped > 0);
        drop(sending.await.unwrap());
    });
}
