//! A process that forks: its child makes sockets of its own, and neither disturbs the other. This is a
//! program of its own, since a fork copies only the calling thread: here no other thread holds a lock
//! meanwhile.

use std::panic::catch_unwind;
use std::process::exit;
use std::thread::sleep;
use std::time::{Duration, Instant};

use fork::{Fork, fork, waitpid_nohang};
use rustix::process::{Pid, Signal, kill_process};
use zmtp_socket::blocking::{PubSocket, SubSocket};
use zmtp_socket::{BindError, Closed, ConnectError, Endpoint, TryRecvError, UnknownEndpoint};

/// Longer than any step takes that does not hang.
const LONG: Duration = Duration::from_secs(20);

const ANY_PORT: &str = "tcp://127.0.0.1:*";

fn main() {
    // The same name in both processes: an inproc name belongs to one process.
    let (publisher, endpoint) = publisher("inproc://here");
    let mut subscriber = subscriber(&endpoint);
    assert!(publisher.wait_for_subscriber_timeout("", LONG).unwrap());

    match fork().unwrap() {
        Fork::Child => {
            let child = || {
                what_was_made_before_is_closed(publisher, &endpoint, subscriber);
                what_is_made_anew_works();
            };
            exit(catch_unwind(std::panic::AssertUnwindSafe(child)).is_err().into());
        }
        Fork::Parent(child) => wait_for(child),
    }

    // The child has closed and dropped its copies, and has ended.
    publisher.send("as before").unwrap();
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().first(), "as before");
    let mut newcomer = self::subscriber(&endpoint);
    let begun = Instant::now();
    while publisher.subscriber_count() < 2 {
        assert!(begun.elapsed() < LONG, "nobody is accepted any more");
        sleep(Duration::from_millis(1));
    }
    publisher.send("for the newcomer").unwrap();
    assert_eq!(newcomer.recv_timeout(LONG).unwrap().first(), "for the newcomer");
}

/// A publisher in the global context, bound to a port and to `name`.
fn publisher(name: &str) -> (PubSocket, Endpoint) {
    let publisher = PubSocket::new();
    publisher.bind(name).unwrap();
    let endpoint = publisher.bind(ANY_PORT).unwrap();
    (publisher, endpoint)
}

fn subscriber(endpoint: &Endpoint) -> SubSocket {
    let subscriber = SubSocket::new();
    subscriber.subscribe_all();
    subscriber.connect(endpoint).unwrap();
    subscriber
}

fn what_was_made_before_is_closed(
    publisher: PubSocket,
    endpoint: &Endpoint,
    mut subscriber: SubSocket,
) {
    assert!(matches!(publisher.bind(ANY_PORT), Err(BindError::Closed(_))));
    assert!(matches!(subscriber.connect(endpoint), Err(ConnectError::Closed(_))));
    assert_eq!(publisher.unbind(endpoint), Err(UnknownEndpoint::NotBound(endpoint.clone())));
    assert_eq!(publisher.wait_for_subscriber_timeout("nothing", LONG), Err(Closed));
    assert_eq!(subscriber.recv_timeout(LONG), Err(TryRecvError::Closed(Closed)));
    assert!(publisher.monitor().next_timeout(LONG).is_none());
    assert!(subscriber.close().is_empty());
    assert!(publisher.close().is_empty());
}

fn what_is_made_anew_works() {
    let (publisher, endpoint) = publisher("inproc://here");
    let mut subscriber = subscriber(&endpoint);
    assert_eq!(subscriber.recv_timeout(Duration::from_millis(20)), Err(TryRecvError::Empty));
    assert!(publisher.wait_for_subscriber_timeout("", LONG).unwrap());
    publisher.send("in the child").unwrap();
    assert_eq!(subscriber.recv_timeout(LONG).unwrap().first(), "in the child");
    assert!(subscriber.close().is_empty() && publisher.close().is_empty());
}

/// Waits for the child, which must succeed.
fn wait_for(child: i32) {
    let begun = Instant::now();
    let status = loop {
        match waitpid_nohang(child).unwrap() {
            Some(status) => break status,
            None if begun.elapsed() > 2 * LONG => {
                kill_process(Pid::from_raw(child).unwrap(), Signal::KILL).unwrap();
                panic!("the child hangs");
            }
            None => sleep(Duration::from_millis(1)),
        }
    };
    assert_eq!(status, 0, "the child has failed");
}
