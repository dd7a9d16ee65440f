//! The messages of an XSUB to its publishers: however their connections end, each accepted message has
//! been sent, dropped or left undelivered, and is counted so. The sent ones arrive whole, once and in
//! order. `ZMTP_SCENARIOS` sets the number of scenarios of each test, `ZMTP_SEED=17` runs one.

use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{sleep, timeout};
use zmtp_socket::{
    Context, Endpoint, Event, HighWaterMark, Linger, Monitor, Request, XPubHandle, XPubOptions,
    XPubSocket, XSubOptions, XSubSocket,
};
use zmtp_tests::network::{Fault, FaultyNetwork, Manner};

use crate::steps::SECOND;
use zmtp_tests::seed;

const SCENARIOS: u64 = 60;

/// How long nothing arrives, while messages are sent and the end comes about.
const STALL: Duration = Duration::from_secs(20);

/// Longer than the stall and all that comes after it.
const MENDING: Duration = Duration::from_secs(60);

#[test]
fn upstream_messages_of_a_socket_that_is_closed_are_sent_dropped_or_undelivered() {
    run_all(End::Close);
}

#[test]
fn upstream_messages_of_a_socket_that_is_dropped_are_sent_dropped_or_undelivered() {
    run_all(End::Drop);
}

#[test]
fn upstream_messages_of_an_endpoint_that_is_ended_are_sent_dropped_or_undelivered() {
    run_all(End::Endpoint);
}

#[test]
fn upstream_messages_of_a_connection_that_is_cut_are_sent_dropped_or_undelivered() {
    run_all(End::Cut);
}

#[test]
fn upstream_messages_to_a_publisher_that_closes_are_sent_dropped_or_undelivered() {
    run_all(End::Publisher);
}

#[test]
fn an_xsub_that_lingers_delivers_what_it_has_accepted() {
    run_all(End::Linger);
}

/// The event that ends the connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// The XSUB is closed at once.
    Close,
    /// It is dropped.
    Drop,
    /// It ends its endpoint.
    Endpoint,
    Cut,
    /// The publishers close.
    Publisher,
    /// The XSUB is closed, and has time to deliver.
    Linger,
}

#[derive(Debug)]
struct Plan {
    end: End,
    publishers: usize,
    publishers_dial: bool,
    /// The properties of the links.
    room: usize,
    fragment: usize,
    send_hwm: usize,
    messages: usize,
    longest: usize,
    /// Whether nothing arrives while the messages are sent.
    stalls: bool,
    /// The time from the last message to the end.
    pause: Duration,
    chance: fastrand::Rng,
}

impl Plan {
    fn new(seed: u64, end: End) -> Self {
        let mut chance = fastrand::Rng::with_seed(seed);
        let mut pick = |choices: &[usize]| choices[chance.usize(..choices.len())];
        Self {
            end,
            publishers: pick(&[1, 1, 2]),
            publishers_dial: pick(&[0, 1]) == 1,
            room: pick(&[20, 300, 4000, 64 << 10]),
            fragment: pick(&[10, 200, usize::MAX]),
            send_hwm: pick(&[1, 10, 1000]),
            messages: pick(&[1, 5, 50, 300]),
            longest: pick(&[1, 100, 3000]),
            stalls: pick(&[0, 1, 1]) == 1,
            pause: Duration::from_millis(pick(&[0, 0, 1, 500]) as u64),
            chance,
        }
    }
}

/// The counts of the messages of all scenarios.
#[derive(Debug, Default)]
struct Total {
    accepted: u64,
    sent: u64,
    dropped: u64,
    undelivered: u64,
}

fn run_all(end: End) {
    if let Some(seed) = seed::asked_for() {
        println!("{:?}", Plan::new(seed, end));
        seed::run(seed, async |seed| run(Plan::new(seed, end), seed, &mut Total::default()).await);
        return;
    }
    let mut total = Total::default();
    for seed in 0..seed::number("ZMTP_SCENARIOS").unwrap_or(SCENARIOS) {
        seed::run(seed, async |seed| run(Plan::new(seed, end), seed, &mut total).await);
    }
    println!("{end:?}: {total:?}");
    assert!(total.sent > 0 && total.dropped > 0, "{total:?}");
    assert!(total.undelivered > 0 || end == End::Linger, "{total:?}");
}

async fn run(mut plan: Plan, seed: u64, total: &mut Total) {
    let network = FaultyNetwork::healthy(seed);
    network.shape(plan.room, Manner { fragment: plan.fragment, ..Manner::SMOOTH });
    let context = Context::simulated(network.clone(), seed);
    let linger = if plan.end == End::Linger { Linger::For(MENDING) } else { Linger::NONE };
    let mark = HighWaterMark::messages(plan.send_hwm);
    let subscriber = context.xsub_socket(XSubOptions::new().send_hwm(mark).linger(linger));
    let handle = subscriber.handle();
    let mut events = subscriber.monitor();
    let mut publishers = Vec::new();
    for number in 0..plan.publishers {
        publishers.push(Publisher::meet(&plan, &context, &subscriber, &mut events, number).await);
    }

    if plan.stalls {
        network.strike(&Fault::Stall(STALL));
    }
    for number in 0..plan.messages {
        subscriber.send(message(number, plan.chance.usize(..plan.longest))).await.unwrap();
        if plan.chance.u8(0..8) == 0 {
            sleep(Duration::from_millis(1)).await;
        }
    }
    sleep(plan.pause).await;
    let (undelivered, arrived) = end(&plan, &network, subscriber, publishers).await;

    let stats = handle.stats();
    let accepted = (plan.messages * plan.publishers) as u64;
    let counted = stats.sent + stats.dropped + stats.undelivered;
    assert_eq!((counted, stats.queued), (accepted, 0), "{stats:?} of {plan:?}");
    if matches!(plan.end, End::Close | End::Linger) {
        assert_eq!(undelivered as u64, stats.undelivered, "what `close` says: {plan:?}");
    }
    match plan.end {
        // Messages on their way are lost when a connection is cut, and so are messages that a publisher
        // leaves unread.
        End::Cut | End::Publisher => assert!(arrived <= stats.sent, "{arrived} of {stats:?}"),
        _ => assert_eq!(arrived, stats.sent, "{plan:?}"),
    }
    if plan.end == End::Linger {
        assert_eq!(stats.undelivered, 0, "{plan:?}");
    }
    total.accepted += accepted;
    total.sent += stats.sent;
    total.dropped += stats.dropped;
    total.undelivered += stats.undelivered;
}

/// Brings about the end, and closes the remaining sockets afterwards. Returns the result of the XSUB's
/// `close`, and the number of messages that have arrived.
async fn end(
    plan: &Plan,
    network: &FaultyNetwork,
    subscriber: XSubSocket,
    mut publishers: Vec<Publisher>,
) -> (usize, u64) {
    let mut arrived = 0;
    match plan.end {
        End::Close | End::Linger => {}
        End::Drop => {
            drop(subscriber);
            sleep(MENDING).await;
            return (0, close_all(publishers).await);
        }
        End::Endpoint => {
            for Publisher { endpoint, .. } in &publishers {
                match plan.publishers_dial {
                    true => subscriber.unbind(endpoint).await.unwrap(),
                    false => subscriber.disconnect(endpoint).await.unwrap(),
                }
            }
            sleep(MENDING).await;
        }
        End::Cut => {
            network.cut();
            sleep(MENDING).await;
        }
        End::Publisher => {
            arrived += close_all(std::mem::take(&mut publishers)).await;
            sleep(MENDING).await;
        }
    }
    let undelivered = subscriber.close().await.unsent;
    sleep(MENDING).await;
    (undelivered, arrived + close_all(publishers).await)
}

/// A publisher, and the messages that it has received.
struct Publisher {
    endpoint: Endpoint,
    socket: XPubHandle,
    arrived: JoinHandle<u64>,
}

impl Publisher {
    /// Makes one that is connected to the subscriber.
    async fn meet(
        plan: &Plan,
        context: &Context,
        subscriber: &XSubSocket,
        events: &mut Monitor,
        number: usize,
    ) -> Self {
        let endpoint = format!("mem://place-{number}");
        let hearing = context.xpub_socket(XPubOptions::new());
        let endpoint = if plan.publishers_dial {
            let endpoint = subscriber.bind(endpoint).await.unwrap();
            hearing.connect(endpoint).unwrap()
        } else {
            let endpoint = hearing.bind(endpoint).await.unwrap();
            subscriber.connect(endpoint).unwrap()
        };
        let connected = async {
            while !matches!(events.next().await, Some(Event::HandshakeSucceeded { .. })) {}
        };
        timeout(SECOND * 60, connected).await.expect("they meet");
        let socket = hearing.handle();
        let arrived = tokio::spawn(count(hearing));
        Self { endpoint, socket, arrived }
    }
}

/// Closes them, and returns the number of messages that have arrived.
async fn close_all(publishers: Vec<Publisher>) -> u64 {
    let mut arrived = 0;
    for publisher in publishers {
        publisher.socket.close().await;
        arrived += publisher.arrived.await.expect("what arrives is whole and in order");
    }
    arrived
}

/// Counts the messages that arrive, which must be whole and in order.
async fn count(mut hearing: XPubSocket) -> u64 {
    let (mut count, mut next) = (0, 0);
    while let Ok(request) = hearing.recv().await {
        let Request::Message { message, .. } = request else { continue };
        let number = opened(message.first());
        assert!(number >= next, "{number} after {next} others");
        (count, next) = (count + 1, number + 1);
    }
    count
}

/// The message of this number. The octets 0 and 1 would begin a subscription.
fn message(number: usize, fill: usize) -> Vec<u8> {
    let digit = number.to_string().pop().expect("a digit").to_string();
    format!("{number} {fill} {}", digit.repeat(fill)).into_bytes()
}

/// The number of a message, which must be whole.
fn opened(body: &[u8]) -> usize {
    let text = str::from_utf8(body).expect("text");
    let mut words = text.split(' ');
    let [number, fill] = [(); 2].map(|()| words.next().and_then(|word| word.parse().ok()));
    let (number, fill) = number.zip(fill).expect("a number and a length");
    assert_eq!(body, message(number, fill), "the message is torn");
    number
}
