//! Whether the memory of processes that live long keeps growing.

use std::time::{Duration, Instant};

use crate::process::memory_of;

const INTERVAL: Duration = Duration::from_secs(1);

/// The number of samples for each third that a verdict needs: with fewer, the processes are still taking
/// the memory that they need once.
const ENOUGH: usize = 30;

/// By how much the last third may exceed the second one: also a process with a steady size has its peak
/// sooner or later.
const MARGIN: u64 = 8 << 20;
const MARGIN_SHARE: u64 = 10;

/// The memory of some processes, once a second.
#[derive(Debug)]
pub(crate) struct Memory {
    series: Vec<(String, Vec<u64>)>,
    next: Instant,
}

impl Memory {
    pub(crate) fn new(names: impl Iterator<Item = String>) -> Self {
        let series = names.chain(["conductor".to_owned()]).map(|name| (name, Vec::new()));
        Self { series: series.collect(), next: Instant::now() }
    }

    pub(crate) fn is_due(&self) -> bool {
        self.next <= Instant::now()
    }

    /// Takes a sample of each process, in the order of their names, and of this one.
    pub(crate) fn sample(&mut self, octets: impl Iterator<Item = u64>) {
        let own = memory_of("self").unwrap_or(0);
        for ((_, samples), octets) in self.series.iter_mut().zip(octets.chain([own])) {
            samples.push(octets);
        }
        self.next = Instant::now() + INTERVAL;
    }

    /// The memory of each process now, in MiB.
    pub(crate) fn now(&self) -> String {
        let last = |(_, samples): &(String, Vec<u64>)| mib(samples.last().copied().unwrap_or(0));
        self.series.iter().map(last).collect::<Vec<_>>().join(" ")
    }

    /// The peak of each process in each third of the time, as lines, and the faults.
    pub(crate) fn verdict(&self) -> (Vec<String>, Vec<String>) {
        let (mut lines, mut broken) = (Vec::new(), Vec::new());
        for (name, samples) in &self.series {
            let [first, second, last] = peaks(samples);
            let peaks = [first, second, last].map(mib);
            let text = format!("{name}: at most {} MiB in each third", peaks.join(", "));
            if samples.len() >= 3 * ENOUGH && last > second + second / MARGIN_SHARE + MARGIN {
                broken.push(format!("memory grows: {text}"));
            }
            lines.push(text);
        }
        (lines, broken)
    }
}

fn peaks(samples: &[u64]) -> [u64; 3] {
    let third = |number: usize| number * samples.len() / 3;
    [0, 1, 2]
        .map(|begin| samples[third(begin)..third(begin + 1)].iter().copied().max().unwrap_or(0))
}

fn mib(octets: u64) -> String {
    format!("{:.1}", octets as f64 / f64::from(1 << 20))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(samples: impl Iterator<Item = u64>) -> Vec<String> {
        let mut memory = Memory::new(["one".to_owned()].into_iter());
        samples.for_each(|octets| memory.sample([octets << 20].into_iter()));
        let (lines, mut broken) = memory.verdict();
        assert_eq!(lines.len(), 2);
        broken.retain(|line| line.contains("one"));
        broken
    }

    #[test]
    fn growth_is_found_and_a_peak_is_not() {
        assert_eq!(verdict((0..300).map(|second| 20 + second % 7)), Vec::<String>::new());
        assert_eq!(verdict((0..300).map(|second| 20 + second / 3)).len(), 1);
        assert_eq!(verdict((0..60).map(|second| 20 + second)), Vec::<String>::new());
    }
}
