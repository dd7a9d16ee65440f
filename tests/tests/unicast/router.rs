//! ROUTER and DEALER: the names of peers, and the peer that gets a message.

use zmtp_socket::{
    DealerOptions, DealerSocket, HighWaterMark, Reason, RouterOptions, RouterSocket, SendError,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{LARGE, Place, event, eventually, gone, receive, within};

use crate::meeting::{bound, connected, connected_once, ended, message, peers};

fn named(name: &'static str) -> DealerOptions {
    DealerOptions::new().identity(name)
}

/// Expects this message of that peer next.
async fn expect(router: &mut RouterSocket, identity: &str, text: &str) {
    let (peer, message) = within("a message", router.recv()).await.unwrap();
    assert_eq!(message.first(), text);
    assert_eq!(peer.identity().unwrap(), identity);
}

async fn told(dealer: &mut DealerSocket, text: &str) {
    assert_eq!(receive(dealer).await.parts(), [text]);
}

over_each_transport! {
    async fn a_peer_is_sent_to_by_what_it_announces(place: Place) {
        let mut router = bound(&place, RouterOptions::new()).await;
        let mut dealers = ["ann", "bob"].map(|name| connected(&place, named(name)));
        peers(&router, 2).await;
        for (dealer, name) in dealers.iter_mut().zip(["ann", "bob"]) {
            router.send_to(name, name).await.unwrap();
            told(dealer, name).await;
            dealer.send("thanks").await.unwrap();
            expect(&mut router, name, "thanks").await;
            let peer = router.peer_with(name).unwrap();
            router.send_to(&peer, message(["", "in parts", ""])).await.unwrap();
            assert_eq!(receive(dealer).await.parts(), ["", "in parts", ""]);
        }
        assert_eq!(router.stats().dropped, 0);
    }

    async fn a_peer_that_announces_nothing_goes_by_five_octets(place: Place) {
        let mut router = bound(&place, RouterOptions::new()).await;
        let mut names = Vec::new();
        for text in ["one", "two"] {
            let mut dealer = connected(&place, DealerOptions::new());
            dealer.send(text).await.unwrap();
            let (peer, message) = within("a message", router.recv()).await.unwrap();
            assert_eq!(message.parts(), [text]);
            let name = peer.identity().unwrap().clone();
            assert_eq!((name.len(), name[0]), (5, 0));
            router.send_to(&name, "by name").await.unwrap();
            told(&mut dealer, "by name").await;
            names.push(name);
        }
        assert_ne!(names[0], names[1]);
    }

    async fn a_message_for_nobody_is_dropped_and_counted(place: Place) {
        let router = bound(&place, RouterOptions::new()).await;
        router.send_to("nobody", "lost").await.unwrap();
        let stats = router.stats();
        assert_eq!((stats.dropped, stats.queued, stats.sent), (1, 0, 0));
    }

    async fn a_message_for_nobody_is_an_error_if_that_is_asked_for(place: Place) {
        let mut router = bound(&place, RouterOptions::new().mandatory(true)).await;
        assert_eq!(router.send_to("nobody", "back").await, Err(SendError::Unroutable));
        assert_eq!(router.try_send_to("nobody", "back"), Err(SendError::Unroutable));
        let dealer = connected(&place, named("ann"));
        dealer.send("hello").await.unwrap();
        expect(&mut router, "ann", "hello").await;
        let peer = router.peer_with("ann").unwrap();
        router.send_to("ann", "hello").await.unwrap();
        dealer.close().await;
        peers(&router, 0).await;
        assert_eq!(router.send_to("ann", "gone").await, Err(SendError::Unroutable));
        assert_eq!(router.send_to(&peer, "gone").await, Err(SendError::Unroutable));
        assert_eq!(router.stats().dropped, 0);
    }

    async fn a_newcomer_with_an_identity_that_is_taken_is_refused(place: Place) {
        let mut router = bound(&place, RouterOptions::new()).await;
        let mut monitor = router.monitor();
        let mut first = connected(&place, named("ann"));
        first.send("first").await.unwrap();
        expect(&mut router, "ann", "first").await;
        let mut second = connected(&place, named("ann"));
        ended(&mut monitor, &Reason::IdentityTaken).await;
        ended(&mut monitor, &Reason::IdentityTaken).await;
        router.send_to("ann", "for the first").await.unwrap();
        told(&mut first, "for the first").await;

        // Then it is let in by itself.
        first.close().await;
        within("the second to be let in", async {
            while router.peer_with("ann").is_none_or(|peer| router.try_send_to(&peer, "for the second").is_err()) {
                tokio::task::yield_now().await;
            }
        })
        .await;
        told(&mut second, "for the second").await;
    }

    async fn a_newcomer_takes_an_identity_over_if_it_may(place: Place) {
        let mut router = bound(&place, RouterOptions::new().handover(true)).await;
        let mut monitor = router.monitor();
        let first = connected_once(&place, named("ann"));
        first.send("first").await.unwrap();
        expect(&mut router, "ann", "first").await;
        first.send("unread").await.unwrap();
        eventually("it to arrive", || router.stats().received == 2).await;
        let old = router.peer_with("ann").unwrap();
        let mut second = connected_once(&place, named("ann"));
        assert_eq!(ended(&mut monitor, &Reason::IdentityTaken).await.id(), old.id());
        peers(&first, 0).await;
        router.send_to("ann", "for the second").await.unwrap();
        told(&mut second, "for the second").await;
        // The messages of the first that had arrived are received all the same.
        let (peer, unread) = within("a message", router.recv()).await.unwrap();
        assert_eq!((peer.id(), unread.first() == "unread"), (old.id(), true));
        second.send("second").await.unwrap();
        expect(&mut router, "ann", "second").await;
    }

    async fn a_connected_peer_can_be_given_a_name_which_is_of_use_at_once(place: Place) {
        let mut router = place.context.socket(RouterOptions::new().mandatory(true));
        router.connect_with(&*place.endpoint, |options| options.peer_identity("server")).unwrap();
        router.send_to("server", "early").await.unwrap();
        assert_eq!(router.stats().queued, 1);
        // The identity that it announces does not matter.
        let mut dealer = bound(&place, named("somebody else")).await;
        told(&mut dealer, "early").await;
        dealer.send("hello").await.unwrap();
        expect(&mut router, "server", "hello").await;
        assert_eq!(
            router.send_to("somebody else", "lost").await,
            Err(SendError::Unroutable)
        );
    }

    async fn a_peer_that_comes_back_is_reached_by_the_same_name(place: Place) {
        let mut router = bound(&place, RouterOptions::new().mandatory(true)).await;
        let first = connected(&place, named("ann"));
        first.send("unread").await.unwrap();
        assert!(first.close().await.is_empty());
        peers(&router, 0).await;
        // The name is free although the message of its peer is unread.
        let mut second = connected(&place, named("ann"));
        peers(&router, 1).await;
        router.send_to("ann", "welcome back").await.unwrap();
        told(&mut second, "welcome back").await;
        let (_, unread) = within("a message", router.recv()).await.unwrap();
        assert_eq!(unread.first(), "unread");
        second.send("second").await.unwrap();
        expect(&mut router, "ann", "second").await;
    }

    async fn a_peer_can_be_sent_away_and_may_come_back(place: Place) {
        let mut router = bound(&place, RouterOptions::new()).await;
        let dealer = connected(&place, named("ann"));
        dealer.send("hello").await.unwrap();
        let (peer, _) = within("a message", router.recv()).await.unwrap();
        let (mut monitor, mut at_the_dealer) = (router.monitor(), dealer.monitor());
        assert!(router.disconnect_peer(&peer));
        assert_eq!(ended(&mut monitor, &Reason::Stopped).await.id(), peer.id());
        assert!(!router.disconnect_peer(&peer));
        gone(&mut at_the_dealer).await;
        dealer.send("hello again").await.unwrap();
        let (returned, message) = within("a message", router.recv()).await.unwrap();
        assert_eq!(message.first(), "hello again");
        assert_ne!(returned.id(), peer.id());
    }

    async fn a_probe_tells_a_router_who_is_there(place: Place) {
        let mut router = bound(&place, RouterOptions::new()).await;
        let mut dealer = connected(&place, named("ann").probe(true));
        let (peer, message) = within("a probe", router.recv()).await.unwrap();
        assert_eq!(message.parts(), [""]);
        assert_eq!(peer.identity().unwrap(), "ann");
        router.send_to(&peer, "hello").await.unwrap();
        told(&mut dealer, "hello").await;
    }

    async fn two_routers_meet_by_a_probe(place: Place) {
        let mut server = bound(&place, RouterOptions::new().identity("server")).await;
        let mut client = connected(&place, RouterOptions::new().identity("client").probe(true));
        let (peer, probe) = within("a probe", server.recv()).await.unwrap();
        assert_eq!(probe.parts(), [""]);
        server.send_to(&peer, "hello").await.unwrap();
        expect(&mut client, "server", "hello").await;
        client.send_to("server", "and you").await.unwrap();
        expect(&mut server, "client", "and you").await;
    }

    async fn a_peer_that_does_not_read_loses_its_own_messages_alone(place: Place) {
        let options = RouterOptions::new().send_hwm(HighWaterMark::messages(2));
        let router = bound(&place, options).await;
        let slow = connected(&place, named("slow").receive_hwm(HighWaterMark::messages(1)));
        let mut quick = connected(&place, named("quick"));
        peers(&router, 2).await;
        let mut monitor = router.monitor();
        let mut sent = 0u64;
        while router.stats().dropped < 3 {
            assert!(sent < 1000, "it is never full");
            router.send_to("slow", vec![0; LARGE]).await.unwrap();
            sent += 1;
            tokio::task::yield_now().await;
        }
        let full = event(&mut monitor, "the loss", |event| match event {
            zmtp_socket::Event::Dropping { peer, .. } => Some(peer),
            _ => None,
        })
        .await;
        assert_eq!(full.identity().unwrap(), "slow");
        for _ in 0..10 {
            router.send_to("quick", "served").await.unwrap();
            told(&mut quick, "served").await;
        }
        let stats = router.stats();
        assert_eq!(stats.dropped, 3, "{stats:?}");
        assert_eq!(stats.sent + stats.queued + stats.dropped, sent + 10, "{stats:?}");
        drop(slow);
    }

    async fn a_dealer_speaks_to_its_peers_in_turn_and_hears_all(place: Place) {
        let mut dealer = bound(&place, DealerOptions::new()).await;
        let mut others: Vec<_> =
            (0..3).map(|_| connected(&place, DealerOptions::new())).collect();
        peers(&dealer, 3).await;
        for _ in 0..6 {
            dealer.send("yours").await.unwrap();
        }
        for other in &mut others {
            told(other, "yours").await;
            told(other, "yours").await;
            other.send("mine").await.unwrap();
        }
        for _ in 0..3 {
            told(&mut dealer, "mine").await;
        }
    }
}
