//! The publisher's side of a run.

use std::time::Duration;

use serde::Serialize;

use crate::{
    Args, Mode, Payload, Ticker, Usage, Weather, now, print, resident_kib, sleep, started, stopped,
};

/// Asks the subscribers to say that they are there.
pub const SYNC: &[u8] = b"~S";

/// Begins the message that ends the data; the number of messages follows.
pub const END: &[u8] = b"~E";

/// A PUB socket of some library.
pub trait Publisher {
    /// Publishes a message made of `body`. Any failure is a panic: there is nothing to measure then.
    fn send(&mut self, body: &[u8]) -> impl Future<Output = ()>;

    /// How many messages the library says it has dropped.
    fn dropped(&self) -> u64 {
        0
    }
}

/// The first message of data of this many octets; the number is to be written into octets 1 to 8.
pub fn body(size: usize) -> Vec<u8> {
    vec![b'd'; size]
}

/// Does all that a publisher has to do, from `~S` to its report.
pub async fn publish(mut publisher: impl Publisher, args: &Args) {
    if args.mode == Mode::Idle {
        return idle(publisher, args).await;
    }
    while !started() {
        if stopped() {
            return;
        }
        publisher.send(SYNC).await;
        sleep(Duration::from_millis(5)).await;
    }
    let published = match args.mode {
        Mode::Weather => weather(&mut publisher, args).await,
        Mode::Lat => beat(&mut publisher, args).await,
        _ => flood(&mut publisher, args).await,
    };
    let mut end = [0; 16];
    end[..2].copy_from_slice(END);
    end[2..10].copy_from_slice(&published.sent.to_le_bytes());
    loop {
        publisher.send(&end).await;
        if stopped() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    published.report(args.name, publisher.dropped());
}

/// The data have begun.
#[derive(Debug)]
pub struct Run {
    usage: Usage,
    t0: u64,
    limit: u64,
}

/// The data have been published.
#[derive(Debug)]
pub struct Published {
    run: Run,
    usage: Usage,
    t1: u64,
    sent: u64,
}

impl Run {
    /// Begins now.
    pub fn begin(args: &Args) -> Self {
        Self { limit: (args.max_secs * 1e9) as u64, usage: Usage::now(), t0: now() }
    }

    /// Whether no more is to be published.
    pub fn is_late(&self) -> bool {
        now() - self.t0 > self.limit
    }

    /// All `sent` messages have been published.
    pub fn end(self, sent: u64) -> Published {
        Published { t1: now(), usage: Usage::now(), sent, run: self }
    }
}

impl Published {
    /// How many messages.
    pub fn sent(&self) -> u64 {
        self.sent
    }

    /// Prints what was used from the first message up to now.
    pub fn report(&self, name: &str, dropped: u64) {
        let secs = (self.t1 - self.run.t0) as f64 / 1e9;
        let used = Usage::now().since(&self.run.usage);
        let flood = self.usage.since(&self.run.usage);
        let report = Report {
            name,
            role: "pub",
            sent: self.sent,
            secs,
            rate: self.sent as f64 / secs,
            t0: self.run.t0,
            t1: self.t1,
            dropped,
            loop_cpu: flood.user + flood.sys,
            user: used.user,
            sys: used.sys,
            peak_kb: used.peak_kib,
            rss_kb: resident_kib(),
            vcsw: used.voluntary,
            ivcsw: used.involuntary,
        };
        print(&serde_json::to_string(&report).expect("numbers and names"));
    }
}

/// What a publisher tells the driver.
#[derive(Debug, Serialize)]
struct Report<'a> {
    #[serde(rename = "impl")]
    name: &'a str,
    role: &'a str,
    sent: u64,
    secs: f64,
    rate: f64,
    t0: u64,
    t1: u64,
    dropped: u64,
    loop_cpu: f64,
    user: f64,
    sys: f64,
    peak_kb: i64,
    rss_kb: i64,
    vcsw: i64,
    ivcsw: i64,
}

async fn idle(mut publisher: impl Publisher, args: &Args) {
    while !stopped() {
        publisher.send(SYNC).await;
        sleep(Duration::from_millis(50)).await;
    }
    let (rss_kb, peak_kb) = (resident_kib(), Usage::now().peak_kib);
    let report = serde_json::json!({
        "impl": args.name, "role": "pub", "mode": "idle", "rss_kb": rss_kb, "peak_kb": peak_kb,
    });
    print(&report.to_string());
}

async fn flood(publisher: &mut impl Publisher, args: &Args) -> Published {
    // The clock is asked so seldom that it costs nothing.
    let checked = if args.size >= 16_384 { 16 } else { 256 };
    let mut body = body(args.size);
    body[1..9].copy_from_slice(&u64::MAX.to_le_bytes());
    let run = Run::begin(args);
    let mut sent = 0_u64;
    while sent < args.count {
        if args.payload == Payload::Fresh {
            body[1..9].copy_from_slice(&sent.to_le_bytes());
        }
        publisher.send(&body).await;
        sent += 1;
        if sent.is_multiple_of(checked) && run.is_late() {
            break;
        }
    }
    run.end(sent)
}

async fn weather(publisher: &mut impl Publisher, args: &Args) -> Published {
    let weather = Weather::new();
    let run = Run::begin(args);
    let mut sent = 0_u64;
    while sent < args.count {
        publisher.send(weather.text(sent)).await;
        sent += 1;
        if sent.is_multiple_of(32) && run.is_late() {
            break;
        }
    }
    run.end(sent)
}

async fn beat(publisher: &mut impl Publisher, args: &Args) -> Published {
    let ticker = Ticker::new(Duration::from_micros(args.interval_us));
    let run = Run::begin(args);
    // Three times what it should take, at least: a beat that falls behind still ends.
    let longest = run.limit.max(args.count * args.interval_us * 3000);
    let mut body = body(args.size);
    let mut sent = 0;
    while sent < args.count && now() - run.t0 < longest {
        ticker.tick().await;
        body[1..9].copy_from_slice(&now().to_le_bytes());
        publisher.send(&body).await;
        sent += 1;
    }
    run.end(sent)
}
