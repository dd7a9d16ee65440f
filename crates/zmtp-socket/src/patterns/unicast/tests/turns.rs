//! The turns of peers, senders and drivers.

use std::task::Context;

use super::*;
use crate::send::gathering::MUCH;
use crate::send::turn::{SENT, TURN};

#[test]
fn a_full_peer_has_its_turn_again_when_half_of_its_queue_is_free_or_with_its_first_receipt() {
    for has_receipts in [false, true] {
        let core = core(config(Sends::InTurn, 4));
        let mut peer = Other::accepted(&core);
        // The driver takes one at a time, since they are large.
        let large = vec![7; 300 << 10];
        for _ in 0..4 {
            core.try_send(&(&large).into()).expect("there is room");
        }
        assert_eq!(states(&core), [PeerState::Congested]);
        assert!(peer.take());
        let octets = peer.burst.len();
        if has_receipts {
            peer.session.written(0, octets);
            assert_eq!(send(&core, "no"), Err(SendError::Full), "it is written, but not there");
            peer.session.written(1, 0);
        } else {
            assert_eq!(peer.write(usize::MAX).len(), octets);
            assert!(peer.take());
            assert_eq!(send(&core, "no"), Err(SendError::Full), "three of four wait");
            peer.write(usize::MAX);
        }
        send(&core, "yes").expect("there is room");
    }
}

#[test]
fn a_message_that_needs_no_wait_is_sent_at_once() {
    let core = core(config(Sends::InTurn, 1));
    assert_eq!(core.send_now(&"1".into()), None, "there is no peer");
    let mut peer = Other::accepted(&core);
    assert_eq!(core.send_now(&"1".into()), Some(Ok(())));
    assert_eq!(core.send_now(&"2".into()), None, "the queue is full");
    let (message, mut waiting) = ("3".into(), Waiting::default());
    assert!(core.poll_send(&message, &mut waiting, Waker::noop()).is_pending());
    assert_eq!(peer.read(), ["1"]);
    assert_eq!(core.poll_send(&message, &mut waiting, Waker::noop()), Poll::Ready(Ok(())));
    assert_eq!(peer.read(), ["3"]);
}

#[test]
fn a_router_has_room_while_any_of_its_peers_has_some() {
    let core = core(config(Sends::ByIdentity, 1));
    let (mut watch, woken) = (Wait::default(), Arc::new(Woken::default()));
    let waker = Waker::from(woken.clone());
    let mut has_room = || core.poll_room(&mut watch, &waker).is_ready();
    let times = || woken.0.swap(0, Ordering::Relaxed);
    assert!(!has_room(), "it has no peer");
    let mut ann = Other::named(&core, "ann").expect("the name is free");
    assert_eq!(times(), 1);
    assert!(has_room());
    send_to(&core, "ann", "1").expect("there is room");
    assert!(!has_room());
    let bob = Other::named(&core, "bob").expect("the name is free");
    assert_eq!(times(), 1);
    assert!(has_room());
    bob.cut();
    assert!(!has_room());
    assert_eq!(ann.read(), ["1"]);
    assert_eq!(times(), 1);
    assert!(has_room());
    send_to(&core, "ann", "2").expect("there is room");
    assert!(!has_room());
    core.close();
    assert_eq!(times(), 1);
    assert_eq!(core.poll_room(&mut watch, &waker), Poll::Ready(Err(Closed)));
}

#[test]
fn a_wait_for_room_ends_when_the_peer_reads_or_goes_or_the_socket_is_closed() {
    for end in ["reads", "goes", "is closed"] {
        let core = core(config(Sends::ByIdentity, 1));
        let mut ann = Other::named(&core, "ann").expect("the name is free");
        let woken = Arc::new(Woken::default());
        let waker = Waker::from(woken.clone());
        let cx = &mut Context::from_waker(&waker);
        let ready = Poll::Ready(Ok(()));
        let wait = || Box::pin(core.wait_for_room(To::Identity(b"ann")));
        assert_eq!(wait().as_mut().poll(cx), ready);
        send_to(&core, "ann", "1").expect("there is room");
        assert!(wait().as_mut().poll(cx).is_pending());
        let mut waiting = wait();
        assert!(waiting.as_mut().poll(cx).is_pending());
        assert_eq!(woken.0.load(Ordering::Relaxed), 0);
        let expected = match end {
            "reads" => {
                assert_eq!(ann.read(), ["1"]);
                ready
            }
            "goes" => {
                ann.cut();
                Poll::Ready(Err(SendError::Unroutable))
            }
            _ => {
                core.close();
                Poll::Ready(Err(Closed.into()))
            }
        };
        assert_eq!(woken.0.load(Ordering::Relaxed), 1, "{end}");
        assert_eq!(waiting.as_mut().poll(cx), expected, "{end}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_sender_waits_for_room_as_long_as_the_socket_is_told_to() {
    let time = Duration::from_secs(7);
    let core = core(Config { when_full: WhenFull::WaitFor(time), ..config(Sends::InTurn, 1) });
    let (begun, message) = (tokio::time::Instant::now(), "1".into());
    let sending = tokio::time::timeout(2 * time, core.send_later(&message));
    assert_eq!((sending.await, begun.elapsed()), (Ok(Err(SendError::Full)), time));
}

#[test]
fn an_idle_peer_keeps_no_memory_for_messages() {
    let core = core(config(Sends::InTurn, 10));
    let mut peer = Other::accepted(&core);
    let keeps_memory = |peer: &mut Other| {
        peer.session.claim(&mut peer.burst);
        lock(&core.state).lanes[0].goes_on(1)
    };
    send(&core, "1").expect("there is room");
    assert!(keeps_memory(&mut peer));
    assert_eq!(peer.read(), ["1"]);
    assert!(!keeps_memory(&mut peer));
}

#[test]
fn a_sender_gives_way_after_its_turn() {
    let core = core(config(Sends::InTurn, TURN));
    let mut peer = Other::accepted(&core);
    let text = Outgoing::from("x");
    let sent = (1..).find(|_| {
        core.try_send(&text).expect("there is room");
        core.turn_is_over.get()
    });
    assert!(sent <= Some(TURN / SENT), "{sent:?}");
    let few = [text.clone(), text.clone()];
    assert_eq!((core.send_going_on(&few), core.send_now(&text)), (0, None));
    assert!(core.take_turn() && !core.take_turn());
    assert_eq!((core.send_going_on(&few), core.send_now(&text)), (2, Some(Ok(()))));
    assert_eq!(peer.read().len(), sent.unwrap() + 3);
}

#[test]
fn a_message_that_fills_the_only_queue_ends_the_turn() {
    for peers in [1, 2] {
        let core = core(config(Sends::InTurn, 1));
        let _peers: Vec<_> = (0..peers).map(|_| Other::accepted(&core)).collect();
        let ends: Vec<_> = (0..peers)
            .map(|_| {
                send(&core, "x").expect("there is room");
                core.take_turn()
            })
            .collect();
        // The next message for one of several peers may have room when these have written a little.
        assert_eq!(ends, vec![peers == 1; peers]);
    }
}

#[test]
fn a_receiver_is_woken_once_for_all_messages_of_a_turn_and_by_an_interruption() {
    let core = core(config(Sends::InTurn, 10));
    let mut peer = Other::accepted(&core);
    let woken = Arc::new(Woken::default());
    let waker = Waker::from(woken.clone());
    let mut hand = crate::receive::Receiver::default();
    let is_there = |hand: &mut crate::receive::Receiver| {
        hand.poll_next(&*core, &mut Context::from_waker(&waker)).is_ready()
    };
    assert!(!is_there(&mut hand));
    peer.say("1");
    peer.say("2");
    assert_eq!(woken.0.load(Ordering::Relaxed), 0);
    peer.session.end_turn();
    assert_eq!(woken.0.load(Ordering::Relaxed), 1);
    assert!(is_there(&mut hand) && is_there(&mut hand) && !is_there(&mut hand));
    crate::engine::driver::Core::interrupt(&*core);
    assert_eq!(woken.0.load(Ordering::Relaxed), 2, "to check again");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_driver_goes_on_with_the_message_that_a_sender_has_begun() {
    let core = core(config(Sends::InTurn, 10));
    let (mut peer, _far) = over_tcp(&core).await;
    assert!(!peer.take(), "the driver waits");
    // More than the system takes at once.
    let much = Bytes::from(vec![7; 32 << 20]);
    core.try_send(&much.clone().into()).expect("there is room");
    let sent = core.totals().sent_octets as usize;
    assert!(sent > 0, "the sender has begun");
    peer.session.claim(&mut peer.burst);
    assert_eq!(sent + peer.burst.len(), much.len() + 9);
    let rest = peer.burst.len();
    peer.session.written(peer.burst.advance(rest), rest);
    let totals = core.totals();
    assert_eq!((totals.sent, totals.queued, totals.queued_octets), (1, 0, 0));
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn a_sender_beside_the_driver_writes_for_it_when_it_has_rested_until_there_is_much() {
    let core = core(config(Sends::InTurn, usize::MAX));
    let (mut peer, _far) = over_tcp(&core).await;
    assert!(!peer.take(), "the driver waits");
    let body = vec![7; 2 << 10];
    let send = |count: usize| {
        // On a thread outside of every runtime, and so busy that no message is written alone.
        let sending = || {
            lock(&core.state).pace = Pace::busy();
            (0..count).for_each(|_| core.try_send(&(&body).into()).expect("there is room"));
        };
        std::thread::scope(|scope| scope.spawn(sending).join().unwrap());
        core.totals().queued
    };
    assert_eq!(send(4), 4);
    assert!(peer.take());
    peer.write(usize::MAX);
    let few = MUCH / body.len() - 2;
    assert!(!peer.take() && send(few) == few as u64 && !peer.take(), "the driver rests");
    assert_eq!(send(3), 1, "all that was there when it was much is written");
    peer.session.drain();
    assert!(peer.take(), "a socket that closes does not rest");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn nothing_more_is_written_to_a_peer_whose_connection_is_about_to_end() {
    let request = Some(Requesting::default());
    let core = core(Config { request, ..config(Sends::InTurn, 4) });
    assert!(core.connected(&endpoint("a"), None));
    let dialled = Peer::dialled(next_id(), endpoint("a"), "test");
    let (mut peer, _far) = peer_over_tcp(&core, dialled).await;
    assert!(!peer.take(), "the driver waits");
    send(&core, "1").expect("it is there");
    assert_eq!(core.totals().sent, 1, "it is written at once");
    core.abandon_request(false);
    // However closely it follows.
    lock(&core.state).pace = Pace::default();
    send(&core, "2").expect("the endpoint has room");
    assert_eq!(core.totals().sent, 1);
    peer.cut();
    assert_eq!(Other::dialled(&core, "a").read(), ["2"]);
}
