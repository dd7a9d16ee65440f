//! Clients that a judge denies: some dial again, and others do not.

use std::ffi::OsString;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use zmtp_codec::Error;
use zmtp_socket::{
    Allowed, Denial, EndpointOptions, Event, PubSocket, Reason, Reconnect, Status, SubOptions,
    SubSocket,
};
use zmtp_tests::pyzmq::{Pyzmq, python};
use zmtp_tests::raw::{GREETING, READY_SUB, RawListener};
use zmtp_tests::secured::Server;
use zmtp_tests::story::{Place, event, eventually, receive_text, wanted, within};
use zmtp_tests::{over, over_each_transport};

use crate::authorize::{QUICK, denied, parked, servers};

over_each_transport! {
    async fn who_is_denied_for_now_comes_again_and_who_is_denied_for_good_does_not(place: Place) {
        type Row = (fn(&str) -> Denial, Option<&'static str>);
        let rows: [Row; 3] = [
            (|text| Denial::temporary(text), None),
            (|text| Denial::refused(text), Some("400")),
            (|text| Denial::failed(text), Some("500")),
        ];
        for (denial, told) in rows {
            for secured in servers() {
                let denial = denial("a text for us alone");
                let server = place.publisher();
                let mut monitor = server.monitor();
                let (terms, _) = denying(&secured, denial.clone(), 1);
                server.bind_with(&*place.endpoint, terms).await.unwrap();
                let mut client = place.subscriber("a");
                let mut its_monitor = client.monitor();
                let it_is = secured.client();
                let terms = |it| it_is.apply(it).reconnect(QUICK);
                client.connect_with(&*place.endpoint, terms).unwrap();
                assert_eq!(denied(&mut monitor).await, denial);
                match told {
                    None => {
                        assert_eq!(denial.status(), Status::Temporary);
                        wanted(&server, "a").await;
                        server.send("a").await.unwrap();
                        assert_eq!(receive_text(&mut client).await, "a");
                    }
                    Some(status) => {
                        let reason = parked(&mut its_monitor).await;
                        let Reason::Protocol(Error::Refused { reason }) = reason else {
                            panic!("{secured}: {reason}")
                        };
                        assert_eq!(reason, status, "that is all a stranger is told");
                        // The user can connect again at any time.
                        client.connect_with(&*place.endpoint, |it| it_is.apply(it)).unwrap();
                        wanted(&server, "a").await;
                    }
                }
                // Otherwise it would dial the free port until it connects to itself.
                within("the client's end", client.close()).await;
                server.close().await;
            }
        }
    }
}

#[tokio::test]
async fn whoever_says_300_is_dialled_again_with_back_off_and_whoever_says_else_is_not() {
    let listener = RawListener::bind().await;
    // An attempt that takes longer than the longest delay would reset the delays.
    let (initial, max) = (Duration::from_millis(4), Duration::from_secs(10));
    let options = SubOptions::new().reconnect(Reconnect::new(initial, max));
    let subscriber = SubSocket::with_options(options);
    let mut monitor = subscriber.monitor();
    for other in ["400", "500", "", "200", "3000", "no"] {
        subscriber.connect(listener.endpoint()).unwrap();
        for longest in [4, 8, 16, 32].map(Duration::from_millis) {
            refuse(&listener, "300").await;
            let delay = event(&mut monitor, "another attempt", |event| match event {
                Event::RetryingIn { delay, .. } => Some(delay),
                Event::Parked { reason, .. } => panic!("parked: {reason}"),
                _ => None,
            });
            let delay = delay.await;
            assert!(delay >= longest / 2 && delay <= longest, "{delay:?} of {longest:?}");
        }
        refuse(&listener, other).await;
        let reason = event(&mut monitor, "the end of it", |event| match event {
            Event::Parked { reason, .. } => Some(reason),
            Event::RetryingIn { reason, .. } => panic!("dialled again: {reason}"),
            _ => None,
        });
        let reason = reason.await;
        assert!(reason.to_string().contains(&format!("{other:?}")), "{reason}");
    }
}

/// Takes the next connection, and sends an ERROR with this reason.
async fn refuse(listener: &RawListener, reason: &str) {
    let mut peer = listener.accept().await;
    let length = reason.len() as u8;
    let error = [&[4, 7 + length][..], b"\x05ERROR", &[length], reason.as_bytes()].concat();
    peer.send([&GREETING[..], &error].concat()).await;
    peer.expect(GREETING).await;
    peer.expect(READY_SUB).await;
    peer.expect_closed().await;
}

/// The options of a server that denies every client, so many times, and the count of the clients.
fn denying(
    secured: &Server,
    denial: Denial,
    times: usize,
) -> (impl FnOnce(EndpointOptions) -> EndpointOptions, Arc<AtomicUsize>) {
    let asked = Arc::new(AtomicUsize::new(0));
    let count = asked.clone();
    let terms = move |it| {
        secured.apply(it).authorize(move |_| {
            let is_denied = count.fetch_add(1, Ordering::Relaxed) < times;
            std::future::ready(if is_denied { Err(denial.clone()) } else { Ok(Allowed::new()) })
        })
    };
    (terms, asked)
}

over! { [tcp, ipc]
    async fn libzmq_comes_again_after_a_temporary_denial_and_not_after_another(place: Place) {
        let Some(python) = python() else { return };
        for secured in servers() {
            // A client that is denied for good is given the time of 20 further attempts.
            let mut refused = Vec::new();
            for denial in [Denial::refused(""), Denial::failed("")] {
                let denier = Denier::start(&python, &place, &secured, denial, usize::MAX).await;
                eventually("it has come", || denier.asked() > 0).await;
                refused.push(denier);
            }
            let denial = Denial::temporary("");
            let mut patient = Denier::start(&python, &place, &secured, denial, 20).await;
            wanted(&patient.server, "a").await;
            assert_eq!(patient.asked(), 21);
            patient.server.send("a").await.unwrap();
            assert_eq!(patient.peer.receive().await, [b"a"]);
            for denier in &refused {
                assert_eq!(denier.asked(), 1, "{secured}");
            }
        }
    }
}

/// A server of ours that denies its one subscriber, which is libzmq's.
struct Denier {
    server: PubSocket,
    peer: Pyzmq,
    asked: Arc<AtomicUsize>,
    _place: Place,
}

impl Denier {
    async fn start(
        python: &OsString,
        like: &Place,
        secured: &Server,
        denial: Denial,
        times: usize,
    ) -> Self {
        let place = like.another();
        let server = place.publisher();
        let (terms, asked) = denying(secured, denial, times);
        server.bind_with(&*place.endpoint, terms).await.unwrap();
        let it_is = secured.client().for_pyzmq();
        let options = it_is.iter().map(String::as_str);
        let options: Vec<&str> = options.chain(["zmq_reconnect_ivl=5", "subscribe=61"]).collect();
        let peer = Pyzmq::start(python, "SUB", "connect", &place.endpoint, &options).await;
        Self { server, peer, asked, _place: place }
    }

    fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }
}
