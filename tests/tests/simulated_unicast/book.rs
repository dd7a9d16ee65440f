//! The sent and the received messages: each whole, once, in order, and only accepted ones.

use std::collections::HashMap;

use zmtp_socket::{Message, PeerId, Stats};
use zmtp_tests::sealed;

/// The name of a message: its sender, and its number among the messages of that sender.
pub(crate) type Name = (u64, u64);

/// The record of one message.
#[derive(Clone, Copy, Debug, Default)]
struct Entry {
    accepted: bool,
    came: bool,
    /// Whether it was sent beside others, in any order.
    is_loose: bool,
}

/// The messages of all sockets of a scenario.
#[derive(Debug, Default)]
pub(crate) struct Book {
    messages: HashMap<Name, Entry>,
    /// The last message received of each sender, by each connection or way.
    last: HashMap<(u64, Way), u64>,
    next: u64,
}

/// The scope within which order is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Way {
    /// One connection of a receiver.
    Connection(u64, PeerId),
    /// All connections to one receiver, one after the other.
    Receiver(u64),
}

impl Book {
    /// A number that no other socket has.
    pub(crate) fn number(&mut self) -> u64 {
        self.next += 1;
        self.next
    }

    /// Records a new message of a sender, which may be accepted.
    pub(crate) fn write(&mut self, sender: u64, is_loose: bool, fill: usize) -> (Name, Vec<u8>) {
        let name = (sender, self.number());
        self.messages.insert(name, Entry { is_loose, ..Entry::default() });
        (name, body_of(name, fill))
    }

    pub(crate) fn accept(&mut self, name: Name) {
        self.messages.get_mut(&name).expect("it has been written").accepted = true;
    }

    /// Records a received message; order is kept within each of these ways.
    pub(crate) fn receive(&mut self, message: &Message, ways: &[Way]) -> Name {
        let name = name_of(message);
        let entry = self.messages.get_mut(&name).expect("it has been written");
        assert!(!entry.came, "{name:?} has come before");
        entry.came = true;
        if !entry.is_loose {
            for way in ways {
                let last = self.last.insert((name.0, *way), name.1);
                assert!(last < Some(name.1), "{name:?} after {last:?}, on {way:?}");
            }
        }
        name
    }

    /// Checks that every received message of these senders was accepted. Returns the numbers of accepted
    /// and of received messages.
    pub(crate) fn balance(&self, is_sender: impl Fn(u64) -> bool) -> (u64, u64) {
        let mut sums = (0, 0);
        for (name, entry) in self.messages.iter().filter(|(name, _)| is_sender(name.0)) {
            assert!(entry.accepted || !entry.came, "{name:?} was not sent, and came");
            sums.0 += u64::from(entry.accepted);
            sums.1 += u64::from(entry.came);
        }
        sums
    }

    /// Whether each of these messages has arrived.
    pub(crate) fn have_come(&self, names: &[Name]) -> bool {
        names.iter().all(|name| self.messages[name].came)
    }

    /// Checks that every message which one socket has accepted is counted once.
    pub(crate) fn expect_balance(&self, sender: u64, stats: &Stats) -> (u64, u64) {
        let (accepted, came) = self.balance(|other| other == sender);
        let counted = stats.sent + stats.dropped + stats.undelivered;
        assert_eq!(counted, accepted, "{stats:?} of {sender}");
        assert!(came <= stats.sent, "{came} came of {stats:?} of {sender}");
        (accepted, came)
    }
}

/// The message of this name.
pub(crate) fn body_of((sender, number): Name, fill: usize) -> Vec<u8> {
    let mut body = [sender.to_be_bytes(), number.to_be_bytes()].concat();
    body.extend((0..fill).map(|place| (place as u64 * 31 + number) as u8));
    sealed::seal(body)
}

/// The name in a message, which must be whole.
pub(crate) fn name_of(message: &Message) -> Name {
    assert_eq!(message.part_count(), 1, "{message:?}");
    let body = sealed::opened(message.first());
    let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().expect("8 octets"));
    (number(0), number(8))
}
