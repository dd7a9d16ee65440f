//! A socket's counters for the recorder of the crate `metrics`, under the names that the tool `zmtp` uses for
//! them.

use metrics::{Unit, counter, describe_counter, describe_gauge, gauge};

use crate::stats::Stats;

type Row = (&'static str, Unit, &'static str, fn(&Stats) -> u64);

const COUNTERS: [Row; 9] = [
    ("zmtp_sent_total", Unit::Count, "Messages that a transport has taken", |it| it.sent),
    ("zmtp_sent_bytes_total", Unit::Bytes, "Octets of messages that a transport has taken", |it| {
        it.sent_octets
    }),
    ("zmtp_received_total", Unit::Count, "Messages that have arrived", |it| it.received),
    ("zmtp_received_bytes_total", Unit::Bytes, "Octets of messages that have arrived", |it| {
        it.received_octets
    }),
    ("zmtp_dropped_total", Unit::Count, "Messages lost at a high-water mark", |it| it.dropped),
    (
        "zmtp_dropped_bytes_total",
        Unit::Bytes,
        "Octets of messages lost at a high-water mark",
        |it| it.dropped_octets,
    ),
    ("zmtp_undelivered_total", Unit::Count, "Messages lost with their connection", |it| {
        it.undelivered
    }),
    ("zmtp_filtered_total", Unit::Count, "Messages that nobody had asked for", |it| it.filtered),
    ("zmtp_refused_total", Unit::Count, "Connections turned away at a limit", |it| it.refused),
];

const GAUGES: [Row; 5] = [
    ("zmtp_queued", Unit::Count, "Messages that wait", |it| it.queued),
    ("zmtp_queued_bytes", Unit::Bytes, "Octets of messages that wait", |it| it.queued_octets),
    ("zmtp_peers", Unit::Count, "Connections whose handshake is done", |it| it.peers.len() as u64),
    ("zmtp_handshakes", Unit::Count, "Connections in their handshake", |it| it.handshakes),
    ("zmtp_subscriptions", Unit::Count, "Topics of peers, or of a subscriber", |it| {
        it.subscriptions
    }),
];

/// Passes the counters to the installed recorder, with the labels `socket` and `type`.
pub(crate) fn publish(socket: &str, kind: &'static str, stats: &Stats) {
    let labels = [("socket", socket.to_owned()), ("type", kind.to_owned())];
    for (name, unit, help, value) in COUNTERS {
        describe_counter!(name, unit, help);
        counter!(name, &labels).absolute(value(stats));
    }
    for (name, unit, help, value) in GAUGES {
        describe_gauge!(name, unit, help);
        #[expect(clippy::cast_precision_loss, reason = "a gauge is a number with 53 bits")]
        gauge!(name, &labels).set(value(stats) as f64);
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::sync::{Arc, Mutex};

    use metrics::{
        Counter, Gauge, Histogram, Key, KeyName, Metadata, Recorder, SharedString, Unit,
    };

    use super::{COUNTERS, GAUGES};
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
        assert_eq!(kept.0.lock().unwrap().len(), COUNTERS.len() + GAUGES.len());
    }

    /// The dashboard is none of the crate's files, so where the crate is by itself there is nothing to compare.
    #[test]
    fn the_dashboard_asks_for_metrics_that_there_are() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/grafana/zmtp.json");
        let Ok(dashboard) = std::fs::read_to_string(path) else { return };
        let known: BTreeSet<_> = COUNTERS.iter().chain(&GAUGES).map(|row| row.0).collect();
        let asked: BTreeSet<_> = dashboard
            .split(|it: char| !(it.is_ascii_alphanumeric() || it == '_'))
            .filter(|word| word.starts_with("zmtp_"))
            .collect();
        assert!(asked.len() > 5 && asked.is_subset(&known), "{asked:?}");
    }
}
