//! The sent and the received messages: whole, in order, once, and only subscribed ones.

use std::collections::{BTreeSet, HashMap};

use bytes::Bytes;
use zmtp_socket::Message;
use zmtp_tests::sealed;

/// The messages of one subscriber and its publishers.
#[derive(Debug, Default)]
pub(crate) struct Ledger {
    sent: u64,
    /// The last message received of each era.
    last: HashMap<u64, u64>,
    seen: BTreeSet<u64>,
    /// Messages that must arrive as long as their topic is wanted.
    due: Vec<(u64, Bytes)>,
}

impl Ledger {
    /// A new message, which shows if any of it is missing, changed or repeated. Order is kept within an
    /// era.
    pub(crate) fn seal(&mut self, topic: &[u8], era: u64, fill: usize) -> Vec<u8> {
        let mut body = [topic, b"|"].concat();
        body.extend_from_slice(&era.to_be_bytes());
        body.extend_from_slice(&self.sent.to_be_bytes());
        body.extend((0..fill).map(|place| (place as u64 * 31 + self.sent) as u8));
        self.sent += 1;
        sealed::seal(body)
    }

    /// Records that the newest message must arrive.
    pub(crate) fn expect(&mut self, topic: &Bytes) {
        self.due.push((self.sent - 1, topic.clone()));
    }

    /// Checks a message that a subscriber to `wanted` has received.
    pub(crate) fn receive<T: AsRef<[u8]>>(
        &mut self,
        message: &Message,
        wanted: impl IntoIterator<Item = T>,
    ) {
        let (era, number) = opened(message.first());
        let last = self.last.insert(era, number);
        assert!(Some(number) > last, "{number} after {last:?}, in era {era}");
        assert!(self.seen.insert(number), "{number} has come before");
        let asked_for = wanted.into_iter().any(|topic| message.first().starts_with(topic.as_ref()));
        assert!(asked_for, "nobody has asked for {message:?}");
    }

    /// The number of received messages.
    pub(crate) fn received(&self) -> u64 {
        self.seen.len() as u64
    }

    /// Whether all messages have arrived that must, of the wanted ones.
    pub(crate) fn is_settled(&self, wanted: &BTreeSet<Bytes>) -> bool {
        let is_wanted = |topic: &Bytes| wanted.iter().any(|prefix| topic.starts_with(prefix));
        self.due.iter().all(|(number, topic)| self.seen.contains(number) || !is_wanted(topic))
    }

    /// Records that messages on their way may be lost.
    pub(crate) fn write_off(&mut self) {
        self.due.clear();
    }
}

/// The era and the number of a message, which must be whole.
fn opened(body: &[u8]) -> (u64, u64) {
    let body = sealed::opened(body);
    let bar = body.iter().position(|octet| *octet == b'|').expect("a topic");
    let number = |at: usize| u64::from_be_bytes(body[at..at + 8].try_into().unwrap());
    (number(bar + 1), number(bar + 9))
}
