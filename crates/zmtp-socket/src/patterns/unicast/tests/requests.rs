//! Requests whose replies are awaited.

use std::task::Context;

use super::*;
use crate::receive::Receiver;

/// The core of a REQ.
fn requesting() -> Arc<UnicastCore> {
    let request = Some(Requesting::default());
    core(Config { request, ..config(Sends::InTurn, 4) })
}

/// Does not return before the task has spent its share of the runtime's time.
async fn spend_budget() {
    std::future::poll_fn(|cx| {
        while let Poll::Ready(turn) = tokio::task::coop::poll_proceed(cx) {
            turn.made_progress();
        }
        Poll::Ready(())
    })
    .await;
}

#[tokio::test]
async fn a_reply_is_received_though_its_sender_has_left_and_the_task_is_to_yield() {
    let core = requesting();
    let mut peer = Other::accepted(&core);
    send(&core, "request").expect("there is room");
    assert_eq!(peer.read(), ["request"]);
    peer.say("reply");
    peer.cut();
    spend_budget().await;
    let mut receiver = Receiver::default();
    let answer = std::future::poll_fn(|cx| core.poll_answer(&mut receiver, cx)).await;
    assert!(matches!(answer, Ok(Answer::Reply(reply)) if reply.first() == "reply"));
}

#[test]
fn the_loss_of_a_peer_is_noticed_however_it_meets_the_wait_for_its_reply() {
    for _ in 0..2000 {
        let core = requesting();
        let peer = Other::accepted(&core);
        send(&core, "request").expect("there is room");
        let (mut receiver, woken) = (Receiver::default(), Arc::new(Woken::default()));
        let start = std::sync::Barrier::new(2);
        let answer = std::thread::scope(|scope| {
            scope.spawn(|| {
                start.wait();
                peer.cut();
            });
            start.wait();
            let waker = Waker::from(woken.clone());
            core.poll_answer(&mut receiver, &mut Context::from_waker(&waker))
        });
        match answer {
            Poll::Pending => {
                let wakes = woken.0.load(Ordering::Relaxed);
                assert!(wakes > 0, "it waits, and nobody wakes it");
            }
            Poll::Ready(answer) => assert!(matches!(answer, Ok(Answer::Lost))),
        }
    }
}

#[test]
fn after_a_request_is_given_up_the_next_one_goes_out_on_the_next_connection() {
    let core = requesting();
    assert!(core.connected(&endpoint("a"), None));
    let mut peer = Other::dialled(&core, "a");
    send(&core, "1").expect("it is there");
    assert!(peer.take());
    core.abandon_request(false);
    assert!(peer.killed.is_ended());
    send(&core, "2").expect("the endpoint has room");
    peer.cut();
    assert_eq!(Other::dialled(&core, "a").read(), ["2"]);
    let totals = core.totals();
    assert_eq!((totals.sent, totals.dropped + totals.undelivered, totals.queued), (1, 1, 0));
}

#[test]
fn a_request_that_is_given_up_before_it_was_sent_is_dropped() {
    let core = requesting();
    assert!(core.connected(&endpoint("a"), None));
    send(&core, "1").expect("the endpoint has room");
    let mut flush = Wait::default();
    assert!(core.poll_flush(&mut flush, Waker::noop()).is_pending());
    core.abandon_request(false);
    assert!(core.poll_flush(&mut flush, Waker::noop()).is_ready(), "nothing is left to write");
    let totals = core.totals();
    assert_eq!((totals.queued, totals.queued_octets), (0, 0));
    assert_eq!(losses(&core), (1, 3));
    send(&core, "2").expect("the endpoint has room");
    assert_eq!(Other::dialled(&core, "a").read(), ["2"]);
}

#[test]
fn after_a_request_is_given_up_the_next_ones_go_to_the_other_peers() {
    let core = requesting();
    let mut peers = [(); 3].map(|()| Other::accepted(&core));
    send(&core, "1").expect("there is room");
    assert!(peers[0].take());
    core.abandon_request(false);
    assert!(peers[0].killed.is_ended());
    for (text, next) in [("2", 1), ("3", 2), ("4", 1)] {
        send(&core, text).expect("there is room");
        assert_eq!(peers[next].read(), [text]);
        core.abandon_request(true);
    }
}
