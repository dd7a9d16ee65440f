//! A publisher and its subscribers whose connections are pipes in memory.

use tokio::runtime::{Builder, Runtime};
use zmtp_socket::{Context, PubOptions, PubSocket, SubOptions, SubSocket};

/// Messages of a sample: below the high-water mark, and few enough for `send` to give no turns.
pub const BATCH: usize = 256;
/// The message that is sent.
pub const BODY: [u8; 64] = [b'd'; 64];

/// A publisher and its subscribers on one current-thread runtime, which runs only when told to.
#[derive(Debug)]
pub struct Scene {
    runtime: Runtime,
    /// The publisher.
    pub publisher: PubSocket,
    /// The subscribers, each to everything.
    pub subscribers: Vec<SubSocket>,
    sent: u64,
}

impl Scene {
    /// So many subscribers, connected and known to the publisher.
    pub fn new(count: usize) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let context = Context::new();
        let publisher = context.pub_socket(PubOptions::new());
        let subscribers = runtime.block_on(async {
            publisher.bind("inproc://bench").await.expect("the name is free");
            (0..count).map(|_| subscriber(&context)).collect()
        });
        runtime.block_on(async {
            while publisher.subscriber_count() < count {
                tokio::task::yield_now().await;
            }
        });
        Self { runtime, publisher, subscribers, sent: 0 }
    }

    /// Delivers and takes out all that has been sent.
    pub fn drain(&mut self) {
        self.deliver();
        for subscriber in &mut self.subscribers {
            while subscriber.try_recv().is_ok() {}
        }
    }

    /// Has a batch ready to be received by the first subscriber.
    pub fn fill(&mut self) {
        for _ in 0..BATCH {
            self.publisher.try_send(&BODY).expect("the socket is open");
        }
        self.sent += BATCH as u64;
        self.deliver();
        let (runtime, subscriber, sent) = (&self.runtime, &self.subscribers[0], self.sent);
        runtime.block_on(async {
            while subscriber.stats().received < sent {
                tokio::task::yield_now().await;
            }
        });
    }

    fn deliver(&self) {
        self.runtime.block_on(async {
            while self.publisher.stats().queued > 0 {
                tokio::task::yield_now().await;
            }
        });
    }
}

fn subscriber(context: &Context) -> SubSocket {
    let socket = context.sub_socket(SubOptions::new());
    socket.subscribe("");
    socket.connect("inproc://bench").expect("a valid endpoint");
    socket
}
