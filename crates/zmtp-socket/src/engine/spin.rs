//! For how long a receiver looks for its message before its thread sleeps.
//!
//! To put a thread to sleep and to wake it takes longer than most peers of the same machine take to answer. So a
//! receiver whose last wait was short looks on for about as long as a sleep takes, and only then lets its thread
//! sleep. If both sides of a dialogue sleep, neither is answered so soon; so now and then a receiver looks for longer
//! than the other one takes to wake up. If that does not lead to short waits, it happens less and less often.
//!
//! Between two looks, the runtime runs its other tasks and asks the system for events.

use std::pin::pin;
use std::task::Context;
use std::thread;
use std::time::{Duration, Instant};

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::yield_now;

use crate::engine::tries::Tries;

/// About as long as it takes to sleep and be woken, on a virtual machine. A wait for less is short.
const SHORT: Duration = Duration::from_micros(50);

/// Longer than two threads take to wake each other.
const LONG: Duration = Duration::from_micros(300);

/// After so many waits in a row that were not short, a receiver no longer looks. The other side may begin to look
/// meanwhile.
const MOST_LATE: u32 = 16;

/// It tries again after so many waits at the latest.
const MOST_SLEEPS: u32 = 255;

/// After so many short waits in a row, its pauses are as few as at first. Where fewer waits are short, another try
/// pays as little as the last one.
const DIALOGUE: u32 = 8;

/// The experience of one receiver with its waits.
#[derive(Debug, Default)]
pub(crate) struct Spin {
    /// When the wait that is under way has begun.
    begun: Option<Instant>,
    /// Whether the thread may have slept in it.
    has_slept: bool,
    /// How many of the last waits were short.
    short: u32,
    /// How many waits in a row were longer, although the receiver has looked on.
    late: u32,
    /// The waits that are to look although the last one was not short. The others sleep at once.
    tries: Tries,
}

impl Spin {
    /// Nothing has come. The task is polled again soon, if the receiver is to look on.
    pub(super) fn look_on(&mut self, cx: &mut Context<'_>) {
        self.look_for(self.time(), cx);
    }

    fn look_for(&mut self, time: Duration, cx: &mut Context<'_>) {
        if self.has_slept || !runs_the_io() {
            return;
        }
        let begun = *self.begun.get_or_insert_with(Instant::now);
        self.has_slept = begun.elapsed() >= time;
        if !self.has_slept {
            // Another thread may have to run for it to come.
            thread::yield_now();
            let _pending = pin!(yield_now()).poll(cx);
        }
    }

    /// Something has come.
    #[inline]
    pub(super) fn found(&mut self) {
        if let Some(begun) = self.begun.take() {
            match self.has_slept {
                true => self.slept(),
                false => self.found_after(begun.elapsed()),
            }
            self.has_slept = false;
        }
    }

    /// For how long to look before the next sleep.
    fn time(&self) -> Duration {
        match self.short {
            1.. => SHORT,
            0 if self.tries.is_due() => LONG,
            0 => Duration::ZERO,
        }
    }

    fn found_after(&mut self, time: Duration) {
        if time < SHORT {
            (self.short, self.late) = (self.short.saturating_add(1), 0);
            if self.short == DIALOGUE {
                self.tries.succeeded();
            }
        } else {
            (self.short, self.late) = (0, self.late + 1);
            if self.late >= MOST_LATE {
                self.slept();
            }
        }
    }

    /// The thread has slept, or might as well have.
    fn slept(&mut self) {
        (self.short, self.late) = (0, 0);
        self.tries.passed(MOST_SLEEPS);
    }
}

/// Whether this thread asks the system for events itself whenever its tasks yield. On a runtime with workers, another
/// thread may do that, which then has to be woken anyway.
fn runs_the_io() -> bool {
    Handle::try_current().is_ok_and(|it| it.runtime_flavor() == RuntimeFlavor::CurrentThread)
}

#[cfg(test)]
mod tests {
    use std::future::poll_fn;
    use std::task::Poll;

    use tokio::runtime::Builder;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_receiver_that_finds_nothing_looks_less_and_less_often() {
        let mut spin = Spin::default();
        let tries: Vec<_> = (0..1100)
            .filter(|_| {
                let looks = spin.time() > Duration::ZERO;
                assert!(!looks || spin.time() == LONG);
                spin.slept();
                looks
            })
            .collect();
        assert_eq!(tries, [0, 2, 6, 14, 30, 62, 126, 254, 510, 766, 1022]);
    }

    #[test]
    fn a_receiver_looks_on_while_its_waits_are_short() {
        let mut spin = Spin::default();
        spin.slept();
        spin.slept();
        for _ in 0..1000 {
            spin.found_after(SHORT / 2);
            assert_eq!(spin.time(), SHORT);
        }
        spin.slept();
        assert_eq!(
            (spin.time(), spin.tries.left()),
            (Duration::ZERO, 1),
            "the first pause is short again"
        );
    }

    #[test]
    fn a_receiver_whose_waits_stay_long_gives_up() {
        let mut spin = Spin::default();
        for _ in 1..MOST_LATE {
            spin.found_after(SHORT);
            assert_eq!(spin.time(), LONG, "the other side may begin to look");
        }
        spin.found_after(SHORT);
        assert_eq!(spin.time(), Duration::ZERO);
    }

    #[test]
    fn a_short_wait_now_and_then_does_not_keep_the_thread_awake() {
        let mut spin = Spin::default();
        let (mut awake, waits) = (0, 10_000);
        for wait in 0..waits {
            match spin.time() {
                Duration::ZERO => spin.slept(),
                // Of four waits, one is short.
                _ if wait % 4 == 0 => spin.found_after(SHORT / 2),
                SHORT => spin.slept(),
                _ => {
                    awake += 1;
                    spin.found_after(2 * SHORT);
                }
            }
        }
        assert!(awake < waits / 5, "{awake}");
    }

    /// Whether something that nobody reports is found by looking for so long.
    fn finds(runtime: &mut Builder, time: Duration) -> (bool, Spin) {
        runtime.enable_all().build().unwrap().block_on(async {
            let (mut spin, mut looks) = (Spin::default(), 0);
            let coming = poll_fn(|cx| {
                looks += 1;
                if looks == 5 {
                    spin.found();
                    return Poll::Ready(());
                }
                spin.look_for(time, cx);
                Poll::Pending
            });
            // The timer also has it polled, once.
            let found = timeout(Duration::from_millis(20), coming).await;
            (found.is_ok(), spin)
        })
    }

    const HOUR: Duration = Duration::from_secs(3600);

    #[test]
    fn what_comes_soon_is_found_although_nobody_wakes_the_task() {
        let (found, spin) = finds(&mut Builder::new_current_thread(), HOUR);
        assert!(found && spin.begun.is_none() && !spin.has_slept);
    }

    #[tokio::test]
    async fn a_receiver_whose_last_wait_was_short_looks_on() {
        let mut spin = Spin { short: 1, ..Spin::default() };
        poll_fn(|cx| {
            spin.look_on(cx);
            Poll::Ready(())
        })
        .await;
        assert!(spin.begun.is_some());
    }

    #[test]
    fn a_task_that_looks_no_longer_is_woken() {
        let (found, spin) = finds(&mut Builder::new_current_thread(), Duration::ZERO);
        assert!(!found && spin.has_slept);
    }

    #[test]
    fn a_thread_that_does_not_run_the_io_does_not_look() {
        let (found, spin) = finds(&mut Builder::new_multi_thread(), HOUR);
        assert!(!found);
        assert!(spin.begun.is_none(), "it counts as no wait");
    }
}
