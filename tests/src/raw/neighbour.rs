//! A well-behaved pair of sockets beside a peer that misbehaves: it must not lose a message.

use zmtp_socket::{Endpoint, PubHandle, PubSocket, SubSocket};

use super::{ANY_PORT, in_time};

/// Numbers messages as it sends them, and checks that each arrives, in order.
///
/// The topic is `neighbour`.
#[derive(Debug)]
pub struct Neighbour {
    publisher: PubHandle,
    /// The publisher's socket, unless the test has it.
    _socket: Option<PubSocket>,
    sent: u64,
    received: u64,
}

impl Neighbour {
    /// A subscriber of the publisher that is under attack.
    pub async fn subscriber(publisher: &PubSocket, endpoint: &Endpoint) -> (Self, SubSocket) {
        let subscriber = SubSocket::new();
        subscriber.subscribe("neighbour");
        subscriber.connect(endpoint).unwrap();
        (Self::new(publisher.handle(), None).await, subscriber)
    }

    /// A publisher to the subscriber that is under attack.
    pub async fn publisher(subscriber: &SubSocket) -> Self {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        subscriber.subscribe("neighbour");
        subscriber.connect(endpoint).unwrap();
        Self::new(publisher.handle(), Some(publisher)).await
    }

    async fn new(publisher: PubHandle, socket: Option<PubSocket>) -> Self {
        let ready = publisher.wait_for_subscriber("neighbour");
        in_time("the neighbour has subscribed", ready).await.unwrap();
        Self { publisher, _socket: socket, sent: 0, received: 0 }
    }

    /// Sends the next message.
    pub async fn send(&mut self) {
        self.sent += 1;
        self.publisher.send(format!("neighbour {}", self.sent)).await.unwrap();
    }

    /// Receives all messages that were sent, each once and in order.
    ///
    /// # Panics
    /// When one is missing, or out of place.
    pub async fn receive_all(&mut self, subscriber: &mut SubSocket) {
        while self.received < self.sent {
            let message = in_time("the neighbour's message", subscriber.recv()).await.unwrap();
            self.received += 1;
            assert_eq!(message.first(), format!("neighbour {}", self.received).as_str());
        }
    }
}
