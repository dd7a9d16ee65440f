//! REP: requests are answered in any order, by any task.

use zmtp_socket::{DealerOptions, RepOptions, ReqOptions, ReqSocket};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, eventually, receive, within};

use crate::meeting::{bound, connected, message, peers};

over_each_transport! {
    async fn many_requests_are_answered_in_any_order_by_many_tasks(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let asking: Vec<_> = (0..10u8)
            .map(|number| {
                let mut req: ReqSocket = connected(&place, ReqOptions::new());
                tokio::spawn(async move {
                    for round in 0..10u8 {
                        let reply = within("a reply", req.request(&[number, round])).await;
                        assert_eq!(reply.unwrap().first(), &[number, round, 7][..]);
                    }
                })
            })
            .collect();
        for _ in 0..10 {
            let mut requests = Vec::new();
            for _ in 0..10 {
                requests.push(within("a request", rep.recv()).await.unwrap());
            }
            for (request, reply) in requests.into_iter().rev() {
                tokio::spawn(async move {
                    let answer = [&request.first()[..], &[7]].concat();
                    reply.send(answer).await.unwrap();
                });
            }
        }
        for asking in asking {
            within("the replies", asking).await.unwrap();
        }
        let stats = rep.stats();
        assert_eq!((stats.received, stats.sent, stats.dropped), (100, 100, 0));
    }

    async fn one_peer_may_be_answered_out_of_order(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let mut dealer = connected(&place, DealerOptions::new());
        dealer.send(message(["1", "", "one"])).await.unwrap();
        dealer.send(message(["2", "x", "", "two", ""])).await.unwrap();
        let (one, first) = within("a request", rep.recv()).await.unwrap();
        let (two, second) = within("a request", rep.recv()).await.unwrap();
        assert_eq!((one.parts(), two.parts()), (&["one".into()][..], &["two".into(), "".into()][..]));
        second.send("second").await.unwrap();
        first.send("first").await.unwrap();
        assert_eq!(receive(&mut dealer).await.parts(), ["2", "x", "", "second"]);
        assert_eq!(receive(&mut dealer).await.parts(), ["1", "", "first"]);
    }

    async fn a_reply_to_a_peer_that_has_gone_is_dropped_and_counted(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let dealer = connected(&place, DealerOptions::new());
        dealer.send(message(["", "well?"])).await.unwrap();
        let (_, reply) = within("a request", rep.recv()).await.unwrap();
        dealer.close().await;
        peers(&rep, 0).await;
        // A later peer does not get it.
        let mut next = connected(&place, DealerOptions::new());
        peers(&rep, 1).await;
        reply.send("to nobody").await.unwrap();
        assert_eq!((rep.stats().dropped, rep.stats().sent), (1, 0));
        next.send(message(["", "and me?"])).await.unwrap();
        let (_, reply) = within("a request", rep.recv()).await.unwrap();
        reply.send("to you").await.unwrap();
        assert_eq!(receive(&mut next).await.parts(), ["", "to you"]);
    }

    async fn what_is_no_request_is_passed_over_and_counted(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let mut dealer = connected(&place, DealerOptions::new().probe(true));
        let malformed =
            [message(["no envelope"]), message(["no", "envelope"]), message(["no body", ""])];
        for malformed in malformed {
            dealer.send(malformed).await.unwrap();
        }
        dealer.send(message(["", "good"])).await.unwrap();
        let (request, reply) = within("a request", rep.recv()).await.unwrap();
        assert_eq!(request.parts(), ["good"]);
        reply.send("too").await.unwrap();
        assert_eq!(receive(&mut dealer).await.parts(), ["", "too"]);
        eventually("the rest to be counted", || rep.stats().filtered == 4).await;
        assert_eq!(rep.stats().received, 5);
    }

    async fn two_peers_of_one_identity_are_both_served(place: Place) {
        let mut rep = bound(&place, RepOptions::new()).await;
        let mut reqs =
            [(); 2].map(|()| connected(&place, ReqOptions::new().identity("the same")));
        peers(&rep, 2).await;
        for req in &mut reqs {
            let (reply, ()) = tokio::join!(within("a reply", req.request("well?")), async {
                let (_, reply) = within("a request", rep.recv()).await.unwrap();
                reply.send("well").await.unwrap();
            });
            assert_eq!(reply.unwrap().parts(), ["well"]);
        }
    }
}
