//! PAIR: one peer at a time.

use zmtp_socket::{Event, PairOptions, Reason, SendError, TryRecvError};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, event, receive, within};

use crate::meeting::{bound, connected, ended, message, peers};

over_each_transport! {
    async fn both_sides_talk(place: Place) {
        let mut one = bound(&place, PairOptions::new()).await;
        assert_eq!(one.try_send("nobody is there"), Err(SendError::Full));
        let mut other = connected(&place, PairOptions::new());
        peers(&one, 1).await;
        for _ in 0..3 {
            one.send(message(["ping", "", "1"])).await.unwrap();
            assert_eq!(receive(&mut other).await.parts(), ["ping", "", "1"]);
            other.send("pong").await.unwrap();
            assert_eq!(receive(&mut one).await.parts(), ["pong"]);
        }
    }

    async fn a_second_peer_is_refused_until_the_first_has_gone(place: Place) {
        let mut server = bound(&place, PairOptions::new()).await;
        let mut monitor = server.monitor();
        let mut first = connected(&place, PairOptions::new());
        peers(&server, 1).await;
        let mut second = connected(&place, PairOptions::new());
        ended(&mut monitor, &Reason::Occupied).await;
        ended(&mut monitor, &Reason::Occupied).await;
        server.send("for the first").await.unwrap();
        assert_eq!(receive(&mut first).await.first(), "for the first");
        first.send("of the first").await.unwrap();
        assert_eq!(receive(&mut server).await.first(), "of the first");
        assert!(matches!(second.try_recv(), Err(TryRecvError::Empty)));

        first.close().await;
        // Until the server has noticed the end of the first, a message may go to it.
        event(&mut monitor, "the end of the first", |event| match event {
            Event::Disconnected { reason, .. } => (!matches!(reason, Reason::Occupied)).then_some(()),
            _ => None,
        })
        .await;
        within("the second to be let in", server.send("for the second")).await.unwrap();
        assert_eq!(receive(&mut second).await.first(), "for the second");
        second.send("of the second").await.unwrap();
        assert_eq!(receive(&mut server).await.first(), "of the second");
    }

    async fn a_peer_that_has_gone_keeps_no_place_though_it_is_unread(place: Place) {
        let mut server = bound(&place, PairOptions::new()).await;
        let first = connected(&place, PairOptions::new());
        first.send("one").await.unwrap();
        first.send("two").await.unwrap();
        assert!(first.close().await.is_empty());
        peers(&server, 0).await;
        let second = connected(&place, PairOptions::new());
        second.send("three").await.unwrap();
        for text in ["one", "two", "three"] {
            assert_eq!(receive(&mut server).await.first(), text);
        }
    }
}
