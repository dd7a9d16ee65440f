//! What stands between clients and servers, or between those that push and those that pull.

use std::collections::BTreeSet;
use std::time::Duration;

use tokio::task::{JoinHandle, JoinSet};
use zmtp_socket::{
    DealerOptions, HighWaterMark, Message, ProxyHandle, PubOptions, PullOptions, PushOptions,
    RepOptions, ReqOptions, RouterOptions, SubOptions, queue, streamer,
};
use zmtp_tests::libzmq::Libzmq;
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, receive, within};

/// A queue that runs: where its clients connect, where its servers do, and what steers it.
async fn started(place: &Place) -> (Place, Place, ProxyHandle, JoinHandle<()>) {
    let (front, back) = (place.another(), place.another());
    let frontend = front.context.socket(RouterOptions::new());
    let backend = back.context.socket(DealerOptions::new());
    frontend.bind(&*front.endpoint).await.unwrap();
    backend.bind(&*back.endpoint).await.unwrap();
    let mut queue = queue(frontend, backend);
    let handle = queue.handle();
    let task = tokio::spawn(async move { queue.run().await });
    (front, back, handle, task)
}

/// Servers that answer each request with itself and their number.
fn serve(at: &Place, count: usize) -> JoinSet<()> {
    (0..count)
        .map(|number| {
            let mut server = at.context.socket(RepOptions::new());
            server.connect(&*at.endpoint).unwrap();
            async move {
                while let Ok((request, reply)) = server.recv().await {
                    let body = [request.first(), format!(" by {number}").as_bytes()].concat();
                    reply.send(body).await.unwrap();
                }
            }
        })
        .collect()
}

/// Asks so often; each reply has to be its request's. Returns who has answered.
async fn ask(at: &Place, client: usize, times: usize) -> BTreeSet<String> {
    let mut req = at.context.socket(ReqOptions::new());
    req.connect(&*at.endpoint).unwrap();
    let mut servers = BTreeSet::new();
    for number in 0..times {
        let request = format!("{client}/{number}");
        let reply = within("a reply", req.request(&request)).await.unwrap();
        let reply = String::from_utf8(reply.first().to_vec()).unwrap();
        let server = reply.strip_prefix(&format!("{request} by ")).expect("its own reply");
        servers.insert(server.to_owned());
    }
    servers
}

over_each_transport! {
    async fn each_reply_goes_to_who_asked_and_all_servers_take_part(place: Place) {
        let (front, back, handle, _task) = started(&place).await;
        let _servers = serve(&back, 5);
        let clients: Vec<_> = (0..20).map(|client| ask(&front, client, 10)).collect();
        let mut answered = BTreeSet::new();
        for client in clients {
            answered.extend(client.await);
        }
        assert_eq!(answered.len(), 5, "{answered:?}");
        let stats = handle.stats();
        assert_eq!((stats.messages, stats.upstream, stats.dropped), (200, 200, 0));
    }

    async fn queues_stand_in_a_row(place: Place) {
        let (front, between, _handle, _task) = started(&place).await;
        let back = place.another();
        let frontend = between.context.socket(RouterOptions::new());
        let backend = back.context.socket(DealerOptions::new());
        frontend.connect(&*between.endpoint).unwrap();
        backend.bind(&*back.endpoint).await.unwrap();
        let mut second = queue(frontend, backend);
        tokio::spawn(async move { second.run().await });
        let _servers = serve(&back, 2);
        for client in 0..3 {
            ask(&front, client, 5).await;
        }
        // A DEALER may put any envelope in front: it comes back as it was.
        let mut dealer = front.context.socket(DealerOptions::new());
        dealer.connect(&*front.endpoint).unwrap();
        let request = Message::multipart(["one", "two", "", "deep"]).unwrap();
        dealer.send(&request).await.unwrap();
        let reply = within("a reply", dealer.recv()).await.unwrap();
        assert_eq!(reply.parts()[..3], ["one", "two", ""]);
        assert!(reply.parts()[3].starts_with(b"deep by "));
    }

    async fn a_queue_pauses_goes_on_and_ends(place: Place) {
        let (front, back, handle, task) = started(&place).await;
        let _servers = serve(&back, 1);
        ask(&front, 0, 1).await;
        handle.pause();
        let mut req = front.context.socket(ReqOptions::new());
        req.connect(&*front.endpoint).unwrap();
        let mut asking = Box::pin(req.request("x"));
        let early = tokio::time::timeout(Duration::from_millis(100), &mut asking).await;
        assert!(early.is_err(), "nothing passes: {early:?}");
        handle.resume();
        within("a reply", asking).await.unwrap();
        assert_eq!(handle.stats().messages, 2);
        handle.stop();
        within("the end of the queue", task).await.unwrap();
    }

    async fn what_is_pushed_comes_in_order_and_waits_for_room(place: Place) {
        const COUNT: u32 = 3000;
        let (front, back) = (place.another(), place.another());
        let few = HighWaterMark::messages(10);
        let frontend = front.context.socket(PullOptions::new().receive_hwm(few));
        let backend = back.context.socket(PushOptions::new().send_hwm(few));
        frontend.bind(&*front.endpoint).await.unwrap();
        backend.bind(&*back.endpoint).await.unwrap();
        let tapped = place.another();
        let tap = tapped.context.pub_socket(PubOptions::new().when_full(zmtp_socket::WhenFull::Wait));
        tap.bind(&*tapped.endpoint).await.unwrap();
        let mut listener = tapped.context.sub_socket(SubOptions::new());
        listener.connect(&*tapped.endpoint).unwrap();
        listener.subscribe_all();
        within("the listener", tap.wait_for_subscriber("")).await.unwrap();
        let mut streamer = streamer(frontend, backend).capture(tap);
        let handle = streamer.handle();
        tokio::spawn(async move { streamer.run().await });
        let pushing = tokio::spawn({
            let push = front.context.socket(PushOptions::new().send_hwm(few));
            push.connect(&*front.endpoint).unwrap();
            async move {
                for number in 0..COUNT {
                    push.send(&number.to_be_bytes()).await.unwrap();
                }
                push.close().await
            }
        });
        let mut pull = back.context.socket(PullOptions::new().receive_hwm(few));
        pull.connect(&*back.endpoint).unwrap();
        assert_eq!(receive(&mut listener).await.first()[..], 0u32.to_be_bytes());
        for number in 0..COUNT {
            assert_eq!(receive(&mut pull).await.first()[..], number.to_be_bytes());
        }
        assert!(within("the end", pushing).await.unwrap().is_empty());
        let stats = handle.stats();
        assert_eq!((stats.messages, stats.upstream), (u64::from(COUNT), 0));
        assert_eq!(stats.octets, u64::from(COUNT) * 6);
    }
}

#[tokio::test]
async fn a_client_that_does_not_read_stops_nobody_else() {
    let place = Place::tcp();
    let (front, back, _handle, _task) = started(&place).await;
    let _servers = serve(&back, 2);
    let stuck = front.context.socket(DealerOptions::new().receive_hwm(HighWaterMark::messages(1)));
    stuck.connect(&*front.endpoint).unwrap();
    let large = Message::multipart([Vec::new(), vec![b'-'; 64 << 10]]).unwrap();
    for _ in 0..500 {
        within("room", stuck.send(&large)).await.unwrap();
    }
    ask(&front, 1, 20).await;
}

#[tokio::test]
async fn clients_and_servers_of_libzmq_meet_through_a_queue() {
    let place = Place::tcp();
    let (front, back, _handle, _task) = started(&place).await;
    let server = Libzmq::new(zmq::REP);
    server.connect(&back.endpoint).await;
    let client = Libzmq::new(zmq::REQ);
    client.connect(&front.endpoint).await;
    for number in 0..10 {
        client.send_parts(vec![format!("{number}").into(), Vec::new()]).await;
        assert_eq!(server.receive_parts().await, [format!("{number}").into_bytes(), Vec::new()]);
        server.send_parts(vec![b"yes".to_vec(), b"and".to_vec()]).await;
        assert_eq!(client.receive_parts().await, [b"yes".to_vec(), b"and".to_vec()]);
    }
}
