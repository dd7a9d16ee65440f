//! An XPUB receives the requests of its subscribers, and can answer each of them.

use zmtp_socket::{
    Closed, Event, Message, Overrun, Peer, Reason, RecvError, Request, SendError, TryRecvError,
    Verbosity, XPubOptions, XPubSocket, XSubOptions,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, event, eventually, receive, receive_text, wanted, within};

async fn bound(place: &Place, options: XPubOptions) -> XPubSocket {
    let server = place.context.xpub_socket(options);
    server.bind(&*place.endpoint).await.unwrap();
    server
}

async fn request(server: &mut XPubSocket) -> Request {
    within("a request", server.recv()).await.expect("the socket is open")
}

/// `+topic` or `-topic`, or the message; and its peer.
fn text(request: &Request) -> (String, Peer) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    let said = match request {
        Request::Subscribe { topic, .. } => format!("+{}", text(topic)),
        Request::Unsubscribe { topic, .. } => format!("-{}", text(topic)),
        Request::Message { message, .. } => text(message.first()),
        other => panic!("{other:?}"),
    };
    (said, request.peer().clone())
}

async fn expect(server: &mut XPubSocket, said: &str) -> Peer {
    let (heard, peer) = text(&request(server).await);
    assert_eq!(heard, said);
    peer
}

over_each_transport! {
    async fn the_first_subscription_to_a_topic_is_told_and_the_end_of_the_last(place: Place) {
        let mut server = bound(&place, XPubOptions::new()).await;
        let (first, second) = (place.subscriber("a"), place.subscriber("a"));
        first.connect(&*place.endpoint).unwrap();
        expect(&mut server, "+a").await;
        second.subscribe("b");
        second.connect(&*place.endpoint).unwrap();
        expect(&mut server, "+b").await;
        within("the end", first.close()).await;
        eventually("one is gone", || server.subscriber_count() == 1).await;
        second.unsubscribe("b");
        expect(&mut server, "-b").await;
        within("the end", second.close()).await;
        expect(&mut server, "-a").await;
        assert_eq!(server.try_recv().unwrap_err(), TryRecvError::Empty);
    }

    async fn each_subscription_is_told_where_it_is_wanted_with_whose_it_is(place: Place) {
        for verbosity in [Verbosity::Subscriptions, Verbosity::All] {
            let mut server = bound(&place, XPubOptions::new().verbosity(verbosity)).await;
            let (first, second) = (place.subscriber("a"), place.subscriber("a"));
            first.connect(&*place.endpoint).unwrap();
            let one = expect(&mut server, "+a").await;
            second.connect(&*place.endpoint).unwrap();
            let two = expect(&mut server, "+a").await;
            assert_ne!(one, two);
            first.unsubscribe("a");
            if verbosity == Verbosity::All {
                assert_eq!(expect(&mut server, "-a").await, one);
            }
            second.unsubscribe("a");
            assert_eq!(expect(&mut server, "-a").await, two);
            within("the end", server.close()).await;
        }
    }

    async fn who_comes_late_is_told_how_things_stand_and_nobody_else_is(place: Place) {
        let mut server = bound(&place, XPubOptions::new().verbosity(Verbosity::Subscriptions)).await;
        let mut early = place.subscriber("a");
        early.connect(&*place.endpoint).unwrap();
        expect(&mut server, "+a").await;
        server.send("a 1").await.unwrap();
        assert_eq!(receive_text(&mut early).await, "a 1");
        let mut late = place.subscriber("a");
        late.connect(&*place.endpoint).unwrap();
        let peer = expect(&mut server, "+a").await;
        assert!(server.send_to(&peer, "a 1").unwrap());
        server.send("a 2").await.unwrap();
        for expected in ["a 1", "a 2"] {
            assert_eq!(receive_text(&mut late).await, expected);
        }
        assert_eq!(receive_text(&mut early).await, "a 2");
        within("the end", late.close()).await;
        eventually("it is gone", || server.subscriber_count() == 1).await;
        assert!(!server.send_to(&peer, "a 3").unwrap());
    }

    async fn in_manual_mode_the_user_subscribes(place: Place) {
        let mut server = bound(&place, XPubOptions::new().manual(true)).await;
        let mut client = place.subscriber("a");
        client.subscribe("ab");
        client.connect(&*place.endpoint).unwrap();
        let peer = expect(&mut server, "+a").await;
        expect(&mut server, "+ab").await;
        assert_eq!(server.subscriber_count(), 0, "nobody has been subscribed");
        assert!(server.subscribe(&peer, "ab"));
        assert!(!server.subscribe(&peer, "ab"), "it is");
        for message in ["a 1", "ab 2"] {
            server.send(message).await.unwrap();
        }
        assert_eq!(receive_text(&mut client).await, "ab 2");
        client.unsubscribe("ab");
        expect(&mut server, "-ab").await;
        assert_eq!(server.subscriber_count(), 1, "and nobody's subscription has ended");
        server.unsubscribe(&peer, "ab");
        assert!(server.unsubscribe(&peer, "ab"), "two subscriptions take two ends");
        assert_eq!(server.subscriber_count(), 0);
    }

    async fn in_manual_mode_peers_that_want_the_same_are_told_apart(place: Place) {
        let mut server = bound(&place, XPubOptions::new().manual(true)).await;
        let mut clients = Vec::new();
        for _ in 0..2 {
            let client = place.context.xsub_socket(XSubOptions::new());
            client.subscribe("a");
            client.connect(&*place.endpoint).unwrap();
            within("a publisher", client.wait_for_publisher()).await.unwrap();
            client.send("so much for that").await.unwrap();
            eventually("it is sent", || client.stats().sent == 1).await;
            clients.push(client);
        }
        let mut asked = Vec::new();
        for _ in 0..2 {
            let peer = expect(&mut server, "+a").await;
            assert!(server.subscribe(&peer, "a"), "it is another");
            assert_eq!(expect(&mut server, "so much for that").await, peer);
            asked.push(peer);
        }
        for client in clients {
            client.close().await;
        }
        let mut left = [expect(&mut server, "-a").await, expect(&mut server, "-a").await];
        left.sort_by_key(Peer::id);
        asked.sort_by_key(Peer::id);
        assert_eq!(asked, left);
    }

    async fn a_message_comes_with_whose_it_is_and_can_be_answered(place: Place) {
        let mut server = bound(&place, XPubOptions::new()).await;
        let mut client = place.context.xsub_socket(XSubOptions::new());
        client.subscribe("answer");
        client.connect(&*place.endpoint).unwrap();
        within("a publisher", client.wait_for_publisher()).await.unwrap();
        let question = Message::multipart(["question", "2 + 2"]).unwrap();
        client.send(question.clone()).await.unwrap();
        expect(&mut server, "+answer").await;
        let Request::Message { peer, message } = request(&mut server).await else {
            panic!("a message")
        };
        assert_eq!(message, question);
        let stats = server.stats();
        let octets = question.encoded_len() as u64;
        assert_eq!((stats.received, stats.received_octets), (1, octets));
        assert_eq!((stats.peers[0].received, stats.peers[0].received_octets), (1, octets));
        assert_eq!(peer.info().unwrap().socket_type, Some(zmtp_socket::SocketType::XSub));
        server.send_to(&peer, "answer 4").unwrap();
        assert_eq!(receive_text(&mut client).await, "answer 4");
    }

    async fn a_peer_is_welcomed_before_all_else(place: Place) {
        let welcome = Message::multipart(["hello", "there"]).unwrap();
        let server = bound(&place, XPubOptions::new().welcome(welcome.clone())).await;
        let mut client = place.subscriber("hello");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "hello").await;
        server.send("hello again").await.unwrap();
        assert_eq!(receive(&mut client).await, welcome);
        assert_eq!(receive_text(&mut client).await, "hello again");
    }

    async fn with_inverted_matching_a_subscription_keeps_messages_away(place: Place) {
        use zmtp_socket::{PubOptions, SubOptions};

        let server = place.context.pub_socket(PubOptions::new().invert_matching(true));
        server.bind(&*place.endpoint).await.unwrap();
        let options = || SubOptions::new().invert_matching(true);
        let mut all = place.context.sub_socket(options());
        let mut some = place.context.sub_socket(options());
        some.subscribe("a");
        for client in [&all, &some] {
            client.connect(&*place.endpoint).unwrap();
        }
        eventually("both, one of them subscribed", || {
            server.stats().peers.len() == 2 && server.subscriber_count() == 1
        })
        .await;
        for message in ["a 1", "a 2", "b 1", "b 2", "a 3", "c", ""] {
            server.send(message).await.unwrap();
        }
        for expected in ["a 1", "a 2", "b 1", "b 2", "a 3", "c", ""] {
            assert_eq!(receive_text(&mut all).await, expected);
        }
        for expected in ["b 1", "b 2", "c", ""] {
            assert_eq!(receive_text(&mut some).await, expected);
        }
        assert_eq!(some.stats().received, 4, "it was not sent what it would have filtered");
    }

    async fn a_peer_whose_requests_nobody_reads_is_closed_and_its_neighbour_is_not(place: Place) {
        let mut server = bound(&place, XPubOptions::new().max_subscriptions(50).max_subscription_octets(10_000)).await;
        let mut monitor = server.monitor();
        let mut good = place.subscriber("good");
        good.connect(&*place.endpoint).unwrap();
        wanted(&server, "good").await;
        let flood = place.context.xsub_socket(XSubOptions::new());
        flood.connect(&*place.endpoint).unwrap();
        within("a publisher", flood.wait_for_publisher()).await.unwrap();
        for number in 0..100 {
            flood.send(format!("question {number}")).await.unwrap();
        }
        let reason = event(&mut monitor, "its end", |event| match event {
            Event::Disconnected { reason, .. } => Some(reason),
            _ => None,
        })
        .await;
        assert!(matches!(reason, Reason::Overrun(Overrun::Requests { requests: 50, .. })), "{reason}");
        server.send("good").await.unwrap();
        assert_eq!(receive_text(&mut good).await, "good");
        expect(&mut server, "+good").await;
        expect(&mut server, "question 0").await;
    }

    async fn of_what_goes_past_a_peers_limit_neither_the_beginning_nor_the_end_is_told(place: Place) {
        let options = XPubOptions::new().verbosity(Verbosity::All).max_subscriptions(1).max_subscription_octets(100);
        let mut server = bound(&place, options).await;
        let mut monitor = server.monitor();
        let client = place.subscriber("a");
        client.connect(&*place.endpoint).unwrap();
        expect(&mut server, "+a").await;
        client.subscribe("b");
        event(&mut monitor, "its end", |event| match event {
            Event::Disconnected { reason: Reason::Overrun(_), .. } => Some(()),
            _ => None,
        })
        .await;
        within("the end", server.handle().close()).await;
        expect(&mut server, "-a").await;
        // The peer may have come back meanwhile.
        while let Ok(request) = server.recv().await {
            let (heard, _) = text(&request);
            assert!(["+a", "-a"].contains(&&*heard), "{heard}");
        }
    }

    async fn a_closed_socket_gives_what_it_has_heard_and_then_its_end(place: Place) {
        let mut server = bound(&place, XPubOptions::new()).await;
        let client = place.context.xsub_socket(XSubOptions::new());
        client.connect(&*place.endpoint).unwrap();
        within("a publisher", client.wait_for_publisher()).await.unwrap();
        client.send("last words").await.unwrap();
        eventually("they are sent", || client.stats().sent == 1).await;
        client.subscribe("a");
        wanted(&server, "a").await;
        let publisher = server.handle();
        within("the end", publisher.close()).await;
        // The subscription was taken back before it was read.
        expect(&mut server, "last words").await;
        assert!(matches!(server.recv().await, Err(RecvError::Closed(_))));
    }
}

#[tokio::test]
async fn who_waits_for_a_request_is_woken_by_it_and_by_the_end() {
    let place = Place::inproc();
    let mut server = bound(&place, XPubOptions::new()).await;
    let publisher = server.handle();
    let waiting = tokio::spawn(async move {
        let first = server.recv().await;
        (first.map(|request| text(&request).0), server.recv().await)
    });
    tokio::task::yield_now().await;
    let client = place.subscriber("a");
    client.connect(&*place.endpoint).unwrap();
    wanted(&publisher, "a").await;
    let closing = tokio::spawn(async move { publisher.close().await });
    let (first, then) = within("both", waiting).await.unwrap();
    assert_eq!(first.unwrap(), "+a");
    let ended = match then {
        // Its subscriber may have left before.
        Ok(Request::Unsubscribe { .. }) | Err(RecvError::Closed(_)) => true,
        _ => false,
    };
    assert!(ended);
    drop(client);
    closing.await.unwrap();
}

#[tokio::test]
async fn handles_do_not_keep_it_open() {
    let place = Place::inproc();
    let server = bound(&place, XPubOptions::new()).await;
    let (handle, mut monitor) = (server.handle(), server.monitor());
    drop(server);
    within("the end", async { while monitor.next().await.is_some() {} }).await;
    assert_eq!(handle.send("a").await, Err(SendError::Closed(Closed)));
}
