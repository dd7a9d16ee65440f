//! The abilities that an XPUB and an XSUB have and a PUB and a SUB do not, with libzmq on either side.

use zmtp_socket::{Message, Request, XPubOptions, XSubOptions};
use zmtp_tests::libzmq::Libzmq;
use zmtp_tests::over;
use zmtp_tests::story::{Place, eventually, receive, within};

over! { [tcp, ipc]
    async fn libzmqs_xsub_is_heard_and_answered(place: Place) {
        let mut server = place.context.xpub_socket(XPubOptions::new());
        server.bind(&*place.endpoint).await.unwrap();
        let client = Libzmq::new(zmq::XSUB);
        client.connect(&place.endpoint).await;
        client.send(b"\x01answer").await;
        let request = within("a request", server.recv()).await.unwrap();
        assert!(matches!(&request, Request::Subscribe { topic, .. } if topic == "answer"));
        client.send_parts(vec![b"question".to_vec(), b"?".to_vec()]).await;
        let Request::Message { peer, message } = within("a request", server.recv()).await.unwrap()
        else {
            panic!("a message")
        };
        assert_eq!(message.parts(), ["question", "?"]);
        server.send_to(&peer, "answer").unwrap();
        assert_eq!(client.receive().await, b"answer");
        client.send(b"\x00answer").await;
        let request = within("a request", server.recv()).await.unwrap();
        assert!(matches!(request, Request::Unsubscribe { topic, .. } if topic == "answer"));
    }

    async fn libzmqs_xpub_hears_our_xsub(place: Place) {
        let server = Libzmq::new(zmq::XPUB);
        server.bind(&place.endpoint).await;
        let client = place.context.xsub_socket(XSubOptions::new());
        client.connect(&*place.endpoint).unwrap();
        client.subscribe("a");
        assert_eq!(server.receive().await, b"\x01a");
        client.send(Message::multipart(["question", "?"]).unwrap()).await.unwrap();
        assert_eq!(server.receive_parts().await, [b"question".to_vec(), b"?".to_vec()]);
        client.unsubscribe("a");
        assert_eq!(server.receive().await, b"\x00a");
    }

    async fn libzmqs_welcome_is_heard_and_ours_by_libzmq(place: Place) {
        let server = Libzmq::new(zmq::XPUB);
        server.set(|socket| socket.set_xpub_welcome_msg(Some("hello")));
        server.bind(&place.endpoint).await;
        let mut client = place.subscriber("hello");
        client.connect(&*place.endpoint).unwrap();
        assert_eq!(receive(&mut client).await.first(), "hello");
        server.close().await;
        drop(client);

        let server = place.context.xpub_socket(XPubOptions::new().welcome("hello"));
        within("the address to be free", async {
            while server.bind(&*place.endpoint).await.is_err() {
                tokio::task::yield_now().await;
            }
        })
        .await;
        let client = Libzmq::new(zmq::SUB);
        client.subscribe("hello").await;
        client.connect(&place.endpoint).await;
        assert_eq!(client.receive().await, b"hello");
    }
}

/// libzmq's XPUB reports a subscription that another peer has made before only if it is verbose, and so
/// does ours.
#[tokio::test]
async fn a_verbose_xpub_tells_libzmqs_subscriptions_each() {
    use zmtp_socket::Verbosity;

    let place = Place::tcp();
    for verbosity in [Verbosity::Distinct, Verbosity::Subscriptions] {
        let mut server = place.context.xpub_socket(XPubOptions::new().verbosity(verbosity));
        server.bind(&*place.endpoint).await.unwrap();
        let clients = [Libzmq::new(zmq::SUB), Libzmq::new(zmq::SUB)];
        for (count, client) in clients.iter().enumerate() {
            client.subscribe("a").await;
            client.connect(&place.endpoint).await;
            eventually("it has subscribed", || server.subscriber_count() == count + 1).await;
        }
        let told = std::iter::from_fn(|| server.try_recv().ok()).count();
        assert_eq!(told, if verbosity == Verbosity::Distinct { 1 } else { 2 });
        within("the end", server.close()).await;
    }
}

/// libzmq's options of the family, on either side. The zmq crate lacks most of them, so the peer is
/// pyzmq's.
mod options {
    use zmtp_socket::{PubOptions, SubOptions, Verbosity};
    use zmtp_tests::pyzmq::{Pyzmq, python};
    use zmtp_tests::story::receive_text;

    use super::*;

    #[tokio::test]
    async fn inverted_matching_means_the_same_to_both() {
        let Some(python) = python() else { return };
        let place = Place::tcp();
        let options = PubOptions::new().invert_matching(true);
        let publisher = place.context.pub_socket(options);
        publisher.bind(&*place.endpoint).await.unwrap();
        let inverted = ["zmq_invert_matching=1"];
        let mut theirs = Pyzmq::start(&python, "SUB", "connect", &place.endpoint, &inverted).await;
        theirs.subscribe(b"a").await;
        eventually("it has subscribed", || publisher.subscriber_count() == 1).await;
        for message in ["a 1", "b 1", "a 2", "b 2"] {
            publisher.send(message).await.unwrap();
        }
        for expected in [&b"b 1"[..], b"b 2"] {
            assert_eq!(theirs.receive().await, [expected]);
        }
        theirs.kill().await;
        within("the end", publisher.close()).await;

        let mut theirs = Pyzmq::start(&python, "XPUB", "bind", &place.endpoint, &inverted).await;
        let mut ours = place.context.sub_socket(SubOptions::new().invert_matching(true));
        ours.subscribe("a");
        ours.connect(&*place.endpoint).unwrap();
        assert_eq!(theirs.receive().await, [b"\x01a"]);
        for message in [&b"a 1"[..], b"b 1", b"a 2", b"b 2"] {
            theirs.send(&[message]).await;
        }
        for expected in ["b 1", "b 2"] {
            assert_eq!(receive_text(&mut ours).await, expected);
        }
    }

    /// libzmq's SUB sends each SUBSCRIBE, but a CANCEL only for the last one. A verbose XPUB of either
    /// library reports each of them.
    #[tokio::test]
    async fn a_verbose_xpub_of_either_tells_each_subscription() {
        let Some(python) = python() else { return };
        let place = Place::tcp();
        let options = XPubOptions::new().verbosity(Verbosity::All);
        let mut ours = place.context.xpub_socket(options);
        ours.bind(&*place.endpoint).await.unwrap();
        let mut theirs = Vec::new();
        for _ in 0..2 {
            let mut peer = Pyzmq::start(&python, "SUB", "connect", &place.endpoint, &[]).await;
            peer.subscribe(b"a").await;
            let told = within("a request", ours.recv()).await.unwrap();
            assert!(matches!(told, Request::Subscribe { topic, .. } if topic == "a"));
            theirs.push(peer);
        }
        for mut peer in theirs {
            peer.unsubscribe(b"a").await;
            let told = within("a request", ours.recv()).await.unwrap();
            assert!(matches!(told, Request::Unsubscribe { topic, .. } if topic == "a"));
            peer.kill().await;
        }
        within("the end", ours.close()).await;

        let verbose = ["zmq_xpub_verboser=1"];
        let mut theirs = Pyzmq::start(&python, "XPUB", "bind", &place.endpoint, &verbose).await;
        let clients = [place.subscriber("a"), place.subscriber("a")];
        for client in &clients {
            client.connect(&*place.endpoint).unwrap();
            assert_eq!(theirs.receive().await, [b"\x01a"]);
        }
        for client in &clients {
            client.unsubscribe("a");
            assert_eq!(theirs.receive().await, [b"\x00a"]);
        }
    }

    /// libzmq's XSUB sends subscriptions and a message as parts of one message, and both XPUBs take them
    /// out.
    #[tokio::test]
    async fn subscriptions_in_a_message_of_several_parts_mean_the_same_to_both() {
        let Some(python) = python() else { return };
        for only_first in [true, false] {
            let place = Place::tcp();
            let option = format!("zmq_only_first_subscribe={}", u8::from(only_first));
            let option = [option.as_str()];
            let options = XPubOptions::new().only_first_subscribe(only_first);
            let mut ours = place.context.xpub_socket(options);
            ours.bind(&*place.endpoint).await.unwrap();
            let mut theirs =
                Pyzmq::start(&python, "XSUB", "connect", &place.endpoint, &option).await;
            theirs.send(&[b"\x01a", b"x", b"\x01b"]).await;
            theirs.send(&[b"x", b"\x01c"]).await;
            let mut heard = Vec::new();
            while heard.iter().filter(|it: &&String| it.starts_with("message")).count() < 2 {
                heard.push(match within("a request", ours.recv()).await.unwrap() {
                    Request::Subscribe { topic, .. } => format!("+{topic:?}"),
                    Request::Unsubscribe { topic, .. } => format!("-{topic:?}"),
                    Request::Message { message, .. } => format!("message {message:?}"),
                    other => panic!("{other:?}"),
                });
            }
            let last: &[&str] = match only_first {
                true => &["message Message[\"x\", \"\\x01c\"]"],
                false => &["+b\"c\"", "message Message[\"x\"]"],
            };
            let first = ["+b\"a\"", "+b\"b\"", "message Message[\"x\"]"];
            assert_eq!(heard, [&first[..], last].concat(), "only_first: {only_first}");
            theirs.kill().await;
            within("the end", ours.close()).await;

            let mut theirs = Pyzmq::start(&python, "XPUB", "bind", &place.endpoint, &option).await;
            let options = XSubOptions::new().only_first_subscribe(only_first);
            let ours = place.context.xsub_socket(options);
            ours.connect(&*place.endpoint).unwrap();
            within("a publisher", ours.wait_for_publisher()).await.unwrap();
            ours.send(Message::multipart(["\x01a", "x"]).unwrap()).await.unwrap();
            assert_eq!(theirs.receive().await, [b"\x01a"]);
            assert_eq!(theirs.receive().await, [b"x"]);
            ours.send(Message::multipart(["x", "\x00a"]).unwrap()).await.unwrap();
            match only_first {
                true => assert_eq!(theirs.receive().await, [&b"x"[..], b"\x00a"]),
                false => {
                    let mut heard = [theirs.receive().await, theirs.receive().await];
                    heard.sort();
                    assert_eq!(heard, [[b"\x00a".to_vec()], [b"x".to_vec()]]);
                }
            }
        }
    }

    /// In manual mode the user answers a subscription of libzmq's with another topic of its choice.
    #[tokio::test]
    async fn a_manual_xpub_serves_libzmq_what_its_user_sees_fit() {
        let Some(python) = python() else { return };
        let place = Place::tcp();
        let mut ours = place.context.xpub_socket(XPubOptions::new().manual(true));
        ours.bind(&*place.endpoint).await.unwrap();
        let mut theirs = Pyzmq::start(&python, "SUB", "connect", &place.endpoint, &[]).await;
        theirs.subscribe(b"a").await;
        let Request::Subscribe { peer, .. } = within("a request", ours.recv()).await.unwrap()
        else {
            panic!("a subscription")
        };
        ours.send("a lost").await.unwrap();
        assert!(ours.subscribe(&peer, "a last"));
        ours.send_to(&peer, "a last value").unwrap();
        for message in ["a 1", "a last 2"] {
            ours.send(message).await.unwrap();
        }
        for expected in [&b"a last value"[..], b"a last 2"] {
            assert_eq!(theirs.receive().await, [expected]);
        }
    }
}
