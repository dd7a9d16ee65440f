//! This library as a victim.

use std::time::Duration;

use tokio::runtime::{Builder, Runtime};
use zmtp_socket::{Heartbeat, PubOptions, PubSocket, SubOptions, SubSocket};

use super::{ANY_PORT, Bounds};

struct Publisher {
    runtime: Runtime,
    socket: PubSocket,
}

impl super::Publisher for Publisher {
    fn send(&self, body: &[u8]) {
        self.runtime.block_on(self.socket.send(body)).expect("the socket is open");
    }

    fn turn(&self, time: Duration) {
        self.runtime.block_on(async { tokio::time::sleep(time).await });
    }
}

pub(super) fn publisher(bounds: &Bounds) -> impl super::Publisher + use<> {
    let mut options = PubOptions::new();
    if let Some(topics) = bounds.max_topics {
        options = options.max_subscriptions(topics).max_subscription_octets(usize::MAX);
    }
    if let Some(size) = bounds.max_message_size {
        options = options.max_message_size(size);
    }
    if let Some(interval) = bounds.heartbeat {
        options = options.heartbeat(Heartbeat::every(Duration::from_millis(interval.into())));
    }
    let runtime = runtime();
    let socket = PubSocket::with_options(options);
    let endpoint = runtime.block_on(socket.bind(ANY_PORT)).expect("a free port");
    rig::print(&endpoint.to_string());
    Publisher { runtime, socket }
}

pub(super) fn subscribe(bounds: &Bounds) {
    let mut options = SubOptions::new();
    if let Some(size) = bounds.max_message_size {
        options = options.max_message_size(size);
    }
    let mut socket = SubSocket::with_options(options);
    socket.subscribe("");
    runtime().block_on(async {
        let endpoint = socket.bind(ANY_PORT).await.expect("a free port");
        rig::print(&endpoint.to_string());
        while socket.recv().await.is_ok() {}
    });
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}
