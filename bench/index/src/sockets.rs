//! Whole PUB sockets, each with one subscriber over tcp.
//!
//! The time of a message is that of a `send` that finds nobody to send to. A change is said by the
//! subscriber, travels, and is carried out: its time is that of all changes, one after the other, in
//! one stream. Memory is all that the publisher keeps for a subscription.

use std::hint::black_box;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use libzmq::{Context, Socket, SocketType};
use tokio::runtime::{Builder, Runtime};
use zmtp_codec::Subscription;
use zmtp_socket::{PubOptions, PubSocket};

use crate::peer::Peer;
use crate::row::{Row, best, nanoseconds, resident};
use crate::workload::Workload;

/// From here on, the memory of subscriptions can be told from that of connections and threads.
const ENOUGH: usize = 10_000;

/// A publisher, bound to a port of this machine.
pub(crate) trait Publisher {
    fn bound() -> (Self, String)
    where
        Self: Sized;
    fn send(&self, message: &str);
    /// Does for a moment what the publisher does beside `send`.
    fn turn(&self);
}

pub(crate) struct Ours {
    runtime: Runtime,
    socket: PubSocket,
}

impl Publisher for Ours {
    fn bound() -> (Self, String) {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let options =
            PubOptions::new().max_subscriptions(usize::MAX).max_subscription_octets(usize::MAX);
        let socket = PubSocket::with_options(options);
        let endpoint = runtime.block_on(socket.bind("tcp://127.0.0.1:0")).expect("a free port");
        (Self { runtime, socket }, endpoint.to_string())
    }

    fn send(&self, message: &str) {
        self.socket.try_send(message).expect("the socket is open");
    }

    fn turn(&self) {
        self.runtime.block_on(async { tokio::time::sleep(Duration::from_millis(1)).await });
    }
}

pub(crate) struct Libzmq(Socket);

impl Publisher for Libzmq {
    fn bound() -> (Self, String) {
        let socket = Context::new(1).socket(SocketType::Pub);
        socket.bind("tcp://127.0.0.1:*");
        let endpoint = socket.last_endpoint();
        (Self(socket), endpoint)
    }

    fn send(&self, message: &str) {
        self.0.send(message.as_bytes());
    }

    fn turn(&self) {
        self.0.handle_commands();
        // Its thread for I/O hands over a thousand subscriptions at most; then it waits for us.
        thread::sleep(Duration::from_micros(50));
    }
}

pub(crate) fn measure<P: Publisher>(workload: &Workload) -> Row {
    let Workload { topics, unwanted, changes, .. } = workload;
    let (publisher, endpoint) = P::bound();
    let mut peer = Peer::connect(&endpoint);
    let mut markers = (1..).map(|round| format!("marker {round}"));
    let mut tell = |subscriptions: &mut (dyn Iterator<Item = Subscription> + Send)| {
        let marker = markers.next().expect("there is no end of them");
        thread::scope(|scope| {
            let telling = scope.spawn(|| peer.say(subscriptions, &marker));
            while !telling.is_finished() {
                publisher.turn();
                publisher.send(&marker);
            }
            telling.join().expect("the peer has said everything")
        })
    };
    let named = |number: usize| Bytes::copy_from_slice(topics[number].as_bytes());

    // Buffers grow to their size.
    tell(
        &mut (0..100_000)
            .map(|number| Subscription::Cancel(Bytes::from(format!("unknown {number}")))),
    );
    let before = resident();
    tell(&mut (0..topics.len()).map(|number| Subscription::Subscribe(named(number))));
    let memory = (resident() - before) / topics.len() as f64;

    let both = |&number: &usize| {
        [Subscription::Cancel(named(number)), Subscription::Subscribe(named(number))]
    };
    let change = best(changes.len(), || tell(&mut changes.iter().flat_map(both)));
    let unwanted = nanoseconds(unwanted, |message| publisher.send(black_box(message)));
    Row {
        memory: (topics.len() >= ENOUGH).then_some(memory),
        wanted: None,
        unwanted: Some(unwanted),
        change: Some(change),
    }
}
