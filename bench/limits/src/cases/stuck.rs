//! Subscribers that do not read.

use std::{io, thread};

use clap::Args;

use crate::peer::{Peer, Width};
use crate::process::Process;
use crate::trial::{Attack, Trial};
use crate::victim::{Bounds, FILLED, Plan, Role, topic};

/// Subscribers that do not read, at queues of 1000 messages: once all want everything, and once each wants
/// one small message of many, between others that are large and somebody reads.
#[derive(Args, Debug)]
pub(crate) struct Stuck {
    /// Subscribers of everything.
    #[arg(long, default_value_t = 1000)]
    readers: u64,
    /// Octets of a message.
    #[arg(long, default_value_t = 1 << 10)]
    size: usize,
    /// Messages that are published.
    #[arg(long, default_value_t = 20_000)]
    messages: u32,
    /// Subscribers of a topic each.
    #[arg(long, default_value_t = 100)]
    picky: u32,
    /// Octets of a message for one of them.
    #[arg(long, default_value_t = 64)]
    small: usize,
    /// Octets of a large message, after every 16 small ones.
    #[arg(long, default_value_t = 16 << 10)]
    large: usize,
    /// Messages that are published for each of them.
    #[arg(long, default_value_t = 20_000)]
    rounds: u32,
}

impl Stuck {
    pub(crate) fn trials(&self) -> Vec<Trial<'_>> {
        let trial = |name, attack| Trial {
            name,
            role: Role::Pub,
            bounds: Bounds::default(),
            only: None,
            attack,
        };
        vec![
            trial(
                format!(
                    "{} stuck subscribers of everything, {} × {} octets",
                    self.readers, self.messages, self.size
                ),
                Box::new(|victim| self.of_everything(victim)),
            ),
            trial(
                format!(
                    "{} stuck subscribers, each of {} octets in {} KiB",
                    self.picky,
                    self.small,
                    self.round() >> 10
                ),
                Box::new(|victim| self.of_little(victim)),
            ),
        ]
    }

    /// Octets that are published to send each of the picky subscribers one message.
    fn round(&self) -> usize {
        self.picky as usize * self.small + (self.picky / FILLED) as usize * self.large
    }

    fn of_everything(&self, victim: &mut Process) -> io::Result<Attack> {
        let stuck = |_| Peer::subscriber(&victim.endpoint, Width::Narrow, "d");
        let peers = (0..self.readers).map(stuck).collect::<io::Result<_>>()?;
        // Their subscriptions have been read when a later one has been.
        Peer::newcomer(&victim.endpoint, Role::Pub)?;
        let plan = Plan { rounds: self.messages, topics: 1, size: self.size, filler: 0 };
        victim.publish(plan)?;
        Ok(Attack { peers, ..Attack::default() })
    }

    fn of_little(&self, victim: &mut Process) -> io::Result<Attack> {
        let stuck = |number| Peer::subscriber(&victim.endpoint, Width::Narrow, &topic(number));
        let mut peers = (0..self.picky).map(stuck).collect::<io::Result<Vec<_>>>()?;
        let healthy = Peer::subscriber(&victim.endpoint, Width::Wide, "f")?;
        peers.push(healthy.twin()?);
        thread::spawn(|| healthy.read_all());
        Peer::newcomer(&victim.endpoint, Role::Pub)?;
        let (rounds, topics) = (self.rounds, self.picky);
        victim.publish(Plan { rounds, topics, size: self.small, filler: self.large })?;
        Ok(Attack { peers, units: Some(topics.into()), ..Attack::default() })
    }
}
