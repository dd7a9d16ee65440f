//! Connections that come to nothing.

use std::io;

use clap::Args;

use crate::peer::{GREETING, Peer, Width};
use crate::process::Process;
use crate::trial::{Attack, Trial};
use crate::victim::{Bounds, Role};

/// Connections of which every second never says a word, and the others stop after half a greeting.
#[derive(Args, Debug)]
pub(crate) struct Strangers {
    /// Connections.
    #[arg(long, default_value_t = 5000)]
    connections: u64,
}

impl Strangers {
    pub(crate) fn trials(&self) -> Vec<Trial<'_>> {
        vec![Trial {
            name: format!("{} strangers, silent or with half a greeting", self.connections),
            role: Role::Pub,
            bounds: Bounds::default(),
            only: None,
            attack: Box::new(|victim| self.attack(victim)),
        }]
    }

    fn attack(&self, victim: &Process) -> io::Result<Attack> {
        let one = |number| {
            let mut peer = Peer::connect(&victim.endpoint, Width::Wide)?;
            // It has been accepted: more would not fit the queue of those that wait for it.
            peer.read(&mut [0])?;
            if number % 2 == 0 {
                peer.say(&GREETING[..GREETING.len() / 2])?;
            }
            Ok(peer)
        };
        Ok(Attack {
            peers: (0..self.connections).map(one).collect::<io::Result<_>>()?,
            ..Attack::default()
        })
    }
}
