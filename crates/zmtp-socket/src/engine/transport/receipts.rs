//! The receipts that the two ends of a pipe within the process exchange beside the octets: each reports
//! how many messages have reached its queue. Messages in the pipe, or partly read behind it, thereby
//! still count for the sender's high-water mark: two queues of so many messages each hold exactly as
//! many as both together.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::task::{Context, Waker};

use crate::sync::lock;

/// The messages that have come out of one end, and the waker of their sender.
#[derive(Debug, Default)]
struct Arrived {
    messages: AtomicU64,
    sender: Mutex<Option<Waker>>,
}

/// One end.
#[derive(Debug, Default)]
pub(crate) struct Receipts {
    /// The messages that have come out at this end.
    here: Arc<Arrived>,
    /// The messages sent from this end that have come out at the other.
    there: Arc<Arrived>,
    /// The number of messages that the pipe has taken and whose receipts have not come.
    unconfirmed: usize,
    /// Whether no message comes out at the other end.
    is_ignored: bool,
}

impl Receipts {
    /// Both ends of a pipe.
    pub(crate) fn pair() -> (Self, Self) {
        let (one, other) = <(Arc<Arrived>, Arc<Arrived>)>::default();
        let near = Self { here: one.clone(), there: other.clone(), ..Self::default() };
        (near, Self { here: other, there: one, ..Self::default() })
    }

    /// Notes that messages have come out at this end.
    pub(crate) fn arrived(&self, messages: usize) {
        self.here.messages.fetch_add(messages as u64, Ordering::AcqRel);
        let sender = lock(&self.here.sender).take();
        sender.into_iter().for_each(Waker::wake);
    }

    /// Notes that the other end takes no messages, and thus confirms none.
    pub(crate) fn expect_none(&mut self) {
        self.is_ignored = true;
    }

    /// Notes that the pipe has taken messages. Returns the number of those that need no receipt.
    pub(crate) fn sent(&mut self, messages: usize) -> usize {
        if self.is_ignored {
            return messages;
        }
        self.unconfirmed += messages;
        0
    }

    /// The number of messages that have come out at the other end since the last call. Wakes the task
    /// when there are more.
    pub(crate) fn take(&mut self, cx: &Context<'_>) -> usize {
        if self.unconfirmed == 0 {
            return 0;
        }
        // Registered before the count is read, so that no message is missed.
        *lock(&self.there.sender) = Some(cx.waker().clone());
        let arrived = self.there.messages.swap(0, Ordering::AcqRel) as usize;
        self.unconfirmed -= arrived;
        arrived
    }

    /// Stops waiting for receipts. Returns the number of messages without one.
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
        assert_eq!(near.sent(3), 0);
        assert_eq!(near.take(&cx), 0);
        far.arrived(2);
        assert_eq!(woken.0.load(Ordering::Relaxed), 1);
        assert_eq!((near.take(&cx), near.take(&cx)), (2, 0));
        assert_eq!(far.sent(1), 0);
        assert_eq!(
            far.take(&cx),
            0,
            "what came out there says nothing of what was sent from there"
        );
        assert_eq!((near.forgo(), near.forgo()), (1, 0));
    }

    #[test]
    fn an_end_that_takes_no_messages_still_sends_some() {
        let (mut near, mut far) = Receipts::pair();
        let cx = Context::from_waker(Waker::noop());
        near.expect_none();
        assert_eq!((near.sent(3), near.take(&cx), near.forgo()), (3, 0, 0));
        assert_eq!(far.sent(2), 0);
        near.arrived(2);
        assert_eq!(far.take(&cx), 2);
    }
}
