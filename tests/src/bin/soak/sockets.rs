//! A publisher's or a subscriber's socket, ours or libzmq's, behind the same calls.

use std::collections::HashMap;
use std::fmt::Display;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp_socket::{
    BindError, Context, Endpoint, Event, HighWaterMark, Linger, Message, Monitor, PeerId,
    PubOptions, PubSocket, Reconnect, SendError, SubOptions, SubSocket, WhenFull,
};
use zmtp_tests::libzmq::{Libzmq, Parts};
use zmtp_tests::story::{DEADLINE, within};

use crate::counts::PeerCounts;
use crate::letter::Name;

/// How long `receive` waits for a message, and a publisher that drops nothing for room: a node that
/// waits does nothing else.
const GLANCE: Duration = Duration::from_millis(5);
const PATIENCE: Duration = Duration::from_millis(50);

/// The largest number of messages that `receive` returns.
const BATCH: usize = 256;

const RECONNECT: Reconnect = Reconnect::new(Duration::from_millis(20), Duration::from_millis(300));

/// An endpoint, and the number of messages that arrived on a connection there.
type Arrived = (String, u64);

/// A publisher's socket.
pub(crate) enum Publisher {
    Ours { socket: PubSocket, monitor: Monitor, peers: HashMap<PeerId, Name>, links: u64 },
    Libzmq(Libzmq),
}

/// A subscriber's socket.
pub(crate) enum Subscriber {
    Ours { socket: SubSocket, monitor: Monitor, links: u64 },
    Libzmq(Libzmq),
}

impl Publisher {
    /// One of ours. Its marks are low, so that they are often reached.
    pub(crate) fn ours(context: &Context, lossless: bool) -> Self {
        let options = PubOptions::new()
            .send_hwm(HighWaterMark::messages(200))
            .send_hwm_octets(2 << 20)
            .send_buffer(32 << 10)
            .reconnect(RECONNECT)
            .linger(Linger::For(Duration::from_millis(200)));
        let when_full = if lossless { WhenFull::WaitFor(PATIENCE) } else { WhenFull::DropNew };
        let socket = context.pub_socket(options.when_full(when_full));
        let monitor = socket.monitor();
        Self::Ours { socket, monitor, peers: HashMap::new(), links: 0 }
    }

    /// A socket of libzmq. It drops without counting, so an option forbids that.
    pub(crate) fn libzmq() -> Self {
        let socket = Libzmq::new(zmq::PUB);
        socket.set(|socket| socket.set_sndhwm(0));
        Self::Libzmq(with_quick_reconnection(socket))
    }

    pub(crate) async fn bind(&self, endpoint: &str) {
        match self {
            Self::Ours { socket, .. } => {
                until_free(endpoint, || socket.bind(endpoint)).await;
            }
            Self::Libzmq(socket) => drop(socket.bind(endpoint).await),
        }
    }

    pub(crate) async fn dial(&self, endpoint: &str) {
        match self {
            Self::Ours { socket, .. } => drop(socket.connect(endpoint).expect("it is an endpoint")),
            Self::Libzmq(socket) => socket.connect(endpoint).await,
        }
    }

    pub(crate) async fn hang_up(&self, endpoint: &str) {
        match self {
            Self::Ours { socket, .. } => {
                socket.disconnect(&parse(endpoint)).await.expect("it is connected");
            }
            Self::Libzmq(socket) => {
                let endpoint = endpoint.to_owned();
                socket.call("disconnect", move |socket| socket.disconnect(&endpoint)).await;
            }
        }
    }

    /// Sends a message. Returns whether it did: there may have been no room.
    pub(crate) async fn send(&self, parts: Vec<Bytes>) -> bool {
        match self {
            Self::Ours { socket, .. } => {
                let sent = match &parts[..] {
                    // Borrowed octets take another path than those that can be shared.
                    [only] if only.len().is_multiple_of(2) => socket.send(&only[..]).await,
                    _ => socket.send(Message::multipart(parts).expect("it has a part")).await,
                };
                match sent {
                    Ok(()) => true,
                    Err(SendError::Full) => false,
                    Err(error) => panic!("not sent: {error}"),
                }
            }
            Self::Libzmq(socket) => {
                socket.send_parts(parts.iter().map(|part| part.to_vec()).collect()).await;
                true
            }
        }
    }

    /// Reads the peers' marks from their subscriptions, which identify them.
    pub(crate) fn look_around(&mut self) {
        let Self::Ours { monitor, peers, links, .. } = self else { return };
        while let Some(event) = monitor.try_next() {
            match event {
                Event::HandshakeSucceeded { .. } => *links += 1,
                Event::Subscribed { peer, topic, .. } if topic.starts_with(b"@") => {
                    peers.insert(peer.id(), owner_of_mark(&topic));
                }
                Event::Disconnected { peer, .. } => {
                    peers.remove(&peer.id());
                }
                _ => {}
            }
        }
        assert_eq!(monitor.missed(), 0, "events");
    }

    /// The number of messages dropped for all peers so far, and the counts for each connection whose
    /// subscriber is known.
    pub(crate) fn counts(&mut self) -> (u64, Vec<PeerCounts>) {
        self.look_around();
        let Self::Ours { socket, peers, .. } = self else { return (0, Vec::new()) };
        let stats = socket.stats();
        let known = stats.peers.iter().filter_map(|peer| {
            let name = *peers.get(&peer.peer.id())?;
            let (sent, dropped, queued) = (peer.sent, peer.dropped, peer.queued);
            Some(PeerCounts { name, sent, dropped, queued })
        });
        (stats.dropped, known.collect())
    }

    /// Connections made so far.
    pub(crate) fn links(&self) -> u64 {
        if let Self::Ours { links, .. } = self { *links } else { 0 }
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Ours { socket, .. } => drop(within("a publisher's end", socket.close()).await),
            Self::Libzmq(socket) => socket.close().await,
        }
    }
}

impl Subscriber {
    /// A socket of ours, with a low mark, so that publishers are delayed when it does not receive.
    pub(crate) fn ours(context: &Context) -> Self {
        let options = SubOptions::new()
            .receive_hwm(HighWaterMark::messages(300))
            .receive_buffer(64 << 10)
            .reconnect(RECONNECT);
        let socket = context.sub_socket(options);
        let monitor = socket.monitor();
        Self::Ours { socket, monitor, links: 0 }
    }

    /// A socket of libzmq. It has no more subscriptions than libzmq handles: above 1,000 it loses some
    /// when it reconnects. And no topic is subscribed to twice, since it takes back only once.
    pub(crate) fn libzmq() -> Self {
        let socket = Libzmq::new(zmq::SUB);
        let glance = i32::try_from(GLANCE.as_millis()).expect("it is some milliseconds");
        socket.set(move |socket| socket.set_rcvtimeo(glance));
        Self::Libzmq(with_quick_reconnection(socket))
    }

    pub(crate) async fn bind(&self, endpoint: &str) {
        match self {
            Self::Ours { socket, .. } => {
                until_free(endpoint, || socket.bind(endpoint)).await;
            }
            Self::Libzmq(socket) => drop(socket.bind(endpoint).await),
        }
    }

    pub(crate) async fn dial(&self, endpoint: &str) {
        match self {
            Self::Ours { socket, .. } => drop(socket.connect(endpoint).expect("it is an endpoint")),
            Self::Libzmq(socket) => socket.connect(endpoint).await,
        }
    }

    /// Ends a connection. Returns a message that libzmq had already fetched from its queues when it was
    /// last asked for its events. If that message has more parts, and its connection ends before they
    /// are received, libzmq puts the next message of another publisher in their place, or aborts.
    pub(crate) async fn hang_up(&self, endpoint: &str) -> Vec<Vec<Bytes>> {
        match self {
            Self::Ours { socket, .. } => {
                socket.disconnect(&parse(endpoint)).await.expect("it is connected");
                Vec::new()
            }
            Self::Libzmq(socket) => {
                let endpoint = endpoint.to_owned();
                let fetched = socket.call("disconnect", move |socket| {
                    let fetched = fetch(socket, zmq::DONTWAIT, 1)?;
                    socket.disconnect(&endpoint)?;
                    Ok(fetched)
                });
                fetched.await.into_iter().map(bytes).collect()
            }
        }
    }

    pub(crate) async fn subscribe(&self, topic: &str) {
        match self {
            Self::Ours { socket, .. } => socket.subscribe(topic),
            Self::Libzmq(socket) => socket.subscribe(topic).await,
        }
    }

    pub(crate) async fn unsubscribe(&self, topic: &str) {
        match self {
            Self::Ours { socket, .. } => assert!(socket.unsubscribe(topic), "it was subscribed"),
            Self::Libzmq(socket) => socket.unsubscribe(topic).await,
        }
    }

    /// Whether no message of an ended subscription comes out. libzmq may have fetched one message
    /// already.
    pub(crate) fn filters_strictly(&self) -> bool {
        matches!(self, Self::Ours { .. })
    }

    /// The messages that have arrived, or arrive within [`GLANCE`]; perhaps none.
    pub(crate) async fn receive(&mut self) -> Vec<Vec<Bytes>> {
        match self {
            Self::Ours { socket, .. } => {
                // Without a message, the future is dropped: that must lose nothing.
                let Ok(first) = tokio::time::timeout(GLANCE, socket.recv()).await else {
                    return Vec::new();
                };
                let rest = std::iter::from_fn(|| socket.try_recv().ok());
                let all = std::iter::once(first.expect("the socket is open")).chain(rest);
                all.take(BATCH).map(|message| message.parts().to_vec()).collect()
            }
            Self::Libzmq(socket) => {
                let received = socket.call("receive", |socket| fetch(socket, 0, BATCH)).await;
                received.into_iter().map(bytes).collect()
            }
        }
    }

    /// The numbers of messages that have arrived and that were filtered out, and of those that arrived
    /// on each dialled connection. libzmq does not count them.
    pub(crate) fn counts(&self) -> Option<(u64, u64, Vec<Arrived>)> {
        let Self::Ours { socket, .. } = self else { return None };
        let stats = socket.stats();
        let peers =
            stats.peers.iter().map(|peer| (peer.peer.endpoint().to_string(), peer.received));
        Some((stats.received, stats.filtered, peers.collect()))
    }

    /// Connections made so far.
    pub(crate) fn links(&mut self) -> u64 {
        let Self::Ours { monitor, links, .. } = self else { return 0 };
        while let Some(event) = monitor.try_next() {
            *links += u64::from(matches!(event, Event::HandshakeSucceeded { .. }));
        }
        *links
    }

    pub(crate) async fn close(self) {
        match self {
            Self::Ours { socket, .. } => drop(within("a subscriber's end", socket.close()).await),
            Self::Libzmq(socket) => socket.close().await,
        }
    }
}

/// The mark of a subscriber's socket: a topic that no other socket subscribes to.
pub(crate) fn mark(owner: Name, number: u64) -> String {
    format!("@{owner}.{number}/")
}

fn owner_of_mark(mark: &[u8]) -> Name {
    let text = std::str::from_utf8(mark).expect("it is text");
    let (name, _number) = text[1..].rsplit_once('.').expect("a mark has a number");
    name.parse().expect("a mark begins with a name")
}

/// Binds, repeatedly if necessary: a dropped socket closes in the background, and its address is free
/// soon afterwards.
pub(crate) async fn until_free<F: Future<Output = Result<Endpoint, BindError>>>(
    endpoint: impl Display,
    bind: impl Fn() -> F,
) {
    let begun = Instant::now();
    while let Err(error) = bind().await {
        assert!(begun.elapsed() < DEADLINE, "{endpoint} is not free: {error}");
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

fn with_quick_reconnection(socket: Libzmq) -> Libzmq {
    socket.set(|socket| {
        socket.set_reconnect_ivl(50)?;
        socket.set_reconnect_ivl_max(300)
    });
    socket
}

/// Receives at most so many messages of a SUB of libzmq: the first with these flags, the others if they
/// are there.
fn fetch(socket: &zmq::Socket, mut flags: i32, most: usize) -> Result<Vec<Parts>, zmq::Error> {
    let mut messages = Vec::new();
    while messages.len() < most {
        match socket.recv_multipart(flags) {
            Ok(message) => messages.push(message),
            Err(zmq::Error::EAGAIN) => break,
            Err(error) => return Err(error),
        }
        flags = zmq::DONTWAIT;
    }
    Ok(messages)
}

fn bytes(parts: Parts) -> Vec<Bytes> {
    parts.into_iter().map(Bytes::from).collect()
}

fn parse(endpoint: &str) -> Endpoint {
    endpoint.parse().expect("it is an endpoint")
}
