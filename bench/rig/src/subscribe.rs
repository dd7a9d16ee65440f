//! The subscribers' side of a run: counting and checking what comes.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use crate::{Args, END, Mode, Role, SYNC, Usage, Weather, now, print, resident_kib, signals};

/// Of so many messages one is compared with what was published, octet by octet.
const COMPARED: u64 = 64;

/// A SUB socket of some library.
pub trait Subscriber {
    /// Waits for a message and gives it to `tally`, and with it any that can be had without waiting.
    fn receive(&mut self, tally: &mut Tally) -> impl Future<Output = Result<(), String>>;
}

/// The sockets of one process.
#[derive(Debug)]
pub struct Group {
    args: Args,
    synced: AtomicUsize,
    ended: AtomicUsize,
    progress: Vec<AtomicU64>,
    begun: OnceLock<Usage>,
    weather: Option<Weather>,
}

/// What one socket has received.
#[derive(Debug)]
pub struct Tally {
    group: Arc<Group>,
    index: usize,
    texts: Option<HashSet<Vec<u8>>>,
    synced: bool,
    done: bool,
    received: u64,
    octets: u64,
    next: u64,
    gaps: u64,
    disorder: u64,
    corrupt: u64,
    first: u64,
    last: u64,
    published: u64,
    delays: Vec<u64>,
}

/// Opens the sockets of this process one after the other, waits until each has seen the end of the
/// data, and reports. `spawn` begins a task for a socket, in which [`receive_all`] runs.
pub async fn subscribe<S, T, E: Display>(
    args: &Args,
    open: impl AsyncFn(usize) -> S,
    spawn: impl Fn(S, Tally) -> T,
) where
    T: Future<Output = Result<Tally, E>>,
{
    let group = Group::new(args);
    let mut tasks = Vec::new();
    for index in 0..args.subs {
        tasks.push(spawn(open(index).await, Tally::new(&group, index)));
    }
    let mut tallies = Vec::new();
    for task in tasks {
        tallies.push(task.await.unwrap_or_else(|error| panic!("a subscriber: {error}")));
    }
    group.report(&tallies);
}

/// Receives up to the end of the data.
pub async fn receive_all(mut subscriber: impl Subscriber, mut tally: Tally) -> Tally {
    while !tally.is_done() {
        if let Err(error) = subscriber.receive(&mut tally).await {
            eprintln!("socket {}: {error}", tally.index);
            break;
        }
    }
    // To close is no part of what is measured.
    std::mem::forget(subscriber);
    tally
}

impl Group {
    /// As many sockets as `args` say. After the timeout the process says how far it got, and ends.
    pub fn new(args: &Args) -> Arc<Self> {
        let group = Arc::new(Self {
            args: args.clone(),
            synced: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            progress: (0..args.subs).map(|_| AtomicU64::new(0)).collect(),
            begun: OnceLock::new(),
            weather: (args.mode == Mode::Weather).then(Weather::new),
        });
        let watched = group.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs_f64(watched.args.timeout));
            watched.give_up();
        });
        group
    }

    /// Prints what all sockets have received together, and ends the process if it is not also the
    /// publisher's.
    pub fn report(&self, tallies: &[Tally]) {
        let usage = Usage::now();
        let used = usage.since(self.begun.get().unwrap_or(&usage));
        let args = &self.args;
        let sum = |count: fn(&Tally) -> u64| tallies.iter().map(count).sum::<u64>();
        let received = || tallies.iter().map(|tally| tally.received);
        let busy = tallies.iter().filter(|tally| tally.received > 0);
        let first = busy.map(|tally| tally.first).min().unwrap_or(0);
        let last = tallies.iter().map(|tally| tally.last).max().unwrap_or(0);
        let published = tallies.iter().map(|tally| tally.published).max().unwrap_or(0);
        let secs = last.saturating_sub(first) as f64 / 1e9;
        let report = Report {
            name: args.name,
            role: "sub",
            n: sum(|tally| tally.received),
            expected: match &self.weather {
                Some(weather) => weather.expected(published, tallies.len(), args.zips),
                None => published * tallies.len() as u64,
            },
            bytes: sum(|tally| tally.octets),
            secs,
            rate: sum(|tally| tally.received) as f64 / secs.max(1e-9),
            first,
            last,
            min_n: received().min().unwrap_or(0),
            max_n: received().max().unwrap_or(0),
            gaps: sum(|tally| tally.gaps),
            disorder: sum(|tally| tally.disorder),
            corrupt: sum(|tally| tally.corrupt),
            user: used.user,
            sys: used.sys,
            peak_kb: used.peak_kib,
            rss_kb: resident_kib(),
            vcsw: used.voluntary,
            ivcsw: used.involuntary,
            delays: (args.mode == Mode::Lat).then(|| Delays::of(tallies)),
        };
        print(&serde_json::to_string(&report).expect("numbers and names"));
        if args.role != Role::Inproc {
            std::process::exit(0);
        }
    }

    fn give_up(&self) -> ! {
        let received: u64 = self.progress.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let report = serde_json::json!({
            "impl": self.args.name,
            "role": "sub",
            "timeout": true,
            "n": received,
            "synced": self.synced.load(Ordering::Relaxed),
            "ended": self.ended.load(Ordering::Relaxed),
            "total": self.args.subs,
        });
        print(&report.to_string());
        std::process::exit(3);
    }
}

impl Tally {
    /// Nothing so far, for socket `index`.
    pub fn new(group: &Arc<Group>, index: usize) -> Self {
        let args = &group.args;
        let delays = if args.mode == Mode::Lat { args.count as usize } else { 0 };
        let texts = group.weather.as_ref().map(|weather| weather.matching(&args.topics(index)));
        Self {
            group: group.clone(),
            index,
            texts,
            synced: false,
            done: false,
            received: 0,
            octets: 0,
            next: 0,
            gaps: 0,
            disorder: 0,
            corrupt: 0,
            first: 0,
            last: 0,
            published: 0,
            delays: Vec::with_capacity(delays),
        }
    }

    /// Whether the end of the data has been seen.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Takes a message. Of every one the length and the order are checked, of some all octets.
    #[inline]
    pub fn message(&mut self, body: &[u8]) {
        self.head(body, body.len());
        if self.received.is_multiple_of(COMPARED) && body.first() != Some(&b'~') {
            self.compare(body);
        }
    }

    /// Takes a message of `size` octets of which only the first, 16 or more, are at hand.
    #[inline]
    pub fn head(&mut self, head: &[u8], size: usize) {
        if head.first() == Some(&b'~') {
            return self.control(head);
        }
        if self.received == 0 {
            self.first = now();
            self.group.begun.get_or_init(Usage::now);
        }
        self.received += 1;
        self.octets += size as u64;
        self.group.progress[self.index].store(self.received, Ordering::Relaxed);
        let mode = self.group.args.mode;
        if mode == Mode::Weather {
            return;
        }
        let number = head.get(1..9).and_then(|octets| octets.try_into().ok());
        let Some(number) = number.map(u64::from_le_bytes).filter(|_| size == self.group.args.size)
        else {
            self.corrupt += 1;
            return;
        };
        if mode == Mode::Lat {
            self.delays.push(now().saturating_sub(number));
        } else if number != u64::MAX {
            self.gaps += u64::from(number > self.next);
            self.disorder += u64::from(number < self.next);
            self.next = number + 1;
        }
    }

    #[cold]
    fn control(&mut self, body: &[u8]) {
        if body == SYNC && !self.synced {
            self.synced = true;
            if self.group.synced.fetch_add(1, Ordering::AcqRel) + 1 == self.group.args.subs {
                print("SYNCED");
                if self.group.args.role == Role::Inproc {
                    signals::start();
                }
            }
        } else if let Some(count) = body.strip_prefix(END).and_then(<[u8]>::first_chunk)
            && !self.done
        {
            self.last = now();
            self.published = u64::from_le_bytes(*count);
            self.done = true;
            self.group.ended.fetch_add(1, Ordering::AcqRel);
        }
    }

    fn compare(&mut self, body: &[u8]) {
        let right = match &self.texts {
            Some(texts) => texts.contains(body),
            None => body[0] == b'd' && body.iter().skip(9).all(|octet| *octet == b'd'),
        };
        self.corrupt += u64::from(!right);
    }
}

/// What a process of subscribers tells the driver.
#[derive(Serialize)]
struct Report<'a> {
    #[serde(rename = "impl")]
    name: &'a str,
    role: &'a str,
    n: u64,
    expected: u64,
    bytes: u64,
    secs: f64,
    rate: f64,
    first: u64,
    last: u64,
    min_n: u64,
    max_n: u64,
    gaps: u64,
    disorder: u64,
    corrupt: u64,
    user: f64,
    sys: f64,
    peak_kb: i64,
    rss_kb: i64,
    vcsw: i64,
    ivcsw: i64,
    #[serde(flatten)]
    delays: Option<Delays>,
}

/// Times from just before `send` to after `recv`, in microseconds.
#[derive(Serialize)]
struct Delays {
    p50: f64,
    p90: f64,
    p99: f64,
    p999: f64,
    max: f64,
}

impl Delays {
    fn of(tallies: &[Tally]) -> Self {
        let mut all: Vec<u64> = tallies.iter().flat_map(|tally| tally.delays.clone()).collect();
        all.sort_unstable();
        let quantile = |share: f64| {
            let rank = (all.len().saturating_sub(1) as f64 * share).round() as usize;
            all.get(rank).map_or(-1.0, |delay| *delay as f64 / 1000.0)
        };
        Self {
            p50: quantile(0.5),
            p90: quantile(0.9),
            p99: quantile(0.99),
            p999: quantile(0.999),
            max: quantile(1.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;

    fn tally() -> Tally {
        let args = Args::parse_from(["peer", "sub", "--size", "16", "--timeout", "3600"]);
        Tally::new(&Group::new(&args), 0)
    }

    fn message(number: u64) -> Vec<u8> {
        let mut body = crate::body(16);
        body[1..9].copy_from_slice(&number.to_le_bytes());
        body
    }

    #[test]
    fn gaps_disorder_and_foreign_octets_are_counted() {
        let mut tally = tally();
        for number in [0, 1, 3, 2, 3] {
            tally.message(&message(number));
        }
        tally.message(b"short");
        assert_eq!((tally.received, tally.gaps, tally.disorder, tally.corrupt), (6, 1, 1, 1));
    }

    #[test]
    fn a_changed_octet_is_found_in_one_of_so_many() {
        let mut tally = tally();
        for number in 0..COMPARED {
            let mut body = message(number);
            body[15] = b'x';
            tally.message(&body);
        }
        assert_eq!((tally.received, tally.corrupt), (COMPARED, 1));
    }

    #[test]
    fn the_end_says_how_many_there_were() {
        let mut tally = tally();
        tally.message(b"~E\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0");
        assert!(tally.is_done());
        assert_eq!(tally.published, 258);
    }
}
