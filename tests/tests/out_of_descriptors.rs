//! A process that has no descriptor left: no new peer gets in, no connected peer loses anything, and the
//! socket recovers by itself.
//!
//! The limit is the whole process's: one test, alone in its binary.

use std::fs::File;
use std::time::{Duration, Instant};

use rustix::process::{Resource, getrlimit, setrlimit};
use tokio::net::{TcpSocket, TcpStream};
use zmtp_socket::{Event, PubSocket, Reconnect, SubOptions, SubSocket};
use zmtp_tests::census::{Census, alone};
use zmtp_tests::raw::neighbour::Neighbour;
use zmtp_tests::raw::{ANY_PORT, in_time};
use zmtp_tests::story::event;

/// The number of strangers that dial meanwhile.
const STRANGERS: usize = 5;

/// The number of failures that are observed. Before the last of them come pauses of 10, 20, 40 … 640 ms.
const FAILURES: u32 = 8;
const PAUSES: Duration = Duration::from_millis(10 * 127);

/// Takes every descriptor that there is.
fn exhaust() -> Vec<File> {
    let mut limits = getrlimit(Resource::Nofile);
    limits.current = Some(Census::now().descriptors as u64 + 50);
    setrlimit(Resource::Nofile, limits).unwrap();
    let files: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    assert!(!files.is_empty());
    files
}

#[test]
fn a_publisher_out_of_descriptors_tries_again_with_pauses_and_its_subscribers_miss_nothing() {
    alone(async {
        let publisher = PubSocket::new();
        let endpoint = publisher.bind(ANY_PORT).await.unwrap();
        let (mut neighbour, mut subscriber) = Neighbour::subscriber(&publisher, &endpoint).await;
        let mut monitor = publisher.monitor();
        let address = endpoint.to_string().replace("tcp://", "").parse().unwrap();
        // Made while there are descriptors, since they live in this process too.
        let strangers: Vec<_> = (0..STRANGERS).map(|_| TcpSocket::new_v4().unwrap()).collect();
        let (initial, max) = (Duration::from_millis(10), Duration::from_millis(20));
        let options = SubOptions::new().reconnect(Reconnect::new(initial, max));
        let dialler = SubSocket::with_options(options);
        dialler.subscribe("late");
        let mut retries = dialler.monitor();

        let files = exhaust();
        let since = Instant::now();
        let mut connected: Vec<TcpStream> = Vec::new();
        for stranger in strangers {
            connected
                .push(in_time("the system's answer", stranger.connect(address)).await.unwrap());
        }
        dialler.connect(&endpoint).unwrap();
        for _ in 0..FAILURES {
            let reason = event(&mut monitor, "word of a failure", |event| match event {
                Event::AcceptFailed { reason, .. } => Some(reason),
                Event::Connected { peer, .. } => panic!("{peer:?} came in"),
                _ => None,
            });
            let reason = reason.await.to_string();
            assert!(reason.contains("Too many open files"), "{reason}");
            neighbour.send().await;
            neighbour.receive_all(&mut subscriber).await;
        }
        assert!(since.elapsed() >= PAUSES, "{FAILURES} failures in {:?}", since.elapsed());
        let reason = event(&mut retries, "word of a failure", |event| match event {
            Event::RetryingIn { reason, .. } => Some(reason),
            _ => None,
        });
        let reason = reason.await.to_string();
        assert!(reason.contains("Too many open files"), "{reason}");

        drop(files);
        for _ in 0..STRANGERS + 1 {
            event(&mut monitor, "who knocked to be let in", |event| match event {
                Event::Connected { .. } => Some(()),
                _ => None,
            })
            .await;
        }
        in_time("the dialler's subscription", publisher.wait_for_subscriber("late")).await.unwrap();
        neighbour.send().await;
        neighbour.receive_all(&mut subscriber).await;
        assert_eq!(publisher.stats().dropped, 0);
    });
}
