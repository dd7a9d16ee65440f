//! Messages that are announced and do not come.

use std::io;

use clap::Args;

use crate::peer::{Peer, READY_PUB, Width};
use crate::process::Process;
use crate::trial::{Attack, Trial};
use crate::victim::{Bounds, Library, Role};

/// Peers that each announce a giant message, and send the beginning of it.
#[derive(Args, Debug)]
pub(crate) struct Giants {
    /// Peers.
    #[arg(long, default_value_t = 100)]
    peers: u64,
    /// Octets that each announces.
    #[arg(long, default_value_t = (1 << 30) - 1)]
    announced: u64,
    /// Octets that each sends of them.
    #[arg(long, default_value_t = 1 << 10)]
    sent: usize,
}

impl Giants {
    pub(crate) fn trials(&self) -> Vec<Trial<'_>> {
        let trial = |max_message_size, only| Trial {
            name: format!(
                "{} messages of {} octets announced, {} sent of each",
                self.peers, self.announced, self.sent
            ),
            role: Role::Sub,
            bounds: Bounds { max_message_size, ..Bounds::default() },
            only,
            attack: Box::new(|victim| self.attack(victim)),
        };
        vec![
            trial(None, None),
            // Each with what the other has by default.
            trial(Some(self.announced + 1), Some(Library::Ours)),
            trial(Some(64 << 20), Some(Library::Libzmq)),
        ]
    }

    fn attack(&self, victim: &Process) -> io::Result<Attack> {
        let header = [&[2], &self.announced.to_be_bytes()[..]].concat();
        let beginning = [header, vec![b'x'; self.sent]].concat();
        let one = |_| {
            let mut peer = Peer::open(&victim.endpoint, Width::Wide, READY_PUB)?;
            peer.say(&beginning)?;
            Ok(peer)
        };
        Ok(Attack {
            peers: (0..self.peers).map(one).collect::<io::Result<_>>()?,
            ..Attack::default()
        })
    }
}
