//! An XSUB sends to its publishers, and receives all that they send.

use zmtp_socket::{HighWaterMark, Message, Request, XPubOptions, XPubSocket, XSubOptions};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, eventually, receive_text, within};

async fn said(server: &mut XPubSocket) -> String {
    match within("a request", server.recv()).await.expect("the socket is open") {
        Request::Subscribe { topic, .. } => format!("+{}", topic.escape_ascii()),
        Request::Unsubscribe { topic, .. } => format!("-{}", topic.escape_ascii()),
        Request::Message { message, .. } => format!("{}", message.first().escape_ascii()),
        other => panic!("{other:?}"),
    }
}

over_each_transport! {
    async fn a_message_goes_to_every_publisher_and_a_subscription_may_be_one(place: Place) {
        let client = place.context.xsub_socket(XSubOptions::new());
        let mut servers = Vec::new();
        client.bind(&*place.endpoint).await.unwrap();
        for _ in 0..2 {
            let server = place.context.xpub_socket(XPubOptions::new());
            server.connect(&*place.endpoint).unwrap();
            servers.push(server);
        }
        eventually("both", || client.stats().peers.len() == 2).await;
        for message in ["\x01a", "hello", "\x00a", "\x01b"] {
            client.send(message).await.unwrap();
        }
        for server in &mut servers {
            // A subscription that was taken back before it was sent is not sent.
            assert_eq!(said(server).await, "+b");
            assert_eq!(said(server).await, "hello");
        }
        eventually("it is sent", || client.stats().sent == 2).await;
        let stats = client.stats();
        assert_eq!((stats.sent_octets, stats.queued, stats.dropped), (14, 0, 0));
        assert_eq!(stats.peers.iter().map(|peer| peer.sent).collect::<Vec<_>>(), [1, 1]);
    }

    async fn what_waits_for_a_publisher_is_bounded_and_what_is_lost_is_counted(place: Place) {
        let options = XSubOptions::new().send_hwm(HighWaterMark::messages(10));
        let client = place.context.xsub_socket(options);
        let mut server = place.context.xpub_socket(XPubOptions::new());
        server.bind(&*place.endpoint).await.unwrap();
        client.connect(&*place.endpoint).unwrap();
        within("a publisher", client.wait_for_publisher()).await.unwrap();
        // Without an await: the driver has no turn between them.
        for number in 0..25 {
            client.send(format!("{number}")).await.unwrap();
        }
        let stats = client.stats();
        assert_eq!((stats.queued, stats.dropped), (10, 15));
        assert_eq!((stats.peers[0].queued, stats.peers[0].dropped), (10, 15));
        for number in 0..10 {
            assert_eq!(said(&mut server).await, format!("{number}"));
        }
        eventually("it is known to be sent", || client.stats().sent == 10).await;
    }

    async fn subscriptions_may_be_parts_of_a_message(place: Place) {
        for only_first in [true, false] {
            let options = XPubOptions::new().only_first_subscribe(only_first);
            let mut server = place.context.xpub_socket(options);
            server.bind(&*place.endpoint).await.unwrap();
            let options = XSubOptions::new().only_first_subscribe(only_first);
            let client = place.context.xsub_socket(options);
            client.connect(&*place.endpoint).unwrap();
            within("a publisher", client.wait_for_publisher()).await.unwrap();
            client.send(Message::multipart(["\x01a", "x", "\x01b"]).unwrap()).await.unwrap();
            for expected in ["+a", "+b", "x"] {
                assert_eq!(said(&mut server).await, expected);
            }
            client.send(Message::multipart(["x", "\x00b"]).unwrap()).await.unwrap();
            if !only_first {
                assert_eq!(said(&mut server).await, "-b");
            }
            let Request::Message { message, .. } = within("it", server.recv()).await.unwrap() else {
                panic!("the user's")
            };
            assert_eq!(message.part_count(), if only_first { 2 } else { 1 });
            assert_eq!(client.stats().subscriptions, if only_first { 2 } else { 1 });
            server.close().await;
        }
    }

    async fn nothing_is_filtered_out(place: Place) {
        let server = place.context.xpub_socket(XPubOptions::new().welcome("not asked for"));
        server.bind(&*place.endpoint).await.unwrap();
        let mut client = place.context.xsub_socket(XSubOptions::new());
        client.subscribe("a");
        client.connect(&*place.endpoint).unwrap();
        assert_eq!(receive_text(&mut client).await, "not asked for");
        assert_eq!(client.stats().filtered, 0);
    }
}
