//! A subscriber that keeps nothing of what it subscribes to, so that all memory is the publisher's.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use zmtp_codec::{Config, Connection, Event, SocketType, Subscription};

/// Octets that are written at once.
const WRITE: usize = 64 << 10;

pub(crate) struct Peer {
    stream: TcpStream,
    connection: Connection,
}

impl Peer {
    /// Connects; the publisher need not answer yet.
    pub(crate) fn connect(endpoint: &str) -> Self {
        let address = endpoint.strip_prefix("tcp://").expect("an endpoint of tcp");
        let stream = TcpStream::connect(address).expect("the publisher listens");
        stream.set_nodelay(true).expect("an option that tcp has");
        Self { stream, connection: Connection::new(Arc::new(Config::new(SocketType::Sub))) }
    }

    /// Says all of `subscriptions`, and waits until the publisher, which keeps sending `marker`, has
    /// come to the last of them.
    pub(crate) fn say(
        &mut self,
        subscriptions: impl Iterator<Item = Subscription>,
        marker: &str,
    ) -> Duration {
        if !self.connection.is_traffic() {
            self.wait_for(|event| matches!(event, Event::Ready(_)));
        }
        let start = Instant::now();
        for subscription in subscriptions {
            self.connection.subscribe(&subscription).expect("in traffic");
            if self.connection.output().len() >= WRITE {
                self.write();
            }
        }
        let marker = Bytes::copy_from_slice(marker.as_bytes());
        self.connection.subscribe(&Subscription::Subscribe(marker.clone())).expect("in traffic");
        // The first message may still be an earlier marker.
        self.wait_for(|event| matches!(event, Event::Message(it) if it.first() == &marker));
        let elapsed = start.elapsed();
        self.connection.subscribe(&Subscription::Cancel(marker)).expect("in traffic");
        self.write();
        elapsed
    }

    fn wait_for(&mut self, is_it: impl Fn(&Event) -> bool) {
        let mut octets = [0; 4096];
        loop {
            while let Some(event) = self.connection.poll_event(Duration::ZERO).expect("an event") {
                if is_it(&event) {
                    return;
                }
            }
            self.write();
            let count = self.stream.read(&mut octets).expect("the publisher is there");
            assert!(count > 0, "the publisher has hung up");
            self.connection.receive(Duration::ZERO, &octets[..count]);
        }
    }

    fn write(&mut self) {
        let output = self.connection.output();
        self.stream.write_all(output).expect("the publisher is there");
        output.clear();
    }
}
