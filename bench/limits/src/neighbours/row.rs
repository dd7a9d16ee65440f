//! One attack on one victim that has a neighbour, and what the neighbour felt of it.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};
use std::{fmt, io, thread};

use super::attack::{Attack, octets_for};
use super::meter::Meter;
use super::scene::{self, BETWEEN_TICKS, Engine, FLOOD, FRAME, Settings, Shape, flood};
use crate::peer::{Peer, READY_PUB, Width};
use crate::process::Process;
use crate::table::{Column, mib, milliseconds, none};
use crate::victim::{Library, TICK};

/// Messages are given so long to flow evenly.
const WARM_UP: Duration = Duration::from_millis(300);

/// The columns of the table. Where a column is followed by `during`, the first is without the attack and the
/// second with it.
pub(super) const COLUMNS: &[Column] = &[
    ("attack", false),
    ("victim", false),
    ("messages/s before", true),
    ("during", true),
    ("ratio", true),
    ("longest gap, ms", true),
    ("during", true),
    ("longest turn, ms", true),
    ("during", true),
    ("longest lock, ms", true),
    ("during", true),
    ("memory, MiB", true),
    ("peak", true),
    ("remark", false),
];

/// An attack, and on what.
#[derive(Clone, Copy, Debug)]
pub(super) struct Row {
    pub(super) attack: Attack,
    pub(super) shape: Shape,
    pub(super) engine: Engine,
    /// Topics that the attack is made with.
    pub(super) topics: u32,
    /// How long is measured without the attack and with it.
    pub(super) before: Duration,
    pub(super) during: Duration,
}

/// The measurements of a row.
#[derive(Debug)]
pub(super) struct Outcome {
    before: Phase,
    during: Phase,
    memory: u64,
    peak: u64,
    remark: String,
}

/// The measurements over some time.
#[derive(Debug)]
struct Phase {
    /// Messages a second that reach the neighbour, and the longest time without one.
    rate: f64,
    gap: Duration,
    turn: Duration,
    lock: Duration,
}

impl Row {
    pub(super) fn library(&self) -> Library {
        match self.engine {
            Engine::Libzmq => Library::Libzmq,
            Engine::Current | Engine::Workers => Library::Ours,
        }
    }

    /// Which row of the table it is.
    pub(super) fn names(&self) -> [String; 2] {
        let topics = match self.attack {
            Attack::Leave | Attack::Newcomer | Attack::Publisher => {
                format!(", {} topics", self.topics)
            }
            _ => String::new(),
        };
        [format!("{}{topics}", self.attack), format!("{}, {}", self.shape, self.engine)]
    }

    /// Attacks a victim of its own.
    pub(super) fn run(&self) -> io::Result<Outcome> {
        let judges = self.attack == Attack::Judged;
        let topics = if self.shape == Shape::Sub { self.topics } else { 0 };
        let (shape, engine) = (self.shape, self.engine);
        let mut victim = scene::start(&Settings { shape, engine, judges, topics, timeout: 120 })?;
        let endpoints = victim.endpoint.clone();
        let (first, last) = endpoints.split_once(' ').unwrap_or((&endpoints, &endpoints));

        let (meter, stopped) = (&Meter::new(), &AtomicBool::new(false));
        thread::scope(|threads| {
            // However this ends, the threads end.
            let stop = StopAtEnd(stopped);
            if shape != Shape::Direct {
                let mut publisher = Peer::open(first, Width::Wide, READY_PUB)?;
                publisher.read_unless(octets_for(topics), stopped)?;
                let ear = publisher.twin()?;
                threads.spawn(|| ear.read_all());
                threads.spawn(move || publisher.say_on(&block(), u64::MAX, stopped));
            }
            if shape != Shape::Sub {
                let neighbour = Peer::subscriber(last, Width::Wide, FLOOD)?;
                threads.spawn(|| receive(neighbour, meter, stopped));
            }
            thread::sleep(WARM_UP);

            let memory = victim.memory.resident()?;
            let before = self.measure(&mut victim, meter, self.before)?;
            let assault = self.attack.prepare(last, self.topics)?;
            victim.memory.forget_peak()?;
            // Messages that came meanwhile are not counted.
            self.measure(&mut victim, meter, Duration::ZERO)?;
            let attacker = threads.spawn(|| assault(stopped));
            let during = self.measure(&mut victim, meter, self.during)?;
            drop(stop);
            let remark =
                attacker.join().map_err(|_| io::Error::other("the attacker panicked"))??;
            let peak = victim.memory.peak()?;
            Ok(Outcome { before, during, memory, peak, remark })
        })
    }

    fn measure(&self, victim: &mut Process, meter: &Meter, time: Duration) -> io::Result<Phase> {
        let start = Instant::now();
        let look = |victim: &mut Process| {
            let own = scene::figures(victim)?;
            let (messages, gap) = match self.shape {
                Shape::Sub => (own.received, own.gap),
                Shape::Direct | Shape::Proxy => meter.take(),
            };
            io::Result::Ok((messages, gap, own))
        };
        look(victim)?;
        thread::sleep(time);
        let (messages, gap, own) = look(victim)?;
        let rate = messages as f64 / start.elapsed().as_secs_f64();
        Ok(Phase { rate, gap, turn: own.turn, lock: own.lock })
    }
}

/// Receives messages of the flood.
fn receive(mut neighbour: Peer, meter: &Meter, stop: &AtomicBool) -> io::Result<()> {
    let mut room = vec![0; 256 << 10];
    let mut octets = 0;
    while !stop.load(Ordering::Relaxed) {
        octets += neighbour.read_some(&mut room)?;
        meter.count((octets / FRAME) as u64);
        octets %= FRAME;
    }
    Ok(())
}

/// The octets that a publisher writes at once: frames of the flood, and a tick.
fn block() -> Vec<u8> {
    let frame = [&[0, (FRAME - 2) as u8], &flood()[..]].concat();
    [frame.repeat(BETWEEN_TICKS), vec![0, TICK.len() as u8], TICK.into()].concat()
}

/// Tells threads to end.
struct StopAtEnd<'a>(&'a AtomicBool);

impl Drop for StopAtEnd<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

impl Outcome {
    /// As cells of the table, behind the names.
    pub(super) fn cells(&self, engine: Engine) -> [String; COLUMNS.len() - 2] {
        let Self { before, during, memory, peak, remark } = self;
        let own = |time| if engine == Engine::Libzmq { none() } else { milliseconds(time) };
        [
            format!("{:.0}", before.rate),
            format!("{:.0}", during.rate),
            if before.rate > 0.0 { format!("{:.2}", during.rate / before.rate) } else { none() },
            milliseconds(before.gap),
            milliseconds(during.gap),
            own(before.turn),
            own(during.turn),
            own(before.lock),
            own(during.lock),
            mib(*memory),
            mib(*peak),
            remark.clone(),
        ]
    }
}

/// By which it is selected.
impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}-{}-{}", self.attack, self.shape, self.engine)
    }
}
