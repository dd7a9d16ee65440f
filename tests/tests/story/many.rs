//! Many messages in one call.

use zmtp_socket::{
    Handle, HighWaterMark, Message, PubOptions, PullOptions, PushOptions, SendError, Socket,
    SubOptions, SubSocket, WhenFull, kind,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, eventually, subscribers, within};

/// Messages of several sizes and topics, some of several parts.
fn messages() -> Vec<Message> {
    (0..3000_u32)
        .map(|number| {
            let topic = ["a", "b", "ba"][number as usize % 3];
            let body = vec![7; (number as usize * 131) % 3000];
            match number % 5 {
                0 => (topic, body).into(),
                1 => (topic, number.to_be_bytes().to_vec(), body).into(),
                _ => [topic.as_bytes(), &number.to_be_bytes(), &body].concat().into(),
            }
        })
        .collect()
}

async fn send_all<T: kind::Sends>(handle: &Handle<T>, messages: &[Message]) {
    let mut rest = messages;
    while !rest.is_empty() {
        let sent = within("room", handle.send_many(rest)).await.unwrap();
        assert!(sent > 0);
        rest = &rest[sent..];
    }
}

/// Receives as many as are expected, in batches, half of them borrowed.
async fn expect<T: kind::ReceivesMessages>(socket: &mut Socket<T>, expected: &[Message]) {
    let mut rest = expected;
    while !rest.is_empty() {
        let batch = within("a batch", socket.recv_batch()).await.unwrap();
        assert!(!batch.is_empty() && batch.len() <= rest.len());
        let (now, later) = rest.split_at(batch.len());
        assert!(batch.iter().map(|message| message.to_message()).eq(now.iter().cloned()));
        assert!(batch.eq(now.iter().cloned()));
        rest = later;
    }
}

over_each_transport! {
    async fn many_messages_are_published_in_one_call_each_to_those_who_want_it(place: Place) {
        let server = place.context.pub_socket(PubOptions::new().when_full(WhenFull::Wait));
        server.bind(&*place.endpoint).await.unwrap();
        let mut clients: Vec<(SubSocket, Vec<Message>)> = Vec::new();
        for topic in ["", "b", "ba"] {
            let client = place.subscriber(topic);
            client.connect(&*place.endpoint).unwrap();
            let wanted = messages().into_iter();
            let wanted = wanted.filter(|message| message.first().starts_with(topic.as_bytes()));
            clients.push((client, wanted.collect()));
            subscribers(&server, clients.len()).await;
        }
        let receivers: Vec<_> = clients
            .into_iter()
            .map(|(mut client, wanted)| {
                tokio::spawn(async move { expect(&mut client, &wanted).await })
            })
            .collect();
        send_all(&server, &messages()).await;
        for receiver in receivers {
            within("a receiver", receiver).await.unwrap();
        }
        assert_eq!(server.send_many::<&str>(&[]).await, Ok(0));
    }

    async fn many_messages_are_pushed_in_one_call_and_all_are_pulled_in_order(place: Place) {
        let mut pull = place.context.socket(PullOptions::new());
        pull.bind(&*place.endpoint).await.unwrap();
        let push = place.context.socket(PushOptions::new());
        push.connect(&*place.endpoint).unwrap();
        let receiver = tokio::spawn(async move { expect(&mut pull, &messages()).await });
        send_all(&push, &messages()).await;
        within("the receiver", receiver).await.unwrap();
    }
}

#[tokio::test]
async fn a_call_ends_where_there_is_no_room_and_says_how_far_it_got() {
    let place = Place::inproc();
    let push = place.context.socket(PushOptions::new().send_hwm(HighWaterMark::messages(3)));
    push.connect(&*place.endpoint).unwrap();
    assert_eq!(push.send_many(&["1", "2", "3", "4"]).await, Ok(3));
    let mut waiting = Box::pin(push.send_many(&["4", "5"]));
    let waker = std::task::Waker::noop();
    let cx = &mut std::task::Context::from_waker(waker);
    assert!(waiting.as_mut().poll(cx).is_pending());
    drop(waiting);
    let closer = push.handle();
    drop(push);
    assert!(matches!(closer.send_many(&["6"]).await, Err(SendError::Closed(_))));
}

#[tokio::test]
async fn what_many_messages_at_once_cannot_reach_is_dropped_and_counted() {
    let place = Place::tcp();
    let options = PubOptions::new().send_hwm(HighWaterMark::messages(10));
    let server = place.context.pub_socket(options);
    server.bind(&*place.endpoint).await.unwrap();
    let client = place.context.sub_socket(SubOptions::new());
    client.subscribe("");
    client.connect(&*place.endpoint).unwrap();
    subscribers(&server, 1).await;
    let all = vec![[7; 100]; 100];
    let mut sent = 0;
    while sent < 100 {
        sent += server.send_many(&all[sent..]).await.unwrap();
    }
    let stats = server.stats();
    assert_eq!(stats.sent + stats.queued + stats.dropped, 100);
    eventually("the rest to arrive", || {
        let stats = server.stats();
        stats.queued == 0 && client.stats().received == stats.sent
    })
    .await;
}
