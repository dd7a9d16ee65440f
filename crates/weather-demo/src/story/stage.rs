//! The publisher and its two subscribers.

use std::collections::VecDeque;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use tokio::task::{AbortHandle, JoinSet};
use tokio::time::{Instant, sleep};
use zmtp_socket::{
    Endpoint, HighWaterMark, PubHandle, PubOptions, PubSocket, SubOptions, SubSocket,
};

use crate::{Failure, Pace, PublishOptions, publish};

/// The beginning of the zipcodes that both subscribers subscribe to.
pub(super) const TOPIC: &str = "1";

/// How many updates a second the slow subscriber takes.
pub(super) const SLOW: u32 = 100;

/// How many updates a second are made: a ninth of them match.
const RATE: NonZeroU32 = NonZeroU32::new(30_000).unwrap();

/// How many updates may wait for a subscriber, before and after the network. The buffers of the
/// system between them are as small as possible, so that they fill quickly.
const WAITING: HighWaterMark = HighWaterMark::messages(2000);
const ARRIVED: HighWaterMark = HighWaterMark::messages(100);
const BUFFER: u32 = 4096;

/// How many frames are between the two that a rate is computed from.
const PICTURES: usize = 10;

pub(super) struct Stage {
    publisher: Option<Publisher>,
    endpoints: [Endpoint; 2],
    received: [Arc<AtomicU64>; 2],
    made: Arc<AtomicU64>,
    is_slow: Arc<AtomicBool>,
    /// The updates that each subscriber has lost of earlier publishers.
    lost_before: [u64; 2],
    seen: VecDeque<(Instant, [u64; 3])>,
    tasks: JoinSet<()>,
}

struct Publisher {
    socket: PubSocket,
    task: AbortHandle,
}

/// The current state of a subscriber.
#[derive(Clone, Copy, Debug)]
pub(super) struct Subscriber {
    pub(super) received: u64,
    pub(super) waiting: u64,
    pub(super) lost: u64,
}

impl Stage {
    /// Opens all three sockets, and waits until they are connected.
    pub(super) async fn open() -> Result<Self, Failure> {
        let any: Endpoint = "tcp://127.0.0.1:*".parse()?;
        let mut stage = Self {
            publisher: None,
            endpoints: [any.clone(), any],
            received: Default::default(),
            made: Arc::default(),
            is_slow: Arc::default(),
            lost_before: [0; 2],
            seen: VecDeque::new(),
            tasks: JoinSet::new(),
        };
        stage.revive().await?;
        let never = Arc::new(AtomicBool::new(false));
        for (index, is_slow) in [never, stage.is_slow.clone()].into_iter().enumerate() {
            let options = SubOptions::new().receive_hwm(ARRIVED).receive_buffer(BUFFER);
            let socket = SubSocket::with_options(options);
            socket.subscribe(TOPIC);
            socket.connect(&stage.endpoints[index])?;
            stage.tasks.spawn(receive(socket, is_slow, stage.received[index].clone()));
        }
        Ok(stage)
    }

    /// Makes the second subscriber slow, or as fast as the first.
    pub(super) fn slow_down(&self, is_slow: bool) {
        self.is_slow.store(is_slow, Ordering::Relaxed);
    }

    /// Ends the publisher, and drops all that is queued in it.
    pub(super) fn kill(&mut self) {
        self.lost_before = self.subscribers().map(|subscriber| subscriber.lost);
        if let Some(Publisher { socket, task }) = self.publisher.take() {
            task.abort();
            let handle = socket.handle();
            self.tasks.spawn(async move {
                let _unfinished = handle.close_within(Duration::ZERO).await;
            });
        }
    }

    /// Starts a publisher at the endpoint of the last one.
    pub(super) async fn revive(&mut self) -> Result<(), Failure> {
        let options = PubOptions::new().send_hwm(WAITING).send_buffer(BUFFER);
        let socket = PubSocket::with_options(options);
        for endpoint in &mut self.endpoints {
            *endpoint = socket.bind(&*endpoint).await?;
        }
        let task = self.tasks.spawn(make(socket.handle(), self.made.clone()));
        self.publisher = Some(Publisher { socket, task });
        Ok(())
    }

    /// Notes the current counters, for the rates.
    pub(super) fn look(&mut self) {
        let [fast, slow] = self.received.each_ref().map(|count| count.load(Ordering::Relaxed));
        if self.seen.len() > PICTURES {
            self.seen.pop_front();
        }
        self.seen.push_back((Instant::now(), [self.made.load(Ordering::Relaxed), fast, slow]));
    }

    /// The updates made and received, per second.
    pub(super) fn rates(&self) -> [u64; 3] {
        let (Some((from, before)), Some((to, now))) = (self.seen.front(), self.seen.back()) else {
            return [0; 3];
        };
        let seconds = (*to - *from).as_secs_f64().max(0.001);
        std::array::from_fn(|index| {
            (now[index].saturating_sub(before[index]) as f64 / seconds) as u64
        })
    }

    /// How many subscribers the publisher has, if there is a publisher.
    pub(super) fn subscriber_count(&self) -> Option<usize> {
        self.publisher.as_ref().map(|it| it.socket.subscriber_count())
    }

    /// The fast subscriber and the slow one.
    pub(super) fn subscribers(&self) -> [Subscriber; 2] {
        let stats = self.publisher.as_ref().map(|it| it.socket.stats());
        std::array::from_fn(|index| {
            let mut peers = stats.iter().flat_map(|stats| &stats.peers);
            let peer = peers.find(|it| it.peer.endpoint() == &self.endpoints[index]);
            Subscriber {
                received: self.received[index].load(Ordering::Relaxed),
                waiting: peer.map_or(0, |peer| peer.queued),
                lost: self.lost_before[index] + peer.map_or(0, |peer| peer.dropped),
            }
        })
    }
}

/// Makes updates until the socket is closed.
async fn make(socket: PubHandle, made: Arc<AtomicU64>) {
    let before = made.load(Ordering::Relaxed);
    let published = AtomicU64::new(0);
    let options = PublishOptions { pace: Pace::PerSecond(RATE), ..PublishOptions::default() };
    let counting = async {
        loop {
            sleep(Duration::from_millis(20)).await;
            made.store(before + published.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    };
    tokio::select! {
        // The socket is closed: the publisher has been killed.
        _ = publish(&socket, options, &published) => {}
        () = counting => {}
    }
}

/// Receives for ever.
async fn receive(mut socket: SubSocket, is_slow: Arc<AtomicBool>, received: Arc<AtomicU64>) {
    while socket.recv().await.is_ok() {
        received.fetch_add(1, Ordering::Relaxed);
        if is_slow.load(Ordering::Relaxed) {
            sleep(Duration::from_secs(1) / SLOW).await;
        }
    }
}
