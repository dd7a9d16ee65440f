//! A flood of PINGs.

use std::io::{self, ErrorKind};
use std::time::Duration;

use clap::Args;

use crate::peer::{Peer, READY_SUB, Width, is_end};
use crate::process::Process;
use crate::trial::{Attack, Trial};
use crate::victim::{Bounds, Role};

/// Nothing more is read by a victim that has read nothing for so long.
const STUCK: Duration = Duration::from_secs(2);

/// One peer sends PINGs and does not read the PONGs.
#[derive(Args, Debug)]
pub(crate) struct Pings {
    /// Octets of PINGs, of 25 each.
    #[arg(long, default_value_t = 64 << 20)]
    octets: usize,
}

impl Pings {
    pub(crate) fn trials(&self) -> Vec<Trial<'_>> {
        vec![Trial {
            name: format!("{} MiB of PINGs whose PONGs are not read", self.octets >> 20),
            role: Role::Pub,
            bounds: Bounds::default(),
            only: None,
            attack: Box::new(|victim| self.attack(victim)),
        }]
    }

    fn attack(&self, victim: &Process) -> io::Result<Attack> {
        let mut peer = Peer::open(&victim.endpoint, Width::Narrow, READY_SUB)?;
        let pings = b"\x04\x17\x04PING\0\x000123456789ABCDEF".repeat(4096);
        let mut sent = 0;
        loop {
            match peer.say_some(&pings[sent % pings.len()..], STUCK) {
                Ok(count) => sent += count,
                Err(error) if is_end(&error) => break,
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) => return Err(error),
            }
            if sent >= self.octets {
                break;
            }
        }
        let remark = format!("{} MiB sent", sent >> 20);
        Ok(Attack { peers: vec![peer], remark, ..Attack::default() })
    }
}
