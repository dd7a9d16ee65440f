//! Measures whether a thread that [runs the runtime](super::shared_runtime) while it waits has so much to do that two
//! threads would get more done.

use std::thread::{self, ThreadId};
use std::time::{Duration, Instant};

/// If the I/O of one wait, and what the thread does by itself until the next one, both take so much of a processor's
/// time, two threads that work at the same time gain more than the wake-ups cost. But they gain nothing if the thread
/// sleeps in its waits, as one does that waits for an answer, or if it finds no free processor.
pub(super) const LONG: Duration = Duration::from_micros(100);

/// Of so many waits in which a thread runs the runtime, one is measured.
const MEASURED: u32 = 16;

/// Measures now and then how long a thread works in a wait and between two.
#[derive(Default)]
pub(super) struct Measure {
    /// How many waits are left until the next measurement.
    left: u32,
    /// The last wait, if it was measured.
    last: Option<Measured>,
}

struct Measured {
    thread: ThreadId,
    begun: Moment,
    ended: Moment,
}

/// How long a thread had worked, and when.
#[derive(Clone, Copy)]
pub(super) struct Moment {
    pub(super) worked: Duration,
    pub(super) time: Instant,
}

impl Measure {
    /// A wait begins. Returns the moment, if the wait is to be measured.
    pub(super) fn begin(&mut self, now: impl FnOnce() -> Option<Moment>) -> Option<Moment> {
        let is_due = self.left == 0;
        self.left = if is_due { MEASURED } else { self.left } - 1;
        is_due.then(now).flatten()
    }

    /// The wait that began then has ended.
    pub(super) fn end(&mut self, begun: Option<Moment>, now: impl FnOnce() -> Option<Moment>) {
        self.last = begun.and_then(|begun| {
            Some(Measured { thread: thread::current().id(), begun, ended: now()? })
        });
    }

    /// Whether the last wait was measured, both it and the thread's own work since were long, and the thread hardly
    /// slept in it.
    pub(super) fn was_long(&mut self, now: impl FnOnce() -> Option<Moment>) -> bool {
        let Some(Measured { thread, begun, ended }) = self.last.take() else { return false };
        let io = ended.worked.saturating_sub(begun.worked);
        let is_long = io >= LONG
            && ended.time - begun.time < io + io / 4
            && thread == thread::current().id()
            && now().is_some_and(|now| now.worked.saturating_sub(ended.worked) >= LONG);
        if is_long {
            // The next one, which comes after some in which the I/O thread has worked, is measured, too.
            self.left = 0;
        }
        is_long
    }
}

impl Moment {
    /// This moment of this thread; `None` where the system does not tell how long it has worked.
    pub(super) fn now() -> Option<Self> {
        #[cfg(target_os = "linux")]
        {
            use rustix::time::{ClockId, clock_gettime};
            let worked = Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).ok()?;
            Some(Self { worked, time: Instant::now() })
        }
        #[cfg(not(target_os = "linux"))]
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Measure {
        /// One that measures no wait.
        pub(in super::super) fn never() -> Self {
            Self { left: u32::MAX, last: None }
        }
    }

    #[test]
    fn a_wait_is_long_if_the_thread_works_long_in_it_and_after_it() {
        let short = LONG - Duration::from_micros(1);
        let start = Instant::now();
        for (io, slept, own, is_long) in [
            (LONG, Duration::ZERO, LONG, true),
            (LONG, LONG / 5, LONG, true),
            (LONG, LONG / 4, LONG, false),
            (LONG, Duration::ZERO, short, false),
            (short, Duration::ZERO, LONG, false),
        ] {
            let at = |worked, slept| Some(Moment { worked, time: start + worked + slept });
            let mut measure = Measure::default();
            let begun = measure.begin(|| at(LONG, Duration::ZERO));
            measure.end(begun, || at(LONG + io, slept));
            let next = || at(LONG + io + own, slept);
            assert_eq!(measure.was_long(next), is_long, "{io:?} {slept:?} {own:?}");
            assert!(!measure.was_long(|| at(LONG * 100, slept)), "it was said once");
            let until_next = (0..).find(|_| measure.begin(next).is_some()).unwrap();
            assert_eq!(until_next, if is_long { 0 } else { MEASURED - 1 });
        }
    }

    #[test]
    fn a_thread_is_not_measured_by_the_work_of_another() {
        let time = Instant::now();
        let at = |worked| Some(Moment { worked, time: time + worked });
        let mut measure = Measure::default();
        let begun = measure.begin(|| at(Duration::ZERO));
        measure.end(begun, || at(LONG));
        let was_long = thread::scope(|scope| {
            scope.spawn(|| measure.was_long(|| at(2 * LONG))).join().unwrap()
        });
        assert!(!was_long);
    }
}
