//! The faults of the network: by itself, or caused by a scenario.

use std::time::Duration;

use zmtp_socket::{Configured, Heartbeat, Options};
use zmtp_tests::network::{Fault, FaultyNetwork, Manner, Refusal};

pub(crate) const SECOND: Duration = Duration::from_secs(1);

/// Longer than it takes to notice that a connection is dead, and to make another.
pub(crate) const MENDING: Duration = Duration::from_secs(30);

/// The properties of the network.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Trouble {
    /// Whether every kind of fault occurs by itself; links fall silent, too.
    pub(crate) is_wild: bool,
    /// The number of octets that a link holds in each direction, of a network without such faults.
    pub(crate) room: usize,
    fragment: usize,
}

impl Trouble {
    pub(crate) fn draw(chance: &mut fastrand::Rng) -> Self {
        Self {
            is_wild: chance.bool(),
            room: pick(chance, &[20, 300, 4000, 64 << 10]),
            fragment: pick(chance, &[10, 200, usize::MAX]),
        }
    }

    pub(crate) fn network(&self, seed: u64) -> FaultyNetwork {
        if self.is_wild {
            return FaultyNetwork::new(seed);
        }
        let network = FaultyNetwork::healthy(seed);
        network.shape(self.room, Manner { fragment: self.fragment, ..Manner::SMOOTH });
        network
    }

    /// Adds heartbeats if links fall silent, since nothing else would notice that.
    pub(crate) fn known_to<T: Configured>(&self, options: Options<T>) -> Options<T> {
        let options = options.handshake_timeout(3 * SECOND);
        match self.is_wild {
            true => options.heartbeat(Heartbeat::every(SECOND).with_timeout(3 * SECOND)),
            false => options,
        }
    }
}

/// Lets a fault occur. Returns it, if it was one of the links.
pub(crate) fn strike(network: &FaultyNetwork, chance: &mut fastrand::Rng) -> Option<Fault> {
    let fault = match chance.u8(0..6) {
        0 | 1 => Fault::Cut(Vec::new()),
        2 => Fault::Cut(vec![pick(chance, &[Refusal::NoSuchName, Refusal::NobodyListens]); 2]),
        3 => Fault::Stall(Duration::from_millis(pick(chance, &[30, 2000, 15_000]))),
        4 => {
            let delay = Duration::from_millis(pick(chance, &[1, 20, 300]));
            Fault::Hinder(Manner { fragment: pick(chance, &[1, 40, usize::MAX]), delay })
        }
        _ => {
            network.set_reachable(chance.bool());
            return None;
        }
    };
    network.strike(&fault);
    Some(fault)
}

/// Ends all faults.
pub(crate) fn heal(network: &FaultyNetwork) {
    network.set_reachable(true);
    network.heal();
}

pub(crate) fn pick<T: Copy>(chance: &mut fastrand::Rng, choices: &[T]) -> T {
    choices[chance.usize(..choices.len())]
}
