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
use prometheus_client::encoding::{DescriptorEncoder, EncodeMetric as _};
use prometheus_client::metrics::MetricType;
use prometheus_client::metrics::counter::ConstCounter;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::{Registry, Unit};
use zmtp_socket::{Metric, MetricKind, PubHandle, PubSocket, SubSocket};

/// Gives a socket's counters to a registry.
#[derive(Debug)]
struct Publisher(PubHandle);

impl Collector for Publisher {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        let stats = self.0.stats();
        // The names and labels that the dashboard in docs/grafana asks for.
        let labels = [("socket", "weather"), ("type", "PUB")];
        for metric in Metric::all() {
            let unit = metric.unit.map(|unit| Unit::Other(unit.to_owned()));
            let (kind, value) = (metric_type(metric.kind), metric.value(&stats));
            let mut family =
                encoder.encode_descriptor(metric.stem(), metric.help, unit.as_ref(), kind)?;
            let sample = family.encode_family(&labels)?;
            match metric.kind {
                MetricKind::Counter => ConstCounter::new(value).encode(sample)?,
                MetricKind::Gauge => ConstGauge::new(value).encode(sample)?,
            }
        }
        // Of each peer only what tells who is slow: a label for every connection is a lot to keep.
        let (name, help) = ("zmtp_peer_queued", "Messages that wait for one peer");
        let mut family = encoder.encode_descriptor(name, help, None, MetricType::Gauge)?;
        for peer in &stats.peers {
            let labels = [("peer", peer.peer.address())];
            ConstGauge::new(peer.queued).encode(family.encode_family(&labels)?)?;
        }
        Ok(())
    }
}

fn metric_type(kind: MetricKind) -> MetricType {
    match kind {
        MetricKind::Counter => MetricType::Counter,
        MetricKind::Gauge => MetricType::Gauge,
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let publisher = PubSocket::new();
    let mut registry = Registry::default();
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
