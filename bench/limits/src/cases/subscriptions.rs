//! One peer that subscribes and subscribes.

use std::io;

use clap::Args;
use micro::topics::drawn;

use crate::peer::{Peer, READY_SUB, Width, is_end, subscribe};
use crate::process::Process;
use crate::trial::{Attack, Trial};
use crate::victim::{Bounds, Library, Role, TICK};

/// Octets that are written at once.
const WRITE: usize = 64 << 10;

/// One peer subscribes to topics drawn at random.
#[derive(Args, Debug)]
pub(crate) struct Subscriptions {
    /// Topics.
    #[arg(long, default_value_t = 200_000)]
    count: u64,
    /// Octets of each.
    #[arg(long, default_value_t = 200)]
    octets: usize,
    /// Topics that our user allows one peer in a second trial.
    #[arg(long, default_value_t = 10_000)]
    limit: usize,
}

impl Subscriptions {
    pub(crate) fn trials(&self) -> Vec<Trial<'_>> {
        let trial = |bounds, only| Trial {
            name: format!("{} random topics of {} octets", self.count, self.octets),
            role: Role::Pub,
            bounds,
            only,
            attack: Box::new(|victim| self.attack(victim)),
        };
        let limited = Bounds { max_topics: Some(self.limit), ..Bounds::default() };
        vec![trial(Bounds::default(), None), trial(limited, Some(Library::Ours))]
    }

    fn attack(&self, victim: &Process) -> io::Result<Attack> {
        let mut peer = Peer::open(&victim.endpoint, Width::Wide, READY_SUB)?;
        match self.say_all(&mut peer) {
            // Or it has closed the connection.
            Err(error) if !is_end(&error) => Err(error),
            _ => Ok(Attack { peers: vec![peer], units: Some(self.count), ..Attack::default() }),
        }
    }

    /// Returns when the victim has read them all.
    fn say_all(&self, peer: &mut Peer) -> io::Result<()> {
        let mut octets = drawn(256).map(|number| number as u8);
        let mut output = Vec::new();
        for _ in 0..self.count {
            let topic: Vec<u8> = octets.by_ref().take(self.octets).collect();
            output.extend(subscribe(&topic));
            if output.len() >= WRITE {
                peer.say(&output)?;
                output.clear();
            }
        }
        output.extend(subscribe(TICK.as_bytes()));
        peer.say(&output)?;
        peer.wait_for_tick()
    }
}
