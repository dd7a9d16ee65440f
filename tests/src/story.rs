//! The code that every story needs: an endpoint of its own, and waits with a deadline.

use std::future::poll_fn;
use std::net::{Ipv4Addr, TcpListener};
use std::pin::Pin;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use futures_core::Stream;
use tempfile::TempDir;
use zmtp_socket::kind::Publishes;
use zmtp_socket::{
    Context, Event, Handle, HighWaterMark, Linger, Message, Monitor, PubOptions, PubSocket, Stats,
    SubOptions, SubSocket,
};

/// A SUB or an XSUB.
pub trait Receives: Stream<Item = Message> + Unpin {}

impl<S: Stream<Item = Message> + Unpin + ?Sized> Receives for S {}

/// How long anything may take: far more than it does, so that only a hang reaches it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// A body too large for many of them to hide in the buffers of any transport.
pub const LARGE: usize = 256 << 10;

/// The messages of a [load](Place::loaded).
pub const LOAD: u64 = 100;

/// An endpoint that no other test uses, known before it is bound.
#[derive(Debug)]
pub struct Place {
    /// The context that the endpoint belongs to.
    pub context: Context,
    /// The endpoint.
    pub endpoint: String,
    _directory: Option<TempDir>,
}

impl Place {
    /// A free tcp port, on a loopback address of its own, so that no other process takes it meanwhile.
    pub fn tcp() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, test) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let octet = |number: u32| (number % 250) as u8 + 1;
        let host = Ipv4Addr::new(127, octet(process / 250), octet(process), octet(test));
        let probe = TcpListener::bind((host, 0)).expect("every 127/8 address is ours");
        let port = probe.local_addr().expect("it is bound").port();
        Self { context: Context::new(), endpoint: format!("tcp://{host}:{port}"), _directory: None }
    }

    /// The same over WebSocket.
    pub fn ws() -> Self {
        let Self { context, endpoint, _directory } = Self::tcp();
        Self { context, endpoint: endpoint.replace("tcp:", "ws:") + "/feed", _directory }
    }

    /// A path in a directory of its own.
    pub fn ipc() -> Self {
        let directory = tempfile::tempdir().expect("a directory can be made");
        let endpoint = format!("ipc://{}/socket", directory.path().display());
        Self { context: Context::new(), endpoint, _directory: Some(directory) }
    }

    /// A name in a context of its own.
    pub fn inproc() -> Self {
        Self { context: Context::new(), endpoint: "inproc://place".to_owned(), _directory: None }
    }

    /// Another place of the same transport.
    pub fn another(&self) -> Self {
        match self.endpoint.split(':').next() {
            Some("tcp") => Self::tcp(),
            Some("ws") => Self::ws(),
            Some("ipc") => Self::ipc(),
            _ => Self::inproc(),
        }
    }

    /// A publisher with the default options.
    pub fn publisher(&self) -> PubSocket {
        self.context.pub_socket(PubOptions::new())
    }

    /// A subscriber with the default options, subscribed to `topic`.
    pub fn subscriber(&self, topic: impl AsRef<[u8]>) -> SubSocket {
        let subscriber = self.context.sub_socket(SubOptions::new());
        subscriber.subscribe(topic);
        subscriber
    }

    /// A publisher without a high-water mark, bound here, and a subscriber to everything, connected.
    pub async fn pair(&self) -> (PubSocket, SubSocket) {
        let options = PubOptions::new().send_hwm(HighWaterMark::Unlimited);
        let server = self.context.pub_socket(options);
        server.bind(&*self.endpoint).await.expect("nobody else is here");
        let client = self.subscriber("");
        client.connect(&*self.endpoint).expect("it can be connected to");
        wanted(&server, "").await;
        (server, client)
    }

    /// A publisher with [`LOAD`] messages queued for a subscriber that has read none.
    pub async fn loaded(&self, linger: Linger) -> (PubSocket, SubSocket) {
        let server = self.context.pub_socket(PubOptions::new().linger(linger));
        server.bind(&*self.endpoint).await.expect("nobody else is here");
        let options = SubOptions::new().receive_hwm(HighWaterMark::messages(1));
        let client = self.context.sub_socket(options);
        client.subscribe("");
        client.connect(&*self.endpoint).expect("it can be connected to");
        wanted(&server, "").await;
        for number in 0..LOAD {
            let message = [&number.to_be_bytes()[..], &[7; LARGE]].concat();
            server.send(message).await.expect("the socket is open");
        }
        (server, client)
    }
}

/// Runs each story, a function of a `Place`, over tcp, ws, ipc and inproc: four tests.
#[macro_export]
macro_rules! over_each_transport {
    ($($stories:tt)+) => {
        $crate::over! { [tcp, ws, ipc, inproc] $($stories)+ }
    };
}

/// Runs each story, a function of a `Place`, over the named transports: a test for each. A name is that
/// of the function that makes such a place.
#[macro_export]
macro_rules! over {
    (@tests [$($transport:ident),+]) => {$(
        #[tokio::test]
        async fn $transport() {
            story(Place::$transport()).await;
        }
    )+};
    ($transports:tt $(async fn $name:ident($place:ident: Place) $story:block)+) => {$(
        mod $name {
            use super::*;

            async fn story($place: Place) $story

            $crate::over! { @tests $transports }
        }
    )+};
}

/// Awaits `future`. Fails with `what` when it hangs.
pub async fn within<T>(what: &str, future: impl Future<Output = T>) -> T {
    match tokio::time::timeout(DEADLINE, future).await {
        Ok(value) => value,
        Err(_elapsed) => panic!("waited {DEADLINE:?} for {what}"),
    }
}

/// Waits for a state that no event announces.
pub async fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    within(what, async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
    })
    .await;
}

/// Waits for the first event that `pick` accepts; passes over the others.
pub async fn event<T>(
    monitor: &mut Monitor,
    what: &str,
    mut pick: impl FnMut(Event) -> Option<T>,
) -> T {
    within(what, async {
        loop {
            let event = monitor.next().await.expect("the socket is open");
            if let Some(picked) = pick(event) {
                return picked;
            }
        }
    })
    .await
}

/// Waits until a peer of this monitor's socket is gone.
pub async fn gone(monitor: &mut Monitor) {
    event(monitor, "a peer to leave", |event| {
        matches!(event, Event::Disconnected { .. }).then_some(())
    })
    .await;
}

/// The next message.
pub async fn receive(subscriber: &mut (impl Receives + ?Sized)) -> Message {
    within("a message", next(subscriber)).await.expect("the socket is open")
}

/// The next message, unless the socket has been closed.
pub async fn next(subscriber: &mut (impl Receives + ?Sized)) -> Option<Message> {
    poll_fn(|cx| Pin::new(&mut *subscriber).poll_next(cx)).await
}

/// Receives a whole [load](Place::loaded), in order.
pub async fn expect_load(subscriber: &mut SubSocket) {
    for number in 0..LOAD {
        assert_eq!(&receive(subscriber).await.first()[..8], &number.to_be_bytes());
    }
}

/// The first part of the next message, as text.
pub async fn receive_text(subscriber: &mut (impl Receives + ?Sized)) -> String {
    String::from_utf8_lossy(receive(subscriber).await.first()).into_owned()
}

/// Waits until `publisher` has subscribers to `topic`.
pub async fn wanted<T: Publishes>(publisher: &Handle<T>, topic: impl AsRef<[u8]>) {
    within("a subscriber", publisher.wait_for_subscriber(topic)).await.expect("the socket is open");
}

/// Waits until so many peers of `publisher` have subscribed to something.
pub async fn subscribers<T: Publishes>(publisher: &Handle<T>, count: usize) {
    eventually(&format!("{count} subscribers"), || publisher.subscriber_count() == count).await;
}

/// Waits until nothing moves any more: every buffer between `publisher` and its peers is full.
pub async fn settled<T: Publishes>(publisher: &Handle<T>) {
    let sent = |stats: Stats| (stats.sent, stats.queued);
    let mut before = sent(publisher.stats());
    let mut still = 0;
    eventually("the transport to be full", || {
        let now = sent(publisher.stats());
        still = if now == before { still + 1 } else { 0 };
        before = now;
        still == 25
    })
    .await;
}
