//! The checks of one subscriber on each message: that it is whole, subscribed to and in order, and that
//! none is missing before it.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;

use crate::letter::{self, Letter, Name, TOPICS};

/// The number of gaps that a new subscription to a topic excuses. It is two, not one: messages that were
/// on their way at the end of the last subscription, and are still so at the new one, are received. Some
/// before them were discarded on receipt, and some after them were never sent.
const GAPS_OF_A_SUBSCRIPTION: u32 = 2;

/// The messages that have arrived at one socket.
#[derive(Debug, Default)]
pub(crate) struct Checker {
    /// The prefixes subscribed to.
    wishes: BTreeSet<String>,
    mark: String,
    /// The number of gaps excused in each topic of every publisher.
    excused: [u32; TOPICS],
    publishers: BTreeMap<Name, Seen>,
    /// The number of all messages.
    pub(crate) received: u64,
    pub(crate) octets: u64,
}

/// The messages that have arrived from one publisher's socket.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// The numbers of messages that have arrived, and that are missing between them.
    pub(crate) received: u64,
    pub(crate) missing: u64,
    /// The number of the last probe.
    pub(crate) probe: u64,
    /// The number of the last message.
    last: u64,
    topics: [Topic; TOPICS],
    /// The number of gaps excused in each topic because there was another connection.
    excused: u32,
}

#[derive(Clone, Copy, Debug, Default)]
struct Topic {
    /// The number of the last message of this topic, if there was one.
    last: Option<u64>,
    /// The number of gaps that occurred and were excused.
    spent: u32,
}

impl Checker {
    /// Sets the prefixes that are subscribed to.
    pub(crate) fn wish(&mut self, wishes: BTreeSet<String>) {
        let before = std::mem::replace(&mut self.wishes, wishes);
        for (topic, excused) in self.excused.iter_mut().enumerate() {
            if !covers(&before, topic) && covers(&self.wishes, topic) {
                *excused += GAPS_OF_A_SUBSCRIPTION;
            }
        }
    }

    /// The prefixes that are subscribed to, without the mark.
    pub(crate) fn wishes(&self) -> &BTreeSet<String> {
        &self.wishes
    }

    /// Sets the mark; returns the one before.
    pub(crate) fn set_mark(&mut self, mark: &str) -> String {
        std::mem::replace(&mut self.mark, mark.to_owned())
    }

    /// Excuses a gap of a publisher's socket before another connection to it: the messages that it sent
    /// in between are not missing.
    pub(crate) fn relinked(&mut self, publisher: Name) {
        self.publishers.entry(publisher).or_default().excused += 1;
    }

    /// Ends all excuses, since all subscriptions have taken effect and all sent messages have arrived.
    /// After the next message of each topic, no gap is excused.
    pub(crate) fn settled(&mut self) {
        self.excused = [0; TOPICS];
        for seen in self.publishers.values_mut() {
            seen.excused = 0;
            seen.topics = [Topic::default(); TOPICS];
        }
    }

    /// Forgets publishers that are gone.
    pub(crate) fn keep(&mut self, publishers: &BTreeSet<Name>) {
        self.publishers.retain(|name, _| publishers.contains(name));
    }

    /// The messages of each publisher.
    pub(crate) fn publishers(&self) -> &BTreeMap<Name, Seen> {
        &self.publishers
    }

    /// Checks a message. With `asked_for`, one that no subscription matches is an error. It is not with
    /// libzmq, which may have fetched a message from its queue before the end of the subscription.
    pub(crate) fn accept(&mut self, parts: &[Bytes], asked_for: bool) -> Result<(), String> {
        self.received += 1;
        self.octets += parts.iter().map(|part| part.len() as u64).sum::<u64>();
        if let Some((mark, from, number)) = letter::read_probe(parts) {
            let seen = self.publishers.entry(from).or_default();
            seen.received += 1;
            let is_ours = mark == self.mark.as_bytes();
            if asked_for && !is_ours && !self.wishes.contains("") {
                let mark = mark.escape_ascii();
                return Err(format!(
                    "not asked for: a probe for {mark}, subscribed: {}",
                    self.mark
                ));
            }
            if is_ours {
                seen.probe = seen.probe.max(number);
            }
            return Ok(());
        }
        let letter = Letter::read(parts)?;
        if asked_for && !covers(&self.wishes, letter.topic) {
            return Err(format!("not asked for: {letter:?}; subscribed: {:?}", self.wishes));
        }
        let excused = self.excused[letter.topic];
        self.publishers.entry(letter.from).or_default().accept(&letter, excused)
    }
}

impl Seen {
    fn accept(&mut self, letter: &Letter, excused: u32) -> Result<(), String> {
        let excused = excused + self.excused;
        let topic = &mut self.topics[letter.topic];
        self.received += 1;
        let before = std::mem::replace(&mut self.last, letter.number);
        if letter.number <= before {
            return Err(format!("twice or out of order: {letter:?} came after number {before}"));
        }
        let before = topic.last.replace(letter.topic_number);
        let Some(before) = before else { return Ok(()) };
        if letter.topic_number <= before {
            return Err(format!("twice or out of order: {letter:?} after {before} of its topic"));
        }
        let missing = letter.topic_number - before - 1;
        if missing == 0 {
            return Ok(());
        }
        if topic.spent < excused {
            topic.spent += 1;
            return Ok(());
        }
        self.missing += missing;
        if letter.lossless {
            return Err(format!("lost: {letter:?} came after {before} of its topic"));
        }
        Ok(())
    }
}

/// Whether a topic begins with one of the prefixes.
pub(crate) fn covers(wishes: &BTreeSet<String>, topic: usize) -> bool {
    let topic = letter::topic(topic);
    wishes.iter().any(|prefix| topic.starts_with(prefix))
}

#[cfg(test)]
mod tests {
    use super::*;

    const FROM: Name = Name { node: 1, incarnation: 2 };

    fn checker(wishes: &[&str]) -> Checker {
        let mut checker = Checker::default();
        checker.wish(set(wishes));
        checker.settled();
        checker
    }

    fn set(wishes: &[&str]) -> BTreeSet<String> {
        wishes.iter().map(|&wish| wish.to_owned()).collect()
    }

    fn letter(number: u64, topic: usize, topic_number: u64, lossless: bool) -> Vec<Bytes> {
        Letter { from: FROM, topic, number, topic_number, lossless }.parts()
    }

    #[test]
    fn order_within_and_across_topics_is_checked() {
        let mut checker = checker(&[""]);
        checker.accept(&letter(1, 0, 1, true), true).unwrap();
        checker.accept(&letter(2, 1, 1, true), true).unwrap();
        checker.accept(&letter(4, 0, 2, true), true).unwrap();
        let late = checker.accept(&letter(3, 1, 2, true), true).unwrap_err();
        assert!(late.starts_with("twice or out of order"), "{late}");
        let twice = checker.accept(&letter(3, 1, 2, true), true).unwrap_err();
        assert!(twice.starts_with("twice or out of order"), "{twice}");
    }

    #[test]
    fn a_gap_counts_and_is_an_error_if_the_publisher_drops_nothing() {
        let mut checker = checker(&[""]);
        checker.accept(&letter(1, 0, 1, false), true).unwrap();
        checker.accept(&letter(9, 0, 4, false), true).unwrap();
        assert_eq!(checker.publishers()[&FROM].missing, 2);
        let lost = checker.accept(&letter(10, 0, 6, true), true).unwrap_err();
        assert!(lost.starts_with("lost"), "{lost}");
    }

    #[test]
    fn a_new_subscription_and_a_new_connection_excuse_gaps_until_all_is_settled() {
        let mut checker = checker(&["T00/"]);
        checker.accept(&letter(1, 0, 1, true), true).unwrap();
        checker.wish(set(&[]));
        checker.wish(set(&["T"]));
        checker.relinked(FROM);
        for (number, topic_number) in [(2, 3), (3, 5), (4, 7)] {
            checker.accept(&letter(number, 0, topic_number, true), true).unwrap();
        }
        assert!(checker.accept(&letter(5, 0, 9, true), true).is_err());
        checker.relinked(FROM);
        checker.settled();
        checker.accept(&letter(6, 0, 11, true), true).unwrap();
        assert!(checker.accept(&letter(7, 0, 13, true), true).is_err());
    }

    #[test]
    fn a_topic_that_another_prefix_covers_has_no_gap() {
        let mut checker = checker(&["T00/"]);
        checker.accept(&letter(1, 0, 1, true), true).unwrap();
        checker.wish(set(&["T0"]));
        assert!(checker.accept(&letter(2, 0, 3, true), true).is_err());
    }

    #[test]
    fn what_was_not_asked_for_is_an_error() {
        let mut checker = checker(&["T01/"]);
        assert!(checker.accept(&letter(1, 0, 1, true), true).is_err());
        checker.accept(&letter(2, 0, 2, true), false).unwrap();
        checker.set_mark("@1.1.2/");
        checker.accept(&letter::probe("@1.1.2/", FROM, 7), true).unwrap();
        assert!(checker.accept(&letter::probe("@1.1.1/", FROM, 8), true).is_err());
        assert_eq!(checker.publishers()[&FROM].probe, 7);
    }
}
