//! A panic in the user's code that a connection runs ends that connection, with the panic as the reason,
//! and nothing else.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use tracing::{Event as Line, Metadata, Subscriber, span};
use zmtp_socket::{
    Allowed, AuthRequest, Event, Monitor, PubOptions, Reason, Reconnect, Request, SubOptions,
    XPubOptions,
};
use zmtp_tests::over_each_transport;
use zmtp_tests::story::{Place, event, receive_text, wanted, within};

use crate::log;

const QUICK: Reconnect = Reconnect::new(Duration::from_millis(1), Duration::from_millis(2));

/// A judge that panics at once the first time, then once in its future, and then lets in every peer.
fn shy()
-> impl Fn(AuthRequest) -> std::pin::Pin<Box<dyn Future<Output = zmtp_socket::Verdict> + Send>> {
    let asked = AtomicUsize::new(0);
    move |_| {
        let time = asked.fetch_add(1, Ordering::Relaxed);
        assert!(time != 0, "at once");
        Box::pin(async move {
            assert!(time != 1, "later");
            Ok(Allowed::new())
        })
    }
}

/// The texts of the panics that ended handshakes, until one succeeds.
async fn panics(monitor: &mut Monitor) -> Vec<String> {
    let mut texts = Vec::new();
    event(monitor, "a handshake that succeeds", |event| match event {
        Event::HandshakeFailed { reason: Reason::Panicked(text), .. } => {
            texts.push(text.to_string());
            None
        }
        Event::HandshakeSucceeded { .. } => Some(()),
        _ => None,
    })
    .await;
    texts
}

over_each_transport! {
    async fn a_judge_that_panics_ends_the_handshake_and_not_the_endpoint(place: Place) {
        let server = place.context.pub_socket(PubOptions::new().authorize(shy()));
        let mut monitor = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.context.sub_socket(SubOptions::new().reconnect(QUICK));
        client.subscribe("a");
        client.connect(&*place.endpoint).unwrap();
        wanted(&server, "a").await;
        assert_eq!(panics(&mut monitor).await, ["at once", "later"]);
        assert_eq!((server.stats().peers.len(), server.stats().handshakes), (1, 0));
    }

    async fn a_judge_that_panics_on_the_side_that_dials_is_asked_again(place: Place) {
        let options = PubOptions::new().authorize(shy()).reconnect(QUICK);
        let server = place.context.pub_socket(options);
        let mut monitor = server.monitor();
        server.connect(&*place.endpoint).unwrap();
        let mut client = place.subscriber("a");
        client.bind(&*place.endpoint).await.unwrap();
        wanted(&server, "a").await;
        assert_eq!(panics(&mut monitor).await, ["at once", "later"]);
        server.send("a").await.unwrap();
        assert_eq!(receive_text(&mut client).await, "a");
    }
}

/// A subscriber of the log that panics at each event, while the flag is set.
struct Touchy(Arc<AtomicBool>, Arc<AtomicUsize>);

impl Subscriber for Touchy {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &span::Attributes<'_>) -> span::Id {
        span::Id::from_u64(1)
    }

    fn record(&self, _: &span::Id, _: &span::Record<'_>) {}

    fn record_follows_from(&self, _: &span::Id, _: &span::Id) {}

    fn event(&self, line: &Line<'_>) {
        if line.metadata().target().starts_with("zmtp_socket") && self.0.load(Ordering::Relaxed) {
            self.1.fetch_add(1, Ordering::Relaxed);
            panic!("a subscriber of the log");
        }
    }

    fn enter(&self, _: &span::Id) {}

    fn exit(&self, _: &span::Id) {}
}

#[tokio::test]
async fn a_log_that_panics_keeps_no_receiver_from_being_woken() {
    let panics = Arc::new(AtomicBool::new(false));
    let _log = log::of_this_thread(Touchy(panics.clone(), Arc::default()));
    for place in [Place::tcp(), Place::ipc(), Place::inproc()] {
        let mut server = place.context.xpub_socket(XPubOptions::new());
        let mut monitor = server.monitor();
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.context.sub_socket(SubOptions::new().reconnect(QUICK));
        client.connect(&*place.endpoint).unwrap();
        event(&mut monitor, "a peer", |event| {
            matches!(event, Event::HandshakeSucceeded { .. }).then_some(())
        })
        .await;
        panics.store(true, Ordering::Relaxed);
        // Their changes are noted together, and the log panics at each.
        let subscribing = async {
            tokio::task::yield_now().await;
            ["a", "b", "c"].iter().for_each(|topic| client.subscribe(topic));
        };
        let (request, ()) = tokio::join!(within("a request", server.recv()), subscribing);
        assert!(matches!(request, Ok(Request::Subscribe { topic, .. }) if topic == "a"));
        panics.store(false, Ordering::Relaxed);
    }
}

#[tokio::test]
async fn a_log_that_panics_does_not_end_the_endpoints() {
    let (panics, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicUsize::new(0)));
    // For this thread alone, on which everything here runs.
    let _log = log::of_this_thread(Touchy(panics.clone(), count.clone()));
    for place in [Place::tcp(), Place::ipc(), Place::inproc()] {
        let server = place.publisher();
        server.bind(&*place.endpoint).await.unwrap();
        let client = place.context.sub_socket(SubOptions::new().reconnect(QUICK));
        client.subscribe("a");
        panics.store(true, Ordering::Relaxed);
        let before = count.load(Ordering::Relaxed);
        client.connect(&*place.endpoint).unwrap();
        within("some panics on both sides", async {
            while count.load(Ordering::Relaxed) < before + 10 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        panics.store(false, Ordering::Relaxed);
        wanted(&server, "a").await;
    }
}
