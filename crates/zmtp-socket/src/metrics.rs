//! The table of a socket's metrics. Everything that serves them is made from it: the facade below for the recorder of
//! the crate `metrics`, and the endpoint of the tool `zmtp`.

use crate::stats::Stats;

/// One of the numbers of [`Stats`], as a monitoring system is to show it.
///
/// With [`all`](Self::all), a program that has its own way to serve metrics serves those of a socket under the
/// names that the dashboard for Grafana asks for:
///
/// ```
/// use zmtp_socket::{Metric, PubSocket};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let stats = PubSocket::new().totals();
/// for metric in Metric::all() {
///     println!("{} {}", metric.name, metric.value(&stats));
/// }
/// assert_eq!(Metric::all()[0].name, "zmtp_sent_total");
/// # }
/// ```
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub struct Metric {
    /// The name of its samples as Prometheus has it, such as `zmtp_sent_bytes_total`: with the
    /// [unit](Self::unit) and, for a counter, with `_total` at its end.
    pub name: &'static str,
    /// One line that says what is counted.
    pub help: &'static str,
    /// Whether it only grows.
    pub kind: MetricKind,
    /// `bytes`, or `None` for a plain number.
    pub unit: Option<&'static str>,
    value: fn(&Stats) -> u64,
}

/// Whether a [`Metric`] only grows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum MetricKind {
    /// It counts from zero, the whole life of a socket long.
    Counter,
    /// It is the number of what there is now.
    Gauge,
}

impl Metric {
    /// All metrics of a socket, each name once. A later version may have more of them.
    pub fn all() -> &'static [Self] {
        METRICS
    }

    /// The name without its unit and without `_total`, such as `zmtp_sent`: for libraries that append these
    /// themselves.
    pub fn stem(&self) -> &'static str {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        let stem = self.unit.and_then(|unit| name.strip_suffix(unit)?.strip_suffix('_'));
        stem.unwrap_or(name)
    }

    /// The number, of these statistics. Those of [`totals`](crate::Handle::totals) have no list of peers, so the
    /// metric `zmtp_peers` is 0 there.
    pub fn value(&self, stats: &Stats) -> u64 {
        (self.value)(stats)
    }
}

const METRICS: &[Metric] = &[
    counter("zmtp_sent_total", "Messages that a transport has taken", |it| it.sent),
    counter("zmtp_sent_bytes_total", "Octets of messages that a transport has taken", |it| {
        it.sent_octets
    })
    .in_bytes(),
    counter("zmtp_received_total", "Messages that have arrived", |it| it.received),
    counter("zmtp_received_bytes_total", "Octets of messages that have arrived", |it| {
        it.received_octets
    })
    .in_bytes(),
    counter("zmtp_dropped_total", "Messages lost at a high-water mark", |it| it.dropped),
    counter("zmtp_dropped_bytes_total", "Octets of messages lost at a high-water mark", |it| {
        it.dropped_octets
    })
    .in_bytes(),
    counter("zmtp_undelivered_total", "Messages lost with their connection", |it| it.undelivered),
    counter("zmtp_filtered_total", "Messages that nobody had asked for", |it| it.filtered),
    counter("zmtp_refused_total", "Connections turned away at a limit", |it| it.refused),
    gauge("zmtp_queued", "Messages that wait", |it| it.queued),
    gauge("zmtp_queued_bytes", "Octets of messages that wait", |it| it.queued_octets).in_bytes(),
    gauge("zmtp_peers", "Connections whose handshake is done", |it| it.peers.len() as u64),
    gauge("zmtp_handshakes", "Connections in their handshake", |it| it.handshakes),
    gauge("zmtp_subscriptions", "Topics of peers, or of a subscriber", |it| it.subscriptions),
];

const fn counter(name: &'static str, help: &'static str, value: fn(&Stats) -> u64) -> Metric {
    Metric { name, help, kind: MetricKind::Counter, unit: None, value }
}

const fn gauge(name: &'static str, help: &'static str, value: fn(&Stats) -> u64) -> Metric {
    Metric { name, help, kind: MetricKind::Gauge, unit: None, value }
}

impl Metric {
    const fn in_bytes(self) -> Self {
        Self { unit: Some("bytes"), ..self }
    }
}

/// Gives the metrics to the recorder that is installed, under the labels `socket` and `type`.
#[cfg(feature = "metrics")]
pub(crate) fn publish(socket: &str, kind: &'static str, stats: &Stats) {
    use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

    let labels = [("socket", socket.to_owned()), ("type", kind.to_owned())];
    for metric in METRICS {
        let &Metric { name, help, .. } = metric;
        let unit = metric.unit.and_then(Unit::from_string).unwrap_or(Unit::Count);
        let value = metric.value(stats);
        match metric.kind {
            MetricKind::Counter => {
                describe_counter!(name, unit, help);
                counter!(name, &labels).absolute(value);
            }
            MetricKind::Gauge => {
                describe_gauge!(name, unit, help);
                #[expect(clippy::cast_precision_loss, reason = "a gauge is a number with 53 bits")]
                gauge!(name, &labels).set(value as f64);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::{Metric, MetricKind};
    use crate::stats::Stats;

    #[test]
    fn a_name_is_its_stem_its_unit_and_what_a_counter_ends_with() {
        let mut names = BTreeSet::new();
        for metric in Metric::all() {
            let unit = metric.unit.map(|unit| format!("_{unit}")).unwrap_or_default();
            let end = if metric.kind == MetricKind::Counter { "_total" } else { "" };
            assert_eq!(metric.name, format!("{}{unit}{end}", metric.stem()));
            assert!(metric.stem().starts_with("zmtp_") && !metric.stem().ends_with("bytes"));
            assert!(names.insert(metric.name), "{} is there twice", metric.name);
        }
    }

    /// No two numbers are alike, so each row has its own.
    #[test]
    fn each_metric_is_the_number_that_its_name_says() {
        let stats = Stats {
            sent: 1,
            sent_octets: 2,
            received: 3,
            received_octets: 4,
            dropped: 5,
            dropped_octets: 6,
            undelivered: 7,
            queued: 8,
            queued_octets: 9,
            filtered: 10,
            subscriptions: 11,
            handshakes: 12,
            refused: 13,
            peers: Vec::new(),
        };
        let values: Vec<_> = Metric::all().iter().map(|it| (it.name, it.value(&stats))).collect();
        let expected = [
            ("zmtp_sent_total", 1),
            ("zmtp_sent_bytes_total", 2),
            ("zmtp_received_total", 3),
            ("zmtp_received_bytes_total", 4),
            ("zmtp_dropped_total", 5),
            ("zmtp_dropped_bytes_total", 6),
            ("zmtp_undelivered_total", 7),
            ("zmtp_filtered_total", 10),
            ("zmtp_refused_total", 13),
            ("zmtp_queued", 8),
            ("zmtp_queued_bytes", 9),
            ("zmtp_peers", 0),
            ("zmtp_handshakes", 12),
            ("zmtp_subscriptions", 11),
        ];
        assert_eq!(values, expected);
    }

    /// The dashboard belongs to the repository: where the crate was unpacked from its package, there is nothing to
    /// compare.
    #[test]
    fn the_dashboard_asks_for_metrics_that_there_are() {
        let package = std::path::Path::new(env!("CARGO_MANIFEST_DIR"));
        if package.join("Cargo.toml.orig").exists() {
            return;
        }
        let dashboard = std::fs::read_to_string(package.join("../../docs/grafana/zmtp.json"))
            .expect("the repository's file");
        let known: BTreeSet<_> = Metric::all().iter().map(|metric| metric.name).collect();
        let asked: BTreeSet<_> = dashboard
            .split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'))
            .filter(|word| word.starts_with("zmtp_"))
            .collect();
        assert!(asked.len() > 5 && asked.is_subset(&known), "{asked:?}");
    }
}

#[cfg(all(test, feature = "metrics"))]
mod recorder_tests {
    use std::collections::BTreeMap;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::Metric;
    use crate::sockets::push_pull::{PullSocket, PushSocket};

    /// Keeps what it is given: counters as they are, gauges as the bits of their number.
    #[derive(Debug, Default)]
    struct Kept(Mutex<BTreeMap<String, Arc<AtomicU64>>>);

    impl Kept {
        fn place(&self, key: &Key) -> Arc<AtomicU64> {
            let labels: Vec<_> =
                key.labels().map(|it| format!("{}={}", it.key(), it.value())).collect();
            let name = format!("{}{{{}}}", key.name(), labels.join(","));
            self.0.lock().unwrap().entry(name).or_default().clone()
        }

        fn value(&self, name: &str) -> u64 {
            self.0.lock().unwrap()[name].load(Ordering::Relaxed)
        }
    }

    impl Recorder for Kept {
        fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}
        fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

        fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
            Counter::from_arc(self.place(key))
        }

        fn register_gauge(&self, key: &Key, _: &Metadata<'_>) -> Gauge {
            Gauge::from_arc(self.place(key))
        }

        fn register_histogram(&self, _: &Key, _: &Metadata<'_>) -> Histogram {
            Histogram::noop()
        }
    }

    #[tokio::test]
    async fn what_a_socket_counts_reaches_the_recorder() {
        let push = PushSocket::new();
        let mut pull = PullSocket::new();
        pull.connect(push.bind("tcp://127.0.0.1:*").await.unwrap()).unwrap();
        for _ in 0..3 {
            push.send("abc").await.unwrap();
        }
        for _ in 0..3 {
            pull.recv().await.unwrap();
        }

        let kept = Kept::default();
        // Twice: a counter is set, not added to.
        for _ in 0..2 {
            metrics::with_local_recorder(&kept, || pull.publish_metrics("work"));
        }
        assert_eq!(kept.value("zmtp_received_total{socket=work,type=PULL}"), 3);
        assert_eq!(kept.value("zmtp_received_bytes_total{socket=work,type=PULL}"), 15);
        assert_eq!(kept.value("zmtp_sent_total{socket=work,type=PULL}"), 0);
        assert_eq!(kept.value("zmtp_peers{socket=work,type=PULL}"), 1f64.to_bits());
        assert_eq!(kept.0.lock().unwrap().len(), Metric::all().len());
    }
}
