//! Many subscribers that nothing is sent to.

use std::io;

use clap::Args;

use crate::peer::{Peer, Width};
use crate::process::Process;
use crate::trial::{Attack, Trial};
use crate::victim::{Bounds, Role};

/// Subscribers of one topic each, of which nothing is published.
#[derive(Args, Debug)]
pub(crate) struct Idle {
    /// Subscribers.
    #[arg(long, default_value_t = 10_000)]
    connections: u64,
}

impl Idle {
    pub(crate) fn trials(&self) -> Vec<Trial<'_>> {
        vec![Trial {
            name: format!("{} idle subscribers", self.connections),
            role: Role::Pub,
            bounds: Bounds::default(),
            only: None,
            attack: Box::new(|victim| self.attack(victim)),
        }]
    }

    fn attack(&self, victim: &Process) -> io::Result<Attack> {
        let one = |number| Peer::subscriber(&victim.endpoint, Width::Wide, &format!("t{number}"));
        Ok(Attack {
            peers: (0..self.connections).map(one).collect::<io::Result<_>>()?,
            ..Attack::default()
        })
    }
}
