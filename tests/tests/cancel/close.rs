//! `close`, dropped: the socket is closed all the same, its queued messages are delivered while it
//! lingers, and nothing is left open.

use std::time::Duration;

use zmtp_socket::{Closed, Linger, RecvError, SendError};
use zmtp_tests::cancel::everywhere;
use zmtp_tests::story::{LOAD, eventually, expect_load, receive_text, subscribers, within};

#[test]
fn of_a_publisher_while_a_slow_reader_reads_on() {
    for keep in [true, false] {
        everywhere(1, async |place, cut| {
            let (server, mut client) = place.loaded(Linger::Forever).await;
            let mut heard = false;
            let read = async || {
                expect_load(&mut client).await;
                // The end gets room only when the receiver asks for more.
                assert!(client.try_recv().is_err());
                heard = true;
            };
            let handle = server.handle();
            let left = cut.call(handle.close(), read).await;
            assert!(left.is_none_or(|left| left.is_empty()));
            if !cut.is_before_all() {
                assert_eq!(server.try_send("late"), Err(SendError::Closed(Closed)));
                assert!(server.bind("inproc://late").await.is_err());
            }
            let kept = keep.then_some(server);
            if !heard {
                expect_load(&mut client).await;
                assert!(client.try_recv().is_err());
            }
            if let Some(server) = kept {
                if cut.is_before_all() {
                    // The call had not begun.
                    server.send("as before").await.unwrap();
                    assert_eq!(receive_text(&mut client).await, "as before");
                    assert!(client.try_recv().is_err());
                }
                assert_eq!(within("the second close", server.close()).await.unsent, 0);
            }
            left.is_some()
        });
    }
}

#[test]
fn of_a_publisher_whose_reader_is_stuck() {
    let linger = Linger::For(Duration::from_millis(20));
    // One wait for the end of the time, and one for the end of all tasks.
    everywhere(2, async |place, cut| {
        let (server, mut client) = place.loaded(linger).await;
        let mut monitor = server.monitor();
        let handle = server.handle();
        let left = cut.call(handle.close(), async || {}).await;
        // With the drop of the socket, it lingers for its own time.
        drop(server);
        within("the end of the events", async { while monitor.next().await.is_some() {} }).await;
        let mut heard = 0;
        eventually("the publisher to be gone", || {
            while let Ok(message) = client.try_recv() {
                assert_eq!(message.first()[..8], u64::to_be_bytes(heard));
                heard += 1;
            }
            client.stats().peers.is_empty()
        })
        .await;
        assert!(heard < LOAD, "nothing was left to linger for");
        assert!(left.is_none_or(|left| left.unsent as u64 + heard == LOAD));
        left.is_some()
    });
}

#[test]
fn of_a_subscriber_with_messages_and_a_dial_that_leads_nowhere() {
    everywhere(1, async |place, cut| {
        let (server, client) = place.pair().await;
        client.connect("inproc://nobody").unwrap();
        for _ in 0..600 {
            server.send("x").await.unwrap();
        }
        eventually("all of them", || client.stats().received == 600).await;
        let left = cut.call(client.close(), async || {}).await;
        assert!(left.is_none_or(|left| left.unread == 600));
        subscribers(&server, 0).await;
        left.is_some()
    });
}

#[test]
fn of_a_handle_whose_subscriber_receives_the_rest() {
    everywhere(1, async |place, cut| {
        let (server, mut client) = place.pair().await;
        for number in 0..600 {
            server.send(format!("{number}")).await.unwrap();
        }
        eventually("all of them", || client.stats().received == 600).await;
        let handle = client.handle();
        let left = cut.call(handle.close(), async || {}).await;
        assert!(left.is_none_or(|left| left.unread == 600));
        for number in 0..600 {
            assert_eq!(receive_text(&mut client).await, format!("{number}"));
        }
        if cut.is_before_all() {
            server.send("more").await.unwrap();
            assert_eq!(receive_text(&mut client).await, "more");
        } else {
            let end = within("the end", client.recv()).await;
            assert_eq!(end, Err(RecvError::Closed(Closed)));
            subscribers(&server, 0).await;
        }
        left.is_some()
    });
}
