//! The receivers' side of a run: counting and checking the messages.

use std::collections::HashSet;
use std::fmt::Display;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use serde::Serialize;

use crate::send::{END, SYNC, parts};
use crate::topics::Topics;
use crate::{
    Args, Mode, Pattern, Role, Usage, Weather, now, print, resident_kib, signals, stopped,
};

/// One of so many messages is compared with the sent one, octet by octet.
const COMPARED: u64 = 64;

/// A socket of some library that receives.
pub trait Receiver {
    /// Waits for a message and gives it to `tally`, with all others that can be had without waiting.
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
    topics: Topics,
}

/// The messages that one socket has received.
#[derive(Debug)]
pub struct Tally {
    group: Arc<Group>,
    index: usize,
    texts: Option<HashSet<Vec<u8>>>,
    first_sender: usize,
    streams: Vec<Stream>,
    done: bool,
    received: u64,
    octets: u64,
    gaps: u64,
    disorder: u64,
    corrupt: u64,
    first: u64,
    last: u64,
    delays: Vec<u64>,
}

/// The messages of one sender.
#[derive(Clone, Copy, Debug, Default)]
struct Stream {
    synced: bool,
    next: u64,
    /// The number of messages that the sender has sent, once it has reported that.
    sent: Option<u64>,
}

/// Opens the sockets of this process one after the other, waits until each has seen the end of the
/// data, and reports. `spawn` begins a task for a socket, in which [`receive_all`] runs.
pub async fn open_all<S, T, E: Display>(
    args: &Args,
    open: impl AsyncFn(usize) -> S,
    spawn: impl Fn(S, Tally) -> T,
) where
    T: Future<Output = Result<Tally, E>>,
{
    let group = Group::new(args);
    let mut tasks = Vec::new();
    for index in 0..args.sockets {
        tasks.push(spawn(open(index).await, Tally::new(&group, index)));
    }
    let mut tallies = Vec::new();
    for task in tasks {
        tallies.push(task.await.unwrap_or_else(|error| panic!("a receiver: {error}")));
    }
    group.report(&tallies);
}

/// Receives up to the end of the data.
pub async fn receive_all(mut receiver: impl Receiver, mut tally: Tally) -> Tally {
    while !tally.is_done() {
        if let Err(error) = receiver.receive(&mut tally).await {
            eprintln!("socket {}: {error}", tally.index);
            break;
        }
    }
    // Closing is not measured.
    std::mem::forget(receiver);
    tally
}

impl Group {
    /// As many sockets as `args` say. After the timeout the process reports how far it got, and ends.
    pub fn new(args: &Args) -> Arc<Self> {
        let group = Arc::new(Self {
            args: args.clone(),
            synced: AtomicUsize::new(0),
            ended: AtomicUsize::new(0),
            progress: (0..args.sockets).map(|_| AtomicU64::new(0)).collect(),
            begun: OnceLock::new(),
            weather: (args.mode == Mode::Weather).then(Weather::new),
            topics: Topics::new(args.topic_count),
        });
        let watched = group.clone();
        std::thread::spawn(move || {
            std::thread::sleep(Duration::from_secs_f64(watched.args.timeout));
            watched.give_up();
        });
        group
    }

    /// Prints the counts of all sockets together. If the process is not also the sender's, it keeps its
    /// sockets open until the driver has the reports of the other processes, and ends.
    pub fn report(&self, tallies: &[Tally]) {
        let usage = Usage::now();
        let used = usage.since(self.begun.get().unwrap_or(&usage));
        let args = &self.args;
        let sum = |count: fn(&Tally) -> u64| tallies.iter().map(count).sum::<u64>();
        let received = || tallies.iter().map(|tally| tally.received);
        let busy = tallies.iter().filter(|tally| tally.received > 0);
        let first = busy.map(|tally| tally.first).min().unwrap_or(0);
        let last = tallies.iter().map(|tally| tally.last).max().unwrap_or(0);
        let secs = last.saturating_sub(first) as f64 / 1e9;
        let report = Report {
            name: args.name,
            role: "receiver",
            n: sum(|tally| tally.received),
            expected: self.expected(tallies),
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
            delays: (args.mode == Mode::Lat || args.pattern.asks()).then(|| Delays::of(tallies)),
        };
        print(&serde_json::to_string(&report).expect("numbers and names"));
        if args.role != Role::Inproc {
            while !stopped() {
                std::thread::sleep(Duration::from_millis(1));
            }
            std::process::exit(0);
        }
    }

    /// The number of messages that should have arrived: in a pipeline, at all processes together.
    fn expected(&self, tallies: &[Tally]) -> u64 {
        let sent = |tally: &Tally, sender: usize| tally.streams[sender].sent.unwrap_or(0);
        let most = |sender| tallies.iter().map(|tally| sent(tally, sender)).max().unwrap_or(0);
        let args = &self.args;
        let all: u64 = (0..args.senders).map(most).sum();
        match (args.pattern, &self.weather) {
            (Pattern::PubSub, Some(weather)) => weather.expected(all, tallies.len(), args.zips),
            (Pattern::PubSub, None) => all * tallies.len() as u64,
            (Pattern::PushPull, _) => all,
            (Pattern::ReqRep | Pattern::DealerRouter, _) => {
                tallies.iter().map(|tally| sent(tally, 0)).sum()
            }
        }
    }

    fn socket_is_synced(&self) {
        if self.synced.fetch_add(1, Ordering::AcqRel) + 1 == self.args.sockets {
            print("SYNCED");
            if self.args.role == Role::Inproc {
                signals::start();
            }
        }
    }

    fn give_up(&self) -> ! {
        let received: u64 = self.progress.iter().map(|count| count.load(Ordering::Relaxed)).sum();
        let report = serde_json::json!({
            "impl": self.args.name,
            "role": "receiver",
            "timeout": true,
            "n": received,
            "synced": self.synced.load(Ordering::Relaxed),
            "ended": self.ended.load(Ordering::Relaxed),
            "total": self.args.sockets,
        });
        print(&report.to_string());
        std::process::exit(3);
    }
}

impl Tally {
    /// No messages so far, for socket `index`.
    pub fn new(group: &Arc<Group>, index: usize) -> Self {
        let args = &group.args;
        let delays = if args.mode == Mode::Lat { args.count as usize } else { 0 };
        let texts = group.weather.as_ref().map(|weather| weather.matching(&args.topics(index)));
        Self {
            group: group.clone(),
            index,
            texts,
            // An answer goes to the socket that asked, and is a copy of its request.
            first_sender: if args.pattern.asks() { index } else { 0 },
            streams: vec![Stream::default(); if args.pattern.asks() { 1 } else { args.senders }],
            done: false,
            received: 0,
            octets: 0,
            gaps: 0,
            disorder: 0,
            corrupt: 0,
            first: 0,
            last: 0,
            delays: Vec::with_capacity(delays),
        }
    }

    /// Whether the end of the data has been seen.
    #[inline]
    pub fn is_done(&self) -> bool {
        self.done
    }

    /// Counts a message. Checks the length and the order of each, and all octets of some.
    #[inline]
    pub fn message(&mut self, body: &[u8]) {
        self.head(body, body.len());
        if self.received.is_multiple_of(COMPARED) && body.first() != Some(&b'~') {
            self.compare(body);
        }
    }

    /// Counts a message of `size` octets of which only the first, 16 or more, are at hand.
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
        let at = self.group.topics.length();
        let number = head.get(at + 1..at + 9).and_then(|octets| octets.try_into().ok());
        let Some(number) = number.map(u64::from_le_bytes).filter(|_| size == self.group.args.size)
        else {
            self.corrupt += 1;
            return;
        };
        if mode == Mode::Lat {
            self.delays.push(now().saturating_sub(number));
        } else if number != u64::MAX {
            let (sender, count) = parts(number);
            let Some(stream) = self.streams.get_mut(sender.wrapping_sub(self.first_sender)) else {
                self.corrupt += 1;
                return;
            };
            self.gaps += u64::from(count > stream.next);
            self.disorder += u64::from(count < stream.next);
            stream.next = count + 1;
        }
    }

    /// Whether every sender has been heard from.
    pub(crate) fn is_synced(&self) -> bool {
        self.streams.iter().all(|stream| stream.synced)
    }

    /// The number of data messages that have arrived.
    pub(crate) fn received(&self) -> u64 {
        self.received
    }

    /// Notes that the answer to a request has taken so many nanoseconds.
    pub(crate) fn answered_after(&mut self, nanoseconds: u64) {
        self.delays.push(nanoseconds);
    }

    #[cold]
    fn control(&mut self, body: &[u8]) {
        let Some((kind, number)) = body.split_first_chunk().zip(body.get(2..10)) else { return };
        let Ok(number) = number.try_into().map(u64::from_le_bytes) else { return };
        let (sender, count) = parts(number);
        let Some(stream) = self.streams.get_mut(sender.wrapping_sub(self.first_sender)) else {
            self.corrupt += 1;
            return;
        };
        if kind.0 == SYNC && !stream.synced {
            stream.synced = true;
            if self.is_synced() {
                self.group.socket_is_synced();
            }
        } else if kind.0 == END && stream.sent.is_none() {
            self.last = now();
            stream.sent = Some(count);
            self.done = self.streams.iter().all(|stream| stream.sent.is_some());
            if self.done {
                self.group.ended.fetch_add(1, Ordering::AcqRel);
            }
        }
    }

    fn compare(&mut self, body: &[u8]) {
        let right = match &self.texts {
            Some(texts) => texts.contains(body),
            None => {
                let topics = &self.group.topics;
                let (topic, data) = body.split_at_checked(topics.length()).unwrap_or_default();
                let number = data.get(1..9).and_then(|octets| octets.try_into().ok());
                let filled =
                    data.first() == Some(&b'd') && data.iter().skip(9).all(|it| *it == b'd');
                // A time does not say which message it is.
                let nth = number.map(|number| parts(u64::from_le_bytes(number)).1);
                let timed = self.group.args.mode == Mode::Lat;
                filled && (timed || nth.is_some_and(|nth| topics.of(nth) == topic))
            }
        };
        self.corrupt += u64::from(!right);
    }
}

/// The report of a process of receivers to the driver.
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

    fn group(words: &[&str]) -> Arc<Group> {
        let common = ["peer", "receiver", "--size", "16", "--timeout", "3600"];
        Group::new(&Args::parse_from(common.iter().chain(words)))
    }

    fn tally() -> Tally {
        Tally::new(&group(&[]), 0)
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
    fn another_topic_than_that_of_the_message_is_found() {
        let words = ["peer", "receiver", "--topics", "1000", "--size", "24", "--timeout", "3600"];
        let group = Group::new(&Args::parse_from(words));
        let topics = Topics::new(1000);
        let [right, wrong] = [0, 1].map(|other| {
            let mut tally = Tally::new(&group, 0);
            for number in 0..COMPARED {
                let mut body = crate::body(24);
                topics.head(&mut body, number + other, number);
                tally.message(&body);
            }
            tally.corrupt
        });
        assert_eq!((right, wrong), (0, 1));
    }

    #[test]
    fn the_end_says_how_many_there_were() {
        let mut tally = tally();
        tally.message(b"~E\x02\x01\0\0\0\0\0\0\0\0\0\0\0\0");
        assert!(tally.is_done());
        assert_eq!(tally.streams[0].sent, Some(258));
    }

    #[test]
    fn every_sender_has_an_order_of_its_own() {
        let mut tally = Tally::new(&group(&["--pattern", "push-pull", "--senders", "2"]), 0);
        let second = 1 << 48;
        for number in [0, second, 1, second | 1, second, 2 << 48] {
            tally.message(&message(number));
        }
        assert_eq!((tally.received, tally.disorder, tally.corrupt), (6, 1, 1));
    }

    #[test]
    fn a_receiver_is_ready_and_done_when_every_sender_has_said_so() {
        let mut tally = Tally::new(&group(&["--pattern", "push-pull", "--senders", "2"]), 0);
        tally.message(&crate::sync(1));
        assert!(!tally.is_synced());
        tally.message(&crate::sync(0));
        assert!(tally.is_synced());
        tally.message(&crate::end(0, 3));
        assert!(!tally.is_done());
        tally.message(&crate::end(1, 4));
        assert!(tally.is_done());
    }

    #[test]
    fn each_pattern_owes_the_sockets_of_a_process_another_number() {
        let expected = |pattern: &str| {
            let group = group(&["--pattern", pattern, "--sockets", "2"]);
            let mut tallies = [0, 1].map(|index| Tally::new(&group, index));
            for (index, tally) in tallies.iter_mut().enumerate() {
                tally.message(&crate::end(tally.first_sender, 10 + index as u64));
            }
            group.expected(&tallies)
        };
        let patterns = ["pub-sub", "push-pull", "req-rep", "dealer-router"];
        assert_eq!(patterns.map(expected), [22, 11, 21, 21]);
    }

    #[test]
    fn an_answer_to_the_request_of_another_socket_is_found() {
        let mut tally = Tally::new(&group(&["--pattern", "dealer-router", "--sockets", "2"]), 1);
        tally.message(&message(1 << 48));
        assert_eq!(tally.corrupt, 0);
        tally.message(&message(0));
        assert_eq!(tally.corrupt, 1);
    }
}
