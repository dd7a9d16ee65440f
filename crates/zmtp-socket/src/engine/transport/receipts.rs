//! What the two ends of a pipe inside the process tell each other beside the octets: how many messages have
//! come to the queue of the other side. What lies in the pipe, or half-read behind it, still counts for the
//! sender's high-water mark then: two queues, of so many messages each, hold exactly as many as both together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use crate::sync::lock;

/// Messages that came out of one end, and whom to tell.
#[derive(Debug, Default)]
struct Arrived {
    messages: AtomicU64,
    sender: Mutex<Option<Waker>>,
}

/// One end.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// The messages that have come out here.
    here: Arc<Arrived>,
    /// The messages that have come out there, of those that were sent from here.
    there: Arc<Arrived>,
    /// Messages that the pipe has taken and of which no receipt was taken.
    unconfirmed: usize,
}

impl Receipts {
    /// Both ends of a pipe.
    pub(crate) fn pair() -> (Self, Self) {
        let (one, other) = <(Arc<Arrived>, Arc<Arrived>)>::default();
        let near = Self { here: one.clone(), there: other.clone(), unconfirmed: 0 };
        (near, Self { here: other, there: one, unconfirmed: 0 })
    }

    /// Messages have come out here.
    pub(crate) fn arrived(&self, messages: usize) {
        self.here.messages.fetch_add(messages as u64, Ordering::AcqRel);
        let sender = lock(&self.here.sender).take();
        sender.into_iter().for_each(Waker::wake);
    }

    /// The pipe has taken messages.
    pub(crate) fn sent(&mut self, messages: usize) {
        self.unconfirmed += messages;
    }

    /// How many messages have come out there since this was asked last. Wakes the task when there are more.
    pub(crate) fn take(&mut self, cx: &Context<'_>) -> usize {
        if self.unconfirmed == 0 {
            return 0;
        }
        // From before the look, so that no message is missed.
        *lock(&self.there.sender) = Some(cx.waker().clone());
        let arrived = self.there.messages.swap(0, Ordering::AcqRel) as usize;
        self.unconfirmed -= arrived;
        arrived
    }

    /// No receipt is waited for any longer. Returns of how many messages there was none.
    pub(crate) fn forgo(&mut self) -> usize {
        std::mem::take(&mut self.unconfirmed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::sync::Woken;

    #[test]
    fn a_sender_is_told_once_of_each_message_that_has_come_out() {
        let (mut near, mut far) = Receipts::pair();
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(woken.clone());
        let cx = Context::from_waker(&waker);
        assert_eq!(near.take(&cx), 0);
        near.sent(3);
        assert_eq!(near.take(&cx), 0);
        far.arrived(2);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!((near.take(&cx), near.take(&cx)), (2, 0));
        far.sent(1);
        assert_eq!(
            far.take(&cx),
            0,
            "what came out there says nothing of what was sent from there"
        );
        assert_eq!((near.forgo(), near.forgo()), (1, 0));
    }
}
