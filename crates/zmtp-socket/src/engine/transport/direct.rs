//! The way of messages between two sockets of one process: from the sender's call straight into the
//! receiver's queue, with no task between. The pipe beside it carries all else: the handshake, commands, and
//! messages for which there is no room.

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::task::Waker;

use zmtp_codec::{Limits, Message};

/// The queue of what one socket receives from one peer.
pub(crate) trait Intake: Send + Sync {
    /// Queues a message. Returns the receiver to be woken, if it waits. `Err` if the queue is full or the
    /// peer has left.
    fn take(&self, message: Message) -> Result<Option<Waker>, NoRoom>;

    /// Takes the sender's driver, to be woken when there is room, if there is none now.
    fn await_room(&self, driver: &mut Option<Waker>);
}

/// The queue is full, or the peer has left.
#[derive(Debug)]
pub(crate) struct NoRoom;

/// The intake of one side, from the end of its handshake on, and the limits that it sets.
#[derive(Default)]
struct Entrance {
    intake: OnceLock<(Limits, Arc<dyn Intake>)>,
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
    use super::*;

    struct Open;

    impl Intake for Open {
        fn take(&self, _message: Message) -> Result<Option<Waker>, NoRoom> {
            Ok(None)
        }

        fn await_room(&self, driver: &mut Option<Waker>) {
            *driver = None;
        }
    }

    #[test]
    fn a_message_takes_this_way_only_to_a_side_that_accepts_it_and_within_its_limits() {
        let (near, far) = Direct::pair();
        let message = |parts: usize| Message::multipart(vec!["ab"; parts]).unwrap();
        assert!(!near.is_open() && near.deliver(message(1)).is_err());
        let mut driver = Some(Waker::noop().clone());
        near.await_room(&mut driver);
        assert!(driver.is_some(), "nobody would wake it");
        far.accept(Limits::new().with_message_size(4).with_message_parts(1), Arc::new(Open));
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
}
