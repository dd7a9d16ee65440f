//! One attack on one victim, and what it cost.

use std::io;
use std::time::{Duration, Instant};

use crate::peer::Peer;
use crate::process::Process;
use crate::table::{Column, mib, milliseconds, none};
use crate::victim::{self, Bounds, Library, Role};

/// The columns of the table.
pub(crate) const COLUMNS: &[Column] = &[
    ("attack", false),
    ("victim", false),
    ("before, MiB", true),
    ("peak", true),
    ("held", true),
    ("octets each", true),
    ("reserved", true),
    ("after", true),
    ("connections kept", true),
    ("took, s", true),
    ("newcomer, ms", true),
    ("remark", false),
];

/// An attack, and on what.
pub(crate) struct Trial<'a> {
    pub(crate) name: String,
    pub(crate) role: Role,
    pub(crate) bounds: Bounds,
    /// For one library alone.
    pub(crate) only: Option<Library>,
    pub(crate) attack: Box<Assault<'a>>,
}

/// The attack itself. It returns when the victim has taken all of it, or has ended the connections.
pub(crate) type Assault<'a> = dyn Fn(&mut Process) -> io::Result<Attack> + 'a;

/// An attack that stands: its peers hold on until they are dropped.
#[derive(Debug, Default)]
pub(crate) struct Attack {
    pub(crate) peers: Vec<Peer>,
    /// The divisor of the memory; if it is `None`, the connections that the victim keeps.
    pub(crate) units: Option<u64>,
    pub(crate) remark: String,
}

/// The cost of an attack, in octets.
#[derive(Debug)]
pub(crate) struct Cost {
    pub(crate) before: u64,
    pub(crate) peak: u64,
    /// While the attackers hold on, without what the allocator keeps of what has been freed.
    pub(crate) held: u64,
    /// The growth of the reserved address space meanwhile, whether it is in memory or not.
    pub(crate) reserved: u64,
    /// After the attackers have left, likewise.
    pub(crate) after: u64,
    /// The memory held for each unit or connection; `None` if no connection is kept.
    pub(crate) each: Option<u64>,
    /// Connections of the attackers that the victim has kept,
    pub(crate) kept: usize,
    /// of so many.
    pub(crate) connections: usize,
    pub(crate) took: Duration,
    /// How long a newcomer waits meanwhile; none if it is not served.
    pub(crate) newcomer: Option<Duration>,
    pub(crate) remark: String,
}

impl Trial<'_> {
    /// Whether it makes sense with this library.
    pub(crate) fn is_for(&self, library: Library) -> bool {
        self.only.is_none_or(|only| only == library)
    }

    /// Which row of the table it is.
    pub(crate) fn names(&self, library: Library) -> [String; 2] {
        [self.name.clone(), format!("{library}, {}{}", self.role, self.bounds)]
    }

    /// Attacks a victim of its own.
    pub(crate) fn run(&self, library: Library) -> io::Result<Cost> {
        let mut victim = Process::start(victim::arguments(library, self.role, &self.bounds))?;
        let idle = victim.descriptors()?;
        // The memory that the victim needs once for all peers is there after the first peer has come.
        Peer::newcomer(&victim.endpoint, self.role)?;
        victim.has_closed_all_but(idle)?;
        let before = victim.memory_at_rest()?;
        let reserved = victim.memory.reserved()?;
        victim.memory.forget_peak()?;

        let start = Instant::now();
        let Attack { peers, units, mut remark } = (self.attack)(&mut victim)?;
        let took = start.elapsed();
        let held = victim.memory_at_rest()?;
        let reserved = victim.memory.reserved()?.saturating_sub(reserved);
        let kept = victim.descriptors()?.saturating_sub(idle);
        let newcomer = Peer::newcomer(&victim.endpoint, self.role).ok();

        let connections = peers.len();
        drop(peers);
        // It has forgotten them when it has time for the next.
        Peer::newcomer(&victim.endpoint, self.role)?;
        if !victim.has_closed_all_but(idle)? {
            remark.push_str(" keeps descriptors open");
        }
        let after = victim.memory_at_rest()?;
        let peak = victim.memory.peak()?;
        let each = (kept > 0).then(|| held.saturating_sub(before) / units.unwrap_or(kept as u64));
        Ok(Cost {
            before,
            peak,
            held,
            reserved,
            after,
            each,
            kept,
            connections,
            took,
            newcomer,
            remark,
        })
    }
}

impl Cost {
    /// As cells of the table, behind the names.
    pub(crate) fn cells(&self) -> [String; COLUMNS.len() - 2] {
        [
            mib(self.before),
            mib(self.peak),
            mib(self.held),
            self.each.map_or_else(none, |octets| octets.to_string()),
            mib(self.reserved),
            mib(self.after),
            format!("{} of {}", self.kept, self.connections),
            format!("{:.1}", self.took.as_secs_f64()),
            self.newcomer.map_or_else(|| "not served".into(), milliseconds),
            self.remark.clone(),
        ]
    }
}
