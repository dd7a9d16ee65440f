//! A publisher's counters in the OpenMetrics format, as Prometheus and its relatives read it.
//!
//! The counters are read when somebody asks for them, and cost nothing before. Hand the text to
//! whatever serves HTTP in your program; here it goes to standard output:
//!
//! ```text
//! cargo run --example metrics
//! ```

use std::fmt;

use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode;
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric};
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use prometheus_client::registry::Registry;
use zmtp_socket::{PubHandle, PubSocket, SubSocket};

/// Gives a socket's counters to a registry.
#[derive(Debug)]
struct Publisher(PubHandle);

impl Collector for Publisher {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        let counters = [
            ("sent", "Messages that a transport has taken", stats.sent),
            ("sent_octets", "Octets of them", stats.sent_octets),
            ("dropped", "Messages lost at a high-water mark", stats.dropped),
            ("undelivered", "Messages lost with their connection", stats.undelivered),
            ("refused", "Connections turned away at a limit", stats.refused),
        ];
        for (name, help, value) in counters {
            encode_as(&mut encoder, name, help, ConstCounter::new(value))?;
        }
        let gauges = [
            ("queued", "Messages that wait for a transport", stats.queued),
            ("queued_octets", "Octets of them", stats.queued_octets),
            ("peers", "Connections whose handshake is done", stats.peers.len() as u64),
            ("handshakes", "Connections whose handshake is not", stats.handshakes),
            ("subscriptions", "Topics that peers are subscribed to", stats.subscriptions),
        ];
        for (name, help, value) in gauges {
            encode_as(&mut encoder, name, help, ConstGauge::new(value))?;
        }
        // Of each peer only what tells who is slow: a label for every connection is a lot to keep.
        let queued = Family::<[(&str, String); 1], Gauge>::default();
        for peer in &stats.peers {
            let queue = queued.get_or_create_owned(&[("peer", peer.peer.address().to_owned())]);
            queue.set(i64::try_from(peer.queued).unwrap_or(i64::MAX));
        }
        encode_as(&mut encoder, "peer_queued", "Messages that wait for one peer", queued)
    }
}

fn encode_as(
    encoder: &mut DescriptorEncoder<'_>,
    name: &str,
    help: &str,
    metric: impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher = PubSocket::new();
    let mut registry = Registry::with_prefix("weather");
    registry.register_collector(Box::new(Publisher(publisher.handle())));

    let mut subscriber = SubSocket::new();
    subscriber.subscribe("10001");
    subscriber.connect(publisher.bind("tcp://127.0.0.1:*").await?)?;
    publisher.wait_for_subscriber("10001").await?;
    for degrees in 0..5 {
        publisher.send(format!("10001 {degrees} 50")).await?;
        subscriber.recv().await?;
    }

    let mut text = String::new();
    encode(&mut text, &registry)?;
    print!("{text}");
    Ok(())
}
