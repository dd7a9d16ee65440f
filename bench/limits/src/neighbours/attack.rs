//! The attacks on a victim that has a neighbour.

use std::fmt;
use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::scene::topic;
use crate::peer::{GREETING, Peer, READY_PUB, READY_SUB, Width, cancel, subscribe};
use crate::victim::TICK;

/// Topics that are subscribed to and cancelled again, over and over.
const CHURNED: u32 = 1000;

/// No more octets are sent to a victim that keeps them all.
const ENOUGH: u64 = 1 << 30;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Attack {
    /// Nobody attacks: what the figures change by when nothing happens.
    Nothing,
    /// A subscriber subscribes to topics and cancels them, for ever.
    Churn,
    /// A subscriber of many topics leaves.
    Leave,
    /// A subscriber sends for ever while it is being judged.
    Judged,
    /// A subscriber of many topics comes.
    Newcomer,
    /// A publisher comes to a subscriber of many topics, again and again.
    Publisher,
}

/// The attack proper: it ends by itself, or when it is told to stop. Says what it came to.
pub(super) type Assault = Box<dyn FnOnce(&AtomicBool) -> io::Result<String> + Send>;

impl Attack {
    /// Does what comes before the attack proper, while nothing is measured.
    pub(super) fn prepare(self, endpoint: &str, topics: u32) -> io::Result<Assault> {
        match self {
            Self::Nothing => Ok(Box::new(|_| Ok(String::new()))),
            Self::Churn => churn(endpoint),
            Self::Leave => leave(endpoint, topics),
            Self::Judged => judged(endpoint),
            Self::Newcomer => newcomer(endpoint, topics),
            Self::Publisher => Ok(publisher(endpoint.to_owned(), topics)),
        }
    }
}

fn churn(endpoint: &str) -> io::Result<Assault> {
    let mut peer = Peer::open(endpoint, Width::Wide, READY_SUB)?;
    let each = |change: fn(&[u8]) -> Vec<u8>| {
        (0..CHURNED).flat_map(move |number| change(topic(number).as_bytes()))
    };
    let round: Vec<u8> = each(subscribe).chain(each(cancel)).collect();
    Ok(Box::new(move |stop| {
        let said = peer.say_on(&round, u64::MAX, stop)?;
        let changes = said * 2 * u64::from(CHURNED) / round.len() as u64;
        Ok(format!("{changes} changes sent"))
    }))
}

fn leave(endpoint: &str, topics: u32) -> io::Result<Assault> {
    let mut peer = Peer::open(endpoint, Width::Wide, READY_SUB)?;
    peer.say(&subscriptions(topics))?;
    peer.wait_for_tick()?;
    Ok(Box::new(move |_| {
        drop(peer);
        Ok(String::new())
    }))
}

fn judged(endpoint: &str) -> io::Result<Assault> {
    let mut peer = Peer::connect(endpoint, Width::Wide)?;
    peer.say(GREETING)?;
    peer.read(&mut [0; 64])?;
    peer.say(READY_SUB)?;
    let block = subscribe(topic(0).as_bytes()).repeat(10_000);
    Ok(Box::new(move |stop| {
        let said = peer.say_on(&block, ENOUGH, stop)?;
        Ok(format!("{} MiB taken from it", said >> 20))
    }))
}

fn newcomer(endpoint: &str, topics: u32) -> io::Result<Assault> {
    let mut peer = Peer::open(endpoint, Width::Wide, READY_SUB)?;
    let said = subscriptions(topics);
    Ok(Box::new(move |stop| {
        let start = Instant::now();
        let taken = peer.say_on(&said, said.len() as u64, stop)?;
        // It hears nothing but ticks, and these when all before has been read.
        if taken == said.len() as u64 && peer.read_unless(1, stop)? {
            return Ok(format!("served after {:.0} ms", start.elapsed().as_secs_f64() * 1e3));
        }
        Ok("not served in time".into())
    }))
}

fn publisher(endpoint: String, topics: u32) -> Assault {
    Box::new(move |stop| {
        let mut times = 0;
        while !stop.load(Ordering::Relaxed) {
            let mut peer = Peer::open(&endpoint, Width::Wide, READY_PUB)?;
            times += u32::from(peer.read_unless(octets_for(topics), stop)?);
        }
        Ok(format!("told all {times} times"))
    })
}

/// Octets by which a publisher is told so many topics.
pub(super) fn octets_for(topics: u32) -> usize {
    topics as usize * subscribe(topic(0).as_bytes()).len()
}

/// Subscriptions to so many topics, of which the last is that of ticks.
fn subscriptions(topics: u32) -> Vec<u8> {
    let all = (1..topics).flat_map(|number| subscribe(topic(number).as_bytes()));
    all.chain(subscribe(TICK.as_bytes())).collect()
}

impl fmt::Display for Attack {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nothing => "nothing",
            Self::Churn => "churn",
            Self::Leave => "leave",
            Self::Judged => "judged",
            Self::Newcomer => "newcomer",
            Self::Publisher => "publisher",
        })
    }
}
