//! The blocking sockets that send each message to one peer.

use std::thread;
use std::time::Duration;

use zmtp_socket::blocking::{
    Context, DealerSocket, PairSocket, PullSocket, PushSocket, RepSocket, ReqSocket, RouterSocket,
    relay,
};
use zmtp_socket::{
    DealerOptions, HighWaterMark, PairOptions, PullOptions, PushOptions, RepOptions, ReqOptions,
    RequestError, RouterOptions,
};

/// Longer than any step takes that does not hang.
const LONG: Duration = Duration::from_secs(60);

const ANY_PORT: &str = "tcp://127.0.0.1:*";

#[test]
fn requests_are_answered() {
    let context = Context::new();
    let mut server: RepSocket = context.socket(RepOptions::new());
    let endpoint = server.bind(ANY_PORT).unwrap();
    let mut client: ReqSocket = context.socket(ReqOptions::new().request_timeout(LONG));
    client.connect(&endpoint).unwrap();
    let serving = thread::spawn(move || {
        for _ in 0..100 {
            let (request, reply) = server.recv_timeout(LONG).unwrap();
            server.reply(reply, request).unwrap();
        }
        // The client has the last reply, or will have it.
        server.close();
    });
    for number in 0..100 {
        let text = number.to_string();
        assert_eq!(client.request(&text).unwrap().first(), &text);
    }
    serving.join().unwrap();
}

#[test]
fn a_request_that_nobody_answers_ends_in_time() {
    let context = Context::new();
    let server: RepSocket = context.socket(RepOptions::new());
    let endpoint = server.bind(ANY_PORT).unwrap();
    let options = ReqOptions::new().request_timeout(Duration::from_millis(20));
    let mut client: ReqSocket = context.socket(options);
    client.connect(&endpoint).unwrap();
    assert_eq!(client.request("?"), Err(RequestError::TimedOut));
    client.handle().close();
    assert!(matches!(client.request("?"), Err(RequestError::Closed(_))));
}

#[test]
fn a_router_answers_the_peer_that_spoke() {
    let context = Context::new();
    let mut router: RouterSocket = context.socket(RouterOptions::new());
    let endpoint = router.bind(ANY_PORT).unwrap();
    let mut clients = ["ann", "bob"].map(|name| {
        let client: DealerSocket = context.socket(DealerOptions::new().identity(name));
        client.connect(&endpoint).unwrap();
        client.send(name).unwrap();
        client
    });
    for _ in 0..2 {
        let (peer, message) = router.recv_timeout(LONG).unwrap();
        assert_eq!(peer.identity(), Some(message.first()));
        router.send_to(&peer, message).unwrap();
    }
    router.send_to("bob", "and more").unwrap();
    assert_eq!(clients[0].recv_timeout(LONG).unwrap().first(), "ann");
    assert_eq!(clients[1].recv_timeout(LONG).unwrap().first(), "bob");
    assert_eq!(clients[1].recv_timeout(LONG).unwrap().first(), "and more");
    let ann = router.peer_with("ann").unwrap();
    assert!(router.disconnect_peer(&ann));
}

#[test]
fn work_passes_a_relay_in_order() {
    const COUNT: u32 = 5000;
    let context = Context::new();
    let frontend: PullSocket = context.socket(PullOptions::new());
    let endpoint = frontend.bind(ANY_PORT).unwrap();
    let backend: PushSocket = context.socket(PushOptions::new());
    let mut worker: PullSocket = context.socket(PullOptions::new());
    worker.connect(backend.bind(ANY_PORT).unwrap()).unwrap();
    let relay = relay(frontend, backend);
    let handle = relay.handle();
    let running = thread::spawn(move || relay.run());
    let source: PushSocket = context.socket(PushOptions::new());
    source.connect(&endpoint).unwrap();
    let sending = thread::spawn(move || {
        for number in 0..COUNT {
            source.send(&number.to_be_bytes()).unwrap();
        }
        source.close();
    });
    for number in 0..COUNT {
        assert_eq!(worker.recv_timeout(LONG).unwrap().first(), &number.to_be_bytes()[..]);
    }
    sending.join().unwrap();
    assert_eq!(handle.stats().messages, u64::from(COUNT));
    handle.stop();
    running.join().unwrap();
}

#[test]
fn a_pair_talks_both_ways() {
    let context = Context::new();
    let [mut one, mut other]: [PairSocket; 2] =
        [(); 2].map(|()| context.socket(PairOptions::new()));
    other.connect(one.bind(ANY_PORT).unwrap()).unwrap();
    other.send("hello").unwrap();
    assert_eq!(one.recv_timeout(LONG).unwrap().first(), "hello");
    assert!(one.wait_for_peer_timeout(LONG).unwrap() && one.peer_count() == 1);
    one.send("good day").unwrap();
    assert_eq!(other.recv_timeout(LONG).unwrap().first(), "good day");
}

/// Inside a process the sender itself queues messages at the receiver while there is room, and drivers do
/// otherwise.
#[test]
fn messages_inside_the_process_arrive_once_and_in_order_whichever_way_each_takes() {
    for round in 0..200_u64 {
        let mark = HighWaterMark::messages([1, 2, 10, 1000][round as usize % 4]);
        let context = Context::new();
        let mut receiver: PairSocket = context.socket(PairOptions::new().receive_hwm(mark));
        let sender: PairSocket = context.socket(PairOptions::new().send_hwm(mark));
        let is_bound = round % 3 == 0;
        let (first, second) = if is_bound { (&sender, &receiver) } else { (&receiver, &sender) };
        first.bind("inproc://pair").unwrap();
        second.connect("inproc://pair").unwrap();
        const MESSAGES: u64 = 100;
        let sending = thread::spawn(move || {
            for number in 0..MESSAGES {
                sender.send(number.to_string()).unwrap();
                match (number + round) % 16 {
                    0 => thread::sleep(Duration::from_micros(70)),
                    5 => thread::yield_now(),
                    _ => {}
                }
            }
            sender
        });
        for number in 0..MESSAGES {
            if (number * round) % 23 == 3 {
                thread::sleep(Duration::from_micros(50));
            }
            let received = receiver.recv_timeout(LONG).expect("it arrives");
            assert_eq!(received.first(), &number.to_string());
        }
        drop(sending.join().unwrap());
    }
}
