//! For how long a waiting thread looks for its message before it sleeps.
//!
//! To put a thread to sleep and to wake it takes longer than most peers of the same machine take to answer. So a
//! thread whose last wait was short looks on for about as long as a sleep takes, and then sleeps. If both sides of a
//! dialogue sleep, neither is answered so soon; so now and then a thread looks for longer than the other one takes
//! to wake up. If that does not lead to short waits, it happens less and less often.

use std::future::poll_fn;
use std::pin::pin;
use std::thread;
use std::time::{Duration, Instant};

/// About as long as it takes to sleep and be woken, on a virtual machine. A wait for less is short.
const SHORT: Duration = Duration::from_micros(50);

/// Longer than two threads take to wake each other.
const LONG: Duration = Duration::from_micros(300);

/// After so many waits in a row that were not short, a thread no longer looks. The other side may begin to look
/// meanwhile.
const MOST_LATE: u32 = 16;

/// It tries again after so many waits at the latest.
const MOST_SLEEPS: u32 = 255;

/// The experience of one socket with its waits.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Spin {
    /// Whether the last wait was short.
    was_short: bool,
    /// How many waits in a row were longer, although the thread has looked on.
    late: u32,
    /// How many waits are to sleep at once, before the next try.
    sleeps: u32,
    /// How many were after the last try.
    backoff: u32,
}

impl Spin {
    /// For how long to look before the next sleep.
    fn time(self) -> Duration {
        match self {
            Self { was_short: true, .. } => SHORT,
            Self { sleeps: 0, .. } => LONG,
            _ => Duration::ZERO,
        }
    }

    /// The awaited message has come after such a time, without a sleep.
    fn found(&mut self, after: Duration) {
        if after < SHORT {
            *self = Self { was_short: true, ..Self::default() };
        } else {
            (self.was_short, self.late) = (false, self.late + 1);
            if self.late >= MOST_LATE {
                self.back_off();
            }
        }
    }

    /// The thread has slept.
    fn slept(&mut self) {
        match self.sleeps.checked_sub(1) {
            Some(sleeps) => self.sleeps = sleeps,
            None => self.back_off(),
        }
    }

    fn back_off(&mut self) {
        let backoff = MOST_SLEEPS.min(2 * self.backoff + 1);
        *self = Self { sleeps: backoff, backoff, ..Self::default() };
    }

    /// Makes a future for [`Runtime::block_on`](tokio::runtime::Runtime::block_on), which looks on before it lets the
    /// thread sleep.
    pub(super) async fn spin<F: Future>(&mut self, future: F) -> F::Output {
        let (output, found) = look(self.time(), future).await;
        match found {
            Some(after) => self.found(after),
            None => self.slept(),
        }
        output
    }
}

/// Polls `future` again and again for so long, and then when it is woken. Returns also after which time it was ready,
/// unless the thread may have slept.
async fn look<F: Future>(time: Duration, future: F) -> (F::Output, Option<Duration>) {
    let mut future = pin!(future);
    let begun = Instant::now();
    let mut has_slept = false;
    let output = poll_fn(|cx| {
        let polled = future.as_mut().poll(cx);
        if polled.is_pending() {
            has_slept |= begun.elapsed() >= time;
            if !has_slept {
                // Another thread may have to run for it to come.
                thread::yield_now();
                cx.waker().wake_by_ref();
            }
        }
        polled
    })
    .await;
    (output, (!has_slept).then(|| begun.elapsed()))
}

#[cfg(test)]
mod tests {
    use std::task::Poll;

    use tokio::sync::oneshot;
    use tokio::task::yield_now;
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_thread_that_finds_nothing_looks_less_and_less_often() {
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
    fn a_thread_looks_on_while_its_waits_are_short() {
        let mut spin = Spin::default();
        spin.slept();
        spin.slept();
        for _ in 0..1000 {
            spin.found(SHORT / 2);
            assert_eq!(spin.time(), SHORT);
        }
        spin.slept();
        assert_eq!(
            (spin.time(), spin.sleeps),
            (Duration::ZERO, 1),
            "the first pause is short again"
        );
    }

    #[test]
    fn a_thread_whose_waits_stay_long_gives_up() {
        let mut spin = Spin::default();
        for _ in 1..MOST_LATE {
            spin.found(SHORT);
            assert_eq!(spin.time(), LONG, "the other side may begin to look");
        }
        spin.found(SHORT);
        assert_eq!(spin.time(), Duration::ZERO);
    }

    /// A future that is ready when it is polled so often.
    async fn ready_at(polls: u32) {
        let mut left = polls;
        poll_fn(|_| {
            left -= 1;
            if left == 0 { Poll::Ready(()) } else { Poll::Pending }
        })
        .await;
    }

    #[tokio::test]
    async fn what_comes_soon_is_found_although_nobody_wakes_the_thread() {
        let looking = look(Duration::from_secs(3600), ready_at(3));
        let found = timeout(Duration::from_secs(10), looking).await.expect("it is looked for");
        assert!(found.1.is_some());
    }

    #[tokio::test]
    async fn a_thread_that_looks_no_longer_is_woken() {
        let (tell, told) = oneshot::channel();
        let slow = async {
            yield_now().await;
            tell.send(()).unwrap();
        };
        let ((told, found), ()) = tokio::join!(look(Duration::ZERO, told), slow);
        told.unwrap();
        assert_eq!(found, None);
    }
}
