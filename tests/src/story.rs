//! What every story needs: a place of its own to meet at, and waiting that ends.

use std::net::{Ipv4Addr, TcpListener};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use tempfile::TempDir;
use zmtp_socket::{Context, Event, Message, Monitor, PubOptions, PubSocket, SubOptions, SubSocket};

/// How long anything may take: far more than it does, so that only a hang reaches it.
pub const DEADLINE: Duration = Duration::from_secs(20);

/// An endpoint that no other test uses, known before anybody binds it.
#[derive(Debug)]
pub struct Place {
    /// The context that the endpoint belongs to.
    pub context: Context,
    /// The endpoint.
    pub endpoint: String,
    _directory: Option<TempDir>,
}

impl Place {
    /// A free tcp port, on a loopback address of its own so that nobody else takes it meanwhile.
    pub fn tcp() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let (process, test) = (std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let octet = |number: u32| (number % 250) as u8 + 1;
        let host = Ipv4Addr::new(127, octet(process / 250), octet(process), octet(test));
        let probe = TcpListener::bind((host, 0)).expect("every 127/8 address is ours");
        let port = probe.local_addr().expect("it is bound").port();
        Self { context: Context::new(), endpoint: format!("tcp://{host}:{port}"), _directory: None }
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
}

/// Tells each story, a function of a `Place`, over tcp, ipc and inproc: three tests.
#[macro_export]
macro_rules! over_each_transport {
    ($($stories:tt)+) => {
        $crate::over! { [tcp, ipc, inproc] $($stories)+ }
    };
}

/// Tells each story, a function of a `Place`, over the transports named: a test for each. There is
/// a function of that name that makes such a place.
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

/// Awaits `future`, and fails, saying `what` was awaited, when it hangs.
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

/// Waits for the first event that `pick` takes; passes over the others.
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
pub async fn receive(subscriber: &mut SubSocket) -> Message {
    within("a message", subscriber.recv()).await.expect("the socket is open")
}

/// The first part of the next message, as text.
pub async fn receive_text(subscriber: &mut SubSocket) -> String {
    String::from_utf8_lossy(receive(subscriber).await.first()).into_owned()
}

/// Waits until `publisher` has subscribers to `topic`.
pub async fn wanted(publisher: &PubSocket, topic: impl AsRef<[u8]>) {
    within("a subscriber", publisher.wait_for_subscriber(topic)).await.expect("the socket is open");
}

/// Waits until so many peers of `publisher` have subscribed to something.
pub async fn subscribers(publisher: &PubSocket, count: usize) {
    eventually(&format!("{count} subscribers"), || publisher.subscriber_count() == count).await;
}
