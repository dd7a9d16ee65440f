//! The clock, and the resources that the process has used.

use std::io::{self, Write};

use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeVal;
use nix::time::{ClockId, clock_gettime};

use crate::Memory;

/// The nanoseconds of `CLOCK_MONOTONIC`, the same for all processes of the machine.
#[inline]
pub fn now() -> u64 {
    let time = clock_gettime(ClockId::CLOCK_MONOTONIC).expect("Linux has this clock");
    time.tv_sec() as u64 * 1_000_000_000 + time.tv_nsec() as u64
}

/// The resources that the process has used since it began.
#[derive(Clone, Copy, Debug)]
pub struct Usage {
    /// Seconds of CPU in user mode.
    pub user: f64,
    /// Seconds of CPU in the kernel.
    pub sys: f64,
    /// Context switches because the process waited.
    pub voluntary: i64,
    /// Context switches because another process was scheduled.
    pub involuntary: i64,
    /// The largest resident memory, in KiB.
    pub peak_kib: i64,
}

impl Usage {
    /// The resources used up to now.
    pub fn now() -> Self {
        let usage = getrusage(UsageWho::RUSAGE_SELF).expect("the process may ask about itself");
        Self {
            user: seconds(usage.user_time()),
            sys: seconds(usage.system_time()),
            voluntary: usage.voluntary_context_switches(),
            involuntary: usage.involuntary_context_switches(),
            // Not the maximum of rusage, which begins with the parent's size at the fork.
            peak_kib: kib(Memory::of_self().peak()),
        }
    }

    /// The resources used after `earlier`. The peak is that of the whole life.
    pub fn since(&self, earlier: &Self) -> Self {
        Self {
            user: self.user - earlier.user,
            sys: self.sys - earlier.sys,
            voluntary: self.voluntary - earlier.voluntary,
            involuntary: self.involuntary - earlier.involuntary,
            peak_kib: self.peak_kib,
        }
    }
}

/// The resident memory of the process now, in KiB.
pub fn resident_kib() -> i64 {
    kib(Memory::of_self().resident())
}

/// Prints one line for the driver, at once.
pub fn print(line: &str) {
    let mut out = std::io::stdout().lock();
    // If the driver has gone, nothing can be reported.
    let _ = writeln!(out, "{line}").and_then(|()| out.flush());
}

fn seconds(time: TimeVal) -> f64 {
    time.tv_sec() as f64 + time.tv_usec() as f64 / 1e6
}

/// A size in KiB, or -1 where there is none.
fn kib(octets: io::Result<u64>) -> i64 {
    octets.map_or(-1, |octets| (octets >> 10) as i64)
}
