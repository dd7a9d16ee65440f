//! A network on which everything goes wrong that can, from a seed, until it is healed.

use std::collections::HashMap;
use std::io;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _, DuplexStream};
use tokio::time::{Instant, sleep};
use zmtp_socket::simulation::{Ends, Network};

/// Octets that a healthy pipe holds.
const PIPE: usize = 64 << 10;

/// A network whose links delay, fragment, stall, are cut at any octet, and fall silent one way;
/// that refuses connections; and whose names move. Clones are the same network.
#[derive(Clone, Debug)]
pub struct FaultyNetwork(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    chance: Mutex<fastrand::Rng>,
    healthy: AtomicBool,
    reachable: AtomicBool,
    /// The octets after which each coming link is to be cut, whoever sent them.
    cut_after: Mutex<Option<u64>>,
    /// The way on which the coming links carry nothing.
    silent: Mutex<Option<Way>>,
    /// How many links have been made, and how many of the first carry nothing any more.
    links: AtomicU64,
    muted: AtomicU64,
    /// When somebody tried to connect.
    attempts: Mutex<Vec<Instant>>,
    addresses: Mutex<HashMap<String, String>>,
    /// All links up to this generation are cut.
    cut: tokio::sync::watch::Sender<u64>,
    cuts: AtomicU64,
}

/// One of the two ways over a link.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// From who dialled to who listens.
    Out,
    /// From who listens to who dialled.
    Back,
}

/// What befalls one link.
#[derive(Clone, Debug)]
struct Fate {
    /// The number of the link.
    link: u64,
    /// Octets that each side may write ahead.
    room: usize,
    /// Octets that are moved at once, at most.
    fragment: usize,
    /// The longest delay of a fragment; every eighth or so is delayed.
    delay: Duration,
    cut_after: Option<u64>,
    silent: Option<(Way, u64)>,
}

impl FaultyNetwork {
    /// A network with every fault there is, all of them following from `seed`.
    pub fn new(seed: u64) -> Self {
        let network = Self::healthy(seed);
        network.0.healthy.store(false, Ordering::Relaxed);
        network
    }

    /// A network without faults, but for those that the test asks for.
    pub fn healthy(seed: u64) -> Self {
        Self(Arc::new(Shared {
            chance: Mutex::new(fastrand::Rng::with_seed(seed)),
            healthy: AtomicBool::new(true),
            reachable: AtomicBool::new(true),
            cut_after: Mutex::default(),
            silent: Mutex::default(),
            links: AtomicU64::new(0),
            muted: AtomicU64::new(0),
            attempts: Mutex::default(),
            addresses: Mutex::default(),
            cut: tokio::sync::watch::Sender::new(0),
            cuts: AtomicU64::new(0),
        }))
    }

    /// Ends all faults, but for links that have fallen silent already: they stay so.
    pub fn heal(&self) {
        self.0.healthy.store(true, Ordering::Relaxed);
    }

    /// Whether connections are made, or refused.
    pub fn set_reachable(&self, reachable: bool) {
        self.0.reachable.store(reachable, Ordering::Relaxed);
    }

    /// From now on `name` leads to `address`.
    pub fn move_to(&self, name: &str, address: &str) {
        lock(&self.0.addresses).insert(name.to_owned(), address.to_owned());
    }

    /// Cuts every link there is.
    pub fn cut(&self) {
        self.0.cut.send_modify(|generation| *generation += 1);
    }

    /// Cuts each link made from now on after so many octets.
    pub fn cut_after(&self, octets: Option<u64>) {
        *lock(&self.0.cut_after) = octets;
    }

    /// Lets each link made from now on carry nothing that way, though it takes the octets.
    pub fn silence(&self, way: Option<Way>) {
        *lock(&self.0.silent) = way;
    }

    /// Lets every link there is carry nothing any more, neither way, nor its own end.
    pub fn mute(&self) {
        self.0.muted.store(self.0.links.load(Ordering::Relaxed), Ordering::Relaxed);
    }

    /// When somebody tried to connect.
    pub fn attempts(&self) -> Vec<Instant> {
        lock(&self.0.attempts).clone()
    }

    /// How many links have been cut.
    pub fn cuts(&self) -> u64 {
        self.0.cuts.load(Ordering::Relaxed)
    }

    fn is_healthy(&self) -> bool {
        self.0.healthy.load(Ordering::Relaxed)
    }

    fn is_muted(&self, link: u64) -> bool {
        link < self.0.muted.load(Ordering::Relaxed)
    }

    fn fate(&self) -> Fate {
        let mut fate = Fate {
            link: self.0.links.fetch_add(1, Ordering::Relaxed),
            room: PIPE,
            fragment: PIPE,
            delay: Duration::ZERO,
            cut_after: *lock(&self.0.cut_after),
            silent: lock(&self.0.silent).map(|way| (way, 0)),
        };
        if self.is_healthy() {
            return fate;
        }
        let chance = &mut *lock(&self.0.chance);
        fate.room = pick(chance, &[7, 100, 3000, PIPE]);
        fate.fragment = pick(chance, &[1, 5, 40, 1000]);
        fate.delay = Duration::from_millis(pick(chance, &[0, 3, 50, 9000]));
        // The handshake has about 200 octets, both ways together.
        let octets = |chance: &mut fastrand::Rng| {
            let most = pick(chance, &[70, 250, 3000, 20_000]);
            chance.u64(0..most)
        };
        if chance.u8(0..4) > 0 {
            fate.cut_after = Some(octets(chance));
        }
        if chance.u8(0..3) == 0 {
            let way = pick(chance, &[Way::Out, Way::Back]);
            fate.silent = Some((way, octets(chance)));
        }
        fate
    }
}

impl Network for FaultyNetwork {
    fn resolve(&self, name: &str) -> io::Result<String> {
        lock(&self.0.attempts).push(Instant::now());
        if !self.is_healthy() && lock(&self.0.chance).u8(0..10) == 0 {
            return Err(io::Error::new(io::ErrorKind::NotFound, "no such name"));
        }
        let address = lock(&self.0.addresses).get(name).cloned();
        Ok(address.unwrap_or_else(|| name.to_owned()))
    }

    fn connect(&self, _address: &str) -> io::Result<Ends> {
        let refused = !self.is_healthy() && lock(&self.0.chance).u8(0..4) == 0;
        if refused || !self.0.reachable.load(Ordering::Relaxed) {
            return Err(io::ErrorKind::ConnectionRefused.into());
        }
        let fate = self.fate();
        let (dialler, near) = tokio::io::duplex(fate.room);
        let (listener, far) = tokio::io::duplex(fate.room);
        tokio::spawn(carry(self.clone(), fate, near, far));
        Ok((Box::new(dialler), Box::new(listener)))
    }
}

/// Carries octets both ways until both sides are gone, or the link is cut: then both find the
/// connection at its end, and what was under way is lost.
async fn carry(network: FaultyNetwork, fate: Fate, near: DuplexStream, far: DuplexStream) {
    let mut cut = network.0.cut.subscribe();
    let moved = AtomicU64::new(0);
    let (near_in, near_out) = tokio::io::split(near);
    let (far_in, far_out) = tokio::io::split(far);
    let both = async {
        tokio::try_join!(
            carry_one_way(&network, &fate, &moved, Way::Out, near_in, far_out),
            carry_one_way(&network, &fate, &moved, Way::Back, far_in, near_out),
        )
    };
    let was_cut = tokio::select! {
        biased;
        _ = cut.changed() => true,
        ended = both => ended.is_err(),
    };
    if was_cut {
        network.0.cuts.fetch_add(1, Ordering::Relaxed);
    }
}

/// The link has been cut.
struct Cut;

async fn carry_one_way(
    network: &FaultyNetwork,
    fate: &Fate,
    moved: &AtomicU64,
    way: Way,
    mut from: impl AsyncRead + Unpin,
    mut to: impl AsyncWrite + Unpin,
) -> Result<(), Cut> {
    let mut carried = 0;
    let mut silent = false;
    let mut octets = vec![0; fate.fragment.min(PIPE)];
    loop {
        let most = match network.is_healthy() {
            true => octets.len(),
            false => lock(&network.0.chance).usize(1..=octets.len()),
        };
        let Ok(count @ 1..) = from.read(&mut octets[..most]).await else {
            break;
        };
        let is_faulty = !network.is_healthy();
        if is_faulty && lock(&network.0.chance).u8(0..8) == 0 {
            let longest = fate.delay.as_millis() as u64;
            let delay = lock(&network.0.chance).u64(0..=longest);
            sleep(Duration::from_millis(delay)).await;
        }
        // Silence that a test asks for begins at once; what chance has in store ends with the faults.
        let falls_silent = |(on, after)| on == way && carried >= after && (is_faulty || after == 0);
        silent |= fate.silent.is_some_and(falls_silent) || network.is_muted(fate.link);
        carried += count as u64;
        let asked_for = lock(&network.0.cut_after).is_some();
        let total = moved.fetch_add(count as u64, Ordering::Relaxed) + count as u64;
        if let Some(over) = fate.cut_after.and_then(|at| total.checked_sub(at))
            && (is_faulty || asked_for)
        {
            // What came before the cut still arrives, or some of it.
            let whole = count.saturating_sub(over as usize);
            if !silent {
                let _gone = to.write_all(&octets[..whole]).await;
            }
            return Err(Cut);
        }
        if !silent && to.write_all(&octets[..count]).await.is_err() {
            // The receiver has hung up; the sender will find out by what comes the other way.
            silent = true;
        }
    }
    if !silent && !network.is_muted(fate.link) {
        let _gone = to.shutdown().await;
    }
    Ok(())
}

fn pick<T: Copy>(chance: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[chance.usize(..choices.len())]
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
