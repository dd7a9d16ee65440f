//! PUSH and PULL: the turns of the peers, and the queues.

use std::time::{Duration, Instant};

use zmtp_socket::{
    HighWaterMark, PullOptions, PullSocket, PushOptions, PushSocket, SendError, TryRecvError,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{LARGE, Place, eventually, receive, receive_text, within};

use crate::meeting::{beside, bound, connected, peers};

over_each_transport! {
    async fn each_peer_has_its_turn(place: Place) {
        let push = bound(&place, PushOptions::new()).await;
        let mut pulls: Vec<PullSocket> =
            (0..3).map(|_| connected(&place, PullOptions::new())).collect();
        peers(&push, 3).await;
        for number in 0..9u8 {
            push.send(&[number]).await.unwrap();
        }
        let mut firsts = Vec::new();
        for pull in &mut pulls {
            let first = receive(pull).await.first()[0];
            for later in [first + 3, first + 6] {
                assert_eq!(receive(pull).await.first(), &[later][..]);
            }
            firsts.push(first);
        }
        firsts.sort_unstable();
        assert_eq!(firsts, [0, 1, 2]);
    }

    async fn messages_of_many_peers_are_received_in_turn(place: Place) {
        let mut pull = bound(&place, PullOptions::new()).await;
        let pushes: Vec<PushSocket> =
            (0..5).map(|_| connected(&place, PushOptions::new())).collect();
        for (number, push) in (0..).zip(&pushes) {
            push.send(&[number]).await.unwrap();
            push.send(&[number]).await.unwrap();
        }
        eventually("all messages to arrive", || pull.stats().received == 10).await;
        let mut numbers = Vec::new();
        for _ in 0..10 {
            numbers.push(receive(&mut pull).await.first()[0]);
        }
        numbers.sort_unstable();
        assert_eq!(numbers, [0, 0, 1, 1, 2, 2, 3, 3, 4, 4]);
    }

    async fn a_message_waits_for_the_first_peer(place: Place) {
        let push = bound(&place, PushOptions::new()).await;
        assert_eq!(push.try_send("nobody is there"), Err(SendError::Full));
        let sender = push.handle();
        let sending = tokio::spawn(async move { sender.send("first").await });
        let mut pull = connected(&place, PullOptions::new());
        assert_eq!(receive(&mut pull).await.first(), "first");
        within("the sender", sending).await.unwrap().unwrap();
        assert_eq!(push.stats().dropped, 0);
    }

    async fn a_message_waits_no_longer_than_it_may(place: Place) {
        let time = Duration::from_millis(30);
        let push = bound(&place, PushOptions::new().send_timeout(time)).await;
        let begun = Instant::now();
        assert_eq!(within("the end of the wait", push.send("late")).await, Err(SendError::Full));
        assert!(begun.elapsed() >= time);
        let mut pull = connected(&place, PullOptions::new());
        peers(&push, 1).await;
        push.send("in time").await.unwrap();
        assert_eq!(receive(&mut pull).await.first(), "in time");
    }

    async fn messages_wait_at_a_connected_endpoint_until_its_peer_is_there(place: Place) {
        let push = connected(&place, PushOptions::new());
        for number in 0..10u8 {
            push.send(&[number]).await.unwrap();
        }
        assert_eq!((push.stats().queued, push.stats().sent), (10, 0));
        let mut pull = bound(&place, PullOptions::new()).await;
        for number in 0..10u8 {
            assert_eq!(receive(&mut pull).await.first(), &[number][..]);
        }
        eventually("all to be counted", || push.stats().sent == 10).await;
        assert_eq!((push.stats().queued, push.stats().dropped), (0, 0));
        assert!(matches!(pull.try_recv(), Err(TryRecvError::Empty)));
    }

    async fn messages_wait_at_a_connected_endpoint_while_its_peer_is_away(place: Place) {
        let mut pull = bound(&place, PullOptions::new()).await;
        let push = connected(&place, PushOptions::new());
        push.send("before").await.unwrap();
        assert_eq!(receive(&mut pull).await.first(), "before");
        eventually("it to be counted", || push.stats().sent == 1).await;
        pull.close().await;
        peers(&push, 0).await;
        for number in 0..5u8 {
            push.send(&[number]).await.unwrap();
        }
        assert_eq!(push.stats().queued, 5);
        let mut pull = bound(&place, PullOptions::new()).await;
        peers(&push, 1).await;
        push.send("after").await.unwrap();
        for number in 0..5u8 {
            assert_eq!(receive(&mut pull).await.first(), &[number][..]);
        }
        assert_eq!(receive(&mut pull).await.first(), "after");
        eventually("all to be counted", || push.stats().sent == 7).await;
        let stats = push.stats();
        assert_eq!((stats.queued, stats.dropped, stats.undelivered), (0, 0, 0));
    }

    async fn half_of_the_messages_wait_for_the_one_of_two_endpoints_that_is_away(place: Place) {
        let (nobody, mut pull) = (place.another(), bound(&place, PullOptions::new()).await);
        let push = connected(&place, PushOptions::new());
        push.connect(beside(&nobody)).unwrap();
        for number in 0..10u8 {
            push.send(&[number]).await.unwrap();
        }
        for _ in 0..5 {
            receive(&mut pull).await;
        }
        eventually("five to be counted", || push.stats().sent == 5).await;
        assert_eq!(push.stats().queued, 5);
    }

    async fn an_immediate_socket_sends_nothing_to_an_endpoint_that_is_away(place: Place) {
        let nobody = place.another();
        let push = connected(&place, PushOptions::new().immediate(true));
        push.connect(beside(&nobody)).unwrap();
        assert_eq!(push.try_send("nobody is there"), Err(SendError::Full));
        let mut pull = bound(&place, PullOptions::new()).await;
        for number in 0..10u8 {
            push.send(&[number]).await.unwrap();
        }
        for number in 0..10u8 {
            assert_eq!(receive(&mut pull).await.first(), &[number][..]);
        }
        pull.close().await;
        peers(&push, 0).await;
        assert_eq!(push.try_send("nobody is there"), Err(SendError::Full));
    }

    async fn as_many_messages_wait_for_an_absent_peer_as_the_mark_says(place: Place) {
        for mark in [1, 2, 1000] {
            let options = PushOptions::new().send_hwm(HighWaterMark::messages(mark));
            let push = connected(&place, options);
            for _ in 0..mark {
                push.try_send("waits").unwrap();
            }
            assert_eq!(push.try_send("too many"), Err(SendError::Full));
            assert_eq!(push.stats().queued, mark as u64);
            assert_eq!(push.stats().dropped, 0);
        }
    }

    async fn a_full_endpoint_is_passed_over(place: Place) {
        let (nobody, mut pull) = (place.another(), bound(&place, PullOptions::new()).await);
        let push = connected(&place, PushOptions::new().send_hwm(HighWaterMark::messages(2)));
        push.connect(beside(&nobody)).unwrap();
        let mut received = 0;
        for number in 0..20u8 {
            push.send(&[number]).await.unwrap();
            // The sender is ahead only by the messages that the absent peer's queue may take.
            while received + 2 < number {
                receive(&mut pull).await;
                received += 1;
            }
        }
        while received < 18 {
            receive(&mut pull).await;
            received += 1;
        }
        assert_eq!(push.stats().queued, 2);
    }

    async fn what_waits_for_an_accepted_peer_goes_with_it(place: Place) {
        let options = PushOptions::new().send_hwm(HighWaterMark::Unlimited);
        let push = bound(&place, options).await;
        let pull = connected(&place, PullOptions::new().receive_hwm(HighWaterMark::messages(1)));
        peers(&push, 1).await;
        for _ in 0..100 {
            push.send(vec![0; LARGE]).await.unwrap();
        }
        drop(pull);
        peers(&push, 0).await;
        let stats = push.stats();
        assert_eq!(stats.sent + stats.undelivered, 100, "{stats:?}");
        assert!(stats.undelivered > 0, "{stats:?}");
        assert_eq!((stats.queued, stats.queued_octets, stats.dropped), (0, 0, 0));
        assert_eq!(push.try_send("nobody is there"), Err(SendError::Full));

        let mut pull = connected(&place, PullOptions::new());
        push.send("new").await.unwrap();
        assert_eq!(receive(&mut pull).await.first(), "new");
    }

    async fn what_has_arrived_is_received_though_its_sender_has_gone(place: Place) {
        let mut pull = bound(&place, PullOptions::new()).await;
        let push = connected(&place, PushOptions::new());
        for number in 0..3u8 {
            push.send(&[number]).await.unwrap();
        }
        assert!(push.close().await.is_empty());
        peers(&pull, 0).await;
        for number in 0..3u8 {
            assert_eq!(receive(&mut pull).await.first(), &[number][..]);
        }
    }

    async fn a_slow_receiver_slows_its_sender_down_and_loses_nothing(place: Place) {
        let options = PushOptions::new().send_hwm(HighWaterMark::messages(2));
        let push = bound(&place, options).await;
        let options = PullOptions::new().receive_hwm(HighWaterMark::messages(1));
        let mut pull = connected(&place, options);
        peers(&push, 1).await;
        let mut accepted = 0u64;
        while push.try_send(vec![7; LARGE]).is_ok() {
            accepted += 1;
            tokio::task::yield_now().await;
            assert!(accepted < 1000, "it is never full");
        }
        let sender = push.handle();
        let sending = tokio::spawn(async move {
            for number in 0..10 {
                sender.send(format!("behind {number}")).await.unwrap();
            }
        });
        for _ in 0..accepted {
            assert_eq!(receive(&mut pull).await.first().len(), LARGE);
        }
        for number in 0..10 {
            assert_eq!(receive_text(&mut pull).await, format!("behind {number}"));
        }
        within("the sender", sending).await.unwrap();
        assert_eq!((push.stats().dropped, pull.stats().dropped), (0, 0));
    }
}

#[tokio::test]
async fn inside_the_process_a_message_has_arrived_when_it_has_been_sent() {
    let place = Place::inproc();
    let mut pull: PullSocket = bound(&place, PullOptions::new()).await;
    let push: PushSocket = connected(&place, PushOptions::new());
    push.send("hello").await.unwrap();
    assert_eq!(receive(&mut pull).await.first(), "hello");
    eventually("the driver to hear of that", || push.stats().queued == 0).await;
    // No task runs from here on.
    for number in 0..3u8 {
        push.try_send(vec![number; LARGE]).unwrap();
        assert_eq!(
            (push.stats().sent, pull.stats().received),
            (number as u64 + 2, number as u64 + 2)
        );
        assert_eq!(pull.try_recv().unwrap().first(), &vec![number; LARGE]);
    }
    // Of small ones that follow one another closely, a receiver that finds no other fetches all.
    for round in 0..3 {
        for number in 0..100u8 {
            push.try_send(vec![number; round]).unwrap();
        }
        for number in 0..100u8 {
            assert_eq!(pull.try_recv().unwrap().first(), &vec![number; round]);
        }
        assert!(pull.try_recv().is_err());
    }
    assert_eq!((push.stats().queued, push.stats().sent), (0, 304));
}
