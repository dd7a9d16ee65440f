//! Measurements, for people and for programs.

use hdrhistogram::Histogram;
use indicatif::HumanCount;
use serde_json::{Value, json};

use super::Measure;
use crate::text::counted;

/// The header of comma-separated values.
pub(super) const CSV: &str = "kind,client,size,messages,seconds,per_second,mib_per_second,min_us,mean_us,\
                              p50_us,p90_us,p99_us,p99.9_us,max_us";

/// The measurements with messages of one size.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) size: usize,
    pub(super) clients: Vec<Measured>,
    /// The sums of all clients.
    pub(super) all: Measured,
    pub(super) timed_out: bool,
}

/// The measurements of one client.
#[derive(Clone, Debug, Default)]
pub(super) struct Measured {
    /// The number of the client; `None` for the sums of all.
    pub(super) client: Option<u32>,
    pub(super) messages: u64,
    pub(super) seconds: f64,
    /// In nanoseconds.
    pub(super) latencies: Option<Histogram<u64>>,
}

impl Report {
    pub(super) fn new(size: usize) -> Self {
        Self { size, clients: Vec::new(), all: Measured::default(), timed_out: false }
    }

    /// Sums up the clients.
    pub(super) fn sum_up(&mut self) {
        self.clients.sort_by_key(|client| client.client);
        let mut all = Measured::default();
        for client in &self.clients {
            all.messages += client.messages;
            all.seconds = all.seconds.max(client.seconds);
            if let Some(latencies) = &client.latencies {
                match &mut all.latencies {
                    None => all.latencies = Some(latencies.clone()),
                    Some(together) => {
                        together.add(latencies).expect("a histogram that grows holds any other");
                    }
                }
            }
        }
        self.all = all;
    }

    pub(super) fn print(&self, kind: &str, args: &Measure) {
        // A single client has the same numbers as all.
        let clients = if self.clients.len() > 1 { &self.clients[..] } else { &[] };
        for measured in clients.iter().chain([&self.all]) {
            match (args.json, args.csv) {
                (true, _) => println!("{}", measured.json(kind, self.size)),
                (_, true) => println!("{}", measured.csv(kind, self.size)),
                _ => println!("{}", measured.line(kind, self.size, clients.len())),
            }
        }
    }
}

impl Measured {
    fn per_second(&self) -> f64 {
        if self.seconds > 0.0 { self.messages as f64 / self.seconds } else { 0.0 }
    }

    fn mib_per_second(&self, size: usize) -> f64 {
        self.per_second() * size as f64 / f64::from(1 << 20)
    }

    /// The names of the quantiles, with their values in microseconds.
    fn latencies(&self) -> Option<[(&'static str, f64); 7]> {
        let it = self.latencies.as_ref().filter(|latencies| !latencies.is_empty())?;
        let at = |quantile| it.value_at_quantile(quantile) as f64 / 1e3;
        Some([
            ("min", it.min() as f64 / 1e3),
            ("mean", it.mean() / 1e3),
            ("p50", at(0.5)),
            ("p90", at(0.9)),
            ("p99", at(0.99)),
            ("p99.9", at(0.999)),
            ("max", it.max() as f64 / 1e3),
        ])
    }

    fn json(&self, kind: &str, size: usize) -> Value {
        let mut value = json!({
            "kind": kind,
            "client": self.client,
            "size": size,
            "messages": self.messages,
            "seconds": self.seconds,
            "per_second": self.per_second(),
            "mib_per_second": self.mib_per_second(size),
        });
        if let Some(latencies) = self.latencies() {
            let latencies = latencies.map(|(name, micros)| (name.to_owned(), json!(micros)));
            value["latency_us"] = Value::Object(latencies.into_iter().collect());
        }
        value
    }

    fn csv(&self, kind: &str, size: usize) -> String {
        let client = self.client.map_or("all".to_owned(), |client| client.to_string());
        let Self { messages, seconds, .. } = self;
        let (rate, volume) = (self.per_second(), self.mib_per_second(size));
        let latencies = match self.latencies() {
            Some(latencies) => latencies.map(|(_, micros)| format!("{micros:.3}")).join(","),
            None => ",,,,,,".to_owned(),
        };
        format!("{kind},{client},{size},{messages},{seconds:.6},{rate:.0},{volume:.3},{latencies}")
    }

    fn line(&self, kind: &str, size: usize, clients: usize) -> String {
        let who = match (self.client, clients) {
            (Some(client), _) => format!("client {client}: "),
            (None, 0) => String::new(),
            (None, clients) => format!("all {clients}: "),
        };
        let mut line = format!(
            "{kind}, {size} B: {who}{} in {:.3} s, {}/s, {:.1} MiB/s",
            counted(self.messages, "message"),
            self.seconds,
            HumanCount(self.per_second() as u64),
            self.mib_per_second(size),
        );
        if let Some(latencies) = self.latencies() {
            let shown = latencies.map(|(name, micros)| format!("{name} {micros:.1}"));
            line.push_str(&format!("\n  µs: {}", shown.join(", ")));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sum_has_all_latencies_and_the_longest_time() {
        let measured = |client, nanos: &[u64], seconds| {
            let mut latencies = Histogram::new(3).unwrap();
            nanos.iter().for_each(|nanos| latencies.record(*nanos).unwrap());
            let messages = nanos.len() as u64;
            Measured { client: Some(client), messages, seconds, latencies: Some(latencies) }
        };
        let mut report = Report::new(100);
        report.clients = vec![measured(1, &[3000, 4000], 2.0), measured(0, &[1000], 1.0)];
        report.sum_up();
        let csv = report.all.csv("latency", 100);
        assert_eq!(report.clients[0].client, Some(0));
        assert!(csv.starts_with("latency,all,100,3,2.000000,2,0.000,1.000,2.6"), "{csv}");
        assert_eq!(csv.split(',').count(), CSV.split(',').count());
        let none = Measured::default().csv("throughput", 1);
        assert_eq!(none.split(',').count(), CSV.split(',').count(), "{none}");
    }
}
