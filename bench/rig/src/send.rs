//! The sender's side of a run.

use std::time::Duration;

use serde::Serialize;

use crate::topics::Topics;
use crate::{
    Args, Mode, Pattern, Payload, Ticker, Usage, Weather, now, print, resident_kib, sleep, started,
    stopped,
};

/// The kind of the message that lets receivers report that they are subscribed.
pub(crate) const SYNC: &[u8; 2] = b"~S";

/// The kind of the message that ends the data.
pub(crate) const END: &[u8; 2] = b"~E";

/// The number of bits that count a sender's messages; those above them are the sender's index.
const COUNT_BITS: u32 = 48;

/// A socket of some library that sends.
pub trait Sender {
    /// Sends a message made of `body`. Any failure is a panic, since then nothing can be measured.
    fn send(&mut self, body: &[u8]) -> impl Future<Output = ()>;

    /// Sends messages made of these in one call, if there is such a call.
    fn send_many(&mut self, bodies: &[Vec<u8>]) -> impl Future<Output = ()> {
        async move {
            for body in bodies {
                self.send(body).await;
            }
        }
    }

    /// The number of messages that the library reports as dropped.
    fn dropped(&self) -> u64 {
        0
    }
}

/// The first message of data of this many octets; the number is to be written into octets 1 to 8.
pub fn body(size: usize) -> Vec<u8> {
    vec![b'd'; size]
}

/// The message that a sender sends before the data.
pub fn sync(sender: usize) -> [u8; 16] {
    control(SYNC, number(sender, 0))
}

/// The message that a sender sends after `sent` messages of data.
pub fn end(sender: usize, sent: u64) -> [u8; 16] {
    control(END, number(sender, sent))
}

fn control(kind: &[u8; 2], number: u64) -> [u8; 16] {
    let mut body = [0; 16];
    body[..2].copy_from_slice(kind);
    body[2..10].copy_from_slice(&number.to_le_bytes());
    body
}

/// The number of a sender's message that comes after `count` others.
#[inline]
pub(crate) fn number(sender: usize, count: u64) -> u64 {
    (sender as u64) << COUNT_BITS | count
}

/// The sender and the count in a number.
#[inline]
pub(crate) fn parts(number: u64) -> (usize, u64) {
    ((number >> COUNT_BITS) as usize, number & ((1 << COUNT_BITS) - 1))
}

/// Runs the only sender of a process, from `~S` to its report.
pub async fn send_all(sender: impl Sender, args: &Args) {
    send_in_turn(vec![sender], args).await;
}

/// Runs all senders of a process, which send in turn, from `~S` to their report.
pub async fn send_in_turn(mut senders: Vec<impl Sender>, args: &Args) {
    if args.mode == Mode::Idle {
        return idle(&mut senders[0], args).await;
    }
    // Rarely where a round takes long, so that it does not delay those who are still connecting.
    let pause = Duration::from_millis((args.peers as u64 / 20).max(5));
    while !started() {
        if stopped() {
            return;
        }
        for (index, sender) in (args.index..).zip(&mut senders) {
            sender.send(&sync(index)).await;
        }
        sleep(pause).await;
    }
    let sent = match args.mode {
        Mode::Weather => weather(&mut senders[0], args).await,
        Mode::Lat => beat(&mut senders, args).await,
        _ if args.together > 1 => flood_together(&mut senders[0], args).await,
        _ => flood(&mut senders, args).await,
    };
    // One for each receiver, if only one of them gets it.
    let copies = if args.pattern == Pattern::PushPull { args.peers } else { 1 };
    let in_turn = senders.len();
    loop {
        for (place, sender) in senders.iter_mut().enumerate() {
            let end = end(args.index + place, sent.of(place, in_turn));
            for _ in 0..copies {
                sender.send(&end).await;
            }
        }
        if stopped() {
            break;
        }
        sleep(Duration::from_millis(10)).await;
    }
    sent.report(args.name, senders.iter().map(Sender::dropped).sum());
}

/// A run whose data have begun.
#[derive(Debug)]
pub struct Run {
    usage: Usage,
    t0: u64,
    limit: u64,
}

/// A run whose data have been sent.
#[derive(Debug)]
pub struct Sent {
    run: Run,
    usage: Usage,
    t1: u64,
    sent: u64,
}

impl Run {
    /// Begins the run now.
    pub fn begin(args: &Args) -> Self {
        Self { limit: (args.max_secs * 1e9) as u64, usage: Usage::now(), t0: now() }
    }

    /// Whether the time is over.
    pub fn is_late(&self) -> bool {
        now() - self.t0 > self.limit
    }

    /// Ends the run after `sent` messages.
    pub fn end(self, sent: u64) -> Sent {
        Sent { t1: now(), usage: Usage::now(), sent, run: self }
    }
}

impl Sent {
    /// The number of messages.
    pub fn count(&self) -> u64 {
        self.sent
    }

    /// How many of the messages were sent by the sender at this place, from 0, of so many in turn.
    fn of(&self, place: usize, in_turn: usize) -> u64 {
        (self.sent + (in_turn - 1 - place) as u64) / in_turn as u64
    }

    /// Prints the resources used from the first message up to now.
    pub fn report(&self, name: &str, dropped: u64) {
        let secs = (self.t1 - self.run.t0) as f64 / 1e9;
        let used = Usage::now().since(&self.run.usage);
        let flood = self.usage.since(&self.run.usage);
        let report = Report {
            name,
            role: "sender",
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

/// The report of a sender to the driver.
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

async fn idle(sender: &mut impl Sender, args: &Args) {
    let sync = sync(args.index);
    while !stopped() {
        sender.send(&sync).await;
        sleep(Duration::from_millis(50)).await;
    }
    let (rss_kb, peak_kb) = (resident_kib(), Usage::now().peak_kib);
    let report = serde_json::json!({
        "impl": args.name, "role": "sender", "mode": "idle", "rss_kb": rss_kb, "peak_kb": peak_kb,
    });
    print(&report.to_string());
}

async fn flood(senders: &mut [impl Sender], args: &Args) -> Sent {
    let turn = match senders.len() {
        // The clock is read so rarely that this costs nothing.
        1 if args.size >= 16_384 => 16,
        1 => 256,
        _ => args.window,
    };
    let topics = Topics::new(args.topic_count);
    let mut body = body(args.size);
    topics.head(&mut body, 0, u64::MAX);
    let run = Run::begin(args);
    let mut sent = 0_u64;
    while sent < args.count && !run.is_late() {
        let turn = sent..args.count.min(sent + turn);
        for (index, sender) in (args.index..).zip(&mut *senders) {
            for nth in turn.clone() {
                if args.payload == Payload::Fresh {
                    topics.head(&mut body, nth, number(index, nth));
                }
                sender.send(&body).await;
            }
        }
        sent = turn.end;
    }
    run.end(sent * senders.len() as u64)
}

async fn flood_together(sender: &mut impl Sender, args: &Args) -> Sent {
    let topics = Topics::new(args.topic_count);
    let mut bodies = vec![body(args.size); args.together];
    let run = Run::begin(args);
    let mut sent = 0_u64;
    while sent < args.count && !run.is_late() {
        let rest = usize::try_from(args.count - sent).unwrap_or(usize::MAX);
        let bodies = &mut bodies[..rest.min(args.together)];
        for body in &mut *bodies {
            topics.head(body, sent, number(args.index, sent));
            sent += 1;
        }
        sender.send_many(bodies).await;
    }
    run.end(sent)
}

async fn weather(sender: &mut impl Sender, args: &Args) -> Sent {
    let weather = Weather::new();
    let run = Run::begin(args);
    let mut sent = 0_u64;
    while sent < args.count {
        sender.send(weather.text(sent)).await;
        sent += 1;
        if sent.is_multiple_of(32) && run.is_late() {
            break;
        }
    }
    run.end(sent)
}

async fn beat(senders: &mut [impl Sender], args: &Args) -> Sent {
    let topics = Topics::new(args.topic_count);
    let ticker = Ticker::new(Duration::from_micros(args.interval_us));
    let run = Run::begin(args);
    // At least three times the expected time: a beat that falls behind still ends.
    let longest = run.limit.max(args.count * args.interval_us * 3000);
    let mut body = body(args.size);
    let mut sent = 0;
    while sent < args.count && now() - run.t0 < longest {
        ticker.tick().await;
        let place = sent as usize % senders.len();
        topics.head(&mut body, sent, now());
        senders[place].send(&body).await;
        sent += 1;
    }
    run.end(sent)
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use clap::Parser;

    use super::*;
    use crate::run_ready;

    /// Writes down the numbers of what it sends, as sender and count.
    struct Scribe<'a>(&'a RefCell<Vec<(usize, u64)>>);

    impl Sender for Scribe<'_> {
        async fn send(&mut self, body: &[u8]) {
            let number = body[1..9].try_into().map(u64::from_le_bytes).expect("eight octets");
            self.0.borrow_mut().push(parts(number));
        }
    }

    #[test]
    fn senders_of_one_process_send_a_window_each_in_turn() {
        let words = ["peer", "sender", "--index", "3", "--window", "2", "--count", "3"];
        let written = RefCell::new(Vec::new());
        let mut senders = [Scribe(&written), Scribe(&written)];
        let sent = run_ready(flood(&mut senders, &Args::parse_from(words)));
        assert_eq!(written.take(), [(3, 0), (3, 1), (4, 0), (4, 1), (3, 2), (4, 2)]);
        assert_eq!((sent.count(), sent.of(0, 2), sent.of(1, 2)), (6, 3, 3));
    }

    #[test]
    fn the_first_senders_have_sent_one_more_where_the_last_turn_was_not_full() {
        let sent = Run::begin(&Args::parse_from(["peer", "sender"])).end(5);
        assert_eq!([0, 1, 2].map(|place| sent.of(place, 3)), [2, 2, 1]);
    }
}
