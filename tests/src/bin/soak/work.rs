//! Sockets that send each message to one peer: PUSH to PULL, DEALER to ROUTER or DEALER, and PAIR to
//! PAIR. Their connections are cut, they end in any way, and each message is accounted for on both
//! sides. And a REQ whose REP is slow, or goes, and that gets no reply but its own.

use std::time::Duration;

use zmtp_socket::kind::{Dealer, Pair, Pull, Push, Receives, Router, Sends};
use zmtp_socket::{
    Context, HighWaterMark, Linger, Message, Options, Reconnect, RepOptions, ReqOptions,
    RequestError, SendError, Socket,
};
use zmtp_tests::story::{eventually, within};

use crate::sockets::until_free;

const ENDPOINTS: [&str; 2] = ["tcp://127.0.0.1:*", "inproc://work"];

/// The size of the largest message.
const LARGEST: usize = 100_000;

const RECONNECT: Reconnect = Reconnect::new(Duration::from_millis(2), Duration::from_millis(20));

/// Plays one round.
pub(crate) async fn round(mut chance: fastrand::Rng, counts: &mut [u64; 4]) {
    let chooses = chance.u8(0..5);
    let dropped = match chooses {
        0 => flow::<Push, Pull>(&mut chance, |message| message, counts).await,
        1 => flow::<Dealer, Router>(&mut chance, |(_, message)| message, counts).await,
        2 => flow::<Dealer, Dealer>(&mut chance, |message| message, counts).await,
        3 => flow::<Pair, Pair>(&mut chance, |message| message, counts).await,
        _ => ask(&mut chance, counts).await,
    };
    counts[2] += dropped;
    counts[3] += 1;
}

/// The messages that a receiver has got.
struct Ear<R: Receives> {
    socket: Socket<R>,
    message_of: fn(R::Received) -> Message,
    heard: u64,
    octets: u64,
    last: u64,
}

/// One socket sends to another, and their connections may be cut, until either ends. Returns the number
/// of dropped messages.
async fn flow<S: Sends, R: Receives>(
    chance: &mut fastrand::Rng,
    message_of: fn(R::Received) -> Message,
    counts: &mut [u64; 4],
) -> u64 {
    let context = Context::new();
    let socket = context.socket(Options::<R>::new());
    let endpoint = ENDPOINTS[chance.usize(0..ENDPOINTS.len())];
    let endpoint = socket.bind(endpoint).await.expect("it is free");
    let mut ear = Ear { socket, message_of, heard: 0, octets: 0, last: 0 };
    let lingers = [Duration::ZERO, Duration::from_millis(20), Duration::from_secs(20)];
    let linger = lingers[chance.usize(0..lingers.len())];
    let options = Options::<S>::new()
        .reconnect(RECONNECT)
        .send_hwm(HighWaterMark::messages(chance.usize(1..200)))
        .send_hwm_octets(chance.usize(1..4 << 20))
        .linger(Linger::For(linger));
    let sender = context.socket(options);
    sender.connect(&endpoint).expect("it is an endpoint");
    let handle = sender.handle();
    let is_cut = chance.bool();
    let (mut number, mut accepted, mut cuts) = (0, 0, 0);
    for _ in 0..chance.usize(1..500) {
        match chance.u8(0..40) {
            0 => tokio::task::yield_now().await,
            1 => drop(tokio::time::timeout(Duration::ZERO, ear.listen()).await),
            2 if is_cut => {
                ear.socket.unbind(&endpoint).await.expect("it is bound");
                until_free(&endpoint, || ear.socket.bind(&endpoint)).await;
                cuts += 1;
            }
            _ => {
                number += 1;
                match sender.try_send(message(chance, number)) {
                    Ok(()) => accepted += 1,
                    // The message is not sent again: numbers may have gaps.
                    Err(SendError::Full) => {
                        drop(tokio::time::timeout(Duration::from_millis(1), ear.listen()).await);
                    }
                    Err(error) => panic!("not sent: {error}"),
                }
            }
        }
    }
    let mut is_patient = false;
    match chance.u8(0..4) {
        0 => {
            is_patient = linger == lingers[2];
            let closing = sender.close();
            within("a sender's end", async {
                tokio::select! {
                    _left = closing => {}
                    () = ear.listen() => {}
                }
            })
            .await;
        }
        1 => drop(sender),
        2 => sender.disconnect(&endpoint).await.expect("it is connected"),
        _ => {
            ear.socket.unbind(&endpoint).await.expect("it is bound");
            within("a sender's end", sender.close_within(Duration::ZERO)).await;
            cuts += 1;
        }
    }
    let gone = eventually("the connection's end", || {
        let stats = handle.stats();
        stats.peers.is_empty() && stats.queued == 0
    });
    tokio::select! {
        () = gone => {}
        () = ear.listen() => {}
    }
    // Each message was sent, dropped or left undelivered, and the sent ones have arrived.
    let stats = handle.stats();
    assert_eq!(accepted, stats.sent + stats.dropped + stats.undelivered, "{stats:?}");
    if is_patient {
        // Messages that were not on their way at a cut stay queued for the endpoint; a cut tears at most
        // one message.
        assert!(stats.undelivered <= cuts, "{stats:?} after {cuts} cuts");
    }
    if cuts == 0 {
        within("all that was sent", async {
            while ear.heard < stats.sent {
                ear.receive().await;
            }
        })
        .await;
    }
    assert!(ear.heard <= stats.sent, "heard {}, sent {}", ear.heard, stats.sent);
    counts[0] += ear.heard;
    counts[1] += ear.octets;
    stats.dropped
}

/// A message with its number.
fn message(chance: &mut fastrand::Rng, number: u64) -> Message {
    let largest = if chance.u8(0..5) > 0 { 100 } else { LARGEST };
    let mut body = vec![0; chance.usize(8..largest)];
    body[..8].copy_from_slice(&number.to_be_bytes());
    match chance.bool() {
        true => body.into(),
        false => (body, "and a second part").into(),
    }
}

fn number_of(message: &Message) -> u64 {
    let number = message.first()[..8].try_into().map(u64::from_be_bytes);
    number.expect("eight octets")
}

impl<R: Receives> Ear<R> {
    /// Receives for as long as it is polled.
    async fn listen(&mut self) {
        loop {
            self.receive().await;
        }
    }

    async fn receive(&mut self) {
        let message = (self.message_of)(self.socket.recv().await.expect("it is open"));
        let number = number_of(&message);
        assert!(number > self.last, "{number} after {}", self.last);
        self.last = number;
        self.heard += 1;
        self.octets += message.size() as u64;
    }
}

/// A REQ asks a REP that is slow, answers late, or has its connections cut. Each reply is the one to its
/// request, and each request ends. Returns the number of replies that the REP dropped.
async fn ask(chance: &mut fastrand::Rng, counts: &mut [u64; 4]) -> u64 {
    let context = Context::new();
    let mut server = context.socket(RepOptions::new());
    let endpoint = ENDPOINTS[chance.usize(0..ENDPOINTS.len())];
    let endpoint = server.bind(endpoint).await.expect("it is free");
    let options = ReqOptions::new()
        .reconnect(RECONNECT)
        .request_timeout(Duration::from_millis(chance.u64(1..20)))
        .retries(chance.u32(0..3))
        .correlate(chance.bool());
    let mut client = context.socket(options);
    client.connect(&endpoint).expect("it is an endpoint");
    let handle = server.handle();
    let mut whims = chance.fork();
    let mut late = Vec::new();
    let serving = async {
        loop {
            let (request, reply) = server.recv().await.expect("it is open");
            match whims.u8(0..20) {
                0 => late.push((request, reply)),
                1 => drop(reply),
                2 => {
                    tokio::time::sleep(Duration::from_millis(whims.u64(0..10))).await;
                    reply.send(request).await.expect("it is open");
                }
                3 => {
                    server.unbind(&endpoint).await.expect("it is bound");
                    until_free(&endpoint, || server.bind(&endpoint)).await;
                    drop(reply);
                }
                _ => reply.send(request).await.expect("it is open"),
            }
            for (request, reply) in late.drain(..).filter(|_| whims.bool()) {
                reply.send(request).await.expect("it is open");
            }
        }
    };
    let asking = async {
        for number in 1..chance.u64(2..200) {
            match within("the end of a request", client.request(message(chance, number))).await {
                Ok(reply) => {
                    assert_eq!(number_of(&reply), number, "a reply to another request");
                    counts[0] += 1;
                    counts[1] += reply.size() as u64;
                }
                Err(RequestError::TimedOut | RequestError::Lost) => {}
                Err(error) => panic!("not asked: {error}"),
            }
        }
    };
    tokio::select! {
        () = asking => {}
        () = serving => {}
    }
    handle.stats().dropped
}
