//! Tasks that wait for something, first come, first served.

use std::collections::VecDeque;
use std::task::Waker;

/// Gives out [tickets](Ticket).
#[derive(Debug, Default)]
pub(crate) struct Tickets(u64);

/// The time at which a task began to wait: its place in every queue that it waits in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Ticket(u64);

/// The tasks that wait for one thing, in the order of their tickets.
///
/// A task that is woken keeps its place until it [leaves](Self::leave), whether it has got the thing or
/// gives up. Then the next task is woken. So a wake-up is never lost with a task that no longer wants
/// it, and no task is overtaken between a wake-up and the poll that follows.
#[derive(Debug, Default)]
pub(crate) struct Waiters(VecDeque<(Ticket, Waker)>);

impl Tickets {
    pub(crate) fn next(&mut self) -> Ticket {
        self.0 += 1;
        Ticket(self.0)
    }
}

impl Waiters {
    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether a task waits that came before the holder of `ticket`; without one, whether any task
    /// waits.
    pub(crate) fn has_before(&self, ticket: Option<Ticket>) -> bool {
        let first = self.0.front().map(|(first, _)| *first);
        first.is_some_and(|first| ticket.is_none_or(|ticket| first < ticket))
    }

    /// Adds a task that waits, in the place that `ticket` gives, to be woken with `waker`.
    pub(crate) fn join(&mut self, ticket: Ticket, waker: &Waker) {
        match self.place_of(ticket) {
            Ok(place) => self.0[place].1.clone_from(waker),
            Err(place) => self.0.insert(place, (ticket, waker.clone())),
        }
    }

    /// Removes a task. Returns the waker of the next one, if that is now the first.
    #[must_use]
    pub(crate) fn leave(&mut self, ticket: Ticket) -> Option<Waker> {
        let place = self.place_of(ticket).ok()?;
        self.0.remove(place);
        if place == 0 { self.first() } else { None }
    }

    /// The waker of the first task.
    #[must_use]
    pub(crate) fn first(&self) -> Option<Waker> {
        self.0.front().map(|(_, waker)| waker.clone())
    }

    /// The wakers of all tasks, which keep their places.
    pub(crate) fn all(&self) -> impl Iterator<Item = Waker> {
        self.0.iter().map(|(_, waker)| waker.clone())
    }

    /// The wakers of all tasks, which lose their places.
    pub(crate) fn take_all(&mut self) -> impl Iterator<Item = Waker> + use<> {
        std::mem::take(&mut self.0).into_iter().map(|(_, waker)| waker)
    }

    fn place_of(&self, ticket: Ticket) -> Result<usize, usize> {
        self.0.binary_search_by_key(&ticket, |(ticket, _)| *ticket)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::Ordering;

    use super::*;
    use crate::sync::Woken;

    #[test]
    fn each_is_served_in_its_turn_and_who_leaves_passes_the_turn_on() {
        let (mut tickets, mut waiters) = (Tickets::default(), Waiters::default());
        let [one, two, three] = [(); 3].map(|()| tickets.next());
        let woken = [(); 3].map(|()| Arc::new(Woken::default()));
        let wakers = woken.each_ref().map(|woken| Waker::from(woken.clone()));
        let times = || woken.each_ref().map(|woken| woken.0.load(Ordering::Relaxed));
        assert!(!waiters.has_before(None));
        // However late a task joins a queue, its ticket gives its place.
        for (ticket, waker) in [(two, 1), (three, 2), (one, 0), (two, 1)] {
            waiters.join(ticket, &wakers[waker]);
        }
        assert!(waiters.has_before(None) && waiters.has_before(Some(two)));
        assert!(!waiters.has_before(Some(one)));
        waiters.first().expect("there are three").wake();
        assert_eq!(times(), [1, 0, 0]);
        assert!(waiters.leave(two).is_none(), "one who was not first has no turn to pass on");
        waiters.leave(one).expect("the third is next").wake();
        assert_eq!(times(), [1, 0, 1]);
        assert!(waiters.leave(one).is_none(), "it has left already");
        waiters.all().for_each(Waker::wake);
        assert!(waiters.leave(three).is_none() && waiters.is_empty());
        assert_eq!(times(), [1, 0, 2]);
    }
}
