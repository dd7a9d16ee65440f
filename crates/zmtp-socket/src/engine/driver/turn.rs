//! The budget of a driver before the runtime's other tasks get their turn, and the pauses that it has to
//! make.

use std::pin::{Pin, pin};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::task::yield_now;
use tokio::time::{Sleep, sleep};

/// The budget of a driver for one turn, which is about a millisecond at most. An octet that is read
/// costs 1: its receiver should get it while it is in the processor's cache, and before many octets fill
/// its memory.
pub(super) const TURN: usize = 256 << 10;

/// The cost of reading an octet that has to be decrypted.
pub(super) const SEALED_OCTET: usize = 8;

/// The number of written octets that cost 1.
pub(super) const WRITTEN: usize = 4;

/// The cost of each message of a batch.
pub(super) const IN_BATCH: usize = 4;

/// The cost of a batch or of a single event.
pub(super) const EVENT: usize = 128;

/// The cost of a change of a subscription: it takes microseconds, and changes state that others share.
pub(super) const SUBSCRIPTION: usize = 6 << 10;

/// The number of changes of its subscriptions after which a peer has to pause after each turn that is
/// full of them: on a runtime with workers, too, others must get the lock. Its turns are longer then. So
/// a newcomer with many topics is served at once, one with a million within seconds, and a flood leaves
/// most of the time to others.
pub(super) const CHANGES_WITHOUT_PAUSE: u32 = 100_000;
pub(super) const SUBSCRIPTION_OF_MANY: usize = 1 << 10;

/// The cost of checking whether a publisher is to be sent a topic, and of sending it.
pub(super) const TOPIC: usize = 256;

/// The number of turns that other tasks get after each of the first steps in which a peer is forgotten:
/// a step takes about a millisecond, and a turn that only waits for octets much less.
pub(super) const TURNS_FOR_A_STEP: usize = 16;

/// The number of steps after which a peer is forgotten with pauses: the steps of a peer with many topics
/// would keep the lock from the senders.
const STEPS_WITHOUT_PAUSE: usize = 16;

/// On a runtime with workers, a task that yields runs again at once. A pause prevents that.
const PAUSE: Duration = Duration::from_millis(1);

/// The length of a pause in multiples of the step before it, if that is longer: a step holds the lock
/// nearly all the time, and takes longer the more the processor has to do.
const PAUSE_FOR_A_STEP: u32 = 3;

/// One driver's turn.
pub(super) struct Turn {
    left: usize,
    /// The number of changes that the peer has made to its subscriptions, in all and in this turn.
    changes: u32,
    changes_in_turn: u32,
    /// Set while the driver pauses.
    pause: Option<Pin<Box<Sleep>>>,
}

impl Turn {
    pub(super) fn new() -> Self {
        Self { left: TURN, changes: 0, changes_in_turn: 0, pause: None }
    }

    /// Begins the next turn. Pending while the driver has to pause.
    pub(super) fn poll_begin(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if let Some(pause) = &mut self.pause {
            ready!(pause.as_mut().poll(cx));
            self.pause = None;
        }
        self.left = TURN;
        self.changes_in_turn = 0;
        Poll::Ready(())
    }

    pub(super) fn spend(&mut self, cost: usize) {
        self.left = self.left.saturating_sub(cost);
    }

    /// Counts a change of the peer's subscriptions.
    pub(super) fn spend_on_change(&mut self) {
        self.changes = self.changes.saturating_add(1);
        self.changes_in_turn += 1;
        self.spend(match self.changes > CHANGES_WITHOUT_PAUSE {
            true => SUBSCRIPTION_OF_MANY,
            false => SUBSCRIPTION,
        });
    }

    pub(super) fn is_over(&self) -> bool {
        self.left == 0
    }

    /// Ends a turn that is over. The task is woken for the next one, perhaps after a pause.
    pub(super) fn poll_end(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        if self.must_pause() {
            return self.pause.insert(Box::pin(sleep(PAUSE))).as_mut().poll(cx);
        }
        // A task that only wakes itself runs before the runtime's main task again and again.
        pin!(yield_now()).poll(cx)
    }

    /// Whether the turn was full of changes of subscriptions, from a peer that has made many.
    fn must_pause(&self) -> bool {
        let most = TURN / SUBSCRIPTION_OF_MANY;
        self.changes > CHANGES_WITHOUT_PAUSE && self.changes_in_turn as usize >= most / 2
    }
}

/// Yields to other tasks after one of the `steps` in which a peer is forgotten, which took `time`.
pub(super) async fn rest(steps: usize, time: Duration) {
    if steps > STEPS_WITHOUT_PAUSE {
        return sleep(PAUSE.max(PAUSE_FOR_A_STEP * time)).await;
    }
    for _ in 0..TURNS_FOR_A_STEP {
        yield_now().await;
    }
}
