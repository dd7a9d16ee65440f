//! How long a thread that receives from its own process lets other threads run before it sleeps, or looks again.
//!
//! To put a thread to sleep and to wake it takes longer than most answers do. If both sides of a dialogue sleep, each
//! wakes the other too late to find it awake. So now and then a thread lets others run for longer than a wake-up
//! takes. From then on, both find their messages without a sleep.
//!
//! A thread that takes each message as soon as it is there contends with the sender for the lock of the queue. So it
//! looks later, and finds several.

use std::time::Duration;

use zmtp_socket::Tries;

/// For how long a thread lets others run at most: on a busy machine each of them runs for some milliseconds.
pub(crate) const LONGEST: Duration = Duration::from_micros(300);

/// How often a thread lets others run before it sleeps.
const SHORT: u32 = 20;

/// The same, if it means to outlast the wake-up of another thread.
const LONG: u32 = 300;

/// It does so at the latest after so many sleeps.
const MOST_SLEEPS: u32 = 64;

/// How often a thread lets others run before it looks, if it found few messages before.
const PAUSE: u32 = 32;
const FEW: usize = 8;

/// The patience of one socket.
#[derive(Debug, Default)]
pub(crate) struct Patience {
    /// The long tries.
    tries: Tries,
    /// Whether it looks later.
    pauses: bool,
}

impl Patience {
    /// How often to let others run before the first look.
    pub(crate) fn pause(&self) -> u32 {
        if self.pauses { PAUSE } else { 0 }
    }

    /// How often to look, and to let others run in between.
    pub(crate) fn looks(&self) -> u32 {
        if self.tries.is_due() { LONG } else { SHORT }
    }

    /// So many messages have come, if that is known, and were there at the first look or later.
    pub(crate) fn found(&mut self, messages: Option<usize>, at_once: bool) {
        if self.tries.is_due() {
            self.tries.succeeded();
        }
        let Some(messages) = messages else { return };
        self.pauses = match (at_once, messages) {
            (false, _) => false,
            // Nobody sends one message after the other: it may be an answer.
            (true, 1) if self.pauses => false,
            (true, ..FEW) => true,
            (true, _) => self.pauses,
        };
    }

    /// None has come: the thread sleeps.
    pub(crate) fn failed(&mut self) {
        self.pauses = false;
        self.tries.passed(MOST_SLEEPS);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thread_that_finds_nothing_tries_for_long_less_and_less_often() {
        let mut patience = Patience::default();
        let tries: Vec<_> = (0..250)
            .filter(|_| {
                let is_long = patience.looks() == LONG;
                patience.failed();
                is_long
            })
            .collect();
        assert_eq!(tries, [0, 2, 6, 14, 30, 62, 126, 191]);
        while patience.looks() == SHORT {
            patience.failed();
        }
        patience.found(None, false);
        patience.failed();
        assert_eq!(patience.tries.left(), 1, "it has succeeded");
    }

    #[test]
    fn a_thread_looks_later_only_while_it_finds_few_messages_at_once() {
        let mut patience = Patience::default();
        let mut pause_after = |messages, at_once| {
            patience.found(Some(messages), at_once);
            patience.pause()
        };
        assert_eq!(pause_after(3, false), 0);
        assert_eq!(pause_after(FEW, true), 0);
        assert_eq!(pause_after(1, true), PAUSE);
        assert_eq!(pause_after(FEW - 1, true), PAUSE);
        assert_eq!(pause_after(100, true), PAUSE);
        assert_eq!(pause_after(1, true), 0, "the sender waited for an answer");
        assert_eq!(pause_after(2, true), PAUSE);
        assert_eq!(pause_after(2, false), 0);
        pause_after(1, true);
        patience.failed();
        assert_eq!(patience.pause(), 0);
    }
}
