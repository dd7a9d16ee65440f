//! REQ: each reply answers its own request, or there is none.

use std::time::Duration;

use zmtp_socket::{
    Message, RepOptions, RepSocket, ReqOptions, ReqSocket, RequestError, RouterOptions,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, eventually, within};

use crate::meeting::{beside, bound, connected, message, peers};

/// Long enough for a connected peer.
const SOME_TIME: Duration = Duration::from_millis(300);

async fn ask(req: &mut ReqSocket, text: &'static str) -> Result<Message, RequestError> {
    within("an answer", req.request(text)).await
}

/// Receives this request, and answers it.
async fn answer(rep: &mut RepSocket, request: &str, reply: &'static str) {
    let (came, back) = within("a request", rep.recv()).await.unwrap();
    assert_eq!(came.parts(), [request]);
    back.send(reply).await.unwrap();
}

/// Makes a request that a server receives, and gives it up.
async fn given_up(req: &mut ReqSocket, rep: &mut RepSocket) -> zmtp_socket::Reply {
    tokio::select! {
        answer = req.request("given up") => panic!("nobody answers: {answer:?}"),
        request = within("a request", rep.recv()) => request.unwrap().1,
    }
}

over_each_transport! {
    async fn a_request_is_answered(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        for correlate in [false, true] {
            let mut req = connected(&place, ReqOptions::new().correlate(correlate));
            for _ in 0..3 {
                let request = message(["What", "", "is it?"]);
                let (reply, ()) = tokio::join!(within("a reply", req.request(&request)), async {
                    let (request, reply) = within("a request", rep.recv()).await.unwrap();
                    assert_eq!(request.parts(), ["What", "", "is it?"]);
                    reply.send(message(["", "nothing", ""])).await.unwrap();
                });
                assert_eq!(reply.unwrap().parts(), ["", "nothing", ""]);
            }
        }
        assert_eq!((rep.stats().filtered, rep.stats().dropped), (0, 0));
    }

    async fn a_message_that_came_before_the_request_is_no_reply_to_it(place: Place) {
        let mut router = bound(&place, RouterOptions::new()).await;
        let mut req = connected(&place, ReqOptions::new().probe(true));
        let (peer, _probe) = within("a probe", router.recv()).await.unwrap();
        router.send_to(&peer, message(["", "early"])).await.unwrap();
        eventually("the early one", || req.stats().received == 1).await;
        let (reply, ()) = tokio::join!(ask(&mut req, "well?"), async {
            let (peer, _request) = within("a request", router.recv()).await.unwrap();
            router.send_to(&peer, message(["", "in time"])).await.unwrap();
        });
        assert_eq!(reply.unwrap().parts(), ["in time"]);
        assert_eq!(req.stats().filtered, 1);
    }

    async fn what_is_no_reply_is_passed_over(place: Place) {
        for correlate in [false, true] {
            let place = place.another();
            let mut router = bound(&place, RouterOptions::new()).await;
            let mut req = connected(&place, ReqOptions::new().correlate(correlate));
            let (reply, ()) = tokio::join!(ask(&mut req, "well?"), async {
                let (peer, mut request) = within("a request", router.recv()).await.unwrap();
                let envelope = request.take_envelope().unwrap();
                assert_eq!(request.parts(), ["well?"]);
                let mut bad = vec![
                    message(["no envelope"]),
                    message(["no", "envelope"]),
                    message([""]),
                    message(["another's", "", "number"]),
                ];
                if correlate {
                    bad.push(message(["", "no number"]));
                }
                for bad in bad {
                    router.send_to(&peer, bad).await.unwrap();
                }
                let mut reply = message(["good"]);
                reply.prepend(envelope);
                router.send_to(&peer, reply).await.unwrap();
            });
            assert_eq!(reply.unwrap().parts(), ["good"]);
        }
    }

    async fn what_another_peer_says_is_no_reply(place: Place) {
        let there = place.another();
        let mut one = bound(&place, RouterOptions::new()).await;
        let other = place.context.socket(RouterOptions::new());
        other.bind(beside(&there)).await.unwrap();
        let mut req = connected(&place, ReqOptions::new().identity("asker"));
        req.connect(beside(&there)).unwrap();
        peers(&req, 2).await;
        peers(&one, 1).await;
        peers(&other, 1).await;
        let (reply, ()) = tokio::join!(ask(&mut req, "well?"), async {
            let mut other = other;
            // Either server may have been asked.
            let (asked, idle, peer) = tokio::select! {
                request = one.recv() => (&one, &other, request.unwrap().0),
                request = other.recv() => (&other, &one, request.unwrap().0),
            };
            idle.send_to("asker", message(["", "forged"])).await.unwrap();
            eventually("the forged reply to be sent", || idle.stats().sent == 1).await;
            asked.send_to(&peer, message(["", "true"])).await.unwrap();
        });
        assert_eq!(reply.unwrap().parts(), ["true"]);
    }

    async fn requests_go_to_the_peers_in_turn(place: Place) {
        let there = place.another();
        let mut one = bound(&place, RepOptions::new()).await;
        let mut other = place.context.socket(RepOptions::new());
        other.bind(beside(&there)).await.unwrap();
        let mut req = connected(&place, ReqOptions::new());
        req.connect(beside(&there)).unwrap();
        peers(&req, 2).await;
        let asking = async {
            for _ in 0..4 {
                ask(&mut req, "whose turn?").await.unwrap();
            }
        };
        let one = async {
            answer(&mut one, "whose turn?", "mine").await;
            answer(&mut one, "whose turn?", "mine").await;
        };
        let other = async {
            answer(&mut other, "whose turn?", "mine").await;
            answer(&mut other, "whose turn?", "mine").await;
        };
        tokio::join!(asking, one, other);
    }

    async fn a_late_reply_answers_no_later_request(place: Place) {
        for correlate in [false, true] {
            let place = place.another();
            let mut router = bound(&place, RouterOptions::new()).await;
            let options = ReqOptions::new().correlate(correlate).request_timeout(SOME_TIME);
            let mut req = connected(&place, options);
            peers(&req, 1).await;
            let (answer, asked) = tokio::join!(ask(&mut req, "first"), router.recv());
            assert_eq!(answer.unwrap_err(), RequestError::TimedOut);
            let (late_peer, mut late) = asked.unwrap();
            let (answer, ()) = tokio::join!(ask(&mut req, "second"), async {
                let (peer, mut request) = within("a request", router.recv()).await.unwrap();
                let envelope = late.take_envelope().unwrap();
                let mut reply = message(["late"]);
                reply.prepend(envelope);
                router.send_to(&late_peer, reply).await.unwrap();
                let envelope = request.take_envelope().unwrap();
                assert_eq!(request.parts(), ["second"]);
                let mut reply = message(["in time"]);
                reply.prepend(envelope);
                router.send_to(&peer, reply).await.unwrap();
                // A number is enough: the connection stays open.
                assert_eq!(peer.id() == late_peer.id(), correlate);
            });
            assert_eq!(answer.unwrap().parts(), ["in time"]);
        }
    }

    async fn a_request_nobody_takes_times_out(place: Place) {
        let time = Duration::from_millis(30);
        let mut req = connected(&place, ReqOptions::new().request_timeout(time));
        assert_eq!(ask(&mut req, "anybody?").await.unwrap_err(), RequestError::TimedOut);
        assert_eq!(ask(&mut req, "anybody?").await.unwrap_err(), RequestError::TimedOut);
        // They do not arrive once there is a peer.
        assert_eq!((req.stats().queued, req.stats().dropped), (0, 2));
        let mut rep = bound(&place, RepOptions::new()).await;
        peers(&req, 1).await;
        assert!(rep.try_recv().is_err());
    }

    async fn a_request_is_lost_with_its_connection(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let mut req = connected(&place, ReqOptions::new());
        let (answer, ()) = tokio::join!(ask(&mut req, "well?"), async {
            let (_, _reply) = within("a request", rep.recv()).await.unwrap();
            rep.close().await;
        });
        assert_eq!(answer.unwrap_err(), RequestError::Lost);
        // The next request is answered by the peer that then connects.
        let (reply, ()) = tokio::join!(ask(&mut req, "and now?"), async {
            let mut rep = bound(&place, RepOptions::new()).await;
            answer_and_stay(&mut rep, "and now?").await;
        });
        assert_eq!(reply.unwrap().parts(), ["yes"]);
    }

    async fn an_accepted_peer_takes_a_request_along(place: Place) {
        let mut req = bound(&place, ReqOptions::new()).await;
        let mut rep = connected(&place, RepOptions::new());
        let (answer, ()) = tokio::join!(ask(&mut req, "well?"), async {
            let (_, _reply) = within("a request", rep.recv()).await.unwrap();
            rep.close().await;
        });
        assert_eq!(answer.unwrap_err(), RequestError::Lost);
    }

    async fn a_request_that_waits_at_an_endpoint_is_lost_with_it(place: Place) {
        let mut req = connected(&place, ReqOptions::new());
        let handle = req.handle();
        let (answer, ()) = tokio::join!(ask(&mut req, "well?"), async {
            eventually("the request to wait", || handle.stats().queued == 1).await;
            handle.disconnect(&*place.endpoint).await.unwrap();
        });
        assert_eq!(answer.unwrap_err(), RequestError::Lost);
        assert_eq!((handle.stats().queued, handle.stats().undelivered), (0, 1));
        let mut rep = bound(&place, RepOptions::new()).await;
        req.connect(&*place.endpoint).unwrap();
        let (reply, ()) = tokio::join!(ask(&mut req, "and now?"), async {
            answer_and_stay(&mut rep, "and now?").await;
        });
        assert_eq!(reply.unwrap().parts(), ["yes"]);
    }

    async fn a_request_that_waits_at_an_endpoint_that_is_given_up_can_be_given_up(place: Place) {
        let mut req = connected(&place, ReqOptions::new());
        let handle = req.handle();
        {
            let asking = std::pin::pin!(req.request("well?"));
            tokio::select! {
                answer = asking => panic!("nobody is there: {answer:?}"),
                () = eventually("the request to wait", || handle.stats().queued == 1) => {}
            }
        }
        handle.disconnect(&*place.endpoint).await.unwrap();
        let mut rep = bound(&place, RepOptions::new()).await;
        req.connect(&*place.endpoint).unwrap();
        let (reply, ()) = tokio::join!(ask(&mut req, "and now?"), async {
            answer_and_stay(&mut rep, "and now?").await;
        });
        assert_eq!(reply.unwrap().parts(), ["yes"]);
    }

    async fn a_request_ends_with_its_socket(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let mut req = connected(&place, ReqOptions::new());
        let handle = req.handle();
        let (answer, ()) = tokio::join!(ask(&mut req, "well?"), async {
            let (_, _reply) = within("a request", rep.recv()).await.unwrap();
            within("the close", handle.close()).await;
        });
        assert!(matches!(answer.unwrap_err(), RequestError::Closed(_)));
        assert!(matches!(ask(&mut req, "well?").await.unwrap_err(), RequestError::Closed(_)));
    }

    async fn a_request_that_waits_ends_with_its_socket(place: Place) {
        let mut req = connected(&place, ReqOptions::new());
        let handle = req.handle();
        let (answer, closed) = tokio::join!(ask(&mut req, "well?"), async {
            eventually("the request to wait", || handle.stats().queued == 1).await;
            within("the close", handle.close_within(Duration::from_millis(10))).await
        });
        // It does not wait any more, and counts as given up, or was lost with the socket.
        let left = closed.unsent as u64 + handle.stats().dropped;
        assert_eq!((left, handle.stats().queued), (1, 0));
        assert!(matches!(answer.unwrap_err(), RequestError::Closed(_)));
    }

    async fn a_request_is_sent_again_if_its_server_dies(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let mut req = connected(&place, ReqOptions::new().retries(3));
        let (reply, ()) = tokio::join!(ask(&mut req, "well?"), async {
            for _ in 0..3 {
                let (request, _reply) = within("a request", rep.recv()).await.unwrap();
                assert_eq!(request.parts(), ["well?"]);
                rep.close().await;
                rep = bound(&place, RepOptions::new()).await;
            }
            answer_and_stay(&mut rep, "well?").await;
        });
        assert_eq!(reply.unwrap().parts(), ["yes"]);
    }

    async fn a_request_is_sent_to_the_next_server_if_one_does_not_answer(place: Place) {
        let there = place.another();
        let mut one = bound(&place, RepOptions::new()).await;
        let mut other = place.context.socket(RepOptions::new());
        other.bind(beside(&there)).await.unwrap();
        let options = ReqOptions::new().request_timeout(SOME_TIME).retries(1000);
        let mut req = connected(&place, options);
        req.connect(beside(&there)).unwrap();
        let (reply, ()) = tokio::join!(ask(&mut req, "well?"), async {
            // The server that is asked first does not answer.
            let mut next = tokio::select! {
                request = one.recv() => {
                    drop(request);
                    other
                }
                request = other.recv() => {
                    drop(request);
                    one
                }
            };
            answer_and_stay(&mut next, "well?").await;
        });
        assert_eq!(reply.unwrap().parts(), ["yes"]);
    }

    async fn a_request_that_is_given_up_leaves_the_socket_of_use(place: Place) {
        for correlate in [false, true] {
            let place = place.another();
            let mut rep = bound(&place, RepOptions::new()).await;
            let mut req = connected(&place, ReqOptions::new().correlate(correlate));
            let late = given_up(&mut req, &mut rep).await;
            let (reply, ()) = tokio::join!(ask(&mut req, "the next"), async {
                let (request, reply) = within("a request", rep.recv()).await.unwrap();
                assert_eq!(request.parts(), ["the next"]);
                late.send("late").await.unwrap();
                reply.send("in time").await.unwrap();
            });
            assert_eq!(reply.unwrap().parts(), ["in time"]);
            // Without a number the connection has been made anew, and the reply is dropped.
            assert_eq!(rep.stats().dropped, u64::from(!correlate));
        }
    }
}

async fn answer_and_stay(rep: &mut RepSocket, request: &str) {
    answer(rep, request, "yes").await;
    eventually("the reply to be sent", || rep.stats().sent == 1).await;
}
