//! A network with every kind of fault: by chance, from a seed, until it is healed, or exactly where a
//! test asks for it.
//!
//! ```text
//! names and refusals (here) ── links: octets, faults inline ── ends, for the sockets
//!                                       │
//!                       progress: where in the conversation a fault hits
//! ```

mod fault;
mod link;
mod progress;
mod record;

use std::collections::{HashMap, HashSet};
use std::io;
use std::net::IpAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use tokio::time::Instant;
use zmtp_socket::simulation::{Ends, Network};

pub use fault::{Fault, Manner, Refusal, Spot, Way, When};
use link::{Fate, Link};
pub use progress::Progress;
use record::Record;
pub use record::Struck;

/// The number of octets that a healthy link holds in each direction.
const ROOM: usize = 64 << 10;

/// A network whose links delay, fragment, stall, are cut at any octet, and fall silent; that refuses
/// connections; and whose names change their addresses. It has no tasks. Clones are the same network.
#[derive(Clone, Debug)]
pub struct FaultyNetwork(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    chance: Mutex<fastrand::Rng>,
    healthy: AtomicBool,
    reachable: AtomicBool,
    /// The properties of new links, apart from those that chance adds.
    room: Mutex<usize>,
    manner: Mutex<Manner>,
    silent: Mutex<Option<Way>>,
    /// The faults of the next link.
    armed: Mutex<Vec<(When, Fault)>>,
    /// How long the next attempt to connect takes.
    latency: Mutex<Option<Duration>>,
    links: Mutex<Vec<Weak<Mutex<Link>>>>,
    /// The times of the attempts to connect.
    attempts: Mutex<Vec<Instant>>,
    /// The addresses of names.
    addresses: Mutex<HashMap<String, Vec<String>>>,
    /// The fault of each link to an address.
    cursed: Mutex<HashMap<String, Fault>>,
    /// Addresses that never answer.
    dead: Mutex<HashSet<String>>,
    /// The addresses of `tcp://` hosts.
    hosts: Mutex<HashMap<String, Vec<IpAddr>>>,
    record: Arc<Record>,
}

impl FaultyNetwork {
    /// A network with every kind of fault, all of them determined by `seed`.
    pub fn new(seed: u64) -> Self {
        let network = Self::healthy(seed);
        network.0.healthy.store(false, Ordering::Relaxed);
        network
    }

    /// A network without faults other than those that the test asks for.
    pub fn healthy(seed: u64) -> Self {
        Self(Arc::new(Shared {
            chance: Mutex::new(fastrand::Rng::with_seed(seed)),
            healthy: AtomicBool::new(true),
            reachable: AtomicBool::new(true),
            room: Mutex::new(ROOM),
            manner: Mutex::new(Manner::SMOOTH),
            silent: Mutex::default(),
            armed: Mutex::default(),
            latency: Mutex::default(),
            links: Mutex::default(),
            attempts: Mutex::default(),
            addresses: Mutex::default(),
            cursed: Mutex::default(),
            dead: Mutex::default(),
            hosts: Mutex::default(),
            record: Arc::default(),
        }))
    }

    /// Ends all faults, except for links that have fallen silent already.
    pub fn heal(&self) {
        self.0.healthy.store(true, Ordering::Relaxed);
        self.each_link(Link::heal);
    }

    /// Sets whether connections are made or refused.
    pub fn set_reachable(&self, reachable: bool) {
        self.0.reachable.store(reachable, Ordering::Relaxed);
    }

    /// Gives `name` the address `address` from now on.
    pub fn move_to(&self, name: &str, address: &str) {
        self.lead_to(name, &[address]);
    }

    /// Gives `name` these addresses from now on, in this order.
    pub fn lead_to(&self, name: &str, addresses: &[&str]) {
        let addresses = addresses.iter().map(|it| (*it).to_owned()).collect();
        lock(&self.0.addresses).insert(name.to_owned(), addresses);
    }

    /// Gives the host of `tcp://` endpoints these addresses from now on. Their connections carry real
    /// octets.
    pub fn host_at(&self, host: &str, addresses: &[IpAddr]) {
        lock(&self.0.hosts).insert(host.to_owned(), addresses.to_vec());
    }

    /// Lets this fault occur on each link to `address`, from now on, as soon as the link is made.
    pub fn curse(&self, address: &str, fault: Fault) {
        lock(&self.0.cursed).insert(address.to_owned(), fault);
    }

    /// Lets attempts to dial `address` get no answer from now on.
    pub fn kill(&self, address: &str) {
        lock(&self.0.dead).insert(address.to_owned());
    }

    /// Lets each new link hold so many octets in each direction, which arrive in this manner.
    pub fn shape(&self, room: usize, manner: Manner) {
        *lock(&self.0.room) = room;
        *lock(&self.0.manner) = manner;
    }

    /// Lets each new link carry nothing in that direction, though it accepts the octets.
    pub fn silence(&self, way: Option<Way>) {
        *lock(&self.0.silent) = way;
    }

    /// Cuts every present link.
    pub fn cut(&self) {
        self.strike(&Fault::Cut(Vec::new()));
    }

    /// Lets every present link carry nothing any more, in either direction, nor its own end.
    pub fn mute(&self) {
        self.strike(&Fault::Silence { ways: Way::BOTH, swallowed: true });
    }

    /// Lets this fault occur on every present link, now.
    pub fn strike(&self, fault: &Fault) {
        self.each_link(|link| link.strike(fault.clone()));
    }

    /// Lets this fault occur on every present link when the octets that arrive reach this spot.
    pub fn arm(&self, way: Way, spot: Spot, fault: &Fault) {
        self.each_link(|link| link.arm(way, spot, fault.clone()));
    }

    /// Lets this fault occur on the next link.
    pub fn arm_next(&self, when: When, fault: Fault) {
        lock(&self.0.armed).push((when, fault));
    }

    /// Lets the next attempt to connect take so long; [`Duration::MAX`] is for ever.
    pub fn delay_next(&self, time: Duration) {
        *lock(&self.0.latency) = Some(time);
    }

    /// Lets the next attempts to connect fail.
    pub fn refuse_next(&self, refusals: &[Refusal]) {
        self.0.record.refuse(refusals);
    }

    /// The times of the attempts to connect.
    pub fn attempts(&self) -> Vec<Instant> {
        lock(&self.0.attempts).clone()
    }

    /// The number of links that have been cut.
    pub fn cuts(&self) -> u64 {
        self.0.record.cuts()
    }

    /// The number of attempts to connect that are still to fail.
    pub fn refusals_to_come(&self) -> usize {
        self.0.record.refusals_to_come()
    }

    /// Whether on every link all that has begun has arrived whole.
    pub fn is_quiet(&self) -> bool {
        let mut is_quiet = true;
        self.each_link(|link| is_quiet &= link.is_quiet());
        is_quiet
    }

    /// Waits until a fault has occurred on a link, or on an attempt to make one. Returns how far the
    /// connection had got.
    pub async fn until_struck(&self) -> Struck {
        self.0.record.until_struck().await
    }

    fn is_healthy(&self) -> bool {
        self.0.healthy.load(Ordering::Relaxed)
    }

    fn each_link(&self, mut each: impl FnMut(&mut Link)) {
        let links = lock(&self.0.links);
        links.iter().filter_map(Weak::upgrade).for_each(|link| each(&mut lock(&link)));
    }

    fn fate(&self) -> Fate {
        let chance = &mut *lock(&self.0.chance);
        let mut fate = Fate {
            room: *lock(&self.0.room),
            manner: *lock(&self.0.manner),
            faults: Vec::new(),
            chance: chance.fork(),
        };
        if self.is_healthy() {
            return fate;
        }
        fate.room = pick(chance, &[7, 100, 3000, ROOM]);
        let delay = Duration::from_millis(pick(chance, &[0, 3, 50, 9000]));
        fate.manner = Manner { fragment: pick(chance, &[1, 5, 40, 1000]), delay };
        // The handshake has about a hundred octets in each direction.
        let spot = |chance: &mut fastrand::Rng| {
            let most = pick(chance, &[50, 150, 2000, 15_000]);
            (pick(chance, Way::BOTH), Spot::Octet(chance.u64(0..most)))
        };
        if chance.u8(0..4) > 0 {
            let (way, spot) = spot(chance);
            fate.faults.push((way, spot, Fault::Cut(Vec::new())));
        }
        if chance.u8(0..3) == 0 {
            let (way, spot) = spot(chance);
            let ways = pick(chance, &[&[Way::Out], &[Way::Back]]);
            fate.faults.push((way, spot, Fault::Silence { ways, swallowed: chance.bool() }));
        }
        fate
    }
}

impl Network for FaultyNetwork {
    fn look_up(&self, host: &str) -> Option<io::Result<Vec<IpAddr>>> {
        lock(&self.0.hosts).get(host).cloned().map(Ok)
    }

    fn resolve(&self, name: &str) -> io::Result<Vec<String>> {
        lock(&self.0.attempts).push(Instant::now());
        let by_chance = !self.is_healthy() && lock(&self.0.chance).u8(0..10) == 0;
        if by_chance || self.0.record.refuses(Refusal::NoSuchName) {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
        }
        let address = lock(&self.0.addresses).get(name).cloned();
        Ok(address.unwrap_or_else(|| vec![name.to_owned()]))
    }

    fn latency(&self, address: &str) -> Duration {
        if lock(&self.0.dead).contains(address) {
            return Duration::MAX;
        }
        let Some(latency) = lock(&self.0.latency).take() else { return Duration::ZERO };
        self.0.record.strike(Struck::default());
        latency
    }

    fn connect(&self, address: &str) -> io::Result<Ends> {
        let by_chance = !self.is_healthy() && lock(&self.0.chance).u8(0..4) == 0;
        let refused = by_chance || self.0.record.refuses(Refusal::NobodyListens);
        if refused || !self.0.reachable.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let (link, [near, far]) = Link::new(self.fate(), self.0.record.clone());
        let silent = lock(&self.0.silent).map(|way| match way {
            Way::Out => &[Way::Out],
            Way::Back => &[Way::Back],
        });
        let silence = silent.map(|ways| (When::Made, Fault::Silence { ways, swallowed: true }));
        for (when, fault) in lock(&self.0.armed).drain(..).chain(silence) {
            match when {
                When::Made => lock(&link).strike(fault),
                When::At(way, spot) => lock(&link).arm(way, spot, fault),
            }
        }
        if let Some(fault) = lock(&self.0.cursed).get(address) {
            lock(&link).strike(fault.clone());
        }
        let mut links = lock(&self.0.links);
        links.retain(|link| link.strong_count() > 0);
        links.push(Arc::downgrade(&link));
        Ok((Box::new(near), Box::new(far)))
    }
}

fn pick<T: Copy>(chance: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[chance.usize(..choices.len())]
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
