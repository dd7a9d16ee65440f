//! Subscribers that send: an XSUB sends to an XPUB until either of them ends, in any way, and each
//! message is accounted for on both sides.

use std::time::Duration;

use zmtp_socket::{
    Context, HighWaterMark, Linger, Message, Request, XPubOptions, XPubSocket, XSubHandle,
    XSubOptions,
};
use zmtp_tests::story::{eventually, within};

const ENDPOINTS: [&str; 2] = ["tcp://127.0.0.1:*", "inproc://talk"];

/// The size of the largest message.
const LARGEST: usize = 100_000;

/// One XSUB, one XPUB, and the messages between them.
pub(crate) struct Round {
    chance: fastrand::Rng,
    /// The number of messages that were sent while the publisher was there.
    accepted: u64,
    number: u64,
    heard: u64,
    octets: u64,
    last: u64,
}

impl Round {
    pub(crate) fn new(chance: fastrand::Rng) -> Self {
        Self { chance, accepted: 0, number: 0, heard: 0, octets: 0, last: 0 }
    }

    pub(crate) async fn run(mut self, counts: &mut [u64; 4]) {
        let context = Context::new();
        let mut server = context.xpub_socket(XPubOptions::new());
        let endpoint = ENDPOINTS[self.chance.usize(0..ENDPOINTS.len())];
        let endpoint = server.bind(endpoint).await.expect("it is free");
        let linger = [Duration::ZERO, Duration::from_millis(20), Duration::from_secs(20)];
        let options = XSubOptions::new()
            .send_hwm(HighWaterMark::messages(self.chance.usize(1..200)))
            .send_hwm_octets(self.chance.usize(1..4 << 20))
            .linger(Linger::For(linger[self.chance.usize(0..linger.len())]));
        let client = context.xsub_socket(options);
        client.connect(&endpoint).expect("it is an endpoint");
        within("a publisher", client.wait_for_publisher()).await.expect("it is open");
        let handle = client.handle();
        for _ in 0..self.chance.usize(1..500) {
            match self.chance.u8(0..20) {
                0 => tokio::task::yield_now().await,
                1 => drop(tokio::time::timeout(Duration::ZERO, self.listen(&mut server)).await),
                _ => {
                    let message = self.message();
                    self.accepted += handle.stats().peers.len() as u64;
                    client.try_send(message).expect("it is open");
                }
            }
        }
        let mut hears = true;
        match self.chance.u8(0..5) {
            0 => {
                let closing = client.close();
                let left = within("an XSUB's end", async {
                    tokio::select! {
                        left = closing => left.unsent,
                        () = self.listen(&mut server) => 0,
                    }
                });
                let left = left.await as u64;
                assert_eq!(left, handle.stats().undelivered, "what close says");
            }
            1 => drop(client),
            2 => client.disconnect(&endpoint).await.expect("it is connected"),
            3 => {
                server.unbind(&endpoint).await.expect("it is bound");
                hears = false;
            }
            _ => {
                within("an XPUB's end", server.close()).await;
                server = context.xpub_socket(XPubOptions::new());
                hears = false;
            }
        }
        self.reckon(&handle, server, hears).await;
        let stats = handle.stats();
        for (count, add) in counts.iter_mut().zip([self.heard, self.octets, stats.dropped, 1]) {
            *count += add;
        }
    }

    /// Checks that each message was sent, dropped or left undelivered, and that the sent ones have
    /// arrived.
    async fn reckon(&mut self, handle: &XSubHandle, mut server: XPubSocket, hears: bool) {
        let gone = eventually("the connection's end", || handle.stats().peers.is_empty());
        tokio::select! {
            () = gone => {}
            () = self.listen(&mut server) => {}
        }
        let stats = handle.stats();
        let accounted_for = stats.sent + stats.dropped + stats.undelivered;
        assert_eq!((self.accepted, 0), (accounted_for, stats.queued), "{stats:?}");
        if hears {
            within("all that was sent", async {
                while self.heard + server.stats().dropped < stats.sent {
                    self.receive(&mut server).await;
                }
            })
            .await;
        }
        let most = self.heard + server.stats().dropped;
        assert!(most <= stats.sent, "heard {most}, sent {}", stats.sent);
    }

    /// A message with its number, which cannot be taken for a subscription.
    fn message(&mut self) -> Message {
        self.number += 1;
        let largest = if self.chance.u8(0..5) > 0 { 100 } else { LARGEST };
        let mut body = vec![b'n'; self.chance.usize(9..largest)];
        body[1..9].copy_from_slice(&self.number.to_be_bytes());
        body.into()
    }

    /// Receives for as long as it is polled.
    async fn listen(&mut self, server: &mut XPubSocket) {
        loop {
            self.receive(server).await;
        }
    }

    async fn receive(&mut self, server: &mut XPubSocket) {
        let request = server.recv().await.expect("it is open");
        let Request::Message { message, .. } = request else { panic!("{request:?}") };
        let number = message.first()[1..9].try_into().map(u64::from_be_bytes);
        let number = number.expect("eight octets");
        assert!(number > self.last, "{number} after {}", self.last);
        self.last = number;
        self.heard += 1;
        self.octets += message.size() as u64;
    }
}
