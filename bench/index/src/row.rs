//! One row of the table.

use std::time::{Duration, Instant};
use std::{fmt, iter};

use rig::Memory;

const PASSES: usize = 3;

/// The measurements of an index; `None` where one could not be made.
#[derive(Debug)]
pub(crate) struct Row {
    /// Octets of memory for each subscription.
    pub(crate) memory: Option<f64>,
    /// Nanoseconds to look up a message that is wanted.
    pub(crate) wanted: Option<f64>,
    /// Nanoseconds to look up one that is not.
    pub(crate) unwanted: Option<f64>,
    /// Nanoseconds for a cancel and a subscribe.
    pub(crate) change: Option<f64>,
}

impl fmt::Display for Row {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = [self.memory, self.wanted, self.unwanted, self.change];
        let words = all.map(|value| value.map_or("–".to_owned(), |value| format!("{value:.0}")));
        f.write_str(&words.join(" | "))
    }
}

/// The nanoseconds of one of `items`, where `pass` says how long all of them took: the best of a few
/// passes, for whatever else the machine does only makes it longer.
pub(crate) fn best(items: usize, pass: impl FnMut() -> Duration) -> f64 {
    let passes = iter::repeat_with(pass).take(PASSES);
    passes.min().expect("more than none").as_nanos() as f64 / items as f64
}

/// The nanoseconds that each of `items` takes.
pub(crate) fn nanoseconds<T>(items: &[T], mut each: impl FnMut(&T)) -> f64 {
    best(items.len(), || {
        let start = Instant::now();
        items.iter().for_each(&mut each);
        start.elapsed()
    })
}

/// The octets of this process that are in memory.
pub(crate) fn resident() -> f64 {
    Memory::of_self().resident().expect("Linux has it") as f64
}
