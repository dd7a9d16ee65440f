//! Messages between libzmq and us: in each direction, over each transport that both have, with either
//! side binding.

use bytes::Bytes;
use zmtp_socket::{HighWaterMark, Message, PubOptions, SubOptions, Version};
use zmtp_tests::libzmq::{Libzmq, Parts, meet};
use zmtp_tests::story::{Place, eventually, receive, wanted};

/// The number of messages that are sent without a pause.
const MANY: u32 = 10_000;

/// An address in the abstract namespace.
fn abstract_place() -> Place {
    let mut place = Place::ipc();
    let name = place.endpoint.strip_prefix("ipc://").expect("it is ipc").replace('/', ".");
    place.endpoint = format!("ipc://@zmtp{name}");
    place
}

enum Binds {
    We,
    Libzmq,
}

/// Runs each story over tcp, ipc and an abstract ipc name, with either side binding: six tests.
macro_rules! however_they_meet {
    ($(async fn $name:ident($place:ident: Place, $binds:ident: Binds) $story:block)+) => {$(
        mod $name {
            use super::*;

            async fn story($place: Place, $binds: Binds) $story

            #[tokio::test]
            async fn over_tcp_where_we_bind() {
                story(Place::tcp(), Binds::We).await;
            }

            #[tokio::test]
            async fn over_tcp_where_libzmq_binds() {
                story(Place::tcp(), Binds::Libzmq).await;
            }

            #[tokio::test]
            async fn over_ipc_where_we_bind() {
                story(Place::ipc(), Binds::We).await;
            }

            #[tokio::test]
            async fn over_ipc_where_libzmq_binds() {
                story(Place::ipc(), Binds::Libzmq).await;
            }

            #[tokio::test]
            async fn over_an_abstract_name_where_we_bind() {
                story(abstract_place(), Binds::We).await;
            }

            #[tokio::test]
            async fn over_an_abstract_name_where_libzmq_binds() {
                story(abstract_place(), Binds::Libzmq).await;
            }
        }
    )+};
}

however_they_meet! {
    async fn libzmq_receives_what_we_publish(place: Place, binds: Binds) {
        let publisher = place.context.pub_socket(
            PubOptions::new().send_hwm(HighWaterMark::messages(MANY as usize)),
        );
        let subscriber = Libzmq::new(zmq::SUB);
        subscriber.set(|socket| socket.set_rcvhwm(MANY as i32));
        subscriber.subscribe("").await;
        match binds {
            Binds::We => {
                publisher.bind(&place.endpoint).await.expect("it is free");
                subscriber.connect(&place.endpoint).await;
            }
            Binds::Libzmq => {
                subscriber.bind(&place.endpoint).await;
                publisher.connect(&place.endpoint).expect("it can be dialled");
            }
        }
        wanted(&publisher, "").await;
        for message in repertoire() {
            publisher.send(&message).await.expect("it is open");
            assert_same(&subscriber.receive_parts().await, &message);
        }
        // No other task runs meanwhile, so all messages are queued, up to the mark.
        for number in 0..MANY {
            publisher.try_send(number.to_be_bytes().to_vec()).expect("it is open");
        }
        let came = subscriber.call("receive all", |socket| {
            (0..MANY).map(|_| socket.recv_bytes(0)).collect::<Result<Vec<_>, _>>()
        });
        for (number, body) in (0..MANY).zip(came.await) {
            assert_eq!(body, number.to_be_bytes());
        }
        assert_eq!(publisher.stats().dropped, 0);
    }

    async fn we_receive_what_libzmq_publishes(place: Place, binds: Binds) {
        let mut subscriber = place.subscriber("");
        let publisher = Libzmq::new(zmq::PUB);
        // libzmq learns in steps of half the mark how many messages were taken, so the earlier messages
        // count too.
        publisher.set(|socket| socket.set_sndhwm(2 * MANY as i32));
        match binds {
            Binds::We => {
                subscriber.bind(&place.endpoint).await.expect("it is free");
                publisher.connect(&place.endpoint).await;
            }
            Binds::Libzmq => {
                publisher.bind(&place.endpoint).await;
                subscriber.connect(&place.endpoint).expect("it can be dialled");
            }
        }
        meet(&publisher, &mut subscriber, "").await;
        for message in repertoire() {
            publisher.send_parts(message.parts().iter().map(|part| part.to_vec()).collect()).await;
            assert_eq!(receive(&mut subscriber).await, message);
        }
        let send_all = publisher.call("send all", |socket| {
            (0..MANY).try_for_each(|number| socket.send(&number.to_be_bytes()[..], 0))
        });
        send_all.await;
        for number in 0..MANY {
            assert_eq!(receive(&mut subscriber).await.first()[..], number.to_be_bytes());
        }
        assert_eq!(subscriber.stats().filtered, 0);
    }
}

/// Bodies around every limit of a size on the way, and messages of several parts.
fn repertoire() -> Vec<Message> {
    let sizes = [
        0,
        1,
        33,
        254,
        255,
        256,
        257,
        8191,
        8192,
        8193,
        64 << 10,
        (64 << 10) + 1,
        1 << 20,
        16 << 20,
    ];
    let parts: [&[usize]; 5] =
        [&[0, 0], &[1, 0, 255], &[0, 256, 0], &[5, 1 << 20, 8192], &[7; 100]];
    let single = sizes.into_iter().map(|size| Message::from(octets(size)));
    let several = parts
        .into_iter()
        .filter_map(|sizes| Message::multipart(sizes.iter().map(|size| octets(*size))));
    single.chain(several).collect()
}

/// All values of an octet, in a pattern whose period (251) fits no buffer.
fn octets(size: usize) -> Bytes {
    (0..size).map(|place| (place % 251) as u8 ^ size as u8).collect()
}

fn assert_same(came: &Parts, sent: &Message) {
    // Not with assert_eq, which would print megabytes.
    assert!(came == sent.parts(), "libzmq received something else than {sent:?}");
}

#[tokio::test]
async fn the_first_message_after_wait_for_subscriber_reaches_libzmq() {
    for _ in 0..20 {
        let place = Place::tcp();
        let publisher = place.publisher();
        publisher.bind(&place.endpoint).await.expect("it is free");
        let subscriber = Libzmq::new(zmq::SUB);
        subscriber.subscribe("10001").await;
        subscriber.connect(&place.endpoint).await;

        wanted(&publisher, "10001 -3 50").await;
        for update in ["10001 -3 50", "10001 -2 51"] {
            publisher.send(update).await.expect("it is open");
        }
        assert_eq!(subscriber.receive().await, b"10001 -3 50");
    }
}

#[tokio::test]
async fn a_publisher_that_announces_3_0_serves_libzmq() {
    let place = Place::tcp();
    let publisher = place.context.pub_socket(PubOptions::new().version(Version::V3_0));
    publisher.bind(&place.endpoint).await.expect("it is free");
    let subscriber = Libzmq::new(zmq::SUB);
    subscriber.connect(&place.endpoint).await;
    for topic in ["10001", "10002"] {
        subscriber.subscribe(topic).await;
        wanted(&publisher, topic).await;
    }
    subscriber.unsubscribe("10001").await;
    eventually("the unsubscription", || publisher.stats().peers[0].subscriptions == 1).await;
    for message in ["10001 1", "10002 2"] {
        publisher.send(message).await.expect("it is open");
    }
    assert_eq!(subscriber.receive().await, b"10002 2");
    assert_eq!(publisher.stats().sent, 1);
}

#[tokio::test]
async fn a_subscriber_that_announces_3_0_is_served_by_libzmq() {
    let place = Place::tcp();
    let publisher = Libzmq::new(zmq::XPUB);
    publisher.bind(&place.endpoint).await;
    let mut subscriber = place.context.sub_socket(SubOptions::new().version(Version::V3_0));
    subscriber.connect(&place.endpoint).expect("it can be dialled");
    subscriber.subscribe("10001");
    subscriber.subscribe("10002");
    assert_eq!(publisher.receive().await, b"\x0110001");
    assert_eq!(publisher.receive().await, b"\x0110002");
    assert!(subscriber.unsubscribe("10001"));
    assert_eq!(publisher.receive().await, b"\x0010001");
    for message in ["10001 1", "10002 2"] {
        publisher.send(message).await;
    }
    assert_eq!(receive(&mut subscriber).await, Message::from("10002 2"));
    assert_eq!(subscriber.stats().received, 1, "libzmq has forgotten 10001");
}
