//! The receiver, which takes messages out of the inbox.

use std::mem;
use std::sync::Mutex;
use std::task::{Context, Poll, ready};

use tokio::task::coop;
use zmtp_codec::{Batch, Message};

use super::inbox::{Inbox, Taken};
use crate::endpoint::Endpoint;
use crate::error::Closed;
use crate::options::HighWaterMark;
use crate::peer::Peer;
use crate::stats::Unfinished;
use crate::sync::{lock, lock_to_wake, wake_all};

/// The source of received messages: an inbox, and a filter of its messages.
pub(crate) trait Source {
    fn inbox(&self) -> &Mutex<Inbox>;

    /// Changes the number of messages of each peer that may wait.
    fn set_receive_hwm(&self, mark: HighWaterMark) {
        let mut inbox = lock_to_wake(self.inbox());
        let drivers = inbox.set_mark(mark);
        inbox.wake(drivers);
    }

    /// Changes whether only the newest message of each peer that comes from now on is kept.
    fn set_conflate(&self, conflate: bool) {
        lock(self.inbox()).set_conflate(conflate);
    }

    /// Fetches the messages that senders of this process hold. Returns whether there may have been any.
    fn fetch(&self) -> bool {
        false
    }

    /// The number of changes of the filter after which messages may have to be filtered again.
    #[inline]
    fn generation(&self) -> u64 {
        0
    }

    /// Removes the messages that the filter does not let in. Returns the generation of the filter.
    #[inline]
    fn filter(&self, batch: &mut Batch) -> u64 {
        let _ = batch;
        0
    }
}

/// The receiver of one socket. It takes a batch of one publisher at a time, so that most messages cost
/// no lock.
#[derive(Debug, Default)]
pub(crate) struct Receiver {
    current: Taken,
    /// The sender of the last received message.
    sender: Option<Peer>,
    /// The generation of the filter that has filtered the batch.
    generation: u64,
    /// How many messages were left in the inbox.
    left: usize,
}

impl Receiver {
    /// The next message, if one has arrived.
    pub(crate) fn try_next(&mut self, core: &impl Source) -> Result<Option<Message>, Closed> {
        match self.next_current(core) {
            Some(message) => Ok(Some(message)),
            None => self.fill(core, None).map(|_| self.current.batch.next()),
        }
    }

    /// Waits for the next message.
    #[inline]
    pub(crate) fn poll_next(
        &mut self,
        core: &impl Source,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Message, Closed>> {
        if let Some(message) = self.next_current(core) {
            return Poll::Ready(Ok(message));
        }
        self.poll_next_in_inbox(core, cx)
    }

    #[inline(never)]
    fn poll_next_in_inbox(
        &mut self,
        core: &impl Source,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Message, Closed>> {
        ready!(self.poll_fill(core, cx))?;
        let next = self.current.batch.next().expect("it has been filled");
        Poll::Ready(Ok(next))
    }

    /// Waits for messages, and takes the whole batch. The messages count for the high-water mark until
    /// the next call.
    pub(crate) fn poll_batch(
        &mut self,
        core: &impl Source,
        cx: &mut Context<'_>,
    ) -> Poll<Result<Batch, Closed>> {
        self.filter_anew(core);
        if self.current.batch.is_empty() {
            ready!(self.poll_fill(core, cx))?;
        }
        Poll::Ready(Ok(mem::take(&mut self.current.batch)))
    }

    /// Lends the next message of the batch to `look`, with its sender, and takes it, if it has one part
    /// of at most `most` octets.
    #[inline]
    pub(crate) fn lend_next<R>(
        &mut self,
        core: &impl Source,
        most: usize,
        look: impl FnOnce(&[u8], &Peer) -> R,
    ) -> Option<R> {
        self.filter_anew(core);
        let body = self.current.batch.peek_body().filter(|body| body.len() <= most)?;
        let looked = look(body, self.sender.as_ref()?);
        self.current.batch.skip_next();
        Some(looked)
    }

    /// How many messages had arrived and were not received, when the inbox was last looked into.
    pub(crate) fn backlog(&self) -> usize {
        self.current.batch.len() + self.left
    }

    /// Drops the messages that have arrived through a connected endpoint and were not received.
    pub(crate) fn discard(&mut self, core: &impl Source, endpoint: &Endpoint) {
        let mut inbox = lock(core.inbox());
        let (_batches, wake) = inbox.discard(endpoint);
        self.left = inbox.queued().messages as usize;
        drop(inbox);
        wake_all(wake);
        if self.sender.as_ref().is_some_and(|peer| peer.is_through(endpoint)) {
            self.current.batch = Batch::default();
        }
    }

    /// The sender of the last message.
    pub(crate) fn sender(&self) -> Option<&Peer> {
        self.sender.as_ref()
    }

    /// Adds the messages that were taken out of the inbox and not received to the unread ones.
    pub(crate) fn left_unread(&self, closed: Unfinished) -> Unfinished {
        Unfinished { unread: closed.unread + self.current.batch.len(), ..closed }
    }

    /// The path of most messages, without a lock.
    #[inline]
    fn next_current(&mut self, core: &impl Source) -> Option<Message> {
        self.filter_anew(core);
        self.current.batch.next()
    }

    /// Waits until there is a batch.
    fn poll_fill(&mut self, core: &impl Source, cx: &mut Context<'_>) -> Poll<Result<(), Closed>> {
        // A flood of messages must not keep other tasks from running, so each batch takes from the
        // task's budget.
        let turn = ready!(coop::poll_proceed(cx));
        let filled = match self.fill(core, Some(cx)) {
            Ok(true) => Ok(()),
            Ok(false) => return Poll::Pending,
            Err(closed) => Err(closed),
        };
        turn.made_progress();
        Poll::Ready(filled)
    }

    /// Takes the next batch out of the inbox. Returns whether there was one; if not, waits for it.
    fn fill(&mut self, core: &impl Source, cx: Option<&mut Context<'_>>) -> Result<bool, Closed> {
        // A receiver that waits is woken with many messages at once, and need not fetch few.
        let mut may_fetch = cx.is_none();
        loop {
            let mut wake = Vec::new();
            let sender = {
                let mut inbox = lock(core.inbox());
                let sender = inbox.exchange(&mut self.current, &mut wake);
                self.left = inbox.queued().messages as usize;
                if sender.is_none() {
                    if inbox.is_closed() {
                        return Err(Closed);
                    }
                    if let Some(cx) = &cx {
                        inbox.wait(cx);
                    }
                }
                sender
            };
            wake_all(wake);
            if sender.is_none() {
                if mem::take(&mut may_fetch) && core.fetch() {
                    continue;
                }
                return Ok(false);
            }
            self.filter(core);
            if !self.current.batch.is_empty() {
                self.sender = sender;
                return Ok(true);
            }
        }
    }

    /// Filters the batch again if the filter has changed, so that no message comes out whose topic was
    /// unsubscribed from before.
    #[inline]
    fn filter_anew(&mut self, core: &impl Source) {
        if self.generation != core.generation() {
            self.filter(core);
        }
    }

    /// Filters the batch: a publisher may send more than the subscriptions, and these may have changed
    /// since it arrived.
    fn filter(&mut self, core: &impl Source) {
        self.generation = core.filter(&mut self.current.batch);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::options::Receiving;
    use crate::peer::PeerId;
    use crate::stats::Count;

    struct Core(Mutex<Inbox>);

    impl Source for Core {
        fn inbox(&self) -> &Mutex<Inbox> {
            &self.0
        }
    }

    #[test]
    fn the_backlog_is_what_is_in_hand_and_what_was_left_in_the_inbox() {
        let mut inbox = Inbox::new(&Receiving::default());
        let endpoint = Endpoint::Inproc("test".into());
        let key = inbox.open(Peer::dialled(PeerId(7), endpoint.clone(), "test"), 0);
        for _ in 0..2 {
            let batch: Batch = ["1", "2"].map(Message::from).into_iter().collect();
            inbox.deliver(key, batch);
        }
        let (core, mut receiver) = (Core(Mutex::new(inbox)), Receiver::default());
        let mut backlogs = Vec::new();
        while receiver.try_next(&core).unwrap().is_some() {
            backlogs.push(receiver.backlog());
        }
        assert_eq!(backlogs, [3, 2, 1, 0]);
        for _ in 0..3 {
            lock(&core.0).deliver(key, Message::from("x").into());
        }
        assert!(receiver.try_next(&core).unwrap().is_some());
        assert_eq!(receiver.backlog(), 2);
        receiver.discard(&core, &endpoint);
        assert_eq!(receiver.backlog(), 0);
    }

    #[test]
    fn only_a_small_message_of_one_part_that_came_with_the_last_one_is_lent() {
        let mut inbox = Inbox::new(&Receiving::default());
        let key = inbox.open(Peer::new(PeerId(7), Endpoint::Inproc("test".into()), "test"), 0);
        let messages = ["first", "123", "1234"].map(Message::from);
        let multipart = Message::from(("a", "b"));
        let batch: Batch = messages.into_iter().chain([multipart.clone()]).collect();
        inbox.arrived(key, Count::of_batch(&batch));
        inbox.deliver(key, batch);
        let (core, mut receiver) = (Core(Mutex::new(inbox)), Receiver::default());
        let lent = |receiver: &mut Receiver| {
            receiver.lend_next(&core, 3, |body, peer| (body.to_vec(), peer.id()))
        };
        assert_eq!(lent(&mut receiver), None, "nothing is in hand");
        assert_eq!(receiver.try_next(&core).unwrap(), Some("first".into()));
        assert_eq!(lent(&mut receiver), Some((b"123".to_vec(), PeerId(7))));
        assert_eq!(lent(&mut receiver), None, "it is large");
        assert_eq!(receiver.try_next(&core).unwrap(), Some("1234".into()), "it was not taken");
        assert_eq!(lent(&mut receiver), None, "it has two parts");
        assert_eq!(receiver.try_next(&core).unwrap(), Some(multipart));
        assert_eq!(lent(&mut receiver), None, "nothing is left");
    }
}
