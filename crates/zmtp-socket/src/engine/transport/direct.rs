//! The way of messages between two sockets of one process: from the sender's call straight into the
//! receiver's queue, with no task between. The pipe beside it carries all else: the handshake, commands, and
//! messages for which there is no room.

use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use zmtp_codec::{Batch, Limits, Message, MessageRef};

/// The queue of what one socket receives from one peer.
pub(crate) trait Intake: Send + Sync {
    /// Queues a message. Returns the receiver to be woken, if it waits. `Err` if the queue is full or the
    /// peer has left.
    fn take(&self, message: Message) -> Result<Option<Waker>, NoRoom>;

    /// Queues messages from the front of `batch`, as far as there is room and they keep to the limits. Returns the
    /// receiver to be woken, if it waits.
    fn take_front(&self, batch: &mut Batch, limits: &Limits) -> Option<Waker>;

    /// Notes that a sender holds messages, for the receiver that finds none here.
    fn note_held(&self);

    /// Takes the sender's driver, to be woken when there is room, if there is none now.
    fn await_room(&self, driver: &mut Option<Waker>);
}

/// The queue of what one socket sends to one peer.
pub(crate) trait Holder: Send + Sync {
    /// Leaves the queued messages in the peer's own queue, as far as there is room.
    fn hand_over(&self);
}

/// The queue is full, or the peer has left.
#[derive(Debug)]
pub(crate) struct NoRoom;

/// Whether a message keeps to the limits.
pub(crate) fn is_allowed(message: &MessageRef<'_>, limits: &Limits) -> bool {
    match message.is_multipart() {
        false => limits.allow(message.first().len() as u64, 1),
        true => {
            let size: usize = message.parts().map(<[u8]>::len).sum();
            limits.allow(size as u64, message.parts().count())
        }
    }
}

/// The intake of one side, from the end of its handshake on, and the limits that it sets.
#[derive(Default)]
struct Entrance {
    intake: OnceLock<(Limits, Arc<dyn Intake>)>,
    /// The queue of the side that sends here.
    holder: OnceLock<Arc<dyn Holder>>,
    /// Whether messages may be waiting in it.
    is_holding: AtomicBool,
    /// Messages that were offered here since [`is_answer`](Direct::is_answer) was last asked.
    unanswered: AtomicUsize,
}

/// One end. Cheap to clone.
#[derive(Clone, Default)]
pub(crate) struct Direct {
    ours: Arc<Entrance>,
    theirs: Arc<Entrance>,
}

impl Direct {
    /// Both ends.
    pub(crate) fn pair() -> (Self, Self) {
        let near = Self::default();
        let far = Self { ours: near.theirs.clone(), theirs: near.ours.clone() };
        (near, far)
    }

    /// From now on, messages from the other side that keep to the limits are queued by its senders.
    pub(crate) fn accept(&self, limits: Limits, intake: Arc<dyn Intake>) {
        // A connection has one handshake.
        let _first = self.ours.intake.set((limits, intake));
    }

    /// From now on, the other side may [fetch](Self::fetch) what waits to be sent there.
    pub(crate) fn offer(&self, holder: Arc<dyn Holder>) {
        let _first = self.theirs.holder.set(holder);
    }

    /// Notes that messages wait to be sent there, if the other side accepts any.
    #[inline]
    pub(crate) fn hold(&self) {
        if !self.theirs.is_holding.load(Ordering::Relaxed)
            && let Some((_, intake)) = self.theirs.intake.get()
        {
            self.theirs.is_holding.store(true, Ordering::Release);
            intake.note_held();
        }
    }

    /// Has the messages that wait at the other side handed over. Takes locks of the other side.
    pub(crate) fn fetch(&self) {
        if self.ours.is_holding.load(Ordering::Relaxed)
            && self.ours.is_holding.swap(false, Ordering::Acquire)
            && let Some(holder) = self.ours.holder.get()
        {
            holder.hand_over();
        }
    }

    /// Whether the other side accepts messages.
    pub(crate) fn is_open(&self) -> bool {
        self.theirs.intake.get().is_some()
    }

    /// Queues a message at the other side. Nothing may be on its way there through the pipe. Returns the
    /// receiver to be woken, if it waits. `Err` if the message has to go through the pipe.
    pub(crate) fn deliver(&self, message: Message) -> Result<Option<Waker>, NoRoom> {
        let (limits, intake) = self.theirs.intake.get().ok_or(NoRoom)?;
        self.theirs.unanswered.fetch_add(1, Ordering::Relaxed);
        // A message that breaks a limit ends the connection, which is for the other side's driver to do.
        match limits.allow(message.size() as u64, message.part_count()) {
            true => intake.take(message),
            false => Err(NoRoom),
        }
    }

    /// Queues messages from the front of `batch` at the other side, as far as there is room and they keep to the
    /// limits. Nothing may be on its way there through the pipe. Returns the receiver to be woken, if it waits.
    pub(crate) fn deliver_front(&self, batch: &mut Batch) -> Option<Waker> {
        let (limits, intake) = self.theirs.intake.get()?;
        let before = batch.len();
        let receiver = intake.take_front(batch, limits);
        self.theirs.unanswered.fetch_add(before - batch.len(), Ordering::Relaxed);
        receiver
    }

    /// Whether the message that is sent now may be the answer to a single one.
    pub(crate) fn is_answer(&self) -> bool {
        self.ours.unanswered.swap(0, Ordering::Relaxed) == 1
    }

    /// Leaves it to the other side to wake our driver, if there is no room: until then it has nothing to do.
    pub(crate) fn await_room(&self, driver: &mut Option<Waker>) {
        if let Some((_, intake)) = self.theirs.intake.get() {
            intake.await_room(driver);
        }
    }
}

impl fmt::Debug for Direct {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Direct").field("is_open", &self.is_open()).finish()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::Ordering::Relaxed;

    use super::*;

    /// Has room for two messages at a time. Counts how often it was told of messages that are held.
    #[derive(Default)]
    struct Open(AtomicUsize);

    impl Intake for Open {
        fn take(&self, _message: Message) -> Result<Option<Waker>, NoRoom> {
            Ok(None)
        }

        fn take_front(&self, batch: &mut Batch, limits: &Limits) -> Option<Waker> {
            let allowed = batch.iter().take(2).take_while(|it| is_allowed(it, limits)).count();
            let _taken = batch.split_to(allowed);
            None
        }

        fn note_held(&self) {
            self.0.fetch_add(1, Relaxed);
        }

        fn await_room(&self, driver: &mut Option<Waker>) {
            *driver = None;
        }
    }

    impl Holder for AtomicUsize {
        fn hand_over(&self) {
            self.fetch_add(1, Relaxed);
        }
    }

    fn message(parts: usize) -> Message {
        Message::multipart(vec!["ab"; parts]).unwrap()
    }

    #[test]
    fn a_message_takes_this_way_only_to_a_side_that_accepts_it_and_within_its_limits() {
        let (near, far) = Direct::pair();
        assert!(!near.is_open() && near.deliver(message(1)).is_err());
        let mut driver = Some(Waker::noop().clone());
        near.await_room(&mut driver);
        assert!(driver.is_some(), "nobody would wake it");
        let limits = Limits::new().with_message_size(4).with_message_parts(1);
        far.accept(limits, Arc::new(Open::default()));
        assert!(near.is_open() && !far.is_open());
        assert!(near.deliver(message(1)).is_ok());
        assert!(near.deliver(message(2)).is_err(), "it has too many parts");
        assert!(near.deliver("abcde".into()).is_err(), "it is too large");
        near.await_room(&mut driver);
        assert!(driver.is_none());
        assert!(!far.is_answer() && !near.is_answer(), "three messages were offered");
        near.deliver("ab".into()).unwrap();
        assert!(far.is_answer() && !far.is_answer());
    }

    #[test]
    fn of_a_batch_goes_what_there_is_room_for_up_to_a_message_that_breaks_a_limit() {
        let (near, far) = Direct::pair();
        let left = |messages: &[Message]| {
            let mut batch: Batch = messages.iter().cloned().collect();
            near.deliver_front(&mut batch);
            batch.len()
        };
        assert_eq!(left(&[message(1)]), 1, "nobody accepts it");
        let limits = Limits::new().with_message_size(4).with_message_parts(2);
        far.accept(limits, Arc::new(Open::default()));
        assert_eq!(left(&[message(1), message(2), message(1)]), 1);
        assert_eq!(left(&[message(1), message(3)]), 1, "it has too many parts");
        assert_eq!(left(&["abcde".into(), message(1)]), 2, "it is too large");
        assert_eq!(left(&[message(1), Message::multipart(["abc", "de"]).unwrap()]), 1);
        far.is_answer();
        assert_eq!(left(&["abcde".into()]), 1);
        assert!(!far.is_answer(), "nothing came");
        left(&[message(1), message(3)]);
        assert!(far.is_answer(), "one came");
    }

    #[test]
    fn what_a_side_holds_is_fetched_once() {
        let (near, far) = Direct::pair();
        let (intake, holder) = (Arc::new(Open::default()), Arc::new(AtomicUsize::new(0)));
        near.hold();
        far.accept(Limits::new(), intake.clone());
        near.offer(holder.clone());
        for round in 1..=2 {
            near.hold();
            near.hold();
            assert_eq!(intake.0.load(Relaxed), round, "the receiver is told once");
            near.fetch();
            far.fetch();
            far.fetch();
            assert_eq!(holder.load(Relaxed), round);
        }
    }
}
